"""Maps of the surroundings of a car from its six cameras: cross-view transformers and geometry-guided kernels.

Sources: Zhou and Kraehenbuehl 2022, Cross-view Transformers, Figs. 2 and 3 (bradyz/cross_view_transformers at 4de6e64);
Chen et al. 2022, Geometry-guided Kernel Transformer, Fig. 2 (hustvl/GKT at 104c27f), both on an EfficientNet-B4.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from hwsim.graph.graph import Graph, GraphBuilder
from hwsim.graph.tensor import Tensor
from hwsim.operators.add import Add
from hwsim.operators.clip import Clip
from hwsim.operators.concat import Concat
from hwsim.operators.div import Div
from hwsim.operators.gather import Gather
from hwsim.operators.matmul import Matmul
from hwsim.operators.pad import Pad
from hwsim.operators.reduce import ReduceAxes
from hwsim.operators.reshape import Reshape
from hwsim.operators.softmax import Softmax
from hwsim.operators.split import Split
from hwsim.operators.sub import Sub
from hwsim.operators.transpose import Transpose
from hwsim.operators.upsample import Resize
from hwsim.operators.where import Where
from hwsim.workloads import layers
from hwsim.workloads.backbones import resized
from hwsim.workloads.efficientnet import EfficientNet
from hwsim.workloads.registry import WORKLOADS, Published, define, sources

__all__: list[str] = []

_CAMERAS, _SIDE, _WIDTH, _HEADS = 6, 25, 128, 4
_DIM = _WIDTH // _HEADS
_PLACES = _SIDE * _SIDE
_BLOCKS = (3, 11)
"""Blocks of EfficientNet-B4 whose features are read: strides of 4 and 16."""
_POINTS = 7
"""Pixels of a kernel around each place of the map."""


@dataclass(frozen=True, slots=True)
class _Rig:
    """Matrices of the cameras (batch x 6, ...): from pixels to rays, to the car, and back."""

    inward: Tensor
    outward: Tensor
    centre: Tensor
    projection: Tensor | None = None


def _unit(b: GraphBuilder, x: Tensor, axis: int, name: str) -> Tensor:
    """X over its length along an axis."""
    length = b.add(Add(), b.add(ReduceAxes("l2", (axis,), True), x), b.state(f"{name}.least", (1,)))
    return b.add(Div(), x, length, name=name)


def _rays(b: GraphBuilder, rig: _Rig, tall: int, wide: int) -> Tensor:
    """(cameras, 4, height, width): where each pixel looks."""
    plane = b.state("plane", (1, 3, tall * wide))
    rays = b.add(Pad(((0, 0), (0, 1), (0, 0)), value=1.0), b.add(Matmul(), rig.inward, plane))
    return b.add(Reshape((rig.inward.shape[0], 4, tall, wide)), b.add(Matmul(), rig.outward, rays))


def _asked(b: GraphBuilder, centre: Tensor, x: Tensor) -> Tensor:
    """(cameras, places, width): the map's features, each turned towards each camera."""
    grid = b.state("grid", (1, 2, _SIDE, _SIDE))
    y = b.add(Sub(), layers.conv(b, grid, _WIDTH, 1, name="bev_embed"), centre)
    y = layers.add(b, _unit(b, y, 1, "bev"), x, name="asked")
    y = b.add(Reshape((y.shape[0], _WIDTH, _PLACES)), y)
    return b.add(Transpose((0, 2, 1)), y)


def _centre(b: GraphBuilder, rig: _Rig) -> Tensor:
    return layers.conv(b, rig.centre, _WIDTH, 1, bias=False, name="cam_embed")


def _projected(b: GraphBuilder, x: Tensor, name: str) -> Tensor:
    return layers.linear(b, layers.layer_norm(b, x, f"{name}_norm"), _WIDTH, name=name)


def _finished(b: GraphBuilder, made: Tensor, x: Tensor) -> Tensor:
    """(batch, width, side, side): what was attended to, the map itself and a perceptron between norms."""
    skip = b.add(Transpose((0, 2, 1)), b.add(Reshape((x.shape[0], _WIDTH, _PLACES)), x))
    y = layers.layer_norm(b, layers.add(b, layers.linear(b, made, _WIDTH, name="proj"), skip), "prenorm")
    y = layers.layer_norm(b, layers.add(b, y, layers.mlp(b, y, 2 * _WIDTH)), "postnorm")
    return b.add(Reshape(x.shape), b.add(Transpose((0, 2, 1)), y))


