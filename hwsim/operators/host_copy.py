"""A tensor copied between the host and the device, either way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from hwsim.graph.operator import Array, register
from hwsim.graph.tensor import TensorType
from hwsim.graph.work import Work
from hwsim.operators.checks import expect_inputs
from hwsim.operators.layout import move_work

__all__ = ["HostCopy"]


@register
@dataclass(frozen=True, slots=True)
class HostCopy:
    """x as it is; a stack says by its constants of this kernel what the way to the host is worth."""

    kind: ClassVar[str] = "host_copy"

    def infer(self, inputs: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """The input's type."""
        expect_inputs(self.kind, inputs, 1)
        return (inputs[0],)

    def lower(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> tuple[Work, ...]:
        """A contiguous Move: read on one side, written on the other."""
        return (move_work(self.kind, inputs, outputs[0], contiguous=True),)

    def reference(self, *arrays: Array) -> tuple[Array, ...]:
        """The same values."""
        return arrays
