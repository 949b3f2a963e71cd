"""``hwsim devices``, ``workloads``, ``policies``, ``ops``: the libraries, or one entry whole."""

from __future__ import annotations

from typing import Annotated

import typer

from hwsim.cli.console import Quiet, Verbose, setup, show

__all__ = ["add_commands"]

Name = Annotated[str | None, typer.Argument(help="One entry, whole.")]


def add_commands(app: typer.Typer) -> None:
    """Register this module's commands."""
    app.command("devices")(devices)
    app.command("workloads")(workloads)
    app.command("policies")(policies)
    app.command("ops")(ops)


def devices(name: Name = None, quiet: Quiet = False, verbose: Verbose = False) -> None:
    """The chips and systems that ship with hwsim, or one of them: derived peaks, ridge points, sources."""
    setup(quiet, verbose)
    from hwsim.loading.device import load_device
    from hwsim.loading.library import list_devices, list_systems
    from hwsim.loading.system import load_system
    from hwsim.report import catalogue

    if name is None:
        show(catalogue.devices_table([load_device(n) for n in list_devices()]))
        show(catalogue.systems_table([load_system(n) for n in list_systems()]))
    elif name in list_systems():
        show(*catalogue.system_page(load_system(name)))
    else:
        show(*catalogue.device_page(load_device(name)))


def workloads(name: Name = None, quiet: Quiet = False, verbose: Verbose = False) -> None:
    """The networks that ship with hwsim, or one of them: parameters, layers, MACs."""
    setup(quiet, verbose)
    from hwsim.report import catalogue
    from hwsim.workloads.registry import WORKLOADS

    if name is None:
        show(catalogue.workloads_table(list(WORKLOADS.values())))
    else:
        show(*catalogue.workload_page(WORKLOADS[name]))


def policies(quiet: Quiet = False, verbose: Verbose = False) -> None:
    """The placement policies: who decides which device runs what."""
    setup(quiet, verbose)
    import hwsim.placement  # noqa: F401  (importing registers the policies)
    from hwsim.placement.problem import POLICIES
    from hwsim.report import catalogue

    show(catalogue.policies_table(list(POLICIES.values())))


def ops(name: Name = None, quiet: Quiet = False, verbose: Verbose = False) -> None:
    """The operators, or one of them: attributes and shape rule."""
    setup(quiet, verbose)
    import hwsim.operators  # noqa: F401  (importing registers the operators)
    from hwsim.graph.operator import OPERATORS
    from hwsim.report import catalogue

    if name is None:
        show(catalogue.operators_table(list(OPERATORS.values())))
    else:
        show(*catalogue.operator_page(OPERATORS[name]))
