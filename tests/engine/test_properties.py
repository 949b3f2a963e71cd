"""What holds for every run. That a faster or larger system cannot lengthen one is false, and not asserted."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from hwsim.engine import BufferTable, Csr, DevicePlan, LinkPlan, MemoryPlan, Plan, Run, TransferTable, run
from hwsim.errors import OutOfMemoryError

B_PER_PS = 1e12


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    """Return up to 12 tasks on up to 3 devices that share a memory, with transfers, buffers and a collective."""
    tasks = draw(st.integers(1, 12))
    units = draw(st.integers(1, 3))

    def column(low: int, high: int) -> list[int]:
        return draw(st.lists(st.integers(low, high), min_size=tasks, max_size=tasks))

    device, duration = column(0, units - 1), column(0, 60)
    edges = [(i, j) for j in range(tasks) for i in draw(st.lists(st.integers(0, j), max_size=3, unique=True)) if i < j]
    crossing = [(i, j) for i, j in edges if device[i] != device[j] and draw(st.booleans())]
    local = [edge for edge in edges if edge not in crossing]
    link = LinkPlan(
        name="bus",
        latency_ps=draw(st.integers(0, 5)),
        bandwidth_bytes_per_s=B_PER_PS,
        discipline=draw(st.sampled_from(["fair", "fifo"])),
    )
    readers: list[list[int]] = [[] for _ in range(tasks)]
    for i, j in local:
        readers[i].append(j)
    for number, (i, _) in enumerate(crossing):
        readers[i].append(tasks + number)
    collective = draw(st.booleans()) and units > 1
    sizes = column(0, 40)
    return Plan(
        names=[f"t{index}" for index in range(tasks)],
        device=np.array(device),
        duration_ps=np.array(duration),
        overhead_ps=np.array([time * draw(st.integers(0, 4)) // 4 for time in duration]),
        dram_bytes=np.array(column(0, 400), dtype=np.float64),
        priority=np.array(column(0, 3)),
        successors=Csr.from_pairs(tasks, [i for i, _ in local], [j for _, j in local]),
        devices=tuple(DevicePlan(name=f"d{u}", queues=draw(st.integers(1, 2)), memory=0) for u in range(units)),
        memories=(MemoryPlan(name="dram", bandwidth_bytes_per_s=8 * B_PER_PS, shared=True),),
        links=(link,),
        transfers=TransferTable.from_rows([(i, 0, float(sizes[i]), [j]) for i, j in crossing]),
        buffers=BufferTable.from_rows(
            [(f"x{index}", sizes[index], 0, index, readers[index]) for index in range(tasks)]
        ),
        participants=Csr.from_rows(
            [list(range(units)) if collective and t == tasks // 2 else [] for t in range(tasks)]
        ),
    )


def transfer_alone_ps(plan: Plan) -> list[int]:
    return [plan.links[0].latency_ps + math.ceil(size) for size in plan.transfers.size_bytes.tolist()]


def critical_path_ps(plan: Plan) -> int:
    """Return the longest chain of times alone; edges go from lower to higher indices."""
    ready = [0] * len(plan)
    ends = [0] * len(plan)
    arriving = list(zip(plan.transfers.producer.tolist(), transfer_alone_ps(plan), strict=True))
    for task, time in enumerate(plan.duration_ps.tolist()):
        ends[task] = ready[task] + time
        for after in plan.successors.row(task):
            ready[after] = max(ready[after], ends[task])
        for number, (producer, alone) in enumerate(arriving):
            if producer == task:
                for after in plan.transfers.consumers.row(number):
                    ready[after] = max(ready[after], ends[task] + alone)
    return max(ends)


def holders(plan: Plan) -> list[list[int]]:
    """Return the tasks that hold each device."""
    assert plan.participants is not None
    held: list[list[int]] = [[] for _ in plan.devices]
    for task, device in enumerate(plan.device.tolist()):
        for unit in plan.participants.row(task) or [device]:
            held[unit].append(task)
    return held


@given(plans())
def test_a_run_lasts_at_least_its_critical_path_and_its_busiest_device(plan: Plan) -> None:
    makespan = run(plan).makespan_ps
    assert makespan >= critical_path_ps(plan)
    for device, tasks in zip(plan.devices, holders(plan), strict=True):
        assert makespan * device.queues >= sum(plan.duration_ps[tasks].tolist())


@given(plans())
def test_a_run_lasts_at_most_the_sum_of_everything(plan: Plan) -> None:
    """Shared flows end within the picosecond they are rounded to, so each activity may add one."""
    total = sum(plan.duration_ps.tolist()) + sum(transfer_alone_ps(plan))
    assert run(plan).makespan_ps <= total + len(plan) + len(plan.transfers)


@given(plans())
def test_every_task_takes_its_time_alone_or_longer(plan: Plan) -> None:
    outcome = run(plan)
    assert ((outcome.end_ps - outcome.start_ps) >= plan.duration_ps).all()
    alone = np.array(transfer_alone_ps(plan), dtype=np.int64)
    assert ((outcome.transfer_end_ps - outcome.transfer_start_ps) >= alone).all()


@given(plans())
def test_a_device_never_runs_more_tasks_than_it_has_queues(plan: Plan) -> None:
    outcome = run(plan)
    for device, tasks in zip(plan.devices, holders(plan), strict=True):
        spans = [(int(outcome.start_ps[t]), int(outcome.end_ps[t])) for t in tasks]
        for moment, _ in spans:
            assert sum(start <= moment < end for start, end in spans) <= device.queues


@given(plans())
def test_producers_end_before_consumers_start(plan: Plan) -> None:
    outcome = run(plan)
    for task in range(len(plan)):
        assert all(outcome.end_ps[task] <= outcome.start_ps[after] for after in plan.successors.row(task))
    for number, producer in enumerate(plan.transfers.producer.tolist()):
        assert outcome.transfer_start_ps[number] == outcome.end_ps[producer]
        consumers = plan.transfers.consumers.row(number)
        assert all(outcome.transfer_end_ps[number] <= outcome.start_ps[after] for after in consumers)


@given(plans(), st.integers(40, 300), st.booleans())
@settings(max_examples=200)
def test_memory_never_exceeds_its_capacity(plan: Plan, capacity: int, spill: bool) -> None:
    memory = MemoryPlan(
        name="dram",
        capacity_bytes=capacity,
        bandwidth_bytes_per_s=8 * B_PER_PS,
        shared=True,
        allow_spill=spill,
        spill_to=0,
    )
    try:
        outcome = run(replaced(plan, memories=(memory,)))
    except OutOfMemoryError:
        assert spill or run(plan).memory_peak_bytes[0] > capacity
        return
    assert outcome.memory_peak_bytes[0] <= capacity
    assert outcome.memory_samples[0].used_bytes.min() >= 0
    assert bool(outcome.spills) == (run(plan).memory_peak_bytes[0] > capacity)


def replaced(plan: Plan, **changes: object) -> Plan:
    columns = {name: getattr(plan, name) for name in Plan.__slots__}
    build: Callable[..., Plan] = Plan
    return build(**(columns | changes))


def everything(outcome: Run) -> list[bytes]:
    arrays = [outcome.start_ps, outcome.end_ps, outcome.transfer_start_ps, outcome.transfer_end_ps]
    arrays += [column for samples in outcome.memory_samples for column in (samples.time_ps, samples.used_bytes)]
    return [array.tobytes() for array in arrays]


@given(plans())
@settings(max_examples=30)
def test_two_runs_of_a_plan_are_equal(plan: Plan) -> None:
    assert everything(run(plan)) == everything(run(plan))
