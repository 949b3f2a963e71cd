"""Fits the constants of CPUs to whole networks (``benchmarks/fit_edge.py`` does those of NPUs).

Run from the root of the repository: ``python -m benchmarks.fit_networks kryo_8gen3``. Few constants a chip, none for a
network.
"""

from __future__ import annotations

import csv
import sys
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np

from benchmarks.fit_npu import TRUTH, Floats, errors
from hwsim.devices.base import KINDS
from hwsim.graph.lowering import lower, tables_of
from hwsim.graph.work import Form, Work
from hwsim.loading.device import load_device
from hwsim.passes import apply_passes
from hwsim.specs.device import DeviceSpec
from hwsim.validation.names import NAMESAKES
from hwsim.workloads import WORKLOADS

__all__ = ["Network", "NetworkFit", "network_times_s"]


@dataclass(frozen=True, slots=True)
class Network:
    """A workload as it was measured; ``chip`` are changes of the device for a sibling of it."""

    workload: str
    dtype: str
    time_s: float
    changes: Mapping[str, object]
    chip: tuple[tuple[str, object], ...] = ()


@dataclass(frozen=True, slots=True)
class NetworkFit:
    """A chip's free constants: ``launch`` of the stack, or ``family+family:constant``."""

    free: Mapping[str, float]
    load: Callable[[], Sequence[Network]]
    held_out: Callable[[Network], bool]
    stack: str = ""


@dataclass(frozen=True, slots=True)
class Suite:
    """Networks lowered once: distinct rows of Work and how often each network runs each."""

    works: tuple[Work, ...]
    count: Floats


def lowered_suite(networks: Sequence[Network], passes: Sequence[str]) -> Suite:
    """The rows of all networks, (networks, rows) counts."""
    place: dict[Work, int] = {}
    counts: list[dict[int, int]] = []
    for network in networks:
        graph = WORKLOADS[network.workload].build(dtype=network.dtype, **network.changes)
        low = lower(apply_passes(graph, passes))
        times = low.count()
        mine: dict[int, int] = {}
        for work, number in zip(low.works, times.tolist(), strict=True):
            row = place.setdefault(work, len(place))
            mine[row] = mine.get(row, 0) + number
        counts.append(mine)
    matrix = np.zeros((len(networks), len(place)))
    for index, mine in enumerate(counts):
        for row, number in mine.items():
            matrix[index, row] = number
    return Suite(tuple(place), matrix)


def network_times_s(spec: DeviceSpec, suite: Suite, constants: Mapping[str, float], stack_name: str = "") -> Floats:
    """Seconds of each network, operators one after the other."""
    stack = spec.stack(stack_name) if stack_name else spec.default_software
    kernels = {name: dict(values) for name, values in stack.kernels.items()}
    launch = constants.get("launch", stack.launch_s)
    for name, value in constants.items():
        families, _, constant = name.partition(":")
        for family in families.split("+") if constant else ():
            kernels.setdefault(family, {})[constant] = value
    stack = replace(stack, kernels=MappingProxyType(kernels), launch_s=launch, dispatch_s=0.0)
    kind = KINDS[spec.kind]
    params = kind.params(spec, stack)
    times = np.zeros(len(suite.works))
    for form, table in tables_of(suite.works).items():
        if form is not Form.COLLECTIVE:
            times[table.index] = kind.price_form(table, params).time_s[0]
    total: Floats = suite.count @ times
    return total


def run(name: str, fit: NetworkFit) -> None:
    """Fit a chip and print its constants and errors."""
    from scipy.optimize import minimize

    spec, networks = load_device(name.partition(" ")[0]), fit.load()
    stack = spec.stack(fit.stack) if fit.stack else spec.default_software
    measured = np.array([network.time_s for network in networks])
    test = np.array([fit.held_out(network) for network in networks])
    chips = list(dict.fromkeys(network.chip for network in networks))
    specs = [spec.evolve(dict(chip)) if chip else spec for chip in chips]
    names = list(fit.free)

    def predicted(logs: Floats, chosen: list[Network], suite: Suite) -> Floats:
        constants = dict(zip(names, np.exp(logs).tolist(), strict=True))
        which = np.array([chips.index(network.chip) for network in chosen])
        times = np.stack([network_times_s(each, suite, constants, fit.stack) for each in specs])
        return times[which, np.arange(len(which))]

    train = [network for network, out in zip(networks, test, strict=True) if not out]
    small = lowered_suite(train, stack.passes)

    def cost(logs: Floats) -> float:
        gap = np.abs(np.log(predicted(logs, train, small) / measured[~test]))
        return float(gap.mean() + 0.03 * np.abs(logs - start).mean())

    start = np.log(np.array(list(fit.free.values())))
    best = start
    for _ in range(4):
        best = minimize(cost, best, method="Nelder-Mead", options={"maxfev": 400, "xatol": 1e-3, "fatol": 1e-5}).x
    times = predicted(best, networks, lowered_suite(networks, stack.passes))
    for key, value in zip(names, np.exp(best), strict=True):
        sys.stdout.write(f"    {key}: {value:.4g}\n")
    for network, time, out in zip(networks, times, test, strict=True):
        mark = "held out" if out else ""
        line = f"{network.workload:20} {network.dtype:6} {network.time_s * 1e3:9.3f} {time * 1e3:9.3f} ms"
        sys.stdout.write(f"    {line} {100 * (time / network.time_s - 1):+6.1f} % {mark}\n")
    for label, chosen in (("fitted", ~test), ("held out", test)):
        mean, median, p90 = errors(times[chosen], measured[chosen])
        sys.stdout.write(f"{name} {label:9} n {chosen.sum()} mean {mean:.1f} % median {median:.1f} % p90 {p90:.1f} %\n")


