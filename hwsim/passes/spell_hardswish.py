"""Run hardswish as exports before ONNX's opset 14 write it: a sum, limits, a product with the input, a factor.

So it reaches compilers that have no such operator (RKNN-Toolkit 1: rockchip-linux/rknn-toolkit, issues 148 and 312).
"""

from __future__ import annotations

from hwsim.graph.graph import Graph, Node
from hwsim.operators.add import Add
from hwsim.operators.clip import Clip
from hwsim.operators.hardswish import HardSwish
from hwsim.operators.mul import Mul
from hwsim.passes.registry import PASSES
from hwsim.passes.rewrite import Rewriter, written_anew

__all__ = ["spell_hardswish"]


@PASSES.register("spell_hardswish")
def spell_hardswish(graph: Graph) -> Graph:
    """The graph with every hardswish as separate operators, named after it (``.raised``, ``.limited`` ...)."""
    return written_anew(graph, lambda op: isinstance(op, HardSwish), _spell_out)


def _spell_out(new: Rewriter, node: Node) -> None:
    x, name = new.tensors[node.inputs[0]], node.name
    raised = new.add(Add(3.0), [x], f"{name}.raised", node)
    limited = new.add(Clip(low=0.0, high=6.0), [raised], f"{name}.limited", node)
    product = new.add(Mul(), [x, limited], f"{name}.product", node)
    new.add(Mul(1 / 6), [product], f"{name}.scaled", node, node.outputs[0])
