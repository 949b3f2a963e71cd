"""YOLOv7 (Wang, Bochkovskiy and Liao 2022, YOLOv7: Trainable bag-of-freebies, cfg/deploy of the release)."""

from __future__ import annotations

from hwsim.graph.graph import GraphBuilder
from hwsim.graph.tensor import Tensor
from hwsim.operators.reshape import Reshape
from hwsim.operators.transpose import Transpose
from hwsim.workloads import layers
from hwsim.workloads import yolo_blocks as yolo
from hwsim.workloads.families import image_network
from hwsim.workloads.registry import Published
from hwsim.workloads.yolov5 import anchor_boxes

__all__: list[str] = []


def _elan(
    b: GraphBuilder, x: Tensor, hidden: int, inner: int, out: int, taken: tuple[int, ...], act: str, name: str
) -> Tensor:
    """Two pointwise paths, one through a chain of 3x3 convolutions; both and the ``taken`` links of it are joined."""
    with b.scope(name):
        parts = [yolo.conv(b, x, hidden, act=act, name="a"), yolo.conv(b, x, hidden, act=act, name="b")]
        y = parts[1]
        for place in range(max(taken) + 1):
            y = yolo.conv(b, y, inner, 3, act=act, name=f"c{place}")
            if place in taken:
                parts.append(y)
        return yolo.conv(b, yolo.join(b, *parts), out, act=act, name="out")


def _halve(b: GraphBuilder, x: Tensor, channels: int, name: str) -> Tensor:
    """Half the size by pooling and by a stride, beside each other."""
    with b.scope(name):
        pooled = yolo.conv(b, layers.pool(b, x, "max", 2), channels, name="a")
        strided = yolo.conv(b, yolo.conv(b, x, channels, name="b"), channels, 3, 2, name="c")
        return yolo.join(b, strided, pooled)


