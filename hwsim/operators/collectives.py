"""What operators of communication share: their Collective, and a NumPy value where one process stands for all.

The references take one rank's tensor as if every rank held the same, and give what rank 0 ends with.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from hwsim.errors import InputError
from hwsim.graph.operator import Array
from hwsim.graph.tensor import TensorType
from hwsim.graph.work import Collective, Work
from hwsim.operators.checks import expect_inputs

__all__ = ["Exchange", "RankWise", "Segments", "held"]

Segments = tuple[tuple[int, bool], ...]
"""Runs along an axis: how long each is, and whether it is cut among the ranks (else every rank has it whole)."""


def held(segments: Segments, rank: int, ranks: int) -> NDArray[np.int64]:
    """Indices along the whole axis of what one rank holds.

    >>> held(((2, False), (4, True)), 1, 2).tolist()
    [0, 1, 4, 5]
    """
    found: list[int] = []
    start = 0
    for length, cut in segments:
        part = length // ranks
        found += range(start + rank * part, start + rank * part + part) if cut else range(start, start + length)
        start += length
    return np.array(found, dtype=np.int64)


@runtime_checkable
class RankWise(Protocol):
    """An operator whose values depend on which rank computes them."""

    def on_rank(self, rank: int, *arrays: Array) -> tuple[Array, ...]:
        """Values of that rank; ``reference`` gives those of rank 0."""


@dataclass(frozen=True, slots=True)
class Exchange(ABC):
    """Communication of one tensor among ``participants`` ranks, ``stride`` apart, in as many groups as there are."""

    kind: ClassVar[str]
    participants: int = 2
    stride: int = 1

    def __post_init__(self) -> None:
        for name in ("participants", "stride"):
            if getattr(self, name) < 1:
                raise InputError(f"{self.kind}: {name} must be at least 1, not {getattr(self, name)}")

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
    def exchange(self, parts: Sequence[Array]) -> list[Array]:
        """What each rank of a group ends with, from what each starts with."""

    def reference(self, *arrays: Array) -> tuple[Array, ...]:
        """What rank 0 ends with when every rank starts with this array."""
        (x,) = arrays
        return (self.exchange([x] * self.participants)[0],)
