"""Run a diffusion pipeline's norms, modulation and rotary embedding as eager PyTorch modules do, kernel by kernel.

As the published modules of Hugging Face's diffusers read (models/normalization.py, models/embeddings.py):

- RMS norm: a cast to fp32, a square, a mean, an inverse root, a product with the activation, a cast back, gamma;
- modulation x (1 + scale) + shift: a product and a sum, each over the whole activation;
- rotary embedding, softmax, and layer norms that say so (``wide``), with the modulation behind them: in fp32, with
  casts around.

Other layer norms are one kernel in the format of the activation, which widens numbers inside.
"""

from __future__ import annotations

from hwsim.graph.graph import Graph, Node
from hwsim.graph.tensor import BITS, Tensor
from hwsim.operators.add import Add
from hwsim.operators.cast import Cast
from hwsim.operators.layernorm import LayerNorm
from hwsim.operators.mul import Mul
from hwsim.operators.pow import Pow
from hwsim.operators.reduce import ReduceAxes
from hwsim.operators.rmsnorm import RmsNorm
from hwsim.operators.rope import Rope
from hwsim.operators.scale_shift import ScaleShift
from hwsim.operators.softmax import Softmax
from hwsim.passes.registry import PASSES
from hwsim.passes.rewrite import Rewriter
from hwsim.passes.upcast_norms import in_fp32

__all__ = ["spell_out"]


@PASSES.register("spell_out")
def spell_out(graph: Graph) -> Graph:
    """The graph with those operators as separate kernels, named after them (``.square``, ``.shifted`` ...)."""
    graph = in_fp32(graph, [_runs_wide(graph, node) for node in graph.nodes])
    new = Rewriter(graph)
    for _, indices in new.phases():
        for index in indices:
            node = graph.nodes[index]
            if isinstance(node.op, RmsNorm):
                _root_mean_square(new, node, node.op)
            elif isinstance(node.op, ScaleShift):
                _modulation(new, node)
            else:
                new.keep(node)
    return new.finish()


def _runs_wide(graph: Graph, node: Node) -> bool:
    """Whether a module converts its operand to fp32 first, or continues in fp32 what such a module made."""
    if isinstance(node.op, ScaleShift):
        maker = graph.producer.get(node.inputs[0])
        return maker is not None and _runs_wide(graph, graph.nodes[maker])
    return isinstance(node.op, (Rope, Softmax)) or (isinstance(node.op, LayerNorm) and node.op.wide)


def _root_mean_square(new: Rewriter, node: Node, norm: RmsNorm) -> None:
    x, *gamma = (new.tensors[name] for name in node.inputs)
    wide = x
    if x.type.format not in BITS or BITS[x.type.format] < BITS["fp32"]:
        wide = new.add(Cast("fp32"), [x], f"{node.name}.to_fp32", node)
    square = new.add(Mul(), [wide, wide], f"{node.name}.square", node)
    mean = new.add(ReduceAxes("mean", (-1,), keepdims=True), [square], f"{node.name}.mean", node)
    inverse = new.add(Pow(-0.5), [new.add(Add(norm.eps), [mean], f"{node.name}.eps", node)], f"{node.name}.root", node)
    steps: list[Tensor] = [wide, inverse]
    if wide is x:
        _last(new, node, steps, gamma)
        return
    scaled = new.add(Mul(), steps, f"{node.name}.scaled", node)
    if not gamma:
        new.add(Cast(x.type.format), [scaled], f"{node.name}.from_fp32", node, node.outputs[0])
        return
    narrow = new.add(Cast(x.type.format), [scaled], f"{node.name}.from_fp32", node)
    new.add(Mul(), [narrow, *gamma], f"{node.name}.times_gamma", node, node.outputs[0])


def _last(new: Rewriter, node: Node, steps: list[Tensor], gamma: list[Tensor]) -> None:
    """The scaling of an activation that is wide already."""
    if not gamma:
        new.add(Mul(), steps, f"{node.name}.scaled", node, node.outputs[0])
        return
    scaled = new.add(Mul(), steps, f"{node.name}.scaled", node)
    new.add(Mul(), [scaled, *gamma], f"{node.name}.times_gamma", node, node.outputs[0])


def _modulation(new: Rewriter, node: Node) -> None:
    x, scale, shift = (new.tensors[name] for name in node.inputs)
    factor = new.add(Add(1.0), [scale], f"{node.name}.factor", node)
    scaled = new.add(Mul(), [x, factor], f"{node.name}.scaled", node)
    new.add(Add(), [scaled, shift], f"{node.name}.shifted", node, node.outputs[0])
