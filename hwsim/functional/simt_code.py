"""What a stepped SIMT core executes: registers, instructions, and the warp as a kernel sees it.

A kernel is a generator that yields instructions and gets registers back::

    def twice(warp, x, y):
        i = yield warp.index()
        if (yield If((yield less(i, len(y))))):
            value = yield Load(x, i)
            yield Store(y, i, (yield mul(2.0, value)))
        yield EndIf()

Values are those of all lanes of a warp. Between ``If`` and ``EndIf`` only the lanes for which the condition holds load,
store and assign; ``If`` says whether there are any, so that a branch nobody takes can be left out.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "AnyLane",
    "Arithmetic",
    "Assign",
    "Barrier",
    "Else",
    "EndIf",
    "If",
    "Instruction",
    "Kernel",
    "Load",
    "Operand",
    "Register",
    "SharedLoad",
    "SharedStore",
    "Store",
    "WarpView",
    "add",
    "divide",
    "equal",
    "exponential",
    "fma",
    "less",
    "maximum",
    "mul",
    "remainder",
    "subtract",
]

Values = NDArray[Any]


@dataclass(frozen=True, slots=True, eq=False)
class Register:
    """A value of every lane, and the cycle from which on it may be read."""

    values: Values
    ready: int = 0


Operand = Register | float | int


@dataclass(frozen=True, slots=True, eq=False)
class Arithmetic:
    """A function of operands, lane by lane; ``special`` ones run on the unit for exp, reciprocals and the like."""

    function: Callable[..., Values]
    operands: tuple[Operand, ...]
    special: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Assign:
    """``new`` in active lanes, ``old`` in the others: how a variable changes inside a branch."""

    old: Operand
    new: Operand

    @property
    def operands(self) -> tuple[Operand, ...]:
        """What must be ready."""
        return (self.old, self.new)


@dataclass(frozen=True, slots=True, eq=False)
class Load:
    """Elements of a flat array in memory, zero in lanes that are not active."""

    array: Values
    index: Operand

    @property
    def operands(self) -> tuple[Operand, ...]:
        """What must be ready."""
        return (self.index,)


@dataclass(frozen=True, slots=True, eq=False)
class Store:
    """Write elements of a flat array in memory."""

    array: Values
    index: Operand
    value: Operand

    @property
    def operands(self) -> tuple[Operand, ...]:
        """What must be ready."""
        return (self.index, self.value)


@dataclass(frozen=True, slots=True, eq=False)
class SharedLoad:
    """Words of the block's shared memory, zero in lanes that are not active."""

    index: Operand

    @property
    def operands(self) -> tuple[Operand, ...]:
        """What must be ready."""
        return (self.index,)


@dataclass(frozen=True, slots=True, eq=False)
class SharedStore:
    """Write words of the block's shared memory."""

    index: Operand
    value: Operand

    @property
    def operands(self) -> tuple[Operand, ...]:
        """What must be ready."""
        return (self.index, self.value)


@dataclass(frozen=True, slots=True, eq=False)
class Barrier:
    """Wait for all warps of the block."""

    operands: tuple[Operand, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class If:
    """Continue with the lanes for which the condition holds; answers whether there are any."""

    condition: Operand

    @property
    def operands(self) -> tuple[Operand, ...]:
        """What must be ready."""
        return (self.condition,)


@dataclass(frozen=True, slots=True, eq=False)
class Else:
    """Continue with the lanes for which the innermost condition does not hold; answers whether there are any."""

    operands: tuple[Operand, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class EndIf:
    """All lanes that reached the innermost ``If`` go on together."""

    operands: tuple[Operand, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class AnyLane:
    """Whether the condition holds in any active lane: a vote, for loops that lanes leave one by one."""

    condition: Operand

    @property
    def operands(self) -> tuple[Operand, ...]:
        """What must be ready."""
        return (self.condition,)


Instruction = Arithmetic | Assign | Load | Store | SharedLoad | SharedStore | Barrier | If | Else | EndIf | AnyLane
Kernel = Callable[..., Generator[Instruction, Any, None]]


@dataclass(frozen=True, slots=True, eq=False)
class WarpView:
    """Where a warp is: its block, the number of threads a block, and the place of each lane in it."""

    block: int
    blocks: int
    threads: int
    thread: Register

    def index(self) -> Arithmetic:
        """The place of each lane among all threads of the kernel."""
        return Arithmetic(np.add, (self.block * self.threads, self.thread))


def add(a: Operand, b: Operand) -> Arithmetic:
    """The sum a + b."""
    return Arithmetic(np.add, (a, b))


def subtract(a: Operand, b: Operand) -> Arithmetic:
    """The difference a - b."""
    return Arithmetic(np.subtract, (a, b))


def mul(a: Operand, b: Operand) -> Arithmetic:
    """The product a b."""
    return Arithmetic(np.multiply, (a, b))


def fma(a: Operand, b: Operand, c: Operand) -> Arithmetic:
    """The fused multiply-add a b + c."""
    return Arithmetic(lambda x, y, z: x * y + z, (a, b, c))


def maximum(a: Operand, b: Operand) -> Arithmetic:
    """The larger of a and b."""
    return Arithmetic(np.maximum, (a, b))


def less(a: Operand, b: Operand) -> Arithmetic:
    """Whether a < b."""
    return Arithmetic(np.less, (a, b))


def equal(a: Operand, b: Operand) -> Arithmetic:
    """Whether a = b."""
    return Arithmetic(np.equal, (a, b))


def remainder(a: Operand, b: Operand) -> Arithmetic:
    """The remainder of a / b, whole numbers."""
    return Arithmetic(np.remainder, (a, b))


def exponential(a: Operand) -> Arithmetic:
    """The special function e^a."""
    return Arithmetic(np.exp, (a,), special=True)


def divide(a: Operand, b: Operand) -> Arithmetic:
    """The quotient a / b, on the special unit (a reciprocal)."""
    return Arithmetic(np.true_divide, (a, b), special=True)
