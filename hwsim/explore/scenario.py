"""A scenario run: every system, in the scenario itself and in each variant, then the verdicts."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict, dataclass, field, replace

from hwsim.errors import PlacementError, UnsupportedError
from hwsim.explore.compare import simulate_or_note
from hwsim.functional.numerics import Numerics
from hwsim.graph.graph import Graph
from hwsim.report.result import Result
from hwsim.report.verdict import compared, judged, required
from hwsim.specs.scenario import NumericsSpec, ScenarioSpec, SystemUse, WorkloadSpec
from hwsim.workloads import specified

__all__ = ["Scenario"]


def _nothing(*_: object) -> None:
    """The progress callback of those who do not watch."""


@dataclass(eq=False)
class Scenario:
    """A loaded scenario; :meth:`run` gives its results. ``refused`` names systems that cannot run it, and why."""

    spec: ScenarioSpec
    results: list[Result] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Name of the file, without its ending."""
        return self.spec.name

    @property
    def title(self) -> str:
        """What the scenario is about."""
        return self.spec.title

    @property
    def seed(self) -> int:
        """Seed of all runs."""
        return self.spec.seed

    @property
    def _cases(self) -> list[tuple[str, ScenarioSpec]]:
        return [("", self.spec), *((variant.name, variant.scenario) for variant in self.spec.variants)]

    @property
    def count(self) -> int:
        """How many runs it makes."""
        return sum(len(case.systems) for _, case in self._cases)

    @property
    def holds(self) -> bool:
        """Whether everything ran, fitted, and met its requirements; False before :meth:`run`."""
        met = all(bool(need["holds"]) for result in self.results for need in result.requirements)
        unlimited = all(result.fits or self._excused(result) for result in self.results)
        return bool(self.results) and met and unlimited and not self.refused

    def _excused(self, result: Result) -> bool:
        """A run that does not fit is no failure where a requirement says so and was judged."""
        return any(need.get("metric") == "fits" for need in result.requirements)

    def run(self, advance: Callable[..., None] = _nothing) -> list[Result]:
        """Simulate every system of every variant; the same seed gives the same results.

        Raises:
            HwsimError: a fault that concerns the scenario, not one system's abilities.
        """
        runs: dict[tuple[str, str], Result] = {}
        self.refused = {}
        graphs: dict[str, Graph] = {}
        studies: dict[str, Numerics] = {}
        for variant, case in self._cases:
            for use in case.systems:
                try:
                    result = _simulated(use, case, graphs)
                    if case.numerics is not None:
                        result = replace(result, numerics=_numerics(use.workload, result.dtype, case, graphs, studies))
                    runs[variant, use.name] = replace(result, scenario=self.spec.title, variant=variant)
                except (UnsupportedError, PlacementError) as error:
                    self.refused[f"{use.name}{' ' + variant if variant else ''}"] = str(error)
                advance()
        self.results = self._judged(runs)
        return self.results

    def _judged(self, runs: Mapping[tuple[str, str], Result]) -> list[Result]:
        claims: dict[tuple[str, str], list[Mapping[str, object]]] = {key: [] for key in runs}
        needs: dict[tuple[str, str], list[Mapping[str, object]]] = {key: [] for key in runs}
        figures: dict[tuple[str, str], list[Mapping[str, object]]] = {key: [] for key in runs}
        if runs:
            for claim in self.spec.claims:
                key, entry = judged(claim, self.spec.measured, runs)
                claims[key].append(entry)
            for need in self.spec.require:
                for key, entry in required(need, runs):
                    needs[key].append(entry)
            for row in self.spec.measured:
                key, rows = compared(row, runs)
                figures[key] += rows
        return [
            replace(
                result,
                claims=tuple(claims[key]),
                requirements=tuple(needs[key]),
                measured=tuple(figures[key]),
            )
            for key, result in runs.items()
        ]


def _key(spec: WorkloadSpec) -> str:
    return f"{spec.name}{spec.onnx}:{sorted(spec.params.items())}"


def _graph(spec: WorkloadSpec, graphs: dict[str, Graph]) -> Graph:
    key = _key(spec)
    if key not in graphs:
        graphs[key] = specified(spec)
    return graphs[key]


def _numerics(
    spec: WorkloadSpec, dtype: str, case: ScenarioSpec, graphs: dict[str, Graph], studies: dict[str, Numerics]
) -> Mapping[str, object]:
    """The numerical error of a workload in a number format; runs of one workload share what they have in common."""
    wanted = case.numerics
    assert wanted is not None
    small, plain = (_for_numerics(spec, wanted, left_out) for left_out in (("dtype",), ("dtype", "passes")))
    changed = _graph(small, graphs) if small != plain else None
    if changed is not None and _outputs(changed) != _outputs(_graph(plain, graphs)):
        plain, changed = small, None  # a training step makes other things than the network it trains
    key = f"{wanted} {case.seed} {_key(plain)}"
    if key not in studies:
        studies[key] = Numerics(
            _graph(plain, graphs),
            inputs=wanted.inputs,
            calibration=wanted.calibration,
            percentile=wanted.percentile,
            seed=case.seed,
        )
    return asdict(studies[key].error(dtype, changed)) | {"calibration": wanted.calibration}


def _for_numerics(spec: WorkloadSpec, wanted: NumericsSpec, left_out: Collection[str]) -> WorkloadSpec:
    """The workload as its values are run: at the sizes asked for, without some parameters."""
    params = {name: value for name, value in spec.params.items() if name not in left_out}
    if spec.onnx:
        return replace(spec, params=params | {"dims": {**params.get("dims", {}), **wanted.at}})
    return replace(spec, params=params | dict(wanted.at))


def _outputs(graph: Graph) -> list[tuple[int, ...]]:
    return [graph.tensors[name].shape for name in graph.outputs]


def _simulated(use: SystemUse, case: ScenarioSpec, graphs: dict[str, Graph]) -> Result:
    system = replace(use.system, name=use.name) if use.name != use.system.name else use.system
    return simulate_or_note(
        _graph(use.workload, graphs),
        system,
        policy=use.policy,
        software=use.software,
        options=use.placement,
        parallel=use.parallel,
        allow_spill=case.spill,
        seed=case.seed,
    )
