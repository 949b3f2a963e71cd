"""Run products between dequantized operands on the integers themselves.

A graph that says where numbers are quantized (Q and DQ nodes, as ONNX files have them) computes in floats; hardware
multiplies the integers and rescales the sums once. DQ(a), DQ(b) -> product [-> element-wise work] [-> Q] become one
kernel.
"""

from __future__ import annotations

from typing import NamedTuple, cast

from hwsim.graph.graph import Graph, Node
from hwsim.graph.operator import Operator
from hwsim.operators.batchnorm import BatchNorm
from hwsim.operators.conv1d import Conv1d
from hwsim.operators.conv2d import Conv2d
from hwsim.operators.conv3d import Conv3d
from hwsim.operators.dequantize_linear import DequantizeLinear
from hwsim.operators.elementwise import Binary, Unary
from hwsim.operators.gemm import Gemm
from hwsim.operators.grid import Grid
from hwsim.operators.linear import Linear
from hwsim.operators.matmul import Matmul
from hwsim.operators.quantize_linear import QuantizeLinear
from hwsim.operators.quantized_product import QuantizedProduct
from hwsim.passes.fuse import chain_from, follower, fused_operator
from hwsim.passes.quantize import channel_axis
from hwsim.passes.registry import PASSES
from hwsim.passes.rewrite import Rewriter, users

__all__ = ["fuse_quantized"]

_PRODUCTS = (Conv1d, Conv2d, Conv3d, Gemm, Linear, Matmul)
_EPILOGUES = (BatchNorm, Binary, Unary)


class _Kernel(NamedTuple):
    """Nodes to merge: the product, the element-wise work that follows, the quantization if there is one."""

    nodes: tuple[int, ...]
    merged: Node


@PASSES.register("fuse_quantized")
def fuse_quantized(graph: Graph) -> Graph:
    """The graph with its dequantized products on integers; dequantizations that nobody reads any more are dropped."""
    read_by = users(graph)
    kernels: list[_Kernel] = []
    taken: set[int] = set()
    for index in range(len(graph.nodes)):
        kernel = _kernel(graph, index, read_by, taken)
        if kernel is not None:
            kernels.append(kernel)
            taken.update(kernel.nodes)
    last = {kernel.nodes[-1]: kernel.merged for kernel in kernels}
    inner = {index for kernel in kernels for index in kernel.nodes[:-1]}
    wanted = {name for kernel in kernels for name in kernel.merged.inputs} | set(graph.outputs)
    merged = inner | set(last)
    wanted.update(name for i, node in enumerate(graph.nodes) if i not in merged for name in node.inputs)
    new = Rewriter(graph)
    for _, indices in new.phases():
        for index in indices:
            node = graph.nodes[index]
            if index in last:
                new.put(last[index])
            elif index not in inner and not (isinstance(node.op, DequantizeLinear) and node.outputs[0] not in wanted):
                new.keep(node)
    return new.finish()


def _kernel(graph: Graph, index: int, read_by: dict[str, list[int]], taken: set[int]) -> _Kernel | None:
    node = graph.nodes[index]
    if not isinstance(node.op, _PRODUCTS) or not _plain(node.op):
        return None
    a, b = (_dequantized(graph, name) for name in node.inputs[:2])
    if (
        a is None
        or b is None
        or len(a[1].scale) > 1
        or any(b[1].zero)
        or not _by_channel(node.op, b[1], len(graph.tensors[b[0]].shape))
    ):
        return None
    chain = chain_from(graph, index, read_by, _EPILOGUES, taken)
    members = [graph.nodes[i] for i in chain[1:]]
    made = node.outputs[0]
    outside = list(
        dict.fromkeys(n for m in members for n in m.inputs if n not in {made, *(x.outputs[0] for x in members)})
    )
    epilogue = fused_operator(members, [made, *outside]) if members else None
    result = None
    after = follower(graph, chain[-1], read_by, (QuantizeLinear,))
    if after is not None and _same_phase(graph, index, after):
        grid = cast("QuantizeLinear", graph.nodes[after].op).grid
        if len(grid.scale) == 1:
            result, chain = grid, [*chain, after]
    end = graph.nodes[chain[-1]]
    fmt = graph.tensors[end.outputs[0]].type.format
    op = QuantizedProduct(node.op, a[1], b[1], len(node.inputs) > 2, epilogue, result, fmt)
    name = "+".join(graph.nodes[i].name for i in chain)
    return _Kernel(tuple(chain), Node(name, op, (a[0], b[0], *node.inputs[2:], *outside), end.outputs, node.tags))


def _plain(op: Operator) -> bool:
    return not isinstance(op, Gemm) or (op.alpha == 1.0 and op.beta == 1.0)


def _by_channel(op: Operator, grid: Grid, rank: int) -> bool:
    """Whether the scales of the right side factor out of the sums: one, or one an output channel."""
    return len(grid.scale) == 1 or (grid.axis is not None and grid.axis % rank == channel_axis(op) % rank)


def _dequantized(graph: Graph, name: str) -> tuple[str, Grid] | None:
    """(tensor of integers, its grid) behind a dequantization."""
    made = graph.producer.get(name)
    if made is None:
        return None
    node = graph.nodes[made]
    if not isinstance(node.op, DequantizeLinear):
        return None
    return node.inputs[0], node.op.grid


def _same_phase(graph: Graph, first: int, last: int) -> bool:
    return any(phase.first <= first and last < phase.last for phase in graph.phases)
