"""Layers that networks share: their shapes, their weights, and what they refuse."""

from __future__ import annotations

import pytest

from hwsim.errors import InputError, UnknownNameError
from hwsim.graph.graph import Graph, GraphBuilder
from hwsim.operators.rope import Rope
from hwsim.workloads import layers


def _kinds(graph: Graph) -> list[str]:
    return [node.op.kind for node in graph.nodes]


def test_a_convolution_keeps_the_size_unless_told_otherwise() -> None:
    b = GraphBuilder("toy")
    x = b.input("x", (1, 3, 9, 9))
    assert layers.conv(b, x, 8, 5, name="same").shape == (1, 8, 9, 9)
    assert layers.conv(b, x, 8, 3, dilation=2, name="dilated").shape == (1, 8, 9, 9)
    assert layers.conv(b, x, 8, 5, padding=0, name="valid").shape == (1, 8, 5, 5)


def test_weights_are_named_after_their_scope_and_layer() -> None:
    b = GraphBuilder("toy")
    with b.scope("block"):
        layers.linear(b, b.input("x", (2, 4)), 8, name="up")
    graph = b.build([])
    weights = {name: t.shape for name, t in graph.tensors.items() if t.role == "weight"}
    assert weights == {"block.up.weight": (8, 4), "block.up.bias": (8,)}
    assert [node.name for node in graph.nodes] == ["block.up"]


def test_heads_of_many_tokens_are_moved_and_those_of_one_token_are_viewed() -> None:
    b = GraphBuilder("toy")
    many = layers.split_heads(b, b.input("many", (2, 5, 12)), 3, name="many_heads")
    one = layers.split_heads(b, b.input("one", (2, 1, 12)), 3, name="one_heads")
    assert (many.shape, one.shape) == ((2, 3, 5, 4), (2, 3, 1, 4))
    assert _kinds(b.build([many, one])) == ["reshape", "transpose", "reshape"]


def test_merging_undoes_splitting() -> None:
    b = GraphBuilder("toy")
    x = b.input("x", (2, 5, 12))
    assert layers.merge_heads(b, layers.split_heads(b, x, 3)).shape == x.shape


@pytest.mark.parametrize(("packed", "products"), [(True, 2), (False, 4)])
def test_packed_attention_has_fewer_products_and_the_same_parameters(packed: bool, products: int) -> None:
    b = GraphBuilder("toy")
    y = layers.attention(b, b.input("x", (2, 5, 12)), 3, packed=packed)
    graph = b.build([y])
    assert y.shape == (2, 5, 12)
    assert graph.parameters == 4 * (12 * 12 + 12)
    assert _kinds(graph).count("linear") == products


def test_grouped_heads_shrink_the_projections_to_keys_and_values() -> None:
    b = GraphBuilder("toy")
    y = layers.attention(b, b.input("x", (2, 5, 12)), 6, kv_heads=2, bias=False, rope=Rope())
    assert b.build([y]).parameters == 2 * 12 * 12 + 2 * 12 * 4


def test_cross_attention_takes_keys_of_another_width_and_length() -> None:
    b = GraphBuilder("toy")
    x, text = b.input("x", (2, 5, 12)), b.input("text", (2, 7, 20))
    graph = b.build([layers.attention(b, x, 3, context=text, bias=False)])
    assert graph.parameters == 2 * 12 * 12 + 2 * 12 * 20
    assert graph.macs == 2 * (5 * 2 * 12 * 12 + 7 * 2 * 12 * 20 + 2 * 5 * 7 * 12)


def test_a_gated_perceptron_has_three_products() -> None:
    b = GraphBuilder("toy")
    y = layers.gated_mlp(b, b.input("x", (2, 5, 12)), 30)
    assert _kinds(b.build([y])) == ["linear", "linear", "silu_mul", "linear"]


def test_an_unknown_activation_lists_those_there_are() -> None:
    b = GraphBuilder("toy")
    with pytest.raises(UnknownNameError, match="no activation named 'rleu'; did you mean 'relu'"):
        layers.activation(b, b.input("x", (2,)), "rleu")
    with pytest.raises(UnknownNameError, match="no gated activation named 'maxout'; known: gelu, gelu_tanh, silu"):
        layers.gated_mlp(b, b.input("y", (2, 2)), 4, act="maxout")


def test_no_activation_adds_no_operator() -> None:
    b = GraphBuilder("toy")
    x = b.input("x", (2,))
    assert layers.activation(b, x, "") is x


@pytest.mark.parametrize("size", [7, 8, 14, 20, 21])
def test_adaptive_pooling_always_gives_the_size_asked_for(size: int) -> None:
    b = GraphBuilder("toy")
    assert layers.adaptive_average(b, b.input("x", (1, 2, size, size + 1)), 7).shape == (1, 2, 7, 7)


def test_adaptive_pooling_refuses_an_image_below_that_size() -> None:
    b = GraphBuilder("toy")
    with pytest.raises(InputError, match="the image is too small: 6 x 7 features where at least 7 x 7 are needed"):
        layers.adaptive_average(b, b.input("x", (1, 2, 6, 7)), 7)


def test_squeezing_scales_channels_and_keeps_the_shape() -> None:
    b = GraphBuilder("toy")
    y = layers.squeeze_excite(b, b.input("x", (2, 16, 5, 5)), 4, act="relu", gate="sigmoid")
    assert y.shape == (2, 16, 5, 5)
    assert b.build([y]).parameters == 16 * 4 + 4 + 4 * 16 + 16


@pytest.mark.parametrize(("channels", "rounded"), [(1, 8), (16, 16), (18, 24), (19.2, 24), (33.6, 32), (44.8, 48)])
def test_widths_are_rounded_to_eights_but_never_down_by_a_tenth(channels: float, rounded: int) -> None:
    assert layers.divisible(channels) == rounded
