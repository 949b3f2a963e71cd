"""Everything on one device."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from hwsim.errors import PlacementError
from hwsim.placement.options import check_options, role_index
from hwsim.placement.problem import POLICIES, Placement, Policy, Problem

__all__ = ["Single", "on_one"]


def on_one(problem: Problem, device: int, policy: str) -> Placement:
    """All tasks on that device, in the order of the graph."""
    tasks = len(problem)
    return Placement(
        policy=policy,
        device=np.full(tasks, device, dtype=np.int64),
        priority=np.arange(tasks, dtype=np.int64),
        planned_s=float(problem.time_s[device].sum()),
    )


class Single(Policy):
    """One device runs the whole graph: ``options["device"]``, or the fastest that can run all of it."""

    name: ClassVar[str] = "single"
    title: ClassVar[str] = "everything on one device: the one named, or the fastest that can run it all"
    options: ClassVar[tuple[str, ...]] = ("device",)

    def place(self, problem: Problem) -> Placement:
        """The placement.

        Raises:
            PlacementError: the device, or every device, lacks some operator.
            InputError: options it does not read.
            UnknownNameError: no device of that name.
        """
        check_options(problem, self)
        chosen = problem.options.get("device")
        candidates = list(range(len(problem.devices)))
        if chosen is not None:
            candidates = [role_index(problem, chosen, "device")]
        totals = {d: float(problem.time_s[d].sum()) for d in candidates}
        best = min(totals, key=lambda d: (totals[d], d))
        if not np.isfinite(totals[best]):
            raise PlacementError(_refusal(problem, candidates))
        return on_one(problem, best, self.name)


def _refusal(problem: Problem, candidates: list[int]) -> str:
    """What each candidate lacks, and who else could run it."""
    problem.check()
    parts = []
    for device in candidates:
        missing = np.flatnonzero(~np.isfinite(problem.time_s[device])).tolist()
        able = [
            problem.devices[d] for d in range(len(problem.devices)) if np.isfinite(problem.time_s[d, missing]).all()
        ]
        kinds = ", ".join(dict.fromkeys(problem.operators[i] for i in missing))
        names = ", ".join(problem.names[i] for i in missing[:3])
        others = f"; {', '.join(able)} could" if able else ""
        parts.append(
            f"{problem.devices[device]} cannot run {kinds} ({names}{', ...' if len(missing) > 3 else ''}){others}"
        )
    return f"{'; '.join(parts)}; use policy 'providers' or 'heft' to divide the work"


POLICIES.add(Single.name, Single())
