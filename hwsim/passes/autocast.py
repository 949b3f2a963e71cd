"""Formats as PyTorch's automatic mixed precision chooses them, and biases of convolutions as kernels of their own.

Weights are fp32. Products run in the narrow format, whatever they are given; norms and powers in fp32, behind a cast;
softmax (but for that inside attention) and sums read what there is and write fp32; group norms and layer norms that
keep their format run in the narrow one (assumption: timm's fast norms, which its measured BiT, ConvNeXt and EVA
networks agree with); everything else runs in the widest format it reads, so that a factor or an embedding that is
learned makes fp32 of the activations it meets (PyTorch, Automatic Mixed Precision package, CUDA op-specific behavior,
and type promotion). Casts of weights, once a run, are left out.
"""

from __future__ import annotations

import math
from dataclasses import replace

from hwsim.graph.graph import Graph, Node
from hwsim.graph.operator import Operator
from hwsim.graph.tensor import AUTO, BITS, Tensor, TensorType
from hwsim.operators.add import Add
from hwsim.operators.attention import Attention
from hwsim.operators.cast import Cast
from hwsim.operators.concat import Concat
from hwsim.operators.conv1d import Conv1d
from hwsim.operators.conv2d import Conv2d
from hwsim.operators.conv3d import Conv3d
from hwsim.operators.conv_transpose import ConvTranspose2d
from hwsim.operators.elementwise import Binary
from hwsim.operators.embedding import Embedding
from hwsim.operators.exp import Exp
from hwsim.operators.expand import Expand
from hwsim.operators.gemm import Gemm
from hwsim.operators.groupnorm import GroupNorm
from hwsim.operators.layernorm import LayerNorm
from hwsim.operators.linear import Linear
from hwsim.operators.matmul import Matmul
from hwsim.operators.pow import Pow
from hwsim.operators.reduce import ReduceAxes
from hwsim.operators.reshape import Reshape
from hwsim.operators.scale_shift import ScaleShift
from hwsim.operators.softmax import Softmax
from hwsim.operators.tile import Tile
from hwsim.operators.transpose import Transpose
from hwsim.operators.upsample import Resize
from hwsim.passes.registry import PASSES
from hwsim.passes.rewrite import Rewriter

__all__ = ["autocast", "biases_apart"]

_PRODUCTS = (Attention, Conv1d, Conv2d, Conv3d, ConvTranspose2d, Gemm, Linear, Matmul)
_CAST_FIRST = (Exp, LayerNorm, Pow)
_PROMOTING = (Binary, Concat, Embedding, Expand, Reshape, Resize, ScaleShift, Tile, Transpose)
"""Those that may read a weight as an activation."""
_WIDE_SUMS = ("sum", "prod", "l1", "l2", "sum_square")


@PASSES.register("autocast")
def autocast(graph: Graph) -> Graph:
    """The graph with casts where mixed precision puts them, and fp32 where it computes or promotes to it."""
    new = Rewriter(graph)
    wide = {name for name, tensor in new.tensors.items() if tensor.type.format == "fp32"}
    for _, indices in new.phases():
        for index in indices:
            _add(new, graph.nodes[index], wide)
    return new.finish()


def _add(new: Rewriter, node: Node, wide: set[str]) -> None:
    """Add a node and the casts in front of it; note which of its outputs are fp32."""
    inputs = list(node.inputs)
    moving = [name for name in inputs if new.tensors[name].role in ("activation", "input")]
    if isinstance(node.op, Cast):
        made_wide = node.op.format == "fp32"
    elif isinstance(node.op, _PRODUCTS) or _keeps_format(node.op):
        made_wide = False
        inputs = [
            _cast(new, name, node, place, AUTO) if name in wide and name in moving else name
            for place, name in enumerate(inputs)
        ]
    elif isinstance(node.op, _CAST_FIRST):
        made_wide = True
        first = inputs[0]
        if first in moving and first not in wide and _is_float(new.tensors[first]):
            inputs[0] = _cast(new, first, node, 0, "fp32")
    elif _sums_wide(node.op):
        made_wide = True
    else:
        made_wide = any(name in wide for name in moving)
        if isinstance(node.op, _PROMOTING):
            made_wide = made_wide or any(_promotes(new.tensors[name]) for name in inputs)
    _typed(new, replace(node, inputs=tuple(inputs)), wide, made_wide=made_wide)


def _typed(new: Rewriter, node: Node, wide: set[str], *, made_wide: bool) -> None:
    """Keep the node; its outputs that are floats become fp32 or stay narrow."""
    new.keep(node)
    for name in node.outputs:
        tensor = new.tensors[name]
        if made_wide and _is_float(tensor):
            new.tensors[name] = replace(tensor, type=TensorType(tensor.shape, "fp32"))
            wide.add(name)


def _cast(new: Rewriter, name: str, node: Node, place: int, fmt: str) -> str:
    if fmt == AUTO:
        fmt = next((new.graph.tensors[n].type.format for n in node.outputs), AUTO)
    return new.add(Cast(fmt), [new.tensors[name]], f"{node.name}.cast{place}", node).name


def _keeps_format(op: Operator) -> bool:
    """Whether a norm runs in the narrow format: timm's own group and layer norms."""
    return isinstance(op, GroupNorm) or (isinstance(op, LayerNorm) and op.kept)


def _sums_wide(op: Operator) -> bool:
    return (isinstance(op, Softmax) and not op.kept) or (isinstance(op, ReduceAxes) and op.mode in _WIDE_SUMS)


def _promotes(tensor: Tensor) -> bool:
    """Whether a stored tensor widens what it meets: learned ones do, and tables; a stored number does not."""
    stored = tensor.role == "weight" or (tensor.role == "state" and math.prod(tensor.shape) > 1)
    return stored and _is_float(tensor)


def _is_float(tensor: Tensor) -> bool:
    fmt = tensor.type.format
    return fmt == AUTO or (not fmt.startswith(("int", "uint", "bool")) and BITS[fmt] <= BITS["fp32"])


@PASSES.register("biases_apart")
def biases_apart(graph: Graph) -> Graph:
    """The graph with biases of 2-d convolutions added by a kernel of their own, as PyTorch does around cuDNN."""
    new = Rewriter(graph)
    for _, indices in new.phases():
        for index in indices:
            node = graph.nodes[index]
            if type(node.op) is not Conv2d or len(node.inputs) < 3:
                new.keep(node)
                continue
            x, weight, bias = (new.tensors[name] for name in node.inputs)
            y = new.add(node.op, [x, weight], f"{node.name}.unbiased", node)
            column = new.add(Reshape((bias.shape[0], 1, 1)), [bias], f"{node.name}.bias_column", node)
            new.add(Add(), [y, column], f"{node.name}.plus_bias", node, node.outputs[0])
    return new.finish()
