"""PoolFormers, ConvFormers and CAFormers (Yu et al. 2022, MetaFormer) by the names of timm."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from hwsim.graph.graph import GraphBuilder
from hwsim.graph.tensor import Tensor
from hwsim.operators.groupnorm import GroupNorm
from hwsim.operators.layernorm import LayerNorm
from hwsim.operators.pow import Pow
from hwsim.operators.reshape import Reshape
from hwsim.operators.sub import Sub
from hwsim.operators.transpose import Transpose
from hwsim.workloads import layers
from hwsim.workloads.families import ImageFamily, Sized

__all__ = ["FAMILIES", "MetaFormer"]

_TO_LAST, _TO_SECOND = Transpose((0, 2, 3, 1)), Transpose((0, 3, 1, 2))


@dataclass(frozen=True, slots=True, kw_only=True)
class MetaFormer:
    """Blocks and width of each stage and what mixes positions there: "pool", "conv" or "attention".

    ``first``: PoolFormer's first version, with GELU, biases, layer scale and no norms between stages. ``deep_head``: a
    layer before the last.
    """

    depths: tuple[int, int, int, int]
    widths: tuple[int, int, int, int]
    mixers: tuple[str, str, str, str]
    first: bool = False
    deep_head: bool = True

    def __call__(self, b: GraphBuilder, image: Tensor, classes: int) -> Tensor:
        """Logits (batch, classes)."""
        x = layers.conv(b, image, self.widths[0], 7, stride=4, padding=2, name="stem")
        x = x if self.first else self._norm(b, x, "stem_norm", "conv")
        for stage, (depth, width, mixer) in enumerate(zip(self.depths, self.widths, self.mixers, strict=True)):
            with b.scope(f"stage{stage}"):
                if stage:
                    x = x if self.first else self._norm(b, x, "down_norm", "conv")
                    x = layers.conv(b, x, width, 3, stride=2, name="down")
                x = self._stage(b, x, depth, mixer, scaled=self.first or stage > 1)
        y = layers.layer_norm(b, layers.global_average(b, x), name="norm")
        if self.deep_head:
            y = b.add(Pow(2.0), layers.activation(b, layers.linear(b, y, 4 * self.widths[3], name="hidden"), "relu"))
            y = layers.layer_norm(b, y, name="hidden_norm")
        return layers.linear(b, y, classes, name="head")

    def _stage(self, b: GraphBuilder, x: Tensor, depth: int, mixer: str, *, scaled: bool) -> Tensor:
        batch, width, *side = x.shape
        if mixer == "attention":
            x = b.add(Transpose((0, 2, 1)), b.add(Reshape((batch, width, -1)), x))
        for place in range(depth):
            with b.scope(f"block{place}"):
                for end in ("1", "2"):
                    y = self._norm(b, x, f"norm{end}", mixer)
                    y = self._mix(b, y, mixer) if end == "1" else self._mlp(b, y, mixer)
                    kept = x
                    if scaled:
                        shape = (width,) if mixer == "attention" else (width, 1, 1)
                        gain = b.weight(f"scale{end}", shape)
                        if self.first:
                            y = layers.multiply(b, y, gain, name=f"scaled{end}")
                        else:
                            kept = layers.multiply(b, x, gain, name=f"scaled{end}")
                    x = layers.add(b, kept, y, name=f"add{end}")
        if mixer == "attention":
            x = b.add(Reshape((batch, width, *side)), b.add(Transpose((0, 2, 1)), x))
        return x

    def _mix(self, b: GraphBuilder, x: Tensor, mixer: str) -> Tensor:
        if mixer == "pool":
            return b.add(Sub(), layers.pool(b, x, "average", 3, stride=1, padding=1), x, name="difference")
        if mixer == "attention":
            return layers.attention(b, x, x.shape[2] // 32, packed=True, bias=False)
        width = 2 * x.shape[1]
        y = _star(b, layers.conv(b, x, width, 1, bias=False, name="widen"), "star")
        y = layers.conv(b, y, width, 7, groups=width, bias=False, name="depthwise")
        return layers.conv(b, y, width // 2, 1, bias=False, name="narrow")

    def _mlp(self, b: GraphBuilder, x: Tensor, mixer: str) -> Tensor:
        if mixer == "attention":
            y = _star(b, layers.linear(b, x, 4 * x.shape[2], bias=False, name="up"), "mlp_star")
            return layers.linear(b, y, x.shape[2], bias=False, name="down")
        y = layers.conv(b, x, 4 * x.shape[1], 1, bias=self.first, name="up")
        y = layers.activation(b, y, "gelu") if self.first else _star(b, y, "mlp_star")
        return layers.conv(b, y, x.shape[1], 1, bias=self.first, name="down")

    def _norm(self, b: GraphBuilder, x: Tensor, name: str, mixer: str) -> Tensor:
        """Over the channels, without a shift; over the whole image where pools mix it."""
        if mixer == "pool":
            if self.first:
                return layers.group_norm(b, x, 1, name=name)
            gamma = layers.norm_weights(b, x.shape[1], shift=False, name=name)
            zero = b.state(f"{name}_zero", x.shape[1:2])
            return b.add(GroupNorm(1), x, *gamma, zero, name=name)
        size = x.shape[2] if mixer == "attention" else x.shape[1]
        weights = (*layers.norm_weights(b, size, shift=False, name=name), b.state(f"{name}_zero", (size,)))
        if mixer == "attention":
            return b.add(LayerNorm(kept=True), x, *weights, name=name)
        return b.add(_TO_SECOND, b.add(LayerNorm(kept=True), b.add(_TO_LAST, x), *weights, name=name))


def _star(b: GraphBuilder, x: Tensor, name: str) -> Tensor:
    """S relu(x)^2 + b, in kernels of their own (StarReLU)."""
    y = b.add(Pow(2.0), layers.activation(b, x, "relu", name=f"{name}_relu"), name=f"{name}_square")
    y = layers.multiply(b, y, b.weight(f"{name}_scale", (1,)), name=f"{name}_scaled")
    return layers.add(b, y, b.weight(f"{name}_shift", (1,)), name=name)


_SMALL, _MEDIUM, _BASE = (64, 128, 320, 512), (96, 192, 384, 768), (128, 256, 512, 768)
_POOLS: Mapping[str, tuple[tuple[int, int, int, int], tuple[int, int, int, int]]] = MappingProxyType(
    {
        "s12": ((2, 2, 6, 2), _SMALL),
        "s24": ((4, 4, 12, 4), _SMALL),
        "s36": ((6, 6, 18, 6), _SMALL),
        "m36": ((6, 6, 18, 6), _MEDIUM),
        "m48": ((8, 8, 24, 8), _MEDIUM),
    }
)
_FORMERS: Mapping[str, tuple[tuple[int, int, int, int], tuple[int, int, int, int]]] = MappingProxyType(
    {
        "s18": ((3, 3, 9, 3), _SMALL),
        "s36": ((3, 12, 18, 3), _SMALL),
        "m36": ((3, 12, 18, 3), (96, 192, 384, 576)),
        "b36": ((3, 12, 18, 3), _BASE),
    }
)


def _find(name: str) -> Sized | None:
    found = re.match(r"poolformer(v2)?_([sm]\d+)$", name)
    if found is not None and found[2] in _POOLS:
        depths, widths = _POOLS[found[2]]
        mixers = ("pool", "pool", "pool", "pool")
        first = found[1] is None
        return Sized(MetaFormer(depths=depths, widths=widths, mixers=mixers, first=first, deep_head=False))
    found = re.match(r"(ca|conv)former_([smb]\d+)$", name)
    if found is None or found[2] not in _FORMERS:
        return None
    depths, widths = _FORMERS[found[2]]
    late = "attention" if found[1] == "ca" else "conv"
    return Sized(MetaFormer(depths=depths, widths=widths, mixers=("conv", "conv", late, late)))


FAMILIES = (
    ImageFamily(
        name="metaformer",
        title="pools, convolutions or attention in one frame",
        source="Yu et al. 2022, MetaFormer Baselines for Vision; Yu et al. 2022, MetaFormer is Actually What You Need",
        examples=("poolformer_s12", "poolformerv2_m48", "convformer_s18", "caformer_b36"),
        find=_find,
    ),
)
