"""Links: latency, then bytes at a fair share of every channel crossed, or one transfer at a time."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable

from simpy.events import Event

from hwsim.engine.clock import Clock
from hwsim.engine.fluid import Fluid
from hwsim.engine.plan import LinkPlan, Plan

__all__ = ["Links"]

_PS_PER_S = 1e12


def _components(plan: Plan) -> list[list[int]]:
    """Return groups of links: links that share a channel, however indirectly, are in one group."""
    group = list(range(len(plan.links)))
    first_on: dict[int, int] = {}
    for link, spec in enumerate(plan.links):
        for channel in spec.channels:
            old, new = group[link], group[first_on.setdefault(channel, link)]
            group = [new if value == old else value for value in group]
    return [[link for link, value in enumerate(group) if value == root] for root in sorted({*group})]


class Links:
    """All links of a system; an activity on its way is a key."""

    __slots__ = ("_arrived", "_bandwidth", "_channels", "_clock", "_fluid", "_links", "_queue", "_settle")

    def __init__(
        self,
        clock: Clock,
        plan: Plan,
        changed: list[Fluid],
        arrived: Callable[[int], None],
        settle: Callable[[], None],
    ) -> None:
        """Prepare the links of a plan.

        Args:
            clock: Simulated time.
            plan: Whose links and channels.
            changed: Where fluids ask for a refresh.
            arrived: Called with the key of what arrived.
            settle: Called at the end of every event.
        """
        self._clock = clock
        self._links = plan.links
        self._arrived = arrived
        self._settle = settle
        links = len(plan.links)
        widths = [link.bandwidth_bytes_per_s for link in plan.links]
        widths += [channel.bandwidth_bytes_per_s for channel in plan.channels]
        own = [[link, *(links + channel for channel in spec.channels)] for link, spec in enumerate(plan.links)]
        self._bandwidth = [min(widths[channel] for channel in crossed) for crossed in own]
        limits = [[channel for channel in crossed if widths[channel] < math.inf] for crossed in own]
        self._fluid: list[Fluid] = [Fluid(clock, (), changed, arrived, settle)] * links
        self._channels: list[tuple[int, ...]] = [()] * links
        self._queue: list[deque[tuple[int, float]]] = [deque()] * links
        for members in _components(plan):
            crossed = sorted({channel for link in members for channel in limits[link]})
            fluid: Fluid = Fluid(clock, [widths[channel] for channel in crossed], changed, arrived, settle)
            queue: deque[tuple[int, float]] = deque()
            for link in members:
                self._fluid[link], self._queue[link] = fluid, queue
                self._channels[link] = tuple(crossed.index(channel) for channel in limits[link])

    def send(self, key: int, link: int, size_bytes: float) -> None:
        """Put something on its way; `arrived(key)` is called when the last byte is there."""
        spec: LinkPlan = self._links[link]
        if spec.latency_ps:
            self._after(spec.latency_ps, lambda: self._enter(key, link, size_bytes))
        else:
            self._enter(key, link, size_bytes)

    def _enter(self, key: int, link: int, size_bytes: float) -> None:
        bandwidth = self._bandwidth[link]
        work_ps = size_bytes * _PS_PER_S / bandwidth
        if not work_ps:
            self._after(0, lambda: self._arrived(key))
        elif self._links[link].discipline == "fair":
            self._fluid[link].join(key, 0, work_ps, bandwidth, self._channels[link])
        else:
            queue = self._queue[link]
            queue.append((key, work_ps))
            if len(queue) == 1:
                self._serve(queue)

    def _serve(self, queue: deque[tuple[int, float]]) -> None:
        """Carry the head of a fifo queue to its end, then the next."""
        key, work_ps = queue[0]

        def served() -> None:
            queue.popleft()
            if queue:
                self._serve(queue)
            self._arrived(key)

        self._after(math.ceil(work_ps - work_ps * 1e-15), served)

    def _after(self, wait_ps: int, action: Callable[[], None]) -> None:
        def fire(_: Event) -> None:
            action()
            self._settle()

        self._clock.after(wait_ps, fire)
