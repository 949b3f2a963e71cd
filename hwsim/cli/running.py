"""``hwsim estimate``, ``hwsim compare``, ``hwsim run``."""

from __future__ import annotations

from typing import Annotated

import typer

from hwsim.cli.arguments import AllowUnknown, Device, Devices, Json, Out, Quiet, Set, Software, Verbose, What
from hwsim.cli.console import print_json, progress, say, setup, show
from hwsim.errors import InputError

__all__ = ["add_commands"]


def add_commands(app: typer.Typer) -> None:
    """Register this module's commands."""
    app.command("run")(run)
    app.command("compare")(compare)
    app.command("estimate")(estimate)


def estimate(
    workload: Annotated[str, typer.Argument(help="A workload (hwsim workloads lists them) or an ONNX file.")],
    device: Device,
    set_: Set = None,
    software: Software = None,
    per_op: Annotated[bool, typer.Option("--per-op", help="One row an operator.")] = False,
    allow_unknown: AllowUnknown = False,
    as_json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Price a workload alone on a device; no scenario file needed."""
    setup(quiet, verbose)
    from hwsim import api
    from hwsim.cli.choosing import graph_of, only_device
    from hwsim.report import summary, tables
    from hwsim.report.document import estimate_document

    chip = only_device(device, "estimate")
    found = api.estimate(graph_of(workload, set_ or [], allow_unknown=allow_unknown), chip, software)
    graph = found.costs.lowered.graph
    if as_json:
        print_json(estimate_document(found, per_op=per_op))
        return
    if per_op:
        show(tables.operators_table(found))
    show(tables.key_values(f"{graph.name} on {found.device}", summary.estimate_pairs(found, whole=verbose)))


def compare(
    what: What,
    devices: Devices,
    set_: Set = None,
    output: Out = None,
    allow_unknown: AllowUnknown = False,
    as_json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """The same work on each device, one row each."""
    setup(quiet, verbose)
    from hwsim.cli.choosing import graph_of
    from hwsim.explore.compare import compare as compare_each
    from hwsim.loading.system import load_system
    from hwsim.report import folder, tables
    from hwsim.report.document import result_document

    graph = graph_of(what, set_ or [], allow_unknown=allow_unknown)
    systems = [load_system(name) for name in devices]
    if output is not None:
        folder.make_folder(output)
    with progress("comparing", len(systems)) as advance:
        found = compare_each(graph, systems, advance)
    for name, reason in found.refused.items():
        say(f"{name}: left out: {reason}")
    if not found.results:
        raise InputError(f"none of {', '.join(devices)} can run {graph.name}: " + "; ".join(found.refused.values()))
    if output is not None:
        written = folder.write_folder(found.results, output, title=f"{graph.name} compared")
        say(f"report: {written}")
    if as_json:
        print_json(result_document(found.results))
        return
    show(tables.comparison_table(graph.name, found.columns))
    for result in found.results:
        if not result.fits:
            say(f"{result.system.name}: {result.note}")


def run(
    scenarios: Annotated[list[str], typer.Argument(metavar="SCENARIO.yaml...", help="Scenario files or names.")],
    output: Out = None,
    as_json: Json = False,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="PATH=VALUE", help="Change the scenario, e.g. workload.batch=8."),
    ] = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> int:
    """Run scenarios; a table each, and a folder of files with -o."""
    setup(quiet, verbose)
    from hwsim import api
    from hwsim.report import folder, summary, tables
    from hwsim.report.document import result_document

    loaded = [api.load_scenario(name, set_ or []) for name in scenarios]
    if output is not None:
        folder.make_folder(output)
    everything = []
    for scenario in loaded:
        with progress(scenario.title, scenario.count) as advance:
            results = scenario.run(advance)
        everything += results
        for name, reason in scenario.refused.items():
            say(f"{name}: left out: {reason}")
        if not as_json:
            show(tables.results_table(scenario.title, results))
            show(*summary.verdict_tables(results))
            show(tables.bottleneck_table(results, 8 if verbose else 3))
            for result in results:
                show(*summary.summary_lines(result, whole=verbose))
        if output is not None:
            place = output if len(loaded) == 1 else output / scenario.name
            written = folder.write_folder(
                results, place, title=scenario.title, seed=scenario.seed, note=scenario.spec.note
            )
            say(f"report: {written}")
    if as_json:
        print_json(result_document(everything, seed=loaded[0].seed))
    return 0 if all(scenario.holds for scenario in loaded) else 1