def _rows(path: str) -> list[dict[str, str]]:
    with (TRUTH / path).open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


_ALL = "gemm+map+reduce+attention+move"


def xeon() -> list[Network]:
    """Throughput of one socket of two Xeons of the family: a batch of 64 takes 64 / (images a second / 2)."""
    chips = {
        "Intel 2x Xeon Platinum 8490H": (("cpu.cores", 60), ("cpu.threads", 60), ("cpu.clock", "1.9 GHz")),
        "Intel 2x Xeon Platinum 8580": (("cpu.cores", 60), ("cpu.threads", 60), ("memory.l3.capacity", "300 MB")),
    }
    models = {"resnet-50": ("resnet50", {}), "bert-base-cased": ("bert_base", {"seq": 124})}
    return [
        Network(
            models[row["model"]][0],
            {"int8": "w8a8", "fp32": "fp32"}[row["precision"]],
            64.0 / (float(row["throughput_fps"]) / 2.0),
            {"batch": 64, **models[row["model"]][1]},
            chips[row["chip"]],
        )
        for row in _rows("edge/openvino_intel.csv")
        if row["chip"] in chips and row["model"] in models
    ]


_NCNN = {
    "alexnet": "alexnet",
    "efficientnet_b0": "efficientnet_b0",
    "mobilenet_v2": "mobilenet_v2",
    "regnety_400m": "regnet_y_400mf",
    "resnet50": "resnet50",
    "shufflenet_v2": "shufflenet_v2_x1_0",
    "vgg16": "vgg16",
}


def kryo() -> list[Network]:
    """Networks on the four large cores of the generation before (Snapdragon 8 Gen 2), fp16.

    Four pipes on its X3 and two on each of three others are those of four equal cores at 3.7 GHz.
    """
    chip = (("cpu.threads", 4), ("cpu.clock", "3.7 GHz"))
    return [
        Network(_NCNN[row["model"]], "fp16", float(row["latency_ms"]) * 1e-3, {}, chip)
        for row in _rows("edge/ncnn_cpu_gpu.csv")
        if "8 Gen 2" in row["chip"]
        and row["compute_unit"] == "CPU x4"
        and row["precision"].startswith("fp16")
        and row["model"] in _NCNN
    ]


def timm(chip: str, unit: str) -> Callable[[], list[Network]]:
    """Loader of the networks of timm's results that are known here, as one chip ran them."""

    def load() -> list[Network]:
        found = []
        for row in _rows("edge/timm_gpu_cpu.csv"):
            name = NAMESAKES.get((row["source_repo"], row["model"]), row["model"])
            if row["chip"] != chip or unit not in row["compute_unit"] or name not in WORKLOADS:
                continue
            height, width = (int(side) for side in row["input"].split("x")[:2])
            changes = {"batch": int(row["batch"]), "height": height, "width": width}
            dtype = "fp32" if row["precision"] == "fp32" else "fp16"
            found.append(Network(name, dtype, float(row["latency_ms"]) * 1e-3, changes))
        return found

    return load


def not_in_sample(network: Network) -> bool:
    """Nine networks in ten, by name: timm's results hold hundreds, and a few constants need a few dozen."""
    return zlib.crc32(network.workload.encode()) % 10 != 0


_WIDE = "map.fp32+reduce.fp32+move.fp32+pow.fp32+softmax.fp32+layernorm.fp32"
_AMP = {
    "gemm:rate": 1.1,
    f"map+reduce+move+{_WIDE}:memory": 0.94,
    "layernorm+groupnorm:memory": 0.6,
    "attention_prefill:compute": 0.96,
}
"""The share of the bandwidth that depthwise convolutions reach is fitted on the RTX 4090, for both chips."""
_COMPILED = {
    "gemm:rate": 1.1,
    "gemm:memory": 1.0,
    "depthwise_conv2d:memory": 0.77,
    "map+reduce+move:memory": 0.99,
    "layernorm+groupnorm:memory": 0.7,
    "attention_prefill:compute": 1.0,
}
_CPU = {
    "launch": 30e-6,
    "gemm:setup": 50e-6,
    "gemm:compute": 0.6,
    "gemm:memory": 0.6,
    "reduce:compute": 0.01,
    "layernorm:compute": 0.01,
}
FITS: Mapping[str, NetworkFit] = {
    "rtx_3090 amp": NetworkFit(_AMP, timm("NVIDIA RTX 3090", "amp nhwc"), not_in_sample, "amp"),
    "rtx_4090 amp": NetworkFit(
        {**_AMP, "depthwise_conv2d:memory": 0.585}, timm("NVIDIA RTX 4090", "amp nhwc"), not_in_sample, "amp"
    ),
    "rtx_4090 compile": NetworkFit(_COMPILED, timm("NVIDIA RTX 4090", "torch.compile"), not_in_sample, "compile"),
    "core_i9_10940x": NetworkFit(_CPU, timm("Intel i9-10940X", "CPU"), not_in_sample),
    "core_i7_12700h": NetworkFit(_CPU, timm("Intel i7-12700H", "CPU"), not_in_sample),
    "xeon_8480": NetworkFit(
        {"gemm.fp32:compute": 0.7, "gemm.int8:compute": 0.4, "map+reduce:compute": 0.2, f"{_ALL}:keep": 2.0},
        xeon,
        lambda network: ("memory.l3.capacity", "300 MB") in network.chip,
    ),
    "kryo_8gen3": NetworkFit(
        {"launch": 5e-6, "gemm:compute": 0.5, f"{_ALL}:memory": 0.5},
        kryo,
        lambda network: network.workload in ("efficientnet_b0", "vgg16"),
    ),
}
"""What is fitted, by chip."""

if __name__ == "__main__":
    for chip in sys.argv[1:] or FITS:
        run(chip, FITS[chip])
