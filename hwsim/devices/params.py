"""What price functions read about chips: parameters as arrays, one row a chip, and how they stack."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import cache
from types import MappingProxyType
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from hwsim.cost.residual import Lattice, lattice_of, log_residual
from hwsim.errors import InputError
from hwsim.graph.lowering import Table
from hwsim.graph.tensor import BITS, FORMATS
from hwsim.graph.work import SIZES, Form
from hwsim.specs.device import DeviceSpec
from hwsim.specs.software import ResidualSpec, SoftwareSpec

__all__ = [
    "NOMINAL",
    "Array",
    "KernelConstants",
    "OperatingPoint",
    "P",
    "Params",
    "by_format",
    "common_params",
    "every_format",
    "part_of",
    "stack_params",
]

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """Clock and supply voltage relative to the nominal ones of the spec."""

    clock: float = 1.0
    voltage: float = 1.0


NOMINAL = OperatingPoint()


@dataclass(frozen=True, eq=False)
class KernelConstants:
    """A software stack's constants by kernel family, looked up for whole tables.

    For a row with form ``gemm``, kernel ``linear`` and format ``int8`` later entries win:
    the kind's default, ``gemm``, ``gemm.int8``, ``linear``, ``linear.int8``. ``which`` says whose of ``families`` and
    ``residuals`` each chip takes.
    """

    families: tuple[Mapping[str, Mapping[str, float]], ...]
    defaults: Mapping[str, Mapping[str, float]]
    launch_s: Array
    dispatch_s: Array
    which: NDArray[np.int64]
    residuals: tuple[tuple[ResidualSpec, ...], ...] = ((),)
    _known: dict[Any, Any] = field(default_factory=dict, repr=False)

    def column(self, table: Table, name: str) -> Array:
        """Constant ``name`` for every row of a table: (chips, rows), or (1, rows) when all chips agree."""
        key = (table.form, table.keys, name)
        if key not in self._known:
            rows = [[self._value(f, table.form, k, fmt, name) for k, fmt in table.keys] for f in self.families]
            self._known[key] = np.array(rows, dtype=np.float64)
        values: Array = self._known[key][:, table.key]
        if len(self.families) > 1:
            values = values[self.which]
        if name in ("launch", "dispatch"):
            values = np.where(np.isnan(values), self.launch_s if name == "launch" else self.dispatch_s, values)
        return values

    def correction(self, table: Table) -> Array | None:
        """What residuals multiply the time of the formula by, (chips, rows) or (1, rows); None where there are none."""
        if not any(self.residuals):
            return None
        logs = np.zeros((len(self.families), len(table)))
        for chip, _ in enumerate(self.families):
            for place, (kernel, fmt) in enumerate(table.keys):
                residual = self._residual(chip, table.form, kernel, fmt)
                if residual is not None:
                    rows = slice(None) if len(table.keys) == 1 else np.flatnonzero(table.key == place)
                    logs[chip, rows] = _log_residual(residual, table, rows)
        factor: Array = np.exp(logs)
        return factor[self.which] if len(self.families) > 1 else factor

    def _residual(self, chip: int, form: Form, kernel: str, fmt: str) -> ResidualSpec | None:
        """The residual of the most specific family, unless constants of a more specific one stand in its way."""
        key = ("residual", chip, form, kernel, fmt)
        if key not in self._known:
            self._known[key] = _residual_of(self.families[chip], self.residuals[chip], form, kernel, fmt)
        found: ResidualSpec | None = self._known[key]
        return found

    def part(self, start: int, stop: int) -> KernelConstants:
        """The constants of chips ``start`` to ``stop``; what was looked up once is known to all parts."""
        chips = slice(start, stop)
        return KernelConstants(
            self.families,
            self.defaults,
            self.launch_s[chips],
            self.dispatch_s[chips],
            self.which[chips],
            self.residuals,
            self._known,
        )

    def _value(
        self, families: Mapping[str, Mapping[str, float]], form: Form, kernel: str, fmt: str, name: str
    ) -> float:
        for family in _names(form, kernel, fmt):
            found = families.get(family)
            if found is not None and name in found:
                return found[name]
        if name in ("launch", "dispatch"):
            return float("nan")
        return self.defaults[form][name]


_LIKE: Mapping[str, str] = MappingProxyType({"attention_part": "attention_prefill"})
"""Kernels that are those of another label where a stack says nothing else."""


def _names(form: Form, kernel: str, fmt: str) -> tuple[str, ...]:
    """The families that a row belongs to, the most specific first."""
    like = _LIKE.get(kernel)
    own = (f"{kernel}.{fmt}", kernel, *((f"{like}.{fmt}", like) if like else ()))
    return (*own, f"{form}.{fmt}", str(form))


def _residual_of(
    constants: Mapping[str, Any], residuals: Sequence[ResidualSpec], form: Form, kernel: str, fmt: str
) -> ResidualSpec | None:
    for family in _names(form, kernel, fmt):
        for residual in residuals:
            sizes = {name for size in residual.over for name in size.split("*")}
            if family in residual.of and sizes <= set(SIZES[form]):
                return residual
        if family in constants:
            return None
    return None


@cache
def _lattice(residual: ResidualSpec) -> Lattice:
    return lattice_of(residual.low, residual.high, residual.knots, residual.weights)


def _log_residual(residual: ResidualSpec, table: Table, rows: slice | NDArray[np.int64]) -> Array:
    sizes = [math.prod(getattr(table, name)[0, rows] for name in size.split("*")) for size in residual.over]
    return log_residual(_lattice(residual), sizes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Params:
    """Numbers every kind needs; leading axis is chips. Kinds add their own fields.

    ``peak`` and ``vector_peak`` are operations per second of the matrix and the vector unit by format,
    shape (chips, formats), 0 where the device lacks the format. Energies are at the chosen voltage.
    """

    kernels: KernelConstants
    peak: Array
    vector_peak: Array
    op_j: Array
    vector_op_j: Array
    dram_bytes_per_s: Array
    dram_j_per_byte: Array
    cache_j_per_byte: Array
    active_w: Array

    def rate(self, table: Table) -> Array:
        """Matrix-unit operations per second for each row's format, (chips, rows)."""
        found: Array = self.peak[:, table.format[0]]
        return found

    def vector_rate(self, table: Table) -> Array:
        """Vector-unit operations per second for each row's format, (chips, rows)."""
        found: Array = self.vector_peak[:, table.format[0]]
        return found


