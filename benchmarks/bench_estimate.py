"""Times `hwsim estimate resnet50 -d h100_sxm` from the shell, beside an interpreter that imports NumPy.

python benchmarks/bench_estimate.py
"""

from __future__ import annotations

from _measure import core_seconds, wall_seconds

import hwsim

TARGET_S = 1.0


def main() -> None:
    """Print the times of the command and of its last part, building and pricing the graph."""
    command = wall_seconds(["-m", "hwsim", "estimate", "resnet50", "-d", "h100_sxm"])
    numpy = wall_seconds(["-c", "import numpy"])
    device = hwsim.load_device("h100_sxm")
    inside = core_seconds(lambda: hwsim.estimate(hwsim.workload("resnet50"), device).time_s)
    print(f"python -c 'import numpy'          {numpy * 1e3:6.0f} ms")
    ratio = f"{command / numpy:.1f} times that"
    print(f"hwsim estimate resnet50 h100_sxm  {command * 1e3:6.0f} ms, {ratio} (target {TARGET_S * 1e3:.0f} ms)")
    print(f"of which graph and prices         {inside * 1e3:6.0f} ms")


if __name__ == "__main__":
    main()
