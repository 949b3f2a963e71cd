"""Rows of the neighbours above and below, for a window that reaches beyond one rank's part of an image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from hwsim.errors import ShapeError
from hwsim.graph.operator import Array, register
from hwsim.graph.tensor import TensorType
from hwsim.graph.work import Collective, Work, size_bytes
from hwsim.operators.checks import expect_rank
from hwsim.operators.collectives import Exchange
from hwsim.operators.layout import move_work

__all__ = ["Halo"]


@register
@dataclass(frozen=True, slots=True)
class Halo(Exchange):
    """X (batch, channels, height, width) with ``rows`` rows of the ranks before and after; zeros outside the image."""

    kind: ClassVar[str] = "halo"
    rows: int = 1

    def shape(self, old: tuple[int, ...]) -> tuple[int, ...]:
        """``rows`` more above and below; raises ShapeError where a neighbour has not that many."""
        expect_rank(self.kind, "x", TensorType(old, "fp32"), 4, 4)
        if not 1 <= self.rows <= old[2]:
            raise ShapeError(f"halo: {self.rows} rows of a part that has {old[2]}; cut the image into fewer parts")
        return (*old[:2], old[2] + 2 * self.rows, old[3])

    def lower(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> tuple[Work, ...]:
        """The rows sent to one neighbour while the other's arrive, and the copy that joins them to the part."""
        (x,), (y,) = inputs, outputs
        batch, channels, _, width = x.shape
        sent = 2 * size_bytes(batch * channels * self.rows * width, x.format)
        exchange = Collective(
            kernel=self.kind, pattern="send", bytes=sent, participants=self.participants, format=x.format
        )
        copy = move_work(self.kind, (y,), y, contiguous=True)
        return (copy,) if self.participants == 1 else (exchange, copy)

    def exchange(self, parts: Sequence[Array]) -> list[Array]:
        """Each part between its neighbours' rows."""
        blank = np.zeros_like(parts[0][:, :, : self.rows])
        above = [blank, *(part[:, :, -self.rows :] for part in parts[:-1])]
        below = [*(part[:, :, : self.rows] for part in parts[1:]), blank]
        return [np.concatenate(three, 2) for three in zip(above, parts, below, strict=True)]
