"""One replayed phase with what it cost: the raw material of every report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Columns", "Record"]

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Columns:
    """What each task cost on the device it ran on; every column has shape (tasks,).

    ``bound`` holds indices into the names compute, memory, overhead, link. ``utilization`` is useful
    operations over peak x time alone. ``link_j`` is what collectives spend on links, all their participants together.
    """

    alone_s: FloatArray
    dram_bytes: FloatArray
    compute_j: FloatArray
    memory_j: FloatArray
    link_j: FloatArray
    active_j: FloatArray
    flop: FloatArray
    utilization: FloatArray
    bound: NDArray[np.int8]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Record:
    """``repeats`` equal replays of a phase, one after another; the first starts at ``offset_ps``.

    Attributes:
        phase: Name of the phase.
        index: Which of its repeats the first one is.
        repeats: How many equal ones follow each other.
        offset_ps: When the first starts.
        period_ps: How long each takes.
        names: Of the tasks.
        kinds: Operator kind of each task.
        device: Device index of each task, -1 for a view.
        start_ps: Relative to the repeat's start, (tasks,).
        end_ps: Likewise.
        columns: What the tasks cost.
        busy_ps: Time each device is held in one repeat, (devices,).
        transfers: (link index, bytes, start_ps, end_ps, tensor) of each transfer of one repeat.
        memory_peak_bytes: Most in use, (memories,).
        memory_samples: (time_ps, used_bytes) of each memory in one repeat.
        clock: Clock relative to nominal, by device, below 1 under a power cap.
        policy: Placement policy that decided.
        spilled_bytes: Bytes written to and read from host memory in one repeat.
        held: (task, device) pairs of who held what, if collectives held several devices, (2, pairs).
        edges: (source, target) activities, tasks then transfers: the target waits for the source, (2, edges).
    """

    phase: str
    index: int
    repeats: int
    offset_ps: int
    period_ps: int
    names: Sequence[str]
    kinds: Sequence[str]
    device: IntArray
    start_ps: IntArray
    end_ps: IntArray
    columns: Columns
    busy_ps: IntArray
    transfers: Sequence[tuple[int, float, int, int, str]]
    memory_peak_bytes: IntArray
    memory_samples: Sequence[tuple[IntArray, IntArray]]
    clock: FloatArray
    policy: str
    spilled_bytes: float = 0.0
    held: IntArray | None = None
    edges: IntArray | None = None

    @property
    def end_offset_ps(self) -> int:
        """When the last repeat ends."""
        return self.offset_ps + self.repeats * self.period_ps

    @property
    def stretch(self) -> FloatArray:
        """How much longer each task took than alone (sharing), at least 1, (tasks,)."""
        alone = self.columns.alone_s * 1e12
        took = (self.end_ps - self.start_ps).astype(np.float64)
        ratio = np.divide(took, alone, out=np.ones_like(alone), where=alone > 0)
        return np.maximum(ratio, 1.0)

    @property
    def energy_j(self) -> FloatArray:
        """Dynamic energy and active floor of each task in one repeat, waiting for shared memory included, (tasks,)."""
        columns = self.columns
        found: FloatArray = columns.compute_j + columns.memory_j + columns.active_j * self.stretch
        return found
