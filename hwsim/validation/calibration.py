"""Fits a device's software constants, and residuals, to measured kernels.

Rows of one stack, kernel and format make a family. A checksum of each shape puts three in ten aside; the constants that
matter are moved from the device's own values to the least error of the rest, then a residual is fitted if asked for.
Both are judged on the shapes put aside.
"""

from __future__ import annotations

import math
import textwrap
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwsim.devices.base import KINDS, DeviceKind
from hwsim.errors import HwsimError, InputError
from hwsim.graph.lowering import Table, tables_of
from hwsim.graph.work import SIZES, Collective, Form, Work
from hwsim.specs.device import DeviceSpec
from hwsim.specs.fields import Quantity, Ratio
from hwsim.specs.software import ResidualSpec, SoftwareSpec
from hwsim.validation.kernels import kernel_work
from hwsim.validation.measured import MeasuredFile, Row
from hwsim.validation.residual import fit_residual, residual_factor
from hwsim.validation.search import least
from hwsim.validation.sustained import SUSTAINED, sustained

__all__ = ["LEAST_ROWS", "Family", "FamilyFit", "families_of", "fit_family", "held_out", "residual_lines"]

LEAST_ROWS = 12
"""Rows below which a family is not fitted: four would judge it."""
_ROWS_A_CONSTANT = 6
_EVALUATIONS = 900
_STAY = 1e-3
"""What moving a constant by a factor e costs, so that rows which say nothing of it leave it alone."""
_HABITS = frozenset({"weight_copies", "weights_cached", "query_tile", "key_tile", "packed", "split_single", "rate"})
"""Constants that say what kernels do, or how fast the clock may run, not how well: no search moves them."""
_NARROW = {"fp16": ("fp16", "bf16"), "bf16": ("bf16", "fp16")}
"""Formats of one speed on every matrix unit share their residual."""
_OVER: Mapping[Form, tuple[str, ...]] = MappingProxyType(
    {**SIZES, Form.ATTENTION: ("batch", "heads", "kv_heads", "seq_kv")}
)
_WIDTH = 112
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """Measured kernels that share their constants: rows of Work of one kernel and format on one stack.

    ``held`` are put aside to judge; ``long`` ran for so long that the power cap set their clock.
    """

    name: str
    stack: SoftwareSpec
    works: tuple[Work, ...]
    measured_s: Floats
    held: NDArray[np.bool_]
    long: NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class FamilyFit:
    """What a family's rows gave: constants, a residual or None, and mean absolute errors in per cent.

    ``before``: with the device's own constants; ``formula``: with those found; ``after``: with the residual too; all on
    the rows put aside, ``fitted`` on the others.
    """

    family: Family
    constants: Mapping[str, float]
    residual: ResidualSpec | None
    fitted: float
    before: float
    formula: float
    after: float


def held_out(work: Work) -> bool:
    """Whether a shape only judges: three in ten, by a checksum, so that repeats of a shape stay together."""
    sizes = ",".join(str(getattr(work, name)) for name in SIZES[work.form])
    return zlib.crc32(f"{work.kernel},{sizes}".encode()) % 10 < 3


def families_of(
    files: Sequence[MeasuredFile],
    spec: DeviceSpec,
    stack_of: Callable[[Row], SoftwareSpec],
    judges: Callable[[Row, Work], bool] | None = None,
) -> tuple[list[Family], dict[str, int]]:
    """Families with enough rows, and why other rows were left out, with their numbers.

    Args:
        files: measured rows of the device.
        spec: the device.
        stack_of: the stack that stands for how a row was measured.
        judges: which rows are put aside (default: :func:`held_out`).
    """
    kind = KINDS[spec.kind]
    rows: dict[tuple[str, str], list[tuple[Work, float, bool, bool]]] = {}
    stacks: dict[str, SoftwareSpec] = {}
    reasons: dict[str, int] = {}
    for row in (row for file in files for row in file.rows):
        try:
            work, time_s = kernel_work(row), _time_s(row)
            stack = stack_of(row)
            _check_priced(kind, spec, stack, work)
        except HwsimError as error:
            reason = str(error).splitlines()[0]
            reasons[reason] = reasons.get(reason, 0) + 1
            continue
        stacks[stack.name] = stack
        aside = judges(row, work) if judges else held_out(work)
        long = row.text("timing") == SUSTAINED or time_s > spec.power.window_s
        rows.setdefault((stack.name, _family_name(work)), []).append((work, time_s, aside, long))
    found = []
    for (stack_name, name), members in rows.items():
        family = _family(name, stacks[stack_name], members)
        if len(members) < LEAST_ROWS or family.held.all() or not family.held.any():
            reasons[f"fewer than {LEAST_ROWS} rows of {name}, or none to judge by"] = len(members)
        else:
            found.append(family)
    return found, reasons


