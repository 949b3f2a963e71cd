"""Broadcasting to a larger shape without copying."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from hwsim.errors import ShapeError
from hwsim.graph.operator import Array, register
from hwsim.graph.tensor import TensorType
from hwsim.graph.work import Work
from hwsim.operators.checks import broadcast, expect_inputs

__all__ = ["Expand"]


@register
@dataclass(frozen=True, slots=True)
class Expand:
    """x repeated along axes of extent 1 (and new leading axes) to ``shape``; -1 keeps the input's extent."""

    kind: ClassVar[str] = "expand"
    shape: tuple[int, ...] = ()

    def _resolved(self, old: tuple[int, ...]) -> tuple[int, ...]:
        offset = len(self.shape) - len(old)
        return tuple(old[i - offset] if d == -1 and i >= offset else d for i, d in enumerate(self.shape))

    def infer(self, inputs: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """The new shape in the input's format; raises ShapeError when x does not broadcast to it."""
        expect_inputs(self.kind, inputs, 1)
        (x,) = inputs
        y = TensorType(self._resolved(x.shape), x.format, x.weight)
        if broadcast(self.kind, (x, y)) != y.shape:
            raise ShapeError(f"expand: {list(x.shape)} does not broadcast to {list(self.shape)}")
        return (y,)

    def lower(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> tuple[Work, ...]:
        """None: a view whose repeated axes have stride 0."""
        return ()

    def reference(self, *arrays: Array) -> tuple[Array, ...]:
        """The repeated values."""
        (x,) = arrays
        return (np.broadcast_to(x, self._resolved(x.shape)),)
