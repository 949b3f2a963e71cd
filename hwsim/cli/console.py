"""Where text goes: results to stdout, everything else to stderr."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

__all__ = ["out", "print_json", "progress", "say", "setup", "show"]


_level = {"quiet": False, "verbose": False}


def setup(quiet: bool, verbose: bool) -> None:
    """Remember how much a command should say."""
    _level.update(quiet=quiet, verbose=verbose)


_PIPED_WIDTH = 140
"""Columns of tables that are piped, unless COLUMNS says otherwise."""


def out() -> Console:
    """Console for results."""
    width = None if sys.stdout.isatty() or os.environ.get("COLUMNS", "").isdigit() else _PIPED_WIDTH
    return Console(file=sys.stdout, width=width, highlight=False, soft_wrap=False)


def _err() -> Console:
    return Console(file=sys.stderr, highlight=False, soft_wrap=True)


def show(*things: Any) -> None:
    """Print results: texts or rich renderables, those apart by an empty line; piped lines have no trailing spaces."""
    console = out()
    parts: list[str] = []
    for thing in things:
        with console.capture() as captured:
            console.print(thing, markup=False, soft_wrap=isinstance(thing, str))
        text = captured.get()
        if not console.is_terminal:
            text = "".join(f"{line.rstrip()}\n" for line in text.splitlines())
        apart = parts and not isinstance(thing, str) and not parts[-1].endswith("\n\n")
        parts.append(f"\n{text}" if apart else text)
    _write("".join(parts))


def _write(text: str) -> None:
    """Write to stdout now; once its reader has gone (``| head``), go on without it."""
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def say(text: str, *, verbose: bool = False) -> None:
    """Print a remark to stderr, unless quiet; verbose ones only when asked for."""
    if _level["quiet"] or (verbose and not _level["verbose"]):
        return
    _err().print(text, markup=False)


def complain(text: str) -> None:
    """Print an error to stderr, always."""
    _err().print(f"error: {text}", markup=False)


def print_json(document: Any) -> None:
    """One JSON document on stdout."""
    _write(json.dumps(document, indent=1, allow_nan=False, ensure_ascii=False) + "\n")


@contextmanager
def progress(what: str, total: int) -> Iterator[Any]:
    """A bar with remaining time when stderr is a terminal; yields a function that advances it, by one unless told."""
    console = _err()
    if _level["quiet"] or not console.is_terminal or total < 2:
        yield lambda *_: None
        return
    columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(what, total=total)
        yield lambda count=1: bar.advance(task, count)