def _cross_view(b: GraphBuilder, x: Tensor, features: Tensor, rig: _Rig) -> Tensor:
    """Each place of the map attends to all pixels of all cameras (Fig. 3)."""
    cameras, _, tall, wide = features.shape
    batch, pixels = cameras // _CAMERAS, tall * wide
    centre = _centre(b, rig)
    rays = layers.conv(b, _rays(b, rig, tall, wide), _WIDTH, 1, bias=False, name="img_embed")
    rays = _unit(b, b.add(Sub(), rays, centre), 1, "ray")
    made = []
    for name in ("key", "value"):
        y = layers.activation(b, layers.batch_norm(b, features, f"{name}_bn"), "relu")
        y = layers.conv(b, y, _WIDTH, 1, bias=False, name=f"{name}_features")
        y = layers.add(b, rays, y, name="placed") if name == "key" else y
        made.append(b.add(Transpose((0, 2, 1)), b.add(Reshape((cameras, _WIDTH, pixels)), y)))
    q = layers.split_heads(b, _projected(b, _asked(b, centre, x), "q"), _HEADS, name="q_heads")
    k = layers.split_heads(b, _projected(b, made[0], "k"), _HEADS, name="k_heads")
    v = b.add(Reshape((batch, _CAMERAS * pixels, _WIDTH)), made[1])
    v = layers.split_heads(b, _projected(b, v, "v"), _HEADS, name="v_heads")
    scores = layers.multiply(b, b.add(Matmul(transpose_b=True), q, k, name="scores"), b.state("scale", (1,)))
    scores = b.add(Reshape((batch, _CAMERAS, _HEADS, _PLACES, pixels)), scores)
    scores = b.add(Transpose((0, 2, 3, 1, 4)), scores, name="all_cameras")
    scores = b.add(Softmax(), b.add(Reshape((batch, _HEADS, _PLACES, _CAMERAS * pixels)), scores))
    return _finished(b, layers.merge_heads(b, b.add(Matmul(), scores, v, name="values")), x)


def _indices(b: GraphBuilder, rig: _Rig) -> tuple[Tensor, Tensor]:
    """Rows of pixels around where each place of the map lies in each camera, and whether it lies there at all."""
    assert rig.projection is not None
    cameras = rig.projection.shape[0]
    points = b.state("points", (1, _PLACES, 1, 4))
    seen = layers.multiply(b, b.add(Reshape((cameras, 1, 4, 4)), rig.projection), points, name="projected")
    seen = b.add(ReduceAxes("sum", (3,)), seen)
    across, depth, _ = b.add_all(Split(2, (2, 1, 1)), seen)
    across = b.add(Div(), across, b.add(Clip(low=1e-5), depth), name="perspective")
    inside = b.add(ReduceAxes("min", (2,), True), b.add(Clip(low=0.0, high=1.0), across, name="inside"))
    places = layers.multiply(b, across, b.state("size", (2,)), name="pixels")
    places = b.add(Add(), b.add(Reshape((cameras, _PLACES, 1, 2)), places), b.state("offsets", (1, 1, _POINTS, 2)))
    rows = b.add(ReduceAxes("sum", (3,)), b.add(Clip(low=0.0, high=1e6), places, name="clamped"))
    return b.add(Reshape((-1,)), rows), inside


def _kernels(b: GraphBuilder, x: Tensor, features: Tensor, rig: _Rig) -> Tensor:
    """Each place of the map attends to seven pixels a camera, those around where it is seen (Fig. 2)."""
    cameras, channels, tall, wide = features.shape
    batch, seen = cameras // _CAMERAS, _CAMERAS * _PLACES
    centre = _centre(b, rig)
    y = layers.conv(b, features, channels, (1, _POINTS), name="kernel")
    y = b.add(Transpose((0, 2, 3, 1)), b.add(Concat(1), y, _rays(b, rig, tall, wide)))
    rows, inside = _indices(b, rig)
    y = b.add(Gather(0), b.add(Reshape((cameras * tall * wide, channels + 4)), y), rows, name="sampled")
    y = b.add(Reshape((cameras, _PLACES, _POINTS, channels + 4)), y)
    features, rays = b.add_all(Split(3, (channels, 4)), y)
    rays = layers.linear(b, rays, _WIDTH, bias=False, name="img_embed")
    rays = _unit(b, b.add(Sub(), rays, b.add(Reshape((cameras, 1, 1, _WIDTH)), centre)), 3, "ray")
    made = []
    for name in ("key", "value"):
        y = layers.activation(b, layers.layer_norm(b, features, f"{name}_bn"), "relu")
        made.append(layers.linear(b, y, _WIDTH, bias=False, name=f"{name}_features"))
    keys = _projected(b, layers.add(b, rays, made[0], name="placed"), "k")
    q = b.add(
        Transpose((0, 3, 1, 2)), b.add(Reshape((batch, seen, 1, _WIDTH)), _projected(b, _asked(b, centre, x), "q"))
    )
    k = b.add(Transpose((0, 3, 1, 2)), b.add(Reshape((batch, seen, _POINTS, _WIDTH)), keys))
    v = b.add(Reshape((batch, seen, _POINTS, _WIDTH)), _projected(b, made[1], "v"))
    v = b.add(Reshape((batch, _HEADS, _DIM, -1, _PLACES)), b.add(Transpose((0, 3, 2, 1)), v))
    q, k = (b.add(Reshape((batch, _HEADS, _DIM, seen, -1)), part) for part in (q, k))
    scores = b.add(ReduceAxes("sum", (2,)), layers.multiply(b, q, k, name="scores"))
    scores = b.add(Reshape((batch, _HEADS, _CAMERAS, _PLACES, _POINTS)), scores)
    scores = b.add(Transpose((0, 1, 3, 4, 2)), scores)
    hidden = b.add(Transpose((0, 3, 2, 1)), b.add(Reshape((batch, _CAMERAS, _PLACES, 1)), inside))
    hidden = b.add(Reshape((batch, 1, _PLACES, 1, _CAMERAS)), hidden)
    scores = b.add(Where(), hidden, scores, b.state("never", (1,)), name="masked")
    scores = b.add(Softmax(), b.add(Reshape((batch, _HEADS, _PLACES, -1)), scores))
    shares = b.add(Reshape((batch, _HEADS, 1, -1, _PLACES)), b.add(Transpose((0, 1, 3, 2)), scores))
    y = b.add(ReduceAxes("sum", (3,)), layers.multiply(b, shares, v, name="values"))
    y = b.add(Transpose((0, 2, 1)), b.add(Reshape((batch, _WIDTH, _PLACES)), y))
    return _finished(b, y, x)


