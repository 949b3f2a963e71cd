"""The same values in another number format."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from hwsim.graph.operator import Array, register
from hwsim.graph.tensor import AUTO, BITS, TensorType
from hwsim.graph.work import Work
from hwsim.operators.checks import expect_inputs
from hwsim.operators.formats import FLOATS, round_to_float
from hwsim.operators.layout import move_work
from hwsim.operators.precision import dtype_of, narrow, widen
from hwsim.registry import unknown_name

__all__ = ["Cast"]


@register
@dataclass(frozen=True, slots=True)
class Cast:
    """x in ``format``; 'auto' is the format of the graph's activations.

    Integers are the nearest ones, or with ``truncate`` those towards zero, whose low bits stay, as in C and ONNX. What
    exceeds a narrow float becomes the largest one (``saturate``), else infinite or not-a-number; None leaves it to
    :func:`hwsim.operators.formats.round_to_float`. ``within``: the kernel that makes x writes it in both formats.
    """

    kind: ClassVar[str] = "cast"
    format: str = AUTO
    truncate: bool = False
    saturate: bool | None = None
    within: bool = False

    def __post_init__(self) -> None:
        if self.format != AUTO and self.format not in BITS:
            raise unknown_name("number format", self.format, (*BITS, AUTO))

    def infer(self, inputs: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """The input's shape in the new format."""
        expect_inputs(self.kind, inputs, 1)
        return (TensorType(inputs[0].shape, self.format),)

    def lower(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> tuple[Work, ...]:
        """One contiguous Move that reads one format and writes the other, or writes alone; none where both are one."""
        (x,), (y,) = inputs, outputs
        if x.format == y.format:
            return ()
        return (move_work(self.kind, inputs, y, contiguous=True, bytes_in=0 if self.within else None),)

    def reference(self, *arrays: Array) -> tuple[Array, ...]:
        """Values rounded to the format, in float32 where NumPy lacks it; 'auto' leaves them as they are."""
        (x,) = arrays
        if self.format == AUTO:
            return (widen(x) if self.truncate else x,)
        if self.format in FLOATS and self.format != "fp16":
            return (round_to_float(widen(x), self.format, saturate=self.saturate).astype(np.float32),)
        like = np.empty(0, dtype_of(self.format))
        if not self.truncate:
            return (narrow(x, like),)
        if np.issubdtype(x.dtype, np.floating) and like.dtype != np.bool_:
            x = np.trunc(x) if np.issubdtype(like.dtype, np.integer) else x
        with np.errstate(over="ignore", invalid="ignore"):
            if self.format in ("int4", "uint4"):
                low = x.astype(np.int64) & 15
                return ((low - 16 * (low > 7) if self.format == "int4" else low).astype(like.dtype),)
            return (x.astype(like.dtype),)
