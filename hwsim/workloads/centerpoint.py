"""CenterPoint on pillars: a lidar's points gathered in columns, drawn as an image from above, where objects are peaks.

Yin, Zhou and Kraehenbuehl 2021, Center-based 3D Object Detection and Tracking, section 4; Lang et al. 2019,
PointPillars, section 2; layers as tianweiy/CenterPoint has them (configs/nusc/pp, two PFN layers). quic/ai-hub-models
exports the heads of the first of six tasks, cars, alone (models/centerpoint/model.py).
"""

from __future__ import annotations

from hwsim.graph.graph import Graph, GraphBuilder
from hwsim.graph.tensor import Tensor
from hwsim.operators.concat import Concat
from hwsim.operators.div import Div
from hwsim.operators.exp import Exp
from hwsim.operators.reduce import ReduceAxes
from hwsim.operators.reshape import Reshape
from hwsim.operators.scatter_nd import ScatterNd
from hwsim.operators.split import Split
from hwsim.operators.sub import Sub
from hwsim.operators.tile import Tile
from hwsim.operators.transpose import Transpose
from hwsim.operators.trigonometric import Trigonometric
from hwsim.workloads import layers
from hwsim.workloads.registry import Published, workload
from hwsim.workloads.segmentation import transposed_conv

__all__ = ["centerpoint_pillars"]

_POINTS, _FIGURES, _CELLS, _WIDTH = 20, 5, 512, 64
_HEADS = (("reg", 2), ("height", 1), ("dim", 3), ("rot", 2), ("vel", 2), ("hm", 1))


def _pillars(b: GraphBuilder, points: Tensor, places: Tensor) -> Tensor:
    """(pillars, width): the maxima of what two layers make of each point and of its pillar."""
    count = points.shape[0]
    place, rest = b.add_all(Split(2, (3, _FIGURES - 3)), points, name="split")
    middle = b.add(ReduceAxes("mean", (1,), True), place, name="middle")
    centre = layers.multiply(b, places, b.state("cell", (2,)), name="centre")
    across = b.add_all(Split(2, (2, 1)), place, name="across")[0]
    off = b.add(Sub(), across, b.add(Reshape((count, 1, 2)), centre), name="off_centre")
    x = b.add(Concat(2), place, rest, b.add(Sub(), place, middle, name="off_middle"), off)
    x = layers.multiply(b, x, b.input("filled", (count, _POINTS, 1)), name="masked")
    for step in range(2):
        width = _WIDTH // 2 if step == 0 else _WIDTH
        x = layers.activation(b, layers.linear(b, x, width, name=f"pfn{step}"), "relu")
        most = b.add(ReduceAxes("max", (1,), True), x, name=f"most{step}")
        x = most if step else b.add(Concat(2), x, b.add(Tile((1, _POINTS, 1)), most))
    return b.add(Reshape((count, _WIDTH)), x)


def _from_above(b: GraphBuilder, pillars: Tensor, cells: Tensor) -> Tensor:
    """(1, width, cells, cells), empty but for the pillars."""
    canvas = b.state("canvas", (_CELLS * _CELLS, _WIDTH))
    x = b.add(ScatterNd(), canvas, cells, pillars)
    return b.add(Transpose((0, 3, 1, 2)), b.add(Reshape((1, _CELLS, _CELLS, _WIDTH)), x))


def _pyramid(b: GraphBuilder, x: Tensor) -> Tensor:
    """Three blocks, each at half the size of the one before, brought to the size of the second and joined."""
    found = []
    for place, (width, count) in enumerate(((64, 3), (128, 5), (256, 5))):
        with b.scope(f"block{place}"):
            for step in range(count + 1):
                x = layers.conv_bn_act(b, x, width, 3, stride=1 if step else 2, act="relu", name=f"conv{step}")
            if place == 0:
                y = layers.conv(b, x, 128, 2, stride=2, padding=0, bias=False, name="level")
            elif place == 1:
                y = layers.conv(b, x, 128, 1, bias=False, name="level")
            else:
                y = transposed_conv(b, x, 128, 2, 2, name="level")
            found.append(layers.activation(b, layers.batch_norm(b, y, "level_bn"), "relu"))
    return b.add(Concat(1), *found)


def _angle(b: GraphBuilder, x: Tensor) -> Tensor:
    """The angle of a sine and a cosine, (1, places, 2)."""
    sine, cosine = b.add_all(Split(2, (1, 1)), x, name="turn")
    return b.add(Trigonometric("atan"), b.add(Div(), sine, cosine, name="tangent"))


@workload(
    title="CenterPoint on PointPillars",
    source="Yin, Zhou and Kraehenbuehl 2021, Center-based 3D Object Detection and Tracking, section 4",
    item="scan",
    published=Published(
        parameters=21_800_000 - 16_777_216,
        tolerance=0.05,
        source="quic/ai-hub-models, model card: 21.8 M, of which 64 x 512 x 512 are the empty canvas",
    ),
)
def centerpoint_pillars(*, pillars: int = 5268) -> Graph:
    """Boxes of cars among the points of a lidar, seen from above (overlaps are not suppressed).

    Args:
        pillars: Columns of 0.2 m that hold points, up to 20 each.
    """
    b = GraphBuilder("centerpoint_pillars")
    points = b.input("voxels", (pillars, _POINTS, _FIGURES))
    x = _pillars(b, points, b.input("coordinates", (pillars, 2)))
    x = _pyramid(b, _from_above(b, x, b.input("cells", (pillars, 1), "int64")))
    x = layers.conv_bn_act(b, x, _WIDTH, 3, act="relu", name="shared")
    found = []
    for name, size in _HEADS:
        with b.scope(name):
            y = layers.conv(b, layers.conv_bn_act(b, x, _WIDTH, 3, act="relu", name="conv"), size, 3, name="out")
        y = layers.activation(b, y, "sigmoid") if name == "hm" else b.add(Exp(), y) if name == "dim" else y
        y = b.add(Reshape((1, -1, size)), b.add(Transpose((0, 2, 3, 1)), y, name=f"{name}_last"))
        found.append(_angle(b, y) if name == "rot" else y)
    return b.build([b.add(Concat(2), *found[:-1]), found[-1]], items=1, item="scan")
