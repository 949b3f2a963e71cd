"""Bandwidth as a fluid: flows progress at max-min fair shares, and only changes of the active set cost events."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from simpy.events import Event

from hwsim.engine.clock import Clock

__all__ = ["Fluid", "max_min_shares"]

_NEVER = 1 << 62


def max_min_shares(
    demands: Sequence[float], channels: Sequence[Sequence[int]], capacities: Sequence[float]
) -> list[float]:
    """Return the max-min fair allocation to flows that cross shared channels.

    Progressive filling: raise all flows together; a flow stops at its demand, or when a channel it crosses is full
    (Bertsekas and Gallager, Data Networks, 2nd edition, 1992, section 6.5.2).

    >>> max_min_shares([9.0, 2.0, 9.0], [(0,), (0,), (0,)], [10.0])
    [4.0, 2.0, 4.0]

    Args:
        demands: Most each flow can use, (flows,).
        channels: Indices of the channels each flow crosses, (flows,).
        capacities: Of each channel, (channels,).
    """
    shares = [0.0] * len(demands)
    left = list(capacities)
    active = list(range(len(demands)))
    while active:
        count = [0] * len(left)
        for flow in active:
            for channel in channels[flow]:
                count[channel] += 1
        level = min((left[c] / n for c, n in enumerate(count) if n), default=math.inf)
        full = [n > 0 and room / n <= level for room, n in zip(left, count, strict=True)]
        stops = [demands[flow] <= level for flow in active]
        if not any(stops):
            stops = [any(full[channel] for channel in channels[flow]) for flow in active]
        for flow, stop in zip(active, stops, strict=True):
            if stop:
                shares[flow] = share = min(demands[flow], level)
                for channel in channels[flow]:
                    left[channel] = max(left[channel] - share, 0.0)
        active = [flow for flow, stop in zip(active, stops, strict=True) if not stop]
    return shares


class _Flow:
    """One activity in progress: what remains, in picoseconds at full rate, and how fast it goes."""

    __slots__ = ("channels", "demand", "key", "rate", "remaining_ps")

    def __init__(self, key: int, work_ps: float, demand: float, channels: tuple[int, ...]) -> None:
        self.key = key
        self.remaining_ps = work_ps
        self.rate: float = 1
        self.demand = demand
        self.channels = channels


class Fluid:
    """Flows over channels that none but they use.

    A flow that gets its whole demand runs at rate 1, in exact integers; a flow that gets less is slowed in proportion.
    Completion times round up to the picosecond, and flows within 1 ps of a completion finish with it. During an instant
    flows `join` and end; a fluid that changed puts itself on the list `changed`, and the caller refreshes it once, at
    the end of the instant.
    """

    __slots__ = (
        "_capacities",
        "_changed",
        "_clock",
        "_done",
        "_flows",
        "_listed",
        "_settle",
        "_since_ps",
        "_wake_ps",
    )

    def __init__(
        self,
        clock: Clock,
        capacities: Sequence[float],
        changed: list[Fluid],
        done: Callable[[int], None],
        settle: Callable[[], None],
    ) -> None:
        """Prepare channels.

        Args:
            clock: Simulated time.
            capacities: Bytes per second of each channel.
            changed: Where to ask for a refresh.
            done: Called with the key of a flow when it ends.
            settle: Called at the end of every event.
        """
        self._clock = clock
        self._capacities = list(capacities)
        self._changed = changed
        self._listed = False
        self._done = done
        self._settle = settle
        self._flows: list[_Flow] = []
        self._since_ps = 0
        self._wake_ps = _NEVER

    def join(self, key: int, work_ps: float, demand: float, channels: tuple[int, ...]) -> None:
        """Add a flow that would take `work_ps` at its full `demand`."""
        self._advance()
        self._flows.append(_Flow(key, work_ps, demand, channels))
        self._ask_refresh()

    def _ask_refresh(self) -> None:
        if not self._listed:
            self._listed = True
            self._changed.append(self)

    def refresh(self) -> None:
        """Share the channels among the present flows and schedule the next completion."""
        self._listed = False
        flows = self._flows
        if not flows:
            return
        self._advance()
        self._set_rates()
        soonest = min([flow.remaining_ps / flow.rate for flow in flows])
        due = self._clock.now + math.ceil(soonest - 1e-6 - soonest * 1e-15)
        if due < self._wake_ps:
            self._wake_ps = due
            self._clock.after(due - self._clock.now, self._wake)

    def _set_rates(self) -> None:
        flows = self._flows
        used = [0.0] * len(self._capacities)
        for flow in flows:
            for channel in flow.channels:
                used[channel] += flow.demand
        if all(total <= capacity * (1 + 1e-12) for total, capacity in zip(used, self._capacities, strict=True)):
            for flow in flows:
                flow.rate = 1
            return
        shares = max_min_shares([f.demand for f in flows], [f.channels for f in flows], self._capacities)
        for flow, share in zip(flows, shares, strict=True):
            flow.rate = 1 if share >= flow.demand else share / flow.demand

    def _advance(self) -> None:
        """Progress every flow to now at the rates set last."""
        elapsed = self._clock.now - self._since_ps
        if elapsed:
            self._since_ps += elapsed
            for flow in self._flows:
                flow.remaining_ps -= flow.rate * elapsed

    def _wake(self, _: Event) -> None:
        """Finish the flows that are due; a timeout overtaken by an earlier one does nothing."""
        if self._clock.now == self._wake_ps:
            self._wake_ps = _NEVER
            self._advance()
            ended = [flow for flow in self._flows if flow.remaining_ps < flow.rate]
            self._flows = [flow for flow in self._flows if flow.remaining_ps >= flow.rate]
            self._ask_refresh()
            for flow in ended:
                self._done(flow.key)
        self._settle()
