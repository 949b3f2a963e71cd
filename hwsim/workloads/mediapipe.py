"""MediaPipe's networks for hands, poses and selfies, as AI Hub exports them.

Sources: Bazarevsky et al. 2019, BlazeFace, Fig. 1; Zhang et al. 2020, MediaPipe Hands, sections 2.1 and 2.2; Bazarevsky
et al. 2020, BlazePose, Fig. 3; layer tables of zmurez/MediaPipePyTorch (dc4d508) and of quic/ai-hub-models,
models/mediapipe_hand_gesture and mediapipe_selfie (052dc1f).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hwsim.graph.graph import Graph, GraphBuilder
from hwsim.graph.tensor import Tensor
from hwsim.operators.batchnorm import BatchNorm
from hwsim.operators.concat import Concat
from hwsim.operators.conv2d import Conv2d
from hwsim.operators.linear import Linear
from hwsim.operators.pad import Pad
from hwsim.operators.reshape import Reshape
from hwsim.operators.softmax import Softmax
from hwsim.operators.transpose import Transpose
from hwsim.operators.upsample import Resize
from hwsim.workloads import layers
from hwsim.workloads.families import image_filter
from hwsim.workloads.registry import Published, sources, workload
from hwsim.workloads.segmentation import transposed_conv

__all__ = ["mediapipe_gestures", "same_conv"]

_HUB = "quic/ai-hub-models, model card: parameters; hailo_model_zoo: hand landmarks, lite"


def same_conv(
    b: GraphBuilder,
    x: Tensor,
    channels: int,
    kernel: int,
    *,
    stride: int = 1,
    groups: int = 1,
    act: str = "",
    name: str,
) -> Tensor:
    """A convolution with a bias whose border is TensorFlow's, the odd pixel last, and an activation."""
    missing = max(kernel - stride, 0)
    before, after = missing // 2, missing - missing // 2
    with b.scope(name):
        weight = b.weight("weight", (channels, x.shape[1] // groups, kernel, kernel))
        bias = b.weight("bias", (channels,))
    op = Conv2d(stride=(stride, stride), padding=(before, before, after, after), groups=groups)
    return layers.activation(b, b.add(op, x, weight, bias, name=name), act, name=f"{name}_{act}")


def _depthwise(b: GraphBuilder, x: Tensor, channels: int, kernel: int, stride: int = 1, act: str = "") -> Tensor:
    """A depthwise and a pointwise convolution."""
    x = same_conv(b, x, x.shape[1], kernel, stride=stride, groups=x.shape[1], name="depthwise")
    return same_conv(b, x, channels, 1, act=act, name="pointwise")


@dataclass(frozen=True, slots=True)
class _Blaze:
    """Separable blocks around a link; ``project``: the link changes its channels by a product, not by zeros."""

    kernel: int
    project: bool = False

    def stage(self, b: GraphBuilder, x: Tensor, channels: int, count: int, stride: int, name: str) -> Tensor:
        """``count`` blocks, the first with the stride."""
        for place in range(count):
            with b.scope(f"{name}.{place}"):
                x = self._block(b, x, channels, stride if place == 0 else 1)
        return x

    def _block(self, b: GraphBuilder, x: Tensor, channels: int, stride: int) -> Tensor:
        y = _depthwise(b, x, channels, self.kernel, stride)
        if stride == 2:
            x = layers.pool(b, x, "max", 2)
        missing = channels - x.shape[1]
        if missing and self.project:
            x = same_conv(b, x, channels, 1, name="link")
        elif missing:
            x = b.add(Pad(((0, 0), (0, missing), (0, 0), (0, 0))), x, name="channels")
        return layers.activation(b, layers.add(b, y, x), "relu")


def _boxes(b: GraphBuilder, levels: Sequence[Tensor], anchors: Sequence[int], size: int, name: str) -> list[Tensor]:
    """(batch, places, size) of each level with so many anchors at a place."""
    found = []
    for place, (x, count) in enumerate(zip(levels, anchors, strict=True)):
        y = b.add(Transpose((0, 2, 3, 1)), same_conv(b, x, count * size, 1, name=f"{name}{place}"))
        found.append(b.add(Reshape((x.shape[0], -1, size)), y))
    return found


def _palm(b: GraphBuilder, image: Tensor) -> tuple[Tensor, ...]:
    """Boxes with seven key points, and scores, at strides of 8, 16 and 32."""
    blaze = _Blaze(3)
    x = same_conv(b, image, 32, 3, stride=2, act="relu", name="stem")
    x = blaze.stage(b, x, 32, 7, 1, "stage0")
    levels = []
    for place, channels in enumerate((64, 128, 256, 256)):
        x = blaze.stage(b, x, channels, 8, 2, f"stage{place + 1}")
        levels.append(x)
    found = [x]
    for place, level in ((0, levels[2]), (1, levels[1])):
        up = layers.activation(b, transposed_conv(b, x, level.shape[1], 2, 2, name=f"up{place}"), "relu")
        x = blaze.stage(b, layers.add(b, level, up), level.shape[1], 1, 1, f"merge{place}")
        found.insert(0, x)
    anchors = (2, 2, 6)
    return b.add(Concat(1), *_boxes(b, found, anchors, 18, "box")), b.add(
        Concat(1), *_boxes(b, found, anchors, 1, "score")
    )


def _pose(b: GraphBuilder, image: Tensor) -> tuple[Tensor, ...]:
    """Boxes with four key points, and scores, at strides of 8 and 16."""
    blaze = _Blaze(5, project=True)
    x = same_conv(b, image, 48, 5, act="relu", name="stem")
    x = blaze.stage(b, x, 48, 3, 1, "stage0")
    levels = []
    for place, (channels, count) in enumerate(((64, 4), (96, 7), (128, 8), (256, 7))):
        x = blaze.stage(b, x, channels, count, 2, f"stage{place + 1}")
        levels.append(x)
    found = levels[2:]
    return (*_boxes(b, found, (2, 6), 12, "box"), *_boxes(b, found, (2, 6), 1, "score"))


def _doubled(b: GraphBuilder, x: Tensor) -> Tensor:
    return b.add(Resize(scales=(2, 2), mode="bilinear"), x)


def _whole(b: GraphBuilder, x: Tensor, channels: int, name: str) -> Tensor:
    """One convolution over all that is left of the image."""
    return layers.flatten(b, layers.conv(b, x, channels, x.shape[2], padding=0, name=name))


def _pose_landmarks(b: GraphBuilder, image: Tensor) -> tuple[Tensor, ...]:
    """Whether there is a body, and 31 landmarks: down, up to a quarter of the size, and down again; no mask."""
    blaze = _Blaze(3)
    x = blaze.stage(b, same_conv(b, image, 24, 3, stride=2, act="relu", name="stem"), 24, 2, 1, "stage0")
    levels = []
    rows = ((48, 4), (96, 5), (192, 6), (288, 7))
    for place, (channels, count) in enumerate(rows):
        x = blaze.stage(b, x, channels, count, 2, f"stage{place + 1}")
        levels.append(x)
    with b.scope("up0"):
        x = _depthwise(b, x, 48, 3, act="relu")
    for place, level in enumerate(reversed(levels[:3])):
        with b.scope(f"up{place + 1}"):
            x = layers.add(b, _depthwise(b, level, 48, 3, act="relu"), _doubled(b, x))
    for place, (channels, count) in enumerate(rows[1:]):
        x = blaze.stage(b, x, channels, count, 2, f"down{place}")
        with b.scope(f"lateral{place}"):
            x = layers.add(b, x, _depthwise(b, levels[place + 1], channels, 3, act="relu"))
    for place, count in enumerate((8, 7)):
        x = blaze.stage(b, x, 288, count, 2, f"last{place}")
    x = blaze.stage(b, x, 288, 1, 1, "end")
    return layers.activation(b, _whole(b, x, 1, "flag"), "sigmoid"), _whole(b, x, 124, "landmarks")


def _hand_landmarks(b: GraphBuilder, image: Tensor) -> tuple[Tensor, ...]:
    """Whether there is a hand, which one, and 21 landmarks: down, up to a quarter of the size, and down again."""
    blaze = _Blaze(5)
    x = blaze.stage(b, same_conv(b, image, 24, 3, stride=2, act="relu", name="stem"), 24, 2, 1, "stage0")
    levels = [blaze.stage(b, x, 48, 1, 2, "stage1.0")]
    for place in range(3):
        x = blaze.stage(b, levels[-1], levels[-1].shape[1], 2, 1, f"stage{place + 1}.1")
        levels.append(blaze.stage(b, x, 96, 1, 2, f"stage{place + 2}.0"))
    x = levels[3]
    for place in (2, 1):
        x = blaze.stage(b, layers.add(b, levels[place], _doubled(b, x)), 96, 1, 1, f"up{place}")
    x = layers.add(b, levels[0], _doubled(b, same_conv(b, x, 48, 1, name="narrow")))
    x = blaze.stage(b, x, 48, 4, 1, "body0")
    for place, channels in enumerate((96, 288, 288, 288, 288)):
        x = blaze.stage(b, x, channels, 5, 2, f"body{place + 1}")
    flags = [layers.activation(b, _whole(b, x, 1, name), "sigmoid") for name in ("flag", "side")]
    return (*flags, _whole(b, x, 63, "landmarks"))


_HAND = (
    # expanded channels, kernel, stride, channels
    *((64, 3, 2, 24), (144, 3, 1, 24), (144, 5, 2, 40), (240, 5, 1, 40), (240, 3, 2, 80)),
    *((480, 3, 1, 80), (480, 3, 1, 80), (480, 5, 1, 112), (672, 5, 1, 112), (672, 5, 1, 112)),
    *((672, 5, 2, 192), (1152, 5, 1, 192), (1152, 5, 1, 192), (1152, 5, 1, 192)),
)


def _hand_full(b: GraphBuilder, image: Tensor) -> tuple[Tensor, ...]:
    """21 landmarks in the image and in the world, whether there is a hand, and which one."""
    return _hand(b, image, 1.0)


def _hand(b: GraphBuilder, image: Tensor, width: float) -> tuple[Tensor, ...]:
    first, last = layers.divisible(24 * width), layers.divisible(1152 * width)
    x = same_conv(b, image, first, 3, stride=2, act="relu6", name="stem")
    x = same_conv(b, x, first, 3, groups=first, act="relu6", name="first")
    x = same_conv(b, x, layers.divisible(16 * width), 1, name="first_point")
    for place, row in enumerate(_HAND):
        (hidden, channels), (kernel, stride) = (layers.divisible(row[i] * width) for i in (0, 3)), row[1:3]
        with b.scope(f"block{place}"):
            y = same_conv(b, x, hidden, 1, act="relu6", name="expand")
            y = same_conv(b, y, hidden, kernel, stride=stride, groups=hidden, act="relu6", name="depthwise")
            y = same_conv(b, y, channels, 1, name="project")
            x = layers.add(b, y, x) if y.shape == x.shape else y
    x = same_conv(b, x, last, 1, act="relu6", name="expand")
    x = layers.global_average(b, same_conv(b, x, last, 3, groups=last, act="relu6", name="last"))
    found = [layers.linear(b, x, size, name=f"head{place}") for place, size in enumerate((63, 1, 1, 63))]
    return found[0], layers.activation(b, found[1], "sigmoid"), layers.activation(b, found[2], "sigmoid"), found[3]


def _hand_lite(b: GraphBuilder, image: Tensor) -> tuple[Tensor, ...]:
    """The same outputs from a narrower network, three fifths of the channels (assumption, from its counts)."""
    return _hand(b, image, 0.6)


_SELFIE = ((128, 32), (128, 32), (96, 24), (96, 24))
"""Expanded channels and those of the gate of each block at a sixteenth of the size."""


def _mean(b: GraphBuilder, x: Tensor) -> Tensor:
    return layers.pool(b, x, "average", (x.shape[2], x.shape[3]), name="mean")


def _mean_gate(b: GraphBuilder, x: Tensor, squeezed: int, channels: int) -> Tensor:
    """A gate (batch, channels, 1, 1) from the means of an image."""
    y = _mean(b, x)
    return same_conv(
        b, same_conv(b, y, squeezed, 1, act="relu", name="squeeze"), channels, 1, act="sigmoid", name="excite"
    )


def _gated(b: GraphBuilder, x: Tensor, squeezed: int) -> Tensor:
    return layers.multiply(b, x, _mean_gate(b, x, squeezed, x.shape[1]))


def _joined_up(b: GraphBuilder, x: Tensor, level: Tensor) -> Tensor:
    """Coarse features doubled, added to finer ones behind a gate, and a depthwise convolution around a link."""
    channels = level.shape[1]
    x = same_conv(b, _doubled(b, x), channels, 1, name="narrow")
    gate = _mean_gate(b, layers.add(b, level, x), channels, channels)
    x = layers.add(b, x, layers.multiply(b, level, gate))
    x = same_conv(b, x, channels, 1, act="relu", name="mix")
    return layers.add(b, x, same_conv(b, x, channels, 3, groups=channels, act="relu", name="depthwise"))


def _selfie(b: GraphBuilder, image: Tensor) -> Tensor:
    """Where a person stands, from a small MobileNetV3 with a path upwards."""
    first = layers.activation(b, same_conv(b, image, 16, 3, stride=2, name="stem"), "hardswish")
    x = same_conv(b, first, 16, 1, act="relu", name="expand0")
    x = same_conv(b, x, 16, 3, stride=2, groups=16, act="relu", name="depthwise0")
    with b.scope("gate0"):
        x = _gated(b, x, 8)
    second = same_conv(b, x, 16, 1, name="project0")
    x = same_conv(b, second, 72, 1, act="relu", name="expand1")
    x = same_conv(b, x, 72, 3, stride=2, groups=72, act="relu", name="depthwise1")
    y = same_conv(b, x, 24, 1, name="project1")
    x = same_conv(b, y, 88, 1, act="relu", name="expand2")
    x = same_conv(b, x, 88, 3, groups=88, act="relu", name="depthwise2")
    third = x = layers.add(b, same_conv(b, x, 24, 1, name="project2"), y)
    for place, (hidden, squeezed) in enumerate(((96, 24), *_SELFIE)):
        with b.scope(f"block{place}"):
            y = same_conv(b, x, hidden, 1, act="hardswish", name="expand")
            stride = 2 if place == 0 else 1
            y = same_conv(b, y, hidden, 5, stride=stride, groups=hidden, act="hardswish", name="depthwise")
            y = same_conv(b, _gated(b, y, squeezed), 32, 1, name="project")
            x = layers.add(b, y, x) if place else y
    with b.scope("context"):
        mean = _mean(b, x)
        gate = same_conv(b, mean, 128, 1, act="sigmoid", name="gate")
        x = layers.multiply(b, same_conv(b, x, 128, 1, act="relu", name="mix"), gate)
    for place, level in enumerate((third, second, first)):
        with b.scope(f"up{place}"):
            x = _joined_up(b, x, level)
    return layers.activation(b, transposed_conv(b, x, 1, 2, 2, name="mask"), "sigmoid")


for _name, _title, _network, _size, _parameters, _tolerance in (
    ("mediapipe_palm", "MediaPipe palm detector", _palm, 256, 1.76e6, 0.003),
    ("mediapipe_pose", "MediaPipe pose detector", _pose, 128, 0.815e6, 0.005),
    ("mediapipe_pose_landmarks", "MediaPipe pose landmarks", _pose_landmarks, 256, 3.36e6, 0.005),
    ("mediapipe_hand_landmarks", "MediaPipe hand landmarks", _hand_landmarks, 256, 2.01e6, 0.005),
    ("mediapipe_hand_landmarks_full", "MediaPipe hand landmarks, full", _hand_full, 224, 2.72e6, 0.005),
    ("mediapipe_hand_landmarks_lite", "MediaPipe hand landmarks, lite", _hand_lite, 224, 1.01e6, 0.08),
    ("mediapipe_selfie", "MediaPipe selfie segmentation", _selfie, 256, 0.106e6, 0.005),
):
    image_filter(
        _name,
        _network,
        title=_title,
        source=sources(__doc__),
        published=Published(parameters=int(_parameters), tolerance=_tolerance, source=_HUB),
        what="People, hands or their landmarks in an image.",
        size=_size,
    )


def _shared_layers(b: GraphBuilder, sides: Sequence[Tensor]) -> list[Tensor]:
    """(batch, 128) of each side, by the same eight layers."""
    size = (128,)
    dense = [layers.linear_weights(b, 128, 128 if place else 64, name=f"dense{place}") for place in range(8)]
    norms = []
    for place in range(7):
        with b.scope(f"bn{place}"):
            moments = (b.state("mean", size), b.state("variance", size))
            norms.append((b.weight("gamma", size), b.weight("beta", size), *moments))
    found = []
    for side in sides:
        x = b.add(Linear(), side, *dense[0])
        for norm, weights in zip(norms, dense[1:], strict=True):
            y = b.add(Linear(), layers.activation(b, b.add(BatchNorm(), x, *norm), "silu"), *weights)
            x = layers.add(b, x, y)
        found.append(x)
    return found


@workload(
    title="MediaPipe gesture classifier",
    source="quic/ai-hub-models, models/mediapipe_hand_gesture (052dc1f)",
    item="hand",
    published=Published(parameters=143_000, tolerance=0.01, source=_HUB),
)
def mediapipe_gestures(*, batch: int = 1, classes: int = 8) -> Graph:
    """Gesture of a hand: seven residual layers on the landmarks and on those mirrored, whose weights are shared.

    Args:
        batch: Hands at once.
        classes: Gestures told apart.
    """
    b = GraphBuilder("mediapipe_gestures")
    sides = [b.input(name, (batch, 64)) for name in ("hand", "mirrored_hand")]
    hand, mirrored = _shared_layers(b, sides)
    x = layers.add(b, hand, mirrored)
    x = layers.activation(b, layers.batch_norm(b, x, "out_bn"), "silu")
    x = layers.linear(b, x, 128, name="embedding")
    x = layers.multiply(b, x, b.weight("gamma", (128,)))
    x = layers.activation(b, layers.add(b, x, b.weight("beta", (128,))), "relu")
    x = b.add(Softmax(), layers.linear(b, x, classes, name="classes"))
    return b.build((x,), items=batch, item="hand")
