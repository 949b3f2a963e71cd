"""Memory by liveness: overflow, spills."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from hwsim.engine import BufferTable, Csr, DevicePlan, LinkPlan, MemoryPlan, Plan, Spill, TransferTable, run
from hwsim.errors import InputError, OutOfMemoryError

B_PER_PS = 1e12
Row = tuple[str, int, int, int, Sequence[int]]


def chain(rows: Sequence[Row], *, capacity: float, spill: bool = False, tasks: int = 4, unit: int = 0) -> Plan:
    """Return tasks of 10 ps, one after the other; spilled bytes cross a link of 1 B/ps after 2 ps."""
    return Plan(
        names=[f"t{index}" for index in range(tasks)],
        device=np.array([0] * (tasks - 1) + [unit]),
        duration_ps=np.full(tasks, 10),
        successors=Csr.from_pairs(tasks, range(tasks - 1), range(1, tasks)),
        devices=(DevicePlan(name="npu"),),
        memories=(MemoryPlan(name="tcm", capacity_bytes=capacity, allow_spill=spill, spill_to=0 if spill else -1),),
        links=(LinkPlan(name="dma", latency_ps=2, bandwidth_bytes_per_s=B_PER_PS),),
        buffers=BufferTable.from_rows(rows),
    )


SKIP = (
    ("long", 60, 0, 0, [3]),  # made by t0, read by t3: idle while t1 and t2 run
    ("x1", 50, 0, 1, [2]),
    ("x2", 40, 0, 2, [3]),
    ("y", 10, 0, 3, []),
)


class TestLiveness:
    def test_a_workspace_is_freed_with_its_task(self) -> None:
        outcome = run(chain([("w", 70, 0, 1, [1]), ("v", 80, 0, 2, [2])], capacity=80))
        assert outcome.memory_peak_bytes.tolist() == [80]
        assert outcome.memory_samples[0].used_bytes.tolist() == [0, 70, 80, 0]

    def test_an_output_stays(self) -> None:
        outcome = run(chain([("out", 30, 0, 0, [])], capacity=80))
        assert outcome.memory_samples[0].used_bytes.tolist() == [30]

    def test_a_resident_is_there_from_the_start_to_the_end(self) -> None:
        outcome = run(chain([("weights", 30, 0, -1, [1])], capacity=80))
        assert outcome.memory_samples[0].used_bytes.tolist() == [30]

    def test_a_copy_lives_from_the_start_of_its_transfer(self) -> None:
        """t0 ends at 10; its 20 B take 2 + 20 ps; the original is freed at 32, the copy when t1 ends at 42."""
        plan = Plan(
            names=["t0", "t1"],
            device=np.array([0, 1]),
            duration_ps=np.array([10, 10]),
            successors=Csr.empty(2),
            devices=(DevicePlan(name="npu"), DevicePlan(name="gpu")),
            memories=(MemoryPlan(name="tcm"), MemoryPlan(name="vram")),
            links=(LinkPlan(name="dma", latency_ps=2, bandwidth_bytes_per_s=B_PER_PS),),
            transfers=TransferTable.from_rows([(0, 0, 20.0, [1])]),
            buffers=BufferTable.from_rows([("x", 20, 0, 0, [2]), ("x.copy", 20, 1, 2, [1])]),
        )
        tcm, vram = run(plan).memory_samples
        assert (tcm.time_ps.tolist(), tcm.used_bytes.tolist()) == ([0, 32], [20, 0])
        assert (vram.time_ps.tolist(), vram.used_bytes.tolist()) == ([0, 10, 42], [0, 20, 0])

    def test_an_infinite_memory_only_counts(self) -> None:
        assert run(chain(SKIP, capacity=float("inf"))).memory_peak_bytes.tolist() == [150]


class TestOverflow:
    def test_the_message_names_memory_capacity_need_and_the_five_largest(self) -> None:
        rows: list[Row] = [(f"w{size}", size, 0, -1, []) for size in (3, 9, 5, 7, 8, 4)]
        with pytest.raises(OutOfMemoryError) as caught:
            run(chain([*rows, ("x", 20, 0, 2, [3])], capacity=50))
        assert str(caught.value) == (
            "memory tcm: capacity 50 B, 36 B in use: t2 needs 20 B more for x; largest live tensors: w9 9 B, w8 8 B, "
            "w7 7 B, w5 5 B, w4 4 B; use a smaller batch or a narrower number format, or allow spilling"
        )

    def test_a_tensor_named_as_its_operator_is_its_output(self) -> None:
        with pytest.raises(OutOfMemoryError, match=r"t2 needs 60 B more for its output;"):
            run(chain([("t2", 60, 0, 2, [3])], capacity=50))

    def test_residents_that_do_not_fit_are_found_before_the_run(self) -> None:
        with pytest.raises(OutOfMemoryError, match=r"the run, before it starts, needs 60 B more for b"):
            run(chain([("a", 60, 0, -1, []), ("b", 60, 0, -1, [])], capacity=100))

    def test_exactly_full_is_not_an_overflow(self) -> None:
        assert run(chain(SKIP, capacity=150)).memory_peak_bytes.tolist() == [150]


class TestSpill:
    def test_the_largest_idle_tensor_leaves_and_comes_back(self) -> None:
        """Capacity 110: long 60 + x1 50 fill it. t2 (at 20) needs 40 more: long is idle and leaves, 2 + 60 ps.

        t2 runs 82..92 and frees x1. t3 (at 92) needs long back, 60 beside x2 40 and y 10 = 110: 2 + 60 ps again;
        it ends at 92 + 62 + 10 = 164.
        """
        outcome = run(chain(SKIP, capacity=110, spill=True))
        assert outcome.start_ps.tolist() == [0, 10, 20, 92]
        assert outcome.end_ps.tolist() == [10, 20, 92, 164]
        assert outcome.spills == (
            Spill(activity=2, memory=0, link=0, written_bytes=60, read_bytes=0, start_ps=20, end_ps=82),
            Spill(activity=3, memory=0, link=0, written_bytes=0, read_bytes=60, start_ps=92, end_ps=154),
        )
        assert outcome.memory_peak_bytes.tolist() == [110]
        assert outcome.link_bytes == (120.0,)

    def test_residents_stream_in_when_they_do_not_all_fit(self) -> None:
        """Two layers of 60 B in 100 B: the second starts outside; when it comes in, the first is dropped unwritten.

        t0 runs 0..10 with w0; t1 waits 2 + 60 ps for w1: 10 -> 72 -> 82; t2 and t3 need none: 92, 102.
        """
        outcome = run(chain([("w0", 60, 0, -1, [0]), ("w1", 60, 0, -1, [1])], capacity=100, spill=True))
        assert outcome.end_ps.tolist() == [10, 82, 92, 102]
        assert [(spill.written_bytes, spill.read_bytes) for spill in outcome.spills] == [(0, 60)]
        assert outcome.memory_peak_bytes.tolist() == [60]

    def test_one_large_tensor_leaves_rather_than_several_small_ones(self) -> None:
        """In 100 B, t1 needs 30 B beside 20 + 50 + 10 of t0, read by t3: only the 50 leave, and come back for t3."""
        rows: list[Row] = [("s", 20, 0, 0, [3]), ("l", 50, 0, 0, [3]), ("m", 10, 0, 0, [3]), ("x", 30, 0, 1, [2])]
        outcome = run(chain(rows, capacity=100, spill=True))
        assert [(spill.written_bytes, spill.read_bytes) for spill in outcome.spills] == [(50, 0), (0, 50)]

    def test_what_a_running_task_uses_stays(self) -> None:
        """While t1 reads 60 B, t2 on another unit needs 50 of 100: the 30 idle B leave, the 60 stay, 10 are missing."""
        rows: list[Row] = [("x", 60, 0, 0, [1]), ("idle", 30, 0, 0, [3]), ("y", 50, 0, 2, [3])]
        plan = Plan(
            names=["t0", "t1", "t2", "t3"],
            device=np.array([0, 0, 1, 1]),
            duration_ps=np.array([10, 90, 10, 10]),
            successors=Csr.from_rows([[1, 2], [3], [], []]),
            devices=(DevicePlan(name="npu"), DevicePlan(name="gpu")),
            memories=(MemoryPlan(name="dram", capacity_bytes=100, allow_spill=True, spill_to=0),),
            links=(LinkPlan(name="dma", bandwidth_bytes_per_s=B_PER_PS),),
            buffers=BufferTable.from_rows(rows),
        )
        with pytest.raises(OutOfMemoryError, match=r"capacity 100 B, 60 B in use: t2 needs 50 B more for y"):
            run(plan)

    def test_what_fits_does_not_spill(self) -> None:
        outcome = run(chain(SKIP, capacity=150, spill=True))
        assert (outcome.spills, outcome.makespan_ps) == ((), 40)

    def test_a_task_that_does_not_fit_alone_is_an_error_all_the_same(self) -> None:
        with pytest.raises(OutOfMemoryError, match="t2 needs 101 B more for big"):
            run(chain([("idle", 60, 0, 0, [3]), ("big", 101, 0, 2, [3])], capacity=100, spill=True))

    def test_a_view_that_would_have_to_wait_is_refused(self) -> None:
        with pytest.raises(InputError, match="t3 is a view, yet makes y"):
            run(chain(SKIP, capacity=110, spill=True, unit=-1))
