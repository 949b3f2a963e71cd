"""A design space: parameters of a device or system and their values, what to run, what to optimize."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated

from hwsim.specs.fields import Choice, Text
from hwsim.specs.scenario import METRICS, OPERATORS, WorkloadSpec
from hwsim.specs.system import SystemSpec

__all__ = ["ConstraintSpec", "SearchSpec", "SweepSpec", "VarySpec"]


@dataclass(frozen=True, slots=True, kw_only=True)
class VarySpec:
    """One axis: a YAML path, its values as ``evolve`` takes them, and as numbers in SI units (or words)."""

    path: str
    values: tuple[object, ...]
    numbers: tuple[float | str, ...]
    unit: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConstraintSpec:
    """A design counts only if its ``metric`` compares so with ``limit``, in SI units."""

    metric: Annotated[str, Choice("metric", tuple(METRICS))]
    op: Annotated[str, Choice("op", OPERATORS)]
    limit: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchSpec:
    """Which designs are tried; ``grid`` tries all of them."""

    kind: Annotated[str, Text("kind")] = "grid"


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepSpec:
    """All combinations of the values of all axes on a base, judged by objectives under constraints.

    ``objectives`` are pairs of a metric and ``min`` or ``max``, in the order of the file.
    """

    name: str
    title: str
    base: SystemSpec
    vary: tuple[VarySpec, ...]
    workloads: tuple[WorkloadSpec, ...]
    objectives: tuple[tuple[str, str], ...]
    constraints: tuple[ConstraintSpec, ...] = ()
    search: SearchSpec = SearchSpec()
    software: str | None = None
    seed: int = 0
    note: str = ""
    path: str = ""

    @property
    def designs(self) -> int:
        """How many combinations there are."""
        return math.prod(len(axis.values) for axis in self.vary)
