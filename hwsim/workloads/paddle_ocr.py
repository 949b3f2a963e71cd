"""PP-OCR's mobile networks of versions 4 and 5: where text stands, and what it says.

PP-LCNetV3 with merged convolutions, a pyramid of gated residuals and transposed convolutions, or two layers of
attention (Du et al. 2022, SVTR) before a classifier of each column. Layers as PaddlePaddle/PaddleOCR has them
(rec_lcnetv3.py, db_fpn.py, det_db_head.py, rnn.py), from memory, checked by their counts.
"""

from __future__ import annotations

from collections.abc import Sequence

from hwsim.graph.graph import GraphBuilder
from hwsim.graph.tensor import Tensor
from hwsim.operators.concat import Concat
from hwsim.operators.softmax import Softmax
from hwsim.workloads import image_layers, layers
from hwsim.workloads.backbones import resized
from hwsim.workloads.families import image_filter, image_network
from hwsim.workloads.layers import Pair
from hwsim.workloads.registry import Published
from hwsim.workloads.segmentation import transposed_conv

__all__: list[str] = []

_Block = tuple[int, int, Pair, bool]
"""Kernel, channels before scaling, stride, whether its means gate it."""
_FIND: Sequence[Sequence[_Block]] = (
    ((3, 32, 1, False),),
    ((3, 64, 2, False), (3, 64, 1, False)),
    ((3, 128, 2, False), (3, 128, 1, False)),
    ((3, 256, 2, False), *[(5, 256, 1, False)] * 4),
    ((5, 512, 2, True), (5, 512, 1, True), (5, 512, 1, False), (5, 512, 1, False)),
)
_READ: Sequence[Sequence[_Block]] = (
    ((3, 32, 1, False),),
    ((3, 64, 1, False), (3, 64, 1, False)),
    ((3, 128, (2, 1), False), (3, 128, 1, False)),
    ((3, 256, (1, 2), False), *[(5, 256, 1, False)] * 4),
    ((5, 512, (2, 1), True), (5, 512, 1, True), (5, 512, (2, 1), False), (5, 512, 1, False)),
)


def _affine(b: GraphBuilder, x: Tensor, name: str) -> Tensor:
    """X times a learned number plus another, behind an activation that keeps them from folding away."""
    with b.scope(name):
        y = layers.multiply(b, x, b.weight("scale", (1,)))
        return layers.add(b, y, b.weight("bias", (1,)))


def _activated(b: GraphBuilder, x: Tensor, name: str) -> Tensor:
    return _affine(b, layers.activation(b, x, "hardswish", name=f"{name}_act"), f"{name}_affine")


