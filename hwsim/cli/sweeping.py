"""``hwsim sweep``: design-space exploration."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hwsim.cli.arguments import Quiet, Verbose
from hwsim.cli.console import print_json, progress, say, setup, show

__all__ = ["add_commands"]


def add_commands(app: typer.Typer) -> None:
    """Register this module's commands."""
    app.command("sweep")(sweep)


def sweep(
    name: Annotated[str, typer.Argument(metavar="SWEEP.yaml", help="A sweep file, by name or path.")],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="DIR", help="Write designs.csv and pareto.png there.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the Pareto front as one JSON document.")] = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Price every design of a grid on every workload; print the Pareto front."""
    setup(quiet, verbose)
    from hwsim.explore.sweep import sweep as swept
    from hwsim.loading.sweep import load_sweep
    from hwsim.report import designs
    from hwsim.report.folder import make_folder

    spec = load_sweep(name)
    if output is not None:
        make_folder(output)
    with progress(spec.title, spec.designs) as advance:
        found = swept(spec, advance)
    if as_json:
        print_json(designs.front_document(spec, found.columns, found.pareto_columns()))
    elif len(found.front):
        show(designs.pareto_table(spec, found.pareto_columns()))
    say(designs.summary(found.columns, found.pareto_columns()))
    if not len(found.front):
        say(designs.unmet(spec, found.columns))
    if output is not None:
        say(f"designs: {designs.write_folder(spec, found.columns, found.pareto_columns(), output)}")
