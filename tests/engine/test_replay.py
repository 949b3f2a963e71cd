"""Timelines worked by hand, and Graham's anomalies."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from hwsim.engine import (
    BufferTable,
    Csr,
    DevicePlan,
    LinkPlan,
    MemoryPlan,
    Plan,
    Run,
    TransferTable,
    run,
)
from hwsim.errors import InputError

B_PER_PS = 1e12


def spans(outcome: Run) -> list[tuple[int, int]]:
    return list(zip(outcome.start_ps.tolist(), outcome.end_ps.tolist(), strict=True))


def plan_of(
    duration: Sequence[int],
    edges: Sequence[tuple[int, int]] = (),
    *,
    queues: int = 1,
    device: Sequence[int] | None = None,
) -> Plan:
    tasks = len(duration)
    units = device or [0] * tasks
    return Plan(
        names=[f"t{index + 1}" for index in range(tasks)],
        device=np.array(units, dtype=np.int64),
        duration_ps=np.array(duration, dtype=np.int64),
        successors=Csr.from_pairs(tasks, [a for a, _ in edges], [b for _, b in edges]),
        devices=tuple(DevicePlan(name=f"d{index}", queues=queues) for index in range(max(units, default=0) + 1)),
    )


def two_devices_one_link_and_a_shared_memory() -> Plan:
    """Return a (NPU), b (GPU), c (GPU, after b and a copy of a's output), d (NPU, after a)."""
    return Plan(
        names=["a", "b", "c", "d"],
        device=np.array([0, 1, 1, 0]),
        duration_ps=np.array([100, 50, 40, 60]),
        overhead_ps=np.array([20, 0, 0, 0]),
        dram_bytes=np.array([640.0, 300.0, 0.0, 120.0]),
        successors=Csr.from_rows([[3], [2], [], []]),
        devices=(DevicePlan(name="npu", memory=0), DevicePlan(name="gpu", memory=0)),
        memories=(MemoryPlan(name="dram", capacity_bytes=1300, bandwidth_bytes_per_s=10 * B_PER_PS, shared=True),),
        links=(LinkPlan(name="npu>gpu", source=0, target=1, latency_ps=5, bandwidth_bytes_per_s=2 * B_PER_PS),),
        transfers=TransferTable.from_rows([(0, 0, 60.0, [2])]),
        buffers=BufferTable.from_rows(
            [
                ("weights", 1000, 0, -1, [0]),
                ("a.out", 60, 0, 0, [4, 3]),
                ("a.copy", 60, 0, 4, [2]),
                ("b.out", 100, 0, 1, [2]),
                ("c.out", 20, 0, 2, []),
                ("d.out", 10, 0, 3, []),
            ]
        ),
    )


class TestTwoDevicesOneLinkAndASharedMemory:
    """The DRAM gives 10 B/ps, the link 2 B/ps after 5 ps.

    Time 0: a spends its overhead of 20 ps without traffic; b draws 300 B / 50 ps = 6 B/ps and runs at full rate.
    Time 20: a draws 640 B / 80 ps = 8 B/ps, and 8 + 6 > 10: 5 B/ps each. b has 30 ps left, at 5/6: 36 ps.
    Time 56: b ends. a did 36 x 5/8 = 22.5 of its 80 ps; the 57.5 ps left run at full rate.
    Time 113.5, rounded up to 114: a ends. d takes the NPU, 60 ps alone: 174. The copy takes 5 + 60 / 2 = 35 ps: 149.
    Time 149: c takes the GPU for 40 ps and moves no bytes: 189.
    Memory: 1000 + a.out 60 + b.out 100 = 1160 at 0; + a.copy 60 + d.out 10 = 1230 at 114; + c.out 20 = 1250 at 149;
    - a.out 60 = 1190 at 174, when d, its last reader, ends; - b.out 100 - a.copy 60 = 1030 at 189.
    """

    def test_tasks_run_when_worked_out_by_hand(self) -> None:
        outcome = run(two_devices_one_link_and_a_shared_memory())
        assert spans(outcome) == [(0, 114), (0, 56), (149, 189), (114, 174)]
        assert outcome.makespan_ps == 189

    def test_the_copy_takes_latency_and_bytes_over_bandwidth(self) -> None:
        outcome = run(two_devices_one_link_and_a_shared_memory())
        assert (outcome.transfer_start_ps.tolist(), outcome.transfer_end_ps.tolist()) == ([114], [149])
        assert outcome.link_bytes == (60.0,)

    def test_memory_follows_the_life_of_tensors(self) -> None:
        outcome = run(two_devices_one_link_and_a_shared_memory())
        (samples,) = outcome.memory_samples
        assert samples.time_ps.tolist() == [0, 114, 149, 174, 189]
        assert samples.used_bytes.tolist() == [1160, 1230, 1250, 1190, 1030]
        assert outcome.memory_peak_bytes.tolist() == [1250]

    def test_busy_time_is_the_time_held(self) -> None:
        assert run(two_devices_one_link_and_a_shared_memory()).device_busy_ps.tolist() == [174, 96]

    def test_without_recording_only_the_samples_are_missing(self) -> None:
        outcome = run(two_devices_one_link_and_a_shared_memory(), record=False)
        assert spans(outcome) == [(0, 114), (0, 56), (149, 189), (114, 174)]
        assert outcome.memory_peak_bytes.tolist() == [1250]
        assert len(outcome.memory_samples[0].time_ps) == 0


class TestGraham:
    """Graham, Bounds on multiprocessing timing anomalies, SIAM J. Appl. Math. 17(2), 1969, section 2: nine tasks.

    Each improvement of the same list schedule makes it longer: this is why no test asserts that it cannot.
    """

    duration = (3, 2, 2, 2, 4, 4, 4, 4, 9)
    edges = ((0, 8), (3, 4), (3, 5), (3, 6), (3, 7))

    def test_three_machines_take_12(self) -> None:
        assert run(plan_of(self.duration, self.edges, queues=3)).makespan_ps == 12

    def test_a_fourth_machine_makes_it_15(self) -> None:
        assert run(plan_of(self.duration, self.edges, queues=4)).makespan_ps == 15

    def test_shorter_tasks_make_it_13(self) -> None:
        assert run(plan_of([time - 1 for time in self.duration], self.edges, queues=3)).makespan_ps == 13

    def test_weaker_constraints_make_it_16(self) -> None:
        kept = [edge for edge in self.edges if edge not in {(3, 4), (3, 5)}]
        assert run(plan_of(self.duration, kept, queues=3)).makespan_ps == 16

    def test_another_list_makes_it_14(self) -> None:
        base = plan_of(self.duration, self.edges, queues=3)
        listed = [0, 1, 3, 4, 5, 2, 8, 6, 7]
        plan = Plan(
            names=base.names,
            device=base.device,
            duration_ps=base.duration_ps,
            successors=base.successors,
            devices=base.devices,
            priority=np.argsort(listed),
        )
        assert run(plan).makespan_ps == 14


class TestOrder:
    def test_ready_tasks_go_by_priority_then_index(self) -> None:
        base = plan_of([5, 5, 5, 5])
        plan = Plan(
            names=base.names,
            device=base.device,
            duration_ps=base.duration_ps,
            successors=base.successors,
            devices=base.devices,
            priority=np.array([2, 1, 1, 0]),
        )
        assert run(plan).start_ps.tolist() == [15, 5, 10, 0]

    def test_everything_that_ends_at_an_instant_counts_before_the_next_task_is_picked(self) -> None:
        """t1 and t2 end at 5 on two devices; t3 (after t2) precedes t4 in the list of t1's device, so it goes first."""
        plan = plan_of([5, 5, 1, 1], [(1, 2)], device=[0, 1, 0, 0])
        assert run(plan).start_ps.tolist() == [0, 0, 5, 6]

    def test_an_in_order_device_waits_for_the_head_of_its_queue(self) -> None:
        """t2 waits for t1 on the other device until 10; t3 is ready at once, but behind t2 in the command stream."""
        for in_order, starts in ((False, [0, 10, 0]), (True, [0, 10, 14])):
            base = plan_of([10, 4, 3], [(0, 1)], device=[1, 0, 0])
            devices = (DevicePlan(name="stream", in_order=in_order), DevicePlan(name="other"))
            plan = Plan(
                names=base.names,
                device=base.device,
                duration_ps=base.duration_ps,
                successors=base.successors,
                devices=devices,
            )
            assert run(plan).start_ps.tolist() == starts

    def test_arrivals_hold_tasks_back(self) -> None:
        base = plan_of([5, 5, 5])
        plan = Plan(
            names=base.names,
            device=base.device,
            duration_ps=base.duration_ps,
            successors=base.successors,
            devices=base.devices,
            release_ps=np.array([7, 0, 7]),
        )
        assert run(plan).start_ps.tolist() == [7, 0, 12]

    def test_a_view_takes_no_time_and_no_device(self) -> None:
        plan = plan_of([5, 99, 5], [(0, 1), (1, 2)], device=[0, -1, 0])
        assert spans(run(plan)) == [(0, 5), (5, 5), (5, 10)]


class TestCollectives:
    def plan(
        self, participants: Sequence[Sequence[int]], priority: Sequence[int] | None = None, queues: int = 1
    ) -> Plan:
        """Return t1 (10 ps) on d0, t2 (4 ps) on d1, t3 (6 ps) on d1, t4, a collective of 3 ps that waits for t2."""
        return Plan(
            names=["t1", "t2", "t3", "t4"],
            device=np.array([0, 1, 1, 0]),
            duration_ps=np.array([10, 4, 6, 3]),
            successors=Csr.from_rows([[], [3], [], []]),
            devices=(DevicePlan(name="d0", queues=queues), DevicePlan(name="d1", queues=queues)),
            participants=Csr.from_rows(participants),
            priority=None if priority is None else np.array(priority),
        )

    def test_participants_meet_first_and_are_all_held(self) -> None:
        """t4 ranks before t3: at 4, d1 waits for d0 until 10; both are held until 13; then t3 runs."""
        outcome = run(self.plan([[], [], [], [0, 1]], priority=[0, 0, 2, 1]))
        assert spans(outcome) == [(0, 10), (0, 4), (13, 19), (10, 13)]
        assert outcome.device_busy_ps.tolist() == [13, 13]

    def test_a_task_that_ranks_before_a_waiting_collective_goes_first(self) -> None:
        outcome = run(self.plan([[], [], [], [0, 1]]))
        assert spans(outcome) == [(0, 10), (0, 4), (4, 10), (10, 13)]

    def test_a_second_queue_works_while_the_first_waits_to_meet(self) -> None:
        outcome = run(self.plan([[], [], [], [0, 1]], priority=[0, 0, 2, 1], queues=2))
        assert spans(outcome) == [(0, 10), (0, 4), (0, 6), (4, 7)]


class TestBusyTime:
    def test_overlapping_queues_are_busy_once_but_fill_two_slots(self) -> None:
        outcome = run(plan_of([5, 3], queues=2))
        assert (outcome.device_busy_ps.tolist(), outcome.device_slot_ps.tolist()) == ([5], [8])


class TestLimits:
    def test_an_empty_plan_takes_no_time(self) -> None:
        outcome = run(plan_of([]))
        assert (outcome.makespan_ps, outcome.events, spans(outcome)) == (0, 0, [])

    def test_one_task_takes_its_own_time_and_one_event(self) -> None:
        outcome = run(plan_of([7]))
        assert (outcome.makespan_ps, outcome.events, spans(outcome)) == (7, 1, [(0, 7)])

    def test_a_zero_length_task_still_runs(self) -> None:
        assert spans(run(plan_of([0, 3], [(0, 1)]))) == [(0, 0), (0, 3)]

    def test_a_task_that_shares_nothing_costs_one_event(self) -> None:
        assert run(plan_of([3] * 50, [(index, index + 1) for index in range(49)])).events == 50

    def test_an_infinite_link_costs_no_time(self) -> None:
        base = plan_of([5, 5], device=[0, 1])
        plan = Plan(
            names=base.names,
            device=base.device,
            duration_ps=base.duration_ps,
            successors=base.successors,
            devices=base.devices,
            links=(LinkPlan(name="wire"),),
            transfers=TransferTable.from_rows([(0, 0, 1e9, [1])]),
        )
        assert spans(run(plan)) == [(0, 5), (5, 10)]


class TestBadPlans:
    def test_a_column_of_the_wrong_length_is_refused(self) -> None:
        with pytest.raises(InputError, match=r"duration_ps: has shape \(2,\); give one value per task, \(1,\)"):
            Plan(
                names=["a"],
                device=np.array([0]),
                duration_ps=np.array([1, 2]),
                successors=Csr.empty(1),
                devices=(DevicePlan(name="d"),),
            )

    def test_an_unknown_device_is_refused(self) -> None:
        with pytest.raises(InputError, match=r"device: index outside -1\.\.0: 1\.\.1"):
            Plan(
                names=["a"],
                device=np.array([1]),
                duration_ps=np.array([1]),
                successors=Csr.empty(1),
                devices=(DevicePlan(name="d"),),
            )

    def test_a_negative_time_is_refused(self) -> None:
        with pytest.raises(InputError, match="duration_ps: negative or not a number"):
            plan_of([-1])
