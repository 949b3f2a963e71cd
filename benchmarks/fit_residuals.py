"""Fits constants and residuals of kernel families to measured rows, from what the device files hold already.

    python -m benchmarks.fit_residuals gemm [--device h100_sxm] [--kernel linear] [--constants] [--knots 400] [--write]

Reads ``../shared/ground_truth/gpu/NAME_dev.csv``; three rows in ten (``fit_gpu.held_out``) are put aside and judge. A
residual of each device, stack, kernel and format is fitted to the rest over what its formula predicts; ``--constants``
moves the formula's constants first. Errors are those of the rows put aside. ``--write`` changes ``device_specs/``.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from benchmarks.fit_gpu import SHAPE, held_out
from hwsim.devices.base import KINDS
from hwsim.errors import HwsimError
from hwsim.graph.work import Work
from hwsim.loading.device import load_device
from hwsim.specs.fields import Quantity
from hwsim.specs.software import ResidualSpec
from hwsim.units import format_quantity
from hwsim.validation.calibration import Family, FamilyFit, families_of, fit_family, residual_lines
from hwsim.validation.matching import device_of, stack_for
from hwsim.validation.measured import MeasuredFile, Row, read_measured

TOP = Path(__file__).resolve().parents[1]
TRUTH = TOP.parent / "shared" / "ground_truth" / "gpu"
LEAST_ROWS = 40


def split(row: Row, _: Work) -> bool:
    """Whether a row is put aside, as in ``fit_gpu``."""
    return held_out([row.columns[name] for name in ("device", "op", "dtype", "timing", *SHAPE)])


def by_device(file: MeasuredFile) -> dict[str, MeasuredFile]:
    """The rows of each known device."""
    found: dict[str, list[Row]] = {}
    for row in file.rows:
        try:
            found.setdefault(device_of(row).name, []).append(row)
        except HwsimError:
            continue
    return {name: replace(file, rows=tuple(rows)) for name, rows in found.items()}


def families(file: MeasuredFile, device: str) -> list[Family]:
    """The device's families of enough rows."""
    spec = load_device(device)
    found, _ = families_of([file], spec, lambda row: stack_for(spec, row.text("timing")), split)
    return [family for family in found if len(family.works) >= LEAST_ROWS]


def _stack_body(text: str, stack: str) -> tuple[int, int]:
    start = re.search(rf"^  {re.escape(stack)}:\n", text, re.MULTILINE)
    assert start is not None, f"no stack {stack} in block style"
    after = re.search(r"^ {0,2}\S", text[start.end() :], re.MULTILINE)
    return start.end(), start.end() + after.start() if after else len(text)


def without_residual(body: str, of: Iterable[str]) -> str:
    """A stack's text without the residuals for some families: they belong to constants that have moved."""
    block = re.compile(r"^      - of: \[([^]]*)\]\n(?:        .*\n)*", re.MULTILINE)
    names = set(of)
    return block.sub(lambda old: "" if set(old[1].split(", ")) & names else old[0], body)


def with_residual(body: str, residual: ResidualSpec) -> str:
    """A stack's text with the residual, in place of an older one for the same families."""
    body = without_residual(body, residual.of)
    lines = "".join(f"      {line}\n" for line in residual_lines(residual))
    if "    residual:\n" in body:
        return body.replace("    residual:\n", f"    residual:\n{lines}", 1)
    basis = re.search(r"^    basis: .*\n", body, re.MULTILINE)
    assert basis is not None, "the stack has no basis"
    return f"{body[: basis.end()]}    residual:\n{lines}{body[basis.end() :]}"


def with_constants(body: str, found: FamilyFit, device: str) -> str:
    """A stack's text with the constants in the line of the widest family of the text that the rows fall under."""
    constants = KINDS[load_device(device).kind].constants
    work = found.family.works[0]
    names = (f"{work.kernel}.{work.format}", work.kernel, f"{work.form}.{work.format}", str(work.form))
    name = next(name for name in names if name in found.family.stack.kernels)
    line = re.search(rf"^    {re.escape(name)}: {{(.*)}}\n", body, re.MULTILINE)
    if line is None:  # the stack takes the rest from the one it extends
        basis = re.search(r"^    basis: .*\n", body, re.MULTILINE)
        assert basis is not None, "the stack has no basis"
        body = f"{body[: basis.end()]}    {name}: {{launch: 0 s}}\n{body[basis.end() :]}"
        line = re.search(rf"^    {re.escape(name)}: {{(.*)}}\n", body, re.MULTILINE)
    assert line is not None
    values = dict(item.split(": ") for item in line[1].split(", "))
    for name, value in found.constants.items():
        values[name] = format_quantity(value, "s") if isinstance(constants[name], Quantity) else f"{value:.3g}"
    written = ", ".join(f"{name}: {value}" for name, value in values.items())
    return f"{body[: line.start(1)]}{written}{body[line.end(1) :]}"


def write(device: str, found: FamilyFit) -> None:
    """Change the device file."""
    path = TOP / "device_specs" / f"{device}.yaml"
    text = path.read_text(encoding="utf-8")
    start, stop = _stack_body(text, found.family.stack.name)
    body = with_constants(text[start:stop], found, device) if found.constants else text[start:stop]
    body = with_residual(body, found.residual) if found.residual else without_residual(body, [found.family.name])
    path.write_text(text[:start] + body + text[stop:], encoding="utf-8")


def main(arguments: Iterable[str]) -> int:
    """Fits what is asked for; returns 0, or 1 when nothing matched."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", help="gemm, attention, vector or conv_rnn")
    parser.add_argument("--device", default="")
    parser.add_argument("--kernel", default="", help="only families whose name, such as linear.bf16, contains this")
    parser.add_argument("--stack", default="")
    parser.add_argument("--knots", type=int, default=400)
    parser.add_argument("--constants", action="store_true")
    parser.add_argument("--no-residual", action="store_true")
    parser.add_argument("--write", action="store_true")
    given = parser.parse_args(list(arguments))
    matched = 0
    for device, file in by_device(read_measured(TRUTH / f"{given.name}_dev.csv", strict=True)).items():
        if given.device not in ("", device):
            continue
        for family in families(file, device):
            if given.kernel not in family.name or given.stack not in ("", family.stack.name):
                continue
            matched += 1
            found = fit_family(
                load_device(device),
                family,
                residual=not given.no_residual,
                search=given.constants,
                knots=given.knots,
            )
            knots = "x".join(map(str, found.residual.knots)) if found.residual else "none"
            what = f"{device} {family.stack.name} {family.name}"
            errors = f"{found.before:5.1f} -> {found.formula:5.1f} -> {found.after:5.1f} %, fitted {found.fitted:.1f}"
            held = int(family.held.sum())
            print(f"{what:42s} {len(family.works):4d} rows, {held:4d} held out: {errors}, knots {knots}", flush=True)
            if given.write:
                write(device, found)
    return 0 if matched else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
