"""Links under contention: by hand, and against schedules replayed by SimGrid."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hwsim.engine import ChannelPlan, Csr, DevicePlan, LinkPlan, Plan, TransferTable, run
from hwsim.errors import InputError

B_PER_PS = 1e12
DAGS = Path(__file__).resolve().parents[2].parent / "shared" / "ground_truth" / "dags"
UNIT_PS = 10**6


def two_transfers(*links: LinkPlan, channels: tuple[ChannelPlan, ...] = ()) -> list[int]:
    """Return the ends of 100 B and 50 B, both ready at 10 ps, on the first and the last link."""
    plan = Plan(
        names=["a", "b", "c"],
        device=np.array([0, 1, 2]),
        duration_ps=np.array([10, 10, 1]),
        successors=Csr.empty(3),
        devices=tuple(DevicePlan(name=name) for name in "xyz"),
        links=links,
        channels=channels,
        transfers=TransferTable.from_rows([(0, 0, 100.0, [2]), (1, len(links) - 1, 50.0, [2])]),
    )
    outcome = run(plan)
    assert outcome.start_ps.tolist()[2] == max(outcome.transfer_end_ps.tolist())
    return outcome.transfer_end_ps.tolist()


class TestByHand:
    def test_a_fair_link_halves_while_two_transfers_cross_it(self) -> None:
        """1 B/ps: both at 1/2 until 50 B are through at 110; 50 B of the first are left and end at 160."""
        assert two_transfers(LinkPlan(name="l", bandwidth_bytes_per_s=B_PER_PS)) == [160, 110]

    def test_a_fifo_link_serves_one_after_the_other(self) -> None:
        assert two_transfers(LinkPlan(name="l", bandwidth_bytes_per_s=B_PER_PS, discipline="fifo")) == [110, 160]

    def test_latency_occupies_nothing(self) -> None:
        """Latency 7, then as before."""
        for discipline, ends in (("fair", [167, 117]), ("fifo", [117, 167])):
            link = LinkPlan(name="l", bandwidth_bytes_per_s=B_PER_PS, latency_ps=7, discipline=discipline)
            assert two_transfers(link) == ends

    def test_two_links_do_not_disturb_each_other(self) -> None:
        links = [LinkPlan(name=name, bandwidth_bytes_per_s=B_PER_PS) for name in "lm"]
        assert two_transfers(*links) == [110, 60]

    def test_links_of_one_channel_share_it(self) -> None:
        """Each link gives 1 B/ps, the bus 1 in all: as one fair link."""
        links = [LinkPlan(name=name, bandwidth_bytes_per_s=B_PER_PS, channels=(0,)) for name in "lm"]
        assert two_transfers(*links, channels=(ChannelPlan(name="bus", bandwidth_bytes_per_s=B_PER_PS),)) == [160, 110]

    def test_a_slow_link_leaves_the_rest_of_the_bus_to_the_other(self) -> None:
        """The bus gives 1 B/ps, the second link 1/4: 50 B take 200 ps; the first gets 3/4: 100 B in 133.3 -> 134."""
        links = [
            LinkPlan(name="l", bandwidth_bytes_per_s=B_PER_PS, channels=(0,)),
            LinkPlan(name="m", bandwidth_bytes_per_s=B_PER_PS / 4, channels=(0,)),
        ]
        assert two_transfers(*links, channels=(ChannelPlan(name="bus", bandwidth_bytes_per_s=B_PER_PS),)) == [144, 210]

    def test_fair_and_fifo_do_not_mix_on_a_channel(self) -> None:
        links = [LinkPlan(name="l", channels=(0,)), LinkPlan(name="m", channels=(0,), discipline="fifo")]
        with pytest.raises(InputError, match="link m: discipline: 'fifo' meets 'fair' on channel bus"):
            two_transfers(*links, channels=(ChannelPlan(name="bus", bandwidth_bytes_per_s=1.0),))


def schedule(dag: dict[str, Any], order: list[list[int]], interconnect: str) -> Plan:
    """Return a fixed schedule whose messages cross a unit-rate interconnect; times and bytes in units of 1e6 ps."""
    tasks, units = len(dag["comp"]), len(order)
    unit_of = {task: unit for unit, row in enumerate(order) for task in row}
    local = [(i, j) for i, j, _ in dag["edges"] if unit_of[i] == unit_of[j]]
    messages = sorted((i, j, c) for i, j, c in dag["edges"] if unit_of[i] != unit_of[j])
    rate = B_PER_PS / UNIT_PS
    sides = [
        ChannelPlan(name=f"{side}{unit}", bandwidth_bytes_per_s=rate)
        for side in ("up", "down")
        for unit in range(units)
    ]
    links, rows = [], []
    for number, (i, j, c) in enumerate(messages):
        source, target = unit_of[i], unit_of[j]
        pair = units * source + target
        links.append(
            {
                "ideal": LinkPlan(name=f"m{number}", bandwidth_bytes_per_s=rate),
                "p2p": LinkPlan(name=f"m{number}", channels=(pair,)),
                "nic": LinkPlan(name=f"m{number}", channels=(source, units + target)),
                "bus": LinkPlan(name=f"m{number}", channels=(0,)),
                "bus_fifo": LinkPlan(name=f"m{number}", channels=(0,), discipline="fifo"),
            }[interconnect]
        )
        rows.append((i, number, float(c), [j]))
    pairs = [ChannelPlan(name=f"pair{index}", bandwidth_bytes_per_s=rate) for index in range(units * units)]
    position = {task: place for row in order for place, task in enumerate(row)}
    return Plan(
        names=[str(task) for task in range(tasks)],
        device=np.array([unit_of[task] for task in range(tasks)]),
        duration_ps=np.array([dag["comp"][task][unit_of[task]] * UNIT_PS for task in range(tasks)]),
        successors=Csr.from_pairs(tasks, [i for i, _ in local], [j for _, j in local]),
        priority=np.array([position[task] for task in range(tasks)]),
        devices=tuple(DevicePlan(name=f"p{unit}", in_order=True) for unit in range(units)),
        links=tuple(links),
        channels=tuple(pairs if interconnect == "p2p" else sides),
        transfers=TransferTable.from_rows(rows),
    )


@pytest.mark.skipif(not DAGS.is_dir(), reason="the measured schedules are not beside this checkout")
@pytest.mark.parametrize("interconnect", ["ideal", "p2p", "nic", "bus", "bus_fifo"])
def test_fixed_schedules_take_as_long_as_in_simgrid(interconnect: str) -> None:
    """SimGrid 3.32 and an independent fluid model agree on every case (contention.json)."""
    cases = json.loads((DAGS / "contention.json").read_text(encoding="utf-8"))["instances"]
    wrong = []
    for name, by_heuristic in cases.items():
        dag = json.loads((DAGS / f"{name}.json").read_text(encoding="utf-8"))
        for heuristic, case in by_heuristic.items():
            makespan = run(schedule(dag, case["order_per_proc"], interconnect)).makespan_ps / UNIT_PS
            if abs(makespan - case[interconnect]) > 1e-3:
                wrong.append((name, heuristic, makespan, case[interconnect]))
    assert not wrong
