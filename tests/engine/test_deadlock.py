"""A run that cannot go on says who waits for what."""

from __future__ import annotations

import numpy as np
import pytest

from hwsim.engine import Csr, DevicePlan, LinkPlan, Plan, TransferTable, run
from hwsim.errors import DeadlockError


def test_a_circle_of_dependencies_is_named() -> None:
    plan = Plan(
        names=["a", "b", "c", "d"],
        device=np.zeros(4),
        duration_ps=np.ones(4),
        successors=Csr.from_rows([[1], [2], [1, 3], []]),
        devices=(DevicePlan(name="npu"),),
    )
    with pytest.raises(DeadlockError) as caught:
        run(plan)
    assert str(caught.value) == (
        "deadlock: 3 of 4 tasks never ended: b waits for c; c waits for b; remove one of these waits"
    )


def test_a_circle_through_a_transfer_is_named() -> None:
    plan = Plan(
        names=["a", "b"],
        device=np.array([0, 1]),
        duration_ps=np.ones(2),
        successors=Csr.from_rows([[], [0]]),
        devices=(DevicePlan(name="npu"), DevicePlan(name="gpu")),
        links=(LinkPlan(name="dma", bandwidth_bytes_per_s=1e12),),
        transfers=TransferTable.from_rows([(0, 0, 8.0, [1])]),
    )
    with pytest.raises(DeadlockError, match="a waits for b; b waits for the transfer of a over dma; the transfer of a"):
        run(plan)


def test_a_blocked_queue_is_named() -> None:
    """The command stream has b before a, and b waits for a."""
    plan = Plan(
        names=["a", "b"],
        device=np.zeros(2),
        duration_ps=np.ones(2),
        successors=Csr.from_rows([[1], []]),
        priority=np.array([1, 0]),
        devices=(DevicePlan(name="npu", in_order=True),),
    )
    with pytest.raises(DeadlockError, match="b waits for a; a waits for b, which npu must run before it"):
        run(plan)


def test_a_collective_behind_its_own_need_is_named() -> None:
    """Both join npu and gpu; npu must run c0, c1, x in this order, and c0 waits for x."""
    plan = Plan(
        names=["c0", "x", "c1"],
        device=np.zeros(3),
        duration_ps=np.ones(3),
        successors=Csr.from_rows([[], [0], []]),
        priority=np.array([0, 2, 1]),
        devices=(DevicePlan(name="npu", in_order=True), DevicePlan(name="gpu")),
        participants=Csr.from_rows([[0, 1], [], [0, 1]]),
    )
    with pytest.raises(DeadlockError, match="c0 waits for x; x waits for c0, which npu must run before it"):
        run(plan)


def test_ready_collectives_never_block_each_other() -> None:
    """Three devices, three collectives over pairs, in every order of priority: one after the other, 3 ps."""
    for order in ([0, 1, 2], [2, 0, 1], [1, 2, 0], [2, 1, 0]):
        plan = Plan(
            names=["ab", "bc", "ca"],
            device=np.zeros(3),
            duration_ps=np.ones(3),
            successors=Csr.empty(3),
            priority=np.array(order),
            devices=tuple(DevicePlan(name=name) for name in "abc"),
            participants=Csr.from_rows([[0, 1], [1, 2], [2, 0]]),
        )
        assert run(plan).makespan_ps == 3
