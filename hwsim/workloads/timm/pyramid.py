"""PiTs and PVTs of the second version, transformers that pool between stages, by the names of timm."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from hwsim.graph.graph import GraphBuilder
from hwsim.graph.tensor import Tensor
from hwsim.operators.concat import Concat
from hwsim.operators.expand import Expand
from hwsim.operators.reshape import Reshape
from hwsim.operators.slice import Slice
from hwsim.operators.split import Split
from hwsim.workloads import image_layers, layers
from hwsim.workloads.families import ImageFamily, Sized

__all__ = ["FAMILIES", "PiT", "PyramidTransformer"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PiT:
    """Layers and heads of ``dim`` features of each stage; patches of twice their stride (Heo et al. 2021, Table 1).

    ``distilled``: two class tokens, and the mean of two classifiers.
    """

    depths: tuple[int, int, int]
    heads: tuple[int, int, int]
    dim: int
    stride: int = 8
    distilled: bool = False

    def __call__(self, b: GraphBuilder, image: Tensor, classes: int) -> Tensor:
        """Logits (batch, classes)."""
        batch, count = image.shape[0], 2 if self.distilled else 1
        width = self.dim * self.heads[0]
        x = layers.conv(b, image, width, 2 * self.stride, stride=self.stride, padding=0, name="patches")
        x = layers.add(b, x, b.weight("positions", (1, *x.shape[1:])), name="add_positions")
        tokens = b.weight("tokens", (1, count, width))
        tokens = b.add(Expand((batch, count, width)), tokens) if batch > 1 else tokens
        for stage, (depth, heads) in enumerate(zip(self.depths, self.heads, strict=True)):
            with b.scope(f"stage{stage}"):
                width = self.dim * heads
                if stage:
                    x = layers.conv(b, x, width, 3, stride=2, groups=x.shape[1], name="pool")
                    tokens = layers.linear(b, tokens, width, name="pool_tokens")
                side = x.shape[2:]
                y = b.add(Concat(1), tokens, image_layers.to_sequence(b, x))
                for place in range(depth):
                    with b.scope(f"layer{place}"):
                        z = layers.attention(b, layers.layer_norm(b, y, name="norm1"), heads, packed=True)
                        y = layers.add(b, y, z)
                        z = layers.mlp(b, layers.layer_norm(b, y, name="norm2"), 4 * width)
                        y = layers.add(b, y, z, name="add2")
                tokens = b.add(Slice(1, 0, count), y)
                x = image_layers.to_image(b, b.add(Slice(1, count, None), y), side)
        tokens = layers.layer_norm(b, tokens)
        made = []
        for place in range(count):
            token = b.add(Reshape((batch, tokens.shape[2])), b.add(Slice(1, place, place + 1), tokens))
            made.append(layers.linear(b, token, classes, name=f"head{place}"))
        return made[0] if count == 1 else layers.multiply(b, layers.add(b, made[0], made[1]), b.state("half", (1,)))


@dataclass(frozen=True, slots=True, kw_only=True)
class PyramidTransformer:
    """Blocks, widths, heads and ratio of hidden to outer width of each stage (Wang et al. 2022, PVT v2, Table 1).

    ``pooled``: keys and values come from 7 x 7 means instead of a strided convolution.
    """

    depths: tuple[int, int, int, int]
    widths: tuple[int, int, int, int] = (64, 128, 320, 512)
    heads: tuple[int, int, int, int] = (1, 2, 5, 8)
    ratios: tuple[int, int, int, int] = (8, 8, 4, 4)
    pooled: bool = False

    def __call__(self, b: GraphBuilder, image: Tensor, classes: int) -> Tensor:
        """Logits (batch, classes)."""
        return layers.linear(b, layers.global_average(b, self.levels(b, image)[-1]), classes, name="head")

    def levels(self, b: GraphBuilder, image: Tensor) -> list[Tensor]:
        """(batch, width, height, width) behind each stage, at strides of 4, 8, 16 and 32."""
        x, found = image, []
        for stage, (depth, width) in enumerate(zip(self.depths, self.widths, strict=True)):
            with b.scope(f"stage{stage}"):
                kernel, stride = (3, 2) if stage else (7, 4)
                x = layers.conv(b, x, width, kernel, stride=stride, name="patches")
                side = x.shape[2:]
                y = layers.layer_norm(b, image_layers.to_sequence(b, x), name="patch_norm")
                for place in range(depth):
                    with b.scope(f"block{place}"):
                        z = self._attend(b, layers.layer_norm(b, y, name="norm1", kept=True), stage, side)
                        y = layers.add(b, y, z)
                        z = self._mlp(b, layers.layer_norm(b, y, name="norm2", kept=True), self.ratios[stage], side)
                        y = layers.add(b, y, z, name="add2")
                x = image_layers.to_image(b, layers.layer_norm(b, y, name="norm", kept=True), side)
                found.append(x)
        return found

    def _attend(self, b: GraphBuilder, x: Tensor, stage: int, side: tuple[int, ...]) -> Tensor:
        width, heads, reduced = x.shape[2], self.heads[stage], 8 >> stage
        with b.scope("attention"):
            q = layers.split_heads(b, layers.linear(b, x, width, name="q"), heads, name="q_heads")
            if self.pooled:
                y = layers.adaptive_average(b, image_layers.to_image(b, x, side), 7)
                y = layers.layer_norm(b, image_layers.to_sequence(b, layers.conv(b, y, width, 1, name="reduce")))
                y = layers.activation(b, y, "gelu")
            elif reduced > 1:
                y = layers.conv(
                    b, image_layers.to_image(b, x, side), width, reduced, stride=reduced, padding=0, name="reduce"
                )
                y = layers.layer_norm(b, image_layers.to_sequence(b, y))
            else:
                y = x
            parts = b.add_all(Split(-1, (width, width)), layers.linear(b, y, 2 * width, name="kv"))
            k, v = (layers.split_heads(b, part, heads, name=n) for part, n in zip(parts, "kv", strict=True))
            return layers.linear(b, layers.merge_heads(b, image_layers.fused_attention(b, q, k, v)), width, name="out")

    def _mlp(self, b: GraphBuilder, x: Tensor, ratio: int, side: tuple[int, ...]) -> Tensor:
        """With a depthwise convolution between."""
        width = x.shape[2]
        with b.scope("mlp"):
            y = image_layers.to_image(b, layers.linear(b, x, ratio * width, name="up"), side)
            y = layers.activation(b, y, "relu") if self.pooled else y
            y = image_layers.to_sequence(b, layers.conv(b, y, ratio * width, 3, groups=ratio * width, name="depthwise"))
            return layers.linear(b, layers.activation(b, y, "gelu"), width, name="down")


_PITS: Mapping[str, PiT] = MappingProxyType(
    {
        "ti": PiT(depths=(2, 6, 4), heads=(2, 4, 8), dim=32),
        "xs": PiT(depths=(2, 6, 4), heads=(2, 4, 8), dim=48),
        "s": PiT(depths=(2, 6, 4), heads=(3, 6, 12), dim=48),
        "b": PiT(depths=(3, 6, 4), heads=(4, 8, 16), dim=64, stride=7),
    }
)
_PVTS: Mapping[str, PyramidTransformer] = MappingProxyType(
    {
        "b0": PyramidTransformer(depths=(2, 2, 2, 2), widths=(32, 64, 160, 256)),
        "b1": PyramidTransformer(depths=(2, 2, 2, 2)),
        "b2": PyramidTransformer(depths=(3, 4, 6, 3)),
        "b3": PyramidTransformer(depths=(3, 4, 18, 3)),
        "b4": PyramidTransformer(depths=(3, 8, 27, 3)),
        "b5": PyramidTransformer(depths=(3, 6, 40, 3), ratios=(4, 4, 4, 4)),
        "b2_li": PyramidTransformer(depths=(3, 4, 6, 3), pooled=True),
    }
)


def _find(name: str) -> Sized | None:
    found = re.match(r"pit_(ti|xs|s|b)(_distilled)?_224$", name)
    if found is None:
        return None
    base = _PITS[found[1]]
    network = PiT(
        depths=base.depths, heads=base.heads, dim=base.dim, stride=base.stride, distilled=found[2] is not None
    )
    return Sized(network)


def _find_pvt(name: str) -> Sized | None:
    network = _PVTS.get(name.removeprefix("pvt_v2_")) if name.startswith("pvt_v2_") else None
    return Sized(network) if network else None


FAMILIES = (
    ImageFamily(
        name="pit",
        title="vision transformer that pools",
        source="Heo et al. 2021, Rethinking Spatial Dimensions of Vision Transformers, Table 1",
        examples=("pit_b_224", "pit_ti_distilled_224"),
        find=_find,
    ),
    ImageFamily(
        name="pvt v2",
        title="pyramid vision transformer",
        source="Wang et al. 2022, PVT v2: Improved Baselines with Pyramid Vision Transformer, Table 1",
        examples=("pvt_v2_b5", "pvt_v2_b2_li", "pvt_v2_b0"),
        find=_find_pvt,
    ),
)
