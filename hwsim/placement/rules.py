"""Devices by hand: the first rule that matches an operator says where it runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import ClassVar

import numpy as np

from hwsim.errors import InputError
from hwsim.placement.heuristic import Heuristic
from hwsim.placement.options import role_index, role_list
from hwsim.placement.problem import POLICIES, Placement, Problem
from hwsim.placement.schedule import in_order
from hwsim.placement.views import Folded
from hwsim.registry import known_names
from hwsim.units import shown

__all__ = ["Rules"]

_FIELDS = ("operator", "name", "tag")
_EXAMPLE = "{match: {operator: conv*}, device: npu}"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rule:
    """Patterns that must all match, and the devices that may then run the task, in order of preference."""

    patterns: Mapping[str, str]
    devices: Sequence[int]

    def matches(self, operator: str, name: str, tags: Sequence[str]) -> bool:
        """Whether every pattern matches; that for ``tag`` needs one of the tags."""
        texts = {"operator": (operator,), "name": (name,), "tag": tags}
        return all(any(fnmatchcase(text, glob) for text in texts[key]) for key, glob in self.patterns.items())


class Rules(Heuristic):
    """``options["rules"]``: a list of ``{match: {operator|name|tag: glob}, device: role}``; the first match decides.

    Several keys in one ``match`` must all hold; a list of roles means the first that can run the task. The short form
    ``{glob of operators: role}`` means the same. What no rule matches, or what the device named cannot run, goes to
    ``options["default"]``, and where that is not given or cannot run it, to the device that runs it fastest.
    """

    name: ClassVar[str] = "rules"
    title: ClassVar[str] = "by operator, name or tag, as the scenario says; the rest where it runs fastest"
    options: ClassVar[tuple[str, ...]] = ("rules", "default")

    def plan(self, problem: Problem, folded: Folded) -> Placement:
        """The placement."""
        rules = _read(problem)
        default = problem.options.get("default")
        fallback = [] if default is None else [role_index(problem, default, "default")]
        able = np.isfinite(problem.time_s).T.tolist()
        fastest = problem.time_s.argmin(axis=0).tolist()
        tags: Sequence[tuple[str, ...]] = problem.tags or [()] * len(problem)
        device = []
        for task, key in enumerate(zip(problem.operators, problem.names, tags, strict=True)):
            wanted = next((rule.devices for rule in rules if rule.matches(*key)), ())
            device.append(next((d for d in [*wanted, *fallback] if able[task][d]), fastest[task]))
        return in_order(problem, folded, device, self.name)


def _read(problem: Problem) -> list[_Rule]:
    """The rules, checked."""
    raw = problem.options.get("rules", ())
    if isinstance(raw, Mapping):
        raw = [{"match": {"operator": glob}, "device": role} for glob, role in raw.items()]
    if isinstance(raw, str) or not isinstance(raw, Sequence):
        raise InputError(f"placement: rules: write a list of rules, e.g. [{_EXAMPLE}], not {shown(raw)}")
    return [_rule(problem, entry, f"rules[{i}]") for i, entry in enumerate(raw)]


def _rule(problem: Problem, raw: object, where: str) -> _Rule:
    if not isinstance(raw, Mapping) or set(raw) != {"match", "device"}:
        raise InputError(f"placement: {where}: write {_EXAMPLE}, not {shown(raw)}")
    match = raw["match"]
    if not isinstance(match, Mapping) or not match:
        raise InputError(f"placement: {where}.match: write {{operator: conv*}}, say, not {shown(match)}")
    for key, glob in match.items():
        if key not in _FIELDS:
            raise InputError(f"placement: {where}.match: no key {shown(key)}{known_names(str(key), _FIELDS)}")
        if not isinstance(glob, str):
            raise InputError(f"placement: {where}.match.{key}: write a pattern, e.g. 'conv*', not {shown(glob)}")
    return _Rule(patterns=dict(match), devices=role_list(problem, raw["device"], f"{where}.device"))


POLICIES.add(Rules.name, Rules())
