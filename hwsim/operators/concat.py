"""Tensors joined along an axis."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from hwsim.errors import ShapeError
from hwsim.graph.operator import Array, register
from hwsim.graph.tensor import TensorType
from hwsim.graph.work import Work
from hwsim.operators.checks import axis_of
from hwsim.operators.layout import fills_lines, move_work
from hwsim.operators.precision import result_format

__all__ = ["Concat", "joined_shape"]


def joined_shape(kind: str, inputs: Sequence[TensorType], axis: int) -> tuple[int, ...]:
    """Shape of the inputs joined along ``axis``; raises ShapeError when another axis differs."""
    if not inputs:
        raise ShapeError(f"{kind} takes 1 input or more, not 0")
    shape = inputs[0].shape
    place = axis_of(kind, axis, len(shape))
    rests = {(len(t.shape), *t.shape[:place], *t.shape[place + 1 :]) for t in inputs}
    if len(rests) > 1:
        shown = " and ".join(str(list(t.shape)) for t in inputs)
        raise ShapeError(f"{kind} along axis {axis}: shapes {shown} differ elsewhere")
    return (*shape[:place], sum(t.shape[place] for t in inputs), *shape[place + 1 :])


@register
@dataclass(frozen=True, slots=True)
class Concat:
    """All inputs joined along ``axis``."""

    kind: ClassVar[str] = "concat"
    axis: int = 0

    def infer(self, inputs: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """The joined shape in the first activation's format; raises ShapeError when another axis differs."""
        return (TensorType(joined_shape(self.kind, inputs, self.axis), result_format(inputs)),)

    def lower(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> tuple[Work, ...]:
        """One Move of everything, contiguous if each input's runs fill cache lines."""
        axis = axis_of(self.kind, self.axis, len(outputs[0].shape))
        contiguous = all(fills_lines(t, t.shape[axis:]) for t in inputs)
        return (move_work(self.kind, inputs, outputs[0], contiguous=contiguous),)

    def reference(self, *arrays: Array) -> tuple[Array, ...]:
        """The joined values."""
        return (np.concatenate(arrays, self.axis),)
