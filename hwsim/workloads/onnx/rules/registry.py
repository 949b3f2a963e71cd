"""Rules by ONNX operator: each turns one node into operators of hwsim."""

from __future__ import annotations

from collections.abc import Callable

from hwsim.registry import Registry
from hwsim.workloads.onnx.use import Rule

__all__ = ["RULES", "rule"]

_Key = tuple[str, str]
RULES: dict[_Key, Rule] = {}
"""Every rule by (domain, operator); the standard domain is ''."""
_NAMES: Registry[Rule] = Registry("rule for the ONNX operator")


def rule(*names: str, domain: str = "") -> Callable[[Rule], Rule]:
    """Decorator that enters a function as the rule of those operators; refuses a second rule of one operator."""

    def enter(function: Rule) -> Rule:
        for name in names:
            _NAMES.add(f"{domain}::{name}" if domain else name, function)
            RULES[domain, name] = function
        return function

    return enter
