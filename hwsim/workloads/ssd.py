"""Detectors with predictions at several strides: SSD on MobileNets, and RetinaFace.

Sources: Liu et al. 2016, SSD: Single Shot MultiBox Detector, Fig. 2, as in TensorFlow's object detection API; Deng et
al. 2020, RetinaFace: Single-Shot Multi-Level Face Localisation, section 3; Najibi et al. 2017, SSH, Fig. 3.
"""

from __future__ import annotations

from collections.abc import Sequence

from hwsim.graph.graph import GraphBuilder
from hwsim.graph.tensor import Tensor
from hwsim.operators.arg_extreme import ArgExtreme
from hwsim.operators.concat import Concat
from hwsim.operators.reshape import Reshape
from hwsim.operators.transpose import Transpose
from hwsim.workloads import layers
from hwsim.workloads.backbones import mobilenet_v1_levels, mobilenet_v2_levels, resized, resnet_levels, resnet_stem
from hwsim.workloads.families import image_filter, image_network
from hwsim.workloads.registry import Published

__all__: list[str] = []

_EXTRAS = ((256, 512), (128, 256), (128, 256), (64, 128))
"""Channels of the pointwise and of the strided convolution that make each coarser level."""


def _predictions(b: GraphBuilder, levels: Sequence[Tensor], anchors: Sequence[int], outputs: int, name: str) -> Tensor:
    """(batch, anchors, outputs) of all levels, from a pointwise convolution each."""
    found = []
    for place, (x, count) in enumerate(zip(levels, anchors, strict=True)):
        y = layers.conv(b, x, count * outputs, 1, name=f"{name}{place}")
        y = b.add(Transpose((0, 2, 3, 1)), y)
        found.append(b.add(Reshape((x.shape[0], -1, outputs)), y))
    return b.add(Concat(1), *found)


def _ssd(b: GraphBuilder, first: Tensor, last: Tensor, classes: int) -> tuple[Tensor, Tensor]:
    """Boxes (batch, anchors, 4) and scores (batch, anchors, classes + 1)."""
    levels = [first, last]
    for place, (narrow, wide) in enumerate(_EXTRAS):
        x = layers.conv_bn_act(b, levels[-1], narrow, 1, act="relu6", name=f"extra{place}.a")
        levels.append(layers.conv_bn_act(b, x, wide, 3, stride=2, act="relu6", name=f"extra{place}.b"))
    anchors = (3, 6, 6, 6, 6, 6)
    scores = _predictions(b, levels, anchors, classes + 1, "scores")
    return _predictions(b, levels, anchors, 4, "boxes"), layers.activation(b, scores, "sigmoid")


def _ssd_mobilenet_v1(b: GraphBuilder, image: Tensor, classes: int) -> tuple[Tensor, Tensor]:
    levels = mobilenet_v1_levels(b, image)
    return _ssd(b, levels[16], levels[0], classes)


def _ssd_mobilenet_v2(b: GraphBuilder, image: Tensor, classes: int) -> tuple[Tensor, Tensor]:
    levels = mobilenet_v2_levels(b, image, last=1280, wide=True)
    return _ssd(b, levels[16], levels[0], classes)


def _ssd_mobilenet_v1_detections(b: GraphBuilder, image: Tensor, classes: int) -> tuple[Tensor, Tensor]:
    boxes, scores = _ssd_mobilenet_v1(b, image, classes)
    return boxes, b.add(ArgExtreme(axis=-1), scores)


def _ssd_mobilenet_v2_detections(b: GraphBuilder, image: Tensor, classes: int) -> tuple[Tensor, Tensor]:
    boxes, scores = _ssd_mobilenet_v2(b, image, classes)
    return boxes, b.add(ArgExtreme(axis=-1), scores)


