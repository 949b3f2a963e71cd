"""The result of a run: latency, utilization, energy and memory, and the table of what ran when."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hwsim.graph.graph import Graph
from hwsim.report.basis import Basis
from hwsim.report.bottlenecks import Bottleneck, bottlenecks
from hwsim.report.spans import span_columns
from hwsim.specs.software import SoftwareSpec
from hwsim.specs.system import SystemSpec
from hwsim.trace.build import trace_of
from hwsim.trace.record import Record
from hwsim.trace.trace import Trace
from hwsim.units import format_quantity

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

__all__ = ["Result"]


@dataclass(frozen=True, eq=False)
class Result:
    """What happened on a system, and what it means.

    ``numerics``, if somebody asked, says how far the values of the run's number format lie from fp32.
    ``fits`` is False when the run was made without memory limits and would have overflowed; ``note`` says where.
    """

    graph: Graph
    system: SystemSpec
    stacks: tuple[SoftwareSpec, ...]
    dtype: str
    records: tuple[Record, ...]
    memories: tuple[tuple[str, float], ...]
    basis: Basis
    links: tuple[tuple[str, float], ...] = ()
    scenario: str = ""
    variant: str = ""
    fits: bool = True
    note: str = ""
    seed: int = 0
    requirements: tuple[Mapping[str, object], ...] = ()
    claims: tuple[Mapping[str, object], ...] = ()
    measured: tuple[Mapping[str, object], ...] = ()
    numerics: Mapping[str, object] = field(default_factory=dict)

    def __repr__(self) -> str:
        """One line; the properties and ``ops`` have the rest."""
        figures = f"{format_quantity(self.latency_s, 's')}, {format_quantity(self.energy_j, 'J')}"
        return f"Result({self.graph.name} on {self.system.name}: {figures})"

    @property
    def label(self) -> str:
        """System and variant, as pictures call the run."""
        return f"{self.system.name} {self.variant}".strip()

    @cached_property
    def makespan_ps(self) -> int:
        """End of the last activity."""
        return self.records[-1].end_offset_ps if self.records else 0

    @property
    def latency_s(self) -> float:
        """From the start to the end of the last activity."""
        return self.makespan_ps * 1e-12

    @property
    def policy(self) -> str:
        """The placement policy, with the winner if it chose among several."""
        return ", ".join(dict.fromkeys(r.policy for r in self.records))

    @property
    def software(self) -> str:
        """Names of the software stacks, by device where they differ."""
        names = [stack.name for stack in self.stacks]
        return ", ".join(dict.fromkeys(names))

    @cached_property
    def used_specs(self) -> tuple[str, ...]:
        """Names of the chips that ran something."""
        used = {index for record in self.records for index in np.unique(record.device).tolist() if index >= 0}
        specs = [spec.name for index, spec in enumerate(self.system.devices.values()) if index in used]
        return tuple(dict.fromkeys(specs))

    @property
    def items(self) -> int:
        """How many images, tokens or videos the run makes."""
        return self.graph.items

    @property
    def throughput_per_s(self) -> float:
        """Items a second, one run after another."""
        return self.items / self.latency_s if self.latency_s > 0 else math.inf

    @cached_property
    def energy_breakdown_j(self) -> dict[str, float]:
        """Joules by cause; they sum to ``energy_j``."""
        parts: dict[str, list[float]] = {name: [] for name in ("compute", "memory", "link", "active")}
        for record in self.records:
            columns = record.columns
            parts["compute"].append(record.repeats * float(columns.compute_j.sum()))
            parts["memory"].append(record.repeats * float(columns.memory_j.sum()))
            parts["active"].append(record.repeats * float((columns.active_j * record.stretch).sum()))
            crossed = math.fsum(size * self.links[link][1] for link, size, *_ in record.transfers)
            parts["link"].append(record.repeats * (crossed + float(columns.link_j.sum())))
        totals = {name: math.fsum(values) for name, values in parts.items()}
        idle = math.fsum(spec.power.idle_w for spec in self.system.devices.values())
        return totals | {"static": idle * self.latency_s}

    @property
    def energy_j(self) -> float:
        """Sum of :attr:`energy_breakdown_j`."""
        return math.fsum(self.energy_breakdown_j.values())

    @property
    def average_power_w(self) -> float:
        """Energy over latency."""
        return self.energy_j / self.latency_s if self.latency_s > 0 else 0.0

    @property
    def peak_memory_bytes(self) -> int:
        """Most bytes in use at once in the fullest memory."""
        return max((int(r.memory_peak_bytes.max()) for r in self.records if len(r.memory_peak_bytes)), default=0)

    @cached_property
    def utilization(self) -> dict[str, dict[str, float]]:
        """``{device: {"compute": x, "memory": y, "busy": z}}``, each 0..1 over the whole run."""
        total = self.latency_s
        table: dict[str, dict[str, float]] = {}
        for index, (role, spec) in enumerate(self.system.devices.items()):
            bandwidth = spec.main_memory.bandwidth_bytes_per_s
            compute, moved, busy = [], [], 0
            for record in self.records:
                mine = record.device == index
                columns = record.columns
                compute.append(record.repeats * float((columns.utilization * columns.alone_s)[mine].sum()))
                moved.append(record.repeats * float(columns.dram_bytes[mine].sum()))
                busy += record.repeats * int(record.busy_ps[index])
            memory = math.fsum(moved) / (bandwidth * total) if bandwidth > 0 and total > 0 else 0.0
            table[role] = {
                "compute": min(1.0, math.fsum(compute) / total) if total > 0 else 0.0,
                "memory": min(1.0, memory),
                "busy": min(1.0, busy / self.makespan_ps) if self.makespan_ps else 0.0,
            }
        return table

    @cached_property
    def device_energy_j(self) -> dict[str, float]:
        """Joules of each device, idle power included."""
        result: dict[str, float] = {}
        for index, (role, spec) in enumerate(self.system.devices.items()):
            parts = [spec.power.idle_w * self.latency_s]
            for record in self.records:
                c, mine = record.columns, record.device == index
                dynamic = (c.compute_j + c.memory_j + c.active_j * record.stretch)[mine]
                parts.append(record.repeats * float(dynamic.sum()))
            result[role] = math.fsum(parts)
        return result

    @property
    def metrics(self) -> dict[str, float]:
        """Further figures by what the workload makes: seconds and joules an item; for tokens, TTFT and rates."""
        figures = {f"s_per_{self.graph.item}": self.latency_s / self.items}
        figures[f"j_per_{self.graph.item}"] = self.energy_j / self.items
        if "generated_tokens" in self.graph.info or "prompt_tokens" in self.graph.info:
            figures |= self._token_metrics()
        return figures

    def _token_metrics(self) -> dict[str, float]:
        info = self.graph.info
        by_phase: dict[str, float] = {}
        for record in self.records:
            by_phase[record.phase] = by_phase.get(record.phase, 0.0) + record.repeats * record.period_ps * 1e-12
        figures: dict[str, float] = {}
        generated = info.get("generated_tokens", 0)
        if "prefill" in by_phase:
            figures["time_to_first_token_s"] = by_phase["prefill"]
            if by_phase["prefill"] > 0:
                figures["prompt_tokens_per_s"] = info.get("prompt_tokens", 0) / by_phase["prefill"]
        if generated and by_phase.get("decode"):
            figures["tokens_per_s"] = generated / by_phase["decode"]
            figures["j_per_token"] = self.energy_j / generated
        return figures

    @cached_property
    def columns(self) -> dict[str, list[Any]]:
        """Spans as columns: op, kind, phase, repeat, repeats, device, start_s, end_s, energy_j, flop, bytes, ..."""
        return span_columns(self.records, list(self.system.devices))

    @property
    def ops(self) -> pd.DataFrame:
        """One row a span; of very long runs, one row an operator of each phase, with its ``repeats``."""
        import pandas as pd

        return pd.DataFrame(self.columns)

    @cached_property
    def trace(self) -> Trace:
        """Spans and samples on one clock, integer picoseconds; repeats are stored once."""
        return trace_of(
            self.records,
            devices=list(self.system.devices),
            links=[name for name, _ in self.links],
            memories=[name for name, _ in self.memories],
            title=f"{self.graph.name} on {self.system.name} {self.variant}".strip(),
        )

    def to_json(self) -> str:
        """The document of ``hwsim run --json`` with this one run."""
        from hwsim.report.document import json_text, result_document

        return json_text(result_document([self], self.seed))

    def to_perfetto(self, path: str | Path) -> None:
        """Write the trace for ui.perfetto.dev."""
        from hwsim.trace.perfetto import write_perfetto

        write_perfetto(self.trace, path)

    def to_html(self, path: str | Path) -> None:
        """Write the report as one self-contained page."""
        from hwsim.report.folder import write_page

        write_page([self], Path(path), title=self.scenario or self.trace.title)

    def _repr_html_(self) -> str:
        """A summary, for notebooks."""
        from hwsim.report.html import table_html
        from hwsim.report.tables import bottleneck_table, results_table

        return table_html(results_table("", [self])) + table_html(bottleneck_table([self], most=5))

    def plot_timeline(self, ax: Axes | None = None) -> Axes:
        """What ran when, a lane a device."""
        from hwsim.report.timeline import plot_timeline

        return plot_timeline(self, ax)

    def plot_roofline(self, ax: Axes | None = None) -> Axes:
        """Every operator under the roof of its device."""
        from hwsim.report.roofline import plot_roofline

        return plot_roofline(self, ax)

    def plot_energy(self, ax: Axes | None = None) -> Axes:
        """Joules by cause."""
        from hwsim.report.energies import plot_energy

        return plot_energy(self, ax)

    def bottlenecks(self, most: int = 10) -> list[Bottleneck]:
        """The kinds of operators that take most time, and what bounds them, the longest first."""
        return bottlenecks(self.records, most)
