"""One multiprocessor of a SIMT chip, stepped cycle by cycle: values and cycles of small kernels.

Each scheduler issues at most one instruction a cycle, of a warp whose operands have arrived (a scoreboard; in order
within a warp). What is issued occupies a unit: arithmetic and special lanes of the scheduler, the banks of shared
memory, the memory port of the multiprocessor. A warp that waits costs nothing while another can issue: that is how
occupancy hides latency. Blocks are resident as far as registers, shared memory, warps and block slots allow
(:func:`hwsim.cost.occupancy.blocks_per_sm`); when one is done, the next starts.
"""

from __future__ import annotations

import math
from collections.abc import Generator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwsim.cost.occupancy import blocks_per_sm
from hwsim.errors import InputError
from hwsim.functional.multiprocessor import SimtRun, Sm
from hwsim.functional.simt_code import (
    AnyLane,
    Arithmetic,
    Assign,
    Barrier,
    Else,
    EndIf,
    If,
    Instruction,
    Kernel,
    Load,
    Operand,
    Register,
    SharedLoad,
    SharedStore,
    Store,
    WarpView,
)

__all__ = ["run_kernel"]

Values = NDArray[Any]
Mask = NDArray[np.bool_]
_WORD_BYTES = 4


@dataclass(slots=True, eq=False)
class _Block:
    shared: Values
    warps: list[_Warp] = field(default_factory=list)

    def release(self) -> None:
        """Let warps go on once all that are not done wait at the barrier."""
        live = [warp for warp in self.warps if not warp.done]
        if live and all(warp.waits for warp in live):
            for warp in live:
                warp.waits = False
                warp.go_on(None)


@dataclass(slots=True, eq=False)
class _Warp:
    code: Generator[Instruction, Any, None]
    block: _Block
    mask: Mask
    scheduler: int
    outer: list[tuple[Mask, Mask]] = field(default_factory=list)
    pending: Instruction = field(default_factory=Barrier)
    operands_ready: int = 0
    waits: bool = False
    done: bool = False

    def go_on(self, result: object) -> None:
        """Hand over the result of the pending instruction and fetch the next."""
        try:
            self.pending = self.code.send(result)
        except StopIteration:
            self.done = True
            if self.outer:
                raise InputError("a kernel ends inside an If; yield EndIf() before it returns") from None
            self.block.release()
        else:
            arrivals = [operand.ready for operand in self.pending.operands if isinstance(operand, Register)]
            self.operands_ready = max(arrivals, default=0)


def run_kernel(
    kernel: Kernel,
    *arguments: Any,
    blocks: int,
    threads: int,
    sm: Sm | None = None,
    registers_per_thread: int = 32,
    shared_bytes: int = 0,
) -> SimtRun:
    """Run a kernel of ``blocks`` x ``threads`` on one multiprocessor; it writes into its array arguments.

    Args:
        kernel: A generator function of a WarpView and the arguments (see :mod:`hwsim.functional.simt_code`).
        arguments: Passed on; arrays in memory are flat.
        blocks: Blocks of the kernel.
        threads: Threads of a block.
        sm: The multiprocessor.
        registers_per_thread: Limits how many blocks are resident.
        shared_bytes: Shared memory of a block, in words of 4 bytes.

    Raises:
        InputError: no block fits the multiprocessor, an index lies outside its array, an unbalanced branch, or a
            barrier inside one.
    """
    sm = sm or Sm()
    if blocks < 1 or threads < 1:
        raise InputError(f"run_kernel: {blocks} blocks of {threads} threads; write at least one of each")
    warps = math.ceil(threads / sm.warp_size)
    resident = int(
        blocks_per_sm(
            registers_per_thread * warps * sm.warp_size,
            max(shared_bytes, 1),
            warps * sm.warp_size,
            registers_per_sm=sm.registers,
            shared_bytes_per_sm=sm.shared_bytes,
            threads_per_sm=sm.max_warps * sm.warp_size,
            max_blocks_per_sm=sm.max_blocks,
        )
    )
    if resident < 1:
        raise InputError(
            f"run_kernel: a block of {threads} threads with {registers_per_thread} registers each and "
            f"{shared_bytes} bytes of shared memory does not fit; write fewer of them"
        )
    core = _Core(sm, resident)
    core.launch(kernel, arguments, blocks, threads, shared_bytes)
    return core.run()


