"""A graph priced alone on one device: no clock, no contention."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from hwsim.devices.base import BOUNDS, KINDS, DeviceKind
from hwsim.devices.pricing import GraphCosts
from hwsim.report.basis import Basis, basis_of
from hwsim.units import format_quantity

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Estimate"]


@dataclass(frozen=True, eq=False)
class Estimate:
    """Costs of every operator of a graph on one device.

    ``time_s`` sums the operators' times over all repeats; ``energy_j`` is dynamic energy plus idle power
    times that time.
    """

    costs: GraphCosts
    dtype: str

    def __repr__(self) -> str:
        """One line; ``frame`` has the operators."""
        figures = f"{format_quantity(self.time_s, 's')}, {format_quantity(self.energy_j, 'J')}"
        return f"Estimate({self.costs.lowered.graph.name} on {self.device}: {figures})"

    @cached_property
    def columns(self) -> dict[str, list[Any]]:
        """One entry an operator (views left out); times and energies over all repeats of its phase."""
        graph = self.costs.lowered.graph
        names = ("op", "kind", "phase", "repeats", "time_s", "energy_j", "flop", "bytes", "bound", "utilization")
        table: dict[str, list[Any]] = {name: [] for name in names}
        view = np.diff(self.costs.lowered.row_start) == 0
        for phase in graph.phases:
            nodes = graph.nodes[phase.first : phase.last]
            sums = self._sums(phase)
            shown = [i for i in range(len(nodes)) if not view[phase.first + i]]
            table["op"] += [nodes[i].name for i in shown]
            table["kind"] += [nodes[i].op.kind for i in shown]
            table["phase"] += [phase.name] * len(shown)
            table["repeats"] += [phase.repeat] * len(shown)
            for name in ("time_s", "energy_j", "flop", "bytes", "utilization"):
                table[name] += [float(sums[name][i]) for i in shown]
            table["bound"] += [BOUNDS[int(sums["bound"][i])] for i in shown]
        return table

    def _sums(self, phase: Any) -> dict[str, Any]:
        first = self.costs.nodes(phase, 0)
        keys = {"time_s": "time_s", "energy_j": "energy_j", "flop": "flop", "bytes": "dram_bytes"}
        if not self.costs.growing(phase):
            sums: dict[str, Any] = {key: getattr(first, name) * phase.repeat for key, name in keys.items()}
            return sums | {"bound": first.bound, "utilization": first.utilization}
        parts = [self.costs.nodes(phase, i) for i in range(phase.repeat)]
        sums = {key: np.sum([getattr(p, name) for p in parts], axis=0) for key, name in keys.items()}
        used = np.sum([p.utilization * p.time_s for p in parts], axis=0)
        spread = np.divide(used, sums["time_s"], out=np.zeros_like(used), where=sums["time_s"] > 0)
        return sums | {"bound": parts[-1].bound, "utilization": spread}

    @property
    def time_s(self) -> float:
        """Sum of the operators' times."""
        return math.fsum(self.columns["time_s"])

    @property
    def idle_j(self) -> float:
        """Idle power times the time."""
        return self.costs.spec.power.idle_w * self.time_s

    @property
    def energy_j(self) -> float:
        """Dynamic energy of all operators plus idle power times the time."""
        return math.fsum(self.columns["energy_j"]) + self.idle_j

    @property
    def activity(self) -> dict[str, float]:
        """Shares of the time by what the device's matrix unit does, 0..1, where its kind says so.

        Of a weight-stationary array: ``array active``, ``weight shift``, ``weight stall``; the rest is launch, fill,
        drain and work of other units.
        """
        costs = self.costs
        kind: DeviceKind[Any] = KINDS[costs.spec.kind]
        params = kind.params(costs.spec, costs.stack)
        count, total = costs.lowered.count(), self.time_s
        shares: dict[str, float] = {}
        for table in costs.lowered.tables.values():
            for name, seconds in kind.activity(table, params).items():
                shares[name] = shares.get(name, 0.0) + float(seconds[0] @ count[table.index]) / total
        return shares

    @property
    def device(self) -> str:
        """Name of the device."""
        return self.costs.spec.name

    @property
    def software(self) -> str:
        """Name of the software stack."""
        return self.costs.stack.name

    @property
    def basis(self) -> Basis:
        """What the figures rest on."""
        lowered = self.costs.lowered
        count = lowered.count()
        time = np.where(self.costs.mask, self.costs.rows.time_s[0], 0.0) * count
        shares = ((w.kernel, str(w.form), w.format, float(t)) for w, t in zip(lowered.works, time, strict=True))
        total = float(time.sum())
        corrected = float(time[self.costs.corrected].sum()) / total if total > 0.0 else 0.0
        return basis_of(self.costs.stack, shares, corrected)

    @property
    def frame(self) -> pd.DataFrame:
        """One row an operator: op, kind, time_s, energy_j, flop, bytes, bound, utilization (and phase, repeats)."""
        import pandas as pd

        order = ["op", "kind", "time_s", "energy_j", "flop", "bytes", "bound", "utilization", "phase", "repeats"]
        return pd.DataFrame(self.columns)[order]

    def _repr_html_(self) -> str:
        """The totals and what they rest on, for notebooks; ``frame`` has the operators."""
        from hwsim.report.html import table_html
        from hwsim.report.summary import estimate_pairs
        from hwsim.report.tables import key_values

        title = f"{self.costs.lowered.graph.name} on {self.device}"
        return table_html(key_values(title, estimate_pairs(self)))
