"""Small networks made for phones: people and their protective gear, feet, faces; poses; text in scenes.

Sources: quic/ai-hub-models, models/gear_guard_net, foot_track_net, face_attrib_net and facemap_3dmm (at 052dc1f), which
publishes them; Papandreou et al. 2018, PersonLab, section 3, as rwightman/posenet-pytorch builds it on
MobileNet at stride 16; Baek et al. 2019, CRAFT, Fig. 2, as JaidedAI/EasyOCR builds it.
"""

from __future__ import annotations

from hwsim.graph.graph import GraphBuilder
from hwsim.graph.tensor import Tensor
from hwsim.operators.concat import Concat
from hwsim.operators.prelu import PRelu
from hwsim.workloads import layers
from hwsim.workloads import yolo_blocks as yolo
from hwsim.workloads.backbones import resized
from hwsim.workloads.families import image_filter
from hwsim.workloads.registry import Published, sources

__all__ = ["expanded_block"]

_HUB = "quic/ai-hub-models, model card: parameters"


def _separable(b: GraphBuilder, x: Tensor, channels: int, name: str) -> Tensor:
    """A 5x5 depthwise and a pointwise convolution."""
    x = layers.conv_bn_act(b, x, x.shape[1], 5, groups=x.shape[1], act="", name=f"{name}_depthwise")
    return layers.conv_bn_act(b, x, channels, 1, act="", name=f"{name}_pointwise")


def _blaze(b: GraphBuilder, x: Tensor, channels: int, count: int, name: str) -> Tensor:
    """Pairs of separable convolutions around half the channels, each with a residual."""
    for place in range(count):
        with b.scope(f"{name}.{place}"):
            hidden = max(x.shape[1], channels) // 2
            y = layers.activation(b, _separable(b, x, hidden, "first"), "relu")
            y = _separable(b, y, channels, "second")
            x = x if x.shape[1] == channels else layers.conv(b, x, channels, 1, name="pad")
            x = layers.activation(b, layers.add(b, y, x), "relu")
    return x


def _gear_guard(b: GraphBuilder, image: Tensor) -> tuple[Tensor, ...]:
    """Boxes of people and their gear at strides of 8, 16 and 32."""
    x = layers.conv_bn_act(b, image, 32, 6, stride=2, padding=2, name="stem")
    found = []
    for place, (channels, count) in enumerate(((64, 1), (128, 1), (256, 3), (512, 1))):
        x = layers.conv_bn_act(b, x, channels, 3, stride=2, name=f"down{place}")
        x = _blaze(b, x, channels, count, f"stage{place}")
        found.append(x)
    coarse = layers.conv_bn_act(b, layers.conv_bn_act(b, x, 512, 3, name="neck"), 256, 1, name="top")
    x = _blaze(b, yolo.join(b, yolo.up(b, coarse, "up0"), found[2]), 256, 1, "merge0")
    middle = layers.conv_bn_act(b, x, 128, 1, name="lateral")
    fine = _blaze(b, yolo.join(b, yolo.up(b, middle, "up1"), found[1]), 128, 1, "merge1")
    x = layers.conv_bn_act(b, fine, 128, 3, stride=2, name="back0")
    medium = _blaze(b, yolo.join(b, x, middle), 256, 1, "merge2")
    x = layers.conv_bn_act(b, medium, 256, 3, stride=2, name="back1")
    large = _blaze(b, yolo.join(b, x, coarse), 512, 1, "merge3")
    return tuple(layers.conv(b, x, 21, 1, name=f"boxes{i}") for i, x in enumerate((fine, medium, large)))


