"""Memory by liveness: a tensor is there from the start of its producer to the end of its last consumer."""

from __future__ import annotations

import numpy as np

from hwsim.engine.plan import Csr, Plan
from hwsim.engine.program import Program
from hwsim.errors import OutOfMemoryError
from hwsim.units import format_quantity

__all__ = ["Liveness"]

_NAMED = 5
"""How many live tensors an overflow names."""


class Liveness:
    """Bytes in use of every memory, as activities start and end.

    Attributes:
        used: Bytes in use now, (memories,).
        peak: Most bytes in use so far, (memories,).
    """

    def __init__(self, plan: Plan, program: Program) -> None:
        """Place what is resident.

        Raises:
            OutOfMemoryError: The residents alone do not fit.
        """
        buffers = plan.buffers
        self._plan = plan
        self._program = program
        self._capacity = [memory.capacity_bytes for memory in plan.memories]
        self._memory: list[int] = buffers.memory.tolist()
        self._size: list[int] = buffers.size_bytes.tolist()
        activities = len(program.route)
        producer = program.activity(buffers.producer)
        made = np.flatnonzero(producer >= 0)
        rows = Csr.from_pairs(activities, producer[made], made)
        self._made_start, self._made = rows.start.tolist(), rows.item.tolist()
        owner, consumer = buffers.consumers.sources(), program.activity(buffers.consumers.item)
        transient = producer[owner] >= 0
        uses = Csr.from_pairs(activities, consumer[transient], owner[transient])
        self._used_by_start, self._used_by = uses.start.tolist(), uses.item.tolist()
        self._uses_left: list[int] = np.diff(buffers.consumers.start).tolist()
        self._alive = bytearray(len(buffers))
        self.used = [0] * len(plan.memories)
        self.peak = [0] * len(plan.memories)
        self._place_residents(np.flatnonzero(producer < 0).tolist())

    def _place_residents(self, residents: list[int]) -> None:
        for buffer in residents:
            self._take(buffer, -1)

    def start(self, activity: int) -> None:
        """Allocate what an activity makes.

        Raises:
            OutOfMemoryError: It does not fit.
        """
        rows, used = self._made_start, self.used
        for buffer in self._made[rows[activity] : rows[activity + 1]]:
            memory = self._memory[buffer]
            used[memory] = total = used[memory] + self._size[buffer]
            if total > self.peak[memory]:
                if total > self._capacity[memory]:
                    used[memory] -= self._size[buffer]
                    raise OutOfMemoryError(self._overflow(buffer, activity))
                self.peak[memory] = total
            self._alive[buffer] = 1

    def _take(self, buffer: int, activity: int) -> None:
        """Allocate one buffer.

        Raises:
            OutOfMemoryError: It does not fit.
        """
        memory = self._memory[buffer]
        used = self.used[memory] + self._size[buffer]
        if used > self._capacity[memory]:
            raise OutOfMemoryError(self._overflow(buffer, activity))
        self.used[memory] = used
        self.peak[memory] = max(self.peak[memory], used)
        self._alive[buffer] = 1

    def end(self, activity: int) -> None:
        """Free what an activity was the last to need."""
        rows, uses_left = self._used_by_start, self._uses_left
        for buffer in self._used_by[rows[activity] : rows[activity + 1]]:
            uses_left[buffer] = left = uses_left[buffer] - 1
            if not left:
                self._alive[buffer] = 0
                self.used[self._memory[buffer]] -= self._size[buffer]

    def _overflow(self, buffer: int, activity: int) -> str:
        """Return the message: which memory, its capacity, the need and the largest live tensors."""
        names, memory = self._plan.buffers.names, self._memory[buffer]
        live = [b for b, alive in enumerate(self._alive) if alive and self._memory[b] == memory]
        largest = sorted(live, key=lambda b: (-self._size[b], b))[:_NAMED]
        listed = ", ".join(f"{names[b]} {_bytes(self._size[b])}" for b in largest) or "none"
        wanted_by = self._program.label(activity, self._plan)
        wanted = "its output" if names[buffer] == wanted_by else names[buffer]
        return (
            f"memory {self._plan.memories[memory].name}: capacity {_bytes(self._capacity[memory])}, "
            f"{_bytes(self.used[memory])} in use: {wanted_by} needs {_bytes(self._size[buffer])} more for {wanted}; "
            f"largest live tensors: {listed}; use a smaller batch or a narrower number format, or allow spilling"
        )


def _bytes(size: float) -> str:
    return format_quantity(size, "B")
