"""What the engine replays: plain arrays, no operators, no specs, no formulas.

A `Plan` is one phase of work, placed and priced: who runs what (`device`), how long each task takes alone
(`duration_ps`), what must end before it starts (`successors`, `transfers`) and what it keeps in memory (`buffers`).
Tasks, transfers, buffers, devices, memories, links and channels are named by their index. Times are whole picoseconds.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from hwsim.errors import InputError

__all__ = [
    "BufferTable",
    "ChannelPlan",
    "Csr",
    "DevicePlan",
    "Discipline",
    "LinkPlan",
    "MemoryPlan",
    "Plan",
    "TransferTable",
]

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]
Discipline = Literal["fair", "fifo"]


def _integers(values: npt.ArrayLike) -> IntArray:
    """Return `values` as a contiguous int64 column."""
    return np.ascontiguousarray(values, dtype=np.int64)


def _floats(values: npt.ArrayLike) -> FloatArray:
    """Return `values` as a contiguous float64 column."""
    return np.ascontiguousarray(values, dtype=np.float64)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Csr:
    """Rows of integers, stored one after the other (compressed sparse rows).

    >>> Csr.from_rows([[1, 2], [], [0]]).start
    array([0, 2, 2, 3])

    Attributes:
        start: Where each row begins in `item`, and the total, (rows + 1,).
        item: The rows, concatenated, (total,).
    """

    start: IntArray
    item: IntArray

    @classmethod
    def from_rows(cls, rows: Iterable[Sequence[int]]) -> Csr:
        """Return the rows given as sequences."""
        lists = [list(row) for row in rows]
        start = np.zeros(len(lists) + 1, dtype=np.int64)
        np.cumsum([len(row) for row in lists], out=start[1:])
        return cls(start=start, item=_integers([value for row in lists for value in row]))

    @classmethod
    def from_pairs(cls, rows: int, source: npt.ArrayLike, target: npt.ArrayLike) -> Csr:
        """Return row `source[i]` holding `target[i]`; targets of one row keep their order.

        Args:
            rows: Number of rows.
            source: Row of each pair, (pairs,).
            target: Value of each pair, (pairs,).
        """
        row, value = _integers(source), _integers(target)
        start = np.zeros(rows + 1, dtype=np.int64)
        np.cumsum(np.bincount(row, minlength=rows), out=start[1:])
        return cls(start=start, item=value[np.argsort(row, kind="stable")])

    @classmethod
    def empty(cls, rows: int) -> Csr:
        """Return `rows` empty rows."""
        return cls(start=np.zeros(rows + 1, dtype=np.int64), item=np.zeros(0, dtype=np.int64))

    def __len__(self) -> int:
        return len(self.start) - 1

    def row(self, index: int) -> list[int]:
        """Return one row as a list."""
        values: list[int] = self.item[self.start[index] : self.start[index + 1]].tolist()
        return values

    def sources(self) -> IntArray:
        """Return the row of every item, (total,)."""
        return np.repeat(np.arange(len(self), dtype=np.int64), np.diff(self.start))

    def transposed(self, rows: int) -> Csr:
        """Return the rows of the inverse relation: row v lists every row that holds v, in order."""
        return Csr.from_pairs(rows, self.item, self.sources())


@dataclass(frozen=True, slots=True, kw_only=True)
class DevicePlan:
    """A unit that runs tasks: one at a time, or as many as it has queues.

    Attributes:
        name: Its track in the trace.
        queues: Tasks it can run at once. `queues=3` is also a group of three identical machines with one list.
        memory: Index of the memory whose bandwidth its traffic shares with other units; -1 if none.
        port_bytes_per_s: What the unit itself can draw from that memory; its own queues share it.
        in_order: True to run its tasks strictly by (priority, index), as a command stream does; otherwise the first of
            that order that is *ready* goes next.
    """

    name: str
    queues: int = 1
    memory: int = -1
    port_bytes_per_s: float = float("inf")
    in_order: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryPlan:
    """A memory with a capacity and, if several units share it, a bandwidth.

    Attributes:
        name: Its counter in the trace.
        capacity_bytes: What fits; infinity tracks use without a limit.
        bandwidth_bytes_per_s: What all units together can draw.
        shared: True if units contend for the bandwidth; otherwise each task runs at its own pace.
        allow_spill: True to write idle buffers out when the memory overflows, instead of raising.
        spill_to: Index of the link that spilled buffers cross, both ways; -1 if none.
    """

    name: str
    capacity_bytes: float = float("inf")
    bandwidth_bytes_per_s: float = float("inf")
    shared: bool = False
    allow_spill: bool = False
    spill_to: int = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelPlan:
    """A bandwidth that several links share: a bus, one side of a network card, a switch."""

    name: str
    bandwidth_bytes_per_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkPlan:
    """One direction of a connection: a transfer takes the latency, then its bytes over what bandwidth it gets.

    Attributes:
        name: Its track in the trace.
        source: Device index of one end; -1 for the world outside.
        target: Device index of the other end; -1 for the world outside.
        latency_ps: Time before the first byte flows; it occupies nothing.
        bandwidth_bytes_per_s: Of this direction alone; infinity if only its channels limit it.
        discipline: "fair" shares by max-min fairness; "fifo" serves one transfer at a time in order of arrival.
        channels: Indices of the channels it crosses. A fifo link names at most one, and links on it form one queue.
    """

    name: str
    source: int = -1
    target: int = -1
    latency_ps: int = 0
    bandwidth_bytes_per_s: float = float("inf")
    discipline: Discipline = "fair"
    channels: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TransferTable:
    """Tensors that cross a link: each starts when its producer ends, and its consumers wait for it.

    Equal transfers (one tensor, one target) are merged by the caller, so one row may have several consumers. A consumer
    needs no edge from the producer besides. Transfers ready at the same instant start in the order of their rows.

    Attributes:
        producer: Task that makes the tensor; -1 if it is there from time 0, (transfers,).
        link: Index of the link crossed, (transfers,).
        size_bytes: What crosses, (transfers,).
        consumers: Tasks that wait, one row a transfer.
    """

    producer: IntArray
    link: IntArray
    size_bytes: FloatArray
    consumers: Csr

    @classmethod
    def from_rows(cls, rows: Iterable[tuple[int, int, float, Sequence[int]]]) -> TransferTable:
        """Return the table of (producer, link, bytes, consumers) rows."""
        table = list(rows)
        return cls(
            producer=_integers([row[0] for row in table]),
            link=_integers([row[1] for row in table]),
            size_bytes=_floats([row[2] for row in table]),
            consumers=Csr.from_rows(row[3] for row in table),
        )

    def __len__(self) -> int:
        return len(self.producer)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BufferTable:
    """Tensors that occupy memory: from the start of their producer to the end of their last consumer.

    Producers and consumers are *activities*: task t, or transfer k written as `tasks + k` (a copy is allocated when
    its transfer starts; the original lives until the transfer ends). A buffer nobody consumes is an output and stays.
    A buffer whose only consumer is its producer is a workspace. Producer -1 is resident: there from time 0 to the end.

    Attributes:
        names: For messages, (buffers,).
        size_bytes: Whole bytes, (buffers,).
        memory: Index of the memory, (buffers,).
        producer: Activity, or -1, (buffers,).
        consumers: Activities, one row a buffer.
    """

    names: Sequence[str]
    size_bytes: IntArray
    memory: IntArray
    producer: IntArray
    consumers: Csr

    @classmethod
    def from_rows(cls, rows: Iterable[tuple[str, int, int, int, Sequence[int]]]) -> BufferTable:
        """Return the table of (name, bytes, memory, producer, consumers) rows."""
        table = list(rows)
        return cls(
            names=[row[0] for row in table],
            size_bytes=_integers([row[1] for row in table]),
            memory=_integers([row[2] for row in table]),
            producer=_integers([row[3] for row in table]),
            consumers=Csr.from_rows(row[4] for row in table),
        )

    def __len__(self) -> int:
        return len(self.size_bytes)


def _no_transfers() -> TransferTable:
    return TransferTable.from_rows(())


def _no_buffers() -> BufferTable:
    return BufferTable.from_rows(())


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Plan:
    """One phase of work, placed and priced.

    Attributes:
        names: Of the tasks, for messages and the trace, (tasks,).
        device: Device index; -1 for a view, which completes at once, (tasks,).
        duration_ps: Time alone, overheads included, (tasks,).
        successors: Tasks that wait for each task (dependencies inside one device, or through unified memory).
        devices: Units that run tasks.
        overhead_ps: Leading part of `duration_ps` that moves no bytes and does not stretch under sharing, (tasks,).
        dram_bytes: Traffic to the shared memory of the task's device, (tasks,).
        priority: Lower goes first; ties by index, (tasks,).
        release_ps: Not before this time (arrivals), (tasks,).
        participants: Devices that a collective holds together; an empty row is an ordinary task on `device`.
        transfers: Tensors that cross links.
        buffers: Tensors that occupy memory.
        memories: Memories.
        links: Links.
        channels: Bandwidths shared by several links.

    Raises:
        InputError: A column has the wrong length, or an index or a time is out of range.
    """

    names: Sequence[str]
    device: npt.NDArray[Any]
    duration_ps: npt.NDArray[Any]
    successors: Csr
    devices: tuple[DevicePlan, ...]
    overhead_ps: npt.NDArray[Any] | None = None
    dram_bytes: npt.NDArray[Any] | None = None
    priority: npt.NDArray[Any] | None = None
    release_ps: npt.NDArray[Any] | None = None
    participants: Csr | None = None
    transfers: TransferTable = field(default_factory=_no_transfers)
    buffers: BufferTable = field(default_factory=_no_buffers)
    memories: tuple[MemoryPlan, ...] = ()
    links: tuple[LinkPlan, ...] = ()
    channels: tuple[ChannelPlan, ...] = ()

    def __post_init__(self) -> None:
        tasks = len(self.names)
        for name, dtype in (
            ("device", np.int64),
            ("duration_ps", np.int64),
            ("overhead_ps", np.int64),
            ("dram_bytes", np.float64),
            ("priority", np.int64),
            ("release_ps", np.int64),
        ):
            column = getattr(self, name)
            if column is not None:
                self._check_column(name, column, tasks)
                object.__setattr__(self, name, np.ascontiguousarray(column, dtype=dtype))
        self._check_indices(tasks)
        self._check_times()

    def __len__(self) -> int:
        return len(self.names)

    @staticmethod
    def _check_column(name: str, column: npt.NDArray[Any], tasks: int) -> None:
        if np.shape(column) != (tasks,):
            raise InputError(f"plan: {name}: has shape {np.shape(column)}; give one value per task, ({tasks},)")

    def _check_indices(self, tasks: int) -> None:
        transfers, buffers = self.transfers, self.buffers
        activities = tasks + len(transfers)
        for name, values, low, high in (
            ("device", self.device, -1, len(self.devices)),
            ("successors", self.successors.item, 0, tasks),
            ("transfers.producer", transfers.producer, -1, tasks),
            ("transfers.link", transfers.link, 0, len(self.links)),
            ("transfers.consumers", transfers.consumers.item, 0, tasks),
            ("buffers.memory", buffers.memory, 0, len(self.memories)),
            ("buffers.producer", buffers.producer, -1, activities),
            ("buffers.consumers", buffers.consumers.item, 0, activities),
            ("devices.memory", _integers([device.memory for device in self.devices]), -1, len(self.memories)),
            ("memories.spill_to", _integers([memory.spill_to for memory in self.memories]), -1, len(self.links)),
            ("links.channels", _integers([c for link in self.links for c in link.channels]), 0, len(self.channels)),
            ("participants", _integers(self.participants.item if self.participants else ()), 0, len(self.devices)),
        ):
            if len(values) and (int(values.min()) < low or int(values.max()) >= high):
                raise InputError(f"plan: {name}: index outside {low}..{high - 1}: {values.min()}..{values.max()}")
        for name, rows, expected in (
            ("successors", self.successors, tasks),
            ("participants", self.participants, tasks),
            ("transfers.consumers", transfers.consumers, len(transfers)),
            ("buffers.consumers", buffers.consumers, len(buffers)),
        ):
            if rows is not None and len(rows) != expected:
                raise InputError(f"plan: {name}: has {len(rows)} rows; give one per entry, {expected}")

    def _check_times(self) -> None:
        for name in ("duration_ps", "overhead_ps", "release_ps", "dram_bytes"):
            values = getattr(self, name)
            if values is not None and len(values) and not values.min() >= 0:
                raise InputError(f"plan: {name}: negative or not a number; give values of 0 or more")
        if self.overhead_ps is not None and bool(np.any(self.overhead_ps > self.duration_ps)):
            raise InputError("plan: overhead_ps: longer than duration_ps, which includes it")
        for device in self.devices:
            if device.queues < 1:
                raise InputError(f"plan: device {device.name}: queues: {device.queues}; give 1 or more")
        discipline_on: dict[int, Discipline] = {}
        for link in self.links:
            for channel in link.channels:
                if discipline_on.setdefault(channel, link.discipline) != link.discipline:
                    raise InputError(
                        f"plan: link {link.name}: discipline: {link.discipline!r} meets {discipline_on[channel]!r} on "
                        f"channel {self.channels[channel].name}; give all links of one channel the same"
                    )
            if link.discipline == "fifo" and len(link.channels) > 1:
                raise InputError(f"plan: link {link.name}: fifo crosses at most one channel, not {link.channels}")
