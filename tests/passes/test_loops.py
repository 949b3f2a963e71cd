"""What a compiler of loops merges, turns into views and writes in other formats."""

from __future__ import annotations

from hwsim.graph.graph import Graph, GraphBuilder
from hwsim.graph.lowering import lower
from hwsim.graph.tensor import Tensor
from hwsim.operators.reshape import Reshape
from hwsim.operators.transpose import Transpose
from hwsim.passes import apply_passes
from hwsim.workloads import image_layers, layers

_LOOPS = ["autocast", "loop_formats", "fuse_loops"]


def _kinds(graph: Graph) -> list[str]:
    return [node.op.kind for node in graph.nodes]


def test_two_normalised_convolutions_and_their_sum_are_one_loop() -> None:
    b = GraphBuilder("toy")
    x = b.input("x", (2, 8, 6, 6))
    one, other = (layers.conv_bn_act(b, x, 8, 1, act="", name=name) for name in ("one", "other"))
    y = layers.activation(b, layers.add(b, one, other), "relu")
    graph = apply_passes(b.build([y]), ["fuse_loops"])
    assert _kinds(graph) == ["conv2d", "conv2d", "batchnorm"]
    assert graph.nodes[2].name == "one_bn+other_bn+add+relu"


def test_what_the_graph_gives_out_is_not_merged_away() -> None:
    b = GraphBuilder("toy")
    x = b.input("x", (2, 8))
    given = layers.activation(b, x, "tanh")
    graph = apply_passes(b.build([layers.activation(b, given, "relu"), given]), ["fuse_loops"])
    assert _kinds(graph) == ["tanh", "relu"]


def test_a_sum_that_others_read_stays_and_the_norm_runs_within_it() -> None:
    """100 rows of 64 fp16: the norm writes its 12,800 bytes, and reads its two parameters of 128 alone."""
    b = GraphBuilder("toy")
    x = b.input("x", (100, 64))
    total = layers.add(b, layers.linear(b, x, 64, name="a"), x)
    y = layers.linear(b, layers.layer_norm(b, total, kept=True), 64, name="b")
    graph = apply_passes(b.build([layers.add(b, y, total, name="add2")], dtype="fp16"), ["fuse_loops"])
    (norm,) = (work for work in lower(graph).works if work.kernel == "layernorm")
    assert (norm.bytes_in, norm.bytes_out) == (2 * 128, 12_800)


def _gated(act: str) -> Graph:
    b = GraphBuilder("toy")
    x = layers.conv_bn_act(b, b.input("x", (2, 16, 8, 8)), 16, 3, act=act, name="conv")
    y = layers.conv(b, image_layers.channel_gate(b, x), 16, 1, bias=False, name="last")
    return apply_passes(b.build([y], dtype="fp16"), _LOOPS)


def _format_of(graph: Graph, ending: str) -> str:
    (found,) = (node.outputs[0] for node in graph.nodes if node.name.endswith(ending))
    return graph.tensors[found].type.format


def test_an_activation_that_reads_twice_keeps_what_the_norm_made_in_fp32_for_several_readers() -> None:
    """Mean and product read SiLU's argument; ReLU is stored as it is, and what one product reads is narrow."""
    assert _format_of(_gated("silu"), "conv_silu") == "fp32"
    assert _format_of(_gated("relu"), "conv_relu") == "fp16"
    assert _format_of(_gated("silu"), "mul") == "fp16"


def test_a_learned_factor_widens_the_sum_and_no_cast_is_a_kernel_of_its_own() -> None:
    b = GraphBuilder("toy")
    x = layers.linear(b, b.input("x", (10, 64)), 64, name="a")
    total = layers.add(b, x, layers.multiply(b, x, b.weight("scale", (64,))))
    y = layers.linear(b, layers.layer_norm(b, total), 64, name="b")
    graph = apply_passes(b.build([layers.add(b, y, total, name="add2")], dtype="fp16"), _LOOPS)
    assert _format_of(graph, "+add") == "fp32"
    assert _format_of(graph, "norm") == "fp16"
    assert "cast" not in _kinds(graph)


def test_a_product_reads_the_second_output_of_a_loop_that_others_read_in_fp32() -> None:
    b = GraphBuilder("toy")
    x = layers.linear(b, b.input("x", (10, 64)), 64, name="a")
    wide = layers.multiply(b, x, b.weight("scale", (64,)))
    y = layers.add(b, layers.linear(b, wide, 64, name="b"), wide)
    graph = apply_passes(b.build([y], dtype="fp16"), _LOOPS)
    (cast,) = (work for work in lower(graph).works if work.kernel == "cast")
    assert (cast.bytes_in, cast.bytes_out) == (0, 2 * 640)


def _turned(*, loop: bool) -> Graph:
    b = GraphBuilder("toy")
    x: Tensor = layers.linear(b, b.input("x", (2, 12, 16)), 16, name="a")
    x = layers.activation(b, x, "relu") if loop else x
    y = b.add(Transpose((0, 2, 1, 3)), b.add(Reshape((2, 12, 4, 4)), x), name="turned")
    y = layers.linear(b, b.add(Reshape((2, 4, 48)), y), 8, name="b")
    return apply_passes(b.build([y]), ["loop_layouts"])


def test_a_loop_writes_in_the_order_that_a_library_wants_and_a_library_does_not() -> None:
    assert "transpose" not in _kinds(_turned(loop=True))
    assert "transpose" in _kinds(_turned(loop=False))


def test_a_product_reads_a_matrix_turned() -> None:
    b = GraphBuilder("toy")
    x = layers.linear(b, b.input("x", (2, 12, 16)), 16, name="a")
    y = layers.linear(b, b.add(Transpose((0, 2, 1)), x), 8, name="b")
    assert "transpose" not in _kinds(apply_passes(b.build([y]), ["loop_layouts"]))
