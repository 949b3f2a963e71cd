"""Fusion: which nodes merge, which do not, that no value changes, and what is saved."""

from __future__ import annotations

import numpy as np
import pytest

from hwsim.functional.run import run_reference
from hwsim.graph.graph import Graph, GraphBuilder
from hwsim.graph.lowering import lower
from hwsim.graph.tensor import Tensor
from hwsim.graph.work import Reduce
from hwsim.operators.add import Add
from hwsim.operators.batchnorm import BatchNorm
from hwsim.operators.causal_mask import CausalMask
from hwsim.operators.conv2d import Conv2d
from hwsim.operators.div import Div
from hwsim.operators.gelu import Gelu
from hwsim.operators.global_average import GlobalAverage
from hwsim.operators.linear import Linear
from hwsim.operators.mul import Mul
from hwsim.operators.relu import Relu
from hwsim.operators.sigmoid import Sigmoid
from hwsim.operators.silu import Silu
from hwsim.operators.silu_mul import SiluMul
from hwsim.operators.softmax import Softmax
from hwsim.passes import PASSES, apply_passes

fuse = PASSES["fuse"]


def _conv_bn(b: GraphBuilder, x: Tensor, channels: int, name: str) -> Tensor:
    with b.scope(name):
        y = b.add(Conv2d(padding=(1, 1)), x, b.weight("w", (channels, x.shape[1], 3, 3)))
        vectors = [b.weight("gamma", (channels,)), b.weight("beta", (channels,))]
        return b.add(BatchNorm(), y, *vectors, b.state("mean", (channels,)), b.state("var", (channels,)))


def _residual_block() -> Graph:
    b = GraphBuilder("block")
    x = b.input("x", (1, 4, 6, 6))
    y = b.add(Relu(), _conv_bn(b, x, 4, "one"))
    return b.build([b.add(Relu(), b.add(Add(), _conv_bn(b, y, 4, "two"), x))])


def _same_values(graph: Graph, passes: list[str], **shapes: tuple[int, ...]) -> None:
    generator = np.random.default_rng(0)
    inputs = {name: generator.standard_normal(shape) for name, shape in shapes.items()}
    before, after = run_reference(graph, inputs), run_reference(apply_passes(graph, passes), inputs)
    assert before.keys() == after.keys()
    for name, value in before.items():
        assert np.allclose(value, after[name], rtol=1e-9), name


def test_a_residual_block_becomes_two_kernels_named_after_their_parts() -> None:
    fused = fuse(_residual_block())
    assert [node.name for node in fused.nodes] == [
        "one.conv2d+one.batchnorm+relu",
        "two.conv2d+two.batchnorm+add+relu_1",
    ]
    assert fused.outputs == ("relu_1",)
    assert "add" not in fused.tensors


def test_fusion_keeps_every_value_of_a_residual_block() -> None:
    _same_values(_residual_block(), ["fuse"], x=(1, 4, 6, 6))


def test_fusion_saves_the_bytes_of_intermediates_and_no_arithmetic() -> None:
    graph = _residual_block().with_scheme("fp16")
    before, after = lower(graph), lower(fuse(graph))
    map_size, vectors = 4 * 6 * 6 * 2, 2 * 4 * 4 * 2
    weights = 2 * 4 * 4 * 9 * 2
    assert before.total("macs") == after.total("macs")
    assert before.total("flop") == after.total("flop")
    assert after.total("bytes_in") == 3 * map_size + vectors + weights  # x twice, the value between both
    assert after.total("bytes_out") == 2 * map_size


def test_two_products_meeting_in_a_sum_share_one_epilogue() -> None:
    b = GraphBuilder("g")
    x = b.input("x", (2, 4))
    left, right = (b.add(Linear(), x, b.weight(n, (4, 4)), name=n.upper()) for n in "ab")
    graph = b.build([b.add(Add(), left, right)])
    assert [node.name for node in fuse(graph).nodes] == ["B", "A+add"]
    _same_values(graph, ["fuse"], x=(2, 4))


