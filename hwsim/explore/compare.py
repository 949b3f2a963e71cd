"""The same work on several devices, one row each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from hwsim.errors import OutOfMemoryError, PlacementError, UnsupportedError
from hwsim.flow import simulate
from hwsim.graph.graph import Graph
from hwsim.report.result import Result
from hwsim.specs.system import SystemSpec

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

__all__ = ["Comparison", "compare", "simulate_or_note"]


def simulate_or_note(graph: Graph, system: SystemSpec, **options: Any) -> Result:
    """Simulate; where a memory overflows, simulate without limits and say so in ``fits`` and ``note``."""
    try:
        return simulate(graph, system, **options)
    except OutOfMemoryError as error:
        result = simulate(graph, system, **(options | {"limited": False}))
        return replace(result, fits=False, note=str(error))


@dataclass(frozen=True, eq=False)
class Comparison:
    """Results of one graph on several systems; ``refused`` says why a system cannot run it at all."""

    graph: Graph
    results: tuple[Result, ...]
    refused: Mapping[str, str]

    def __repr__(self) -> str:
        """One line; ``frame`` has the rows."""
        return f"Comparison({self.graph.name} on {', '.join(result.system.name for result in self.results)})"

    @property
    def columns(self) -> dict[str, list[Any]]:
        """device, dtype, latency_s, throughput_per_s, energy_j, energy_per_item_j, utilization, bound, memory, fits."""
        names = ["device", "dtype", "latency_s", "throughput_per_s", "energy_j", "energy_per_item_j", "average_power_w"]
        names += ["utilization", "bound", "peak_memory_bytes", "fits", "basis", "error_percent"]
        table: dict[str, list[Any]] = {name: [] for name in names}
        for result in self.results:
            row = (
                result.system.name,
                result.dtype,
                result.latency_s,
                result.throughput_per_s,
                result.energy_j,
                result.energy_j / result.items,
                result.average_power_w,
                max(use["compute"] for use in result.utilization.values()),
                _bound(result),
                result.peak_memory_bytes,
                result.fits,
                result.basis.name,
                result.basis.error_percent,
            )
            for name, value in zip(names, row, strict=True):
                table[name].append(value)
        return table

    @property
    def frame(self) -> pd.DataFrame:
        """One row a system."""
        import pandas as pd

        return pd.DataFrame(self.columns)

    def plot(self, ax: Axes | None = None) -> Axes:
        """Latency and energy of each system, side by side."""
        from hwsim.report.plots import plot_comparison

        return plot_comparison(self.columns, ax)

    def _repr_html_(self) -> str:
        """The table, for notebooks."""
        return str(self.frame.to_html(index=False))


def _bound(result: Result) -> str:
    """What bounds most of the time; nothing where nothing ran."""
    spent: dict[str, float] = {}
    for part in result.bottlenecks(most=len(result.graph.nodes)):
        spent[part.bound] = spent.get(part.bound, 0.0) + part.time_s
    return max(spent, key=lambda bound: spent[bound], default="")


def compare(
    graph: Graph, systems: Sequence[SystemSpec], advance: Callable[..., None] | None = None, **options: Any
) -> Comparison:
    """Simulate a graph on each system; one that cannot run it is listed with the reason instead of a row.

    ``advance`` is called after each system.
    """
    results: list[Result] = []
    refused: dict[str, str] = {}
    for system in systems:
        try:
            results.append(simulate_or_note(graph, system, **options))
        except (UnsupportedError, PlacementError) as error:
            refused[system.name] = str(error)
        if advance is not None:
            advance()
    return Comparison(graph, tuple(results), refused)
