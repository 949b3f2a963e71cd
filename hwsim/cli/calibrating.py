"""``hwsim calibrate``: a device file from measurements."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from hwsim.cli.console import Quiet, Verbose, progress, say, setup, show
from hwsim.registry import unknown_name

__all__ = ["add_commands"]

_OUTPUT = Path("device_specs/this_machine.yaml")
"""Where every command finds the device by the name this_machine."""


def add_commands(app: typer.Typer) -> None:
    """Register this module's commands."""
    app.command("calibrate")(calibrate)


def calibrate(
    backend: Annotated[str, typer.Option(metavar="numpy|torch", help="What runs the operators.")] = "numpy",
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="NAME.yaml", help="The device file to write; a folder must exist.")
    ] = _OUTPUT,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Measure this machine and write a device file for it: facts, bandwidths, fitted software constants."""
    setup(quiet, verbose)
    from hwsim.validation.calibrated_machine import calibrated, measured_probes
    from hwsim.validation.report import calibration_table
    from hwsim.validation.timing import BACKENDS

    if backend not in BACKENDS:
        raise unknown_name("backend", backend, BACKENDS)
    chosen = BACKENDS[backend]()
    if output == _OUTPUT:
        output.parent.mkdir(exist_ok=True)
    with ExitStack() as shown:
        measured = measured_probes(chosen, lambda runs: shown.enter_context(progress("runs", runs)))
    found = calibrated(chosen, measured, output)
    show(calibration_table(found.spec.title, found.families))
    name = output.stem if output == _OUTPUT else output
    say(f"device file: {output}; try: hwsim validate --device {name} --live")