def _family(name: str, stack: SoftwareSpec, members: Sequence[tuple[Work, float, bool, bool]]) -> Family:
    works, times, held, long = zip(*members, strict=True)
    return Family(
        name=name, stack=stack, works=works, measured_s=np.array(times), held=np.array(held), long=np.array(long)
    )


def _family_name(work: Work) -> str:
    """Element-wise kernels are one family; others go by their label."""
    label = str(work.form) if work.form in (Form.MAP, Form.MOVE) else work.kernel
    return f"{label}.{work.format}"


def _time_s(row: Row) -> float:
    for column in ("latency_us", "measured_us", "latency_ms", "latency_s"):
        if column in row.figures:
            return row.figures[column]
    raise InputError("no time in this row")


def _check_priced(kind: DeviceKind[Any], spec: DeviceSpec, stack: SoftwareSpec, work: Work) -> None:
    if isinstance(work, Collective):
        raise InputError("a collective belongs to a system's interconnect, not to a device")
    (table,) = tables_of([work]).values()
    if not kind.supports(table, kind.params(spec, stack)).all():
        raise InputError(f"{spec.name} does not run {work.kernel} in {work.format}")


def fit_family(spec: DeviceSpec, family: Family, *, residual: bool, search: bool = True, knots: int = 400) -> FamilyFit:
    """Constants (unless ``search`` is off) and a residual (if asked for) of the least error on rows not put aside."""
    formula = _Formula(spec, family)
    before = formula.seconds({})
    constants = _searched(formula) if search else {}
    own = formula.seconds(constants)
    seen = ~family.held
    sizes = {
        name: np.array([float(getattr(work, name)) for work in family.works]) for name in _OVER[family.works[0].form]
    }
    found = None
    if residual:
        part = {name: size[seen] for name, size in sizes.items()}
        label, _, fmt = family.name.rpartition(".")
        names = [f"{label}.{other}" for other in _NARROW.get(fmt, (fmt,))]
        found = fit_residual(part, own[seen], family.measured_s[seen], of=names, knots=knots)
    after = own * (residual_factor(found.spec, sizes) if found else 1.0)
    return FamilyFit(
        family=family,
        constants=constants,
        residual=found.spec if found else None,
        fitted=_percent(after, family.measured_s, seen),
        before=_percent(before, family.measured_s, family.held),
        formula=_percent(own, family.measured_s, family.held),
        after=_percent(after, family.measured_s, family.held),
    )


def _percent(predicted: Floats, measured: Floats, rows: NDArray[np.bool_]) -> float:
    return float(100.0 * np.abs(predicted / measured - 1.0)[rows].mean())


class _Formula:
    """The price of a family's rows as a function of its constants; long kernels at the clock of the power cap."""

    def __init__(self, spec: DeviceSpec, family: Family) -> None:
        self.spec, self.family = spec, family
        self.kind: DeviceKind[Any] = KINDS[spec.kind]
        self.stack = replace(family.stack, residuals=())
        (self.table,) = tables_of(family.works).values()
        self.form = family.works[0].form
        first: Table = self.table.only(np.arange(len(self.table)) == 0)
        params = self.kind.params(spec, self.stack)
        names = ["launch", "dispatch", *self.kind.defaults[self.form]]
        self.now = {name: float(params.kernels.column(first, name)[0, 0]) for name in names}
        self.slowdown = np.ones(len(family.works))
        if family.long.any():
            works = [work for work, long in zip(family.works, family.long, strict=True) if long]
            burst = self.seconds({})[family.long]
            self.slowdown[family.long] = sustained(spec, self.stack, works)[0] / burst

    def seconds(self, constants: Mapping[str, float]) -> Floats:
        """Seconds of every row with some constants changed."""
        families = {**self.stack.kernels, self.family.name: {**self.now, **constants}} if constants else None
        stack = replace(self.stack, kernels=MappingProxyType(families)) if families else self.stack
        times: Floats = self.kind.price_form(self.table, self.kind.params(self.spec, stack)).time_s[0]
        return times * self.slowdown