def _context(b: GraphBuilder, x: Tensor, name: str) -> Tensor:
    """Windows of 3, 5 and 7 beside each other (SSH, Fig. 3)."""
    half, quarter, act = x.shape[1] // 2, x.shape[1] // 4, "leaky_relu"
    with b.scope(name):
        small = layers.conv_bn_act(b, x, half, 3, act="", name="conv3")
        shared = layers.conv_bn_act(b, x, quarter, 3, act=act, name="conv5.a")
        middle = layers.conv_bn_act(b, shared, quarter, 3, act="", name="conv5.b")
        large = layers.conv_bn_act(b, shared, quarter, 3, act=act, name="conv7.a")
        large = layers.conv_bn_act(b, large, quarter, 3, act="", name="conv7.b")
        return layers.activation(b, b.add(Concat(1), small, middle, large), "relu")


def _retinaface(b: GraphBuilder, levels: Sequence[Tensor], width: int) -> tuple[Tensor, ...]:
    """Boxes, scores and five landmarks of two anchors a pixel at strides 8, 16 and 32."""
    act = "leaky_relu"
    side = [layers.conv_bn_act(b, x, width, 1, act=act, name=f"lateral{i}") for i, x in enumerate(levels)]
    for place in (1, 0):
        y = layers.add(b, side[place], resized(b, side[place + 1], side[place].shape, mode="nearest"))
        side[place] = layers.conv_bn_act(b, y, width, 3, act=act, name=f"merge{place}")
    found = [_context(b, x, f"ssh{place}") for place, x in enumerate(side)]
    return tuple(
        _predictions(b, found, (2, 2, 2), outputs, name)
        for name, outputs in (("boxes", 4), ("scores", 2), ("landmarks", 10))
    )


def _retinaface_mobile(b: GraphBuilder, image: Tensor) -> tuple[Tensor, ...]:
    levels = mobilenet_v1_levels(b, image, width=0.25, act="leaky_relu")
    return _retinaface(b, (levels[8], levels[16], levels[32]), 64)


def _retinaface_mobilenet(b: GraphBuilder, image: Tensor) -> tuple[Tensor, ...]:
    levels = mobilenet_v1_levels(b, image)
    return _retinaface(b, (levels[8], levels[16], levels[32]), 64)


def _retinaface_resnet50(b: GraphBuilder, image: Tensor) -> tuple[Tensor, ...]:
    levels = resnet_levels(b, resnet_stem(b, image), (3, 4, 6, 3), bottleneck=True)
    return _retinaface(b, levels[1:], 256)


for _name, _title, _network, _parameters, _gmacs in (
    ("ssd_mobilenet_v1", "SSD on MobileNet", _ssd_mobilenet_v1, 6.79e6, 1.25),
    ("ssd_mobilenet_v2", "SSD on MobileNetV2", _ssd_mobilenet_v2, 6.07e6, 0.76),
    ("ssd_mobilenet_v1_detections", "SSD on MobileNet with labels", _ssd_mobilenet_v1_detections, 6.79e6, 1.25),
    ("ssd_mobilenet_v2_detections", "SSD on MobileNetV2 with labels", _ssd_mobilenet_v2_detections, 6.07e6, 0.76),
):
    image_network(
        _name,
        _network,
        title=_title,
        source="Liu et al. 2016, SSD, Fig. 2; TensorFlow object detection API, model zoo 1",
        published=Published(
            parameters=int(_parameters), macs=_gmacs * 1e9, tolerance=0.03, source="hailo_model_zoo, public models"
        ),
        what="Object detector of six levels (overlaps are not suppressed), maybe with the best class of each box.",
        size=300,
        minimum=224,
        labels=90,
    )

for _name, _title, _face, _parameters in (
    ("retinaface_mobile", "RetinaFace on MobileNet 0.25", _retinaface_mobile, 0.44e6),
    ("retinaface_mobilenet", "RetinaFace on MobileNet", _retinaface_mobilenet, 3.49e6),
    ("retinaface_resnet50", "RetinaFace on ResNet-50", _retinaface_resnet50, 27.3e6),
):
    image_filter(
        _name,
        _face,
        title=_title,
        source="Deng et al. 2020, RetinaFace, section 3; biubug6/Pytorch_Retinaface",
        published=Published(
            parameters=int(_parameters),
            tolerance=0.05,
            source="biubug6/Pytorch_Retinaface: 1.7 MB, 104 MB; hailo_model_zoo, from memory: 3.49 M",
        ),
        what="Face detector with five landmarks.",
        size=320,
    )
