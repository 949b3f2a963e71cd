"""``hwsim calibrate --data``: anyone's measured kernels become a device file that differs by its software constants."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hwsim.errors import HwsimError, InputError
from hwsim.loading import library
from hwsim.loading.writing import check_output, constants_section, write_device
from hwsim.specs.device import DeviceSpec
from hwsim.specs.software import ResidualSpec, SoftwareSpec
from hwsim.validation.calibration import Family, FamilyFit, families_of, fit_family
from hwsim.validation.matching import device_of, stack_for
from hwsim.validation.measured import MeasuredFile, Row, files_below, read_measured

__all__ = ["CalibratedDevice", "calibrated_device", "check_target"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibratedDevice:
    """A written device, the families behind it, and why rows were left out, with their numbers."""

    spec: DeviceSpec
    fits: Sequence[FamilyFit]
    left_out: Mapping[str, int]


def check_target(path: Path, spec: DeviceSpec) -> None:
    """Raise InputError where a device file of that path cannot extend the device."""
    check_output(path, f"my_{spec.name}")
    if path.stem == spec.name:
        raise InputError(f"-o {path}: a device cannot extend itself; write another name, e.g. 'my_{spec.name}.yaml'")


def calibrated_device(
    data: Path,
    spec: DeviceSpec,
    path: Path,
    *,
    residual: bool,
    started: Callable[[int], Callable[[int], object]] | None = None,
) -> CalibratedDevice:
    """Fit a device to measured rows and write what differs from it.

    Args:
        data: a CSV file, or a folder of them.
        spec: the device the rows were measured on.
        path: the file to write.
        residual: whether to fit residuals beside the constants.
        started: told the number of families, gives what is called with numbers of families done.

    Raises:
        InputError: no rows to fit, or a path that cannot be written.
        FileFormatError: a file that is not a CSV of measurements.
    """
    check_target(path, spec)
    library.find_reference(library.DEVICE, spec.name, path)
    files = [_own(file, spec) for file in _read(data)]
    if not any(file.rows for file in files):
        raise InputError(f"{data}: no rows of {spec.name}; its aliases are {', '.join(spec.aliases) or 'none'}")
    families, left_out = families_of(files, spec, lambda row: _stack(spec, row.text("timing")))
    if not families:
        reasons = "; ".join(f"{reason} ({count} rows)" for reason, count in left_out.items())
        raise InputError(f"{data}: nothing to fit: {reasons}")
    advance = started(len(families)) if started else lambda _: None
    fits: list[FamilyFit] = []
    for family in families:
        fits.append(fit_family(spec, family, residual=residual))
        advance(1)
    written = write_device(_document(spec, fits, data, path.stem), path)
    return CalibratedDevice(spec=written, fits=fits, left_out=left_out)


def _read(data: Path) -> list[MeasuredFile]:
    strict = not data.is_dir()
    return [found for each in files_below(data) if (found := read_measured(each, strict=strict)) is not None]


def _own(file: MeasuredFile, spec: DeviceSpec) -> MeasuredFile:
    """The rows of the device: those that name it, or all where the file names one device that nobody knows."""
    names = {row.text("device") for row in file.rows}
    known = {name: _known_as(row) for row in file.rows if (name := row.text("device"))}
    if len(names) == 1 and not any(known.values()):
        return file
    return replace(file, rows=tuple(row for row in file.rows if known.get(row.text("device")) == spec.name))


def _known_as(row: Row) -> str:
    try:
        return device_of(row).name
    except HwsimError:
        return ""


def _stack(spec: DeviceSpec, timing: str) -> SoftwareSpec:
    """The stack that stands for a way of measuring; a new one, like the first, for a way nobody listed."""
    try:
        return stack_for(spec, timing)
    except InputError:
        name = re.sub(r"[^a-z0-9]+", "_", timing.lower()).strip("_") or "measured"
        return replace(spec.default_software, name=name, timing=(timing,))


def _document(spec: DeviceSpec, fits: Sequence[FamilyFit], data: Path, name: str) -> dict[str, Any]:
    stacks: dict[str, dict[str, Any]] = {}
    for fit in fits:
        stack = stacks.setdefault(fit.family.stack.name, _head(spec, fit.family.stack, fits, data))
        if fit.constants:
            stack[fit.family.name] = constants_section(spec, fit.constants)
    for stack_name, stack in stacks.items():
        own = [fit for fit in fits if fit.family.stack.name == stack_name]
        residuals = [_residual(fit.residual) for fit in own if fit.residual is not None]
        if residuals:
            stack["residual"] = residuals
        stack["validated"] = {fit.family.name: round(fit.after, 1) for fit in own}
    return {
        "schema": "hwsim/device/v1",
        "name": name,
        "title": f"{spec.title}, software fitted to {data.name}",
        "extends": spec.name,
        "software": stacks,
    }


def _head(spec: DeviceSpec, stack: SoftwareSpec, fits: Sequence[FamilyFit], data: Path) -> dict[str, Any]:
    own = [fit for fit in fits if fit.family.stack.name == stack.name]
    rows = "; ".join(f"{_seen(fit.family)} rows of {fit.family.name}: fitted {fit.fitted:.1f} %" for fit in own)
    text = f"{data.name}, {rows}. Three shapes in ten held out (validated)"
    new: dict[str, Any] = {}
    if stack.name not in spec.software:
        new = {"extends": spec.default_software.name, "timing": list(stack.timing)}
    return {**new, "basis": "calibrated", "fitted_to": text}


def _seen(family: Family) -> int:
    return int((~family.held).sum())


def _residual(residual: ResidualSpec) -> dict[str, Any]:
    axes = {"from": residual.low, "to": residual.high, "knots": residual.knots, "weights": residual.weights}
    return {"of": list(residual.of), "over": list(residual.over), **{key: list(value) for key, value in axes.items()}}
