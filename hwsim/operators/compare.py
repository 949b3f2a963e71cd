"""Comparison of two tensors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np

from hwsim.errors import ShapeError
from hwsim.graph.operator import Array, register
from hwsim.graph.tensor import TensorType
from hwsim.operators.checks import broadcast, expect_inputs
from hwsim.operators.elementwise import Elementwise

__all__ = ["Compare"]


@register
@dataclass(frozen=True, slots=True)
class Compare(Elementwise):
    """Whether a is equal to, less than ... b, by ``mode``, with broadcasting.

    One comparison.
    """

    kind: ClassVar[str] = "compare"
    flop_per_element: ClassVar[int] = 1
    modes: ClassVar[Mapping[str, Any]] = MappingProxyType(
        {"equal": np.equal, "less": np.less, "less_equal": np.less_equal}
        | {"greater": np.greater, "greater_equal": np.greater_equal}
    )
    mode: str = "equal"

    def infer(self, inputs: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """Truth values in the broadcast shape; raises ShapeError when shapes do not broadcast."""
        expect_inputs(self.kind, inputs, 2)
        if self.mode not in self.modes:
            raise ShapeError(f"compare: mode is one of {', '.join(self.modes)}, not '{self.mode}'")
        return (TensorType(broadcast(self.kind, inputs), "bool"),)

    def reference(self, *arrays: Array) -> tuple[Array, ...]:
        """Truth values."""
        return (np.asarray(self.modes[self.mode](*arrays)),)
