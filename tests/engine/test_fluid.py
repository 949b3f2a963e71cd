"""Max-min fair sharing: worked answers and the property that defines it."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from hwsim.engine import Csr, DevicePlan, MemoryPlan, Plan, run
from hwsim.engine.fluid import max_min_shares

B_PER_PS = 1e12


class TestShares:
    def test_a_small_demand_is_met_and_the_rest_is_split(self) -> None:
        """Keshav, An Engineering Approach to Computer Networking, 1997, example 9.2: demands 2, 2.6, 4, 5 on 10."""
        shares = max_min_shares([2.0, 2.6, 4.0, 5.0], [(0,)] * 4, [10.0])
        assert np.allclose(shares, [2.0, 2.6, 2.7, 2.7], rtol=1e-12)

    def test_a_flow_over_two_channels_gets_the_smaller_share_and_leaves_the_rest(self) -> None:
        """Two flows meet on a channel of 10; one also crosses a channel of 2: it gets 2, the other 8."""
        assert max_min_shares([math.inf, math.inf], [(0, 1), (0,)], [10.0, 2.0]) == [2.0, 8.0]

    def test_a_flow_on_no_channel_gets_its_demand(self) -> None:
        assert max_min_shares([3.0], [()], []) == [3.0]

    @given(st.data())
    def test_every_flow_has_its_demand_or_a_full_channel_where_none_gets_more(self, data: st.DataObject) -> None:
        """Bertsekas and Gallager 1992, section 6.5.2: the bottleneck condition characterizes max-min fairness."""
        capacities = data.draw(st.lists(st.floats(1.0, 100.0), min_size=1, max_size=4))
        crossed = st.lists(st.integers(0, len(capacities) - 1), min_size=1, max_size=3, unique=True)
        channels = data.draw(st.lists(crossed, min_size=1, max_size=6))
        demands = data.draw(st.lists(st.floats(0.5, 60.0), min_size=len(channels), max_size=len(channels)))
        shares = max_min_shares(demands, channels, capacities)
        loads = [
            sum(s for s, c in zip(shares, channels, strict=True) if channel in c) for channel in range(len(capacities))
        ]
        assert all(load <= capacity * (1 + 1e-9) for load, capacity in zip(loads, capacities, strict=True))
        for share, demand, own in zip(shares, demands, channels, strict=True):
            fulls = [channel for channel in own if loads[channel] >= capacities[channel] * (1 - 1e-9)]
            largest = [max(s for s, c in zip(shares, channels, strict=True) if channel in c) for channel in fulls]
            assert share >= demand * (1 - 1e-9) or any(share >= most * (1 - 1e-9) for most in largest)


def sharing(
    duration: list[int],
    traffic: list[float],
    devices: tuple[DevicePlan, ...],
    unit: list[int],
    edges: Sequence[tuple[int, int]] = (),
) -> Plan:
    return Plan(
        names=[f"t{index}" for index in range(len(duration))],
        device=np.array(unit),
        duration_ps=np.array(duration),
        dram_bytes=np.array(traffic),
        successors=Csr.from_pairs(len(duration), [a for a, _ in edges], [b for _, b in edges]),
        devices=devices,
        memories=(MemoryPlan(name="dram", bandwidth_bytes_per_s=10 * B_PER_PS, shared=True),),
    )


class TestSharedMemory:
    npu, gpu = DevicePlan(name="npu", memory=0), DevicePlan(name="gpu", memory=0)

    def test_memory_bound_work_slows_down_and_compute_bound_work_does_not(self) -> None:
        """Demands 10 and 1 B/ps on 10: the small one is met, the large one gets 9, and the last byte alone.

        The NPU does 100 x 9/10 = 90 ps of work by 100 ps, then the 10 ps left at full rate.
        """
        outcome = run(sharing([100, 100], [1000.0, 100.0], (self.npu, self.gpu), [0, 1]))
        assert outcome.end_ps.tolist() == [110, 100]

    def test_demands_that_fit_do_not_disturb_each_other(self) -> None:
        outcome = run(sharing([100, 70], [500.0, 350.0], (self.npu, self.gpu), [0, 1]))
        assert outcome.end_ps.tolist() == [100, 70]

    def test_alone_a_task_takes_its_own_time_whatever_its_bytes_say(self) -> None:
        outcome = run(sharing([100], [9e9], (self.npu, self.gpu), [0]))
        assert outcome.end_ps.tolist() == [100]

    def test_completion_times_round_up(self) -> None:
        """Demands of 10, 10 and 6 B/ps on 10: a third each, 3.33 B/ps; the last does 60 ps of work at 5/9: 108 ps.

        Until then the others did 36 of their 100 ps, and go on at a half: 64 / 0.5 = 128 ps, to 236. With 61 ps of work
        the last needs 109.8 ps, rounded up to 110; the others did 36.6 and end at 109.8 + 126.8 = 236.6: 237.
        """
        units = (self.npu, self.gpu, DevicePlan(name="cpu", memory=0))
        assert run(sharing([100, 100, 60], [1000.0, 1000.0, 360.0], units, [0, 1, 2])).end_ps.tolist() == [
            236,
            236,
            108,
        ]
        assert run(sharing([100, 100, 61], [1000.0, 1000.0, 366.0], units, [0, 1, 2])).end_ps.tolist() == [
            237,
            237,
            110,
        ]

    def test_the_queues_of_one_unit_share_its_port(self) -> None:
        """Two queues behind a port of 4 B/ps; each task draws 4 alone: half rate each, though the memory has room."""
        unit = DevicePlan(name="npu", memory=0, queues=2, port_bytes_per_s=4 * B_PER_PS)
        outcome = run(sharing([100, 100], [400.0, 400.0], (unit,), [0, 0]))
        assert outcome.end_ps.tolist() == [200, 200]

    def test_a_memory_with_one_reader_costs_one_event_a_task(self) -> None:
        outcome = run(sharing([10] * 20, [100.0] * 20, (self.npu,), [0] * 20))
        assert (outcome.makespan_ps, outcome.events) == (200, 20)

    def test_a_task_that_finds_room_costs_one_event_beside_others(self) -> None:
        """At 5 ps a task that draws nothing lets another one in; the end at 10 ps, long scheduled, is left alone."""
        units = (self.npu, self.gpu, DevicePlan(name="dma"))
        outcome = run(sharing([10, 100, 5], [10.0, 10.0, 0.0], units, [0, 1, 2], edges=[(2, 1)]))
        assert (outcome.end_ps.tolist(), outcome.events) == ([10, 105, 5], 3)

    @given(st.lists(st.tuples(st.integers(1, 60), st.integers(0, 800)), min_size=2, max_size=8))
    def test_queues_behind_a_wide_port_are_as_so_many_units(self, rows: list[tuple[int, int]]) -> None:
        """One channel is filled in one pass, several by progressive filling: both give the same times, within 1 ps."""
        time, traffic, count = [row[0] for row in rows], [float(row[1]) for row in rows], len(rows)
        wide = DevicePlan(name="npu", memory=0, queues=count, port_bytes_per_s=1e30)
        together = run(sharing(time, traffic, (wide,), [0] * count))
        apart = run(sharing(time, traffic, (self.npu,) * count, list(range(count))))
        assert np.abs(together.end_ps - apart.end_ps).max() <= 1
