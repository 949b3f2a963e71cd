"""A whole graph priced on one device: rows once, nodes by gathering, repeats by their growth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwsim.cost.power import capped_blend, voltage
from hwsim.devices.base import KINDS, Array, Costs, DeviceKind, OperatingPoint, Params, price, stack_params, supported
from hwsim.devices.interconnect import price_collectives
from hwsim.graph.graph import Phase
from hwsim.graph.lowering import Lowered, tables_of
from hwsim.graph.work import Form, Work
from hwsim.specs.device import DeviceSpec
from hwsim.specs.software import SoftwareSpec
from hwsim.specs.system import InterconnectSpec

__all__ = ["GraphCosts", "NodeCosts", "price_graph"]

_CLOCKS = (1.0, 0.95, 0.9, 0.85, 0.8, 0.75, 0.7, 0.65, 0.6, 0.55, 0.5, 0.45, 0.4, 0.35, 0.3)
"""Clocks tried under a power cap, relative to nominal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeCosts:
    """Costs of the nodes of one phase at one repeat; columns of shape (nodes,).

    ``bound`` is that of the node's longest row; the time of unsupported nodes is infinite.
    """

    time_s: Array
    overhead_s: Array
    dispatch_s: Array
    prologue_s: Array
    dram_bytes: Array
    cache_bytes: Array
    compute_j: Array
    memory_j: Array
    active_j: Array
    flop: Array
    utilization: Array
    bound: NDArray[np.int8]

    @property
    def energy_j(self) -> Array:
        """Dynamic energy and the active floor."""
        return self.compute_j + self.memory_j + self.active_j


@dataclass(frozen=True, eq=False)
class GraphCosts:
    """The rows of a lowered graph priced on one device at its operating points, fastest first."""

    lowered: Lowered
    spec: DeviceSpec
    stack: SoftwareSpec
    clocks: tuple[float, ...]
    rows: Costs
    mask: NDArray[np.bool_]
    interconnect: InterconnectSpec | None
    participants: int

    @cached_property
    def node_supported(self) -> NDArray[np.bool_]:
        """Which nodes the device can run, shape (nodes,)."""
        bad = np.bincount(
            self.lowered.node_of, weights=~self.mask[self.lowered.row_ids], minlength=len(self.lowered.graph.nodes)
        )
        return np.asarray(bad == 0)

    def growing(self, phase: Phase) -> tuple[int, ...]:
        """Rows of that phase whose Work grows with the repeat."""
        if phase.repeat == 1 or not self.lowered.growth:
            return ()
        start, stop = self.lowered.row_start[phase.first], self.lowered.row_start[phase.last]
        found = np.unique(self.lowered.row_ids[start:stop]).tolist()
        return tuple(row for row in found if row in self.lowered.growth)

    def row_costs(self, phase: Phase, repeat: int, point: int = 0) -> Costs:
        """Costs of all rows at one repeat and operating point, shape (1, rows)."""
        base = self.rows.chip(point)
        grown = self.growing(phase)
        if not grown or repeat == 0:
            return base
        later = self._grown(phase)
        columns: dict[str, Any] = {}
        for item in fields(Costs):
            column = getattr(base, item.name).copy()
            column[0, list(grown)] = getattr(later, item.name)[point].reshape(len(grown), phase.repeat)[:, repeat]
            columns[item.name] = column
        return Costs(**columns)

    def _grown(self, phase: Phase) -> Costs:
        """Growing rows x repeats, priced in one call per phase."""
        cache: dict[str, Costs] = self.__dict__.setdefault("_grown_costs", {})
        if phase.name not in cache:
            works = [self.lowered.at(row, i) for row in self.growing(phase) for i in range(phase.repeat)]
            cache[phase.name] = _price_rows(self, works)
        return cache[phase.name]

    def nodes(self, phase: Phase, repeat: int = 0, blend: tuple[int, int, float] = (0, 0, 0.0)) -> NodeCosts:
        """Costs of the phase's nodes; ``blend`` mixes two operating points (fast, slow, share of the slow)."""
        fast, slow, share = blend
        costs = self._gather(self.row_costs(phase, repeat, fast), phase)
        if share == 0.0:
            return costs
        other = self._gather(self.row_costs(phase, repeat, slow), phase)
        mixed = {
            f.name: getattr(costs, f.name) * (1.0 - share) + getattr(other, f.name) * share
            for f in fields(NodeCosts)
            if f.name != "bound"
        }
        return NodeCosts(bound=costs.bound, **mixed)

    def _gather(self, rows: Costs, phase: Phase) -> NodeCosts:
        start, stop = self.lowered.row_start[phase.first], self.lowered.row_start[phase.last]
        ids = self.lowered.row_ids[start:stop]
        owner = self.lowered.node_of[start:stop] - phase.first
        count = phase.last - phase.first
        columns: dict[str, Any] = {}
        for item in fields(Costs):
            if item.name in ("utilization", "bound"):
                continue
            columns[item.name] = np.bincount(owner, weights=getattr(rows, item.name)[0, ids], minlength=count)
        time = rows.time_s[0, ids]
        busy = np.where(np.isfinite(time), time, 0.0)
        weighted = np.bincount(owner, weights=rows.utilization[0, ids] * busy, minlength=count)
        total = np.bincount(owner, weights=busy, minlength=count)
        bound = np.full(count, 2, dtype=np.int8)
        order = np.argsort(time, kind="stable")
        bound[owner[order]] = rows.bound[0, ids][order]
        columns["utilization"] = np.divide(weighted, total, out=np.zeros(count), where=total > 0)
        return NodeCosts(bound=bound, **columns)

    def phase_energy_and_time(self, phase: Phase, nodes: NDArray[np.bool_] | None = None) -> tuple[Array, Array]:
        """Dynamic energy and serial time of all repeats at every operating point, for the chosen nodes.

        The time is the device's or, where the host issues more slowly than the device works, the host's.
        """
        start, stop = self.lowered.row_start[phase.first], self.lowered.row_start[phase.last]
        ids = self.lowered.row_ids[start:stop]
        if nodes is not None:
            ids = ids[nodes[self.lowered.node_of[start:stop] - phase.first]]
        times = np.bincount(ids, minlength=self.rows.time_s.shape[1]).astype(np.float64)
        grown = self.growing(phase)
        repeats = times * phase.repeat
        repeats[list(grown)] = 0.0
        used = repeats > 0
        energy = self.rows.energy_j[:, used] @ repeats[used]
        host = self.rows.dispatch_s[:, used] @ repeats[used]
        time = self.rows.time_s[:, used] @ repeats[used] - host
        if grown:
            later = self._grown(phase)
            weight = np.repeat(times[list(grown)], phase.repeat)
            energy = energy + later.energy_j @ weight
            host = host + later.dispatch_s @ weight
            time = time + (later.time_s - later.dispatch_s) @ weight
        return energy, np.maximum(time, host)

    def cap(self, phase: Phase, nodes: NDArray[np.bool_] | None = None) -> tuple[int, int, float]:
        """How far the clock falls so that the phase's average power stays within the TDP.

        Runs shorter than the power controller's window are bursts and are not capped.
        """
        energy, time = self.phase_energy_and_time(phase, nodes)
        power = self.spec.power
        if not np.isfinite(time[0]) or time[0] <= power.window_s:
            return 0, 0, 0.0
        return capped_blend(energy, time, power.idle_w, power.tdp_w)


