"""The passes by name: those that keep every value, and those that change the model."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable

from hwsim.errors import InputError
from hwsim.graph.graph import Graph
from hwsim.registry import Registry, known_names

__all__ = ["PASSES", "TRANSFORMS", "apply_passes", "apply_text"]

PASSES: Registry[Callable[[Graph], Graph]] = Registry("graph pass")
"""Every pass that keeps values, by its name; software stacks name them."""

TRANSFORMS: Registry[Callable[..., Graph]] = Registry("model transform")
"""Every pass that changes what is computed (quantize, prune, backward ...), by its name; people ask for them."""


def apply_passes(graph: Graph, names: Iterable[str]) -> Graph:
    """The graph after those passes, in order; raises UnknownNameError."""
    for name in names:
        graph = PASSES[name](graph)
    return graph


def apply_text(graph: Graph, text: str) -> Graph:
    """The graph after the passes that a text names, in order, e.g. ``prune:ratio=0.5,backward:optimizer=sgd``.

    Passes are separated by commas, options by colons. A part without ``=`` continues the option before it, so that
    ``sparsify:pattern=2:4`` is what it looks like.

    Raises:
        UnknownNameError: no such pass.
        InputError: an option that the pass lacks, or a value it cannot have.
    """
    for part in filter(None, (piece.strip() for piece in text.split(","))):
        name, *rest = part.split(":")
        if name in PASSES and not rest:
            graph = PASSES[name](graph)
            continue
        if name not in TRANSFORMS and name not in PASSES:
            raise InputError(f"no pass named '{name[:80]}'{known_names(name, (*TRANSFORMS, *PASSES))}")
        graph = _with_options(graph, name, rest)
    return graph


def _with_options(graph: Graph, name: str, parts: list[str]) -> Graph:
    given: dict[str, str] = {}
    last = ""
    for part in parts:
        key, equals, value = part.partition("=")
        if equals:
            last = key.strip()
            given[last] = value.strip()
        elif last:
            given[last] += f":{part.strip()}"
        else:
            raise InputError(f"pass {name}: write options as {name}:NAME=VALUE, not '{part}'")
    if name in PASSES:
        raise InputError(f"pass {name} takes no options, so write '{name}', not '{name}:{':'.join(parts)}'")
    transform = TRANSFORMS[name]
    known = {
        key: parameter.default
        for key, parameter in inspect.signature(transform).parameters.items()
        if isinstance(parameter.default, (bool, int, float, str))
    }
    options = {}
    for key, value in given.items():
        if key not in known:
            raise InputError(f"pass {name} has no option '{key}'{known_names(key, known)}")
        options[key] = _value(name, key, value, known[key])
    return transform(graph, **options)


def _value(name: str, key: str, text: str, default: bool | float | str) -> bool | float | str:
    """The option's value, of the type of its default."""
    try:
        if isinstance(default, bool):
            return {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}[text.lower()]
        return type(default)(text)
    except (KeyError, ValueError):
        wanted = "true or false" if isinstance(default, bool) else f"a number such as {default}"
        raise InputError(f"pass {name}: option '{key}' is {wanted}, not '{text}'") from None
