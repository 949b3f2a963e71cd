"""What a scenario tells a policy, checked: unknown keys and unknown roles are refused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hwsim.errors import InputError
from hwsim.placement.problem import POLICIES, Policy, Problem
from hwsim.registry import suggest, unknown_name
from hwsim.units import shown

__all__ = ["check_options", "role_index", "role_list"]


def check_options(problem: Problem, policy: Policy) -> None:
    """Raise InputError for options that the policy does not read, naming those it does and who reads the others."""
    parts = []
    for key in problem.options:
        if key in policy.options:
            continue
        readers = [name for name, other in POLICIES.items() if key in other.options]
        hint = f" (policy {' or '.join(readers)} does)" if readers else suggest(str(key), policy.options)
        parts.append(f"'{key}'{hint}")
    if parts:
        known = f"it reads {', '.join(policy.options)}" if policy.options else "it has no options"
        raise InputError(f"placement: policy '{policy.name}' does not read {', '.join(parts)}; {known}")


def role_index(problem: Problem, role: object, where: str) -> int:
    """Index of the device of that role.

    Raises:
        InputError: not a text.
        UnknownNameError: no device has that role.
    """
    if not isinstance(role, str):
        raise InputError(
            f"placement: {where}: write the role of a device, e.g. '{problem.devices[0]}', not {shown(role)}"
        )
    if role not in problem.devices:
        raise unknown_name(f"device of this system ({where})", role, problem.devices)
    return problem.devices.index(role)


def role_list(problem: Problem, roles: object, where: str) -> list[int]:
    """Indices of a list of roles, each once, or of the one role written alone; raises as :func:`role_index`."""
    if isinstance(roles, str):
        return [role_index(problem, roles, where)]
    if isinstance(roles, Mapping) or not isinstance(roles, Sequence) or not roles:
        example = ", ".join(problem.devices)
        raise InputError(f"placement: {where}: write roles of devices, e.g. [{example}], not {shown(roles)}")
    found = [role_index(problem, role, f"{where}[{i}]") for i, role in enumerate(roles)]
    if len(set(found)) < len(found):
        raise InputError(f"placement: {where}: names a device twice; name each once")
    return found
