"""SelecSLS networks, whose blocks skip from the first of a stage to all others, by the names of timm."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from hwsim.graph.graph import GraphBuilder
from hwsim.graph.tensor import Tensor
from hwsim.operators.concat import Concat
from hwsim.workloads import layers
from hwsim.workloads.families import ImageFamily, Sized

__all__ = ["FAMILIES", "SelecSLS"]


@dataclass(frozen=True, slots=True)
class SelecSLS:
    """(inner width, widths of its blocks) of each stage; (width, kernel, stride) of the last convolutions."""

    stages: tuple[tuple[int, tuple[int, ...]], ...]
    last: tuple[tuple[int, int, int], ...]

    def __call__(self, b: GraphBuilder, image: Tensor, classes: int) -> Tensor:
        """Logits (batch, classes)."""
        x = layers.conv_bn_act(b, image, 32, 3, stride=2, name="stem")
        for stage, (inner, widths) in enumerate(self.stages):
            first: Tensor | None = None
            for place, width in enumerate(widths):
                with b.scope(f"stage{stage}.{place}"):
                    x = _block(b, x, first, inner, width)
                first = x if first is None else first
        for place, (width, kernel, stride) in enumerate(self.last):
            x = layers.conv_bn_act(b, x, width, kernel, stride=stride, name=f"last{place}")
        return layers.linear(b, layers.global_average(b, x), classes, name="head")


def _block(b: GraphBuilder, x: Tensor, first: Tensor | None, inner: int, width: int) -> Tensor:
    """Three 3x3 convolutions in a row, joined with each other and what the first block of the stage made."""
    made = [layers.conv_bn_act(b, x, inner, 3, stride=1 if first is not None else 2, name="conv1")]
    for place in (2, 4):
        y = layers.conv_bn_act(b, made[-1], inner, 1, name=f"conv{place}")
        made.append(layers.conv_bn_act(b, y, inner // 2, 3, name=f"conv{place + 1}"))
    joined = b.add(Concat(1), *made, *([first] if first is not None else []), name="join")
    return layers.conv_bn_act(b, joined, width, 1, name="conv6")


_42 = SelecSLS(
    stages=((64, (64, 128)), (144, (144, 288)), (304, (304, 480))),
    last=((960, 3, 2), (1024, 3, 1), (1024, 3, 2), (1280, 1, 1)),
)
_60 = SelecSLS(
    stages=((64, (64, 128)), (128, (128, 128, 288)), (288, (288, 288, 288, 416))),
    last=((756, 3, 2), (1024, 3, 1), (1024, 3, 2), (1280, 1, 1)),
)
_B = ((1024, 3, 1), (1280, 3, 2), (1024, 1, 1))
_NETWORKS: Mapping[str, SelecSLS] = MappingProxyType(
    {
        "selecsls42": _42,
        "selecsls42b": replace(_42, last=(_42.last[0], *_B)),
        "selecsls60": _60,
        "selecsls60b": replace(_60, last=(_60.last[0], *_B)),
        "selecsls84": SelecSLS(
            stages=((64, (64, 144)), (144, (144, 144, 144, 144, 304)), (304, (304, 304, 304, 304, 304, 512))),
            last=((960, 3, 2), (1024, 3, 1), (1024, 3, 2), (1280, 3, 1)),
        ),
    }
)


def _find(name: str) -> Sized | None:
    return Sized(_NETWORKS[name]) if name in _NETWORKS else None


FAMILIES = (
    ImageFamily(
        name="selecsls",
        title="short and long skips, joined",
        source="Mehta et al. 2020, XNect: Real-time Multi-Person 3D Motion Capture, section 4.1.1",
        examples=tuple(_NETWORKS),
        find=_find,
    ),
)
