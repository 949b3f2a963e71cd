"""What a GPU's power meter shows of kernels that a benchmark repeats: it still remembers what ran before.

NVML's power reading is the mean of the last second on Ampere and later (``nvmlDeviceGetPowerUsage``), and the collector
of aiconfigurator, whose rows these are, averages readings taken every 0.1 s from the start of a run on. A run lasts
about a second, or 3,000 repeats if that is less, so half of what is shown, and more for short kernels, is older than
the run: another kernel of the same sweep, and the pause in which this one was set up. (GA100 and earlier chips show the
moment instead; no such rows are known.)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hwsim.cost.power import average_power_w
from hwsim.graph.work import Attention, Gemm, Work
from hwsim.specs.device import DeviceSpec
from hwsim.specs.software import SoftwareSpec
from hwsim.validation.sustained import sustained

__all__ = ["Before", "metered", "older_w", "ran_before", "run_s", "shown_w"]

Floats = NDArray[np.float64]

_AVERAGED_S, _SAMPLED_S = 1.0, 0.1
_MOST_REPEATS, _LEAST_REPEATS = 3000, 6
_LAYERS = 6
"""Products with weights of their own that one repeat runs."""
_LENGTHS: tuple[int, ...] = (
    32,
    64,
    128,
    256,
    512,
    768,
    1024,
    1536,
    2048,
    2560,
    3072,
    3584,
    4096,
    5120,
    6144,
    7168,
    8192,
)
_LENGTHS += (10240, 12288, 16384, 51200, 65536)
"""Widths of products, and lengths of their sums, that the collector sweeps: both from the largest to the smallest."""
_BETWEEN = 0.5
"""Share of the active floor drawn while a run is set up (B200: 320 W). Fitted, with the four times below, to seven in
ten of B200's rows (by CRC-32)."""
_SET_UP_PRODUCT_S, _SET_UP_PREFILL_S = 0.02, 0.05
_SET_UP_DECODE_S, _FILL_S_PER_TOKEN = 0.6, 0.56e-6
"""Caches are filled with random keys and values before a run."""


@dataclass(frozen=True, slots=True)
class Before:
    """The kernel that ran before, and how long the device waited between the two runs."""

    work: Work
    pause_s: float


def ran_before(work: Work) -> Before:
    """What the sweep ran before a kernel: the next longer sum; before attention, some much like it.

    The longest sum follows the shortest of the next wider product.
    """
    if isinstance(work, Gemm):
        longer, wider = ([size for size in _LENGTHS if size > own] for own in (work.k, work.n))
        n, k = (work.n, longer[0]) if longer else ((wider or _LENGTHS)[0], _LENGTHS[0])
        a_elements, b_elements = work.a_elements * k // work.k, work.b_elements * n * k // (work.n * work.k)
        sizes = replace(work, n=n, k=k, a_elements=a_elements, b_elements=b_elements)
        return Before(sizes, _SET_UP_PRODUCT_S)
    if isinstance(work, Attention) and work.seq_q == 1:
        return Before(work, _SET_UP_DECODE_S + _FILL_S_PER_TOKEN * work.batch * work.seq_kv)
    return Before(work, _SET_UP_PREFILL_S)


def run_s(work: Work, time_s: ArrayLike) -> Floats:
    """Seconds for which a kernel is repeated: enough repeats for one, but 3,000 at most and 6 at least."""
    repeat = np.asarray(time_s, dtype=np.float64) * (_LAYERS if isinstance(work, Gemm) else 1)
    return np.asarray(repeat * np.clip(np.floor(1.0 / repeat) + 1.0, _LEAST_REPEATS, _MOST_REPEATS))


def older_w(before_w: float, before_s: float, pause_s: float, between_w: float) -> float:
    """Mean power of the second before a run, in which runs of another kernel and pauses alternate.

    Args:
        before_w: power of the runs before.
        before_s: how long one lasted.
        pause_s: between two runs.
        between_w: power in a pause.

    >>> [older_w(900.0, 1.0, pause_s, 300.0) for pause_s in (0.0, 0.5, 2.0)]
    [900.0, 600.0, 300.0]
    """
    pause = min(pause_s, _AVERAGED_S)
    paused = pause if before_s + pause > _AVERAGED_S else pause / (before_s + pause)
    return (1.0 - paused) * before_w + paused * between_w


def shown_w(power_w: float, ran_s: float, older: float) -> float:
    """Mean of the readings during a run of constant power that lasts ``ran_s``, after a second of power ``older``.

    >>> [round(shown_w(900.0, ran_s, 500.0)) for ran_s in (0.25, 1.0)]
    [540, 700]
    """
    readings_s = np.arange(np.floor(ran_s / _SAMPLED_S + 1e-9) + 1.0) * _SAMPLED_S
    newer = float(np.mean(np.minimum(1.0, readings_s / _AVERAGED_S)))
    return newer * power_w + (1.0 - newer) * older


def metered(spec: DeviceSpec, stack: SoftwareSpec, works: Sequence[Work]) -> tuple[Floats, Floats]:
    """Seconds of kernels at the power cap, and the watts that the meter shows of them; shape (works,)."""
    befores = [ran_before(work) for work in works]
    rows = [*works, *(each.work for each in befores)]
    times, energies = sustained(spec, stack, rows, [True] * len(rows))
    power = average_power_w(energies, times, spec.power.idle_w)
    between_w = spec.power.idle_w + _BETWEEN * spec.power.active_w
    count = len(works)
    shown = []
    for i, (work, each) in enumerate(zip(works, befores, strict=True)):
        before_s = float(run_s(each.work, times[count + i]))
        older = older_w(power[count + i], before_s, each.pause_s, between_w)
        shown.append(shown_w(power[i], float(run_s(work, times[i])), older))
    return times[:count], np.array(shown)
