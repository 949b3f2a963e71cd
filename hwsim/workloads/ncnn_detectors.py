"""Detectors that benchncnn times on mobile backbones, for phones.

Sources: Tencent/ncnn, benchmark/mobilenet_yolo.param, mobilenetv2_yolov3.param, yolo-fastestv2.param, blazeface.param
(eric612, MobileNet-YOLO; Bazarevsky et al. 2019, BlazeFace, without its heads); dog-qiuqiu, Yolo-Fastest,
yolo-fastest-1.1.cfg, and Yolo-FastestV2, model/detector.py.
"""

from __future__ import annotations

from hwsim.graph.graph import GraphBuilder
from hwsim.graph.tensor import Tensor
from hwsim.operators.concat import Concat
from hwsim.operators.conv_transpose import ConvTranspose2d
from hwsim.operators.pad import Pad
from hwsim.operators.softmax import Softmax
from hwsim.workloads import layers
from hwsim.workloads import yolo_blocks as yolo
from hwsim.workloads.backbones import mobilenet_v1_levels, mobilenet_v2_levels
from hwsim.workloads.families import image_filter, image_network
from hwsim.workloads.mediapipe import same_conv
from hwsim.workloads.registry import Published, sources
from hwsim.workloads.shufflenet_v2 import shufflenet_v2_stages

__all__: list[str] = []


def _mobilenet_yolo(b: GraphBuilder, image: Tensor, classes: int) -> tuple[Tensor, Tensor]:
    """Boxes of five anchors at strides 32 and 16."""
    x = mobilenet_v1_levels(b, image, act="relu")[0]
    x = layers.conv_bn_act(b, x, 256, 1, name="conv16")
    coarse = layers.conv_bn_act(b, x, 1024, 3, name="conv17")
    with b.scope("upsample"):
        weight = b.weight("weight", (1024, 1, 4, 4))
    up = b.add(ConvTranspose2d(stride=(2, 2), padding=(1, 1), groups=256), coarse, weight, name="upsample")
    x = layers.conv_bn_act(b, layers.conv_bn_act(b, up, 1024, 3, name="conv19"), 256, 1, name="conv20")
    fine = layers.conv_bn_act(b, x, 1024, 3, name="conv21")
    outputs = 5 * (5 + classes)
    return layers.conv(b, coarse, outputs, 1, name="coarse"), layers.conv(b, fine, outputs, 1, name="fine")


def _separable(b: GraphBuilder, x: Tensor, channels: int, name: str) -> Tensor:
    x = layers.conv_bn_act(b, x, x.shape[1], 3, groups=x.shape[1], name=f"{name}_depthwise")
    return layers.conv_bn_act(b, x, channels, 1, name=f"{name}_pointwise")


def _mobilenet_v2_yolo(b: GraphBuilder, image: Tensor, classes: int) -> tuple[Tensor, Tensor]:
    """Boxes of three anchors at strides 32 and 16."""
    levels = mobilenet_v2_levels(b, image, last=1280, wide=True)
    coarse = _separable(b, levels[0], 576, "conv1")
    x = layers.add(b, yolo.up(b, coarse), _separable(b, levels[16], 576, "conv2"))
    outputs = 3 * (5 + classes)
    fine = layers.conv(b, _separable(b, x, 576, "conv3"), outputs, 1, name="fine")
    return layers.conv(b, coarse, outputs, 1, name="coarse"), fine


_FASTEST = (
    # expanded channels, channels, stride, blocks with a residual behind, and their expanded channels
    *((8, 4, 1, 1, 8), (24, 8, 2, 2, 32), (32, 8, 2, 2, 48), (48, 16, 1, 4, 96), (96, 24, 2, 4, 136)),
    (136, 48, 2, 5, 224),
)


def _leaky(b: GraphBuilder, x: Tensor, channels: int, kernel: int, *, stride: int = 1, name: str) -> Tensor:
    """A convolution; one that keeps its channels and has more than one pixel goes by channels."""
    groups = channels if kernel > 1 and x.shape[1] == channels else 1
    return layers.conv_bn_act(b, x, channels, kernel, stride=stride, groups=groups, act="leaky_relu", name=name)


def _inverted(b: GraphBuilder, x: Tensor, hidden: int, channels: int, stride: int, name: str) -> Tensor:
    with b.scope(name):
        y = _leaky(b, _leaky(b, x, hidden, 1, name="expand"), hidden, 3, stride=stride, name="depthwise")
        return layers.conv_bn_act(b, y, channels, 1, act="", name="project")


def _fastest_head(b: GraphBuilder, x: Tensor, classes: int, name: str) -> Tensor:
    with b.scope(name):
        for place in range(2):
            x = _leaky(b, x, x.shape[1], 5, name=f"depthwise{place}")
            x = layers.conv_bn_act(b, x, x.shape[1], 1, act="", name=f"point{place}")
        return layers.conv(b, x, 3 * (5 + classes), 1, name="boxes")


