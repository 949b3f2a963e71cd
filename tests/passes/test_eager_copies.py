"""Copies of an eager framework: of what was expanded, of masks out of line, around mirrored borders."""

from __future__ import annotations

from hwsim.graph.graph import Graph, GraphBuilder
from hwsim.graph.lowering import lower
from hwsim.operators.attention import Attention
from hwsim.operators.expand import Expand
from hwsim.operators.matmul import Matmul
from hwsim.operators.reshape import Reshape
from hwsim.operators.softmax import Softmax
from hwsim.operators.transpose import Transpose
from hwsim.passes import apply_passes
from hwsim.workloads import image_layers, layers


def _moved(graph: Graph) -> list[tuple[str, int]]:
    """Kernels that move, and the bytes each writes."""
    works = lower(graph).works
    return [(work.kernel, work.bytes_out) for work in works if work.kernel in ("transpose", "pad")]


def _expanded(shape: tuple[int, ...]) -> Graph:
    b = GraphBuilder("toy")
    x = b.add(Expand((6, 4, 5, 5)), b.input("x", (1, 4, 5, 5)))
    y = b.add(Reshape(shape), x)
    return b.build([layers.add(b, y, b.state("other", shape))], dtype="fp16")


def test_a_reshape_that_joins_an_expanded_axis_copies() -> None:
    """6 x 4 x 25 fp16 are 1,200 bytes."""
    assert _moved(apply_passes(_expanded((24, 5, 5)), ["expanded_copies"])) == [("transpose", 1200)]
    assert _moved(_expanded((24, 5, 5))) == []


def test_a_reshape_that_leaves_the_expanded_axis_alone_is_a_view() -> None:
    assert _moved(apply_passes(_expanded((6, 4, 25)), ["expanded_copies"])) == []
    assert _moved(apply_passes(_expanded((2, 3, 4, 5, 5)), ["expanded_copies"])) == []


def _masked(seq: int) -> Graph:
    b = GraphBuilder("toy")
    q, k, v = (b.input(name, (2, 1, seq, 32)) for name in "qkv")
    y = b.add(Attention(), q, k, v, b.state("mask", (2, 1, seq, seq)))
    return apply_passes(b.build([y], dtype="fp16"), ["padded_scores"])


def test_rows_of_a_mask_are_copied_to_the_next_multiple_of_sixteen() -> None:
    """Two masks of 49 x 64 fp16 are 12,544 bytes; 64 x 64 is in line."""
    assert _moved(_masked(49)) == [("pad", 12_544)]
    assert _moved(_masked(64)) == []


def test_a_mirrored_border_stands_between_copies_and_a_border_of_zeros_does_not() -> None:
    for border, copies in (("reflect", 2), ("constant", 0)):
        b = GraphBuilder("toy")
        x = layers.conv(b, b.input("x", (1, 3, 8, 8)), 8, 3, name="conv")
        graph = b.build([image_layers.blur(b, x, 3, 2, border=border)], dtype="fp16")
        kinds = [kernel for kernel, _ in _moved(apply_passes(graph, ["pads_channels_second"]))]
        assert kinds.count("transpose") == copies, border


def test_scores_that_heads_mix_are_copied_heads_last_and_an_image_is_a_view() -> None:
    """Two heads of 5 x 5 scores there and back, through a layer over the heads; the features are channels last."""
    b = GraphBuilder("toy")
    x = layers.conv(b, b.input("x", (1, 2, 5, 5)), 2, 1, name="conv")
    image = b.add(Transpose((0, 3, 1, 2)), layers.linear(b, b.add(Transpose((0, 2, 3, 1)), x), 2, name="mlp"))
    scores = b.add(Transpose((0, 2, 3, 1)), b.add(Softmax(), b.add(Matmul(), image, image, name="scores")))
    y = b.add(Transpose((0, 3, 1, 2)), layers.linear(b, scores, 2, name="heads"))
    graph = apply_passes(b.build([y], dtype="fp16"), ["channels_last"])
    assert [kernel for kernel, _ in _moved(graph)] == ["transpose"]
    assert [node.op.kind for node in graph.nodes if node.op.kind == "transpose"] == ["transpose"] * 2


def test_the_bias_of_a_layer_over_a_permuted_operand_is_a_kernel_of_its_own() -> None:
    b = GraphBuilder("toy")
    x = b.add(Transpose((0, 2, 1)), b.input("x", (2, 8, 4)))
    y = layers.linear(b, layers.linear(b, x, 8, name="patches"), 16, name="plain")
    graph = apply_passes(b.build([y], dtype="fp16"), ["turned_products"])
    assert [node.op.kind for node in graph.nodes] == ["strided_view", "linear", "add", "linear"]
