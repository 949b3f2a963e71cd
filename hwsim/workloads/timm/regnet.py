"""RegNets by the names of timm: ``regnet[v|x|y|z]_<hundreds of MFLOP>``, with what their widths follow from."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from hwsim.graph.graph import GraphBuilder
from hwsim.graph.tensor import Tensor
from hwsim.workloads import layers
from hwsim.workloads.families import ImageFamily, Sized
from hwsim.workloads.regnet import RegNet, quantized_widths

__all__ = ["FAMILIES", "PreRegNet"]

_PARAMETERS: Mapping[str, tuple[int, float, float, int, int]] = MappingProxyType(
    {
        # first width, slope, factor, depth, group width
        "x_002": (24, 36.44, 2.49, 13, 8),
        "x_004": (24, 24.48, 2.54, 22, 16),
        "x_006": (48, 36.97, 2.24, 16, 24),
        "x_008": (56, 35.73, 2.28, 16, 16),
        "x_016": (80, 34.01, 2.25, 18, 24),
        "x_032": (88, 26.31, 2.25, 25, 48),
        "x_040": (96, 38.65, 2.43, 23, 40),
        "x_064": (184, 60.83, 2.07, 17, 56),
        "x_080": (80, 49.56, 2.88, 23, 120),
        "x_120": (168, 73.36, 2.37, 19, 112),
        "x_160": (216, 55.59, 2.1, 22, 128),
        "x_320": (320, 69.86, 2.0, 23, 168),
        "y_002": (24, 36.44, 2.49, 13, 8),
        "y_004": (48, 27.89, 2.09, 16, 8),
        "y_006": (48, 32.54, 2.32, 15, 16),
        "y_008": (56, 38.84, 2.4, 14, 16),
        "y_016": (48, 20.71, 2.65, 27, 24),
        "y_032": (80, 42.63, 2.66, 21, 24),
        "y_040": (96, 31.41, 2.24, 22, 64),
        "y_064": (112, 33.22, 2.27, 25, 72),
        "y_080": (192, 76.82, 2.19, 17, 56),
        "y_120": (168, 73.36, 2.37, 19, 112),
        "y_160": (200, 106.23, 2.48, 18, 112),
        "y_320": (232, 115.89, 2.53, 20, 232),
        "y_640": (352, 147.48, 2.4, 20, 328),
        "y_1280": (456, 160.83, 2.52, 27, 264),
        "y_2560": (640, 230.83, 2.53, 27, 373),
        "z_005": (16, 10.7, 2.51, 21, 4),
        "z_040": (48, 14.5, 2.226, 28, 8),
    }
)
"""Radosavovic et al. 2020, Fig. 16 to 18; Goyal et al. 2022 (SEER) from 64 GF on; RegNetZ as timm has it."""
_HEADS = {"z_005": 1024, "z_040": 0, "z_040_h": 1536}


@dataclass(frozen=True, slots=True)
class PreRegNet(RegNet):
    """A RegNet whose blocks normalise first (He et al. 2016, Identity Mappings in Deep Residual Networks).

    ``average_down``: shortcuts are pooled before they are projected.
    """

    average_down: bool = False

    def __call__(self, b: GraphBuilder, image: Tensor, classes: int) -> Tensor:
        """Logits (batch, classes)."""
        x = layers.conv(b, image, 32, 3, stride=2, bias=False, name="stem")
        for stage, (depth, width) in enumerate(zip(self.depths, self.widths, strict=True)):
            for place in range(depth):
                with b.scope(f"stage{stage + 1}.{place}"):
                    x = self._block(b, x, width, 2 if place == 0 else 1)
        return layers.linear(b, layers.global_average(b, layers.activation(b, x, self.act)), classes, name="fc")

    def _block(self, b: GraphBuilder, x: Tensor, width: int, stride: int) -> Tensor:
        def normed(y: Tensor, name: str) -> Tensor:
            return layers.activation(b, layers.batch_norm(b, y, name=name), self.act)

        read, x = x.shape[1], normed(x, "bn1")
        y = normed(layers.conv(b, x, width, 1, bias=False, name="conv1"), "bn2")
        groups = width // min(self.group_width, width)
        y = layers.conv(b, y, width, 3, stride=stride, groups=groups, bias=False, name="conv2")
        y = layers.squeeze_excite(b, y, round(read * self.squeeze), act=self.act, gate="sigmoid")
        y = layers.conv(b, normed(y, "bn3"), width, 1, bias=False, name="conv3")
        if y.shape != x.shape:
            if self.average_down and stride > 1:
                x, stride = layers.pool(b, x, "average", 2, ceil=True, name="downsample_pool"), 1
            x = layers.conv(b, x, width, 1, stride=stride, bias=False, name="downsample")
        return layers.add(b, y, x)


def _find(name: str) -> Sized | None:
    if first := re.match(r"regnetv_(040|064)$", name):
        parameters = _PARAMETERS[f"y_{first[1]}"]
        depths, widths = quantized_widths(*parameters)
        pooled = first[1] == "064"
        return Sized(PreRegNet(depths, widths, parameters[4], act="silu", average_down=pooled))
    found = re.match(r"regnet([xyz]_\d+)(_tv|_sgn|_h)?$", name)
    if found is None or found[1] not in _PARAMETERS:
        return None
    key, end = found.groups()
    inverted = key.startswith("z")
    expansion = 4 if inverted else 1
    depths, widths = quantized_widths(*_PARAMETERS[key], expansion=expansion, limit=0.9 if end == "_tv" else 0.0)
    network = RegNet(
        depths,
        widths,
        _PARAMETERS[key][4],
        squeeze=0.0 if key.startswith("x") else 0.25,
        act="silu" if inverted or end == "_sgn" else "relu",
        expansion=expansion,
        features=_HEADS[key + (end or "")] if inverted else 0,
        norm_group=16 if end == "_sgn" else 0,
    )
    return Sized(network, 256 if key == "z_040" else 224)


FAMILIES = (
    ImageFamily(
        name="regnet",
        title="network of a design space",
        source="Radosavovic et al. 2020, Designing Network Design Spaces",
        examples=("regnetx_032", "regnety_160", "regnetv_064", "regnetz_040"),
        find=_find,
    ),
)
