"""Merge products with what follows them element by element, and chains of element-wise operators.

As graph compilers do (T. Chen et al., TVM, 2018, section 3.1: complex-out-fusable operators take element-wise
ones into their epilogue, injective ones merge with each other). A product (convolution, gemm, linear, matmul,
transposed convolution) takes batch normalization, activations, sums and products with other tensors (bias,
residual) and scalings; element-wise operators of one shape merge whether or not they are gated or modulated.
Nothing is fused across a tensor that another node reads, a graph output, a change of shape, tags or phase.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from hwsim.graph.graph import Graph, Node
from hwsim.graph.operator import Operator
from hwsim.operators.batchnorm import BatchNorm
from hwsim.operators.cast import Cast
from hwsim.operators.conv1d import Conv1d
from hwsim.operators.conv2d import Conv2d
from hwsim.operators.conv3d import Conv3d
from hwsim.operators.conv_transpose import ConvTranspose2d
from hwsim.operators.elementwise import Binary, Gated, Unary
from hwsim.operators.fused import Fused, Member
from hwsim.operators.gemm import Gemm
from hwsim.operators.linear import Linear
from hwsim.operators.matmul import Matmul
from hwsim.operators.scale_shift import ScaleShift
from hwsim.passes.registry import PASSES
from hwsim.passes.rewrite import Rewriter, users

__all__ = ["fuse", "fuse_elementwise"]

_PRODUCTS = (Conv1d, Conv2d, Conv3d, ConvTranspose2d, Gemm, Linear, Matmul)
_EPILOGUES = (BatchNorm, Binary, Cast, Unary)
_ELEMENTWISE = (BatchNorm, Binary, Cast, Gated, ScaleShift, Unary)


def _is_product(op: Operator) -> bool:
    return isinstance(op, _PRODUCTS)


def _is_elementwise(op: Operator) -> bool:
    return isinstance(op, _ELEMENTWISE) and not isinstance(op, Cast)


_Starts = Sequence[tuple[Callable[[Operator], bool], tuple[type, ...]]]
"""What heads a chain, and what may follow."""
_AFTER_PRODUCTS: _Starts = ((_is_product, _EPILOGUES),)
_ALONE: _Starts = ((_is_elementwise, _ELEMENTWISE),)


@PASSES.register("fuse")
def fuse(graph: Graph) -> Graph:
    """The graph with its products and element-wise chains merged; a merged node joins the names it came from."""
    return _fused(graph, (*_AFTER_PRODUCTS, *_ALONE))


@PASSES.register("fuse_elementwise")
def fuse_elementwise(graph: Graph) -> Graph:
    """The graph with its element-wise chains merged; products stay kernels of their own.

    So do compilers that call a library for products (J. Ansel et al., PyTorch 2, ASPLOS 2024, section 4).
    """
    return _fused(graph, _ALONE)


def _fused(graph: Graph, starts: _Starts) -> Graph:
    chains = _chains(graph, starts)
    last = {chain[-1]: chain for chain in chains}
    inner = {index for chain in chains for index in chain[:-1]}
    new = Rewriter(graph)
    for _, indices in new.phases():
        for index in indices:
            if index in last:
                new.put(_merged([graph.nodes[i] for i in last[index]]))
            elif index not in inner:
                new.keep(graph.nodes[index])
    return new.finish()


def _chains(graph: Graph, starts: _Starts) -> list[list[int]]:
    """Runs of two nodes or more to merge, those of the first start first; no node is in two of them."""
    phase_of = [p for p, phase in enumerate(graph.phases) for _ in range(phase.first, phase.last)]
    read_by = users(graph)
    taken: set[int] = set()
    chains: list[list[int]] = []
    for is_head, followers in starts:
        for index, node in enumerate(graph.nodes):
            if index in taken or not is_head(node.op):
                continue
            chain = [index]
            while True:
                following = _follower(graph, chain[-1], read_by, followers)
                if following is None or following in taken or phase_of[following] != phase_of[index]:
                    break
                chain.append(following)
            if len(chain) > 1:
                taken.update(chain)
                chains.append(chain)
    return chains


def _follower(graph: Graph, index: int, read_by: dict[str, list[int]], kinds: tuple[type, ...]) -> int | None:
    """The only reader of a node's only output, if it can run in the same kernel."""
    node = graph.nodes[index]
    readers = read_by.get(node.outputs[0], [])
    if len(node.outputs) != 1 or len(readers) != 1 or readers[0] < 0:
        return None
    reader = graph.nodes[readers[0]]
    same_shape = graph.tensors[reader.outputs[0]].shape == graph.tensors[node.outputs[0]].shape
    return readers[0] if isinstance(reader.op, kinds) and same_shape and reader.tags == node.tags else None


def _merged(nodes: list[Node]) -> Node:
    made = {node.outputs[0]: i for i, node in enumerate(nodes)}
    outside = list(dict.fromkeys(name for node in nodes for name in node.inputs if name not in made))
    place = {name: i for i, name in enumerate(outside)} | {n: len(outside) + i for n, i in made.items()}
    members = tuple(Member(node.op, tuple(place[name] for name in node.inputs)) for node in nodes)
    joined = "+".join(node.name for node in nodes)
    return Node(joined, Fused(members, len(outside)), tuple(outside), nodes[-1].outputs, nodes[0].tags)