_FEET = (
    # 3 x 3 convolutions, expanded channels, channels, stride, whether channels are gated
    *((1, 16, 16, 1, False), (1, 64, 16, 2, False), (1, 64, 16, 1, False), (2, 96, 32, 2, True)),
    *((2, 96, 32, 1, True), (2, 128, 32, 1, True), (1, 128, 64, 2, False), (1, 128, 64, 1, False)),
    *((1, 160, 64, 1, False), (1, 160, 64, 1, False), (1, 256, 64, 1, True), (1, 320, 64, 1, True)),
    *((2, 320, 64, 1, True), (2, 320, 96, 2, True), (2, 480, 96, 1, True)),
)
_KEPT = (2, 5, 12)


def expanded_block(b: GraphBuilder, x: Tensor, numbers: tuple[int, int, int, int, bool]) -> Tensor:
    """Wide inside, then 3x3 convolutions, whose last strides; gated channels; x again where nothing strides.

    ``numbers``: 3x3 convolutions, expanded channels, channels, stride, whether channels are gated.
    """
    count, hidden, channels, stride, gated = numbers
    y = layers.conv_bn_act(b, x, hidden, 1, name="expand")
    for place in range(count):
        step = stride if place == count - 1 else 1
        y = layers.conv_bn_act(b, y, channels, 3, stride=step, name=f"conv{place}")
    if gated:
        mean = layers.pool(b, y, "average", (y.shape[2], y.shape[3]), name="mean")
        mean = layers.conv_bn_act(b, mean, channels // 4, 1, name="squeeze")
        y = layers.multiply(b, y, layers.conv_bn_act(b, mean, channels, 1, act="sigmoid", name="excite"))
    if stride != 1:
        return y
    if x.shape[1] != channels:
        x = layers.conv_bn_act(b, x, channels, 1, act="", name="shortcut")
    return layers.add(b, y, x)


def _foot_track(b: GraphBuilder, image: Tensor) -> tuple[Tensor, ...]:
    """Maps of people, faces and their landmarks at a quarter of the size."""
    x = layers.batch_norm(b, layers.conv(b, image, 3, 1, bias=False, name="colours"), "colours_bn")
    x = layers.conv_bn_act(b, x, 16, 3, stride=2, name="stem")
    levels = []
    for place, numbers in enumerate(_FEET):
        with b.scope(f"block{place}"):
            x = expanded_block(b, x, numbers)
        if place in _KEPT:
            levels.append(x)
    x = layers.conv_bn_act(b, x, 64, 1, name="top")
    for place in (2, 1, 0):
        up = layers.conv_bn_act(b, yolo.up(b, x, f"up{place}"), 64, 3, name=f"up{place}_conv")
        x = layers.add(b, up, layers.conv_bn_act(b, levels[place], 64, 1, name=f"lateral{place}"), f"add{place}")
    with b.scope("detect"):
        wide = layers.conv_bn_act(b, x, 32, 3, name="up")
        inner = layers.conv_bn_act(b, x, 16, 3, name="in")
        side = layers.conv_bn_act(b, inner, 16, 3, name="context")
        deep = layers.conv_bn_act(b, layers.conv_bn_act(b, inner, 16, 3, name="down0"), 16, 3, name="down1")
        x = b.add(Concat(1), wide, side, deep)
    made = []
    for place, channels in enumerate((1, 1, 1, 4, 4, 4, 34, 17)):
        with b.scope(f"head{place}"):
            y = layers.conv(b, layers.conv_bn_act(b, x, 64, 3, name="ext"), channels, 1, name="out")
            made.append(layers.activation(b, y, "sigmoid") if channels in (1, 17) else y)
    return b.add(Concat(1), *made[:3]), b.add(Concat(1), *made[3:6]), made[6], made[7]


def _rectified(b: GraphBuilder, x: Tensor, name: str) -> Tensor:
    return b.add(PRelu(), x, b.weight(f"{name}_slope", (1,)), name=f"{name}_prelu")


def _mixed(
    b: GraphBuilder, x: Tensor, spread: int, channels: int, name: str, *, groups: int, stride: int = 1, act: bool = True
) -> Tensor:
    """A 3x3 convolution in groups and a pointwise one."""
    x = layers.conv(b, x, spread, 3, stride=stride, groups=groups, bias=False, name=f"{name}_group")
    x = layers.conv_bn_act(b, x, channels, 1, act="", name=f"{name}_point")
    return _rectified(b, x, name) if act else x


def _face_attributes(b: GraphBuilder, image: Tensor) -> tuple[Tensor, ...]:
    """Five pairs of logits (eyes open, glasses, mask, sunglasses) and an embedding, published with them."""
    x = layers.conv_bn_act(b, image, 64, 3, act="", name="stem")
    x = _rectified(b, x, "stem")
    y = _mixed(b, _mixed(b, x, 64, 64, "a0", groups=2, stride=2), 64, 64, "a1", groups=2, act=False)
    x = layers.add(b, y, _mixed(b, x, 64, 64, "b", groups=2, stride=2, act=False))
    x = _rectified(b, x, "head")
    found = []
    for stage, (width, count) in enumerate(((64, 2), (128, 6), (256, 3))):
        with b.scope(f"stage{stage}"):
            short = _mixed(b, x, 2 * width, 2 * width, "short", groups=width // 32, stride=2)
            y = _mixed(b, x, 4 * width, 2 * width, "down0", groups=width // 32, stride=2)
            y = _mixed(b, y, 4 * width, 2 * width, "down1", groups=width // 32, act=False)
            x = _rectified(b, layers.add(b, short, y), "down")
            for place in range(count - 1):
                y = _mixed(b, x, 4 * width, 2 * width, f"n{place}a", groups=width // 16)
                y = _mixed(b, y, 4 * width, 2 * width, f"n{place}b", groups=width // 16, act=False)
                x = _rectified(b, layers.add(b, y, x), f"n{place}")
        found.append(x)
    logits = []
    for place in range(5):
        with b.scope(f"attribute{place}"):
            y = _mixed(b, found[1], 128, 128, "a", groups=8, stride=2)
            y = _mixed(b, b.add(Concat(1), y, found[2]), 320, 128, "b", groups=20, stride=2)
            y = layers.flatten(b, layers.pool(b, y, "average", 4, stride=1))
            logits.append(layers.linear(b, y, 2, name="class"))
    with b.scope("embedding"):
        y = layers.conv(b, x, 512, 8, padding=0, groups=16, bias=False, name="group")
        y = _rectified(b, layers.conv_bn_act(b, y, 512, 1, act="", name="point"), "point")
    return b.add(Concat(1), *logits), layers.flatten(b, y)


def _face_map(b: GraphBuilder, image: Tensor) -> Tensor:
    """265 parameters of a face's shape, pose and camera, from grey values, by ResNet-18 of half the width."""
    x = layers.conv(b, image, 1, 1, name="grey")
    x = layers.pool(b, layers.conv_bn_act(b, x, 32, 7, stride=2, name="stem"), "max", 3, stride=2, padding=1)
    for stage, widths in enumerate(((32, 32), (64, 64), (128, 128), (256, 512))):
        for place, width in enumerate(widths):
            with b.scope(f"stage{stage}.{place}"):
                stride = 2 if stage and not place else 1
                y = layers.conv_bn_act(b, x, width, 3, stride=stride, name="conv1")
                y = layers.conv_bn_act(b, y, width, 3, act="", name="conv2")
                if y.shape != x.shape:
                    x = layers.conv_bn_act(b, x, width, 1, stride=stride, act="", name="identity")
                x = layers.activation(b, layers.add(b, y, x), "relu")
    return layers.linear(b, layers.global_average(b, x), 265, name="output")


_POSE = ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *[(512, 1)] * 5, (1024, 1), (1024, 1))


def _posenet(b: GraphBuilder, image: Tensor) -> tuple[Tensor, ...]:
    """Heat maps of 17 joints, their offsets, and displacements both ways along 16 edges."""
    x = layers.activation(b, layers.conv(b, image, 32, 3, stride=2, name="stem"), "relu6")
    for place, (channels, stride) in enumerate(_POSE):
        with b.scope(f"block{place}"):
            holes = 2 if place == len(_POSE) - 1 else 1
            y = layers.conv(b, x, x.shape[1], 3, stride=stride, dilation=holes, groups=x.shape[1], name="depthwise")
            x = layers.activation(
                b, layers.conv(b, layers.activation(b, y, "relu6"), channels, 1, name="point"), "relu6"
            )
    heat = layers.activation(b, layers.conv(b, x, 17, 1, name="heatmap"), "sigmoid")
    rest = [layers.conv(b, x, channels, 1, name=f"out{i}") for i, channels in enumerate((34, 32, 32))]
    return heat, *rest, layers.pool(b, heat, "max", 3, stride=1, padding=1)


def _craft(b: GraphBuilder, image: Tensor) -> tuple[Tensor, ...]:
    """Scores of characters and of links between them at half the size, on VGG-16."""
    x, levels = image, []
    for stage, (channels, count) in enumerate(((64, 2), (128, 2), (256, 3), (512, 3), (512, 2))):
        x = layers.pool(b, x, "max", 2, name=f"pool{stage}") if stage else x
        for place in range(count):
            x = layers.conv(b, x, channels, 3, name=f"conv{stage}.{place}")
            x = layers.batch_norm(b, x, f"bn{stage}.{place}")
            if place == 1:
                levels.append(x)
            if (stage, place) != (4, 1):
                x = layers.activation(b, x, "relu", f"relu{stage}.{place}")
    x = layers.pool(b, x, "max", 3, stride=1, padding=1, name="pool5")
    x = layers.conv(b, x, 1024, 3, dilation=6, name="fc6")
    x = b.add(Concat(1), layers.conv(b, x, 1024, 1, name="fc7"), levels[4])
    for place, (middle, channels) in enumerate(((512, 256), (256, 128), (128, 64), (64, 32))):
        x = layers.conv(b, x, middle, 1, name=f"merge{place}.0")
        x = layers.activation(b, layers.batch_norm(b, x, f"merge{place}.bn0"), "relu")
        x = layers.conv(b, x, channels, 3, name=f"merge{place}.1")
        x = layers.activation(b, layers.batch_norm(b, x, f"merge{place}.bn1"), "relu")
        if place < 3:
            x = b.add(Concat(1), resized(b, x, levels[3 - place].shape, name=f"up{place}"), levels[3 - place])
    for place, (channels, kernel) in enumerate(((32, 3), (32, 3), (16, 3), (16, 1))):
        x = layers.activation(b, layers.conv(b, x, channels, kernel, name=f"score{place}"), "relu")
    return layers.conv(b, x, 2, 1, name="scores"), x


for _name, _title, _network, _size, _parameters, _source in (
    ("gear_guard_net", "GearGuardNet", _gear_guard, (320, 192), 6.19e6, _HUB),
    ("foot_track_net", "FootTrackNet", _foot_track, (480, 640), 2.53e6, _HUB),
    ("face_attrib_net", "FaceAttribNet", _face_attributes, 128, 12.1e6, _HUB),
    ("facemap_3dmm", "Facemap 3DMM", _face_map, 128, 5.42e6, _HUB),
    ("posenet_mobilenet", "PoseNet on MobileNet", _posenet, (513, 257), 3.31e6, _HUB),
    ("craft", "CRAFT text detector", _craft, (608, 800), 20.8e6, _HUB),
):
    image_filter(
        _name,
        _network,
        title=_title,
        source=sources(__doc__),
        published=Published(parameters=int(_parameters), tolerance=0.005, source=_source),
        what="Detector or estimator for phones.",
        size=_size,
        minimum=128 if _name in ("face_attrib_net", "gear_guard_net") else 32,
    )
