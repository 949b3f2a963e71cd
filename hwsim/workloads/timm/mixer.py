"""MLP-Mixers, gated ones, ResMLPs and gMLPs by the names of timm: ``mixer_<size><patch>_<pixels>``."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from hwsim.errors import InputError
from hwsim.graph.graph import GraphBuilder
from hwsim.graph.tensor import Tensor
from hwsim.operators.reduce import ReduceAxes
from hwsim.operators.scale_shift import ScaleShift
from hwsim.operators.split import Split
from hwsim.operators.transpose import Transpose
from hwsim.workloads import image_layers, layers
from hwsim.workloads.families import ImageFamily, Sized

__all__ = ["FAMILIES", "Mixer"]

_TURNED = Transpose((0, 2, 1))


@dataclass(frozen=True, slots=True, kw_only=True)
class Mixer:
    """Layers, width and side of a patch of networks that mix patches, then features.

    ``kind``: "mixer" of two perceptrons (Tolstikhin et al. 2021), that over patches ``across`` times as wide as the
    features; ``gated``: their hidden halves are multiplied. "linear": one product over patches, with learned factors
    and shifts instead of norms (Touvron et al. 2021, ResMLP, equations 2 and 3). "spatial": one perceptron over
    features whose hidden halves are multiplied, one of them mixed over patches (Liu et al. 2021, gMLP, Fig. 1).
    """

    depth: int
    width: int
    patch: int = 16
    kind: str = "mixer"
    gated: bool = False
    across: float = 0.5

    def __call__(self, b: GraphBuilder, image: Tensor, classes: int) -> Tensor:
        """Logits (batch, classes); raises InputError when the image is not a whole number of patches."""
        _, _, height, width = image.shape
        if height % self.patch or width % self.patch:
            raise InputError(f"parameters 'height' and 'width' must be multiples of the patch size {self.patch}")
        x = layers.conv(b, image, self.width, self.patch, stride=self.patch, padding=0, name="patches")
        x = image_layers.to_sequence(b, x)
        kinds: dict[str, Callable[[GraphBuilder, Tensor], Tensor]] = {
            "mixer": self._mixed,
            "linear": self._linear,
            "spatial": self._spatial,
        }
        for place in range(self.depth):
            with b.scope(f"layer{place}"):
                x = kinds[self.kind](b, x)
        x = _affine(b, x, "norm") if self.kind == "linear" else layers.layer_norm(b, x)
        return layers.linear(b, b.add(ReduceAxes("mean", (1,)), x), classes, name="head")

    def _mixed(self, b: GraphBuilder, x: Tensor) -> Tensor:
        y = b.add(_TURNED, layers.layer_norm(b, x, name="norm1"))
        y = b.add(_TURNED, self._perceptron(b, y, int(self.across * self.width), "patches"))
        x = layers.add(b, x, y, name="add1")
        y = self._perceptron(b, layers.layer_norm(b, x, name="norm2"), 4 * self.width, "features")
        return layers.add(b, x, y, name="add2")

    def _perceptron(self, b: GraphBuilder, x: Tensor, hidden: int, name: str) -> Tensor:
        if not self.gated:
            return layers.mlp(b, x, hidden, name=name)
        with b.scope(name):
            half = hidden // 2
            kept, gate = b.add_all(Split(-1, (half, half)), layers.linear(b, x, hidden, name="up"))
            y = layers.multiply(b, kept, layers.activation(b, gate, "silu"), name="gated")
            return layers.linear(b, y, x.shape[-1], name="down")

    def _linear(self, b: GraphBuilder, x: Tensor) -> Tensor:
        y = b.add(_TURNED, _affine(b, x, "norm1"))
        y = b.add(_TURNED, layers.linear(b, y, x.shape[1], name="patches"))
        x = layers.add(b, x, layers.multiply(b, b.weight("scale1", (self.width,)), y, name="layer_scale1"), name="add1")
        y = layers.mlp(b, _affine(b, x, "norm2"), 4 * self.width, name="features")
        return layers.add(b, x, layers.multiply(b, b.weight("scale2", (self.width,)), y, name="layer_scale2"))

    def _spatial(self, b: GraphBuilder, x: Tensor) -> Tensor:
        hidden = 6 * self.width
        y = layers.linear(b, layers.layer_norm(b, x), hidden, name="up")
        kept, gate = b.add_all(Split(-1, (hidden // 2, hidden // 2)), layers.activation(b, y, "gelu"))
        gate = b.add(_TURNED, layers.layer_norm(b, gate, name="gate_norm"))
        gate = b.add(_TURNED, layers.linear(b, gate, x.shape[1], name="gate"))
        y = layers.multiply(b, kept, gate, name="gated")
        return layers.add(b, x, layers.linear(b, y, self.width, name="down"))


def _affine(b: GraphBuilder, x: Tensor, name: str) -> Tensor:
    """X times a learned factor, stored less one, plus a learned shift, in one kernel."""
    with b.scope(name):
        operands = [b.weight(part, (1, 1, x.shape[2])) for part in ("factor", "shift")]
    return b.add(ScaleShift(), x, *operands, name=name)


_SIZES: Mapping[str, tuple[int, int]] = MappingProxyType({"s": (8, 512), "b": (12, 768), "l": (24, 1024)})
"""Layers and width (Tolstikhin et al. 2021, MLP-Mixer, Table 1)."""


_GATED_SIZES: Mapping[str, int] = MappingProxyType({"ti": 128, "s": 256, "b": 512})
"""Widths of 30 layers (Liu et al. 2021, Pay Attention to MLPs, Table 1)."""


def _find(name: str) -> Sized | None:
    if found := re.match(r"mixer_([sbl])(16|32)_(\d{3})$", name):
        depth, width = _SIZES[found[1]]
        return Sized(Mixer(depth=depth, width=width, patch=int(found[2])), int(found[3]))
    if found := re.match(r"gmixer_(12|24)_224$", name):
        return Sized(Mixer(depth=int(found[1]), width=384, gated=True, across=1.0))
    if found := re.match(r"resmlp_(big_24|12|24|36)_224$", name):
        big = found[1].startswith("big")
        network = Mixer(depth=int(found[1][-2:]), width=768 if big else 384, patch=8 if big else 16, kind="linear")
        return Sized(network)
    if found := re.match(r"gmlp_(ti|s|b)16_224$", name):
        return Sized(Mixer(depth=30, width=_GATED_SIZES[found[1]], kind="spatial"))
    return None


FAMILIES = (
    ImageFamily(
        name="mixer",
        title="perceptrons over patches and features",
        source="Tolstikhin et al. 2021, MLP-Mixer: An all-MLP Architecture for Vision, Table 1; Touvron et al. 2021, "
        "ResMLP; Liu et al. 2021, Pay Attention to MLPs",
        examples=("mixer_b16_224", "resmlp_24_224", "gmlp_s16_224", "mixer_l32_224"),
        find=_find,
    ),
)
