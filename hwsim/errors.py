"""Everything hwsim raises on wrong input or an impossible run.

Each exception takes one message: where, what, and what to write instead.

    HwsimError
    ├── InputError            a value, name or file from the user is wrong
    │   ├── FileFormatError   a YAML file has faults (all of them, with line and column)
    │   ├── UnitError         a quantity without a unit, or with the wrong one
    │   ├── UnknownNameError  no such device, workload, operator, policy ...
    │   ├── ShapeError        tensors that do not fit an operator
    │   └── GraphError        a cycle, a dangling or a mismatched tensor
    ├── UnsupportedError      a device cannot run some work, or lacks a number format
    ├── PlacementError        no device of the system can take a node
    └── SimulationError       a run that cannot go on
        ├── OutOfMemoryError  a memory overflows; names the tensors
        └── DeadlockError     some work waits for ever; names who waits for what
"""

from __future__ import annotations

__all__ = [
    "DeadlockError",
    "FileFormatError",
    "GraphError",
    "HwsimError",
    "InputError",
    "OutOfMemoryError",
    "PlacementError",
    "ShapeError",
    "SimulationError",
    "UnitError",
    "UnknownNameError",
    "UnsupportedError",
]


class HwsimError(Exception):
    """Base of every error hwsim raises on purpose."""


class InputError(HwsimError):
    """A value, a name or a file given by the user is wrong."""


class FileFormatError(InputError):
    """A file has faults; the message lists all of them, one a line."""


class UnitError(InputError):
    """A quantity lacks its unit or carries the wrong one."""


class UnknownNameError(InputError):
    """A name that no registry or library knows."""


class ShapeError(InputError):
    """Tensors whose shapes or formats do not fit an operator."""


class GraphError(InputError):
    """A graph with a cycle, a dangling tensor or two producers of one."""


class UnsupportedError(HwsimError):
    """A device cannot run some work, or lacks a number format."""


class PlacementError(HwsimError):
    """No device of the system can take a node."""


class SimulationError(HwsimError):
    """A run that cannot be completed."""


class OutOfMemoryError(SimulationError):
    """A memory overflows and the scenario allows no spill."""


class DeadlockError(SimulationError):
    """The run ended while some work was still waiting."""
