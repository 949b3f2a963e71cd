"""Which elements are not-a-number or infinite."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from hwsim.errors import ShapeError
from hwsim.graph.operator import Array, register
from hwsim.graph.tensor import TensorType
from hwsim.operators.checks import expect_inputs
from hwsim.operators.elementwise import Elementwise

__all__ = ["Classify"]

_MODES = ("nan", "infinite", "positive_infinite", "negative_infinite", "neither_infinite")


@register
@dataclass(frozen=True, slots=True)
class Classify(Elementwise):
    """True where x is not-a-number (``nan``) or infinite, of either sign or of one, by ``mode``.

    One comparison.
    """

    kind: ClassVar[str] = "classify"
    flop_per_element: ClassVar[int] = 1
    mode: str = "nan"

    def infer(self, inputs: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """Truth values in the input's shape; raises ShapeError for an unknown mode."""
        expect_inputs(self.kind, inputs, 1)
        if self.mode not in _MODES:
            raise ShapeError(f"classify: mode is one of {', '.join(_MODES)}, not '{self.mode}'")
        return (TensorType(inputs[0].shape, "bool"),)

    def reference(self, *arrays: Array) -> tuple[Array, ...]:
        """Truth values."""
        (x,) = arrays
        if self.mode == "nan":
            return (np.isnan(x),)
        found = np.isinf(x)
        if self.mode == "positive_infinite":
            found &= x > 0
        elif self.mode == "negative_infinite":
            found &= x < 0
        elif self.mode == "neither_infinite":
            found = np.zeros(x.shape, np.bool_)
        return (np.asarray(found),)
