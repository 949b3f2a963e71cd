"""Simulated time in whole picoseconds, on SimPy's event queue."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from simpy.core import Environment
from simpy.events import Event, Timeout

__all__ = ["Clock"]


class Clock(Environment):
    """A SimPy environment whose time is an integer number of picoseconds.

    Attributes:
        events: Timeouts scheduled so far.
    """

    _now: int

    def __init__(self) -> None:
        super().__init__(initial_time=0)
        self.events = 0

    @property
    def now(self) -> int:
        """Present time in picoseconds."""
        return self._now

    def after(self, wait_ps: int, action: Callable[[Event], None], value: Any = None) -> None:
        """Call `action` with an event that carries `value`, `wait_ps` from now."""
        self.events += 1
        Timeout(self, wait_ps, value).callbacks.append(action)

    def instant_is_over(self) -> bool:
        """Return True if no event is left at the present time."""
        queue = self._queue
        return not queue or queue[0][0] > self._now
