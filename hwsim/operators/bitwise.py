"""Logic on truth values, and on the bits of integers."""

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
from hwsim.operators.precision import result_format

__all__ = ["Bitwise"]


@register
@dataclass(frozen=True, slots=True)
class Bitwise(Elementwise):
    """and, or, exclusive or, not, or a shift by b bits, by ``mode``, with broadcasting.

    Of truth values, or of the bits of integers; one operation.
    """

    kind: ClassVar[str] = "bitwise"
    flop_per_element: ClassVar[int] = 1
    modes: ClassVar[Mapping[str, Any]] = MappingProxyType(
        {"and": np.bitwise_and, "or": np.bitwise_or, "xor": np.bitwise_xor, "not": np.invert}
        | {"shift_left": np.left_shift, "shift_right": np.right_shift}
    )
    mode: str = "and"

    def infer(self, inputs: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """The broadcast shape in the first activation's format; raises ShapeError when shapes do not broadcast."""
        if self.mode not in self.modes:
            raise ShapeError(f"bitwise: mode is one of {', '.join(self.modes)}, not '{self.mode}'")
        expect_inputs(self.kind, inputs, 1 if self.mode == "not" else 2)
        return (TensorType(broadcast(self.kind, inputs), result_format(inputs)),)

    def reference(self, *arrays: Array) -> tuple[Array, ...]:
        """Truth values, or integers of the input's dtype; floats are taken as truth values."""
        whole = [a if not np.issubdtype(a.dtype, np.floating) else a != 0 for a in arrays]
        return (np.asarray(self.modes[self.mode](*whole)).astype(arrays[0].dtype, copy=False),)
