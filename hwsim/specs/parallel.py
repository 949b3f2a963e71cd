"""How a workload is divided among the devices of a system."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from hwsim.specs.fields import Count

__all__ = ["ParallelSpec"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ParallelSpec:
    """Sequence parallelism on ``ulysses`` x ``ring`` ranks.

    ``ulysses`` ranks exchange attention heads for tokens, ``ring`` ranks pass keys and values around.
    """

    ulysses: Annotated[int, Count("ulysses")] = 1
    ring: Annotated[int, Count("ring")] = 1

    @property
    def ranks(self) -> int:
        """Devices that work together."""
        return self.ulysses * self.ring
