"""MLP-Mixers by the names of timm: ``mixer_<size><patch>_<pixels>``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from hwsim.errors import InputError
from hwsim.graph.graph import GraphBuilder
from hwsim.graph.tensor import Tensor
from hwsim.operators.reduce import ReduceAxes
from hwsim.operators.reshape import Reshape
from hwsim.operators.transpose import Transpose
from hwsim.workloads import layers
from hwsim.workloads.families import ImageFamily, Sized

__all__ = ["FAMILIES", "Mixer"]

_TURNED = Transpose((0, 2, 1))


@dataclass(frozen=True, slots=True)
class Mixer:
    """Layers and width; perceptrons over patches are half as wide as the features, those over features four times."""

    depth: int
    width: int
    patch: int

    def __call__(self, b: GraphBuilder, image: Tensor, classes: int) -> Tensor:
        """Logits (batch, classes); raises InputError when the image is not a whole number of patches."""
        batch, _, height, width = image.shape
        if height % self.patch or width % self.patch:
            raise InputError(f"parameters 'height' and 'width' must be multiples of the patch size {self.patch}")
        x = layers.conv(b, image, self.width, self.patch, stride=self.patch, padding=0, name="patches")
        x = b.add(_TURNED, b.add(Reshape((batch, self.width, -1)), x))
        for place in range(self.depth):
            with b.scope(f"layer{place}"):
                y = b.add(_TURNED, layers.layer_norm(b, x, name="norm1"))
                y = b.add(_TURNED, layers.mlp(b, y, self.width // 2, name="patches"))
                x = layers.add(b, x, y, name="add1")
                y = layers.mlp(b, layers.layer_norm(b, x, name="norm2"), 4 * self.width, name="features")
                x = layers.add(b, x, y, name="add2")
        y = b.add(ReduceAxes("mean", (1,)), layers.layer_norm(b, x))
        return layers.linear(b, y, classes, name="head")


_SIZES: Mapping[str, tuple[int, int]] = MappingProxyType({"s": (8, 512), "b": (12, 768), "l": (24, 1024)})
"""Layers and width (Tolstikhin et al. 2021, MLP-Mixer, Table 1)."""


def _find(name: str) -> Sized | None:
    found = re.match(r"mixer_([sbl])(16|32)_(\d{3})$", name)
    if found is None:
        return None
    depth, width = _SIZES[found[1]]
    return Sized(Mixer(depth, width, int(found[2])), int(found[3]))


FAMILIES = (
    ImageFamily(
        name="mixer",
        title="perceptrons over patches and features",
        source="Tolstikhin et al. 2021, MLP-Mixer: An all-MLP Architecture for Vision, Table 1",
        examples=("mixer_b16_224", "mixer_l32_224"),
        find=_find,
    ),
)
