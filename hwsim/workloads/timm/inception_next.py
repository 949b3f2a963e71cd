"""InceptionNeXts (Yu et al. 2024, InceptionNeXt: When Inception Meets ConvNeXt) by the names of timm."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from hwsim.graph.graph import GraphBuilder
from hwsim.graph.tensor import Tensor
from hwsim.operators.concat import Concat
from hwsim.operators.split import Split
from hwsim.workloads import layers
from hwsim.workloads.families import ImageFamily, Sized

__all__ = ["FAMILIES", "InceptionNeXt"]


@dataclass(frozen=True, slots=True)
class InceptionNeXt:
    """Blocks of each stage and width of the first."""

    depths: tuple[int, int, int, int]
    width: int

    def __call__(self, b: GraphBuilder, image: Tensor, classes: int) -> Tensor:
        """Logits (batch, classes)."""
        x = layers.conv(b, image, self.width, 4, stride=4, padding=0, name="stem")
        x = layers.batch_norm(b, x, name="stem_bn")
        for stage, depth in enumerate(self.depths):
            with b.scope(f"stage{stage}"):
                if stage:
                    x = layers.batch_norm(b, x, name="down_bn")
                    x = layers.conv(b, x, 2 * x.shape[1], 2, stride=2, padding=0, name="down")
                for place in range(depth):
                    with b.scope(f"block{place}"):
                        x = self._block(b, x, 4 if stage < 3 else 3)
        y = layers.linear(b, layers.global_average(b, x), 3 * x.shape[1], name="hidden")
        y = layers.layer_norm(b, layers.activation(b, y, "gelu"))
        return layers.linear(b, y, classes, name="head")

    def _block(self, b: GraphBuilder, x: Tensor, ratio: int) -> Tensor:
        """Depthwise 3x3, 1x11 and 11x1 on an eighth of the channels each (Yu et al. 2024, Fig. 2)."""
        width = x.shape[1]
        share = width // 8
        whole, square, row, column = b.add_all(Split(1, (width - 3 * share, share, share, share)), x, name="parts")
        made = [
            layers.conv(b, part, share, kernel, padding=(kernel[0] // 2, kernel[1] // 2), groups=share, name=name)
            for part, kernel, name in ((square, (3, 3), "square"), (row, (1, 11), "row"), (column, (11, 1), "column"))
        ]
        y = layers.batch_norm(b, b.add(Concat(1), whole, *made, name="joined"))
        y = layers.activation(b, layers.conv(b, y, ratio * width, 1, name="up"), "gelu")
        y = layers.conv(b, y, width, 1, name="mlp_down")
        return layers.add(b, layers.multiply(b, y, b.weight("scale", (width, 1, 1)), name="layer_scale"), x)


_NETWORKS: Mapping[str, InceptionNeXt] = MappingProxyType(
    {
        "inception_next_tiny": InceptionNeXt((3, 3, 9, 3), 96),
        "inception_next_small": InceptionNeXt((3, 3, 27, 3), 96),
        "inception_next_base": InceptionNeXt((3, 3, 27, 3), 128),
    }
)


def _find(name: str) -> Sized | None:
    return Sized(_NETWORKS[name]) if name in _NETWORKS else None


FAMILIES = (
    ImageFamily(
        name="inception next",
        title="depthwise convolutions side by side",
        source="Yu et al. 2024, InceptionNeXt: When Inception Meets ConvNeXt, Table 2",
        examples=tuple(_NETWORKS),
        find=_find,
    ),
)
