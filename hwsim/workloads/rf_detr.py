"""RF-DETR: DINOv2 whose blocks look at windows, but for every third, then a decoder that samples where queries point.

Robinson et al. 2025, RF-DETR: Neural Architecture Search for Real-Time Detection Transformers, Fig. 2; layers as
roboflow/rf-detr exports them (rfdetr/models, RFDETRBaseConfig). The decoder is that of LW-DETR (Chen et al. 2024), its
deformable attention (Zhu et al. 2021, Deformable DETR, Eq. 2) spelled out in gathers.
"""

from __future__ import annotations

from hwsim.errors import InputError
from hwsim.graph.graph import GraphBuilder
from hwsim.graph.tensor import Tensor
from hwsim.operators.add import Add
from hwsim.operators.clip import Clip
from hwsim.operators.concat import Concat
from hwsim.operators.exp import Exp
from hwsim.operators.gather import Gather
from hwsim.operators.gather_elements import GatherElements
from hwsim.operators.reduce import ReduceAxes
from hwsim.operators.reshape import Reshape
from hwsim.operators.rounding import Rounding
from hwsim.operators.slice import Slice
from hwsim.operators.softmax import Softmax
from hwsim.operators.split import Split
from hwsim.operators.sub import Sub
from hwsim.operators.tile import Tile
from hwsim.operators.topk import TopK
from hwsim.operators.transpose import Transpose
from hwsim.operators.trigonometric import Trigonometric
from hwsim.workloads import layers
from hwsim.workloads import yolo_blocks as yolo
from hwsim.workloads.families import image_network
from hwsim.workloads.registry import Published

__all__: list[str] = []

_PATCH, _WIDTH, _DEPTH, _HEADS, _WINDOWS = 14, 384, 12, 6, 4
_TAKEN = (2, 5, 8, 11)
_FEATURES, _QUERIES, _LAYERS, _HIDDEN = 256, 300, 3, 2048
_SELF_HEADS, _CROSS_HEADS, _POINTS = 8, 16, 2


