"""Fits the structure constants of phone and embedded NPUs to whole networks measured at batch one.

Run from the root of the repository: ``python -m benchmarks.fit_edge hexagon_v75``. Few constants a chip, none for a
network; what hwsim calls a measured name is the table of ``hwsim validate``. A fifth of the networks, by the CRC-32 of
the workload's name, is never fitted, in any format, on any chip; nor are those that were added after the constants.
"""

from __future__ import annotations

import math
import statistics
import sys
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from types import MappingProxyType

import numpy as np

from benchmarks.fit_npu import TRUTH, Floats, errors
from hwsim.devices.base import KINDS
from hwsim.errors import HwsimError
from hwsim.graph.lowering import lower, tables_of
from hwsim.graph.work import Form, Work
from hwsim.loading.device import load_device
from hwsim.passes import apply_passes
from hwsim.specs.device import DeviceSpec
from hwsim.specs.software import SoftwareSpec
from hwsim.validation.measured import Row, read_measured
from hwsim.validation.networks import Plan, network_plan

__all__ = ["FITS", "LATER", "EdgeFit", "Suite", "added_later", "held_out", "measured", "suite_of", "times_s"]

ALL = "gemm+map+reduce+attention+move"
_PULL, _SWEEPS = 0.03, 14
LATER = frozenset(
    (
        *("levit_128s", "efficientformer_l1", "opus_mt", "deeplab_xception", "facemap_3dmm", "mobilevit_s"),
        *("efficientvit_l2", "mediapipe_palm", "mediapipe_pose", "mediapipe_pose_landmarks"),
        *("mediapipe_hand_landmarks", "mediapipe_hand_landmarks_full", "mediapipe_selfie", "mediapipe_gestures"),
        *("ddrnet23_slim", "sinet", "bgnet", "salsanext", "aot_gan", "lama_dilated", "controlnet"),
        *("sd1_text_encoder", "sd1_unet", "sd1_vae_decoder", "video_mae_base", "nomic_embed_text"),
        *("rtmpose_m_wholebody", "zipformer_decoder", "zipformer_joiner", "xmem_key", "xmem_value", "xmem_segment"),
        *("cross_view_transformer", "geometry_kernel_transformer", "depth_anything3_small"),
        *("conditional_detr_resnet50", "zipformer_encoder", "nasnetalarge", "sequencer2d_s"),
        *("ppyoloe_s", "ppyoloe_m", "pp_liteseg_stdc1", "pp_ocr_mobile_det", "pp_ocr_mobile_rec", "lprnet"),
        *("mobile_sam_encoder", "sam_mask_decoder", "vit_base_patch32_clip_224", "rf_detr_base"),
        "centerpoint_pillars",
        *("lite_transformer_encoder", "wav2vec2_base"),
    )
)
"""Workloads of AI Hub and of Rockchip's zoo that were added after the constants had been fitted, and never are.

PIDNet left them: the time an element of a wide window takes in integers is fitted to it; EasyOCR's reader and
EfficientViT-B2 too: the start of a recurrent step and the time of a division are theirs. On Rockchip's chips the Lite
Transformer, MobileSAM's decoder, CLIP, wav2vec 2.0 and PP-LiteSeg (RK3588) set by hand what no fitted network has.
"""


@dataclass(frozen=True, slots=True)
class EdgeFit:
    """Rows of a file that stand for a device, and where its free constants start.

    A constant is ``launch`` or ``request`` (seconds), or ``family+family:constant``. ``also`` are further devices that
    share the constants.
    """

    file: str
    free: Mapping[str, float]
    chip: str = ""
    stack: str = ""
    also: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Suite:
    """Networks lowered once: distinct rows of Work, how often each network runs each, and how often it is started."""

    works: tuple[Work, ...]
    count: Floats
    starts: Floats


def held_out(plan: Plan) -> bool:
    """Whether no constant may be fitted to that workload."""
    return zlib.crc32(plan.workload.encode()) % 5 == 0


def added_later(plan: Plan) -> bool:
    """Whether that workload came after the constants, so that none is fitted to it whatever its name."""
    return plan.workload in LATER


