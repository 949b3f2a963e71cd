"""A grid over device parameters, priced by broadcast calls: one for each group of designs that stack."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hwsim.devices.base import KINDS, DeviceKind, Params, price, stack_params
from hwsim.errors import InputError
from hwsim.explore.pareto import pareto_front
from hwsim.flow import prepare
from hwsim.graph.lowering import Lowered, lower
from hwsim.graph.work import Work
from hwsim.registry import unknown_name
from hwsim.specs.device import DeviceSpec
from hwsim.specs.sweep import ConstraintSpec, SweepSpec, VarySpec
from hwsim.workloads import workload

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

__all__ = ["Sweep", "sweep"]

_CHUNK = 40_000
"""Chips x rows priced at once, so that temporaries stay in the cache."""

_METRICS = ("latency_s", "energy_j", "average_power_w", "throughput_per_s", "utilization")

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Sweep:
    """All designs of a sweep with their figures; one entry a design in every column."""

    spec: SweepSpec
    columns: Mapping[str, Sequence[Any]]
    allowed: NDArray[np.bool_]

    @property
    def objectives(self) -> tuple[tuple[str, str], ...]:
        """(metric, min or max)."""
        return self.spec.objectives

    @cached_property
    def front(self) -> NDArray[np.int64]:
        """Indices of the allowed designs that no other allowed one dominates."""
        signed = [
            np.asarray(self.columns[m], dtype=np.float64) * (1 if way == "min" else -1) for m, way in self.objectives
        ]
        values = np.stack(signed, axis=1)
        values[~self.allowed] = np.inf
        return pareto_front(values)

    def pareto_columns(self) -> dict[str, list[Any]]:
        """The columns of the Pareto front."""
        return {name: [values[i] for i in self.front.tolist()] for name, values in self.columns.items()}

    @property
    def frame(self) -> pd.DataFrame:
        """One row a design."""
        import pandas as pd

        return pd.DataFrame(self.columns)

    def pareto(self) -> pd.DataFrame:
        """The Pareto front, best first objective first."""
        return self.frame.iloc[self.front].reset_index(drop=True)

    def plot(self, ax: Axes | None = None) -> Axes:
        """All designs in the plane of the first two objectives, the front drawn through."""
        from hwsim.report.plots import plot_pareto

        return plot_pareto(self.columns, self.pareto_columns(), self.objectives, ax)

    def _repr_html_(self) -> str:
        """The front, for notebooks."""
        return str(self.pareto().to_html(index=False))


def designs_of(base: DeviceSpec, axes: Sequence[VarySpec]) -> Iterator[tuple[tuple[float | str, ...], DeviceSpec]]:
    """Every combination of values with its device, the last axis fastest."""
    if not axes:
        yield (), base
        return
    axis, rest = axes[0], axes[1:]
    for value, number in zip(axis.values, axis.numbers, strict=True):
        for numbers, device in designs_of(base.evolve({axis.path: value}, base.name), rest):
            yield (number, *numbers), device


def sweep(spec: SweepSpec, advance: Callable[..., None] | None = None) -> Sweep:
    """Price every design on every workload.

    ``latency_s`` and ``energy_j`` are sums over the workloads, each run once alone; further columns hold each
    workload's own. ``advance`` is called once a design.

    Raises:
        InputError: a base of several devices, or a metric that a sweep does not compute.
    """
    if len(spec.base.devices) != 1:
        raise InputError(
            f"{spec.name}: base: a sweep varies one device, and {spec.base.name} has {len(spec.base.devices)}"
        )
    for name in [m for m, _ in spec.objectives] + [c.metric for c in spec.constraints]:
        if name not in _METRICS:
            raise unknown_name("metric of a sweep", name, _METRICS)
    (base,) = spec.base.devices.values()
    kind: DeviceKind[Any] = KINDS[base.kind]
    stack = base.stack(spec.software)
    designs = list(designs_of(base, spec.vary))
    columns: dict[str, Any] = {axis.path: [numbers[i] for numbers, _ in designs] for i, axis in enumerate(spec.vary)}
    groups = _groups([kind.params(device, stack) for _, device in designs])
    idle = np.array([device.power.idle_w for _, device in designs])
    totals: dict[str, Array] = {name: np.zeros(len(designs)) for name in ("time", "energy", "useful", "items")}
    for use in spec.workloads:
        graph, _ = prepare(workload(use.name, **use.params), [base], [stack])
        works, counts = _expanded(lower(graph))
        time, energy, useful = _priced(kind, base, works, counts, groups, len(designs))
        energy += idle * time
        columns[f"{use.name}.latency_s"] = time.tolist()
        columns[f"{use.name}.energy_j"] = energy.tolist()
        for name, value in (("time", time), ("energy", energy), ("useful", useful), ("items", graph.items)):
            totals[name] += value
    if advance is not None:
        for _ in designs:
            advance()
    columns |= {
        "latency_s": totals["time"].tolist(),
        "energy_j": totals["energy"].tolist(),
        "average_power_w": (totals["energy"] / totals["time"]).tolist(),
        "throughput_per_s": (totals["items"] / totals["time"]).tolist(),
        "utilization": (totals["useful"] / totals["time"]).tolist(),
    }
    return Sweep(spec, columns, _allowed(columns, spec.constraints, len(designs)))


def _expanded(lowered: Lowered) -> tuple[list[Work], Array]:
    """Works and how often each runs; growing rows once for each repeat of their phase."""
    works: list[Work] = list(lowered.works)
    counts = np.zeros(len(works))
    more: list[float] = []
    for phase in lowered.graph.phases:
        start, stop = lowered.row_start[phase.first], lowered.row_start[phase.last]
        rows, uses = np.unique(lowered.row_ids[start:stop], return_counts=True)
        for row, use in zip(rows.tolist(), uses.tolist(), strict=True):
            if row in lowered.growth and phase.repeat > 1:
                counts[row] += use
                works += [lowered.at(row, i) for i in range(1, phase.repeat)]
                more += [float(use)] * (phase.repeat - 1)
            else:
                counts[row] += use * phase.repeat
    return works, np.concatenate([counts, np.array(more)])


def _groups(params: Sequence[Params]) -> list[tuple[NDArray[np.int64], Params]]:
    """Designs whose discrete fields agree, stacked in chunks."""
    places: dict[Any, list[int]] = {}
    for index, one in enumerate(params):
        key = tuple(
            repr(value)
            for value in (getattr(one, f.name) for f in fields(one))
            if not isinstance(value, np.ndarray) and not hasattr(value, "families")
        )
        places.setdefault(key, []).append(index)
    return [(np.array(group), stack_params([params[i] for i in group])) for group in places.values()]


def _slice(params: Params, start: int, stop: int) -> Params:
    """Chips ``start`` to ``stop`` of stacked parameters."""
    changes: dict[str, Any] = {}
    for item in fields(params):
        value = getattr(params, item.name)
        if isinstance(value, np.ndarray):
            changes[item.name] = value[start:stop]
        elif hasattr(value, "families"):
            changes[item.name] = value.part(start, stop)
    return replace(params, **changes)


def _priced(
    kind: DeviceKind[Any],
    base: DeviceSpec,
    works: Sequence[Work],
    counts: Array,
    groups: Sequence[tuple[NDArray[np.int64], Params]],
    designs: int,
) -> tuple[Array, Array, Array]:
    """Seconds, dynamic joules and useful compute seconds of each design."""
    time, energy, useful = np.zeros(designs), np.zeros(designs), np.zeros(designs)
    step = max(1, _CHUNK // max(1, len(works)))
    for places, params in groups:
        for start in range(0, len(places), step):
            chosen = places[start : start + step]
            costs = price(kind, works, _slice(params, start, start + step), base.name)
            time[chosen] = (costs.time_s * counts).sum(axis=1)
            energy[chosen] = (costs.energy_j * counts).sum(axis=1)
            useful[chosen] = (costs.utilization * costs.time_s * counts).sum(axis=1)
    return time, energy, useful


def _allowed(columns: Mapping[str, Any], constraints: Sequence[ConstraintSpec], designs: int) -> NDArray[np.bool_]:
    allowed = np.ones(designs, dtype=np.bool_)
    tests: dict[str, Any] = {"<=": np.less_equal, "<": np.less, ">=": np.greater_equal, ">": np.greater, "==": np.equal}
    for need in constraints:
        allowed &= tests[need.op](np.asarray(columns[need.metric]), need.limit)
    return allowed
