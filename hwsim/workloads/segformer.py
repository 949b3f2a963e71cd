"""SegFormer (Xie et al. 2021, SegFormer: Simple and Efficient Design for Semantic Segmentation, Fig. 2 and Table 6)."""

from __future__ import annotations

from hwsim.graph.graph import GraphBuilder
from hwsim.graph.tensor import Tensor
from hwsim.operators.concat import Concat
from hwsim.workloads import image_layers, layers
from hwsim.workloads.backbones import resized
from hwsim.workloads.families import image_network
from hwsim.workloads.registry import Published
from hwsim.workloads.timm.pyramid import PyramidTransformer

__all__: list[str] = []

_B0 = PyramidTransformer(depths=(2, 2, 2, 2), widths=(32, 64, 160, 256), ratios=(4, 4, 4, 4))
_DECODER = 256


def _segformer(b: GraphBuilder, image: Tensor, classes: int) -> Tensor:
    """Scores (batch, classes, height / 4, width / 4): one layer a level, brought to one size and mixed."""
    with b.scope("encoder"):
        levels = _B0.levels(b, image)
    parts = []
    for place, level in enumerate(levels):
        y = layers.linear(b, image_layers.to_sequence(b, level), _DECODER, name=f"level{place}")
        y = image_layers.to_image(b, y, level.shape[2:])
        parts.append(resized(b, y, levels[0].shape, name=f"up{place}") if place else y)
    x = layers.conv_bn_act(b, b.add(Concat(1), *reversed(parts)), _DECODER, 1, name="fuse")
    return layers.conv(b, x, classes, 1, name="classifier")


image_network(
    "segformer_b0",
    _segformer,
    title="SegFormer-B0",
    source="Xie et al. 2021, SegFormer: Simple and Efficient Design for Semantic Segmentation, Table 6",
    published=Published(
        parameters=3_750_000, macs=8.4e9, tolerance=0.02, source="Xie et al. 2021, Table 1: 3.8 M, 8.4 GFLOP (as MACs)"
    ),
    what="Segments images into classes.",
    size=512,
    labels=150,
)