def measured(fit: EdgeFit, spec: DeviceSpec) -> dict[Plan, float]:
    """Seconds of the networks that ran whole on the device, the median over the runtimes of the stack."""
    stack = spec.stack(fit.stack) if fit.stack else spec.default_software
    found: dict[Plan, list[float]] = {}
    file = read_measured(TRUTH / "edge" / fit.file)
    for row in file.rows if file else ():
        chip = row.text("device")
        if chip not in ((fit.chip,) if fit.chip else spec.aliases) or not row.figures or not _whole(row):
            continue
        if (spec.stack_listing(row.text("timing")) or stack) is not stack:
            continue
        try:
            plan = network_plan(row)
        except HwsimError:
            continue
        found.setdefault(plan, []).append(next(iter(row.figures.values())))
    return {plan: statistics.median(values) for plan, values in found.items()}


def _whole(row: Row) -> bool:
    elsewhere = [row.text(name) for name in ("layers_cpu", "layers_gpu")]
    return row.text("unit").startswith(("NPU", "ANE")) and all(text in ("", "0", "0.0") for text in elsewhere)


def _suits(plan: Plan, spec: DeviceSpec, stack: SoftwareSpec) -> bool:
    """Whether the network runs on that stack by the size of its weights."""
    try:
        return spec.stack_for(plan.graph().weight_bytes) is stack
    except HwsimError:
        return False


@cache
def lowered_rows(plan: Plan, passes: tuple[str, ...]) -> tuple[Mapping[Work, int], int] | None:
    try:
        graph = plan.graph()
        low = lower(apply_passes(graph, passes))
    except HwsimError:
        return None
    mine: dict[Work, int] = {}
    for work, number in zip(low.works, low.count().tolist(), strict=True):
        mine[work] = mine.get(work, 0) + number
    return MappingProxyType(mine), sum(phase.repeat for phase in graph.phases)


def suite_of(plans: Sequence[Plan], passes: Sequence[str]) -> Suite:
    """The rows of all networks, (networks, rows) counts."""
    place: dict[Work, int] = {}
    found = [lowered_rows(plan, tuple(passes)) for plan in plans]
    for each in found:
        for work in each[0] if each else ():
            place.setdefault(work, len(place))
    matrix = np.zeros((len(plans), len(place)))
    for index, each in enumerate(found):
        for work, number in each[0].items() if each else ():
            matrix[index, place[work]] = number
    return Suite(tuple(place), matrix, np.array([each[1] if each else np.nan for each in found], float))


def times_s(spec: DeviceSpec, suite: Suite, constants: Mapping[str, float], stack_name: str = "") -> Floats:
    """Seconds of each network, operators one after the other; infinite where the device lacks a format."""
    stack = spec.stack(stack_name) if stack_name else spec.default_software
    kernels = {name: dict(values) for name, values in stack.kernels.items()}
    for name, value in constants.items():
        families, _, constant = name.partition(":")
        for family in families.split("+") if constant else ():
            kernels.setdefault(family, {})[constant] = value
    launch, request = constants.get("launch", stack.launch_s), constants.get("request", stack.request_s)
    stack = replace(stack, kernels=MappingProxyType(kernels), launch_s=launch, request_s=request)
    kind = KINDS[spec.kind]
    params = kind.params(spec, stack)
    times = np.zeros(len(suite.works))
    for form, table in tables_of(suite.works).items():
        if form is not Form.COLLECTIVE:
            able = kind.supports(table, params)
            cost = np.where(able, kind.price_form(table, params).time_s[0], np.inf)
            times[table.index] = cost
    busy = np.where(np.isfinite(times), times, 1e3)
    total: Floats = suite.count @ busy + request * suite.starts
    return total


def descended(cost: Callable[[Floats], float], start: Floats) -> Floats:
    """The lowest point found by steps along one axis after another, which grow where they help and shrink where not."""
    best, lowest, steps = start.copy(), cost(start), np.full(len(start), 0.35)
    for axis in list(range(len(start))) * _SWEEPS:
        for sign in (1.0, -1.0):
            tried = best.copy()
            tried[axis] += sign * steps[axis]
            value = cost(tried)
            if value < lowest - 1e-6:
                best, lowest = tried, value
                steps[axis] *= 1.25
                break
        else:
            steps[axis] *= 0.55
    return best


