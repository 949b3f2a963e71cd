"""Cutting a tensor into pieces that are read where they lie."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from hwsim.graph.operator import register
from hwsim.graph.tensor import TensorType
from hwsim.graph.work import Work
from hwsim.operators.split import Split

__all__ = ["SplitView"]


@register
@dataclass(frozen=True, slots=True)
class SplitView(Split):
    """A :class:`Split` whose pieces are views with strides: no byte moves."""

    kind: ClassVar[str] = "split_view"

    def lower(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> tuple[Work, ...]:
        """None."""
        return ()
