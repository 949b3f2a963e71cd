"""``hwsim check``, ``new``, ``schema``: the files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hwsim.cli.arguments import Json, Quiet, Verbose
from hwsim.cli.console import print_json, say, setup, show
from hwsim.errors import InputError

__all__ = ["add_commands"]

KindOf = Annotated[str, typer.Argument(metavar="device|system|scenario|sweep", help="Kind of file.")]


def add_commands(app: typer.Typer) -> None:
    """Register this module's commands."""
    app.command("check")(check)
    app.command("new")(new)
    app.command("schema")(schema)


def check(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="YAML files, or folders of them.")],
    as_json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> int:
    """Validate device, system, scenario and sweep files: every fault with file:line:column and what to write."""
    setup(quiet, verbose)
    from hwsim.loading.check import check_file

    listed = _expanded(files)
    faults = [(path, check_file(path)) for path in listed]
    if as_json:
        entries = [{"file": str(path), "faults": list(found)} for path, found in faults]
        print_json({"schema": "hwsim/check/v1", "files": entries})
    for path, found in faults:
        if found and not as_json:
            show(*found)
        elif not as_json:
            say(f"{path}: ok", verbose=True)
    bad = sum(1 for _, found in faults if found)
    total = sum(len(found) for _, found in faults)
    say(f"{len(listed)} file(s) checked, {bad} with faults, {total} fault(s)")
    return 2 if bad else 0


def _expanded(files: list[Path]) -> list[Path]:
    """Folders replaced by the YAML files in them; a folder without any stays, to be refused beside the other faults."""
    listed: list[Path] = []
    for path in files:
        inside = sorted(p for p in path.rglob("*") if p.suffix in (".yaml", ".yml")) if path.is_dir() else []
        listed += inside or [path]
    return listed


def new(
    kind: KindOf,
    name: Annotated[str | None, typer.Argument(help="Name of the file to write, without .yaml.")] = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Write a commented starter file."""
    setup(quiet, verbose)
    from hwsim.loading.starter import starter_text

    chosen = name or f"my_{kind}"
    text = starter_text(kind, chosen)
    path = Path(f"{chosen}.yaml")
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise InputError(f"{path} exists already; give another name, e.g. 'hwsim new {kind} {chosen}_2'") from None
    show(f"wrote {path}; try: hwsim check {path}")


def schema(kind: KindOf, quiet: Quiet = False, verbose: Verbose = False) -> None:
    """JSON Schema of a kind of file, for completion in an editor."""
    setup(quiet, verbose)
    from hwsim.loading.schema import json_schema

    print_json(json_schema(kind))
