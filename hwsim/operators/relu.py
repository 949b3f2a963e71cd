"""Rectified linear unit: max(x, 0)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from hwsim.graph.operator import Array, register
from hwsim.graph.tensor import TensorType
from hwsim.graph.work import Map, Work

__all__ = ["Relu"]


@register
@dataclass(frozen=True, slots=True)
class Relu:
    """Element-wise max(x, 0); any shape."""

    kind: ClassVar[str] = "relu"

    def infer(self, inputs: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """Same type as the input."""
        (x,) = inputs
        return (TensorType(x.shape, x.format),)

    def lower(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> tuple[Work, ...]:
        """One Map with one comparison an element."""
        (x,), (y,) = inputs, outputs
        return (
            Map(
                kernel="relu",
                elements=y.elements,
                flop_per_element=1,
                special_per_element=0,
                bytes_in=x.size_bytes,
                bytes_out=y.size_bytes,
                format=y.format,
            ),
        )

    def reference(self, *arrays: Array) -> tuple[Array, ...]:
        """Values with the input's dtype."""
        (x,) = arrays
        return (np.maximum(x, 0),)
