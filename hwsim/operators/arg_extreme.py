"""Where along an axis the largest or smallest element stands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from hwsim.errors import ShapeError
from hwsim.graph.operator import Array, register
from hwsim.graph.tensor import TensorType
from hwsim.graph.work import Work
from hwsim.operators.checks import axis_of, expect_inputs
from hwsim.operators.rowwise import reduce_work

__all__ = ["ArgExtreme"]


@register
@dataclass(frozen=True, slots=True)
class ArgExtreme:
    """Index along ``axis`` of the largest (``mode`` 'max') or smallest element, the first of equals or the ``last``."""

    kind: ClassVar[str] = "arg_extreme"
    mode: str = "max"
    axis: int = -1
    keepdims: bool = False
    last: bool = False

    def infer(self, inputs: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """int64 without the axis, or with extent 1 there if ``keepdims``; raises ShapeError for an unknown mode."""
        expect_inputs(self.kind, inputs, 1)
        (x,) = inputs
        if self.mode not in ("max", "min"):
            raise ShapeError(f"arg_extreme: mode is 'max' or 'min', not '{self.mode}'")
        axis = axis_of(self.kind, self.axis, len(x.shape))
        kept = (1,) if self.keepdims else ()
        return (TensorType((*x.shape[:axis], *kept, *x.shape[axis + 1 :]), "int64"),)

    def lower(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> tuple[Work, ...]:
        """One Reduce: a comparison an element."""
        work = reduce_work(self.kind, inputs, outputs[0], cols=inputs[0].shape[self.axis], passes=1, flop=1)
        return (replace(work, format=inputs[0].format),)

    def reference(self, *arrays: Array) -> tuple[Array, ...]:
        """The indices."""
        (x,) = arrays
        seen = np.flip(x, self.axis) if self.last else x
        found = (np.argmax if self.mode == "max" else np.argmin)(seen, axis=self.axis, keepdims=self.keepdims)
        whole = np.asarray(found, dtype=np.int64)
        return (x.shape[self.axis] - 1 - whole if self.last else whole,)
