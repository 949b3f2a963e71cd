"""Layers of the diffusion pipelines compute what they stand for."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from hwsim.graph.graph import Graph, GraphBuilder
from hwsim.graph.tensor import Tensor
from hwsim.operators.conv3d import Conv3d
from hwsim.operators.rope import Rope
from hwsim.workloads.dc_autoencoder import linear_attention
from hwsim.workloads.dit import gated_residual, modulated_norm, patches, unpatched
from hwsim.workloads.mmdit import rope_on_image
from hwsim.workloads.sampling import Guidance, denoise
from hwsim.workloads.video_layers import cached_conv, channel_rms_norm

Array = NDArray[np.float64]


def values(graph: Graph, given: Mapping[str, Array]) -> dict[str, Array]:
    """Every tensor of the graph, from those given."""
    found = dict(given)
    for node in graph.nodes:
        made = node.op.reference(*(found[name] for name in node.inputs))
        found.update(zip(node.outputs, made, strict=True))
    return found


def result(b: GraphBuilder, y: Tensor, given: Mapping[str, Array]) -> Array:
    return values(b.build([y]), given)[y.name]


def test_linear_attention_is_attention_with_relu_instead_of_softmax() -> None:
    rng = np.random.default_rng(0)
    shape = (2, 3, 4, 7)
    b = GraphBuilder("toy")
    q, k, v = (b.input(name, shape) for name in "qkv")
    given = {name: rng.uniform(-0.3, 1, size=shape) for name in "qkv"}
    weights = np.einsum("bhdi,bhdj->bhij", np.maximum(given["q"], 0), np.maximum(given["k"], 0))
    expected = np.einsum("bhij,bhdj->bhdi", weights / weights.sum(-1, keepdims=True), given["v"])
    np.testing.assert_allclose(result(b, linear_attention(b, q, k, v), given), expected, rtol=1e-5, atol=1e-6)


def test_a_clip_in_pieces_is_convolved_as_the_whole_clip_padded_in_the_past() -> None:
    rng = np.random.default_rng(1)
    clip, w, bias = rng.normal(size=(1, 2, 4, 3, 5)), rng.normal(size=(3, 2, 3, 3, 3)), rng.normal(size=3)
    (whole,) = Conv3d(padding=(2, 1, 1, 0, 1, 1)).reference(clip, w, bias)
    b = GraphBuilder("toy")
    y = cached_conv(b, b.input("x", (1, 2, 1, 3, 5)), 3)
    graph = b.build([y])
    kept, pieces = np.zeros((1, 2, 2, 3, 5)), []
    for frame in range(4):
        piece = clip[:, :, frame : frame + 1]
        given = {"x": piece, "conv.kept": kept, "conv.weight": w, "conv.bias": bias}
        found = values(graph, given)
        pieces.append(found[y.name])
        kept = found["conv_kept"]
    np.testing.assert_allclose(np.concatenate(pieces, axis=2), whole, rtol=1e-10, atol=1e-12)


def test_channel_norm_makes_the_mean_square_over_channels_one() -> None:
    b = GraphBuilder("toy")
    y = channel_rms_norm(b, b.input("x", (2, 8, 3, 5)), "norm")
    x = np.random.default_rng(2).normal(size=(2, 8, 3, 5))
    out = result(b, y, {"x": x, "norm.gamma": np.ones(8)})
    np.testing.assert_allclose(np.square(out).mean(axis=1), 1, rtol=1e-4)


def test_only_image_tokens_are_turned() -> None:
    rng = np.random.default_rng(3)
    x = rng.normal(size=(1, 2, 5, 4))
    b = GraphBuilder("toy")
    out = result(b, rope_on_image(b, b.input("x", (1, 2, 5, 4)), 3, Rope(), "q"), {"x": x})
    np.testing.assert_array_equal(out[:, :, 3:], x[:, :, 3:])
    np.testing.assert_allclose(out[:, :, :3], Rope().reference(x[:, :, :3])[0])
    assert not np.allclose(out[:, :, 1:3], x[:, :, 1:3])


def test_patches_of_latents_are_put_back_where_they_were_cut() -> None:
    """An identity patch embedding: token i holds the pixels (row, column, channel) of patch i."""
    x = np.random.default_rng(4).normal(size=(1, 3, 4, 6))
    weight = np.zeros((12, 3, 2, 2))
    for row, col, channel in np.ndindex(2, 2, 3):
        weight[(row * 2 + col) * 3 + channel, channel, row, col] = 1
    b = GraphBuilder("toy")
    y = unpatched(b, patches(b, b.input("x", (1, 3, 4, 6)), 12, 2), 3, 4, 6, 2)
    out = result(b, y, {"x": x, "patch_embed.weight": weight, "patch_embed.bias": np.zeros(12)})
    np.testing.assert_array_equal(out, x)


def test_a_gate_of_zero_keeps_the_input_and_a_scale_of_zero_the_norm() -> None:
    rng = np.random.default_rng(5)
    x = rng.normal(size=(1, 4, 8))
    b = GraphBuilder("toy")
    tensor, zero = b.input("x", (1, 4, 8)), b.input("zero", (1, 1, 8))
    normed = modulated_norm(b, tensor, zero, zero)
    kept = gated_residual(b, tensor, normed, zero)
    found = values(b.build([kept]), {"x": x, "zero": np.zeros((1, 1, 8))})
    np.testing.assert_array_equal(found[kept.name], x)
    np.testing.assert_allclose(found[normed.name].mean(axis=-1), 0, atol=1e-7)
    np.testing.assert_allclose(found[normed.name].std(axis=-1), 1, rtol=1e-4)


def test_guided_batches_step_along_the_difference_of_both_predictions() -> None:
    """A network that returns its input predicts the same with and without a prompt: the step is plain Euler."""
    b = GraphBuilder("toy")
    latents = b.state("latents", (1, 2, 3, 3))
    y = denoise(b, latents, lambda x: x, steps=4, guidance=Guidance.BATCH)
    x = np.random.default_rng(6).normal(size=(1, 2, 3, 3))
    graph = b.build([y])
    np.testing.assert_allclose(values(graph, {"latents": x})[y.name], 0.98 * x, rtol=1e-6)
    assert [(p.name, p.repeat) for p in graph.phases] == [("denoise", 4)]
