"""The command line: arguments, progress bars and exit codes; the only place that prints.

Exit codes: 0 fine; 1 the simulation ran and a requirement does not hold, or it could not be completed;
2 bad input; 130 interrupted.
"""

from __future__ import annotations

import sys
from typing import Any

import typer

from hwsim.cli import calibrating, console, explaining, files, library, running, sweeping, validating, verifying
from hwsim.errors import HwsimError, SimulationError

__all__ = ["app", "main"]

app = typer.Typer(
    name="hwsim",
    help="What would this model cost on that hardware? A discrete-event hardware simulator.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
for _part in (running, library, files, explaining, sweeping, validating, calibrating, verifying):
    _part.add_commands(app)


@app.callback(invoke_without_command=True)
def _root(version: bool = typer.Option(False, "--version", help="Print the version and leave.")) -> None:
    if version:
        from hwsim import __version__

        console.show(f"hwsim {__version__}")
        raise typer.Exit


_UsageError: Any = typer.BadParameter.mro()[2]
"""Base of the errors of the argument parser, which typer does not export by name."""


_INTERRUPTED = 130
_KEPT = "interrupted; what was finished is kept"


def main() -> None:
    """Entry point of ``hwsim`` and ``python -m hwsim``."""
    sys.exit(_guarded())


def _guarded() -> int:
    try:
        code = app(standalone_mode=False)
    except HwsimError as error:
        console.complain(str(error))
        return 1 if isinstance(error, SimulationError) else 2
    except (KeyboardInterrupt, typer.Abort):
        console.complain(_KEPT)
        return _INTERRUPTED
    except _UsageError as error:
        error.show()
        return 2
    if code == _INTERRUPTED:
        console.complain(_KEPT)
    return code if isinstance(code, int) else 0
