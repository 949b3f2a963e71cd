"""Images that a model's graph normalises itself, colour by colour, before its first convolution."""

from __future__ import annotations

from hwsim.graph.graph import Graph, Node
from hwsim.graph.tensor import Tensor, TensorType
from hwsim.operators.batchnorm import COLOURS, BatchNorm
from hwsim.operators.conv2d import Conv2d
from hwsim.operators.conv3d import Conv3d
from hwsim.passes.registry import TRANSFORMS
from hwsim.passes.rewrite import Rewriter

__all__ = ["normalise_images"]


@TRANSFORMS.register("normalise_images")
def normalise_images(graph: Graph) -> Graph:
    """The graph with a mean and a deviation a colour (BatchNorm) in front of the first convolution of an image.

    Exported models that take pixels of 0 to 1 hold it; a graph without such a convolution stays as it is.
    """
    first = next((index for index, node in enumerate(graph.nodes) if _reads_colours(graph, node)), -1)
    new = Rewriter(graph)
    for _, indices in new.phases():
        for index in indices:
            node = graph.nodes[index]
            if index == first:
                image = new.tensors[node.inputs[0]]
                kind = TensorType(image.shape[1:2], image.type.format, weight=True)
                parts = ("gamma", "beta", "mean", "var")
                vectors = [Tensor(f"{node.name}.image_{part}", kind, "weight") for part in parts]
                new.tensors.update({vector.name: vector for vector in vectors})
                made = new.add(BatchNorm(), [image, *vectors], f"{node.name}.image", node)
                new.keep(node, {image.name: made.name})
            else:
                new.keep(node)
    return new.finish()


def _reads_colours(graph: Graph, node: Node) -> bool:
    return isinstance(node.op, (Conv2d, Conv3d)) and 1 < graph.tensors[node.inputs[0]].shape[1] <= COLOURS
