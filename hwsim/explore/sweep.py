"""A grid over device parameters, priced by broadcast calls: one for each group of designs that stack."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hwsim.devices.base import KINDS, DeviceKind, KernelConstants, P, part_of, price_tables, stack_params
from hwsim.errors import InputError
from hwsim.explore.pareto import pareto_front
from hwsim.flow import chosen_stack, prepare
from hwsim.graph.graph import Graph
from hwsim.graph.lowering import Lowered, Table, lower, tables_of
from hwsim.graph.work import Form, Work
from hwsim.registry import unknown_name
from hwsim.specs.device import DeviceSpec
from hwsim.specs.scenario import WorkloadSpec
from hwsim.specs.software import SoftwareSpec
from hwsim.specs.sweep import ConstraintSpec, SweepSpec, VarySpec
from hwsim.workloads import specified

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

    def __repr__(self) -> str:
        """One line; ``frame`` has the designs."""
        return f"Sweep({self.spec.name}: {self.spec.designs} designs, {len(self.front)} on the Pareto front)"

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
        from hwsim.report.designs import design_labels
        from hwsim.report.plots import plot_pareto

        front = self.pareto_columns()
        labels, note = design_labels(self.spec, front)
        return plot_pareto(self.columns, front, self.objectives, ax, title=self.spec.title, labels=labels, note=note)

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
    workload's own. ``advance`` is told how many designs were priced since the last call.

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
    designs = list(designs_of(base, spec.vary))
    chips = [device for _, device in designs]
    labels = _labels(spec.workloads)
    uses = [_Use.of(use, label, base, spec.software) for use, label in zip(spec.workloads, labels, strict=True)]
    sums = _priced(KINDS[base.kind], chips, uses, advance)
    columns: dict[str, Any] = {axis.path: [numbers[i] for numbers, _ in designs] for i, axis in enumerate(spec.vary)}
    columns |= _figures(sums, uses, np.array([chip.power.idle_w for chip in chips]))
    return Sweep(spec, columns, _allowed(columns, spec.constraints, len(designs)))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Use:
    """One workload of a sweep: its stack, its rows of Work, how often each runs, (rows,), and what requests take.

    ``once`` counts the rows without the repeats of their phases.
    """

    name: str
    stack: SoftwareSpec
    works: Sequence[Work]
    counts: Array
    once: Array
    graph: Graph
    requests_s: float

    @classmethod
    def of(cls, use: WorkloadSpec, name: str, base: DeviceSpec, software: str | None) -> _Use:
        graph = specified(use)
        stack = chosen_stack(graph, base, software)
        ready, _ = prepare(graph, [base], [stack])
        lowered = lower(ready)
        works, counts = _expanded(lowered)
        once = np.zeros(len(works))
        once[: len(lowered.works)] = lowered.count(repeats=False)
        requests_s = stack.request_s * sum(phase.repeat for phase in ready.phases)
        return cls(name=name, stack=stack, works=works, counts=counts, once=once, graph=ready, requests_s=requests_s)


def _labels(workloads: Sequence[WorkloadSpec]) -> list[str]:
    """What to call each workload: its name, and its arguments where the name stands more than once."""
    names = [use.name or Path(use.onnx).stem for use in workloads]
    given = [", ".join(f"{key}={value}" for key, value in use.params.items()) or "defaults" for use in workloads]
    return [name if names.count(name) == 1 else f"{name}({text})" for name, text in zip(names, given, strict=True)]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sums:
    """Seconds, dynamic joules and useful compute seconds, (designs, workloads)."""

    time_s: Array
    energy_j: Array
    useful_s: Array


def _figures(sums: _Sums, uses: Sequence[_Use], idle_w: Array) -> dict[str, list[float]]:
    """The columns of every workload, then those of all together."""
    energy = sums.energy_j + idle_w[:, None] * sums.time_s
    columns: dict[str, list[float]] = {}
    for place, use in enumerate(uses):
        columns[f"{use.name}.latency_s"] = sums.time_s[:, place].tolist()
        columns[f"{use.name}.energy_j"] = energy[:, place].tolist()
    time, joules = sums.time_s.sum(axis=1), energy.sum(axis=1)
    return columns | {
        "latency_s": time.tolist(),
        "energy_j": joules.tolist(),
        "average_power_w": (joules / time).tolist(),
        "throughput_per_s": (sum(use.graph.items for use in uses) / time).tolist(),
        "utilization": (sums.useful_s.sum(axis=1) / time).tolist(),
    }


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


def _groups(params: Sequence[P]) -> list[tuple[NDArray[np.int64], P]]:
    """Designs whose discrete fields agree, stacked."""
    places: dict[Any, list[int]] = {}
    for index, one in enumerate(params):
        values = (getattr(one, f.name) for f in fields(one))
        key = tuple(repr(v) for v in values if not isinstance(v, np.ndarray | KernelConstants))
        places.setdefault(key, []).append(index)
    return [(np.array(group), stack_params([params[i] for i in group])) for group in places.values()]


def _priced(
    kind: DeviceKind[P], chips: Sequence[DeviceSpec], uses: Sequence[_Use], advance: Callable[..., None] | None
) -> _Sums:
    """All rows of all workloads on all chips; those that run on one stack together, the last ones counted."""
    shape = (len(chips), len(uses))
    sums = _Sums(time_s=np.zeros(shape), energy_j=np.zeros(shape), useful_s=np.zeros(shape))
    stacks = _together(kind, uses)
    for number, places in enumerate(stacks, start=1):
        first = uses[places[0]]
        groups = _groups([kind.params(chip, first.stack) for chip in chips])
        tables, counts = _tabled([uses[place] for place in places])
        requests_s = np.array([uses[place].requests_s for place in places])
        input_s = np.array([uses[place].graph.items * first.stack.item_s for place in places])
        step = max(1, _CHUNK // len(counts))
        for group, params in groups:
            for start in range(0, len(group), step):
                chosen = group[start : start + step]
                part = part_of(params, start, start + step)
                if len(places) == 1:
                    part = kind.of_graph(part, tables, first.once, first.graph)
                costs = price_tables(kind, tables, part, chips[0].name)
                where = np.ix_(chosen, np.array(places))
                sums.time_s[where] = np.maximum(costs.time_s @ counts + requests_s, input_s)
                sums.energy_j[where] = costs.energy_j @ counts
                sums.useful_s[where] = (costs.utilization * costs.time_s) @ counts
                if advance is not None and number == len(stacks):
                    advance(len(chosen))
    return sums


def _together(kind: DeviceKind[P], uses: Sequence[_Use]) -> list[list[int]]:
    """Places of the workloads that are priced in one call: those of one stack, or each alone where graphs matter."""
    if type(kind).of_graph is not DeviceKind.of_graph:
        return [[place] for place in range(len(uses))]
    stacks: dict[str, list[int]] = {}
    for place, use in enumerate(uses):
        stacks.setdefault(use.stack.name, []).append(place)
    return list(stacks.values())


def _tabled(uses: Sequence[_Use]) -> tuple[Mapping[Form, Table], Array]:
    """The rows of some workloads as tables, and how often each runs in each workload, (rows, workloads)."""
    counts = np.zeros((sum(len(use.works) for use in uses), len(uses)))
    row = 0
    for place, use in enumerate(uses):
        counts[row : row + len(use.works), place] = use.counts
        row += len(use.works)
    return tables_of([work for use in uses for work in use.works]), counts


def _allowed(columns: Mapping[str, Any], constraints: Sequence[ConstraintSpec], designs: int) -> NDArray[np.bool_]:
    allowed = np.ones(designs, dtype=np.bool_)
    tests: dict[str, Any] = {"<=": np.less_equal, "<": np.less, ">=": np.greater_equal, ">": np.greater, "==": np.equal}
    for need in constraints:
        allowed &= tests[need.op](np.asarray(columns[need.metric]), need.limit)
    return allowed