def _gated(b: GraphBuilder, x: Tensor, name: str = "se") -> Tensor:
    return layers.squeeze_excite(b, x, x.shape[1] // 4, act="relu", gate="hardsigmoid", name=name)


def _levels(b: GraphBuilder, image: Tensor, rows: Sequence[Sequence[_Block]], scale: float) -> list[Tensor]:
    x = layers.conv_bn_act(b, image, image_layers.rounded(16 * scale, divisor=16), 3, stride=2, act="", name="stem")
    found = []
    for stage, blocks in enumerate(rows):
        for place, (kernel, base, stride, gated) in enumerate(blocks):
            with b.scope(f"blocks{stage}.{place}"):
                width = x.shape[1]
                x = layers.conv_bn_act(b, x, width, kernel, stride=stride, groups=width, act="", name="depthwise")
                x = _activated(b, x, "depthwise") if stride != 2 else x
                x = _gated(b, x) if gated else x
                channels = image_layers.rounded(base * scale, divisor=16)
                x = _activated(b, layers.conv_bn_act(b, x, channels, 1, act="", name="point"), "point")
        found.append(x)
    return found


def _residual_gate(b: GraphBuilder, x: Tensor, channels: int, kernel: int, name: str) -> Tensor:
    with b.scope(name):
        x = layers.conv(b, x, channels, kernel, bias=False, name="conv")
        return layers.add(b, x, _gated(b, x))


def _find(b: GraphBuilder, image: Tensor) -> Tensor:
    """(batch, 1, height, width): how likely each pixel lies inside text."""
    levels = _levels(b, image, _FIND, 0.75)[1:]
    side = []
    for place, (level, width) in enumerate(zip(levels, (12, 18, 42, 360), strict=True)):
        x = layers.conv(b, level, width, 1, name=f"narrow{place}")
        side.append(_residual_gate(b, x, 96, 1, f"in{place}"))
    for place in (2, 1, 0):
        side[place] = layers.add(b, side[place], resized(b, side[place + 1], side[place].shape, mode="nearest"))
    made = [_residual_gate(b, x, 24, 3, f"out{place}") for place, x in enumerate(side)]
    x = b.add(Concat(1), *(resized(b, x, made[0].shape, mode="nearest") for x in reversed(made)))
    x = layers.conv_bn_act(b, x, 24, 3, name="head")
    x = layers.activation(b, layers.batch_norm(b, transposed_conv(b, x, 24, 2, 2, name="up0"), "up0_bn"), "relu")
    return layers.activation(b, transposed_conv(b, x, 1, 2, 2, name="up1"), "sigmoid")


def _read(b: GraphBuilder, image: Tensor, classes: int) -> Tensor:
    """(batch, columns, classes): a character, or none, for each column."""
    x = layers.pool(b, _levels(b, image, _READ, 0.95)[-1], "average", (3, 2))
    return _characters(b, x, (1, 3), 120, classes)


_FIRST: Sequence[_Block] = (
    (3, 64, 1, False),
    (3, 128, 1, False),
    (3, 128, 1, False),
    (3, 256, (2, 1), False),
    (3, 256, 1, False),
    (3, 512, (2, 1), False),
    *[(5, 512, 1, False)] * 5,
    (5, 1024, (2, 1), True),
    (5, 1024, (1, 2), True),
)


def _read_v3(b: GraphBuilder, image: Tensor, classes: int) -> Tensor:
    """The same on a MobileNet of half the width with gates in its last blocks."""
    x = layers.conv_bn_act(b, image, 16, 3, stride=2, act="hardswish", name="stem")
    for place, (kernel, base, stride, gated) in enumerate(_FIRST):
        with b.scope(f"block{place}"):
            width = x.shape[1]
            x = layers.conv_bn_act(b, x, width, kernel, stride=stride, groups=width, act="hardswish", name="depthwise")
            x = _gated(b, x) if gated else x
            x = layers.conv_bn_act(b, x, base // 2, 1, act="hardswish", name="point")
    return _characters(b, layers.pool(b, x, "average", 2), 3, 64, classes)


def _characters(b: GraphBuilder, x: Tensor, kernel: Pair, width: int, classes: int) -> Tensor:
    """(batch, columns, classes) of features one or a few rows high: two layers of attention beside them."""
    channels, side = x.shape[1], x.shape[2:]
    y = layers.conv_bn_act(b, x, channels // 8, kernel, act="silu", name="neck0")
    y = layers.conv_bn_act(b, y, 120, 1, act="silu", name="neck1")
    y = image_layers.to_sequence(b, y)
    for place in range(2):
        with b.scope(f"layer{place}"):
            z = layers.attention(b, layers.layer_norm(b, y, "norm1"), 8, packed=True)
            y = layers.add(b, y, z, name="add1")
            y = layers.add(b, y, layers.mlp(b, layers.layer_norm(b, y, "norm2"), 240, act="silu"), name="add2")
    y = image_layers.to_image(b, layers.layer_norm(b, y), side)
    y = layers.conv_bn_act(b, y, channels, 1, act="silu", name="neck2")
    y = layers.conv_bn_act(b, b.add(Concat(1), x, y), channels // 8, kernel, act="silu", name="neck3")
    y = image_layers.to_sequence(b, layers.conv_bn_act(b, y, width, 1, act="silu", name="neck4"))
    return b.add(Softmax(), layers.linear(b, y, classes, name="characters"))


image_filter(
    "pp_ocr_mobile_det",
    _find,
    title="PP-OCR mobile text detector (versions 4 and 5)",
    source="PaddlePaddle/PaddleOCR, PP-LCNetV3 x0.75, RSEFPN, DBHead (Liao et al. 2020, Differentiable Binarization)",
    published=Published(parameters=1_200_000, tolerance=0.1, source="hailo_model_zoo, public models: 1.2 M"),
    what="Where text stands in an image.",
    size=(544, 960),
)
image_network(
    "pp_ocr_mobile_rec",
    _read,
    title="PP-OCR mobile text reader (versions 4 and 5)",
    source="PaddlePaddle/PaddleOCR, PP-LCNetV3 x0.95; Du et al. 2022, SVTR",
    published=Published(parameters=4_100_000, macs=0.75e9, tolerance=0.1, source="hailo_model_zoo: 4.1 M, 0.75 GMAC"),
    what="Reads a line of text.",
    size=(48, 320),
    labels=18_385,
)
image_network(
    "pp_ocr_v3_rec",
    _read_v3,
    title="PP-OCRv3 text reader, English",
    source="PaddlePaddle/PaddleOCR, MobileNetV1Enhance x0.5 (rec_mv1_enhance.py); Du et al. 2022, SVTR",
    published=Published(parameters=2_150_000, tolerance=0.05, source="PaddleOCR, en_PP-OCRv3_rec: 8.6 MB, from memory"),
    what="Reads a line of text.",
    size=(48, 320),
    labels=97,
)