def _blocks(b: GraphBuilder, image: Tensor) -> list[Tensor]:
    """Features (batch, width, rows, cols) after the blocks that see all windows, each of which has a class token."""
    batch, _, height, width = image.shape
    if height % (_PATCH * _WINDOWS) or width % (_PATCH * _WINDOWS):
        raise InputError(f"parameters 'height' and 'width' must be multiples of {_PATCH * _WINDOWS}")
    tall, wide = height // _PATCH // _WINDOWS, width // _PATCH // _WINDOWS
    x = layers.conv(b, image, _WIDTH, _PATCH, stride=_PATCH, padding=0, name="patches")
    x = layers.add(b, x, b.weight("positions", (1, _WIDTH, *x.shape[2:])))
    x = b.add(Reshape((batch, _WIDTH, _WINDOWS, tall, _WINDOWS, wide)), x)
    x = b.add(Reshape((-1, tall * wide, _WIDTH)), b.add(Transpose((0, 2, 4, 3, 5, 1)), x, name="windows"))
    token = b.weight("class_token", (1, 1, _WIDTH))
    x = b.add(Concat(1), b.add(Tile((x.shape[0], 1, 1)), token), x)
    found = []
    for place in range(_DEPTH):
        with b.scope(f"block{place}"):
            x = _block(b, x, batch if place in _TAKEN else 0)
            if place in _TAKEN:
                y = b.add(Slice(1, 1, x.shape[1]), layers.layer_norm(b, x, "norm"))
                y = b.add(Reshape((batch, _WINDOWS, _WINDOWS, tall, wide, _WIDTH)), y)
                y = b.add(Transpose((0, 5, 1, 3, 2, 4)), y, name="whole")
                found.append(b.add(Reshape((batch, _WIDTH, height // _PATCH, width // _PATCH)), y))
    return found


def _block(b: GraphBuilder, x: Tensor, images: int) -> Tensor:
    """Attention within windows, or within whole images where their number is given, then a perceptron."""
    y = layers.layer_norm(b, x, "norm1")
    whole = b.add(Reshape((images, -1, _WIDTH)), y, name="joined") if images else y
    y = layers.attention(b, whole, _HEADS)
    y = b.add(Reshape(x.shape), y, name="apart") if images else y
    x = layers.add(b, x, layers.multiply(b, y, b.weight("scale1", (_WIDTH,)), name="scale1"), name="add1")
    y = layers.mlp(b, layers.layer_norm(b, x, "norm2"), 4 * _WIDTH)
    return layers.add(b, x, layers.multiply(b, y, b.weight("scale2", (_WIDTH,)), name="scale2"), name="add2")


def _normalised(b: GraphBuilder, x: Tensor, name: str) -> Tensor:
    """Layer normalisation over the channels of an image."""
    y = layers.layer_norm(b, b.add(Transpose((0, 2, 3, 1)), x, name=f"{name}_last"), name)
    return b.add(Transpose((0, 3, 1, 2)), y, name=f"{name}_second")


def _conv(b: GraphBuilder, x: Tensor, channels: int, kernel: int, name: str) -> Tensor:
    x = layers.conv(b, x, channels, kernel, bias=False, name=name)
    return layers.activation(b, _normalised(b, x, f"{name}_norm"), "silu")


def _projected(b: GraphBuilder, levels: list[Tensor]) -> Tensor:
    """(batch, pixels, features): all levels joined, split in halves, a chain of 3x3 pairs on one, joined again."""
    half = _FEATURES // 2
    with b.scope("projector"):
        parts = list(b.add_all(Split(1, (half, half)), _conv(b, yolo.join(b, *levels), _FEATURES, 1, "cv1")))
        for step in range(3):
            parts.append(_conv(b, _conv(b, parts[-1], half, 3, f"m{step}.cv1"), half, 3, f"m{step}.cv2"))
        x = _normalised(b, _conv(b, yolo.join(b, *parts), _FEATURES, 1, "cv2"), "norm")
    return b.add(Transpose((0, 2, 1)), b.add(Reshape((*x.shape[:2], -1)), x))


def _dense(b: GraphBuilder, x: Tensor, *sizes: int, name: str) -> Tensor:
    for place, size in enumerate(sizes):
        x = layers.linear(b, x, size, name=f"{name}{place}")
        x = layers.activation(b, x, "relu") if place < len(sizes) - 1 else x
    return x


def _boxes(b: GraphBuilder, moved: Tensor, known: Tensor, name: str) -> Tensor:
    """Centres moved by shares of the sizes of known boxes, whose sizes grow by exponentials; (batch, n, 4)."""
    with b.scope(name):
        centre, size = b.add_all(Split(2, (2, 2)), known, name="known")
        shift, growth = b.add_all(Split(2, (2, 2)), moved, name="moved")
        centre = layers.add(b, layers.multiply(b, shift, size, name="shift"), centre, name="centre")
        return b.add(Concat(2), centre, layers.multiply(b, b.add(Exp(), growth), size, name="size"))


def _chosen(b: GraphBuilder, memory: Tensor, classes: int) -> Tensor:
    """Boxes (batch, queries, 4) of the pixels that look most like an object."""
    batch, pixels, _ = memory.shape
    with b.scope("first_stage"):
        valid = layers.multiply(b, memory, b.state("valid", (1, pixels, 1)), name="masked")
        x = layers.layer_norm(b, layers.linear(b, valid, _FEATURES, name="output"), "norm")
        scores = b.add(ReduceAxes("max", (2,), False), layers.linear(b, x, classes, name="class"))
        boxes = _boxes(b, _dense(b, x, _FEATURES, _FEATURES, 4, name="box"), b.state("grid", (1, pixels, 4)), "boxes")
        _, best = b.add_all(TopK(_QUERIES, 1), scores, name="best")
        index = b.add(Tile((1, 1, 4)), b.add(Reshape((batch, _QUERIES, 1)), best))
        return b.add(GatherElements(1), boxes, index, name="picked")


def _sampled(b: GraphBuilder, values: Tensor, places: Tensor, size: tuple[int, int]) -> Tensor:
    """(maps, samples, dim): rows of values (maps pixels, dim) between the four pixels next to each place."""
    maps, samples, _ = places.shape
    near, share = [], []
    for axis, (at, extent) in enumerate(zip(b.add_all(Split(2, (1, 1)), places, name="axes"), size[::-1], strict=True)):
        first = b.add(Rounding("floor"), at, name=f"floor{axis}")
        second = layers.add(b, first, b.state(f"one{axis}", (1,)), name=f"next{axis}")
        near.append([b.add(Clip(low=0.0, high=extent - 1.0), each) for each in (first, second)])
        right = b.add(Sub(), at, first, name=f"share{axis}")
        share.append((b.add(Sub(), b.state(f"whole{axis}", (1,)), right, name=f"rest{axis}"), right))
    base, row = b.state("base", (maps, 1, 1)), b.state("row", (1,))
    parts = []
    for down in range(2):
        line = layers.add(b, layers.multiply(b, near[1][down], row, name="line"), base, name="map")
        for across in range(2):
            index = b.add(Reshape((maps, samples)), layers.add(b, line, near[0][across], name="index"))
            weight = layers.multiply(b, share[1][down], share[0][across], name="weight")
            parts.append(layers.multiply(b, b.add(Gather(0), values, index, name="gathered"), weight, name="weighted"))
    upper, lower = (b.add(Add(), *parts[place : place + 2]) for place in (0, 2))
    return b.add(Add(), upper, lower, name="interpolated")


def _pointed(b: GraphBuilder, x: Tensor, memory: Tensor, boxes: Tensor, size: tuple[int, int]) -> Tensor:
    """Each head of each query reads a few places near its box, and weighs them (deformable attention)."""
    batch, pixels, _ = memory.shape
    maps, samples, dim = batch * _CROSS_HEADS, _QUERIES * _POINTS, _FEATURES // _CROSS_HEADS
    with b.scope("cross"):
        values = b.add(Reshape((batch, pixels, _CROSS_HEADS, dim)), layers.linear(b, memory, _FEATURES, name="value"))
        values = b.add(Reshape((maps * pixels, dim)), b.add(Transpose((0, 2, 1, 3)), values, name="maps"))
        offsets = layers.linear(b, x, 2 * _CROSS_HEADS * _POINTS, name="offsets")
        offsets = b.add(Reshape((batch, _QUERIES, _CROSS_HEADS * _POINTS, 2)), offsets)
        apart = b.add(Reshape((batch, _QUERIES, 1, 4)), boxes)
        centre, extent = b.add_all(Split(3, (2, 2)), apart, name="box")
        places = layers.add(b, layers.multiply(b, offsets, extent, name="far"), centre, name="places")
        places = layers.multiply(b, places, b.state("pixels", (2,)), name="in_pixels")
        places = b.add(Reshape((batch, _QUERIES, _CROSS_HEADS, 2 * _POINTS)), places)
        places = b.add(Reshape((maps, samples, 2)), b.add(Transpose((0, 2, 1, 3)), places, name="by_head"))
        found = _sampled(b, values, places, size)
        weights = layers.linear(b, x, _CROSS_HEADS * _POINTS, name="weights")
        weights = b.add(Softmax(), b.add(Reshape((batch, _QUERIES, _CROSS_HEADS, _POINTS)), weights))
        weights = b.add(Reshape((maps, samples, 1)), b.add(Transpose((0, 2, 1, 3)), weights, name="weights_by_head"))
        y = b.add(Reshape((maps, _QUERIES, _POINTS, dim)), layers.multiply(b, found, weights, name="weighed"))
        y = b.add(Reshape((batch, _CROSS_HEADS, _QUERIES, dim)), b.add(ReduceAxes("sum", (2,), False), y))
        y = b.add(Reshape((batch, _QUERIES, _FEATURES)), b.add(Transpose((0, 2, 1, 3)), y, name="merge"))
        return layers.linear(b, y, _FEATURES, name="out")


def _located(b: GraphBuilder, boxes: Tensor) -> Tensor:
    """Queries' places (batch, queries, features): sines and cosines of the four numbers of a box, then a perceptron."""
    half = _FEATURES // 4
    with b.scope("places"):
        spread = layers.multiply(
            b, b.add(Reshape((*boxes.shape, 1)), boxes), b.state("frequencies", (half,)), name="angles"
        )
        waves = b.add(Concat(3), *(b.add(Trigonometric(kind), spread) for kind in ("sin", "cos")))
        x = b.add(Reshape((boxes.shape[0], _QUERIES, 8 * half)), waves)
        return _dense(b, x, _FEATURES, _FEATURES, name="query")


def _network(b: GraphBuilder, image: Tensor, classes: int) -> tuple[Tensor, Tensor]:
    """Boxes (batch, 300, 4) and scores (batch, 300, classes)."""
    levels = _blocks(b, image)
    memory = _projected(b, levels)
    known = _boxes(b, b.weight("references", (1, _QUERIES, 4)), _chosen(b, memory, classes), "references")
    place = _located(b, known)
    x = b.add(Tile((image.shape[0], 1, 1)), b.weight("queries", (1, _QUERIES, _FEATURES)))
    size = (levels[0].shape[2], levels[0].shape[3])
    for step in range(_LAYERS):
        with b.scope(f"decoder{step}"):
            asked = layers.add(b, x, place, name="self_place")
            y = layers.attention(b, asked, _SELF_HEADS, name="self")
            x = layers.layer_norm(b, layers.add(b, x, y), "norm1")
            y = _pointed(b, layers.add(b, x, place, name="cross_place"), memory, known, size)
            x = layers.layer_norm(b, layers.add(b, x, y), "norm2")
            x = layers.layer_norm(b, layers.add(b, x, layers.mlp(b, x, _HIDDEN, act="relu")), "norm3")
    x = layers.layer_norm(b, x, "norm")
    return _boxes(b, _dense(b, x, _FEATURES, _FEATURES, 4, name="box"), known, "boxes"), layers.linear(
        b, x, classes, name="class"
    )


image_network(
    "rf_detr_base",
    _network,
    title="RF-DETR Base",
    source="Robinson et al. 2025, RF-DETR, Fig. 2; roboflow/rf-detr, RFDETRBaseConfig",
    published=Published(
        parameters=29_000_000,
        tolerance=0.02,
        source="roboflow/rf-detr README: 29.0 M",
    ),
    what="Object detector without anchors and suppression.",
    size=560,
    minimum=280,
    labels=91,
)
