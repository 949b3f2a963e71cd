"""``hwsim calibrate``: a device file from measurements."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from hwsim.cli.arguments import Quiet, Verbose
from hwsim.cli.console import progress, say, setup, show
from hwsim.errors import InputError
from hwsim.registry import unknown_name

__all__ = ["add_commands"]

_OUTPUT = Path("device_specs/this_machine.yaml")
"""Where every command finds the device by the name this_machine."""


def add_commands(app: typer.Typer) -> None:
    """Register this module's commands."""
    app.command("calibrate")(calibrate)


def calibrate(
    data: Annotated[
        Path | None,
        typer.Option("--data", metavar="CSV", help="Fit to measured rows instead of measuring this machine."),
    ] = None,
    device: Annotated[
        str | None, typer.Option("-d", "--device", metavar="DEVICE", help="The device the rows were measured on.")
    ] = None,
    residual: Annotated[
        bool, typer.Option("--residual", help="With --data: also fit what the formulas leave, as smooth factors.")
    ] = False,
    backend: Annotated[str, typer.Option(metavar="numpy|torch", help="What runs the operators.")] = "numpy",
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="NAME.yaml", help="The device file to write; a folder must exist.")
    ] = _OUTPUT,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """A device file from measurements: of this machine, or with --data of a device that a CSV has rows of."""
    setup(quiet, verbose)
    if data is not None:
        _from_rows(data, device, residual, output)
        return
    if device is not None or residual:
        raise InputError("--device and --residual go with --data; write '--data CSV -d DEVICE -o NAME.yaml'")
    from hwsim.loading.writing import check_output
    from hwsim.validation.calibrated_machine import calibrated, measured_probes
    from hwsim.validation.report import calibration_table
    from hwsim.validation.timing import BACKENDS

    if backend not in BACKENDS:
        raise unknown_name("backend", backend, BACKENDS)
    chosen = BACKENDS[backend]()
    if output == _OUTPUT:
        output.parent.mkdir(exist_ok=True)
    check_output(output, _OUTPUT.stem)
    with ExitStack() as shown:
        measured = measured_probes(chosen, lambda runs: shown.enter_context(progress("runs", runs)))
    found = calibrated(chosen, measured, output)
    show(calibration_table(found.spec.title, found.families))
    name = output.stem if output == _OUTPUT else output
    say(f"device file: {output}; try: hwsim validate --device {name} --live")


def _from_rows(data: Path, device: str | None, residual: bool, output: Path) -> None:
    """Fit a device's software to measured rows and write what differs."""
    from hwsim.loading.device import load_device
    from hwsim.validation.calibrated_device import calibrated_device
    from hwsim.validation.report import fits_table

    if device is None or output == _OUTPUT:
        raise InputError("--data needs the device and a file to write; write '--data CSV -d DEVICE -o NAME.yaml'")
    spec = load_device(device)
    with ExitStack() as shown:
        found = calibrated_device(
            data,
            spec,
            output,
            residual=residual,
            started=lambda families: shown.enter_context(progress("families", families)),
        )
    show(fits_table(f"{spec.title}: mean errors on rows left out", found.fits))
    for reason, rows in found.left_out.items():
        say(f"left out: {rows:,} row(s), {reason}")
    say(f"device file: {output}; try: hwsim estimate gpt2 -d {output}")
