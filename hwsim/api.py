"""The facade: what ``import hwsim`` offers. No logic here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hwsim import flow
from hwsim.cost.systolic import systolic_cycles
from hwsim.errors import InputError
from hwsim.explore.compare import Comparison
from hwsim.explore.compare import compare as _compare
from hwsim.explore.scenario import Scenario
from hwsim.explore.sweep import Sweep
from hwsim.explore.sweep import sweep as _sweep
from hwsim.functional.run import run_reference as _run_reference
from hwsim.graph.graph import Graph
from hwsim.loading.device import load_device
from hwsim.loading.scenario import load_scenario as _load_scenario
from hwsim.loading.sweep import load_sweep
from hwsim.loading.system import load_system
from hwsim.report.estimate import Estimate
from hwsim.report.result import Result
from hwsim.specs.device import DeviceSpec
from hwsim.specs.parallel import ParallelSpec
from hwsim.specs.system import SystemSpec, single
from hwsim.units import shown
from hwsim.workloads import workload
from hwsim.workloads.onnx import load_onnx

__all__ = [
    "compare",
    "estimate",
    "load_device",
    "load_onnx",
    "load_scenario",
    "load_system",
    "run_reference",
    "simulate",
    "sweep",
    "systolic_cycles",
    "workload",
]

Hardware = DeviceSpec | SystemSpec | str


def _checked(graph: Graph) -> Graph:
    if not isinstance(graph, Graph):
        raise InputError(f"write a graph, e.g. hwsim.workload('resnet50'), not {shown(graph)}")
    return graph


def _system(hardware: Hardware) -> SystemSpec:
    if isinstance(hardware, SystemSpec):
        return hardware
    return single(hardware) if isinstance(hardware, DeviceSpec) else load_system(hardware)


def _parallel(given: object) -> ParallelSpec:
    if not isinstance(given, Mapping) or not all(key in ("ulysses", "ring") for key in given):
        raise InputError(f"parallel: write {{'ulysses': 4, 'ring': 2}}, say, not {shown(given)}")
    return ParallelSpec(**given)


def estimate(graph: Graph, device: DeviceSpec | str, software: str | None = None) -> Estimate:
    """Price every operator of a graph alone on a device: no clock, no contention.

    Args:
        graph: from :func:`workload` or ``hwsim.ops``.
        device: a spec, or the name or path of one.
        software: a stack of the device's YAML; by default its first.

    Raises:
        UnsupportedError: the device cannot run some operator, or lacks the number format.
    """
    return flow.estimate(_checked(graph), load_device(device) if isinstance(device, str) else device, software)


def simulate(
    graph: Graph,
    device_or_system: Hardware,
    policy: str = "auto",
    software: str | Mapping[str, str] | None = None,
    governor: None = None,
    seed: int = 0,
    **options: object,
) -> Result:
    """Replay a graph on a device or a system in simulated time.

    Args:
        graph: from :func:`workload` or ``hwsim.ops``.
        device_or_system: a spec, or the name or path of one.
        policy: who decides which device runs what (``hwsim policies`` lists them).
        software: a stack for all devices, or one by role.
        governor: only None: every device runs at its nominal operating point, below it under its power cap.
        seed: the same seed gives the same bytes.
        options: ``allow_spill=True``, ``parallel={"ulysses": 4, "ring": 2}`` (a diffusion pipeline divided among eight
            equal devices), or what the policy reads: ``rules``, ``providers``, ``device``.

    Raises:
        InputError: a name, an option or a governor that does not exist.
        PlacementError, UnsupportedError: work that no device can run.
        OutOfMemoryError: a memory overflows.
    """
    if governor is not None:
        raise InputError(f"governor: write None, the only one so far, not {shown(governor)}")
    spill = bool(options.pop("allow_spill", False))
    parallel = options.pop("parallel", None)
    return flow.simulate(
        _checked(graph),
        _system(device_or_system),
        policy=policy,
        software=software,
        options=options,
        parallel=None if parallel is None else _parallel(parallel),
        allow_spill=spill,
        seed=seed,
    )


def compare(graph: Graph, devices: Sequence[Hardware], software: str | None = None) -> Comparison:
    """The same graph on several devices or systems, one row each.

    Args:
        graph: from :func:`workload` or ``hwsim.ops``.
        devices: specs, names or paths.
        software: a stack for all of them; else each takes its own.

    Raises:
        InputError: an unknown device or stack, or a single name instead of a list.
    """
    if isinstance(devices, str):
        raise InputError(f"write a list of devices, e.g. ['h100_sxm', 't4'], not {shown(devices)}")
    return _compare(_checked(graph), [_system(device) for device in devices], software=software)


def load_scenario(name: str | Path, overrides: Sequence[str] = ()) -> Scenario:
    """A scenario by name or path; ``.run()`` gives its results. ``overrides`` are texts like ``workload.batch=8``."""
    return Scenario(_load_scenario(name, overrides))


def sweep(name: str | Path) -> Sweep:
    """Run a sweep file; the result has ``.frame``, ``.pareto()`` and ``.plot()``."""
    return _sweep(load_sweep(name))


def run_reference(
    graph: Graph, inputs: Mapping[str, NDArray[np.generic]], seed: int = 0
) -> dict[str, NDArray[np.generic]]:
    """NumPy values of every output of a graph; weights not given are drawn from ``seed``."""
    return _run_reference(graph, inputs, seed=seed)
