"""Times a large graph from operators to a result: lowered, wired, priced, placed and replayed with memory tracked.

    python benchmarks/bench_replay.py [--operators 100000] [--large 1000000]

Twice: a network that repeats one block, so that four rows of Work are priced, and a chain of layers of random widths,
so that about half of all operators are priced. Bare SimPy on as many events is the yardstick. Time is that of one core.
"""

from __future__ import annotations

import argparse
import itertools
import time
from collections.abc import Callable

import numpy as np
from _measure import core_seconds, resident_mb
from simpy.core import Environment
from simpy.events import Event, Timeout

import hwsim
from hwsim.devices.pricing import price_graph
from hwsim.engine.machine import machine_of
from hwsim.engine.phases import replay_phases
from hwsim.graph.graph import Graph, GraphBuilder
from hwsim.graph.lowering import lower
from hwsim.graph.topology import topology
from hwsim.operators.add import Add
from hwsim.operators.gelu import Gelu
from hwsim.operators.linear import Linear
from hwsim.specs.system import single


def repeated(operators: int) -> Graph:
    """Blocks of a linear layer, GELU, a linear layer and a sum, all alike."""
    b = GraphBuilder("repeated")
    x = b.input("x", (16, 64))
    for block in range(operators // 4):
        with b.scope(f"block{block}"):
            y = b.add(Gelu(), b.add(Linear(), x, b.weight("up", (128, 64))))
            x = b.add(Add(), x, b.add(Linear(), y, b.weight("down", (64, 128))))
    return b.build([x], dtype="bf16")


def distinct(operators: int) -> Graph:
    """A chain of linear layers of random widths, each followed by GELU."""
    b = GraphBuilder("distinct")
    widths = np.random.default_rng(0).integers(64, 512, operators // 2 + 1).tolist()
    x = b.input("x", (16, widths[0]))
    for layer, (k, n) in enumerate(itertools.pairwise(widths)):
        x = b.add(Gelu(), b.add(Linear(), x, b.weight(f"w{layer}", (n, k))))
    return b.build([x], dtype="bf16")


def bare_simpy(events: int) -> None:
    """One chain of events that do nothing but schedule the next."""
    clock = Environment()
    left = events

    def fire(_: Event) -> None:
        nonlocal left
        left -= 1
        if left:
            Timeout(clock, 1000).callbacks.append(fire)

    Timeout(clock, 1000).callbacks.append(fire)
    clock.run()


def report(graph: Graph, target_s: float) -> None:
    """Print the seconds of every stage, their sum against the target and SimPy, and the memory they added."""
    device = hwsim.load_device("h100_sxm")
    before = resident_mb()
    marks = [("", time.process_time())]

    def mark(stage: str) -> None:
        marks.append((stage, time.process_time()))

    lowered = lower(graph)
    mark("lower")
    wiring = topology(lowered)
    mark("wire")
    costs = price_graph(lowered, device, device.default_software, capped=True)
    mark("price")
    system = single(device)
    records = replay_phases(graph, wiring, [costs], machine_of(system), system, policy="auto", options={})
    mark("replay")
    count = len(graph.nodes)
    total = marks[-1][1] - marks[0][1]
    bare = core_seconds(lambda: bare_simpy(count), runs=2)
    stages = ", ".join(f"{name} {end - begin:.2f}" for (_, begin), (name, end) in itertools.pairwise(marks))
    print(
        f"{graph.name}: {count} operators, {len(lowered.works)} rows: {total:.2f} s (target {target_s:.0f} s): {stages}"
    )
    ratio = f"{total / bare:.1f} times bare SimPy"
    print(f"  {total / count * 1e6:.1f} us an operator, {ratio}, {resident_mb() - before:.0f} MB beside the graph")
    assert len(records[0].start_ps) == count


def main() -> None:
    """Report both graphs, then the large one."""
    parser = argparse.ArgumentParser(description="Price and replay large graphs.")
    parser.add_argument("--operators", type=int, default=100_000)
    parser.add_argument("--large", type=int, default=1_000_000)
    sizes = parser.parse_args()
    cases: tuple[tuple[Callable[[int], Graph], int, float], ...] = (
        (repeated, sizes.operators, 1.0),
        (distinct, sizes.operators, 1.0),
        (repeated, sizes.large, 10.0),
    )
    print(f"interpreter and imports: {resident_mb():.0f} MB")
    for build, count, target_s in cases:
        begun = time.process_time()
        graph = build(count)
        print(f"graph of {count} operators built in {time.process_time() - begun:.1f} s")
        report(graph, target_s)


if __name__ == "__main__":
    main()
