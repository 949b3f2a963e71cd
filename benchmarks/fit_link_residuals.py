"""Fits what measured collectives show beyond the formulas of the links, as smooth factors over bytes and ranks.

    python -m benchmarks.fit_link_residuals [--only TEXT] [--knots 60] [--write]

Reads ``../shared/ground_truth/gpu/comm_dev.csv``. Rows are those of one kind of links and one pattern, inside a machine
or between machines; three in ten (``fit_links.held_out_rows``) are put aside and judge, the rest are fitted over what
the formula with the constants of ``device_specs/systems`` predicts. Lengths and the penalty are those of the least
error in cross-validation over the rows that are fitted, averaged over ten divisions into five parts, and a residual is
kept only where it lessens that error by more than a standard error. ``--write`` changes the files of the systems.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.fit_gpu import COLLECTIVE, held_out
from benchmarks.fit_residuals import TRUTH
from hwsim.devices.interconnect import price_collectives
from hwsim.graph.lowering import tables_of
from hwsim.graph.work import Collective, Form
from hwsim.specs.software import ResidualSpec
from hwsim.specs.system import InterconnectSpec, SystemSpec
from hwsim.validation.calibration import residual_lines
from hwsim.validation.kernels import kernel_work
from hwsim.validation.matching import device_of, links_of
from hwsim.validation.measured import Row, read_measured
from hwsim.validation.residual import Residual, fit_residual, residual_factor

Floats = NDArray[np.float64]
DIVISIONS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Rows of one pattern over equal links: the files that hold the links, what was measured, what a formula says."""

    links: InterconnectSpec
    between: bool
    pattern: str
    paths: set[Path]
    ranks: list[float]
    size: list[float]
    measured_s: list[float]
    formula_s: list[float]
    held: list[bool]

    def sizes(self, rows: NDArray[np.bool_]) -> dict[str, Floats]:
        """What residuals are over."""
        return {"bytes": np.array(self.size)[rows], "participants": np.array(self.ranks)[rows]}

    def errors(self, residual: ResidualSpec | None, rows: NDArray[np.bool_]) -> Floats:
        """Errors in per cent."""
        factor = 1.0 if residual is None else residual_factor(residual, self.sizes(rows))
        found: Floats = 100.0 * np.abs(np.array(self.formula_s)[rows] * factor / np.array(self.measured_s)[rows] - 1.0)
        return found

    def fit(self, knots: int) -> Residual | None:
        """The residual of the rows that are not put aside."""
        seen = ~np.array(self.held)
        formula, measured = np.array(self.formula_s)[seen], np.array(self.measured_s)[seen]
        known = {"of": [self.pattern], "knots": knots, "relative": True, "divisions": DIVISIONS}
        return fit_residual(self.sizes(seen), formula, measured, **known)  # type: ignore[arg-type]


def groups(folder: Path) -> list[Group]:
    """All measured collectives that some system's links price."""
    file = read_measured(folder / "comm_dev.csv", strict=True)
    assert file is not None
    found: list[Group] = []
    for row in file.rows:
        work = kernel_work(row)
        assert isinstance(work, Collective)
        matched = links_of(device_of(row).name, row.text("device"), work.participants)
        if matched is not None:
            _add(found, row, work, *matched)
    return found


def _add(found: list[Group], row: Row, work: Collective, system: SystemSpec, links: InterconnectSpec) -> None:
    links = replace(links, residuals=(), network=links.network and replace(links.network, residuals=()))
    name, _, count = row.text("model").partition("=")
    node = min(int(count), links.node) if name == "devices_per_node" else links.node
    between = node < work.participants
    group = next((g for g in found if (g.links, g.between, g.pattern) == (links, between, work.pattern)), None)
    if group is None:
        group = Group(
            links=links, between=between, pattern=work.pattern, paths=set(),
            ranks=[], size=[], measured_s=[], formula_s=[], held=[],
        )  # fmt: skip
        found.append(group)
    table = tables_of([work])[Form.COLLECTIVE]
    group.paths.add(Path(system.path))
    group.ranks.append(float(work.participants))
    group.size.append(float(work.bytes))
    group.measured_s.append(row.figures["latency_us"])
    group.formula_s.append(float(price_collectives(table, replace(links, node=node), work.participants).time_s[0, 0]))
    group.held.append(held_out([row.columns[name] for name in COLLECTIVE]))


def write(path: Path, between: bool, residuals: list[ResidualSpec], validated: Mapping[str, float]) -> None:
    """Put the residuals of a file's links, inside a machine or between machines, and their errors into the file."""
    text = path.read_text(encoding="utf-8")
    indent = "    " if between else "  "
    text = re.sub(rf"^{indent}residual:\n(?:{indent}  .*\n)*", "", text, flags=re.MULTILINE)
    lines = [f"{indent}residual:\n", *(f"{indent}  {line}\n" for r in residuals for line in residual_lines(r))]
    start = text.index("\n  network:\n" if between else "\ninterconnect:\n")
    before = re.compile(rf"^{indent}{'source' if between else 'validated'}: ", re.MULTILINE).search(text, start)
    assert before is not None, path
    text = f"{text[: before.start()]}{''.join(lines) if residuals else ''}{text[before.start() :]}"
    if not between:
        figures = ", ".join(f"{name}: {validated[name]:.1f}" for name in sorted(validated))
        text = re.sub(r"^  validated: \{.*\}", f"  validated: {{{figures}}}", text, count=1, flags=re.MULTILINE)
    path.write_text(text, encoding="utf-8")


def report(found: list[Group], knots: int) -> Iterator[tuple[Group, Residual | None, Floats]]:
    """Each group with its residual, printed, and the errors on what was put aside."""
    for group in found:
        residual, held = group.fit(knots), np.array(group.held)
        spec = residual.spec if residual else None
        before, after = (group.errors(each, held) for each in (None, spec))
        where = ", ".join(sorted(path.stem for path in group.paths)) + (", between machines" if group.between else "")
        kept = f"knots {'x'.join(map(str, spec.knots))} over {', '.join(spec.over)}" if spec else "no residual"
        fitted = f"fitted {group.errors(None, ~held).mean():.1f} -> {group.errors(spec, ~held).mean():.1f} %"
        judged = f"{len(before)} held out: {before.mean():.1f} -> {after.mean():.1f} %"
        print(f"{where}, {group.pattern}: {np.sum(~held)} {fitted}, {judged}, {kept}", flush=True)
        yield group, residual, after


def main(arguments: list[str]) -> int:
    """Fits what is asked for; returns 0, or 1 when nothing matched."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=TRUTH)
    parser.add_argument("--only", default="", help="links of systems whose name contains this")
    parser.add_argument("--knots", type=int, default=60)
    parser.add_argument("--write", action="store_true")
    given = parser.parse_args(arguments)
    chosen = [group for group in groups(given.data) if any(given.only in path.stem for path in group.paths)]
    done = list(report(chosen, given.knots))
    errors = np.concatenate([after for _, _, after in done] or [np.zeros(0)])
    print(f"{len(errors)} held out: {errors.mean():.1f} %, median {np.median(errors):.1f}")
    for path in sorted({path for group in chosen for path in group.paths} if given.write else ()):
        for between in (False, True):
            mine = [each for each in done if path in each[0].paths and each[0].between is between]
            if mine:
                figures = {group.pattern: float(after.mean()) for group, _, after in mine}
                write(path, between, [residual.spec for _, residual, _ in mine if residual], figures)
    return 0 if chosen else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
