"""``hwsim verify``: hwsim's kernels against the ONNX project's test cases and ONNX Runtime."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from hwsim.cli.arguments import Json, Quiet, Verbose
from hwsim.cli.console import print_json, progress, say, setup, show
from hwsim.errors import InputError
from hwsim.registry import known_names

__all__ = ["add_commands"]


def add_commands(app: typer.Typer) -> None:
    """Register this module's commands."""
    app.command("verify")(verify)


def verify(
    ops: Annotated[
        list[str] | None,
        typer.Option("--ops", metavar="OP", help="Only the cases of this ONNX operator; may be repeated."),
    ] = None,
    onnx: Annotated[
        list[Path] | None,
        typer.Option("--onnx", metavar="MODEL", help="Only this network against ONNX Runtime; may be repeated."),
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=SIZE", help="Size of a symbolic dimension of the models; may be repeated."),
    ] = None,
    as_json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> int:
    """Reference kernels against the ONNX project's test cases, whole networks against ONNX Runtime."""
    setup(quiet, verbose)
    from hwsim.validation import verified
    from hwsim.validation.node_cases import cases, judged, operator_of
    from hwsim.validation.whole_models import check_model, shipped_models

    results: list[Any] = []
    if ops or not onnx:
        found = cases()
        names = operator_of(found)
        _known(ops or [], sorted(set(names.values())))
        chosen = [case for case in found if not ops or names[case.name] in ops]
        with progress("cases", len(chosen)) as advance:
            results = list(judged(chosen, names, advance))
    paths = onnx or ([] if ops else shipped_models())
    models = []
    with progress("networks", len(paths)) as advance:
        for path in paths:
            models.append(check_model(path, _sizes(set_ or [])))
            advance()
    if as_json:
        print_json(verified.document(results, models))
    else:
        tables = [verified.cases_table(results, whole=verbose)] if results else []
        show(*tables, *([verified.models_table(models)] if models else []))
    for result in results:
        if result.verdict == "failed" or (verbose and result.verdict != "passed"):
            say(f"{result.name}: {result.verdict}: {result.reason}")
    return 1 if any(each.verdict == "failed" for each in (*results, *models)) else 0


def _known(ops: Sequence[str], names: Sequence[str]) -> None:
    for name in ops:
        if name not in names:
            raise InputError(f"--ops: no test case of an ONNX operator '{name}'{known_names(name, names)}")


def _sizes(assignments: Sequence[str]) -> dict[str, int]:
    sizes = {}
    for text in assignments:
        name, _, size = text.partition("=")
        if not size.strip().isdecimal():
            raise InputError(f"--set: write NAME=SIZE, e.g. 'batch=8', not '{text}'")
        sizes[name.strip()] = int(size)
    return sizes
