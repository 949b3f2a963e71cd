"""``hwsim validate``: predicted against measured."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from hwsim.cli.arguments import Quiet, Verbose
from hwsim.cli.console import print_json, progress, say, setup, show
from hwsim.errors import InputError

__all__ = ["add_commands"]


def add_commands(app: typer.Typer) -> None:
    """Register this module's commands."""
    app.command("validate")(validate)


def validate(
    data: Annotated[
        str | None,
        typer.Option("--data", metavar="DIR-or-CSV", help="Measured data; by default the figures shipped with hwsim."),
    ] = None,
    device: Annotated[
        list[str] | None, typer.Option("-d", "--device", metavar="DEVICE", help="Only rows of this device; repeatable.")
    ] = None,
    live: Annotated[
        bool, typer.Option("--live", help="Run networks on this machine and compare; needs --device, as calibrated.")
    ] = False,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="DIR", help="Write predictions.csv and parity plots there.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the scores as one JSON document.")] = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Predict measured rows; print errors by device and operator, and what was skipped."""
    setup(quiet, verbose)
    from hwsim.report.document import plain
    from hwsim.report.folder import make_folder
    from hwsim.validation import report
    from hwsim.validation.live import validate_live
    from hwsim.validation.validate import validate as validated

    if live and (data is not None or len(device or []) != 1):
        raise InputError("--live measures this machine: write one --device that 'hwsim calibrate' wrote, and no --data")
    if output is not None:
        make_folder(output)
    with ExitStack() as shown:
        if live:
            found = validate_live((device or [])[0], lambda runs: shown.enter_context(progress("runs", runs)))
        else:
            found = validated(data, device or [], started=lambda rows: shown.enter_context(progress("rows", rows)))
    if as_json:
        print_json(plain(found.document()))
    else:
        tables = [report.groups_table(found), report.worst_table(found)] if found.groups else []
        show(*tables, *([report.skipped_table(found)] if found.skipped else []))
        show(report.summary(found))
    if output is not None:
        say(f"predictions: {report.write_folder(found, output)}")