P = TypeVar("P", bound=Params)


def by_format(values: Mapping[str, float]) -> Array:
    """A (1, formats) array from a mapping; 0 where a format is missing."""
    return np.array([[float(values.get(name, 0.0)) for name in FORMATS]])


def common_params(
    spec: DeviceSpec,
    stack: SoftwareSpec,
    at: OperatingPoint,
    *,
    peak: Mapping[str, float],
    vector_peak: Mapping[str, float],
    defaults: Mapping[str, Mapping[str, float]],
) -> dict[str, Any]:
    """The fields of :class:`Params` for one chip at an operating point; peaks are nominal ones.

    Rates scale with the clock, dynamic energy with the square of the voltage (P = a C V^2 f). Formats whose
    energy per operation is not given take that of the nearest wider known format, scaled by their bits.
    """
    one = np.ones((1, 1))
    squared = at.voltage**2
    power = spec.power
    cache = spec.memory[1] if len(spec.memory) > 1 else None
    vector_j = power.vector_energy_per_op_j or power.energy_per_op_j
    return {
        "kernels": KernelConstants(
            (stack.kernels,),
            defaults,
            one * stack.launch_s,
            one * stack.dispatch_s,
            np.zeros(1, dtype=np.int64),
            (stack.residuals,),
        ),
        "peak": by_format(peak) * at.clock,
        "vector_peak": by_format(vector_peak) * at.clock,
        "op_j": by_format(_filled(power.energy_per_op_j)) * squared,
        "vector_op_j": by_format(_filled(vector_j)) * squared,
        "dram_bytes_per_s": one * spec.main_memory.bandwidth_bytes_per_s,
        "dram_j_per_byte": one * spec.main_memory.energy_j_per_byte,
        "cache_j_per_byte": one * (cache.energy_j_per_byte if cache else 0.0) * squared,
        "active_w": one * power.active_w * squared * at.clock,
    }


