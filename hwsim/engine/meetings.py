"""Which ready task goes next where devices keep a strict order or meet for collectives."""

from __future__ import annotations

from collections.abc import Callable
from heapq import heapify, heappop, heappush

from hwsim.engine.plan import Plan
from hwsim.engine.program import COLLECTIVE, Program

__all__ = ["StrictDispatch"]


class StrictDispatch:
    """Dispatch with in-order devices and collectives.

    A collective starts when every participant has a free queue for it and nothing ready before it. Until then each
    participant keeps one queue free for it, but does not commit: a ready task of higher priority still goes first. So
    of all waiting collectives the first in order can always go on, and devices cannot block each other in a circle,
    unless their own strict orders do.
    """

    def __init__(
        self, plan: Plan, program: Program, ready: list[list[int]], slots: list[int], begin: Callable[[int], None]
    ) -> None:
        """Prepare the orders.

        Args:
            plan: Whose devices.
            program: Its activities.
            ready: Heap of ready activities per device.
            slots: Free queues per device.
            begin: Starts one activity.
        """
        self._program = program
        self._ready = ready
        self._slots = slots
        self._begin = begin
        self._offers: list[list[int]] = [[] for _ in ready]
        self._strict: list[list[int] | None] = [[] if device.in_order else None for device in plan.devices]
        self._next = [0] * len(ready)
        for task in range(program.tasks):
            route = program.route[task]
            for device in program.participants[task] if route == COLLECTIVE else [route]:
                order = self._strict[device] if device >= 0 else None
                if order is not None:
                    order.append(task)

    def expected(self, device: int) -> int | None:
        """Return the task an in-order device must run next; None if it has no such order or is through."""
        order = self._strict[device]
        return order[self._next[device]] if order is not None and self._next[device] < len(order) else None

    def dispatch(self, touched: list[int]) -> None:
        """Start what can start on devices that got a task or a free queue."""
        while touched:
            for device in dict.fromkeys(touched):
                self._offer(device)
            touched = []
            for task in sorted({task for offered in self._offers for task in offered}):
                participants = self._program.participants[task]
                if all(task in self._offers[device] for device in participants):
                    for device in participants:
                        self._hold(device, task)
                        self._ready[device].remove(task)
                        heapify(self._ready[device])
                        self._offers[device] = []
                    self._begin(task)
                    touched.extend(participants)

    def _offer(self, device: int) -> None:
        """Start the ordinary tasks at the head of a queue and note the collectives it could join."""
        heap = self._ready[device]
        blocked: list[int] = []
        while heap and self._slots[device] > len(blocked):
            if self._strict[device] is not None and (blocked or heap[0] != self.expected(device)):
                break
            task = heappop(heap)
            if self._program.route[task] == COLLECTIVE:
                blocked.append(task)
            else:
                self._hold(device, task)
                self._begin(task)
        for task in blocked:
            heappush(heap, task)
        self._offers[device] = blocked

    def _hold(self, device: int, task: int) -> None:
        self._slots[device] -= 1
        if self._strict[device] is not None:
            assert self.expected(device) == task
            self._next[device] += 1
