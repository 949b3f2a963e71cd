"""A whole graph priced on one device: rows once, nodes by gathering, repeats by their growth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwsim.cost.power import average_power_w, capped_blend, voltage
from hwsim.devices.base import KINDS, CostColumns, Costs, DeviceKind, OperatingPoint, Params, gathered, supported
from hwsim.devices.interconnect import exchange_factor, price_collectives
from hwsim.graph.graph import Phase
from hwsim.graph.lowering import Lowered, Table, tables_of
from hwsim.graph.work import Form
from hwsim.specs.device import DeviceSpec
from hwsim.specs.software import SoftwareSpec
from hwsim.specs.system import InterconnectSpec

__all__ = ["CLOCKS", "GraphCosts", "NodeCosts", "graph_params", "price_graph"]

CLOCKS = (1.0, 0.95, 0.9, 0.85, 0.8, 0.75, 0.7, 0.65, 0.6, 0.55, 0.5, 0.45, 0.4, 0.35, 0.3)
"""Clocks tried under a power cap, relative to nominal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeCosts(CostColumns):
    """Costs of the nodes of one phase at one repeat; columns of shape (nodes,).

    ``bound`` is that of the node's longest row; the time of unsupported nodes is infinite.
    """


@dataclass(frozen=True, eq=False)
class GraphCosts:
    """The rows of a lowered graph priced on one device.

    ``rows`` are their costs at the nominal clock, (1, rows); other operating points, ``clocks`` relative to nominal,
    and later repeats of rows that grow are priced when somebody asks for them.
    """

    lowered: Lowered
    spec: DeviceSpec
    stack: SoftwareSpec
    clocks: tuple[float, ...]
    rows: Costs
    mask: NDArray[np.bool_]
    interconnect: InterconnectSpec | None
    participants: int
    _later: dict[tuple[int, int], Costs] = field(default_factory=dict, repr=False)

    @cached_property
    def node_supported(self) -> NDArray[np.bool_]:
        """Which nodes the device can run, shape (nodes,)."""
        bad = np.bincount(
            self.lowered.node_of, weights=~self.mask[self.lowered.row_ids], minlength=len(self.lowered.graph.nodes)
        )
        return np.asarray(bad == 0)

    @cached_property
    def corrected(self) -> NDArray[np.bool_]:
        """Which rows a residual of the stack or the links corrects, not the formula alone prices; shape (rows,)."""
        params = _params(KINDS[self.spec.kind], self.spec, self.stack, 1.0, self.lowered)
        found = np.zeros(len(self.mask), dtype=np.bool_)
        for form, table in self.lowered.tables.items():
            factor = params.kernels.correction(table)
            if form is Form.COLLECTIVE and self.interconnect is not None:
                factor = exchange_factor(table, self.interconnect, self.participants)
            if factor is not None:
                found[table.index] = factor[0] != 1.0
        return found

    def growing(self, phase: Phase) -> tuple[int, ...]:
        """Rows of that phase whose Work grows with the repeat."""
        if phase.repeat == 1 or not self.lowered.growth:
            return ()
        start, stop = self.lowered.row_start[phase.first], self.lowered.row_start[phase.last]
        found = np.unique(self.lowered.row_ids[start:stop]).tolist()
        return tuple(row for row in found if row in self.lowered.growth)

    def row_costs(self, phase: Phase, repeat: int, point: int = 0) -> Costs:
        """Costs of all rows at one repeat and operating point, shape (1, rows)."""
        base = self._at(point)
        grown = self.growing(phase)
        if not grown or repeat == 0:
            return base
        later = self._grown(phase, point)
        columns: dict[str, Any] = {}
        for item in fields(Costs):
            column = getattr(base, item.name).copy()
            column[0, list(grown)] = getattr(later, item.name).reshape(len(grown), phase.repeat)[:, repeat]
            columns[item.name] = column
        return Costs(**columns)

    def _at(self, point: int) -> Costs:
        """All rows at an operating point, (1, rows)."""
        if point == 0:
            return self.rows
        key = (-1, point)
        if key not in self._later:
            self._later[key] = self._priced(self.lowered.tables, point)
        return self._later[key]

    def _grown(self, phase: Phase, point: int) -> Costs:
        """Growing rows x repeats at an operating point, priced in one call per phase; shape (1, rows x repeats)."""
        key = (phase.first, point)
        if key not in self._later:
            works = [self.lowered.at(row, i) for row in self.growing(phase) for i in range(phase.repeat)]
            self._later[key] = self._priced(tables_of(works), point)
        return self._later[key]

    def _priced(self, tables: Mapping[Form, Table], point: int) -> Costs:
        kind: DeviceKind[Any] = KINDS[self.spec.kind]
        params = _params(kind, self.spec, self.stack, self.clocks[point], self.lowered)
        mask = supported(kind, self.spec, tables, params)
        return _price_supported(kind, tables, params, mask, self.interconnect, self.participants)

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
            weights = getattr(rows, item.name)[0, ids]
            columns[item.name] = np.bincount(owner, weights=weights, minlength=count).astype(np.float64, copy=False)
        time = rows.time_s[0, ids]
        busy = np.where(np.isfinite(time), time, 0.0)
        waiting_s = 0.0 if phase.first else self._input_s / phase.repeat
        for name in ("time_s", "overhead_s") if owner.size else ():
            columns[name][owner[0]] += self.stack.request_s + waiting_s
        if columns["dispatch_s"].any():
            columns["dispatch_s"][owner[0]] += self.stack.request_s
        weighted = np.bincount(owner, weights=rows.utilization[0, ids] * busy, minlength=count)
        total = np.bincount(owner, weights=busy, minlength=count)
        bound = np.full(count, 2, dtype=np.int8)
        order = np.argsort(time, kind="stable")
        bound[owner[order]] = rows.bound[0, ids][order]
        columns["utilization"] = np.divide(weighted, total, out=np.zeros(count), where=total > 0)
        return NodeCosts(bound=bound, **columns)

    @cached_property
    def _input_s(self) -> float:
        """How long a run waits for its input, where the host reads that more slowly than the device works."""
        phases = self.lowered.graph.phases if self.stack.item_s else ()
        busy = sum(self._energy_busy_host(phase)[1] + self.request_s(phase) for phase in phases)
        return max(0.0, self.lowered.graph.items * self.stack.item_s - busy)

    def request_s(self, phase: Phase, nodes: NDArray[np.bool_] | None = None) -> float:
        """What handing the phase to the device costs over all its repeats, where the device runs its first node."""
        start, stop = self.lowered.row_start[phase.first], self.lowered.row_start[phase.last]
        ran = start < stop and (nodes is None or bool(nodes[self.lowered.node_of[start] - phase.first]))
        return self.stack.request_s * phase.repeat if ran else 0.0

    def phase_energy_and_time(
        self, phase: Phase, nodes: NDArray[np.bool_] | None = None, point: int = 0
    ) -> tuple[float, float]:
        """Dynamic energy and serial time of all repeats at an operating point, for the chosen nodes.

        The time is the device's or, where the host issues more slowly than the device works, the host's.
        """
        energy, busy, host = self._energy_busy_host(phase, nodes, point)
        waiting = 0.0 if phase.first else self._input_s
        return energy, max(busy + waiting, host) + self.request_s(phase, nodes)

    def _energy_busy_host(
        self, phase: Phase, nodes: NDArray[np.bool_] | None = None, point: int = 0
    ) -> tuple[float, float, float]:
        start, stop = self.lowered.row_start[phase.first], self.lowered.row_start[phase.last]
        ids = self.lowered.row_ids[start:stop]
        if nodes is not None:
            ids = ids[nodes[self.lowered.node_of[start:stop] - phase.first]]
        times = np.bincount(ids, minlength=self.rows.time_s.shape[1]).astype(np.float64)
        grown = list(self.growing(phase))
        repeats = times * phase.repeat
        repeats[grown] = 0.0
        parts = [(self._at(point), repeats)]
        if grown:
            parts.append((self._grown(phase, point), np.repeat(times[grown], phase.repeat)))
        energy = busy = host = 0.0
        for costs, weight in parts:
            used = weight > 0
            energy += float(costs.energy_j[0, used] @ weight[used])
            busy += float((costs.time_s - costs.dispatch_s)[0, used] @ weight[used])
            host += float(costs.dispatch_s[0, used] @ weight[used])
        return energy, busy, host

    def cap(self, phase: Phase, nodes: NDArray[np.bool_] | None = None) -> tuple[int, int, float]:
        """How far the clock falls so that the phase's average power stays within the TDP.

        Slower points are priced one after another until one meets it. Runs shorter than the power controller's window
        are bursts and are not capped.
        """
        power = self.spec.power
        tried = [self.phase_energy_and_time(phase, nodes)]
        if not np.isfinite(tried[0][1]) or tried[0][1] <= power.window_s:
            return 0, 0, 0.0
        while average_power_w(*tried[-1], power.idle_w) > power.tdp_w and len(tried) < len(self.clocks):
            tried.append(self.phase_energy_and_time(phase, nodes, len(tried)))
        energy, time = (np.array(column) for column in zip(*tried, strict=True))
        return capped_blend(energy, time, power.idle_w, power.tdp_w)


