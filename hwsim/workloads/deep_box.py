"""Boxes in three dimensions from those in an image (Mousavian et al. 2017, 3D Bounding Box Estimation, section 4).

As skhadem/3D-BoundingBox builds it: VGG-19 with batch normalisation under three heads.
"""

from __future__ import annotations

from hwsim.graph.graph import GraphBuilder
from hwsim.graph.tensor import Tensor
from hwsim.operators.div import Div
from hwsim.operators.reduce import ReduceAxes
from hwsim.operators.reshape import Reshape
from hwsim.workloads import layers
from hwsim.workloads.families import image_filter
from hwsim.workloads.registry import Published
from hwsim.workloads.vgg import Vgg

__all__: list[str] = []

_TRUNK = Vgg((2, 2, 4, 4, 4), normalised=True)
_BINS = 2


def _head(b: GraphBuilder, x: Tensor, hidden: int, outputs: int, name: str) -> Tensor:
    with b.scope(name):
        for place in range(2):
            x = layers.activation(b, layers.linear(b, x, hidden, name=f"fc{place}"), "relu")
        return layers.linear(b, x, outputs, name="out")


def _deep_box(b: GraphBuilder, image: Tensor) -> tuple[Tensor, ...]:
    """Sine and cosine of an object's angle in each of two bins, how likely each bin is, and its sizes."""
    x = layers.flatten(b, _TRUNK.features(b, image))
    turn = b.add(Reshape((image.shape[0], _BINS, 2)), _head(b, x, 256, 2 * _BINS, "orientation"))
    turn = b.add(Div(), turn, b.add(ReduceAxes("l2", (2,), True), turn, name="length"))
    return turn, _head(b, x, 256, _BINS, "confidence"), _head(b, x, 512, 3, "dimension")


image_filter(
    "deep_box_vgg19",
    _deep_box,
    title="Deep 3D boxes on VGG-19",
    source="Mousavian et al. 2017, 3D Bounding Box Estimation Using Deep Learning and Geometry, section 4",
    published=Published(
        parameters=46_100_000,
        macs=19.53e9,
        tolerance=0.005,
        source="quic/ai-hub-models, model card; torchvision vgg19_bn",
    ),
    what="Sizes and orientation of an object cut out of an image.",
)
