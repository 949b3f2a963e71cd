"""Poses of people from pyramids: CenterPose on RegNet and RepVGG, one stage of MSPN on RegNet.

Sources: Zhou et al. 2019, Objects as Points, section 5.2, as hailo-ai/centerpose has it (lib/models/backbones/
regnet_fpn.py, lib/models/heads/keypoint.py); Li et al. 2019, Rethinking on Multi-Stage Networks for Human Pose
Estimation, Fig. 2, from memory, checked by its counts.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from hwsim.graph.graph import GraphBuilder
from hwsim.graph.tensor import Tensor
from hwsim.workloads import layers
from hwsim.workloads.backbones import resized
from hwsim.workloads.edge_classifiers import RepVgg
from hwsim.workloads.families import image_filter
from hwsim.workloads.registry import Published, sources
from hwsim.workloads.regnet import RegNet
from hwsim.workloads.segmentation import transposed_conv

__all__: list[str] = []

_HEADS = (("centres", 1), ("sizes", 2), ("points", 34), ("offsets", 2), ("maps", 17), ("map_offsets", 2))


@dataclass(frozen=True, slots=True)
class _CenterPose:
    """A backbone by its levels at strides 4 to 32."""

    levels: Callable[[GraphBuilder, Tensor], list[Tensor]]

    def __call__(self, b: GraphBuilder, image: Tensor) -> tuple[Tensor, ...]:
        """Maps of centres, sizes and points at a quarter of the size."""
        *finer, x = self.levels(b, image)
        for width, level in zip((256, 128, 64), reversed(finer), strict=True):
            with b.scope(f"up{width}"):
                x = layers.conv_bn_act(b, x, width, 3, name="conv")
                x = layers.activation(b, layers.batch_norm(b, transposed_conv(b, x, width, 4, 2, name="twice")), "relu")
                x = layers.add(b, x, layers.conv_bn_act(b, level, width, 3, name="project"))
                x = layers.conv_bn_act(b, x, width, 3, name="smooth")
        found = []
        for name, outputs in _HEADS:
            y = layers.activation(b, layers.conv(b, x, 64, 3, name=name), "relu")
            found.append(layers.conv(b, y, outputs, 1, name=f"{name}_out"))
        return tuple(found)


_REGNETX_016 = RegNet((2, 4, 10, 2), (72, 168, 408, 912), 24, squeeze=0.0)
_REGNETX_008 = RegNet((1, 3, 7, 5), (64, 128, 288, 672), 16, squeeze=0.0)
_REPVGG_A0 = RepVgg((2, 4, 14, 1), 0.75, 2.5)


def _mspn(b: GraphBuilder, image: Tensor) -> Tensor:
    """(batch, 17, height / 4, width / 4): coarse features added to finer ones at 256 channels."""
    x: Tensor | None = None
    for place, level in enumerate(reversed(_REGNETX_008.levels(b, image))):
        with b.scope(f"up{place}"):
            y = layers.conv_bn_act(b, level, 256, 1, act="", name="skip")
            if x is not None:
                y = layers.add(b, y, layers.conv_bn_act(b, resized(b, x, y.shape), 256, 1, act="", name="conv"))
            x = layers.activation(b, y, "relu")
    assert x is not None
    y = layers.conv_bn_act(b, x, 256, 1, name="head")
    return layers.conv(b, y, 17, 3, name="maps")


for _name, _title, _network, _size, _parameters, _gmacs, _tolerance in (
    (
        "centerpose_regnetx_016",
        "CenterPose on RegNetX-1.6GF",
        _CenterPose(_REGNETX_016.levels),
        640,
        14.28e6,
        0.0,
        0.02,
    ),
    ("centerpose_repvgg_a0", "CenterPose on RepVGG-A0", _CenterPose(_REPVGG_A0.levels), 416, 0.0, 0.0, 0.02),
    ("mspn_regnetx_008", "MSPN, one stage, on RegNetX-800MF", _mspn, (256, 192), 7.17e6, 1.47, 0.02),
):
    image_filter(
        _name,
        _network,
        title=_title,
        source=sources(__doc__),
        published=Published(
            parameters=int(_parameters) or None,
            macs=_gmacs * 1e9 or None,
            tolerance=_tolerance,
            source="hailo_model_zoo, public models (CenterPose on RegNet from memory: 14.28 M)",
        ),
        what="Key points of people, as maps.",
        size=_size,
    )