def test_a_chain_of_elementwise_operators_becomes_one_kernel() -> None:
    b = GraphBuilder("g")
    x, y = b.input("x", (2, 8)), b.input("y", (2, 8))
    graph = b.build([b.add(Mul(0.5), b.add(Gelu(), b.add(SiluMul(), b.add(Softmax(), x), y)))])
    assert [node.name for node in fuse(graph).nodes] == ["softmax", "silu_mul+gelu+mul"]
    _same_values(graph, ["fuse"], x=(2, 8), y=(2, 8))
    (_, work) = lower(fuse(graph).with_scheme("fp16")).works
    assert (work.kernel, work.bytes_in, work.bytes_out) == ("elementwise", 64, 32)


def test_fusion_of_elementwise_work_alone_leaves_products_their_own_kernels() -> None:
    alone = PASSES["fuse_elementwise"](_residual_block())
    assert [node.name for node in alone.nodes] == [
        "one.conv2d",
        "one.batchnorm+relu",
        "two.conv2d",
        "two.batchnorm+add+relu_1",
    ]
    _same_values(_residual_block(), ["fuse_elementwise"], x=(1, 4, 6, 6))


def test_nothing_joins_a_product_behind_a_curve_that_a_table_looks_up() -> None:
    """A rectifier lets the residual in behind it; a SiLU is the last stage, and what follows merges by itself."""
    b = GraphBuilder("g")
    x = b.input("x", (1, 4, 6, 6))
    y = b.add(Add(), b.add(Silu(), _conv_bn(b, x, 4, "one")), x)
    y = b.add(Mul(0.5), y)
    graph = b.build([b.add(Add(), b.add(Relu(), _conv_bn(b, y, 4, "two")), x)])
    assert [node.name for node in PASSES["fuse_to_lookup"](graph).nodes] == [
        "one.conv2d+one.batchnorm+silu",
        "add+mul",
        "two.conv2d+two.batchnorm+relu+add_1",
    ]
    _same_values(graph, ["fuse_to_lookup"], x=(1, 4, 6, 6))


def test_a_softmax_takes_in_the_chain_around_it() -> None:
    """4 x 8 x 8 scores of 4 bytes are read once and written once; three functions add an operation an element each."""
    b = GraphBuilder("g")
    scores = b.add(CausalMask(), b.add(Mul(0.5), b.input("x", (4, 8, 8))))
    graph = b.build([b.add(Relu(), b.add(Softmax(), scores))], dtype="fp32")
    after = PASSES["fuse_rows"](graph)
    assert [node.name for node in after.nodes] == ["mul+causal_mask+softmax+relu"]
    _same_values(graph, ["fuse_rows"], x=(4, 8, 8))
    merged, alone = lower(after).works[0], lower(graph).works[2]
    assert isinstance(merged, Reduce)
    assert isinstance(alone, Reduce)
    assert (merged.kernel, merged.rows, merged.cols) == ("softmax", 32, 8)
    assert (merged.bytes_in, merged.bytes_out) == (1024, 1024)
    assert merged.flop == alone.flop + 3 * 256


def test_a_tensor_that_another_node_reads_is_not_fused_away() -> None:
    b = GraphBuilder("g")
    x = b.input("x", (2, 4))
    y = b.add(Linear(), x, b.weight("w", (4, 4)))
    graph = b.build([b.add(Add(), b.add(Relu(), y), b.add(Softmax(), y))])
    assert [node.name for node in fuse(graph).nodes] == ["linear", "softmax", "relu+add"]
    _same_values(graph, ["fuse"], x=(2, 4))


def test_a_graph_output_is_not_fused_away() -> None:
    b = GraphBuilder("g")
    y = b.add(Linear(), b.input("x", (2, 4)), b.weight("w", (4, 4)))
    graph = b.build([b.add(Relu(), y), y])
    assert fuse(graph).nodes == graph.nodes


