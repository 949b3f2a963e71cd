"""HRNet classifiers (Wang et al. 2020, Deep High-Resolution Representation Learning) by the names of timm."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from hwsim.graph.graph import GraphBuilder
from hwsim.graph.tensor import Tensor
from hwsim.workloads import layers
from hwsim.workloads.backbones import resnet_levels
from hwsim.workloads.families import ImageFamily, Sized
from hwsim.workloads.hrnet import HRNet

__all__ = ["FAMILIES", "HRNetClassifier"]


@dataclass(frozen=True, slots=True)
class HRNetClassifier:
    """A network of branches whose features grow to 128, 256, 512 and 1024 channels and join downwards (Fig. 12)."""

    branches: HRNet

    def __call__(self, b: GraphBuilder, image: Tensor, classes: int) -> Tensor:
        """Logits (batch, classes)."""
        total: Tensor | None = None
        for place, x in enumerate(self.branches.levels(b, image)):
            with b.scope(f"head{place}"):
                (y,) = resnet_levels(b, x, (1,), bottleneck=True, widths=(32 << place,), strides=(1,), dilations=(1,))
                if total is not None:
                    down = layers.conv(b, total, y.shape[1], 3, stride=2, name="down")
                    down = layers.activation(b, layers.batch_norm(b, down, name="down_bn"), "relu")
                    y = layers.add(b, y, down, name="joined")
                total = y
        assert total is not None
        y = layers.conv(b, total, 2048, 1, name="last")
        y = layers.activation(b, layers.batch_norm(b, y, name="last_bn"), "relu")
        return layers.linear(b, layers.global_average(b, y), classes, name="classifier")


_NETWORKS: Mapping[str, HRNetClassifier] = MappingProxyType(
    {
        "hrnet_w18_small": HRNetClassifier(HRNet(16, True, (1, 1, 1), 2, (1, 32))),
        "hrnet_w18_small_v2": HRNetClassifier(HRNet(18, True, (1, 3, 2), 2, (2, 64))),
        **{f"hrnet_w{width}": HRNetClassifier(HRNet(width, True)) for width in (18, 30, 32, 40, 44, 48, 64)},
        "hrnet_w18_ssld": HRNetClassifier(HRNet(18, True)),
        "hrnet_w48_ssld": HRNetClassifier(HRNet(48, True)),
    }
)


def _find(name: str) -> Sized | None:
    return Sized(_NETWORKS[name], 288 if name.endswith("_ssld") else 224) if name in _NETWORKS else None


FAMILIES = (
    ImageFamily(
        name="hrnet",
        title="branches of several resolutions",
        source="Wang et al. 2020, Deep High-Resolution Representation Learning for Visual Recognition",
        examples=("hrnet_w48", "hrnet_w18_ssld", "hrnet_w18_small"),
        find=_find,
    ),
)
