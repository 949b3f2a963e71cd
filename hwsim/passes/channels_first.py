"""Keep images channels first where tensor cores want them channels last: a copy before and after each convolution.

Models that say nothing keep images as (batch, channels, height, width). The convolution kernels of tensor cores take
them channels last, so cuDNN brings the input of each into that order and its output back (NVIDIA, Convolutional Layers
User's Guide, section on tensor layouts). Kernels of the vector units, and so plain fp32, take either order. Networks
in 16 bits are left alone: TensorFlow's layout optimizer turns those to channels last as a whole where tensor cores
exist (grappler/optimizers/generic_layout_optimizer.cc).
"""

from __future__ import annotations

from hwsim.graph.graph import Graph, Node
from hwsim.operators.conv2d import Conv2d
from hwsim.operators.strided_view import StridedView
from hwsim.operators.transpose import Transpose
from hwsim.passes.registry import PASSES
from hwsim.passes.rewrite import Rewriter

__all__ = ["channels_first"]

_LAST, _FIRST = (0, 2, 3, 1), (0, 3, 1, 2)
_COPIED = ("tf32",)


@PASSES.register("channels_first")
def channels_first(graph: Graph) -> Graph:
    """The graph with its TF32 convolutions between copies (``.to_last``, ``.to_first``)."""
    new = Rewriter(graph)
    for _, indices in new.phases():
        for index in indices:
            node = graph.nodes[index]
            if isinstance(node.op, Conv2d) and graph.tensors[node.inputs[0]].type.format in _COPIED:
                _between_copies(new, node)
            else:
                new.keep(node)
    return new.finish()


def _between_copies(new: Rewriter, node: Node) -> None:
    image, *rest = (new.tensors[name] for name in node.inputs)
    last = new.add(Transpose(_LAST), [image], f"{node.name}.to_last", node)
    seen = new.add(StridedView(_FIRST), [last], f"{node.name}.seen_first", node)
    made = new.add(node.op, [seen, *rest], f"{node.name}.last", node)
    seen_last = new.add(StridedView(_LAST), [made], f"{node.name}.seen_last", node)
    new.add(Transpose(_FIRST), [seen_last], f"{node.name}.to_first", node, node.outputs[0])