def _refined(b: GraphBuilder, x: Tensor, name: str) -> Tensor:
    """Two bottlenecks of a ResNet."""
    for place in range(2):
        with b.scope(f"{name}.{place}"):
            y = layers.conv_bn_act(b, x, _WIDTH // 4, 1, name="conv1")
            y = layers.conv_bn_act(b, y, _WIDTH // 4, 3, name="conv2")
            y = layers.conv_bn_act(b, y, _WIDTH, 1, act="", name="conv3")
            x = layers.activation(b, layers.add(b, y, x), "relu")
    return x


def _decoded(b: GraphBuilder, x: Tensor, outputs: int) -> Tensor:
    """Scores of a map eight times as large."""
    y = x
    for place, channels in enumerate((128, 128, 64)):
        with b.scope(f"decoder{place}"):
            y = b.add(Resize(scales=(2, 2), mode="bilinear"), y)
            y = layers.conv_bn_act(b, y, channels // 2, 3, name="conv1")
            y = layers.conv_bn_act(b, y, channels, 1, act="", name="conv2")
            skip = resized(b, layers.conv(b, x, channels, 1, name="skip"), y.shape, mode="nearest")
            y = layers.activation(b, layers.add(b, y, skip), "relu")
    y = layers.conv_bn_act(b, y, 64, 3, name="logits0")
    return layers.conv(b, y, outputs, 1, name="logits1")


_Views = Callable[[GraphBuilder, Tensor, Tensor, _Rig], Tensor]


def _workload(name: str, views: _Views, outputs: int, projected: bool) -> Callable[..., Graph]:
    def build(*, batch: int = 1, height: int = 224, width: int = 480) -> Graph:
        b = GraphBuilder(name)
        cameras = batch * _CAMERAS
        image = b.input("image", (cameras, 3, height, width))
        shapes = {"inward": (cameras, 3, 3), "outward": (cameras, 4, 4), "centre": (cameras, 4, 1, 1)}
        shapes |= {"projection": (cameras, 4, 4)} if projected else {}
        rig = _Rig(**{key: b.input(key, shape) for key, shape in shapes.items()})
        x = layers.multiply(b, b.add(Sub(), image, b.state("means", (3, 1, 1))), b.state("deviations", (3, 1, 1)))
        levels: Sequence[Tensor] = EfficientNet(1.4, 1.8).levels(b, x, _BLOCKS)
        x = b.add(Reshape((1, _WIDTH, _SIDE, _SIDE)), b.weight("map", (_WIDTH, _SIDE, _SIDE)))
        for place, features in enumerate(levels):
            with b.scope(f"view{place}"):
                x = views(b, x, features, rig)
            x = _refined(b, x, f"layer{place}")
        return b.build([_decoded(b, x, outputs)], items=batch, item="scene")

    build.__name__ = name
    build.__module__ = __name__
    build.__doc__ = """Where vehicles are on a map of 200 x 200 places around a car, from its six cameras.

Args:
    batch: Scenes at once.
    height: Height of a camera's image in pixels.
    width: Width of a camera's image in pixels.
"""
    return build


for _name, _title, _views, _outputs, _projected_too, _parameters in (
    ("cross_view_transformer", "Cross-view transformer", _cross_view, 1, False, 1.1e6),
    ("geometry_kernel_transformer", "Geometry-guided kernel transformer", _kernels, 2, True, 1.18e6),
):
    WORKLOADS.add(
        define(
            _workload(_name, _views, _outputs, _projected_too),
            title=_title,
            source=sources(__doc__),
            item="scene",
            minimum={"height": 64, "width": 64},
            maximum={"batch": 1},
            published=Published(
                parameters=int(_parameters),
                tolerance=0.02,
                source="Zhou and Kraehenbuehl 2022, Table 1; quic/ai-hub-models, gkt",
            ),
        )
    )
