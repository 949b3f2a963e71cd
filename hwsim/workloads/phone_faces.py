"""Networks for faces on phones: MediaPipe's two, Qualcomm's light detector, CavaFace's embedding.

Sources: Bazarevsky et al. 2019, BlazeFace, as hollance/BlazeFace-PyTorch and zmurez/MediaPipePyTorch build it; layers
of quic/ai-hub-models, models/face_det_lite (052dc1f); Deng et al. 2019, ArcFace, with squeeze and excitation in each of
the units of cavalleria/cavaface (IR_SE_100).
"""

from __future__ import annotations

from hwsim.graph.graph import GraphBuilder
from hwsim.graph.tensor import Tensor
from hwsim.operators.concat import Concat
from hwsim.operators.div import Div
from hwsim.operators.pad import Pad
from hwsim.operators.prelu import PRelu
from hwsim.operators.reduce import ReduceAxes
from hwsim.operators.reshape import Reshape
from hwsim.operators.transpose import Transpose
from hwsim.workloads import layers
from hwsim.workloads import yolo_blocks as yolo
from hwsim.workloads.families import image_filter
from hwsim.workloads.mediapipe import same_conv
from hwsim.workloads.phone_nets import expanded_block
from hwsim.workloads.registry import Published, sources

__all__: list[str] = []

_HUB = "quic/ai-hub-models, model card: parameters"


def _sloped(b: GraphBuilder, x: Tensor, act: str, name: str) -> Tensor:
    """ReLU, or with ``act`` prelu a slope of its own for each channel."""
    if act != "prelu":
        return layers.activation(b, x, act, name=f"{name}_{act}")
    with b.scope(name):
        slope = b.weight("slope", (x.shape[1], 1, 1))
    return b.add(PRelu(), x, slope, name=f"{name}_prelu")


def _blaze(b: GraphBuilder, x: Tensor, channels: int, act: str, name: str, *, stride: int = 1) -> Tensor:
    """A depthwise and a pointwise convolution around a link that is pooled and padded with zeros where sizes differ."""
    with b.scope(name):
        y = same_conv(b, x, x.shape[1], 3, stride=stride, groups=x.shape[1], name="depthwise")
        y = same_conv(b, y, channels, 1, name="pointwise")
        x = layers.pool(b, x, "max", 2, name="link") if stride == 2 else x
        missing = channels - x.shape[1]
        x = b.add(Pad(((0, 0), (0, missing), (0, 0), (0, 0))), x, name="channels") if missing else x
        return _sloped(b, layers.add(b, y, x), act, "act")


def _blazes(b: GraphBuilder, x: Tensor, widths: tuple[int, ...], act: str, name: str) -> Tensor:
    """Blocks of those widths, one after another, the last with stride 2."""
    for place, width in enumerate(widths):
        x = _blaze(b, x, width, act, f"{name}.{place}", stride=2 if place == len(widths) - 1 else 1)
    return x


def _rows(b: GraphBuilder, x: Tensor, outputs: int, size: int, name: str) -> Tensor:
    """(batch, places, size) of a level."""
    y = b.add(Transpose((0, 2, 3, 1)), layers.conv(b, x, outputs, 1, name=name))
    return b.add(Reshape((x.shape[0], -1, size)), y)


def _face_boxes(b: GraphBuilder, image: Tensor) -> tuple[Tensor, ...]:
    """Boxes with six key points, and scores, of two anchors a pixel at stride 16 and six at 32."""
    x = layers.activation(b, layers.conv(b, image, 24, 5, stride=2, padding=2, name="stem"), "relu")
    for stage, (width, wider) in enumerate(((24, 24), (24, 48), (48, 96))):
        x = _blazes(b, x, (*[width] * 7, wider), "relu", f"stage{stage}")
    for place in range(7):
        x = _blaze(b, x, 96, "relu", f"stage3.{place}")
    y = same_conv(b, x, 96, 3, stride=2, groups=96, name="last_depthwise")
    y = same_conv(b, y, 96, 1, act="relu", name="last")
    levels = ((x, 2), (y, 6))
    boxes = [_rows(b, level, 16 * count, 16, f"boxes{place}") for place, (level, count) in enumerate(levels)]
    return (*boxes, *(_rows(b, level, count, 1, f"scores{place}") for place, (level, count) in enumerate(levels)))


def _face_landmarks(b: GraphBuilder, image: Tensor) -> tuple[Tensor, Tensor]:
    """Whether there is a face, and 468 landmarks in three dimensions."""
    x = _sloped(b, same_conv(b, image, 16, 3, stride=2, name="stem"), "prelu", "stem")
    for stage, (width, wider) in enumerate(((16, 32), (32, 64), (64, 128), (128, 128))):
        x = _blazes(b, x, (width, width, wider), "prelu", f"stage{stage}")
    for place in range(2):
        x = _blaze(b, x, 128, "prelu", f"stage4.{place}")
    found = []
    for name, count, outputs in (("landmarks", 3, 1404), ("flag", 1, 1)):
        with b.scope(name):
            y = _blaze(b, x, 128, "prelu", "down", stride=2)
            for place in range(count - 1):
                y = _blaze(b, y, 128, "prelu", f"block{place}")
            y = _sloped(b, layers.conv(b, y, 32, 1, name="narrow"), "prelu", "narrow")
            y = _blaze(b, y, 32, "prelu", "end")
            found.append(layers.flatten(b, layers.conv(b, y, outputs, 3, padding=0, name="out")))
    return layers.activation(b, found[1], "sigmoid"), b.add(Reshape((image.shape[0], 468, 3)), found[0])


