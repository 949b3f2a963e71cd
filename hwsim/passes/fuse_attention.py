"""Recognize attention that was written as products and softmax, and run it as the fused kernel.

product, scaling, mask, softmax, product become one node where the scaling is 1 / sqrt(dim), before or after the first
product on either side, and nobody else reads what lies between (Dao et al., FlashAttention, 2022). The opposite of
``unfuse_attention``.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from hwsim.graph.graph import Graph, Node
from hwsim.operators.attention import Attention
from hwsim.operators.causal_mask import CausalMask
from hwsim.operators.div import Div
from hwsim.operators.matmul import Matmul
from hwsim.operators.mul import Mul
from hwsim.operators.softmax import Softmax
from hwsim.operators.transpose import Transpose
from hwsim.passes.registry import PASSES
from hwsim.passes.rewrite import Rewriter, users

__all__ = ["fuse_attention"]


class _Found(NamedTuple):
    """The nodes of one attention (the last product apart) and its operands."""

    inner: tuple[int, ...]
    q: str
    k: str
    v: str
    causal: bool


@PASSES.register("fuse_attention")
def fuse_attention(graph: Graph) -> Graph:
    """The graph with the attention it spells out as fused kernels, named after their last product."""
    read_by = users(graph)
    found = {i: match for i, node in enumerate(graph.nodes) if (match := _match(graph, i, node, read_by)) is not None}
    if not found:
        return graph
    inner = {index for match in found.values() for index in match.inner}
    new = Rewriter(graph)
    for _, indices in new.phases():
        for index in indices:
            node = graph.nodes[index]
            if index in found:
                match = found[index]
                op = Attention(causal=match.causal)
                new.put(Node(node.name, op, (match.q, match.k, match.v), node.outputs, node.tags))
            elif index not in inner:
                new.keep(node)
    return new.finish()


def _match(graph: Graph, index: int, node: Node, read_by: dict[str, list[int]]) -> _Found | None:
    if not isinstance(node.op, Matmul) or node.op.transpose_a or node.op.transpose_b:
        return None
    walk = _Walk(graph, read_by, node.inputs[0], [])
    if not isinstance(walk.take(Softmax), Softmax):
        return None
    causal = walk.take(CausalMask) is not None
    factor = walk.factor()
    product = walk.take(Matmul)
    if not isinstance(product, Matmul) or product.transpose_a:
        return None
    last = graph.nodes[walk.inner[-1]]
    q, k, v = last.inputs[0], last.inputs[1], node.inputs[1]
    left, right = _Walk(graph, read_by, q, walk.inner), _Walk(graph, read_by, k, walk.inner)
    factor *= left.factor() * right.factor()
    if not product.transpose_b:
        turned = right.take(Transpose)
        if not isinstance(turned, Transpose) or turned.perm != (0, 1, 3, 2):
            return None
        factor *= right.factor()
    shapes = [graph.tensors[name].shape for name in (left.at, right.at, v)]
    if any(len(shape) != 4 for shape in shapes) or shapes[1] != shapes[2] or shapes[0][1] != shapes[1][1]:
        return None
    phase = next(p for p in graph.phases if p.first <= index < p.last)
    if min(walk.inner) < phase.first or not math.isclose(factor, shapes[0][3] ** -0.5, rel_tol=1e-3):
        return None
    return _Found(tuple(walk.inner), left.at, right.at, v, causal)


class _Walk:
    """A way back through nodes whose outputs nobody else reads; ``inner`` collects those taken."""

    def __init__(self, graph: Graph, read_by: dict[str, list[int]], at: str, inner: list[int]) -> None:
        self.graph, self.at, self.inner = graph, at, inner
        self._read_by = read_by

    def _maker(self) -> int | None:
        index = self.graph.producer.get(self.at)
        return index if index is not None and len(self._read_by.get(self.at, [])) == 1 else None

    def take(self, kind: type) -> object | None:
        """The operator that makes the tensor at hand if it is of that kind; the walk goes on at its first input."""
        index = self._maker()
        if index is None or not isinstance(self.graph.nodes[index].op, kind):
            return None
        node = self.graph.nodes[index]
        if isinstance(node.op, Softmax) and node.op.axis not in (-1, len(self.graph.tensors[self.at].shape) - 1):
            return None
        self.inner.append(index)
        self.at = node.inputs[0]
        return node.op

    def factor(self) -> float:
        """The product of plain scalings on the way."""
        total = 1.0
        while True:
            index = self._maker()
            op = self.graph.nodes[index].op if index is not None else None
            if not isinstance(op, Mul | Div) or op.scalar is None:
                return total
            total = total * op.scalar if isinstance(op, Mul) else total / op.scalar
            self.take(type(op))
