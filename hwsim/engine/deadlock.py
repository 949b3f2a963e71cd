"""Why a run stopped with work left: who waits for what, followed until it closes."""

from __future__ import annotations

import numpy as np

from hwsim.engine.meetings import StrictDispatch
from hwsim.engine.plan import Csr, Plan
from hwsim.engine.program import COLLECTIVE, Program

__all__ = ["explain_deadlock"]


def explain_deadlock(plan: Plan, program: Program, end: list[int], strict: StrictDispatch | None) -> str:
    """Return the message: how many tasks wait, and the circle of waiting that one of them is caught in.

    Args:
        plan: What was replayed.
        program: Its activities.
        end: End of each activity, -1 if it never came.
        strict: Orders of the devices, if any are strict.
    """
    rows = Csr(start=np.array(program.succ_start, dtype=np.int64), item=np.array(program.succ, dtype=np.int64))
    before = rows.transposed(len(program.route))
    waiting = [activity for activity, time in enumerate(end) if time < 0]
    seen: dict[int, str] = {}
    current = waiting[0]
    while current not in seen:
        seen[current], following = _reason(current, plan, program, end, before, strict)
        if following is None:
            break
        current = following
    trail = list(seen)
    circle = trail[trail.index(current) :] if current in seen else trail
    chain = "; ".join(f"{program.label(activity, plan)} waits for {seen[activity]}" for activity in circle)
    tasks = sum(activity < program.tasks for activity in waiting)
    return f"deadlock: {tasks} of {program.tasks} tasks never ended: {chain}; remove one of these waits"


def _reason(
    activity: int, plan: Plan, program: Program, end: list[int], before: Csr, strict: StrictDispatch | None
) -> tuple[str, int | None]:
    """Return what an activity waits for, in words, and the activity to ask next."""
    for needed in before.row(activity):
        if end[needed] < 0:
            return program.label(needed, plan), needed
    route = program.route[activity]
    for device in program.participants[activity] if route == COLLECTIVE else [route]:
        head = strict.expected(device) if strict is not None and device >= 0 else None
        if head is not None and head != activity:
            return f"{program.label(head, plan)}, which {plan.devices[device].name} must run before it", head
    return "nothing that is left", None
