"""Arguments and options that several commands share, with their help."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["AllowUnknown", "Device", "Devices", "Json", "Out", "Quiet", "Set", "Software", "Verbose", "What"]

What = Annotated[str, typer.Argument(metavar="WORKLOAD-or-SCENARIO", help="A workload, an ONNX file or a scenario.")]
Device = Annotated[list[str], typer.Option("-d", "--device", metavar="DEVICE", help="A device, by name or path.")]
Devices = Annotated[
    list[str], typer.Option("-d", "--device", metavar="DEVICE", help="A device or system; may be repeated.")
]
Set = Annotated[
    list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="Change a parameter; may be repeated.")
]
Software = Annotated[str | None, typer.Option("--software", help="A stack of the device's YAML.")]
AllowUnknown = Annotated[
    bool, typer.Option("--allow-unknown", help="Price operators of an ONNX file that hwsim lacks as moves of bytes.")
]
Out = Annotated[Path | None, typer.Option("-o", "--output", metavar="DIR", help="Write the report files there.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Only results and errors.")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Say more on the way.")]
