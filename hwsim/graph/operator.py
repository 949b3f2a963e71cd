"""What every operator is: a shape rule, the Work it asks for, and its NumPy reference."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Protocol

from numpy.typing import NDArray

from hwsim.graph.tensor import TensorType
from hwsim.graph.work import Work
from hwsim.registry import Registry

__all__ = ["OPERATORS", "Array", "Operator", "kernel_labels", "register"]

Array = NDArray[Any]


class Operator(Protocol):
    """A mathematical function with its attributes; a frozen, hashable dataclass.

    ``kind`` is its name in reports and rules. An operator never names a device.
    """

    kind: ClassVar[str]

    def infer(self, inputs: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """Types of the outputs; raises ShapeError saying which input does not fit and why."""
        ...

    def lower(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> tuple[Work, ...]:
        """The Work asked for, in order; empty for a pure view (reshape), which no device executes."""
        ...

    def reference(self, *arrays: Array) -> tuple[Array, ...]:
        """The values, in NumPy; weights are arrays like other inputs."""
        ...


OPERATORS: Registry[type[Operator]] = Registry("operator")
"""Every operator class by its ``kind``."""


def register(cls: type[Any]) -> type[Any]:
    """Class decorator that enters an operator into :data:`OPERATORS`; refuses a second of the same kind."""
    OPERATORS.add(cls.kind, cls)
    return cls


def kernel_labels() -> tuple[str, ...]:
    """Every label that the Work of a registered operator can carry; software stacks keep constants by them.

    An operator whose Work is not labelled with its ``kind`` lists the labels as ``kernels``.
    """
    named = (getattr(cls, "kernels", (cls.kind,)) for cls in OPERATORS.values())
    return tuple(dict.fromkeys(label for labels in named for label in labels))
