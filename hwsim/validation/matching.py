"""What stands for the things a row names: its chip, the software it was timed with, the machine around its chips."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cache

from hwsim.errors import InputError
from hwsim.loading import library
from hwsim.loading.device import load_device
from hwsim.loading.system import load_system
from hwsim.specs.device import DeviceSpec
from hwsim.specs.software import SoftwareSpec
from hwsim.specs.system import InterconnectSpec, SystemSpec
from hwsim.validation.language import chips_of
from hwsim.validation.measured import Row

__all__ = ["device_of", "links_of", "nearest_stack", "sockets_of", "stack_for"]

_NPU = ("systolic_npu", "dataflow_npu")
_UNITS: Mapping[str, tuple[str, ...]] = {
    "GPU": ("simt_gpu",),
    "NPU": _NPU,
    "ANE": _NPU,
    "CPU": ("cpu",),
    "CPU/MCU": ("cpu",),
}
"""Kinds of device by the first word of ``compute_unit``; Core ML may hand a little to a CPU beside them."""
_REPLAYED = ("cuda_graph", "event_mean_100", "xpu_event", "cuda_graph_sustained_power", "profiler_kernel")
"""Ways of timing whose figures hold a kernel and its start, the nearest to graph replay first."""
_CALLED = ("cuda_event_eager", "wall_clock_sync", "deepbench_wall_avg")
"""Ways of timing whose figures also hold what the host does for each call."""
_SERVED = ("serving_bench", "serving_bench_zeus")
"""Ways of timing whose figures hold whole steps of a serving engine."""
_SOCKETS = re.compile(r"\b(\d)x ")
_POINT = re.compile(r"\b([\w-]+ point)$")
"""An operating point at the end of a model's name: ``distilbert seq128 perf point``."""


def device_of(row: Row) -> DeviceSpec:
    """The spec that stands for the chip a row names, at the operating point it names; raises InputError for none."""
    point = _POINT.search(row.text("model"))
    chip, unit = _SOCKETS.sub("", chips_of(row)[0]), row.text("unit").split(" ")[0].removesuffix("+CPU")
    return _find_device(chip + (f", {point[1]}" if point else ""), unit, _cores(row))


def _cores(row: Row) -> str:
    """Which cores of a CPU a row names beside how many threads it ran: ``CPU x8``, or those alone that save power."""
    return f"{row.text('unit')}, little" if row.text("powersave") == "1" else row.text("unit")


@cache
def _find_device(name: str, unit: str, cores: str) -> DeviceSpec:
    """The spec that stands for a measured chip, or for one unit of it, or for some cores of that."""
    aliases = (f"{name} {cores}", f"{name} {unit}", name) if unit else (name,)
    for alias, loosely in ((alias, loosely) for loosely in (False, True) for alias in aliases):
        try:
            spec = load_device(library.find_by_alias(alias, loosely=loosely))
        except InputError:
            continue
        if not unit or spec.kind in _UNITS.get(unit.lstrip("id"), ()):
            return spec
    raise InputError(f"no device file with the alias '{name}'" + (f" for its {unit}" if unit else ""))


def stack_for(spec: DeviceSpec, timing: str, closest: Sequence[str] = ()) -> SoftwareSpec:
    """The stack whose ``timing:`` lists how the row was measured, or the first where the row does not say.

    Timings of the row that say more stand in ``closest``, the best first; raises InputError where no stack lists any.
    """
    if not timing:
        return spec.default_software
    for name in (*closest, timing):
        for stack in spec.software.values():
            if name in stack.timing:
                return stack
    raise InputError(f"no software stack of {spec.name} lists the timing '{closest[-1] if closest else timing}'")


def nearest_stack(spec: DeviceSpec, timing: str) -> tuple[SoftwareSpec, str]:
    """The stack that answers for a way of timing, and what its answer rests on.

    Where no stack lists it, the one that lists the way most like it does; that carries constants over, so the basis is
    ``family`` at best. Raises InputError for a way that is like none of the device's.
    """
    alike = next((group for group in (_REPLAYED, _CALLED, _SERVED) if timing in group), ())
    others = [*alike, *(_CALLED if alike is _REPLAYED else _REPLAYED)] if alike else []
    for other in dict.fromkeys((timing, *others)):
        try:
            stack = stack_for(spec, other)
        except InputError:
            continue
        return stack, "family" if other != timing and stack.basis == "calibrated" else stack.basis
    return stack_for(spec, timing), ""


def sockets_of(row: Row) -> int:
    """How many CPUs a machine's name counts: ``Intel 2x Xeon Platinum 8490H``."""
    found = _SOCKETS.search(chips_of(row)[0])
    return int(found[1]) if found else 1


@cache
def links_of(device: str, measured: str, ranks: int) -> tuple[SystemSpec, InterconnectSpec] | None:
    """The smallest system of at least so many such devices: one measured data call so, else one without aliases."""
    systems = (load_system(name) for name in library.list_systems())
    fitting = [
        (system, system.interconnect)
        for system in systems
        if system.interconnect is not None
        and len(system.devices) >= ranks
        and {spec.name for spec in system.devices.values()} == {device}
    ]
    named = [pair for pair in fitting if library.is_called(measured, pair[0].aliases)]
    others = [pair for pair in fitting if not pair[0].aliases]
    return min(named or others, key=lambda pair: len(pair[0].devices), default=None)