def run(name: str, fit: EdgeFit) -> None:
    """Fit a chip and print its constants and errors."""
    spec = load_device(name.partition(":")[0])
    stack = spec.stack(fit.stack) if fit.stack else spec.default_software
    found = measured(fit, spec)
    if spec.default_software.beyond:
        found = {plan: time for plan, time in found.items() if _suits(plan, spec, stack)}
    groups = [(spec, found), *((other, measured(fit, other)) for other in map(load_device, fit.also))]
    plans = [plan for _, each in groups for plan in each]
    seconds = np.array([time for _, each in groups for time in each.values()])
    suites = [(each, suite_of(list(times), stack.passes)) for each, times in groups]
    able = np.isfinite(np.concatenate([suite.starts for _, suite in suites]))
    test, later = (np.array([chosen(plan) for plan in plans]) for chosen in (held_out, added_later))
    names = list(fit.free)

    def predicted(logs: Floats) -> Floats:
        constants = dict(zip(names, np.exp(logs).tolist(), strict=True))
        return np.concatenate([times_s(each, suite, constants, fit.stack) for each, suite in suites])

    start = np.log(np.array(list(fit.free.values())))
    chosen = able & ~test & ~later
    kinds = [plan.workload for plan in plans]
    weight = np.array([1.0 / math.sqrt(kinds.count(kind)) for kind in kinds])[chosen]

    def cost(logs: Floats) -> float:
        """Mean log error, a network in many formats counting less; one far out (broken graphs) counts little more."""
        gap = np.abs(np.log(predicted(logs)[chosen] / seconds[chosen]))
        pulled = _PULL * float(np.abs(logs - start).mean()) if names else 0.0
        return float(np.average(np.minimum(gap, 1.0 + 0.1 * gap), weights=weight)) + pulled

    best = descended(cost, start)
    times = predicted(best)
    for key, value in zip(names, np.exp(best), strict=True):
        sys.stdout.write(f"    {key}: {value:.4g}\n")
    order = np.argsort(times / seconds)
    for index in order[able[order]] if "-v" in sys.argv else ():
        plan, mark = plans[index], "later" if later[index] else "held out" if test[index] else ""
        options = " ".join(str(value) for key, value in plan.parameters if key not in ("batch", "classes"))
        line = f"{plan.workload:24} {options:18} {seconds[index] * 1e3:9.3f} {times[index] * 1e3:9.3f} ms"
        sys.stdout.write(f"    {line} {100 * (times[index] / seconds[index] - 1):+6.1f} % {mark}\n")
    for label, chosen in (("fitted", able & ~test & ~later), ("held out", able & test & ~later), ("later", later)):
        if chosen.any():
            mean, median, p90 = errors(times[chosen], seconds[chosen])
            bias = float(np.exp(np.log(times[chosen] / seconds[chosen]).mean()) - 1) * 100
            rank = float(np.corrcoef(*(np.argsort(np.argsort(x[chosen])) for x in (times, seconds)))[0, 1])
            networks = len({plans[index].workload for index in np.flatnonzero(chosen)})
            sys.stdout.write(
                f"{name} {label:9} n {chosen.sum()} networks {networks} "
                f"mean {mean:.1f} % median {median:.1f} % p90 {p90:.1f} % bias {bias:+.1f} % rank {rank:.3f}\n"
            )


_INTEGERS = ("int8", "int16")


def _of(kernel: str, constant: str) -> str:
    """A constant of a kernel on quantized activations."""
    return "+".join(f"{kernel}.{name}" for name in _INTEGERS) + f":{constant}"


