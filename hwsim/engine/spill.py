"""Memory that writes idle tensors out when it overflows, and reads them back before use."""

from __future__ import annotations

from dataclasses import dataclass

from hwsim.engine.liveness import Liveness
from hwsim.engine.plan import Plan
from hwsim.engine.program import VIEW, Program
from hwsim.errors import InputError, OutOfMemoryError

__all__ = ["SpillingMemory", "Traffic"]


@dataclass(slots=True, kw_only=True)
class Traffic:
    """Bytes that one activity waits for, in one memory."""

    memory: int
    written_bytes: int = 0
    read_bytes: int = 0


class SpillingMemory(Liveness):
    """Liveness in which a memory may push its largest idle tensors over a link.

    Tensors never change once made, so one that was written out before, and a resident one, which came from outside, is
    dropped without another write. What a running activity reads or makes is pinned. A view reads nothing.

    Attributes:
        traffic: What the activity started last has to wait for; the caller takes it.
    """

    def __init__(self, plan: Plan, program: Program) -> None:
        """Place what is resident, the largest outside if not all of it fits.

        Raises:
            InputError: A view makes bytes, so that somebody would have to wait who holds no device.
            OutOfMemoryError: The residents do not fit and the memory may not spill.
        """
        buffers = plan.buffers
        self._outside = bytearray(len(buffers))
        self._saved = bytearray(len(buffers))
        self._pins = [0] * len(buffers)
        self._may_spill = [memory.allow_spill and memory.spill_to >= 0 for memory in plan.memories]
        self._reads: list[list[int]] = [[] for _ in program.route]
        producers = program.activity(buffers.producer).tolist()
        consumers = program.activity(buffers.consumers.item).tolist()
        for buffer, activity in zip(buffers.consumers.sources().tolist(), consumers, strict=True):
            if producers[buffer] != activity and program.route[activity] != VIEW:
                self._reads[activity].append(buffer)
        for buffer, activity in enumerate(producers):
            if activity >= 0 and program.route[activity] == VIEW and buffers.size_bytes[buffer]:
                raise InputError(f"plan: {program.label(activity, plan)} is a view, yet makes {buffers.names[buffer]}")
        self.traffic: list[Traffic] = []
        super().__init__(plan, program)

    def _place_residents(self, residents: list[int]) -> None:
        for buffer in sorted(residents, key=lambda b: (self._size[b], b)):
            memory = self._memory[buffer]
            self._saved[buffer] = 1
            if self._may_spill[memory] and self.used[memory] + self._size[buffer] > self._capacity[memory]:
                self._outside[buffer] = 1
            else:
                self._take(buffer, -1)

    def start(self, activity: int) -> None:
        """Pin what an activity reads and makes, bring it in, and note the traffic.

        Raises:
            OutOfMemoryError: It does not fit even beside nothing but what others are using.
        """
        reads = self._reads[activity]
        made = self._made[self._made_start[activity] : self._made_start[activity + 1]]
        for buffer in (*reads, *made):
            self._pins[buffer] += 1
        missing = [buffer for buffer in dict.fromkeys(reads) if self._outside[buffer]]
        wanted = [*missing, *made]
        for memory in sorted({self._memory[buffer] for buffer in wanted}):
            entry = Traffic(memory=memory)
            here = [buffer for buffer in wanted if self._memory[buffer] == memory]
            room = self._capacity[memory] - self.used[memory] - sum(self._size[buffer] for buffer in here)
            if room < 0 and self._may_spill[memory]:
                entry.written_bytes = self._evict(memory, -room, here, activity)
            entry.read_bytes = sum(self._size[buffer] for buffer in here if self._outside[buffer])
            for buffer in here:
                self._outside[buffer] = 0
                self._take(buffer, activity)
            if entry.written_bytes or entry.read_bytes:
                self.traffic.append(entry)

    def _evict(self, memory: int, excess_bytes: float, wanted: list[int], activity: int) -> int:
        """Push out the largest idle tensors and return the bytes that had to be written."""
        idle = [
            buffer
            for buffer, alive in enumerate(self._alive)
            if alive and self._memory[buffer] == memory and not self._outside[buffer] and not self._pins[buffer]
        ]
        written = 0
        for buffer in sorted(idle, key=lambda b: (-self._size[b], b)):
            if excess_bytes <= 0:
                break
            excess_bytes -= self._size[buffer]
            self.used[memory] -= self._size[buffer]
            written += 0 if self._saved[buffer] else self._size[buffer]
            self._outside[buffer] = self._saved[buffer] = 1
        if excess_bytes > 0:
            largest = max(wanted, key=lambda b: (self._size[b], -b))
            raise OutOfMemoryError(self._overflow(largest, activity))
        return written

    def end(self, activity: int) -> None:
        """Unpin what an activity used and free what it was the last to need."""
        made = self._made[self._made_start[activity] : self._made_start[activity + 1]]
        for buffer in (*self._reads[activity], *made):
            self._pins[buffer] -= 1
        for buffer in self._used_by[self._used_by_start[activity] : self._used_by_start[activity + 1]]:
            self._uses_left[buffer] -= 1
            if not self._uses_left[buffer]:
                self._alive[buffer] = 0
                if not self._outside[buffer]:
                    self.used[self._memory[buffer]] -= self._size[buffer]