def _yolo_fastest(b: GraphBuilder, image: Tensor, classes: int) -> tuple[Tensor, Tensor]:
    """Boxes of three anchors at strides 32 and 16."""
    x = layers.conv_bn_act(b, image, 8, 3, stride=2, act="leaky_relu", name="stem")
    middle = x
    for stage, (hidden, channels, stride, count, inner) in enumerate(_FASTEST):
        middle = x
        x = _inverted(b, x, hidden, channels, stride, f"stage{stage}.down")
        for place in range(count):
            name = f"stage{stage}.{place}"
            x = layers.add(b, x, _inverted(b, x, inner, channels, 1, name), name=f"{name}.add")
    pools = [layers.pool(b, x, "max", k, stride=1, padding=k // 2, name=f"pool{k}") for k in (9, 5, 3)]
    coarse = _leaky(b, yolo.join(b, *pools, x), 96, 1, name="pyramid")
    fine = yolo.join(b, yolo.up(b, coarse), middle, name="both")
    return _fastest_head(b, coarse, classes, "coarse"), _fastest_head(b, fine, classes, "fine")


def _fastest_chain(b: GraphBuilder, x: Tensor, name: str) -> Tensor:
    for place in range(2):
        x = layers.conv_bn_act(b, x, 72, 5, groups=72, name=f"{name}.depthwise{place}")
        x = layers.conv_bn_act(b, x, 72, 1, act="", name=f"{name}.point{place}")
    return x


def _yolo_fastest_v2(b: GraphBuilder, image: Tensor, classes: int) -> tuple[Tensor, ...]:
    """Boxes, whether there is an object, and classes of three anchors at strides 16 and 32, each (batch, ., h, w)."""
    _, fine, coarse = shufflenet_v2_stages(b, image, (48, 96, 192))
    joined = yolo.join(b, yolo.up(b, coarse), fine)
    found = []
    for level, features in (("fine", joined), ("coarse", coarse)):
        with b.scope(level):
            x = layers.conv_bn_act(b, features, 72, 1, name="narrow")
            scored, boxed = _fastest_chain(b, x, "class"), _fastest_chain(b, x, "box")
            boxes = layers.activation(b, layers.conv(b, boxed, 12, 1, name="boxes"), "sigmoid")
            objects = layers.activation(b, layers.conv(b, scored, 3, 1, name="objects"), "sigmoid")
            scores = b.add(Softmax(axis=1), layers.conv(b, scored, classes, 1, name="scores"))
            found.append(b.add(Concat(1), boxes, objects, scores))
    return tuple(found)


_BLAZE = (
    # channels, stride
    *((24, 1), (28, 1), (32, 2), (36, 1), (42, 1), (48, 2), (56, 1), (64, 1), (72, 1), (80, 1), (88, 1), (96, 2)),
    *((96, 1), (96, 1), (96, 1), (96, 1)),
)


def _blaze_front(b: GraphBuilder, image: Tensor) -> Tensor:
    """Features (batch, 96, height / 16, width / 16)."""
    x = same_conv(b, image, 24, 5, stride=2, act="relu", name="stem")
    for place, (channels, stride) in enumerate(_BLAZE):
        with b.scope(f"block{place}"):
            y = same_conv(b, x, x.shape[1], 3, stride=stride, groups=x.shape[1], name="depthwise")
            y = same_conv(b, y, channels, 1, name="pointwise")
            x = layers.pool(b, x, "max", 2) if stride == 2 else x
            missing = channels - x.shape[1]
            x = b.add(Pad(((0, 0), (0, missing), (0, 0), (0, 0))), x, name="channels") if missing else x
            x = layers.activation(b, layers.add(b, y, x), "relu")
    return x


_SOURCE = sources(__doc__)
for _name, _title, _network, _size, _labels, _parameters, _macs, _tolerance, _counted in (
    (
        *("mobilenet_v1_yolo", "YOLO on MobileNet", _mobilenet_yolo, 416, 20),
        *(11.06e6, None, 0.01, "weights of mobilenet_yolo.param"),
    ),
    (
        *("mobilenet_v2_yolov3", "YOLOv3 on MobileNetV2", _mobilenet_v2_yolo, 352, 20),
        *(3.74e6, None, 0.02, "weights of mobilenetv2_yolov3.param"),
    ),
    (
        *("yolo_fastest", "Yolo-Fastest 1.1", _yolo_fastest, 320, 80),
        *(0.35e6, 0.126e9, 0.05, "dog-qiuqiu/Yolo-Fastest: 0.35 M, 0.252 GFLOP"),
    ),
    (
        *("yolo_fastest_v2", "Yolo-FastestV2", _yolo_fastest_v2, 352, 80),
        *(0.25e6, 0.106e9, 0.06, "dog-qiuqiu/Yolo-FastestV2: 0.25 M, 0.212 GFLOP"),
    ),
):
    image_network(
        _name,
        _network,
        title=_title,
        source=_SOURCE,
        published=Published(parameters=int(_parameters), macs=_macs, tolerance=_tolerance, source=_counted),
        what="Object detector for phones (overlaps are not suppressed).",
        size=_size,
        labels=_labels,
        minimum=64,
    )
image_filter(
    "blazeface_front",
    _blaze_front,
    title="BlazeFace, front camera, without heads",
    source=_SOURCE,
    published=Published(parameters=89_000, tolerance=0.02, source="weights of blazeface.param"),
    what="Features of faces.",
    size=128,
)
