"""Compute norms, softmax, rotary embedding and modulation in fp32, with a cast before and after.

As eager frameworks do with half-precision models: the published modules of Llama (RMS norm, rotary embedding,
softmax of eager attention) and of Wan, CogVideoX and Flux (layer norm, modulation, rotary embedding) convert
the activation to fp32, compute, and convert back, each step a kernel of its own. Only the first operand is
cast; what broadcasts to it (gamma, scale, shift, positions) is promoted inside the kernel. Where one such
operator feeds another, the fp32 value passes on and the casts between them fall away.
"""

from __future__ import annotations

from collections.abc import Sequence

from hwsim.graph.graph import Graph, Node
from hwsim.graph.tensor import AUTO, BITS, Tensor
from hwsim.operators.cast import Cast
from hwsim.operators.groupnorm import GroupNorm
from hwsim.operators.layernorm import LayerNorm
from hwsim.operators.rmsnorm import RmsNorm
from hwsim.operators.rope import Rope
from hwsim.operators.scale_shift import ScaleShift
from hwsim.operators.softmax import Softmax
from hwsim.passes.registry import PASSES
from hwsim.passes.rewrite import Rewriter, users

__all__ = ["in_fp32", "upcast_norms"]

_UPCAST = (GroupNorm, LayerNorm, RmsNorm, Rope, ScaleShift, Softmax)


@PASSES.register("upcast_norms")
def upcast_norms(graph: Graph) -> Graph:
    """The graph with those operators in fp32 between casts; operators that are wide already stay as they are."""
    return in_fp32(graph, [isinstance(node.op, _UPCAST) for node in graph.nodes])


def in_fp32(graph: Graph, wanted: Sequence[bool]) -> Graph:
    """The graph with the wanted nodes, one flag each, in fp32 between casts where their operand is narrower."""
    chosen = [w and _is_narrow(graph.tensors[n.inputs[0]]) for w, n in zip(wanted, graph.nodes, strict=True)]
    read_by = users(graph)
    new = Rewriter(graph)
    wide: dict[str, Tensor] = {}
    for _, indices in new.phases():
        wide.clear()
        for index in indices:
            node = graph.nodes[index]
            if not chosen[index]:
                new.keep(node)
                continue
            (output,) = node.outputs
            wide[output] = _compute_wide(new, node, wide)
            readers = read_by.get(output, [])
            if not readers or any(not _takes_wide(graph, i, index, output, chosen) for i in readers):
                target = graph.tensors[output].type.format
                new.add(Cast(target), [wide[output]], f"{node.name}.from_fp32", node, output)
    return new.finish()


def _is_narrow(tensor: Tensor) -> bool:
    fmt = tensor.type.format
    return fmt == AUTO or BITS[fmt] < BITS["fp32"]


def _compute_wide(new: Rewriter, node: Node, wide: dict[str, Tensor]) -> Tensor:
    """Add the operator in fp32, behind a cast unless its operand exists in fp32; return its fp32 output."""
    first, *rest = node.inputs
    x = wide.get(first)
    if x is None:
        x = new.add(Cast("fp32"), [new.tensors[first]], f"{node.name}.to_fp32", node)
    return new.add(node.op, [x, *(new.tensors[name] for name in rest)], f"{node.name}.fp32", node)


def _takes_wide(graph: Graph, reader: int, maker: int, tensor: str, chosen: list[bool]) -> bool:
    """Whether a reader is an upcast operator of the same phase with this tensor as its first operand only."""
    if reader < 0 or not chosen[reader]:
        return False
    same_phase = any(p.first <= maker and reader < p.last for p in graph.phases)
    return same_phase and graph.nodes[reader].inputs[0] == tensor and tensor not in graph.nodes[reader].inputs[1:]
