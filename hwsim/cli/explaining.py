"""``hwsim explain`` and ``hwsim fit``."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from hwsim.cli.arguments import AllowUnknown, Device, Json, Quiet, Set, Software, Verbose, What
from hwsim.cli.console import print_json, setup, show

__all__ = ["add_commands"]


def add_commands(app: typer.Typer) -> None:
    """Register this module's commands."""
    app.command("explain")(explain)
    app.command("fit")(fit)


def explain(
    what: What,
    device: Device,
    op: Annotated[str, typer.Option("--op", metavar="NAME", help="Name (or the end of the name) of an operator.")],
    set_: Set = None,
    software: Software = None,
    allow_unknown: AllowUnknown = False,
    as_json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """The terms of the formula behind one operator's time and energy, with parameters and sources."""
    setup(quiet, verbose)
    from hwsim.cli.choosing import graph_of, only_device
    from hwsim.explore.explain import explain as explained
    from hwsim.loading.device import load_device
    from hwsim.report import tables
    from hwsim.report.figures import shortened

    chip = load_device(only_device(device, "explain"))
    found = explained(graph_of(what, set_ or [], allow_unknown=allow_unknown), chip, op, software)
    if as_json:
        print_json(_explanation(found))
        return
    page = [tables.key_values(f"{found.op} ({found.kind}) on {found.device}, stack {found.software}", found.about)]
    for title, terms in found.parts:
        page.append(tables.plain_table(title, ("term", "value"), terms, ("value",)))
    heads = ("parameter", "value", "from")
    page.append(tables.plain_table("Parameters used", heads, found.parameters, ("value",)))
    cut = [(name, text if verbose else shortened(text, 300)) for name, text in found.sources]
    show(*page, tables.key_values("Sources", cut))


def _explanation(found: Any) -> dict[str, Any]:
    """An explanation as a document; values are texts with units, as in the tables."""
    heads = ("parameter", "value", "from")
    return {
        "schema": "hwsim/explanation/v1",
        **{name: getattr(found, name) for name in ("op", "kind", "device", "software")},
        "about": dict(found.about),
        "terms": {title: dict(terms) for title, terms in found.parts},
        "parameters": [dict(zip(heads, row, strict=True)) for row in found.parameters],
        "sources": dict(found.sources),
    }


def fit(
    what: What,
    device: Device,
    set_: Set = None,
    software: Software = None,
    allow_unknown: AllowUnknown = False,
    as_json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> int:
    """Does it fit: weights, activations and KV cache against capacity; the largest batch and context that do."""
    setup(quiet, verbose)
    from hwsim.cli.choosing import named_workload, only_device
    from hwsim.explore.fit import fit as fitted
    from hwsim.loading.device import load_device
    from hwsim.report import tables
    from hwsim.report.figures import size

    chip = load_device(only_device(device, "fit"))
    name, params = named_workload(what, set_ or [], allow_unknown=allow_unknown)
    found = fitted(name, chip, params, software)
    need = found.footprint
    if as_json:
        print_json(_document(found))
        return 0
    pairs = [
        ("weights", size(need.weights_bytes)),
        ("states (KV cache, optimizer)", size(need.states_bytes)),
        ("activations", size(need.activations_bytes)),
        ("total", f"{size(need.total_bytes)} of {size(found.capacity_bytes)} ({found.dtype})"),
        ("fits", "yes" if found.fits else "NO"),
    ]
    if found.largest_batch is not None:
        pairs.append(("largest batch", f"{found.largest_batch:,}"))
    if found.largest_length is not None:
        pairs.append((f"largest {found.length_name}", f"{found.largest_length:,} tokens"))
    elif found.fits:
        pairs.append(("largest length", "none: no length parameter changes the footprint"))
    show(tables.key_values(f"{found.workload} on {found.device}", pairs))
    return 0


def _document(found: Any) -> dict[str, Any]:
    need = found.footprint
    return {
        "schema": "hwsim/fit/v1",
        "workload": found.workload,
        "device": found.device,
        "dtype": found.dtype,
        "weights_bytes": need.weights_bytes,
        "states_bytes": need.states_bytes,
        "activations_bytes": need.activations_bytes,
        "total_bytes": need.total_bytes,
        "capacity_bytes": int(found.capacity_bytes),
        "fits": found.fits,
        "largest_batch": found.largest_batch,
        "largest_length": found.largest_length,
        "length": found.length_name,
    }
