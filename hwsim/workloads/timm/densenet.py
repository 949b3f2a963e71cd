"""DenseNets by the names of timm."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from hwsim.workloads.densenet import DenseNet
from hwsim.workloads.families import ImageFamily, Sized

__all__ = ["FAMILIES"]

_NETWORKS: Mapping[str, DenseNet] = MappingProxyType(
    {
        "densenet121": DenseNet(),
        "densenetblur121d": DenseNet(deep_stem=True, blurred=True),
        "densenet169": DenseNet((6, 12, 32, 32)),
        "densenet201": DenseNet((6, 12, 48, 32)),
        "densenet161": DenseNet((6, 12, 36, 24), 48, 96),
        "densenet264d": DenseNet((6, 12, 64, 48), 48, 96, deep_stem=True),
    }
)


def _find(name: str) -> Sized | None:
    network = _NETWORKS.get(name)
    return Sized(network) if network else None


FAMILIES = (
    ImageFamily(
        name="densenet",
        title="densely connected network",
        source="Huang et al. 2017, Densely Connected Convolutional Networks, Table 1",
        examples=tuple(_NETWORKS),
        find=_find,
    ),
)
