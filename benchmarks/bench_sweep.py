"""Times the sweep of 10,000 NPUs on three networks, beside the same designs made and estimated one at a time.

python benchmarks/bench_sweep.py
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from _measure import core_seconds

import hwsim
from hwsim.explore.sweep import designs_of, sweep
from hwsim.loading.sweep import load_sweep

SWEEP = Path(__file__).resolve().parents[1] / "sweeps" / "npu_array.yaml"
SAMPLE = 20
TARGET_S = 60.0


def main() -> None:
    """Print the time of the sweep, and what one estimate of each design and network would take."""
    spec = load_sweep(SWEEP)
    together = core_seconds(lambda: sweep(spec), runs=2)
    (base,) = spec.base.devices.values()
    chips = [device for _, device in designs_of(base, spec.vary)]
    graphs = [hwsim.workload(use.name, **use.params) for use in spec.workloads]
    chosen = [chips[i] for i in np.linspace(0, len(chips) - 1, SAMPLE).astype(int).tolist()]
    alone = core_seconds(lambda: [hwsim.estimate(graph, chip).time_s for chip in chosen for graph in graphs], runs=2)
    one_by_one = alone / SAMPLE * len(chips)
    print(f"{spec.designs} designs x {len(graphs)} networks: {together:.2f} s (target {TARGET_S:.0f} s)")
    print(f"one at a time: {one_by_one:.0f} s, {one_by_one / together:.0f} times as long (from {SAMPLE} designs)")


if __name__ == "__main__":
    main()
