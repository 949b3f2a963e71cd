"""Sequencers (Tatsunami and Taki 2022, Sequencer: Deep LSTM for Image Classification) by the names of timm."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from hwsim.graph.graph import GraphBuilder
from hwsim.graph.tensor import Tensor
from hwsim.operators.concat import Concat
from hwsim.operators.recurrent import Recurrent
from hwsim.operators.reduce import ReduceAxes
from hwsim.operators.reshape import Reshape
from hwsim.operators.transpose import Transpose
from hwsim.workloads import layers
from hwsim.workloads.families import ImageFamily, Sized

__all__ = ["FAMILIES", "Sequencer"]

_TO_LAST, _TO_SECOND = Transpose((0, 2, 3, 1)), Transpose((0, 3, 1, 2))
_STEPS_FIRST = Transpose((1, 0, 2))


@dataclass(frozen=True, slots=True)
class Sequencer:
    """Blocks of each stage (Tatsunami and Taki 2022, Table 6)."""

    depths: tuple[int, int, int, int]

    def __call__(self, b: GraphBuilder, image: Tensor, classes: int) -> Tensor:
        """Logits (batch, classes)."""
        x = b.add(_TO_LAST, layers.conv(b, image, 192, 7, stride=7, padding=0, name="patches"))
        for stage, depth in enumerate(self.depths):
            with b.scope(f"stage{stage}"):
                if stage:
                    side = 2 if stage == 1 else 1
                    x = layers.conv(b, b.add(_TO_SECOND, x), 384, side, stride=side, padding=0, name="down")
                    x = b.add(_TO_LAST, x)
                for place in range(depth):
                    with b.scope(f"block{place}"):
                        x = layers.add(b, x, self._mixed(b, layers.layer_norm(b, x, name="norm1")))
                        y = layers.mlp(b, layers.layer_norm(b, x, name="norm2"), 3 * x.shape[3])
                        x = layers.add(b, x, y, name="add2")
        x = layers.layer_norm(b, x)
        return layers.linear(b, b.add(ReduceAxes("mean", (1, 2)), x), classes, name="head")

    def _mixed(self, b: GraphBuilder, x: Tensor) -> Tensor:
        """LSTMs along columns and along rows, each from both ends (Fig. 2c)."""
        batch, height, across, width = x.shape
        y = b.add(Transpose((0, 2, 1, 3)), x, name="columns_first")
        columns = _both_ways(b, b.add(Reshape((batch * across, height, width)), y), "columns")
        columns = b.add(
            Transpose((0, 2, 1, 3)), b.add(Reshape((batch, across, height, -1)), columns), name="rows_first"
        )
        rows = _both_ways(b, b.add(Reshape((batch * height, across, width)), x), "rows")
        joined = b.add(Concat(3), columns, b.add(Reshape((batch, height, across, -1)), rows), name="joined")
        return layers.linear(b, joined, width, name="union")


def _both_ways(b: GraphBuilder, x: Tensor, name: str) -> Tensor:
    """(lines, steps, 2 hidden) of x (lines, steps, width): a fourth as many features from each end."""
    lines, _, width = x.shape
    hidden = width // 4
    with b.scope(name):
        steps = b.add(_STEPS_FIRST, x, name="steps_first")
        made = []
        for way, backward in (("forward", False), ("backward", True)):
            with b.scope(way):
                weights = (b.weight("input", (4 * hidden, width)), b.weight("recurrent", (4 * hidden, hidden)))
                bias = b.weight("bias", (8 * hidden,))
                state = b.state("state", (lines, hidden))
                op = Recurrent(mode="lstm", backward=backward)
                made.append(b.add_all(op, steps, *weights, bias, state, state, name="lstm")[0])
        return b.add(_STEPS_FIRST, b.add(Concat(2), *made, name="ways"), name="lines_first")


_NETWORKS: Mapping[str, Sequencer] = MappingProxyType(
    {
        "sequencer2d_s": Sequencer((4, 3, 8, 3)),
        "sequencer2d_m": Sequencer((4, 3, 14, 3)),
        "sequencer2d_l": Sequencer((8, 8, 16, 4)),
    }
)


def _find(name: str) -> Sized | None:
    return Sized(_NETWORKS[name]) if name in _NETWORKS else None


FAMILIES = (
    ImageFamily(
        name="sequencer",
        title="recurrent networks over rows and columns",
        source="Tatsunami and Taki 2022, Sequencer: Deep LSTM for Image Classification, Table 6",
        examples=tuple(_NETWORKS),
        find=_find,
    ),
)