class _Core:
    """The state of a multiprocessor in one cycle after another."""

    def __init__(self, sm: Sm, resident: int) -> None:
        self.sm, self.resident = sm, resident
        self.cycle = self.last_result = 0
        self.warps: list[_Warp] = []
        self.arithmetic_free = [0] * sm.schedulers
        self.special_free = [0] * sm.schedulers
        self.shared_free = 0
        self.port_free = 0.0
        self.turn = [0] * sm.schedulers
        self.issued = self.issued_lanes = self.bytes = self.conflicts = self.most_warps = self.most_blocks = 0
        self.started = 0

    def launch(self, kernel: Kernel, arguments: tuple[Any, ...], blocks: int, threads: int, shared_bytes: int) -> None:
        """Say what to run."""
        self._kernel, self._arguments = kernel, arguments
        self._blocks, self._threads, self._shared_bytes = blocks, threads, shared_bytes
        self._next_block = 0

    def run(self) -> SimtRun:
        """Step until no block is left."""
        while True:
            self._start_blocks()
            if not self.warps:
                break
            if not any([self._issue_one(scheduler) for scheduler in range(self.sm.schedulers)]):  # noqa: C419 (all act)
                self.cycle = self._next_event()
            else:
                self.cycle += 1
            if any([warp.done for warp in self.warps]):  # noqa: C419 (a list is faster)
                self.warps = [warp for warp in self.warps if not warp.done]
        return SimtRun(
            cycles=max(self.last_result, self.cycle),
            instructions=self.issued,
            lane_instructions=self.issued_lanes,
            memory_bytes=self.bytes,
            bank_conflicts=self.conflicts,
            resident_blocks=self.most_blocks,
            resident_warps=self.most_warps,
            warp_size=self.sm.warp_size,
        )

    def _start_blocks(self) -> None:
        size = self.sm.warp_size
        if self._next_block == self._blocks:
            return
        live = len({id(warp.block) for warp in self.warps})
        while self._next_block < self._blocks and live < self.resident:
            live += 1
            block = _Block(np.zeros(self._shared_bytes // _WORD_BYTES, np.float32))
            for first in range(0, self._threads, size):
                lanes = np.arange(first, first + size)
                view = WarpView(self._next_block, self._blocks, self._threads, Register(lanes))
                code = self._kernel(view, *self._arguments)
                block.warps.append(_Warp(code, block, lanes < self._threads, self.started % self.sm.schedulers))
                self.started += 1
            for warp in block.warps:
                warp.go_on(None)
            self.warps += block.warps
            self._next_block += 1
        self.most_warps = max(self.most_warps, len(self.warps))
        self.most_blocks = max(self.most_blocks, live)

    def _earliest(self, warp: _Warp) -> int:
        """The first cycle in which a warp may issue what is pending."""
        work, free = warp.pending, 0
        if isinstance(work, Arithmetic | Assign):
            special = isinstance(work, Arithmetic) and work.special
            free = (self.special_free if special else self.arithmetic_free)[warp.scheduler]
        elif isinstance(work, SharedLoad | SharedStore):
            free = self.shared_free
        return max(free, warp.operands_ready)

    def _next_event(self) -> int:
        times = [self._earliest(warp) for warp in self.warps if not (warp.done or warp.waits)]
        if not times:
            raise InputError("a kernel cannot go on: some warps wait at a barrier that the others never reach")
        return max(self.cycle + 1, min(times))

    def _issue_one(self, scheduler: int) -> bool:
        """Issue one instruction of the first warp of the scheduler that can, after the one served last."""
        count = len(self.warps)
        for step in range(count):
            place = (self.turn[scheduler] + step) % count
            warp = self.warps[place]
            if warp.scheduler != scheduler or warp.done or warp.waits:
                continue
            if self._earliest(warp) <= self.cycle:
                self.turn[scheduler] = place + 1
                self._execute(warp)
                return True
        return False

    def _execute(self, warp: _Warp) -> None:
        work = warp.pending
        self.issued += 1
        self.issued_lanes += int(warp.mask.sum())
        match work:
            case Arithmetic() | Assign():
                result: object = self._arithmetic(warp, work)
            case Load() | Store():
                result = self._memory(warp, work)
            case SharedLoad() | SharedStore():
                result = self._shared(warp, work)
            case Barrier():
                if warp.outer:
                    raise InputError("a Barrier inside an If stops warps whose lanes disagree; move it behind EndIf")
                warp.waits = True
                warp.block.release()
                return
            case If() | Else() | EndIf():
                result = _branch(warp, work)
            case AnyLane():
                result = bool((self._values(work.condition) & warp.mask).any())
        warp.go_on(result)

    def _values(self, operand: Operand) -> Values:
        return operand.values if isinstance(operand, Register) else np.full(self.sm.warp_size, operand)

    def _result(self, values: Values, ready: int) -> Register:
        self.last_result = max(self.last_result, ready)
        return Register(values, ready)

    def _arithmetic(self, warp: _Warp, work: Arithmetic | Assign) -> Register:
        sm = self.sm
        operands = [self._values(operand) for operand in work.operands]
        if isinstance(work, Assign):
            values = np.where(warp.mask, operands[1], operands[0])
        else:
            with np.errstate(all="ignore"):
                values = work.function(*operands)
        special = isinstance(work, Arithmetic) and work.special
        lanes, latency = (sm.special_lanes, sm.special_cycles) if special else (sm.lanes, sm.arithmetic_cycles)
        units = self.special_free if special else self.arithmetic_free
        passes = math.ceil(sm.warp_size / lanes)
        units[warp.scheduler] = self.cycle + passes
        return self._result(values, self.cycle + passes - 1 + latency)

    def _memory(self, warp: _Warp, work: Load | Store) -> Register | None:
        """Sectors go through the port one after another; a load is back a latency after its last one."""
        index = _checked(self._values(work.index)[warp.mask], len(work.array), "an array in memory")
        sectors = len(np.unique(index * work.array.itemsize // self.sm.sector_bytes))
        moved = sectors * self.sm.sector_bytes
        self.bytes += moved
        self.port_free = max(self.port_free, float(self.cycle)) + moved / self.sm.memory_bytes_per_cycle
        if isinstance(work, Store):
            work.array[index] = self._values(work.value)[warp.mask]
            self.last_result = max(self.last_result, math.ceil(self.port_free))
            return None
        values = np.zeros(self.sm.warp_size, work.array.dtype)
        values[warp.mask] = work.array[index]
        return self._result(values, math.ceil(self.port_free) + self.sm.memory_cycles)

    def _shared(self, warp: _Warp, work: SharedLoad | SharedStore) -> Register | None:
        """A pass serves one word of each bank; lanes that read the same word share it."""
        shared = warp.block.shared
        index = _checked(self._values(work.index)[warp.mask], len(shared), "shared memory")
        banks = np.unique(index) % self.sm.banks
        passes = int(np.bincount(banks).max()) if len(banks) else 1
        self.conflicts += passes - 1
        self.shared_free = self.cycle + passes
        if isinstance(work, SharedStore):
            shared[index] = self._values(work.value)[warp.mask]
            return None
        values = np.zeros(self.sm.warp_size, shared.dtype)
        values[warp.mask] = shared[index]
        return self._result(values, self.cycle + passes - 1 + self.sm.shared_cycles)


def _checked(index: Values, size: int, what: str) -> NDArray[np.int64]:
    whole = index.astype(np.int64)
    if len(whole) and (whole.min() < 0 or whole.max() >= size):
        raise InputError(f"a kernel reaches place {whole.max()} or {whole.min()} of {what} with {size} places")
    return whole


def _branch(warp: _Warp, work: If | Else | EndIf) -> bool:
    """Change the mask; whether any lane is active afterwards."""
    if isinstance(work, If):
        condition = work.condition
        values = condition.values if isinstance(condition, Register) else np.full(len(warp.mask), condition)
        holds = np.asarray(values, np.bool_)
        warp.outer.append((warp.mask, holds))
        warp.mask = warp.mask & holds
    elif not warp.outer:
        raise InputError(f"a kernel yields {type(work).__name__} outside an If")
    elif isinstance(work, Else):
        outer, holds = warp.outer[-1]
        warp.mask = outer & ~holds
    else:
        warp.mask, _ = warp.outer.pop()
    return bool(warp.mask.any())
