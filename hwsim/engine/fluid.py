"""Bandwidth as a fluid: flows progress at max-min fair shares, and only changes of the active set cost events."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from operator import attrgetter

from simpy.events import Event

from hwsim.engine.clock import Clock

__all__ = ["Fluid", "max_min_shares"]

_NEVER = 1 << 62
_SLACK = 1e-12
"""Relative error of a sum of demands that just fits."""
_ROUNDING = 1e-15
"""Relative error of a quotient of floats, a few times over: 30 ps that come out as 30.000000000000004 are 30."""
_SAME_PS = 1e-6
"""Differences below this, in picoseconds, come from rounding."""


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

    __slots__ = ("channels", "demand", "draws_from_ps", "key", "rate", "remaining_ps")

    def __init__(
        self, key: int, remaining_ps: float, draws_from_ps: int, demand: float, channels: tuple[int, ...]
    ) -> None:
        self.key = key
        self.remaining_ps = remaining_ps
        self.draws_from_ps = draws_from_ps
        self.rate: float = 1
        self.demand = demand
        self.channels = channels


_DEMAND = attrgetter("demand")


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
        "_joining",
        "_listed",
        "_settle",
        "_since_ps",
        "_slowed",
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
            capacities: Bytes per second of each channel; of a single one, every flow crosses it.
            changed: Where to ask for a refresh.
            done: Called with the key of a flow when it ends.
            settle: Called at the end of every event.
        """
        self._clock = clock
        self._capacities = list(capacities)
        self._changed = changed
        self._done = done
        self._settle = settle
        self._flows: list[_Flow] = []
        self._joining: list[_Flow] = []
        self._listed = False
        self._since_ps = 0
        self._slowed = False
        self._wake_ps = _NEVER

    def join(self, key: int, overhead_ps: int, work_ps: float, demand: float, channels: tuple[int, ...]) -> None:
        """Add a flow that draws nothing for `overhead_ps` and would then take `work_ps` at its full `demand`."""
        draws_from = self._clock.now + overhead_ps
        self._joining.append(_Flow(key, overhead_ps + work_ps, draws_from, demand, channels))
        if not self._listed:
            self._listed = True
            self._changed.append(self)

    def refresh(self) -> None:
        """Share the channels among the present flows and schedule the next completion."""
        self._listed = False
        now = self._clock.now
        flows = self._flows
        if now != self._since_ps:
            self._advance(now)
        if self._joining:
            flows += self._joining
            self._joining = []
        if not flows:
            return
        if self._fits(flows):
            if self._slowed:
                self._slowed = False
                for flow in flows:
                    flow.rate = 1
            soonest = min([flow.remaining_ps for flow in flows])
        else:
            self._slowed = True
            soonest = self._slow_down(now)
        due = now + math.ceil(soonest - soonest * _ROUNDING - _SAME_PS)
        if due < self._wake_ps:
            self._wake_ps = due
            self._clock.after(due - now, self._wake)

    def _fits(self, flows: list[_Flow]) -> bool:
        """Return True if every flow can have its whole demand, now or after its overhead."""
        capacities = self._capacities
        if len(capacities) == 1:
            total = 0.0
            for flow in flows:
                total += flow.demand
            return total <= capacities[0] * (1 + _SLACK)
        used = [0.0] * len(capacities)
        for flow in flows:
            for channel in flow.channels:
                used[channel] += flow.demand
        return all(load <= capacity * (1 + _SLACK) for load, capacity in zip(used, capacities, strict=True))

    def _slow_down(self, now_ps: int) -> float:
        """Set every rate to the part of its demand that the flow gets, and return the time until that may change."""
        flows = [flow for flow in self._flows if flow.draws_from_ps <= now_ps]
        if len(self._capacities) == 1:
            soonest = self._fill(flows)
        else:
            shares = max_min_shares([f.demand for f in flows], [f.channels for f in flows], self._capacities)
            for flow, share in zip(flows, shares, strict=True):
                flow.rate = 1 if share >= flow.demand else share / flow.demand
            soonest = min([flow.remaining_ps / flow.rate for flow in flows], default=math.inf)
        if len(flows) < len(self._flows):
            waiting = [flow.draws_from_ps - now_ps for flow in self._flows if flow.draws_from_ps > now_ps]
            soonest = min(soonest, *waiting)
        return soonest

    def _fill(self, flows: list[_Flow]) -> float:
        """Share a single channel, small demands first, and return the time until the first flow ends."""
        flows.sort(key=_DEMAND)
        left, sharers = self._capacities[0], len(flows)
        soonest = math.inf
        for flow in flows:
            share = left / sharers
            if flow.demand <= share:
                flow.rate = 1
                left -= flow.demand
                ends_in = flow.remaining_ps
            else:
                flow.rate = rate = share / flow.demand
                left -= share
                ends_in = flow.remaining_ps / rate
            sharers -= 1
            soonest = min(soonest, ends_in)
        return soonest

    def _advance(self, now_ps: int) -> None:
        """Progress every flow to now at the rates set last."""
        elapsed = now_ps - self._since_ps
        self._since_ps = now_ps
        for flow in self._flows:
            flow.remaining_ps -= flow.rate * elapsed

    def _wake(self, _: Event) -> None:
        """Finish the flows that are due; a timeout overtaken by an earlier one does nothing."""
        now = self._clock.now
        if now == self._wake_ps:
            self._wake_ps = _NEVER
            elapsed = now - self._since_ps
            self._since_ps = now
            going: list[_Flow] = []
            ended: list[int] = []
            for flow in self._flows:
                flow.remaining_ps = left = flow.remaining_ps - flow.rate * elapsed
                if left < flow.rate:
                    ended.append(flow.key)
                else:
                    going.append(flow)
            self._flows = going
            if not self._listed:
                self._listed = True
                self._changed.append(self)
            for key in ended:
                self._done(key)
        self._settle()
