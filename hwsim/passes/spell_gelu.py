"""Run GELU as GPT-2's code writes it: kernel by kernel, 0.5 x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))).

As the released models do (openai/gpt-2, src/model.py; NewGELUActivation of Hugging Face's transformers); an eager
framework then runs eight kernels, which read and write 18 tensors instead of two.
"""

from __future__ import annotations

import math

from hwsim.graph.graph import Graph, Node
from hwsim.operators.add import Add
from hwsim.operators.gelu import Gelu
from hwsim.operators.mul import Mul
from hwsim.operators.pow import Pow
from hwsim.operators.tanh import Tanh
from hwsim.passes.registry import PASSES
from hwsim.passes.rewrite import Rewriter, written_anew

__all__ = ["spell_gelu"]


@PASSES.register("spell_gelu")
def spell_gelu(graph: Graph) -> Graph:
    """The graph with every GELU that is written out as separate kernels, named after it (``.cube``, ``.tanh`` ...)."""
    return written_anew(graph, lambda op: isinstance(op, Gelu) and op.written_out, _spell_out)


def _spell_out(new: Rewriter, node: Node) -> None:
    x, name = new.tensors[node.inputs[0]], node.name
    cube = new.add(Mul(0.044715), [new.add(Pow(3.0), [x], f"{name}.cube", node)], f"{name}.scaled_cube", node)
    inner = new.add(Add(), [x, cube], f"{name}.inner", node)
    scaled = new.add(Mul(math.sqrt(2.0 / math.pi)), [inner], f"{name}.scaled", node)
    bounded = new.add(Tanh(), [scaled], f"{name}.tanh", node)
    gate = new.add(Add(1.0), [bounded], f"{name}.gate", node)
    half = new.add(Mul(0.5), [x], f"{name}.half", node)
    new.add(Mul(), [half, gate], f"{name}.gated", node, node.outputs[0])