def test_a_value_used_twice_by_one_node_is_fused() -> None:
    b = GraphBuilder("g")
    y = b.add(Linear(), b.input("x", (2, 4)), b.weight("w", (4, 4)))
    graph = b.build([b.add(Mul(), y, y)])
    assert len(fuse(graph).nodes) == 1
    _same_values(graph, ["fuse"], x=(2, 4))


def test_a_gated_unit_is_not_an_epilogue() -> None:
    b = GraphBuilder("g")
    x = b.input("x", (2, 4))
    gate, up = (b.add(Linear(), x, b.weight(n, (4, 4))) for n in "ab")
    graph = b.build([b.add(SiluMul(), gate, up)])
    assert fuse(graph).nodes == graph.nodes


def test_a_change_of_shape_ends_a_kernel() -> None:
    """The squeeze-and-excitation gate (1, 4, 1, 1) multiplies a whole image: the sigmoid fuses, the product not."""
    b = GraphBuilder("g")
    x = b.input("x", (1, 4, 6, 6))
    gate = b.add(Sigmoid(), b.add(Conv2d(), b.input("pooled", (1, 4, 1, 1)), b.weight("w", (4, 4, 1, 1))))
    graph = b.build([b.add(Mul(), x, gate)])
    assert [node.name for node in fuse(graph).nodes] == ["conv2d+sigmoid", "mul"]
    _same_values(graph, ["fuse"], x=(1, 4, 6, 6), pooled=(1, 4, 1, 1))


def test_phases_and_tags_are_borders() -> None:
    b = GraphBuilder("g")
    y = b.add(Linear(), b.input("x", (2, 4)), b.weight("w", (4, 4)))
    b.phase("later", repeat=3)
    y = b.add(Add(1.0), b.add(Relu(), y))
    b.tag("vector_unit")
    graph = b.build([b.add(Mul(2.0), y)])
    fused = fuse(graph)
    assert [node.name for node in fused.nodes] == ["linear", "relu+add", "mul"]
    assert [(p.name, p.first, p.last, p.repeat) for p in fused.phases] == [("main", 0, 1, 1), ("later", 1, 3, 3)]


def test_a_fused_node_stands_where_all_its_inputs_exist() -> None:
    b = GraphBuilder("g")
    x = b.input("x", (2, 4))
    y = b.add(Linear(), x, b.weight("w", (4, 4)))
    late = b.add(Softmax(), x)
    graph = fuse(b.build([b.add(Add(), y, late)]))
    assert [node.name for node in graph.nodes] == ["softmax", "linear+add"]
    assert graph.predecessors == [(), (0,)]


def test_growing_shapes_stay_growing() -> None:
    b = GraphBuilder("g")
    b.phase("decode", repeat=4)
    cache = b.state("cache", (1, 2, 8), step=(0, 1, 0))
    graph = b.build([b.add(Relu(), b.add(Div(2.0), b.add(Linear(), cache, b.weight("w", (8, 8)))))], dtype="fp16")
    fused = fuse(graph)
    assert fused.macs == graph.macs == 64 * (2 + 3 + 4 + 5)
    assert lower(fused).growth[0]["m"] == 1


def test_fusing_twice_changes_nothing_more() -> None:
    once = fuse(_residual_block())
    assert fuse(once) == once


def test_a_graph_without_neighbours_to_merge_stays_as_it_is() -> None:
    b = GraphBuilder("g")
    graph = b.build([b.add(GlobalAverage(), b.input("x", (1, 4, 2, 2)))])
    assert fuse(graph) == graph
    empty = Graph.from_nodes("empty", [], {})
    assert fuse(empty) == empty


@pytest.mark.parametrize("scheme", ["fp16", "w8a8", "w4a16", "fp8_w8a8"])
def test_a_fused_product_keeps_its_formats(scheme: str) -> None:
    graph = _residual_block().with_scheme(scheme)
    plain, fused = lower(graph).works[0], lower(fuse(graph)).works[0]
    for name in ("a_format", "b_format", "compute_format", "accumulator_format", "out_format", "b_is_weight"):
        assert getattr(plain, name) == getattr(fused, name)