_LIGHT = (
    # 3 x 3 convolutions, expanded channels, channels, stride, whether channels are gated
    *((1, 16, 16, 2, False), (1, 64, 32, 2, False), (1, 96, 32, 1, False), (2, 96, 32, 2, True)),
    *((2, 224, 32, 1, True), (2, 224, 32, 1, True), (2, 128, 64, 1, True), (2, 160, 64, 1, True)),
    (2, 256, 96, 2, True),
)


def _light_detector(b: GraphBuilder, image: Tensor) -> tuple[Tensor, ...]:
    """Maps of faces, their boxes and five landmarks at an eighth of a grey image."""
    x = layers.conv_bn_act(b, image, 16, 3, stride=2, name="stem")
    levels = []
    for place, numbers in enumerate(_LIGHT):
        with b.scope(f"block{place}"):
            x = expanded_block(b, x, numbers)
        if place in (2, 7):
            levels.append(x)
    x = layers.conv_bn_act(b, x, 32, 1, name="top")
    for place in (1, 0):
        up = layers.conv_bn_act(b, yolo.up(b, x, f"up{place}"), 32, 3, name=f"up{place}_conv")
        x = layers.add(b, up, layers.conv_bn_act(b, levels[place], 32, 1, name=f"lateral{place}"))
    with b.scope("detect"):
        wide = layers.conv_bn_act(b, x, 16, 3, name="up")
        inner = layers.conv_bn_act(b, x, 8, 3, name="in")
        side = layers.conv_bn_act(b, inner, 8, 3, name="context")
        deep = layers.conv_bn_act(b, layers.conv_bn_act(b, inner, 8, 3, name="down0"), 8, 3, name="down1")
        x = b.add(Concat(1), wide, b.add(Concat(1), side, deep))
    return tuple(
        layers.conv(b, x, outputs, 1, name=name) for name, outputs in (("center", 1), ("box", 4), ("points", 10))
    )


def _gated_residual(b: GraphBuilder, x: Tensor, width: int, stride: int) -> Tensor:
    """Norm, two 3 x 3 convolutions, a gate over channels, and a link."""
    y = layers.conv(b, layers.batch_norm(b, x, "bn1"), width, 3, bias=False, name="conv1")
    y = _sloped(b, y, "prelu", "conv1")
    y = layers.batch_norm(b, layers.conv(b, y, width, 3, stride=stride, bias=False, name="conv2"), "bn2")
    mean = layers.pool(b, y, "average", (y.shape[2], y.shape[3]), name="mean")
    mean = layers.activation(b, layers.conv(b, mean, width // 16, 1, bias=False, name="squeeze"), "relu")
    gate = layers.activation(b, layers.conv(b, mean, width, 1, bias=False, name="excite"), "sigmoid")
    y = layers.multiply(b, y, gate)
    if x.shape[1] != width:
        x = layers.conv_bn_act(b, x, width, 1, stride=stride, act="", name="shortcut")
    elif stride == 2:
        x = layers.pool(b, x, "max", 1, stride=2, name="shortcut")
    return layers.add(b, y, x)


def _cavaface(b: GraphBuilder, image: Tensor) -> Tensor:
    """(batch, 512): an embedding of length one."""
    x = layers.batch_norm(b, layers.conv(b, image, 64, 3, bias=False, name="stem"), "stem_bn")
    x = _sloped(b, x, "prelu", "stem")
    for stage, (count, width) in enumerate(((3, 64), (13, 128), (30, 256), (3, 512))):
        for place in range(count):
            with b.scope(f"stage{stage}.{place}"):
                x = _gated_residual(b, x, width, 1 if place else 2)
    x = layers.linear(b, layers.flatten(b, layers.batch_norm(b, x, "bn")), 512, name="embedding")
    return b.add(Div(), x, b.add(ReduceAxes("l2", (1,), True), x, name="length"))


for _name, _title, _network, _size, _channels, _parameters, _tolerance in (
    ("mediapipe_face", "MediaPipe face detector", _face_boxes, 256, 3, 0.135e6, 0.01),
    ("mediapipe_face_landmarks", "MediaPipe face landmarks", _face_landmarks, 192, 3, 0.603e6, 0.005),
    ("face_det_lite", "Lightweight face detector", _light_detector, (480, 640), 1, 0.878e6, 0.005),
    ("cavaface", "CavaFace, ArcFace on 100 gated layers", _cavaface, 112, 3, 65.5e6, 0.005),
):
    image_filter(
        _name,
        _network,
        title=_title,
        source=sources(__doc__),
        published=Published(parameters=int(_parameters), tolerance=_tolerance, source=_HUB),
        what="Faces in an image.",
        size=_size,
        channels=_channels,
    )
