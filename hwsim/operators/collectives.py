"""What operators of communication share: their Collective, and a NumPy value where one process stands for all.

The references take one rank's tensor as if every rank held the same, and give what rank 0 ends with.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from hwsim.errors import InputError
from hwsim.graph.operator import Array
from hwsim.graph.tensor import TensorType
from hwsim.graph.work import Collective, Work
from hwsim.operators.checks import expect_inputs

__all__ = ["Exchange"]


@dataclass(frozen=True, slots=True)
class Exchange(ABC):
    """Communication of one tensor among ``participants`` ranks."""

    kind: ClassVar[str]
    participants: int = 2

    def __post_init__(self) -> None:
        if self.participants < 1:
            raise InputError(f"{self.kind}: participants must be at least 1, not {self.participants}")

    def infer(self, inputs: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """Type of one rank's result."""
        expect_inputs(self.kind, inputs, 1)
        (x,) = inputs
        return (TensorType(self.shape(x.shape), x.format),)

    def lower(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> tuple[Work, ...]:
        """One Collective whose bytes are the whole vector of a rank; none for a lone participant.

        The whole vector is the larger side: the result of an all-gather, the input of a reduce-scatter, either of
        the others (the convention of nccl-tests, PERFORMANCE.md, by which ring times are published).
        """
        if self.participants == 1:
            return ()
        (x,), (y,) = inputs, outputs
        size = max(x.size_bytes, y.size_bytes)
        return (
            Collective(
                kernel=self.kind, pattern=self.kind, bytes=size, participants=self.participants, format=y.format
            ),
        )

    def shape(self, old: tuple[int, ...]) -> tuple[int, ...]:
        """Shape of one rank's result; raises ShapeError when the tensor cannot be shared out."""
        return old

    @abstractmethod
    def reference(self, *arrays: Array) -> tuple[Array, ...]:
        """What rank 0 ends with when every rank starts with this array."""