_BY_WIDTH = ("fp4", "int4", "fp8", "int8", "int16", "fp16", "bf16", "tf32", "fp32", "int32", "int64", "fp64")
_RELATIVE_ENERGY = {"fp4": 0.3, "int4": 0.3, "fp8": 0.55, "int8": 0.5, "int16": 0.8, "fp16": 1.0, "bf16": 1.0}
_RELATIVE_ENERGY |= {"tf32": 1.9, "fp32": 3.0, "int32": 2.0, "int64": 4.0, "fp64": 8.0, "bool": 0.1}


def _filled(known: Mapping[str, float]) -> dict[str, float]:
    """Energies for every format from those given.

    assumption: formats without a figure follow the ratios of multiply plus add energies in Horowitz,
    "Computing's energy problem", ISSCC 2014 (fp16 1.5 pJ, fp32 4.6 pJ, int8 0.23 pJ at 45 nm), damped
    because operand movement inside the unit costs the same whatever the arithmetic.
    """
    if not known:
        return {}
    result = dict(known)
    for name, relative in _RELATIVE_ENERGY.items():
        if name not in result:
            nearest = min(known, key=lambda k: (abs(_BY_WIDTH.index(k) - _place(name)), k))
            result[name] = known[nearest] * relative / _RELATIVE_ENERGY[nearest]
    return result


def _place(name: str) -> int:
    return _BY_WIDTH.index(name) if name in _BY_WIDTH else 0


def stack_params(parts: Sequence[P]) -> P:
    """Many chips' parameters stacked along the leading axis; discrete fields must be equal.

    Raises:
        InputError: nothing to stack, or discrete fields (a dataflow, a list of tiles) that differ.
    """
    if not parts:
        raise InputError("there are no chips to stack")
    first = parts[0]
    stacked: dict[str, Any] = {}
    for item in fields(first):
        values = [getattr(part, item.name) for part in parts]
        if isinstance(values[0], KernelConstants):
            stacked[item.name] = _stack_kernels(values)
        elif isinstance(values[0], np.ndarray):
            stacked[item.name] = np.concatenate(values)
        elif all(value == values[0] for value in values):
            stacked[item.name] = values[0]
        else:
            raise InputError(f"chips that differ in '{item.name}' cannot be priced in one call; group them by it")
    return dataclasses.replace(first, **stacked)


def part_of(params: P, start: int, stop: int) -> P:
    """Chips ``start`` to ``stop`` of stacked parameters."""
    changes: dict[str, Any] = {}
    for item in fields(params):
        value = getattr(params, item.name)
        if isinstance(value, KernelConstants):
            changes[item.name] = value.part(start, stop)
        elif isinstance(value, np.ndarray):
            changes[item.name] = value[start:stop]
    return dataclasses.replace(params, **changes)


def _stack_kernels(parts: Sequence[KernelConstants]) -> KernelConstants:
    families: list[Mapping[str, Mapping[str, float]]] = []
    residuals: list[tuple[ResidualSpec, ...]] = []
    place: dict[tuple[int, int], int] = {}
    which: list[int] = []
    for part in parts:
        for chip in part.which.tolist():
            stack = part.families[chip], part.residuals[chip]
            same = id(stack[0]), id(stack[1])
            if same not in place:
                place[same] = len(families)
                families.append(stack[0])
                residuals.append(stack[1])
            which.append(place[same])
    launch = np.concatenate([part.launch_s for part in parts])
    dispatch = np.concatenate([part.dispatch_s for part in parts])
    known = np.array(which, dtype=np.int64)
    return KernelConstants(tuple(families), parts[0].defaults, launch, dispatch, known, tuple(residuals))


def every_format(rates: Mapping[str, float]) -> dict[str, float]:
    """Rates of all formats: one without its own runs as the narrowest format at least as wide that has one.

    >>> found = every_format({"fp16": 64.0, "int32": 16.0})
    >>> found["int8"], found["fp32"]
    (64.0, 16.0)
    """
    found = dict(rates)
    for name in FORMATS:
        wider = [other for other in rates if BITS[other] >= BITS[name]]
        if name not in found and wider:
            found[name] = rates[min(wider, key=lambda other: (BITS[other], other))]
    return found
