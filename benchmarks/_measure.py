"""What the benchmarks share: time of one core, and fresh interpreters."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path


def core_seconds(action: Callable[[], object], runs: int = 3) -> float:
    """Least time of one core over some runs; time in which other programs had the core does not count."""
    found = []
    for _ in range(runs):
        begun = time.process_time()
        action()
        found.append(time.process_time() - begun)
    return min(found)


def wall_seconds(arguments: Sequence[str], runs: int = 5) -> float:
    """Least time on the wall of a fresh interpreter with those arguments."""
    found = []
    for _ in range(runs):
        begun = time.perf_counter()
        subprocess.run([sys.executable, *arguments], check=True, capture_output=True)
        found.append(time.perf_counter() - begun)
    return min(found)


def resident_mb() -> float:
    """Megabytes of memory this process holds now; 0 where the system does not tell."""
    try:
        return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * 4096 / 1e6
    except OSError:
        return 0.0
