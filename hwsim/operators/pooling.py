"""Maximum, average and norm over a window."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from hwsim.errors import ShapeError
from hwsim.graph.operator import Array, register
from hwsim.graph.tensor import TensorType
from hwsim.graph.work import Reduce, Work
from hwsim.operators.checks import expect_inputs, expect_positive, expect_rank
from hwsim.operators.convolution import both_sides
from hwsim.operators.precision import narrow, widen

__all__ = ["Pool"]

_MODES = ("max", "average", "norm")


@register
@dataclass(frozen=True, slots=True)
class Pool:
    """Maximum, average or norm of x (batch, channels, *sizes) over a window of one extent an axis.

    ``stride`` defaults to the window; ``padding`` is one number an axis, or two: all befores, then all afters.
    The maximum ignores padding; the average divides by real elements (ONNX ``count_include_pad=0``), or with
    ``count_padding`` by the window that lies on elements and padding. ``ceil`` keeps a last partial window, provided it
    starts on an element or on the padding before it. ``power`` is that of the norm. With ``places`` a second output
    has the place of each maximum among the elements of x, the last axis counted fastest (``rows``) or slowest
    (``columns``).
    """

    kind: ClassVar[str] = "pooling"
    kernels: ClassVar[tuple[str, ...]] = ("pooling", "padded_average")
    mode: str = "max"
    kernel: tuple[int, ...] = (2, 2)
    stride: tuple[int, ...] | None = None
    padding: tuple[int, ...] = ()
    ceil: bool = False
    dilation: tuple[int, ...] = ()
    count_padding: bool = False
    power: int = 2
    places: str = ""

    @property
    def _walk(self) -> tuple[tuple[int, int, int, int, int], ...]:
        """(extent of the window, stride, dilation, padding before, padding after) an axis."""
        axes = len(self.kernel)
        padding = both_sides(self.kind, self.padding or (0,) * axes, axes)
        steps = zip(self.kernel, self.stride or self.kernel, self.dilation or (1,) * axes, padding, strict=True)
        return tuple((k, s, d, before, after) for k, s, d, (before, after) in steps)

    @property
    def _uneven(self) -> bool:
        """Whether averages divide by fewer elements along the borders than within."""
        return self.mode == "average" and any(self.padding) and not self.count_padding

    def infer(self, inputs: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """(batch, channels, *positions); raises ShapeError when the window does not fit."""
        expect_inputs(self.kind, inputs, 1)
        (x,) = inputs
        axes = len(self.kernel)
        expect_rank(self.kind, "x", x, 2 + axes, 2 + axes)
        if self.mode not in _MODES:
            raise ShapeError(f"pooling: mode is 'max' or 'average' or 'norm', not '{self.mode}'")
        expect_positive(self.kind, "kernel", self.kernel, axes)
        expect_positive(self.kind, "stride", self.stride or self.kernel, axes)
        expect_positive(self.kind, "dilation", self.dilation or self.kernel, axes)
        positions = self._positions(x.shape[2:])
        if min(positions, default=1) < 1:
            raise ShapeError(
                f"pooling: a window of {self.kernel} does not fit {list(x.shape)} padded by {self.padding}"
            )
        y = TensorType((*x.shape[:2], *positions), x.format)
        return (y, TensorType(y.shape, "int64")) if self.places else (y,)

    def _positions(self, sizes: Sequence[int]) -> tuple[int, ...]:
        result = []
        for size, (k, s, d, before, after) in zip(sizes, self._walk, strict=True):
            room = size + before + after - d * (k - 1) - 1
            count = (math.ceil(room / s) if self.ceil else room // s) + 1
            if self.ceil and (count - 1) * s >= size + before:
                count -= 1
            result.append(count)
        return tuple(result)

    def lower(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> tuple[Work, ...]:
        """One Reduce: a row of the window's elements for each output, one comparison or sum an element.

        It is labelled ``padded_average`` where the divisor changes along the borders.
        """
        (x,), y = inputs, outputs[0]
        return (
            Reduce(
                kernel="padded_average" if self._uneven else self.kind,
                rows=y.elements,
                cols=math.prod(self.kernel),
                passes=1,
                flop_per_element=2 if self.mode == "norm" else 1,
                special_per_element=0,
                bytes_in=x.size_bytes,
                bytes_out=sum(out.size_bytes for out in outputs),
                format=y.format,
            ),
        )

    def reference(self, *arrays: Array) -> tuple[Array, ...]:
        """Values with the input's dtype; averages in float32 (float64 for float64)."""
        (x,) = arrays
        sizes = x.shape[2:]
        inner = tuple(range(-len(sizes), 0))
        if self.mode == "max":
            exact = widen(x) if np.issubdtype(x.dtype, np.floating) else x
            lowest = -np.inf if np.issubdtype(x.dtype, np.floating) else np.iinfo(x.dtype).min
            seen = self._windows(exact, lowest)
            y = narrow(seen.max(axis=inner), x)
            return (y, self._places(seen, sizes, x.shape[:2])) if self.places else (y,)
        wide = widen(x)
        if self.mode == "norm":
            powers = (self._windows(np.abs(wide), 0) ** self.power).sum(axis=inner)
            return (narrow(powers ** np.asarray(1 / self.power, wide.dtype), x),)
        real = self._windows(np.ones((1, 1, *sizes), wide.dtype), 0, counted=self.count_padding).sum(axis=inner)
        return (narrow(self._windows(wide, 0).sum(axis=inner) / real, x),)

    def _windows(self, x: Array, empty: float, *, counted: bool = False) -> Array:
        """The elements of every window, (batch, channels, *positions, *kernel); ``counted`` padding is 1."""
        sizes, walk = x.shape[2:], self._walk
        positions = self._positions(sizes)
        inside = [(before, after) for _, _, _, before, after in walk]
        padded = np.pad(x, [(0, 0), (0, 0), *inside], constant_values=1 if counted else empty)
        over = [
            max((count - 1) * s + d * (k - 1) + 1 - size, 0)
            for count, size, (k, s, d, _, _) in zip(positions, padded.shape[2:], walk, strict=True)
        ]
        padded = np.pad(padded, [(0, 0), (0, 0), *((0, more) for more in over)], constant_values=empty)
        reach = tuple(d * (k - 1) + 1 for k, _, d, _, _ in walk)
        seen = sliding_window_view(padded, reach, tuple(range(2, x.ndim)))
        starts = tuple(slice(0, (n - 1) * s + 1, s) for n, (_, s, _, _, _) in zip(positions, walk, strict=True))
        steps = tuple(slice(None, None, d) for _, _, d, _, _ in walk)
        found: Array = seen[(slice(None), slice(None), *starts, *steps)]
        return found

    def _places(self, seen: Array, sizes: Sequence[int], outer: Sequence[int]) -> Array:
        """Where in x each maximum stands (the first of equals)."""
        axes = len(sizes)
        best = seen.reshape(*seen.shape[: 2 + axes], -1).argmax(axis=-1)
        taps = np.unravel_index(best, self.kernel)
        at = []
        for axis, (_, s, d, before, _) in enumerate(self._walk):
            start = np.arange(best.shape[2 + axis]).reshape([-1 if i == 2 + axis else 1 for i in range(2 + axes)])
            at.append(start * s - before + taps[axis] * d)
        flat = np.ravel_multi_index(at, sizes, order="C" if self.places == "rows" else "F", mode="clip")
        images = np.arange(math.prod(outer)).reshape(*outer, *(1,) * axes) * math.prod(sizes)
        return np.asarray(images + flat, dtype=np.int64)
