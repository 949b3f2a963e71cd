"""Means over whole images as reductions, which is what graph compilers make of a pooling whose window is the image."""

from __future__ import annotations

from hwsim.graph.graph import Graph, Node
from hwsim.graph.operator import Operator
from hwsim.operators.pooling import Pool
from hwsim.operators.reduce import ReduceAxes
from hwsim.passes.registry import PASSES
from hwsim.passes.rewrite import with_operators

__all__ = ["whole_means"]


@PASSES.register("whole_means")
def whole_means(graph: Graph) -> Graph:
    """The graph with averages over windows as large as their image as means over its axes; values are kept."""

    def chosen(node: Node) -> Operator:
        op = node.op
        if not isinstance(op, Pool) or op.mode != "average" or any(op.padding):
            return op
        sizes = graph.tensors[node.inputs[0]].shape[2:]
        return ReduceAxes("mean", tuple(range(2, 2 + len(sizes))), True) if tuple(op.kernel) == sizes else op

    return with_operators(graph, chosen)
