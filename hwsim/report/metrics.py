"""Figures of a result by name: what requirements, claims and objectives are written in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from hwsim.errors import InputError
from hwsim.registry import unknown_name
from hwsim.report.result import Result

__all__ = ["metric"]


def _token(name: str) -> Callable[[Result], float]:
    def value(result: Result) -> float:
        if name not in result.metrics:
            raise InputError(
                f"{name}: {result.graph.name} makes no tokens in this run; use a metric it has, e.g. latency_s"
            )
        return result.metrics[name]

    return value


def _numerical(name: str) -> Callable[[Result], float]:
    def value(result: Result) -> float:
        found = result.numerics.get(name)
        if not isinstance(found, float):
            raise InputError(f"{name}: nobody ran the values of {result.graph.name}; write 'numerics: {{inputs: 8}}'")
        return found

    return value


def _most(key: str) -> Callable[[Result], float]:
    return lambda result: max(use[key] for use in result.utilization.values())


_METRICS: Mapping[str, Callable[[Result], float]] = MappingProxyType(
    {
        "latency_s": lambda r: r.latency_s,
        "time_per_item_s": lambda r: r.latency_s / r.items,
        "energy_j": lambda r: r.energy_j,
        "energy_per_item_j": lambda r: r.energy_j / r.items,
        "average_power_w": lambda r: r.average_power_w,
        "throughput_per_s": lambda r: r.throughput_per_s,
        "items": lambda r: float(r.items),
        "peak_memory_bytes": lambda r: float(r.peak_memory_bytes),
        "fits": lambda r: float(r.fits),
        "weight_bytes": lambda r: float(r.graph.weight_bytes),
        "snr_db": _numerical("snr_db"),
        "cosine": _numerical("cosine"),
        "top1_agreement": _numerical("top1_agreement"),
        "utilization": _most("compute"),
        "memory_utilization": _most("memory"),
        "busy": _most("busy"),
        "time_to_first_token_s": _token("time_to_first_token_s"),
        "time_per_token_s": lambda r: 1.0 / _token("tokens_per_s")(r),
        "tokens_per_s": _token("tokens_per_s"),
        "energy_per_token_j": _token("j_per_token"),
    }
)
_BY_DEVICE: Mapping[str, str] = MappingProxyType(
    {"utilization": "compute", "memory_utilization": "memory", "busy": "busy"}
)


def metric(result: Result, name: str, device: str = "") -> float:
    """One figure of a result, of one device if the name allows it.

    Raises:
        UnknownNameError: no such metric, or no such device in the run.
        InputError: the workload has no such figure (tokens of a video).
    """
    if name not in _METRICS:
        raise unknown_name("metric", name, _METRICS)
    if not device:
        return float(_METRICS[name](result))
    if device not in result.utilization:
        raise unknown_name(f"device of {result.system.name}", device, result.utilization)
    if name == "energy_j":
        return result.device_energy_j[device]
    if name not in _BY_DEVICE:
        raise InputError(f"{name} is a figure of the whole run; leave out 'device: {device}'")
    return result.utilization[device][_BY_DEVICE[name]]
