"""What to run and what to hold it against: a workload, systems, variants, claims, measurements, requirements."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Annotated, Any

from hwsim.specs.fields import Choice, Count, Formats, Quantity, Ratio, Text
from hwsim.specs.parallel import ParallelSpec
from hwsim.specs.system import SystemSpec

__all__ = [
    "METRICS",
    "OPERATORS",
    "ArrivalsSpec",
    "ClaimSpec",
    "MeasuredSpec",
    "NumericsSpec",
    "RequirementSpec",
    "ScenarioSpec",
    "SystemUse",
    "VariantSpec",
    "WorkloadSpec",
]

METRICS: Mapping[str, str] = MappingProxyType(
    {
        "latency_s": "s",
        "time_to_first_token_s": "s",
        "time_per_token_s": "s",
        "time_per_item_s": "s",
        "energy_j": "J",
        "energy_per_item_j": "J",
        "energy_per_token_j": "J",
        "average_power_w": "W",
        "peak_memory_bytes": "bytes",
        "throughput_per_s": "",
        "tokens_per_s": "",
        "items": "",
        "utilization": "",
        "memory_utilization": "",
        "busy": "",
        "fits": "",
        "weight_bytes": "bytes",
        "snr_db": "",
        "cosine": "",
        "top1_agreement": "",
    }
)
"""What a run is judged by, and the dimension a limit is written in ("" for a plain number)."""

OPERATORS: tuple[str, ...] = ("<=", "<", ">=", ">", "==")


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkloadSpec:
    """A workload of the library by ``name``, or an ONNX file; ``params`` are its arguments (``dims`` of the file)."""

    name: str = ""
    onnx: str = ""
    params: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemUse:
    """A system under a name, with what it runs and how; everything the scenario says once is filled in."""

    name: str
    system: SystemSpec
    workload: WorkloadSpec
    software: str | Mapping[str, str] | None = None
    policy: str = "auto"
    placement: Mapping[str, Any] = field(default_factory=dict)
    parallel: ParallelSpec | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ArrivalsSpec:
    """When requests come; ``once`` is a single request at time zero."""

    kind: Annotated[str, Text("kind")] = "once"


@dataclass(frozen=True, slots=True, kw_only=True)
class NumericsSpec:
    """How far the values of each run's number format lie from fp32, on ``inputs`` synthetic inputs.

    Quantized formats are calibrated on as many others. ``at`` are parameters of the workload for these runs in NumPy,
    e.g. smaller images.
    """

    inputs: Annotated[int, Count("inputs")] = 8
    calibration: Annotated[str, Choice("calibration", ("minmax", "percentile"))] = "minmax"
    percentile: Annotated[float, Ratio("percentile", 50.0, 100.0)] = 99.99
    at: Annotated[Mapping[str, int], Formats("at", Count("at"))] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimSpec:
    """What is commonly said, and the figure of the simulation that it is held against.

    That figure is ``metric`` of ``system`` (in ``variant``), divided by that of ``over`` (in ``over_variant``) if
    there is one. ``value`` is in SI units where the metric has a dimension.
    """

    says: Annotated[str, Text("says")]
    value: float | None = None
    unit: Annotated[str, Text("unit")] = ""
    metric: Annotated[str, Choice("metric", tuple(METRICS))] = ""
    system: Annotated[str, Text("system")] = ""
    variant: Annotated[str, Text("variant")] = ""
    over: Annotated[str, Text("over")] = ""
    over_variant: Annotated[str, Text("over_variant")] = ""
    source: Annotated[str, Text("source")] = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredSpec:
    """What somebody measured, with the source; ``value`` and ``unit`` belong to the claim."""

    source: Annotated[str, Text("source")]
    system: Annotated[str, Text("system")] = ""
    variant: Annotated[str, Text("variant")] = ""
    latency_s: Annotated[float | None, Quantity("latency", "s")] = None
    energy_j: Annotated[float | None, Quantity("energy", "J")] = None
    power_w: Annotated[float | None, Quantity("power", "W")] = None
    throughput_per_s: Annotated[float | None, Ratio("throughput", 0.0)] = None
    value: Annotated[float | None, Ratio("value", -1e300, 1e300)] = None
    unit: Annotated[str, Text("unit")] = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RequirementSpec:
    """``metric`` of ``system`` (all systems if empty), over that of ``over`` if given, compared with ``limit``."""

    name: Annotated[str, Text("name")]
    metric: Annotated[str, Choice("metric", tuple(METRICS))]
    op: Annotated[str, Choice("op", OPERATORS)]
    limit: float
    system: Annotated[str, Text("system")] = ""
    variant: Annotated[str, Text("variant")] = ""
    device: Annotated[str, Text("device")] = ""
    over: Annotated[str, Text("over")] = ""
    over_variant: Annotated[str, Text("over_variant")] = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class VariantSpec:
    """The scenario with some values set: ``scenario`` is the whole result, without variants of its own."""

    name: str
    changes: Mapping[str, Any]
    scenario: ScenarioSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class ScenarioSpec:
    """An experiment: every system runs its workload, in the scenario itself and in each variant."""

    name: str
    title: str
    systems: tuple[SystemUse, ...]
    arrivals: ArrivalsSpec = field(default_factory=ArrivalsSpec)
    numerics: NumericsSpec | None = None
    variants: tuple[VariantSpec, ...] = ()
    claims: tuple[ClaimSpec, ...] = ()
    measured: tuple[MeasuredSpec, ...] = ()
    require: tuple[RequirementSpec, ...] = ()
    seed: int = 0
    spill: bool = False
    note: str = ""
    path: str = ""

    @property
    def workload(self) -> WorkloadSpec:
        """What the first system runs; the others run the same unless they say otherwise."""
        return self.systems[0].workload
