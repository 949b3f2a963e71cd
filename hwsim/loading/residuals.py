"""``residual:`` of a software stack or of links: whether the lists of each item fit together."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator
from typing import Any

from hwsim.graph.work import SIZES
from hwsim.loading.document import Node
from hwsim.loading.faults import Faults, Place
from hwsim.registry import known_names
from hwsim.specs.software import MOST_KNOTS
from hwsim.units import shown

__all__ = ["check_residuals"]

_AXES = ("over", "from", "to", "knots")
_KERNELS: Collection[tuple[str, ...]] = tuple(SIZES.values())


def check_residuals(
    residual: Node, path: str, faults: Faults, known: Collection[tuple[str, ...]] = _KERNELS
) -> Iterator[tuple[str, Place]]:
    """Note what does not fit together in a residual over some ``known`` sizes; gives its families with their places."""
    if not isinstance(residual.value, dict):
        return
    lists = {key: child for key, child in residual.value.items() if isinstance(child.value, list)}
    axes = {key: _plain(lists[key]) for key in _AXES if key in lists}
    for size in axes.get("over", []):
        _check_size(size, known, lists["over"].place, f"{path}.over", faults)
    if len(axes) == len(_AXES):
        _check_axes(axes, lists, path, faults)
    if "of" in lists:
        yield from ((item.value, item.place) for item in lists["of"].value if isinstance(item.value, str))


def _plain(listed: Node) -> list[Any]:
    return [item.value for item in listed.value]


def _check_size(size: object, known: Collection[tuple[str, ...]], place: Place, path: str, faults: Faults) -> None:
    names = size.split("*") if isinstance(size, str) else []
    if not any(set(names) <= set(sizes) for sizes in known):
        words = dict.fromkeys(name for sizes in known for name in sizes)
        faults.add(place, path, f"{shown(size)} is no size of a kernel{known_names(str(size), words)}")


def _check_axes(axes: dict[str, list[Any]], lists: dict[str, Node], path: str, faults: Faults) -> None:
    counts = {key: len(values) for key, values in axes.items()}
    if len(set(counts.values())) > 1 or not counts["over"]:
        lengths = ", ".join(f"{key} has {count}" for key, count in counts.items())
        faults.add(lists["over"].place, path, f"write one value a size in over, from, to and knots; {lengths}")
        return
    if not all(isinstance(value, int | float) for key in _AXES[1:] for value in axes[key]):
        return  # said where single values are read
    for size, low, high in zip(axes["over"], axes["from"], axes["to"], strict=True):
        if not low < high:
            faults.add(
                lists["to"].place, f"{path}.to", f"{shown(size)} ends at {high}; write more than {low}, its from"
            )
    knots = math.prod(axes["knots"])
    if knots > MOST_KNOTS:
        faults.add(lists["knots"].place, f"{path}.knots", f"{knots} knots; write at most {MOST_KNOTS} in all")
    elif "weights" in lists and len(lists["weights"].value) != knots:
        have = len(lists["weights"].value)
        faults.add(lists["weights"].place, f"{path}.weights", f"{have} weights for {knots} knots; write one a knot")
