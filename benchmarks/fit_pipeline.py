"""Fits the constants of dataflow NPUs to frame rates of whole networks, all chips of one architecture together.

Run from the root of the repository: ``python -m benchmarks.fit_pipeline`` (``-v``: every network; ``-without=CHIP``:
leave a chip out, which shows what the constants are worth on a chip never measured). A fifth of the networks, by the
CRC-32 of the workload's name, is never fitted, on any chip; nor are networks that became workloads after the fit.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

import numpy as np

from benchmarks.fit_edge import descended, held_out, lowered_rows
from benchmarks.fit_npu import TRUTH, Floats, errors
from hwsim.cost.dataflow import frame_time_s
from hwsim.devices.base import KINDS, Params
from hwsim.devices.dataflow_npu import DataflowNpuParams, frame_edges, stage_terms
from hwsim.errors import HwsimError
from hwsim.graph.lowering import tables_of
from hwsim.graph.work import Form, Work
from hwsim.loading.device import load_device
from hwsim.specs.device import DeviceSpec
from hwsim.validation.measured import read_measured
from hwsim.validation.networks import Plan, network_plan

__all__ = ["CHIPS", "Chip", "chip_of", "later", "times_s"]

CHIPS = ("hailo_8", "hailo_8l", "hailo_10h")
_PULL = 0.004  # what drawing the constants to their start is worth against the mean logarithmic error
_NORMS = "layernorm+groupnorm+rmsnorm"
_SHARED = {
    "gemm:compute": 0.5,
    "gemm.int16:compute": 0.15,
    "gemm:depth": 230.0,
    "gemm:depthwise": 0.0075,
    "gemm:clusters": 0.0641,
    "gemm:memory": 1.6,
    "gemm:fill": 0.31,
    "gemm:wait": 0.14,
    "softmax:clusters": 1.0,
    f"{_NORMS}+padded_average:clusters": 1.0,
    f"{_NORMS}:row": 2e-6,
    "padded_average:row": 25e-9,
    "suppress_overlaps:stage": 50e-9,
    "map:compute": 0.1,
    "move:compute": 0.04,
    "outputs": 7.4,
}
_OWN = {
    "hailo_8": {"gemm:swap": 0.17e-3, "link": 1.8e9},
    "hailo_10h": {"gemm:swap": 0.11e-3, "link": 0.8e9, "frame": 0.25e-3, "usable": 0.93, "pace": 1.3},
}
"""Constants of one chip: its way of swapping, its link; the pace of its products beside those of the others (weights of
four bits run at twice the rate). hailo_8l sits on the same link as hailo_8."""
_PACED = ("gemm:compute", "gemm.int16:compute", "gemm:depthwise")
_KNOWN = """
clip_text_512 clip_text_640 clip_text_768 davit_tiny deeplabv3_mobilenet_v2 deeplabv3_mobilenet_v2_stride32
deit_small_patch16_224 deit_tiny_patch16_224 depth_anything_v2_small detr_resnet18 dncnn_color efficientformer_l1
efficientnet_edgetpu_l efficientnet_lite1 efficientnet_lite2 efficientnet_lite4 espcn_x2 espcn_x4 fcn8_resnet18
mobilenet_v1 mobilenet_v2 mobilenet_v2_1_4 poolformer_s12 r3d_18 real_esrgan_x2 regnetx_008 regnetx_016 repvgg_a1
repvgg_a2 resnet18 resnet34 resnet50 resnext50_32x4d siglip_text_b siglip_text_l squeezenet1_1 ssd_mobilenet_v1
ssd_mobilenet_v2 swin_tiny_patch4_window7_224 tiny_yolov3 tiny_yolov4 tinyclip_text_19m tinyclip_text_29m
unet_mobilenet_v2 vit_b_16 vit_base_bn vit_large_patch14_clip_224 vit_s_16 vit_tiny_bn vit_tiny_patch16_224 yolo11m
yolo11n yolo11s yolo11x yolov10b yolov10n yolov10s yolov10x yolov5l_seg yolov5s yolov5s_seg yolov6n yolov6n_v2
yolov7 yolov7_tiny yolov8l yolov8n yolov8n_seg yolov8s yolov8s_pose yolov8s_seg yolov8x yolox_l_leaky yolox_s_leaky
yolox_s_wide_leaky yolox_tiny zero_dce zero_dce_pp
"""
"""Networks that hwsim knew when the constants were fitted, with those held out."""
_FITTED = frozenset(_KNOWN.split())
_SAME = {"hailo_8l": "hailo_8"}


@dataclass(frozen=True, slots=True)
class Chip:
    """Networks measured on a chip, lowered once: (networks, rows) counts of distinct rows of Work."""

    spec: DeviceSpec
    plans: tuple[Plan, ...]
    seconds: Floats
    works: tuple[Work, ...]
    count: Floats
    items: Floats
    edge_bytes: Floats
    largest: Floats


def later(plan: Plan) -> bool:
    """Whether the network became a workload, or one of other classes, after the constants had been fitted."""
    return plan.workload not in _FITTED or "classes" in dict(plan.parameters)


def chip_of(name: str, plans: Sequence[Plan] = ()) -> Chip:
    """What was measured on a chip, a row a network and batch size (the median where a plan occurs twice); or plans."""
    spec = load_device(name)
    found: dict[Plan, list[float]] = {plan: [np.nan] for plan in plans}
    read = None if plans else read_measured(TRUTH / "edge" / "hailo_public.csv")
    for row in read.rows if read else ():
        if row.text("device") in spec.aliases and row.figures:
            try:
                plan = network_plan(row)
            except HwsimError:
                continue
            found.setdefault(plan, []).append(next(iter(row.figures.values())))
    place: dict[Work, int] = {}
    lows = [lowered_rows(plan, tuple(spec.default_software.passes)) for plan in found]
    for low in lows:
        for work in low[0] if low else ():
            place.setdefault(work, len(place))
    count = np.zeros((len(found), len(place)))
    for index, low in enumerate(lows):
        for work, number in low[0].items() if low else ():
            count[index, place[work]] = number
    items = np.array([dict(plan.parameters).get("batch", 1) for plan in found], float)
    edges = [frame_edges(plan.graph(), np.full((1, 1), spec.core.output_tile)) for plan in found]
    edge_bytes, largest = np.array([size for size, _ in edges]), np.array([float(most[0, 0]) for _, most in edges])
    seconds = np.array([float(np.median(times)) for times in found.values()])
    return Chip(spec, tuple(found), seconds, tuple(place), count, items, edge_bytes, largest)


def _params(chip: Chip, constants: Mapping[str, float]) -> DataflowNpuParams:
    stack = chip.spec.default_software
    kernels = {name: dict(values) for name, values in stack.kernels.items()}
    for name, value in constants.items():
        families, _, constant = name.partition(":")
        for family in families.split("+") if constant else ():
            kernels.setdefault(family, {})[constant] = value
    params: Params = KINDS["dataflow_npu"].params(chip.spec, replace(stack, kernels=MappingProxyType(kernels)))
    assert isinstance(params, DataflowNpuParams)
    one = np.ones((1, 1))
    changes: dict[str, Any] = {}
    for name, field in (
        ("outputs", "outputs"),
        ("usable", "usable"),
        ("link", "link_bytes_per_s"),
        ("frame", "frame_s"),
    ):
        if name in constants:
            changes[field] = one * constants[name]
    if "cluster_bytes" in constants:
        changes["sram_bytes"] = params.clusters * constants["cluster_bytes"]
    return replace(params, **changes)


def times_s(chip: Chip, constants: Mapping[str, float]) -> Floats:
    """Seconds of each network on a chip, as the prices of its operators add up."""
    params = _params(chip, constants)
    total, contexts, awaited, loaded, pause, fill, wait = (np.zeros(len(chip.plans)) for _ in range(7))
    slowest, units = chip.largest, float((params.clusters * params.usable)[0, 0])
    for form, table in tables_of(chip.works).items():
        terms, column = stage_terms(table, params), params.kernels.column
        counts = chip.count[:, table.index]
        total += counts @ terms.balanced_s[0]
        contexts += counts @ terms.share[0]
        awaited += counts @ terms.awaited[0]
        slowest = np.maximum(slowest, ((counts > 0) * terms.written[0]).max(axis=1))
        memory = column(table, "memory")[0] if form is Form.GEMM else 1.0
        loaded += counts @ (terms.weight_bytes[0] / memory)
        pause += counts @ (terms.share[0] * column(table, "swap")[0]) * units
        fill += counts @ (terms.balanced_s[0] * column(table, "fill")[0])
        wait += counts @ (terms.balanced_s[0] * column(table, "wait")[0])
    swapped = contexts > 1.0
    stage_s = slowest / float(params.outputs[0, 0] * params.clock_hz[0, 0])
    fill += wait * awaited / np.maximum(contexts, 1.0)
    once = fill / chip.items + loaded / float(params.dram_bytes_per_s[0, 0]) + pause
    link_s = chip.edge_bytes / float(params.link_bytes_per_s[0, 0])
    frame_s = frame_time_s(frame_time_s(total, stage_s), link_s)
    return frame_time_s(frame_s, chip.items * float(params.frame_s[0, 0])) + np.where(swapped, once, 0.0)


def run(without: str, verbose: bool) -> None:
    """Fit all chips but one; print the constants, and the errors of each chip."""
    chips = {name: chip_of(name) for name in CHIPS}
    owners = {name: _SAME.get(name, name) for name in CHIPS}
    fitted = [name for name in CHIPS if name != without]
    free = {("", key): value for key, value in _SHARED.items()}
    free |= {(o, k): v for o in dict.fromkeys(owners[n] for n in fitted) for k, v in _OWN[o].items()}
    names, start = list(free), np.log(np.array(list(free.values())))
    after = {name: np.array([later(plan) for plan in chip.plans]) for name, chip in chips.items()}
    train = {name: np.array([not held_out(plan) for plan in chips[name].plans]) & ~after[name] for name in chips}

    def constants(logs: Floats, chip: str) -> dict[str, float]:
        values = dict(zip(names, np.exp(logs).tolist(), strict=True))
        own = _OWN[owners[chip]] if (owners[chip], "gemm:swap") not in values else {}
        found = own | {key: value for (owner, key), value in values.items() if owner in ("", owners[chip])}
        swap, fills = found["gemm:swap"], {name: found[f"gemm:{name}"] for name in ("fill", "wait")}
        pace = found.pop("pace", 1.0)
        found |= {name: found[name] * pace for name in _PACED}
        others = {f"{form}:{name}": fills[name] for form in ("reduce", "map", "move") for name in fills}
        return found | others | {"reduce:swap": swap}

    def cost(logs: Floats) -> float:
        gaps = []
        for name in fitted:
            chip = chips[name]
            gap = np.abs(np.log(times_s(chip, constants(logs, name)) / chip.seconds))[train[name]]
            gaps.append(np.minimum(gap, 1.0 + 0.1 * gap))
        return float(np.concatenate(gaps).mean() + _PULL * np.abs(logs - start).mean())

    best = start
    for _ in range(3):
        best = descended(cost, best)
    for (owner, key), value in zip(names, np.exp(best), strict=True):
        sys.stdout.write(f"    {owner or 'all'} {key}: {value:.4g}\n")
    for name, chip in chips.items():
        times = times_s(chip, constants(best, name))
        for index in np.argsort(times / chip.seconds) if verbose else ():
            plan, mark = chip.plans[index], "" if train[name][index] else "later" if after[name][index] else "held out"
            error = 100 * (times[index] / chip.seconds[index] - 1)
            line = f"{chip.seconds[index] * 1e3:9.3f} {times[index] * 1e3:9.3f} ms {error:+6.1f} % {mark}"
            sys.stdout.write(f"    {plan.workload:30} x{chip.items[index]:.0f} {line}\n")
        groups = {"fitted": train[name], "held out": ~train[name] & ~after[name], "later": after[name]}
        for label, chosen in groups.items():
            if not chosen.any():
                continue
            mean, median, p90 = errors(times[chosen], chip.seconds[chosen])
            mark = " (chip left out)" if name == without else ""
            sys.stdout.write(
                f"{name} {label:9} n {chosen.sum()} mean {mean:.1f} % median {median:.1f} % p90 {p90:.1f} %{mark}\n"
            )


if __name__ == "__main__":
    left = [arg.partition("=")[2] for arg in sys.argv if arg.startswith("-without=")]
    run(left[0] if left else "", "-v" in sys.argv)