def _searched(formula: _Formula) -> dict[str, float]:
    """The constants of the least error on the rows seen: those that matter most, as many as the rows can carry."""
    seen, measured = ~formula.family.held, formula.family.measured_s
    alike = "launch" if formula.now["dispatch"] > formula.now["launch"] else "dispatch"
    axes: dict[str, _Axis] = {}
    for name, value in formula.now.items():
        axis = _Axis.of(formula.kind.constants.get(name), value)
        if axis is not None and name not in (*_HABITS, alike):
            axes[name] = axis

    def loss(constants: Mapping[str, float]) -> float:
        ratio = formula.seconds(constants)[seen] / measured[seen]
        off = np.abs(np.log(ratio))
        return float(np.minimum(np.abs(ratio - 1.0), 1.0).mean() + 0.25 * np.minimum(off, 3.0).mean())

    base = loss({})
    alone = {name: {at: loss({name: axis.value(at)}) for at in axis.places} for name, axis in axes.items()}
    weight = {name: max(abs(value - base) for value in found.values()) for name, found in alone.items()}
    ranked = sorted((name for name in axes if weight[name] > 1e-5), key=lambda name: -weight[name])
    free = ranked[: max(1, int(seen.sum()) // _ROWS_A_CONSTANT)]
    start = np.array([axes[name].start for name in free])

    def decoded(place: Floats) -> dict[str, float]:
        return {name: axes[name].value(at) for name, at in zip(free, place, strict=True)}

    def penalized(place: Floats) -> float:
        return loss(decoded(place)) + _STAY * float(((place - start) ** 2).sum())

    best = start.copy()
    for place, name in enumerate(free):
        for at in alone[name]:
            tried = best.copy()
            tried[place] = at
            best = min(best, tried, key=penalized)
    for step in (0.5, -0.25):
        best, _ = least(penalized, best, step, _EVALUATIONS)
    return decoded(best) if loss(decoded(best)) < base else {}


@dataclass(frozen=True, slots=True)
class _Axis:
    """A constant as a number without bounds: the logarithm, or the log-odds of a share."""

    start: float
    low: float
    high: float
    places: tuple[float, ...]

    @staticmethod
    def of(marker: Any, value: float) -> _Axis | None:
        """None where the value stands for something else (below zero) or nothing is known of the constant."""
        if not isinstance(marker, Quantity | Ratio) or value < 0.0 or not math.isfinite(value):
            return None
        if isinstance(marker, Ratio) and math.isfinite(marker.high) and marker.high <= 2.0:
            share = min(max((value - marker.low) / (marker.high - marker.low), 1e-3), 1.0 - 1e-3)
            start = math.log(share / (1.0 - share))
            return _Axis(start, marker.low, marker.high, (start - 1.0, start + 1.0))
        lowest = marker.low if isinstance(marker, Ratio) else 0.0
        if value <= lowest:
            absent = (1e-9, 3e-8, 3e-7, 3e-6) if isinstance(marker, Quantity) else (0.03, 0.3)
            places = tuple(math.log(one) for one in absent)
            return _Axis(places[0], lowest, math.inf, places)
        start = math.log(value - lowest)
        return _Axis(start, lowest, math.inf, (start - 1.0, start + 1.0))

    def value(self, place: float) -> float:
        """The constant, to three digits."""
        if math.isfinite(self.high):
            raw = self.low + (self.high - self.low) / (1.0 + math.exp(-min(max(place, -50.0), 50.0)))
        else:
            raw = self.low + math.exp(min(max(place, -30.0), 30.0))
        return float(f"{raw:.3g}")


def _plain(value: float) -> str:
    """A number that YAML reads as one, without needless digits.

    >>> _plain(65536.0), _plain(0.05), _plain(-0.0)
    ('65536', '0.05', '0')
    """
    value += 0.0  # no minus before a zero
    return f"{value:.0f}" if value.is_integer() else f"{value:.4g}"


def residual_lines(residual: ResidualSpec) -> list[str]:
    """The residual as an item of ``residual:`` in a device file."""
    lines = [f"- of: [{', '.join(residual.of)}]", f"  over: [{', '.join(residual.over)}]"]
    for key, values in (("from", residual.low), ("to", residual.high), ("knots", residual.knots)):
        lines.append(f"  {key}: [{', '.join(_plain(value) for value in values)}]")
    weights = ", ".join(_plain(weight + 0.0) for weight in residual.weights)
    wrapped = textwrap.wrap(f"weights: [{weights}]", _WIDTH)
    return [*lines, f"  {wrapped[0]}", *(f"    {line}" for line in wrapped[1:])]
