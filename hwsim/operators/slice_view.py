"""A slice that only renames bytes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from hwsim.graph.operator import register
from hwsim.graph.tensor import TensorType
from hwsim.graph.work import Work
from hwsim.operators.slice import Slice

__all__ = ["SliceView"]


@register
@dataclass(frozen=True, slots=True)
class SliceView(Slice):
    """A :class:`Slice` that is read with strides where it lies: no byte moves."""

    kind: ClassVar[str] = "slice_view"

    def lower(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> tuple[Work, ...]:
        """None."""
        return ()
