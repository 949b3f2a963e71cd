"""Resizing of images and clips: nearest neighbour or (bi-, tri-)linear."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from hwsim.errors import ShapeError
from hwsim.graph.operator import Array, register
from hwsim.graph.tensor import TensorType
from hwsim.graph.work import Work
from hwsim.operators.checks import expect_inputs, expect_rank
from hwsim.operators.elementwise import map_work
from hwsim.operators.layout import move_work
from hwsim.operators.precision import narrow, widen

__all__ = ["Resize"]


@register
@dataclass(frozen=True, slots=True)
class Resize:
    """x (batch, channels, *sizes) resized to ``size``, or by ``scales`` (sizes rounded down), one entry an axis.

    ``nearest`` takes input floor(i / scale); ``bilinear`` interpolates linearly along each axis, clamped at the border,
    between the ``places`` of elements: their ``centres`` lie evenly, or those of the first and the last
    (``corners``), or their ``starts`` (ONNX ``half_pixel``, ``align_corners`` and ``asymmetric``; nearest is
    ``asymmetric`` with ``floor``).
    """

    kind: ClassVar[str] = "upsample"
    scales: tuple[float, ...] | None = (2, 2)
    size: tuple[int, ...] | None = None
    mode: str = "nearest"
    places: str = "centres"

    def infer(self, inputs: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """(batch, channels, *new sizes); raises ShapeError when entries and spatial axes differ in number."""
        expect_inputs(self.kind, inputs, 1)
        (x,) = inputs
        expect_rank(self.kind, "x", x, 3)
        if self.mode not in ("nearest", "bilinear"):
            raise ShapeError(f"upsample: mode is 'nearest' or 'bilinear', not '{self.mode}'")
        if self.places not in ("centres", "corners", "starts"):
            raise ShapeError(f"upsample: places are 'centres', 'corners' or 'starts', not '{self.places}'")
        wanted = self.scales if self.size is None else self.size
        if wanted is None or len(wanted) != len(x.shape) - 2:
            raise ShapeError(
                f"upsample: give one scale or size for each of the {len(x.shape) - 2} spatial axes of {list(x.shape)}"
            )
        return (TensorType((*x.shape[:2], *self._sizes(x.shape[2:])), x.format),)

    def _sizes(self, old: Sequence[int]) -> tuple[int, ...]:
        if self.size is not None:
            return self.size
        return tuple(int(d * s) for d, s in zip(old, self.scales or (), strict=True))

    def _at(self, old: int, new: int) -> Array:
        """Where on the old axis the new elements lie."""
        i = np.arange(new)
        if self.places == "corners":
            return i * ((old - 1) / (new - 1)) if new > 1 else np.zeros(new)
        return i * (old / new) if self.places == "starts" else (i + 0.5) * (old / new) - 0.5

    def lower(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> tuple[Work, ...]:
        """A Move (nearest), or a Map of 2^axes - 1 interpolations of three operations an element (bilinear)."""
        (y,) = outputs
        if self.mode == "nearest":
            return (move_work(self.kind, inputs, y, contiguous=True),)
        return (map_work(self.kind, inputs, y, 3 * (2 ** (len(y.shape) - 2) - 1), 0),)

    def reference(self, *arrays: Array) -> tuple[Array, ...]:
        """Values with the input's dtype, interpolated in float32 (float64 for float64)."""
        (x,) = arrays
        y = x if self.mode == "nearest" else widen(x)
        for axis, new in enumerate(self._sizes(x.shape[2:]), start=2):
            old = x.shape[axis]
            if self.mode == "nearest":
                y = np.take(y, np.arange(new) * old // new, axis)
                continue
            at = np.clip(self._at(old, new), 0, old - 1)
            low = np.floor(at).astype(np.int64)
            share = (at - low).astype(y.dtype).reshape((-1,) + (1,) * (x.ndim - axis - 1))
            start, end = np.take(y, low, axis), np.take(y, np.minimum(low + 1, old - 1), axis)
            y = start + (end - start) * share
        return (narrow(y, x),)