_HEXAGON = {
    "linear.fp16:launch": 10e-6,
    _of("linear", "launch"): 10e-6,
    "launch": 0.5e-6,
    "gemm:overlap": 3.0,
    "gemm:epilogue": 0.25,
    "gemm.fp16:compute": 0.8,
    "gemm.int16:compute": 0.6,
    "conv2d.int16:compute": 0.8,
    "gemm.int8:compute": 0.9,
    "gemm.fp16:layout": 0.008,
    "gemm.int16:layout": 0.01,
    "gemm.int8:layout": 0.015,
    "gemm.fp16+gemm.int16:vector_launch": 1e-6,
    "gemm.int8:vector_launch": 0.3e-6,
    "image_norm.fp16+image_norm.int16:compute": 0.002,
    "image_norm.int8:compute": 0.0012,
    "linear:row_launch": 0.5e-6,
    "recurrent:launch": 3e-6,
    "div:element": 4e-9,
    f"{ALL}:keep": 0.7,
    "layernorm.fp16:launch": 16e-6,
    _of("layernorm", "launch"): 10e-6,
    "global_average.fp16:launch": 6e-6,
    "global_average.int16:launch": 4e-6,
    "global_average.int8:launch": 6e-6,
    "global_average.fp16+global_average.int16:compute": 0.01,
    "global_average.int8:compute": 0.015,
    "pooling.int8:launch": 0.6e-6,
    _of("map", "compute"): 0.07,
    _of("upsample", "compute"): 0.1,
    "elementwise.int8:compute": 0.015,
    "softmax.fp16:compute": 0.035,
    "attention.fp16:softmax": 0.07,
    _of("softmax", "compute"): 0.1,
    "transpose:feed": 0.09,
    "transpose:memory": 0.04,
    _of("concat", "feed"): 0.3,
    "padded_average.int8:element": 8e-9,
}
_SIBLING = {
    "gemm.fp16:compute": 0.8,
    "gemm.int16:compute": 0.6,
    "conv2d.int16:compute": 0.8,
    "gemm.int8:compute": 0.9,
    "gemm.fp16:layout": 0.008,
    "gemm.int16:layout": 0.0092,
    "gemm.int8:layout": 0.014,
    "gemm.fp16+gemm.int16:vector_launch": 5e-6,
    "gemm.int8:vector_launch": 0.4e-6,
    "recurrent:launch": 5e-6,
    "div:element": 6e-9,
}
_PREPARED = {
    "request": 20e-6,
    "launch": 0.5e-6,
    "gemm.int8:compute": 1.0,
    "gemm.int8:layout": 0.0123,
    "gemm.int8:vector_launch": 2.3e-6,
}
_HUB = "qualcomm_aihub.csv"
_ROCKCHIP = {
    "launch": 3e-6,
    "gemm:compute": 0.8,
    "gemm:memory": 0.6,
    "gemm:vector": 1.0,
    "gemm:epilogue": 0.24,
    "map+reduce+move:launch": 40e-6,
    "map+reduce+move:memory": 0.3,
    "softmax:compute": 0.05,
}
_SMALLER = {
    "gemm:compute": 0.8,
    "gemm:memory": 0.6,
    "gemm:epilogue": 0.24,
    "map+reduce+move:launch": 40e-6,
    "map+reduce+move:memory": 0.3,
    "softmax:compute": 0.05,
}
_OLDER = {name: value for name, value in _SMALLER.items() if name != "softmax:compute"} | {"matmul.int8:compute": 1e-3}
FITS: Mapping[str, EdgeFit] = {
    "hexagon_v75": EdgeFit(_HUB, _HEXAGON),
    "hexagon_v75:snpe": EdgeFit("mlperf_mobile.csv", _PREPARED, stack="snpe", also=("hexagon_v79",)),
    **{
        name: EdgeFit(_HUB, _SIBLING)
        for name in (
            *("hexagon_v79", "hexagon_v73", "hexagon_v69", "hexagon_x_elite", "qcs9075_npu"),
            *("sa8295p_npu", "qcs6490_npu", "qcm6690_npu"),
        )
    },
    "rk3588_npu_core": EdgeFit("rockchip_rknn.csv", _ROCKCHIP, stack="rknn"),
    **{name: EdgeFit("rockchip_rknn.csv", _SMALLER, stack="rknn") for name in ("rk3566_npu", "rk3562_npu")},
    **{name: EdgeFit("rockchip_rknn.csv", _OLDER, stack="rknn") for name in ("rv1126_npu", "rv1109_npu", "rk1808_npu")},
}
"""What is fitted, by device, or by device:stack."""

if __name__ == "__main__":
    for chip in [name for name in sys.argv[1:] if not name.startswith("-")] or FITS:
        run(chip, FITS[chip])
