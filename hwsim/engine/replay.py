"""The event loop: replays a plan in simulated time, one event chain per device, link and shared memory."""

from __future__ import annotations

from heapq import heappop, heappush
from typing import Any

import numpy as np
from simpy.events import Event

from hwsim.engine.clock import Clock
from hwsim.engine.deadlock import explain_deadlock
from hwsim.engine.fluid import Fluid
from hwsim.engine.links import Links
from hwsim.engine.liveness import Liveness
from hwsim.engine.meetings import StrictDispatch
from hwsim.engine.outcome import MemorySamples, Run, Spill
from hwsim.engine.plan import Plan
from hwsim.engine.program import COLLECTIVE, VIEW, compile_plan
from hwsim.engine.spill import SpillingMemory, Traffic
from hwsim.errors import DeadlockError

__all__ = ["run"]


def run(plan: Plan, *, record: bool = True) -> Run:
    """Replay a plan and return what happened. The same plan gives the same run, bit for bit.

    Args:
        plan: Work, placed and priced.
        record: True to keep the memory samples.

    Raises:
        OutOfMemoryError: A memory overflows and may not spill.
        DeadlockError: Some task waits for ever.
    """
    replay = _Replay(plan, record=record)
    replay.go()
    return replay.outcome()


class _Replay:
    """State of one replay. An instant ends when no event is left at its time: then devices pick, flows are shared."""

    def __init__(self, plan: Plan, *, record: bool) -> None:
        self._plan = plan
        self._clock = Clock()
        self._program = program = compile_plan(plan)
        activities = len(program.route)
        self._start = [-1] * activities
        self._end = [-1] * activities
        self._ready: list[list[int]] = [[] for _ in plan.devices]
        self._slots = [device.queues for device in plan.devices]
        self._touched: list[int] = []
        self._views: list[int] = []
        self._departing: list[int] = []
        self._changed: list[Fluid] = []
        self._links = Links(self._clock, plan, self._changed, self._arrived, self._settle)
        self._pools, self._crossed = self._shared_memories()
        self._memory = self._tracked_memory()
        self._spilling_memory = self._memory if isinstance(self._memory, SpillingMemory) else None
        self._record = record
        self._sampled = [-1] * len(plan.memories)
        self._sample_times: list[int] = []
        self._sample_rows: list[int] = []
        self._spilling: dict[int, tuple[int, Traffic]] = {}
        self._spill_waits: dict[int, int] = {}
        self._spill_key = activities
        self._spills: list[Spill] = []
        strict = bool(program.participants) or any(device.in_order for device in plan.devices)
        self._strict = StrictDispatch(plan, program, self._ready, self._slots, self._begin) if strict else None

    def _shared_memories(self) -> tuple[list[Fluid], list[tuple[int, ...]]]:
        """Return a fluid per memory, and the channels that flows of each device cross.

        Channel 0 is the bandwidth of the memory; the others are ports, of devices with several queues to fill them.
        """
        widths = [[memory.bandwidth_bytes_per_s] for memory in self._plan.memories]
        crossed: list[tuple[int, ...]] = []
        for device in self._plan.devices:
            if device.memory >= 0 and device.queues > 1:
                crossed.append((0, len(widths[device.memory])))
                widths[device.memory].append(device.port_bytes_per_s)
            else:
                crossed.append((0,))
        fluids = [Fluid(self._clock, width, self._changed, self._task_carried, self._settle) for width in widths]
        return fluids, crossed

    def _tracked_memory(self) -> Liveness | None:
        if not len(self._plan.buffers):
            return None
        spills = any(memory.allow_spill and memory.spill_to >= 0 for memory in self._plan.memories)
        return (SpillingMemory if spills else Liveness)(self._plan, self._program)

    def go(self) -> None:
        """Run until nothing is left to do.

        Raises:
            DeadlockError: Some work was never done.
        """
        program = self._program
        for time_ps, tasks in program.releases:
            self._clock.after(time_ps, self._release, tasks)
        for activity in [a for a, count in enumerate(program.pending) if not count]:
            self._enqueue(activity)
        self._settle()
        self._clock.run()
        if -1 in self._end:
            raise DeadlockError(explain_deadlock(self._plan, program, self._end, self._strict))

    def _enqueue(self, activity: int) -> None:
        """Put an activity that waits for nothing any more where it will be served."""
        route = self._program.route[activity]
        if route >= 0:
            heappush(self._ready[route], activity)
            self._touched.append(route)
        elif route == COLLECTIVE:
            for device in self._program.participants[activity]:
                heappush(self._ready[device], activity)
                self._touched.append(device)
        elif route == VIEW:
            self._views.append(activity)
        else:
            self._departing.append(activity)

    def _release(self, event: Event) -> None:
        """Let tasks go whose time of arrival has come."""
        for activity in event.value or ():
            self._program.pending[activity] -= 1
            if not self._program.pending[activity]:
                self._enqueue(activity)
        self._settle()

    def _complete(self, activity: int) -> None:
        """Note the end of an activity, free what only it needed and count down its successors."""
        self._end[activity] = self._clock.now
        if self._memory is not None:
            self._memory.end(activity)
        program = self._program
        pending, rows = program.pending, program.succ_start
        for successor in program.succ[rows[activity] : rows[activity + 1]]:
            pending[successor] = left = pending[successor] - 1
            if not left:
                device = program.route[successor]
                if device >= 0:
                    heappush(self._ready[device], successor)
                    self._touched.append(device)
                else:
                    self._enqueue(successor)

    def _task_done(self, event: Any) -> None:
        self._task_carried(event.value)
        self._settle()

    def _task_carried(self, task: int) -> None:
        """Give back what a task held."""
        device = self._program.route[task]
        if device >= 0:
            self._slots[device] += 1
            self._touched.append(device)
        else:
            for device in self._program.participants[task]:
                self._slots[device] += 1
                self._touched.append(device)
        self._complete(task)

    def _settle(self) -> None:
        """If the instant is over: finish views, start what can start, share bandwidth anew, sample memory."""
        if not self._clock.instant_is_over():
            return
        while self._views:
            view = self._views.pop()
            self._start[view] = self._clock.now
            if self._memory is not None:
                self._memory.start(view)
            self._complete(view)
        if self._strict is not None:
            self._strict.dispatch(self._touched)
            self._touched = []
        else:
            for device in self._touched:
                heap = self._ready[device]
                while heap and self._slots[device]:
                    self._slots[device] -= 1
                    self._begin(heappop(heap))
            self._touched.clear()
        if self._departing:
            for transfer in sorted(self._departing):
                self._begin(transfer)
            self._departing.clear()
        if self._changed:
            for fluid in self._changed:
                fluid.refresh()
            self._changed.clear()
        if self._record and self._memory is not None and self._memory.used != self._sampled:
            self._sampled = self._memory.used.copy()
            self._sample_times.append(self._clock.now)
            self._sample_rows.extend(self._sampled)

    def _begin(self, activity: int) -> None:
        """Start a task that holds its device, or a transfer; work waits for spill traffic."""
        self._start[activity] = self._clock.now
        if self._memory is not None:
            self._memory.start(activity)
            if self._spilling_memory is not None and self._spilling_memory.traffic:
                self._await_spill(activity, self._spilling_memory)
                return
        self._work(activity)

    def _work(self, activity: int) -> None:
        program = self._program
        if activity >= program.tasks:
            transfer = activity - program.tasks
            transfers = self._plan.transfers
            self._links.send(activity, int(transfers.link[transfer]), float(transfers.size_bytes[transfer]))
        elif program.pool and program.pool[activity] >= 0:
            overhead = program.overhead_ps[activity]
            work = program.duration_ps[activity] - overhead
            channels = self._crossed[program.route[activity]]
            self._pools[program.pool[activity]].join(activity, overhead, work, program.demand[activity], channels)
        else:
            self._clock.after(program.duration_ps[activity], self._task_done, activity)

    def _await_spill(self, activity: int, memory: SpillingMemory) -> None:
        """Send what must leave and come before an activity can go on."""
        waits = memory.traffic
        memory.traffic = []
        self._spill_waits[activity] = len(waits)
        for entry in waits:
            link = self._plan.memories[entry.memory].spill_to
            self._spilling[self._spill_key] = (activity, entry)
            self._links.send(self._spill_key, link, entry.written_bytes + entry.read_bytes)
            self._spill_key += 1

    def _arrived(self, key: int) -> None:
        """Complete a transfer, or let the activity go on that waited for spill traffic."""
        if key < len(self._end):
            self._complete(key)
            return
        activity, entry = self._spilling.pop(key)
        self._spills.append(
            Spill(
                activity=self._plan_number(activity),
                memory=entry.memory,
                link=self._plan.memories[entry.memory].spill_to,
                written_bytes=entry.written_bytes,
                read_bytes=entry.read_bytes,
                start_ps=self._start[activity],
                end_ps=self._clock.now,
            )
        )
        self._spill_waits[activity] -= 1
        if not self._spill_waits[activity]:
            del self._spill_waits[activity]
            self._work(activity)

    def _plan_number(self, activity: int) -> int:
        """Return what the plan calls an activity."""
        if activity >= self._program.tasks:
            return activity
        return int(np.flatnonzero(self._program.rank == activity)[0])

    def _samples(self, memory: int) -> MemorySamples:
        """Return the samples of one memory, without those that only another memory changed at."""
        times = np.array(self._sample_times, dtype=np.int64)
        used = np.array(self._sample_rows, dtype=np.int64).reshape(-1, len(self._plan.memories))
        changed = np.diff(used[:, memory], prepend=-1) != 0
        return MemorySamples(time_ps=times[changed], used_bytes=used[changed, memory])

    def outcome(self) -> Run:
        """Return what happened, numbered as in the plan."""
        tasks, rank, memories = self._program.tasks, self._program.rank, len(self._plan.memories)
        start, end = np.array(self._start, dtype=np.int64), np.array(self._end, dtype=np.int64)
        return Run(
            plan=self._plan,
            start_ps=start[rank],
            end_ps=end[rank],
            makespan_ps=int(end.max(initial=0)),
            transfer_start_ps=start[tasks:],
            transfer_end_ps=end[tasks:],
            memory_peak_bytes=np.array(self._memory.peak if self._memory else [0] * memories, dtype=np.int64),
            memory_samples=tuple(self._samples(memory) for memory in range(memories)),
            spills=tuple(self._spills),
            events=self._clock.events,
        )
