"""BoTNets, HaloNets and LambdaNetworks in timm's own recipes: what mixes positions in a bottleneck, by its names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from hwsim.graph.graph import GraphBuilder
from hwsim.graph.tensor import Tensor
from hwsim.operators.embedding import Embedding
from hwsim.operators.expand import Expand
from hwsim.operators.matmul import Matmul
from hwsim.operators.mul import Mul
from hwsim.operators.pad import Pad
from hwsim.operators.reshape import Reshape
from hwsim.operators.slice import Slice
from hwsim.operators.softmax import Softmax
from hwsim.operators.split import Split
from hwsim.operators.transpose import Transpose
from hwsim.operators.unfold import Unfold
from hwsim.workloads import layers
from hwsim.workloads.families import ImageFamily, Sized
from hwsim.workloads.timm.own_blocks import OwnBlocks

__all__ = ["FAMILIES", "BottleneckAttention", "HaloAttention", "Lambda"]

_TURNED = Transpose((0, 2, 1))


def _line(b: GraphBuilder, q: Tensor, seen: int, name: str) -> Tensor:
    """(batch, lines, seen, side, seen): scores by distance of q (batch, lines, side, dim) along its third axis.

    Products with each distance, shifted into place by two borders (Bello et al. 2019, Attention Augmented
    Convolutional Networks, section 3.1); the same for each of ``seen`` positions of the other axis.
    """
    batch, lines, side, _ = q.shape
    rows = 2 * seen - 1
    x = b.add(Reshape((batch * lines, side, rows)), layers.linear(b, q, rows, bias=False, name=name))
    x = b.add(Pad(((0, 0), (0, 0), (0, 1))), x, name=f"{name}_pad")
    x = b.add(Pad(((0, 0), (0, rows - side))), b.add(Reshape((batch * lines, -1)), x), name=f"{name}_shift")
    x = b.add(Slice(1, 0, side), b.add(Reshape((batch * lines, side + 1, rows)), x))
    x = b.add(Slice(2, seen - 1, None), x)
    return b.add(Expand((batch, lines, seen, side, seen)), b.add(Reshape((batch, lines, 1, side, seen)), x))


def _distances(b: GraphBuilder, q: Tensor, seen: int) -> Tensor:
    """(batch, height width, seen seen) of q (batch, height, width, dim)."""
    batch, height, width, _ = q.shape
    across = b.add(Transpose((0, 1, 3, 2, 4)), _line(b, q, seen, "width"))
    down = _line(b, b.add(Transpose((0, 2, 1, 3)), q), seen, "height")
    y = layers.add(b, b.add(Transpose((0, 3, 1, 4, 2)), down), across, name="distances")
    return b.add(Reshape((batch, height * width, seen * seen)), y)


def _weighed(b: GraphBuilder, q: Tensor, k: Tensor, v: Tensor, distances: Tensor) -> Tensor:
    """Values by the softmax of scaled scores and distances, kernel by kernel; k lies as products read it."""
    scores = b.add(Mul(q.shape[-1] ** -0.5), b.add(Matmul(), q, k, name="scores"), name="scaled")
    scores = layers.add(b, scores, distances, name="biased")
    return b.add(Matmul(), b.add(Softmax(), scores), v, name="values")


@dataclass(frozen=True, slots=True, kw_only=True)
class BottleneckAttention:
    """Attention over all positions in four heads; ``head``: features of q and k in each (0: those of v)."""

    head: int = 0

    def __call__(self, b: GraphBuilder, x: Tensor, stride: int) -> Tensor:
        """What it makes of features (batch, channels, height, width), pooled by the stride (Srinivas et al. 2021)."""
        batch, channels, height, width = x.shape
        inner = 4 * self.head if self.head else channels
        qkv = layers.conv(b, x, 2 * inner + channels, 1, bias=False, name="qkv")
        q, k, v = (
            b.add(Reshape((batch * 4, part.shape[1] // 4, -1)), part)
            for part in b.add_all(Split(1, (inner, inner, channels)), qkv)
        )
        q, v = b.add(_TURNED, q, name="q"), b.add(_TURNED, v, name="v")
        distances = _distances(b, b.add(Reshape((batch * 4, height, width, inner // 4)), q), height)
        y = b.add(_TURNED, _weighed(b, q, k, v, distances), name="back")
        y = b.add(Reshape((batch, channels, height, width)), y)
        return layers.pool(b, y, "average", 2, name="pool") if stride > 1 else y


@dataclass(frozen=True, slots=True, kw_only=True)
class HaloAttention:
    """Attention of blocks to themselves and a border around them (Vaswani et al. 2021, HaloNet, section 3.1).

    ``head``: features of q and k in each head (0: the share ``ratio`` of those of v). Strides are those of queries, or
    of a pool where they do not divide a block.
    """

    block: int = 8
    halo: int = 3
    heads: int = 8
    head: int = 0
    ratio: float = 1.0

    def __call__(self, b: GraphBuilder, x: Tensor, stride: int) -> Tensor:
        """What it makes of features (batch, channels, height, width)."""
        batch, channels, height, width = x.shape
        pooled = stride > 1 and self.block % stride > 0
        step = 1 if pooled else stride
        side, window = self.block // step, self.block + 2 * self.halo
        dim = self.head or layers.divisible(channels * self.ratio) // self.heads
        dim_v, count = channels // self.heads, batch * self.heads
        down, across = height // self.block, width // self.block
        q = layers.conv(b, x, dim * self.heads, 1, stride=step, bias=False, name="q")
        q = b.add(Reshape((count * dim, down, side, across, side)), q)
        q = b.add(Reshape((count, dim, side * side, down * across)), b.add(Transpose((0, 2, 4, 1, 3)), q, name="cut"))
        q = b.add(Transpose((0, 3, 2, 1)), q, name="q_last")
        kv = layers.conv(b, x, (dim + dim_v) * self.heads, 1, bias=False, name="kv")
        border = (self.halo, self.halo)
        kv = b.add(Pad(((0, 0), (0, 0), border, border)), kv, name="halo")
        kv = b.add(Unfold((window, window), (self.block, self.block)), kv, name="windows")
        kv = b.add(Reshape((count, dim + dim_v, window * window, down * across)), kv)
        kv = b.add(Transpose((0, 3, 2, 1)), kv, name="kv_last")
        k, v = b.add_all(Split(-1, (dim, dim_v)), kv)
        distances = _distances(b, b.add(Reshape((-1, side, side, dim)), q), window)
        distances = b.add(Reshape((count, down * across, side * side, window * window)), distances)
        y = _weighed(b, q, b.add(Transpose((0, 1, 3, 2)), k, name="k_turned"), v, distances)
        y = b.add(Transpose((0, 3, 2, 1)), y, name="blocks_last")
        y = b.add(Reshape((count * dim_v, side, side, down, across)), y)
        y = b.add(Transpose((0, 3, 1, 4, 2)), y, name="joined")
        y = b.add(Reshape((batch, channels, height // step, width // step)), y)
        return layers.pool(b, y, "average", 2, name="pool") if pooled else y


@dataclass(frozen=True, slots=True, kw_only=True)
class Lambda:
    """Four queries read a linear map made of all positions and of those around (Bello 2021, LambdaNetworks, Fig. 3).

    ``side``: of the convolution over values that makes the second, 0 for a product with an embedding of each distance.
    """

    side: int = 9
    dim: int = 16

    def __call__(self, b: GraphBuilder, x: Tensor, stride: int) -> Tensor:
        """What it makes of features (batch, channels, height, width), pooled by the stride."""
        batch, channels, height, width = x.shape
        dim, dim_v, seq = self.dim, channels // 4, height * width
        qkv = layers.conv(b, x, 5 * dim + dim_v, 1, bias=False, name="qkv")
        q, k, v = b.add_all(Split(1, (4 * dim, dim, dim_v)), qkv)
        q = b.add(Reshape((batch, 4, dim, seq)), layers.batch_norm(b, q, name="q_bn"))
        q = b.add(Transpose((0, 1, 3, 2)), q, name="q_turned")
        v = b.add(_TURNED, b.add(Reshape((batch, dim_v, seq)), layers.batch_norm(b, v, name="v_bn")), name="v_turned")
        k = b.add(Softmax(), b.add(Reshape((batch, dim, seq)), k))
        content = b.add(Reshape((batch, 1, dim, dim_v)), b.add(Matmul(), k, v, name="content"))
        content = b.add(Matmul(), q, content, name="content_read")
        around = self._around(b, v, (height, width))
        position = b.add(Matmul(), b.add(Reshape((batch, 4, seq, 1, dim)), q), around, name="position_read")
        y = layers.add(b, content, b.add(Reshape((batch, 4, seq, dim_v)), position), name="both")
        y = b.add(Reshape((batch, channels, height, width)), b.add(Transpose((0, 1, 3, 2)), y, name="back"))
        return layers.pool(b, y, "average", 2, name="pool") if stride > 1 else y

    def _around(self, b: GraphBuilder, v: Tensor, side: tuple[int, int]) -> Tensor:
        """(batch, 1, seq, dim, dim_v)."""
        batch, seq, dim_v = v.shape
        if not self.side:
            rows = b.weight("distances", (2 * side[0] - 1, 2 * side[1] - 1, self.dim))
            table = b.add(Reshape((-1, self.dim)), rows)
            pairs = b.add(
                Reshape((1, seq, seq, self.dim)), b.add(Embedding(), b.state("places", (seq * seq,), "int64"), table)
            )
            pairs = b.add(Transpose((0, 1, 3, 2)), pairs, name="distances_turned")
            y = b.add(Matmul(), pairs, b.add(Reshape((batch, 1, seq, dim_v)), v), name="position")
            return b.add(Reshape((batch, 1, seq, self.dim, dim_v)), y)
        around = self.side // 2
        kernel, padding = (self.side, self.side, 1), (around, around, 0)
        image = b.add(Reshape((batch, 1, *side, dim_v)), v)
        y = layers.conv3d(b, image, self.dim, kernel, padding=padding, name="position")
        y = b.add(Reshape((batch, 1, self.dim, seq, dim_v)), y)
        return b.add(Transpose((0, 1, 3, 2, 4)), y, name="position_turned")


def _mixed(
    depths: tuple[int, ...],
    every: tuple[tuple[int, ...], ...],
    kinds: tuple[str, ...],
    widths: tuple[int, ...],
    group: str,
) -> tuple[str, ...]:
    """Bottlenecks a quarter as wide inside (a third of 1536); in each stage those at the places ``every`` mix."""
    stages = []
    for stage, (depth, places, kind, width) in enumerate(zip(depths, every, kinds, widths, strict=True)):
        for place in range(depth):
            stride = " s2" if stage and place == 0 else ""
            attended, ratio = place in places, 0.333 if width == 1536 else 0.25
            stages.append(f"{kind if attended else 'bottle'} 1 c{width}{stride}{'' if attended else group} r{ratio}")
    return tuple(stages)


_WIDE = (256, 512, 1024, 2048)
_TIERED = (24, 32, 64)
_26 = ((), (), (1,), (0, 1))
_50 = ((), (3,), (1, 3, 5), (1,))
_33 = ((), (2,), (2,), (0, 1))
_Attention = Callable[[GraphBuilder, Tensor, int], Tensor]


def _net(
    depths: tuple[int, ...],
    every: tuple[tuple[int, ...], ...],
    kind: str | tuple[str, ...],
    attended: Mapping[str, _Attention],
    *,
    group: str = "",
    widths: tuple[int, ...] = _WIDE,
    **others: object,
) -> OwnBlocks:
    kinds = (kind,) * 4 if isinstance(kind, str) else kind
    others = {"stem": _TIERED, "pool": "max", "act": "silu", **others}
    return OwnBlocks(stages=_mixed(depths, every, kinds, widths, group), attended=attended, **others)  # type: ignore[arg-type]


_BOTTLENECK: Mapping[str, _Attention] = {"bottleneck": BottleneckAttention()}
_HALO2: Mapping[str, _Attention] = {"halo": HaloAttention(halo=2)}
_HALO3: Mapping[str, _Attention] = {"halo": HaloAttention(), "halo4": HaloAttention(heads=4)}
_LAMBDA: Mapping[str, _Attention] = {"lambda": Lambda()}
_MIXED: Mapping[str, _Attention] = {**_BOTTLENECK, **_HALO3, "lambda": Lambda(side=13)}


def _gated33(kind: str, attended: Mapping[str, _Attention]) -> OwnBlocks:
    widths = (256, 512, 1024, 1536)
    return _net((2, 3, 3, 2), _33, kind, attended, widths=widths, pool="", gate="se", features=1280)


_18, _34 = (2, 2, 2, 2), (3, 4, 6, 3)
_HALO_Z = OwnBlocks(
    stages=(
        *("bottle 2 c48 s2 g16 r3", "bottle 6 c96 s2 g16 r3", "bottle 3 c192 s2 g16 r3", "halo 1 c192 r3"),
        *("bottle 3 c192 g16 r3", "halo 1 c192 r3", "bottle 3 c192 g16 r3", "halo 1 c192 r3", "halo 1 c288 s2 r3"),
        "halo 1 c288 r3",
    ),
    shortcut="",
    act="silu",
    gate="se",
    squeeze=0.25,
    features=1536,
    inward=True,
    bare=True,
    attended={"halo": HaloAttention(block=7, halo=2, ratio=0.33)},
)
_NETWORKS: Mapping[str, tuple[OwnBlocks, int]] = MappingProxyType(
    {
        "botnet26t_256": (_net(_18, _26, "bottleneck", _BOTTLENECK, act="relu"), 256),
        "botnet50ts_256": (_net(_34, _50, "bottleneck", _BOTTLENECK), 256),
        "sebotnet33ts_256": (_gated33("bottleneck", _BOTTLENECK), 256),
        "eca_botnext26ts_256": (
            _net(_18, _26, "bottleneck", {"bottleneck": BottleneckAttention(head=16)}, group=" g16", gate="eca"),
            256,
        ),
        "halonet26t": (_net(_18, _26, "halo", _HALO2, act="relu"), 256),
        "sehalonet33ts": (_gated33("halo", _HALO3), 256),
        "halonet50ts": (_net(_34, _50, ("halo", "halo4", "halo", "halo"), _HALO3), 256),
        "eca_halonext26ts": (
            _net(_18, _26, "halo", {"halo": HaloAttention(halo=2, head=16)}, group=" g16", gate="eca"),
            256,
        ),
        "lambda_resnet26t": (_net(_18, _26, "lambda", _LAMBDA, act="relu"), 256),
        "lambda_resnet50ts": (_net(_34, _50, "lambda", _LAMBDA), 256),
        "lambda_resnet26rpt_256": (_net(_18, _26, "lambda", {"lambda": Lambda(side=0)}, act="relu"), 256),
        "lamhalobotnet50ts_256": (
            _net(_34, ((), (1, 3), (1, 3, 5), (1,)), ("", "lambda", "halo", "bottleneck"), _MIXED, pool=""),
            256,
        ),
        "halo2botnet50ts_256": (
            _net(_34, ((), (1, 3), (1, 3, 5), (1,)), ("", "halo", "halo", "bottleneck"), _MIXED, pool=""),
            256,
        ),
        "halonet_h1": (
            OwnBlocks(
                stages=("halo 3 c64", "halo 3 c128 s2", "halo 10 c256 s2", "halo 3 c512 s2"),
                stem=(64,),
                stem_kernel=7,
                pool="max",
                attended=_HALO3,
            ),
            256,
        ),
        "haloregnetz_b": (_HALO_Z, 224),
    }
)


def _find(name: str) -> Sized | None:
    return Sized(*_NETWORKS[name]) if name in _NETWORKS else None


FAMILIES = (
    ImageFamily(
        name="botnet, halonet, lambda",
        title="residual network with attention",
        source="Srinivas et al. 2021, Bottleneck Transformers; Vaswani et al. 2021, Scaling Local Self-Attention; "
        "Bello 2021, LambdaNetworks",
        examples=tuple(_NETWORKS),
        find=_find,
    ),
)
