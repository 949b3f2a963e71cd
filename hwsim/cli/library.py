"""``hwsim devices``, ``workloads``, ``policies``, ``ops``: the libraries, or one entry whole."""

from __future__ import annotations

from typing import Annotated

import typer

from hwsim.cli.arguments import Json, Quiet, Verbose
from hwsim.cli.console import print_json, setup, show

__all__ = ["add_commands"]

Name = Annotated[str | None, typer.Argument(help="One entry, whole.")]


def add_commands(app: typer.Typer) -> None:
    """Register this module's commands."""
    app.command("devices")(devices)
    app.command("workloads")(workloads)
    app.command("policies")(policies)
    app.command("ops")(ops)


def devices(name: Name = None, as_json: Json = False, quiet: Quiet = False, verbose: Verbose = False) -> None:
    """The chips and systems that ship with hwsim, or one of them: derived peaks, ridge points, sources."""
    setup(quiet, verbose)
    from hwsim.loading.device import load_device
    from hwsim.loading.library import list_devices, list_systems
    from hwsim.loading.system import load_system
    from hwsim.report import catalogue, listing

    if name is None:
        chips = [load_device(n) for n in list_devices()]
        systems = [load_system(n) for n in list_systems()]
        if as_json:
            entries = [listing.device_entry(chip) for chip in chips]
            print_json({"devices": entries, "systems": [listing.system_entry(system) for system in systems]})
        else:
            show(catalogue.devices_table(chips), catalogue.systems_table(systems))
    elif name in list_systems():
        system = load_system(name)
        print_json(listing.system_entry(system)) if as_json else show(*catalogue.system_page(system))
    else:
        chip = load_device(name)
        print_json(listing.device_entry(chip)) if as_json else show(*catalogue.device_page(chip))


def workloads(name: Name = None, as_json: Json = False, quiet: Quiet = False, verbose: Verbose = False) -> None:
    """The networks that ship with hwsim, or one of them: parameters, layers, MACs."""
    setup(quiet, verbose)
    from hwsim.report import catalogue, listing
    from hwsim.workloads import WORKLOADS, find_workload

    if name is not None:
        entry = find_workload(name)
        print_json(listing.workload_entry(entry, whole=True)) if as_json else show(*catalogue.workload_page(entry))
    elif as_json:
        families = [listing.family_entry(family) for family in WORKLOADS.families()]
        print_json({"workloads": [listing.workload_entry(e) for e in WORKLOADS.values()], "families": families})
    else:
        show(catalogue.workloads_table(list(WORKLOADS.values())), catalogue.families_table(WORKLOADS.families()))


def policies(as_json: Json = False, quiet: Quiet = False, verbose: Verbose = False) -> None:
    """The placement policies: who decides which device runs what."""
    setup(quiet, verbose)
    import hwsim.placement  # noqa: F401  (importing registers the policies)
    from hwsim.placement.problem import POLICIES
    from hwsim.report import catalogue, listing

    if as_json:
        print_json({"policies": [listing.policy_entry(policy) for policy in POLICIES.values()]})
    else:
        show(catalogue.policies_table(list(POLICIES.values())))


def ops(name: Name = None, as_json: Json = False, quiet: Quiet = False, verbose: Verbose = False) -> None:
    """The operators, or one of them: attributes and shape rule."""
    setup(quiet, verbose)
    import hwsim.operators  # noqa: F401  (importing registers the operators)
    from hwsim.graph.operator import OPERATORS
    from hwsim.report import catalogue, listing

    if name is not None:
        op = OPERATORS[name]
        print_json(listing.operator_entry(op)) if as_json else show(*catalogue.operator_page(op))
    elif as_json:
        print_json({"operators": [listing.operator_entry(op) for op in OPERATORS.values()]})
    else:
        show(catalogue.operators_table(list(OPERATORS.values())))
