"""Dual path networks (Chen et al. 2017, Dual Path Networks) by the names of timm."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from hwsim.graph.graph import GraphBuilder
from hwsim.graph.tensor import Tensor
from hwsim.operators.concat import Concat
from hwsim.operators.elu import Elu
from hwsim.operators.reshape import Reshape
from hwsim.operators.split import Split
from hwsim.workloads import layers
from hwsim.workloads.families import ImageFamily, Sized

__all__ = ["FAMILIES", "DualPath"]


@dataclass(frozen=True, slots=True, kw_only=True)
class DualPath:
    """Blocks and growth of each stage, channels of the stem, inner width of the first stage, groups (Table 1).

    ``small``: a fourth of the width, with a 3x3 stem; ``parted``: two last convolutions instead of one that is cut.
    """

    depths: tuple[int, int, int, int]
    growths: tuple[int, int, int, int]
    stem: int
    inner: int
    groups: int = 32
    small: bool = False
    parted: bool = False
    act: str = "relu"

    def __call__(self, b: GraphBuilder, image: Tensor, classes: int) -> Tensor:
        """Logits (batch, classes)."""
        x = layers.conv_bn_act(b, image, self.stem, 3 if self.small else 7, stride=2, act=self.act, name="stem")
        x = layers.pool(b, x, "max", 3, stride=2, padding=1, name="stem_pool")
        paths: tuple[Tensor, ...] = (x,)
        for stage, (depth, growth) in enumerate(zip(self.depths, self.growths, strict=True)):
            for place in range(depth):
                with b.scope(f"stage{stage}.{place}"):
                    paths = self._block(b, paths, stage, growth, first=place == 0)
        x = layers.batch_norm(b, b.add(Concat(1), *paths, name="joined"), name="norm")
        x = layers.global_average(b, b.add(Elu(), x))
        y = layers.conv(b, b.add(Reshape((*x.shape, 1, 1)), x), classes, 1, name="head")
        return layers.flatten(b, y)

    def _block(
        self, b: GraphBuilder, paths: tuple[Tensor, ...], stage: int, growth: int, *, first: bool
    ) -> tuple[Tensor, Tensor]:
        """The path that is added to and the one that grows (Chen et al. 2017, Fig. 2e)."""
        width, inner = (64 if self.small else 256) << stage, self.inner << stage
        stride = 2 if stage and first else 1
        x = b.add(Concat(1), *paths, name="joined") if len(paths) > 1 else paths[0]
        if first:
            y = self._conv(b, x, width + 2 * growth, 1, stride=stride, name="project")
            added, grown = b.add_all(Split(1, (width, 2 * growth)), y, name="project_parts")
        else:
            added, grown = paths
        y = self._conv(b, x, inner, 1, name="conv1")
        y = self._conv(b, y, inner, 3, stride=stride, groups=self.groups, name="conv2")
        if self.parted:
            y = layers.activation(b, layers.batch_norm(b, y, name="conv3_bn"), self.act)
            one = layers.conv(b, y, width, 1, bias=False, name="conv3_added")
            other = layers.conv(b, y, growth, 1, bias=False, name="conv3_grown")
        else:
            y = self._conv(b, y, width + growth, 1, name="conv3")
            one, other = b.add_all(Split(1, (width, growth)), y, name="conv3_parts")
        return layers.add(b, added, one), b.add(Concat(1), grown, other, name="grown")

    def _conv(
        self, b: GraphBuilder, x: Tensor, width: int, kernel: int, *, stride: int = 1, groups: int = 1, name: str
    ) -> Tensor:
        """Normalised and activated first."""
        x = layers.activation(b, layers.batch_norm(b, x, name=f"{name}_bn"), self.act)
        return layers.conv(b, x, width, kernel, stride=stride, groups=groups, bias=False, name=name)


_68 = (16, 32, 32, 64)
_NETWORKS: Mapping[str, DualPath] = MappingProxyType(
    {
        "dpn48b": DualPath(depths=(3, 4, 6, 3), growths=_68, stem=10, inner=128, small=True, parted=True, act="silu"),
        "dpn68": DualPath(depths=(3, 4, 12, 3), growths=_68, stem=10, inner=128, small=True),
        "dpn68b": DualPath(depths=(3, 4, 12, 3), growths=_68, stem=10, inner=128, small=True, parted=True),
        "dpn92": DualPath(depths=(3, 4, 20, 3), growths=(16, 32, 24, 128), stem=64, inner=96),
        "dpn98": DualPath(depths=(3, 6, 20, 3), growths=(16, 32, 32, 128), stem=96, inner=160, groups=40),
        "dpn107": DualPath(depths=(4, 8, 20, 3), growths=(20, 64, 64, 128), stem=128, inner=200, groups=50),
        "dpn131": DualPath(depths=(4, 8, 28, 3), growths=(16, 32, 32, 128), stem=128, inner=160, groups=40),
    }
)


def _find(name: str) -> Sized | None:
    return Sized(_NETWORKS[name]) if name in _NETWORKS else None


FAMILIES = (
    ImageFamily(
        name="dpn",
        title="residual and dense connections",
        source="Chen et al. 2017, Dual Path Networks, Table 1",
        examples=tuple(_NETWORKS),
        find=_find,
    ),
)