@lru_cache(maxsize=64)
def _chip_params(kind: DeviceKind[Any], spec: DeviceSpec, stack: SoftwareSpec, clock: float) -> Params:
    """The numbers of a device under a stack at a clock; specs never change and are told apart by identity."""
    found: Params = kind.params(spec, stack, OperatingPoint(clock, float(voltage(clock, spec.power.voltage_floor))))
    return found


def _params(kind: DeviceKind[Any], spec: DeviceSpec, stack: SoftwareSpec, clock: float, lowered: Lowered) -> Params:
    return graph_params(kind, _chip_params(kind, spec, stack, clock), lowered)


def graph_params(kind: DeviceKind[Any], params: Params, lowered: Lowered) -> Params:
    """The numbers of a device as the operators of a graph see them."""
    counts = lowered.count(repeats=False).astype(np.float64)
    found: Params = kind.of_graph(params, lowered.tables, counts, lowered.graph)
    return found


def _price_supported(
    kind: DeviceKind[Any],
    tables: Mapping[Form, Table],
    params: Params,
    mask: NDArray[np.bool_],
    interconnect: InterconnectSpec | None,
    participants: int,
) -> Costs:
    """Costs (1, rows), of infinite time where the device cannot run a row and no interconnect prices it."""
    parts: list[tuple[Table, Costs]] = []
    for form, table in tables.items():
        if form is Form.COLLECTIVE:
            if interconnect is not None:
                parts.append((table, price_collectives(table, interconnect, participants, params)))
            continue
        able = table.only(mask[table.index])
        if len(able):
            parts.append((able, kind.price_form(able, params)))
    return gathered(len(mask), parts)


def price_graph(
    lowered: Lowered,
    spec: DeviceSpec,
    stack: SoftwareSpec,
    *,
    capped: bool = False,
    interconnect: InterconnectSpec | None = None,
    participants: int = 1,
) -> GraphCosts:
    """Price every row of a lowered graph at the nominal clock; with ``capped`` also at lower ones, when a cap asks."""
    kind: DeviceKind[Any] = KINDS[spec.kind]
    params = _params(kind, spec, stack, 1.0, lowered)
    tables = lowered.tables
    mask = supported(kind, spec, tables, params)
    rows = _price_supported(kind, tables, params, mask, interconnect, participants)
    if interconnect is not None and Form.COLLECTIVE in tables:
        mask[tables[Form.COLLECTIVE].index] = True
    clocks = CLOCKS if capped else (1.0,)
    return GraphCosts(lowered, spec, stack, clocks, rows, mask, interconnect, participants)
