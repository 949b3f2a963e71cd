"""The same elements in another shape."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from hwsim.errors import ShapeError
from hwsim.graph.operator import Array, register
from hwsim.graph.tensor import TensorType
from hwsim.graph.work import Work
from hwsim.operators.checks import expect_inputs

__all__ = ["Reshape"]


@register
@dataclass(frozen=True, slots=True)
class Reshape:
    """x in ``shape``, where 0 copies the input's extent of that axis and one -1 takes what is left."""

    kind: ClassVar[str] = "reshape"
    shape: tuple[int, ...] = (-1,)

    def infer(self, inputs: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """The new shape; a weight stays one. Raises ShapeError when the elements do not fill it."""
        expect_inputs(self.kind, inputs, 1)
        (x,) = inputs
        return (TensorType(self._resolved(x.shape), x.format, x.weight),)

    def _resolved(self, old: tuple[int, ...]) -> tuple[int, ...]:
        fault = ShapeError(f"reshape: {list(old)} has {math.prod(old)} elements and does not fill {list(self.shape)}")
        if self.shape.count(-1) > 1 or any(d == 0 and i >= len(old) for i, d in enumerate(self.shape)):
            raise fault
        shape = [old[i] if d == 0 else d for i, d in enumerate(self.shape)]
        known = math.prod(d for d in shape if d != -1)
        if -1 in shape and math.prod(old) % known == 0:
            shape[shape.index(-1)] = math.prod(old) // known
        if math.prod(shape) != math.prod(old) or any(d < 1 for d in shape):
            raise fault
        return tuple(shape)

    def lower(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> tuple[Work, ...]:
        """None: a view."""
        return ()

    def reference(self, *arrays: Array) -> tuple[Array, ...]:
        """The same values."""
        (x,) = arrays
        return (x.reshape(self._resolved(x.shape)),)
