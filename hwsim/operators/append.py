"""New entries written behind a cache that stays in memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from hwsim.graph.operator import Array, register
from hwsim.graph.tensor import TensorType
from hwsim.graph.work import Work
from hwsim.operators.checks import axis_of, expect_inputs
from hwsim.operators.concat import joined_shape
from hwsim.operators.layout import fills_lines, move_work

__all__ = ["Append"]


@register
@dataclass(frozen=True, slots=True)
class Append:
    """(cache, new) joined along ``axis``, as a key-value cache grows: only ``new`` is moved.

    ``copied``: the cache is an input that is read and written again with ``new`` behind it, as in graphs of fixed
    shapes that own no memory between runs.
    """

    kind: ClassVar[str] = "append"
    axis: int = 2
    copied: bool = False

    @property
    def in_place(self) -> bool:
        """Whether the result occupies the cache's memory, not memory of its own."""
        return not self.copied

    def infer(self, inputs: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """The joined shape in the cache's format; raises ShapeError when another axis differs."""
        expect_inputs(self.kind, inputs, 2)
        return (TensorType(joined_shape(self.kind, inputs, self.axis), inputs[0].format),)

    def lower(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> tuple[Work, ...]:
        """One Move of the new entries into the cache's format, or of all; else those already there stay untouched."""
        new = inputs[1]
        if self.copied:
            return (move_work(self.kind, inputs, outputs[0], contiguous=True),)
        written = TensorType(new.shape, outputs[0].format)
        axis = axis_of(self.kind, self.axis, len(new.shape))
        return (move_work(self.kind, (new,), written, contiguous=fills_lines(new, new.shape[axis:])),)

    def reference(self, *arrays: Array) -> tuple[Array, ...]:
        """The joined values in the cache's dtype."""
        cache, new = arrays
        return (np.concatenate([cache, new.astype(cache.dtype)], self.axis),)