def _price_rows(costs: GraphCosts, works: Sequence[Work]) -> Costs:
    kind: DeviceKind[Any] = KINDS[costs.spec.kind]
    params = _points(kind, costs.spec, costs.stack, costs.clocks)
    return _priced(kind, costs.spec, works, params, costs.interconnect, costs.participants)[0]


def _points(kind: DeviceKind[Any], spec: DeviceSpec, stack: SoftwareSpec, clocks: Sequence[float]) -> Params:
    floor = spec.power.voltage_floor
    points: Params = stack_params(
        [kind.params(spec, stack, OperatingPoint(c, float(voltage(c, floor)))) for c in clocks]
    )
    return points


def _priced(
    kind: DeviceKind[Any],
    spec: DeviceSpec,
    works: Sequence[Work],
    params: Params,
    interconnect: InterconnectSpec | None,
    participants: int,
) -> tuple[Costs, NDArray[np.bool_]]:
    """Costs (points, rows) with infinite time where the device cannot run a row, and the mask of what it can."""
    mask = supported(kind, spec, works, params)
    able = np.flatnonzero(mask)
    points = params.peak.shape[0]
    part = price(kind, [works[i] for i in able.tolist()], params, spec.name)
    columns: dict[str, Any] = {}
    for item in fields(Costs):
        fill = np.inf if item.name == "time_s" else 0
        column = np.full((points, len(works)), fill, dtype=getattr(part, item.name).dtype)
        column[:, able] = getattr(part, item.name)
        columns[item.name] = column
    table = tables_of(works).get(Form.COLLECTIVE)
    if table is not None and interconnect is not None:
        shared = price_collectives(table, interconnect, participants)
        for item in fields(Costs):
            columns[item.name][:, table.index] = getattr(shared, item.name)
        mask[table.index] = True
    return Costs(**columns), mask


def price_graph(
    lowered: Lowered,
    spec: DeviceSpec,
    stack: SoftwareSpec,
    *,
    capped: bool = False,
    interconnect: InterconnectSpec | None = None,
    participants: int = 1,
) -> GraphCosts:
    """Price every row of a lowered graph; with ``capped`` at a ladder of clocks, so that a cap can choose."""
    kind: DeviceKind[Any] = KINDS[spec.kind]
    clocks = _CLOCKS if capped else (1.0,)
    params = _points(kind, spec, stack, clocks)
    rows, mask = _priced(kind, spec, lowered.works, params, interconnect, participants)
    return GraphCosts(lowered, spec, stack, clocks, rows, mask, interconnect, participants)
