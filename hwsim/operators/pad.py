"""A tensor with a border."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from hwsim.errors import ShapeError
from hwsim.graph.operator import Array, register
from hwsim.graph.tensor import TensorType
from hwsim.graph.work import Work
from hwsim.operators.checks import expect_inputs
from hwsim.operators.layout import fills_lines, move_work

__all__ = ["Pad"]

_MODES = ("constant", "edge", "reflect", "wrap")


@register
@dataclass(frozen=True, slots=True)
class Pad:
    """x with ``pads`` = ((before, after), ...) entries an axis.

    They hold ``value``, or by ``mode`` the nearest element (``edge``), those mirrored at it (``reflect``), or those at
    the other end (``wrap``).
    """

    kind: ClassVar[str] = "pad"
    pads: tuple[tuple[int, int], ...] = ()
    value: float = 0.0
    mode: str = "constant"

    def infer(self, inputs: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """The enlarged shape; raises ShapeError unless there is one pair of at least 0 an axis."""
        expect_inputs(self.kind, inputs, 1)
        (x,) = inputs
        if len(self.pads) != len(x.shape) or any(p < 0 for pair in self.pads for p in pair):
            raise ShapeError(
                f"pad: give one (before, after) of at least 0 for each axis of {list(x.shape)}, not {self.pads}"
            )
        if self.mode not in _MODES:
            raise ShapeError(f"pad: mode is one of {', '.join(_MODES)}, not '{self.mode}'")
        if self.mode == "reflect" and any(max(pair) >= d for d, pair in zip(x.shape, self.pads, strict=True)):
            raise ShapeError(f"pad: {self.pads} mirrors more than {list(x.shape)} has beside its border")
        shape = tuple(before + d + after for d, (before, after) in zip(x.shape, self.pads, strict=True))
        return (TensorType(shape, x.format),)

    def lower(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> tuple[Work, ...]:
        """One Move; none (a view) when nothing is padded."""
        (x,) = inputs
        padded = [axis for axis, pair in enumerate(self.pads) if pair != (0, 0)]
        if not padded:
            return ()
        return (move_work(self.kind, inputs, outputs[0], contiguous=fills_lines(x, x.shape[padded[-1] :])),)

    def reference(self, *arrays: Array) -> tuple[Array, ...]:
        """The padded values."""
        (x,) = arrays
        if self.mode != "constant":
            return (np.asarray(np.pad(x, self.pads, mode=self.mode)),)  # type: ignore[call-overload]  # one of _MODES
        return (np.pad(x, self.pads, constant_values=np.asarray(self.value, x.dtype)),)
