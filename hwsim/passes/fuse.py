"""Merge products with what follows them element by element, and chains of element-wise operators.

As graph compilers do (T. Chen et al., TVM, 2018, section 3.1: complex-out-fusable operators take element-wise
ones into their epilogue, injective ones merge with each other). A product (convolution, gemm, linear, matmul,
transposed convolution) takes batch normalization, activations, sums and products with other tensors (bias,
residual) and scalings; element-wise operators of one shape merge whether or not they are gated or modulated.
Nothing is fused across a tensor that another node reads, a graph output, a change of shape, tags or phase.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace

from hwsim.graph.graph import Graph, Node
from hwsim.graph.operator import Operator
from hwsim.operators.batchnorm import BatchNorm
from hwsim.operators.cast import Cast
from hwsim.operators.causal_mask import CausalMask
from hwsim.operators.clip import Clip
from hwsim.operators.conv1d import Conv1d
from hwsim.operators.conv2d import Conv2d
from hwsim.operators.conv3d import Conv3d
from hwsim.operators.conv_transpose import ConvTranspose2d
from hwsim.operators.elementwise import Binary, Gated, Unary
from hwsim.operators.fused import Fused, Member
from hwsim.operators.gemm import Gemm
from hwsim.operators.layernorm import LayerNorm
from hwsim.operators.leaky_relu import LeakyRelu
from hwsim.operators.linear import Linear
from hwsim.operators.matmul import Matmul
from hwsim.operators.relu import Relu
from hwsim.operators.relu6 import Relu6
from hwsim.operators.scale_shift import ScaleShift
from hwsim.operators.softmax import Softmax
from hwsim.passes.registry import PASSES
from hwsim.passes.rewrite import Rewriter, users, with_operators

__all__ = [
    "chain_from",
    "follower",
    "fuse",
    "fuse_elementwise",
    "fuse_loops",
    "fuse_pairs",
    "fuse_rows",
    "fuse_to_lookup",
    "fused_operator",
]

_PRODUCTS = (Conv1d, Conv2d, Conv3d, ConvTranspose2d, Gemm, Linear, Matmul)
_EPILOGUES = (BatchNorm, Binary, Cast, Unary)
_ELEMENTWISE = (BatchNorm, Binary, Cast, Gated, ScaleShift, Unary)


def _is_product(op: Operator) -> bool:
    return isinstance(op, _PRODUCTS)


def _is_elementwise(op: Operator) -> bool:
    return isinstance(op, _ELEMENTWISE) and not isinstance(op, Cast)


_Starts = Sequence[tuple[Callable[[Operator], bool], tuple[type, ...]]]
"""What heads a chain, and what may follow."""
_BEFORE_ROWS = (*_ELEMENTWISE, CausalMask, Softmax)
_INTO_ROWS: _Starts = ((lambda op: _is_elementwise(op) or isinstance(op, CausalMask), _BEFORE_ROWS),)
_AFTER_PRODUCTS: _Starts = ((_is_product, _EPILOGUES),)
_AROUND_ROWS = (*_ELEMENTWISE, LayerNorm, Softmax)
_ALONE: _Starts = ((_is_elementwise, _ELEMENTWISE),)


@PASSES.register("fuse")
def fuse(graph: Graph) -> Graph:
    """The graph with its products and element-wise chains merged; a merged node joins the names it came from."""
    return _fused(graph, (*_AFTER_PRODUCTS, *_ALONE))


@PASSES.register("fuse_to_lookup")
def fuse_to_lookup(graph: Graph) -> Graph:
    """As ``fuse``, but a product takes nothing in behind a curve: the table that looks it up is its last stage.

    So is the output stage of NVDLA (NVIDIA, NVDLA hardware architecture, Single Data Point Processor), and so does
    RKNN's compiler: its list of layers has one ConvExSwish and an Add (airockchip/rknn-toolkit2, issue 163).
    """
    chains = [_to_lookup(graph, chain) for chain in _chains(graph, _AFTER_PRODUCTS)]
    joined = _joined(graph, [chain for chain in chains if len(chain) > 1])
    return _fused(joined, _ALONE)


def _to_lookup(graph: Graph, chain: list[int]) -> list[int]:
    """The chain up to its first function that is a curve rather than straight pieces."""
    curves = (place for place, index in enumerate(chain) if _is_curve(graph.nodes[index].op))
    return chain[: next(curves, len(chain)) + 1]


def _is_curve(op: Operator) -> bool:
    return isinstance(op, Unary) and not isinstance(op, (Cast, Clip, LeakyRelu, Relu, Relu6))


@PASSES.register("fuse_pairs")
def fuse_pairs(graph: Graph) -> Graph:
    """As ``fuse``, but an element-wise kernel reads no second activation behind its first operator.

    assumption: so run shaders that have kernels of one tensor and of two (ovxlib of VeriSilicon's NPUs).
    """
    joined = _fused(graph, _AFTER_PRODUCTS)
    parts = [part for chain in _chains(joined, _ALONE) for part in _by_pairs(joined, chain)]
    return _joined(joined, [part for part in parts if len(part) > 1])


def _by_pairs(graph: Graph, chain: list[int]) -> list[list[int]]:
    """The chain in pieces, each of which only its first operator starts with more than one activation."""
    pieces: list[list[int]] = []
    for index in chain:
        read = [name for name in graph.nodes[index].inputs if graph.tensors[name].role in ("activation", "input")]
        if not pieces or len(read) > 1:
            pieces.append([])
        pieces[-1].append(index)
    return pieces


@PASSES.register("fuse_elementwise")
def fuse_elementwise(graph: Graph) -> Graph:
    """The graph with its element-wise chains merged; products stay kernels of their own.

    So do compilers that call a library for products (J. Ansel et al., PyTorch 2, ASPLOS 2024, section 4).
    """
    return _fused(graph, _ALONE)


@PASSES.register("fuse_rows")
def fuse_rows(graph: Graph) -> Graph:
    """The graph with element-wise chains merged, a softmax among them too; products stay kernels of their own.

    So does a compiler whose reductions take element-wise work in (Ansel et al., PyTorch 2, 2024, section 4.2).
    """
    return _fused(graph, _INTO_ROWS)


@PASSES.register("fuse_loops")
def fuse_loops(graph: Graph) -> Graph:
    """The graph with trees of element-wise operators merged, softmax and layer norms among them.

    So does TorchInductor, whose rows stay in registers (Ansel et al., PyTorch 2, 2024, section 4.2). A layer norm that
    reads what a loop makes for others as well runs within that loop.
    """
    merged = _joined(graph, _trees(graph))

    def chosen(node: Node) -> Operator:
        if isinstance(node.op, LayerNorm) and _from_a_loop(merged, node.inputs[0]):
            return replace(node.op, within=True)
        return node.op

    return with_operators(merged, chosen)


def _from_a_loop(graph: Graph, name: str) -> bool:
    maker = graph.producer.get(name)
    if maker is None:
        return False
    op = graph.nodes[maker].op
    return _is_elementwise(op) or (isinstance(op, Fused) and _is_elementwise(op.members[-1].op))


def _fused(graph: Graph, starts: _Starts) -> Graph:
    return _joined(graph, _chains(graph, starts))


def _joined(graph: Graph, chains: Sequence[list[int]]) -> Graph:
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
    read_by = users(graph)
    taken: set[int] = set()
    chains: list[list[int]] = []
    for is_head, followers in starts:
        for index, node in enumerate(graph.nodes):
            if index in taken or not is_head(node.op):
                continue
            chain = chain_from(graph, index, read_by, followers, taken)
            if len(chain) > 1:
                taken.update(chain)
                chains.append(chain)
    return chains


def _trees(graph: Graph) -> list[list[int]]:
    """Loops of one shape, each of which only others of its tree read, but for the last."""
    read_by = users(graph)
    phase_of = [place for place, phase in enumerate(graph.phases) for _ in range(phase.first, phase.last)]
    root = list(range(len(graph.nodes)))
    for index in reversed(range(len(graph.nodes))):
        node = graph.nodes[index]
        readers = read_by.get(node.outputs[0], []) if len(node.outputs) == 1 else []
        if not _is_loop(node.op) or min(readers, default=-1) < 0 or len({root[r] for r in readers}) > 1:
            continue
        shape = graph.tensors[node.outputs[0]].shape
        others = [graph.nodes[reader] for reader in readers]
        if all(
            isinstance(other.op, _AROUND_ROWS)
            and graph.tensors[other.outputs[0]].shape == shape
            and other.tags == node.tags
            and phase_of[reader] == phase_of[index]
            for reader, other in zip(readers, others, strict=True)
        ):
            root[index] = root[readers[0]]
    trees: dict[int, list[int]] = {}
    for index, top in enumerate(root):
        trees.setdefault(top, []).append(index)
    return [tree for tree in trees.values() if len(tree) > 1]


def _is_loop(op: Operator) -> bool:
    return _is_elementwise(op) or isinstance(op, (LayerNorm, Softmax))


def chain_from(
    graph: Graph, index: int, read_by: dict[str, list[int]], kinds: tuple[type, ...], taken: Collection[int] = ()
) -> list[int]:
    """The node and those of ``kinds`` that can run in its kernel one after another, up to one that is taken."""
    last = next(phase.last for phase in graph.phases if phase.first <= index < phase.last)
    chain = [index]
    while True:
        following = follower(graph, chain[-1], read_by, kinds)
        if following is None or following in taken or following >= last:
            return chain
        chain.append(following)


def follower(graph: Graph, index: int, read_by: dict[str, list[int]], kinds: tuple[type, ...]) -> int | None:
    """The only reader of a node's only output, if it can run in the same kernel."""
    node = graph.nodes[index]
    readers = read_by.get(node.outputs[0], [])
    if len(node.outputs) != 1 or len(readers) != 1 or readers[0] < 0:
        return None
    reader = graph.nodes[readers[0]]
    same_shape = graph.tensors[reader.outputs[0]].shape == graph.tensors[node.outputs[0]].shape
    return readers[0] if isinstance(reader.op, kinds) and same_shape and reader.tags == node.tags else None


def _merged(nodes: list[Node]) -> Node:
    made = {node.outputs[0] for node in nodes}
    outside = tuple(dict.fromkeys(name for node in nodes for name in node.inputs if name not in made))
    joined = "+".join(node.name for node in nodes)
    return Node(joined, fused_operator(nodes, outside), outside, nodes[-1].outputs, nodes[0].tags)


def fused_operator(nodes: Sequence[Node], outside: Sequence[str]) -> Fused:
    """Nodes one after another as one operator on the tensors ``outside``."""
    places = {name: i for i, name in enumerate(outside)}
    places |= {node.outputs[0]: len(outside) + i for i, node in enumerate(nodes)}
    members = tuple(Member(node.op, tuple(places[name] for name in node.inputs)) for node in nodes)
    return Fused(members, len(outside))
