"""An ordered list of devices: each operator runs on the first that supports it."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from hwsim.errors import PlacementError
from hwsim.placement.heuristic import Heuristic
from hwsim.placement.options import role_list
from hwsim.placement.problem import POLICIES, Placement, Problem
from hwsim.placement.schedule import in_order
from hwsim.placement.views import Folded

__all__ = ["Providers"]


class Providers(Heuristic):
    """As execution providers of ONNX Runtime: by support alone, whatever it costs.

    ``options["providers"]`` lists roles, the preferred first; without it, the order of the system with processors
    (kind ``cpu``) last. Processors that the list leaves out come after it, as ONNX Runtime always falls back on them.
    """

    name: ClassVar[str] = "providers"
    title: ClassVar[str] = "the first of an ordered list of devices that supports the operator; the CPU last"
    source: ClassVar[str] = "ONNX Runtime documentation, Execution Providers"
    options: ClassVar[tuple[str, ...]] = ("providers",)

    def plan(self, problem: Problem, folded: Folded) -> Placement:
        """The placement."""
        order = _order(problem)
        able = np.isfinite(problem.time_s[order])
        _refuse(problem, order, np.flatnonzero(~able.any(axis=0)).tolist())
        return in_order(problem, folded, np.array(order)[able.argmax(axis=0)].tolist(), self.name)


def _order(problem: Problem) -> list[int]:
    """Devices by preference."""
    processors = [i for i, kind in enumerate(problem.kinds) if kind == "cpu"]
    listed = problem.options.get("providers")
    if listed is None:
        first = [i for i in range(len(problem.devices)) if i not in processors]
    else:
        first = role_list(problem, listed, "providers")
    return [*first, *(i for i in processors if i not in first)]


def _refuse(problem: Problem, order: list[int], missing: list[int]) -> None:
    """Raise PlacementError if some task can run on none of the devices listed."""
    if not missing:
        return
    shown = ", ".join(f"{problem.names[i]} ({problem.operators[i]})" for i in missing[:5])
    more = f" and {len(missing) - 5} more" if len(missing) > 5 else ""
    others = [d for d in range(len(problem.devices)) if np.isfinite(problem.time_s[d, missing]).any()]
    add = ", ".join(problem.devices[d] for d in others)
    listed = ", ".join(problem.devices[d] for d in order)
    raise PlacementError(f"no provider of {listed} can run {shown}{more}; add to 'providers' one that can: {add}")


POLICIES.add(Providers.name, Providers())