def _cross_pool(b: GraphBuilder, x: Tensor, channels: int, act: str, *, deep: bool) -> Tensor:
    """Pools of 5, 9 and 13 in one of two paths."""
    with b.scope("sppcspc"):
        y = yolo.conv(b, x, channels, act=act, name="cv1")
        if deep:
            y = yolo.conv(b, yolo.conv(b, y, channels, 3, act=act, name="cv3"), channels, act=act, name="cv4")
        pools = [layers.pool(b, y, "max", k, stride=1, padding=k // 2) for k in (5, 9, 13)]
        y = yolo.conv(b, yolo.join(b, y, *pools), channels, act=act, name="cv5")
        if deep:
            y = yolo.conv(b, y, channels, 3, act=act, name="cv6")
        other = yolo.conv(b, x, channels, act=act, name="cv2")
        return yolo.conv(b, yolo.join(b, y, other), channels, act=act, name="cv7")


def _yolov7(b: GraphBuilder, image: Tensor, classes: int) -> Tensor:
    """(batch, anchors, 5 + classes)."""
    yolo.check_size(image)
    act = "silu"
    x = yolo.conv(b, image, 32, 3, name="0")
    x = yolo.conv(b, yolo.conv(b, x, 64, 3, 2, name="1"), 64, 3, name="2")
    x = _elan(b, yolo.conv(b, x, 128, 3, 2, name="3"), 64, 64, 256, (1, 3), act, "p2")
    fine = _elan(b, _halve(b, x, 128, "down3"), 128, 128, 512, (1, 3), act, "p3")
    middle = _elan(b, _halve(b, fine, 256, "down4"), 256, 256, 1024, (1, 3), act, "p4")
    x = _elan(b, _halve(b, middle, 512, "down5"), 256, 256, 1024, (1, 3), act, "p5")
    coarse = _cross_pool(b, x, 512, act, deep=True)
    every = (0, 1, 2, 3)
    x = yolo.join(b, yolo.conv(b, middle, 256, name="route4"), yolo.up(b, yolo.conv(b, coarse, 256, name="up4")))
    second = _elan(b, x, 256, 128, 256, every, act, "n4")
    x = yolo.join(b, yolo.conv(b, fine, 128, name="route3"), yolo.up(b, yolo.conv(b, second, 128, name="up3")))
    small = _elan(b, x, 128, 64, 128, every, act, "n3")
    medium = _elan(b, yolo.join(b, _halve(b, small, 128, "n3_down"), second), 256, 128, 256, every, act, "n4b")
    large = _elan(b, yolo.join(b, _halve(b, medium, 256, "n4_down"), coarse), 512, 256, 512, every, act, "n5")
    levels = tuple(
        yolo.conv(b, x, 2 * x.shape[1], 3, name=f"rep{place}") for place, x in enumerate((small, medium, large))
    )
    return anchor_boxes(b, levels, 5 + classes)


def _yolov7_tiny(b: GraphBuilder, image: Tensor, classes: int) -> Tensor:
    """(batch, anchors, 5 + classes)."""
    yolo.check_size(image)
    act, taken = "leaky_relu", (0, 1)
    x = yolo.conv(b, yolo.conv(b, image, 32, 3, 2, act=act, name="0"), 64, 3, 2, act=act, name="1")
    found = []
    for place, hidden in enumerate((32, 64, 128, 256)):
        x = layers.pool(b, x, "max", 2) if place else x
        x = _elan(b, x, hidden, hidden, 2 * hidden, taken, act, f"p{place + 2}")
        found.append(x)
    _, fine, middle, x = found
    coarse = _cross_pool(b, x, 256, act, deep=False)
    route, top = (yolo.conv(b, y, 128, act=act, name=n) for y, n in ((middle, "route4"), (coarse, "up4")))
    second = _elan(b, yolo.join(b, route, yolo.up(b, top)), 64, 64, 128, taken, act, "n4")
    route, top = (yolo.conv(b, y, 64, act=act, name=n) for y, n in ((fine, "route3"), (second, "up3")))
    small = _elan(b, yolo.join(b, route, yolo.up(b, top)), 32, 32, 64, taken, act, "n3")
    x = yolo.join(b, yolo.conv(b, small, 128, 3, 2, act=act, name="n3_down"), second)
    medium = _elan(b, x, 64, 64, 128, taken, act, "n4b")
    x = yolo.join(b, yolo.conv(b, medium, 256, 3, 2, act=act, name="n4_down"), coarse)
    large = _elan(b, x, 128, 128, 256, taken, act, "n5")
    levels = tuple(
        yolo.conv(b, x, 2 * x.shape[1], 3, act=act, name=f"last{place}")
        for place, x in enumerate((small, medium, large))
    )
    return anchor_boxes(b, levels, 5 + classes)


def _down_both(b: GraphBuilder, x: Tensor, channels: int, name: str) -> Tensor:
    """Half the size by a stride and by pooling, half the channels each (DownC)."""
    with b.scope(name):
        strided = yolo.conv(b, yolo.conv(b, x, x.shape[1], name="cv1"), channels // 2, 3, 2, name="cv2")
        return yolo.join(b, strided, yolo.conv(b, layers.pool(b, x, "max", 2), channels // 2, name="cv3"))


def _yolov7_e6(b: GraphBuilder, image: Tensor, classes: int) -> Tensor:
    """(batch, anchors, 5 + classes) at strides 8 to 64; the stem takes 2 x 2 pixels as channels."""
    yolo.check_size(image, 64)
    batch, channels, height, width = image.shape
    x = b.add(Reshape((batch, channels, height // 2, 2, width // 2, 2)), image)
    x = b.add(Reshape((batch, 4 * channels, height // 2, width // 2)), b.add(Transpose((0, 3, 5, 1, 2, 4)), x))
    x = yolo.conv(b, x, 80, 3, name="1")
    act, every, back, levels = "silu", (0, 1, 2, 3, 4, 5), (320, 480, 640), []
    for place, (hidden, out) in enumerate(((64, 160), (128, 320), (256, 640), (384, 960), (512, 1280))):
        x = _elan(b, _down_both(b, x, out, f"down{place + 2}"), hidden, hidden, out, (1, 3, 5), act, f"p{place + 2}")
        levels.append(x)
    found = [_cross_pool(b, x, 640, act, deep=True)]
    for place, (width, hidden) in ((3, (480, 384)), (2, (320, 256)), (1, (160, 128))):
        route = yolo.conv(b, levels[place], width, name=f"route{place}")
        up = yolo.up(b, yolo.conv(b, found[0], width, name=f"up{place}"))
        found.insert(0, _elan(b, yolo.join(b, route, up), hidden, hidden // 2, width, every, act, f"n{place}"))
    for place, (width, hidden) in enumerate(zip(back, (256, 384, 512), strict=True)):
        x = yolo.join(b, _down_both(b, found[place], width, f"back{place}"), found[place + 1])
        found[place + 1] = _elan(b, x, hidden, hidden // 2, width, every, act, f"m{place}")
    ends = (yolo.conv(b, x, 2 * x.shape[1], 3, name=f"last{place}") for place, x in enumerate(found))
    return anchor_boxes(b, tuple(ends), 5 + classes)


for _name, _title, _network, _parameters, _gflop in (
    ("yolov7", "YOLOv7", _yolov7, 36.9e6, 104.7),
    ("yolov7_e6", "YOLOv7-E6", _yolov7_e6, 97.2e6, 515.2),
    ("yolov7_tiny", "YOLOv7-tiny", _yolov7_tiny, 6.23e6, 13.8),
):
    image_network(
        _name,
        _network,
        title=_title,
        source=f"Wang, Bochkovskiy and Liao 2022, YOLOv7, cfg/deploy/{_name.replace('_', '-')}.yaml",
        published=Published(
            parameters=int(_parameters),
            macs=_gflop / 2 * 1e9,
            tolerance=0.02,
            source=f"Wang, Bochkovskiy and Liao 2022, Table 1: {_gflop} GFLOP",
        ),
        what="Object detector (overlaps are not suppressed).",
        size=1280 if _name == "yolov7_e6" else 640,
        labels=80,
    )
