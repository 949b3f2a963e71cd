"""Times the replay of large plans, beside bare SimPy on the same number of events.

    python benchmarks/bench_engine.py [--tasks 100000] [--large 1000000]

Every plan is a layered graph on four units (three where they share): each task follows the task before it on its unit
and, one time in two, the one before it in the list. Each figure is the best of two runs, garbage of the first included.
"""

from __future__ import annotations

import argparse
import time
import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from simpy.core import Environment
from simpy.events import Event, Timeout

from hwsim.engine import BufferTable, Csr, DevicePlan, MemoryPlan, Plan, Run, run


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """What a plan asks of the engine: memory tracking, units that share a memory, and how much they draw together."""

    name: str
    units: int = 4
    tracked: bool = False
    load: float = 0.0

    def plan(self, tasks: int) -> Plan:
        """Return a plan of that many tasks."""
        random = np.random.default_rng(0)
        joined = np.flatnonzero(random.random(tasks - 1) < 0.5)
        source = np.concatenate([np.arange(tasks - self.units), joined])
        target = np.concatenate([np.arange(self.units, tasks), joined + 1])
        successors = Csr.from_pairs(tasks, source, target)
        duration = random.integers(1_000, 100_000, tasks) * 1_000
        memory = MemoryPlan(name="dram", bandwidth_bytes_per_s=60e9, shared=self.load > 0)
        buffers = BufferTable(
            names=[f"x{task}" for task in range(tasks)],
            size_bytes=random.integers(1, 1_000_000, tasks),
            memory=np.zeros(tasks, dtype=np.int64),
            producer=np.arange(tasks),
            consumers=successors,
        )
        return Plan(
            names=[f"op{task}" for task in range(tasks)],
            device=np.arange(tasks) % self.units,
            duration_ps=duration,
            overhead_ps=duration // 10,
            dram_bytes=duration * 1e-12 * random.uniform(0.5, 1.5, tasks) * 60e9 * self.load / self.units,
            successors=successors,
            devices=tuple(DevicePlan(name=f"unit{unit}", memory=0) for unit in range(self.units)),
            memories=(memory,),
            buffers=buffers if self.tracked else BufferTable.from_rows(()),
        )


CASES = (
    Case(name="plain"),
    Case(name="memory tracked", tracked=True),
    Case(name="tracked, 2 units share, 60 % load", units=2, tracked=True, load=0.6),
    Case(name="tracked, 3 units share, 90 % load", units=3, tracked=True, load=0.9),
    Case(name="tracked, 3 units share, 130 % load", units=3, tracked=True, load=1.3),
)


def bare_simpy(events: int, chains: int = 4) -> None:
    """Let SimPy process events that do nothing but schedule the next one of their chain."""
    clock = Environment()
    left = [events // chains] * chains

    def fire(event: Event) -> None:
        chain = event.value
        left[chain] -= 1
        if left[chain] > 0:
            Timeout(clock, 1000 + chain, chain).callbacks.append(fire)

    for chain in range(chains):
        Timeout(clock, 1000 + chain, chain).callbacks.append(fire)
    clock.run()


def best_of_two(action: Callable[[], object]) -> float:
    """Return the processor time of the faster of two calls, in seconds."""
    times: list[float] = []
    for _ in range(2):
        start = time.process_time()
        action()
        times.append(time.process_time() - start)
    return min(times)


def peak_bytes(plan: Plan) -> int:
    """Return the most memory that Python and NumPy held for a replay at once, beyond the plan."""
    tracemalloc.start()
    run(plan)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


def report(name: str, plan: Plan) -> None:
    """Print time, microseconds per operator and events per second, and what bare SimPy takes for as many events."""
    outcomes: list[Run] = []
    took_s = best_of_two(lambda: outcomes.append(run(plan)))
    events = outcomes[0].events
    bare_s = best_of_two(lambda: bare_simpy(events))
    print(
        f"{name:40s} {took_s:6.2f} s  {took_s / len(plan) * 1e6:5.2f} us/op  {events:8d} events  "
        f"{events / took_s:8.0f}/s  bare SimPy {bare_s:5.2f} s  {events / bare_s:9.0f}/s  ratio {took_s / bare_s:4.1f}"
    )


def main() -> None:
    """Run every case on the small plan, and the plain one on the large."""
    parser = argparse.ArgumentParser(description="Replay large plans beside bare SimPy.")
    parser.add_argument("--tasks", type=int, default=100_000)
    parser.add_argument("--large", type=int, default=1_000_000)
    sizes = parser.parse_args()
    for case in CASES:
        report(f"{sizes.tasks} {case.name}", case.plan(sizes.tasks))
    print(f"memory of the plain replay: {peak_bytes(CASES[0].plan(sizes.tasks)) / 1e6:.0f} MB")
    for case in CASES[:2]:
        report(f"{sizes.large} {case.name}", case.plan(sizes.large))


if __name__ == "__main__":
    main()
