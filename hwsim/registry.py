"""Names to things: duplicates are refused, unknown names get the nearest suggestion."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TypeVar

from hwsim.errors import InputError, UnknownNameError

__all__ = ["Registry", "known_names", "suggest", "unknown_name"]

T = TypeVar("T")
_LISTED = 40
_OFFERED = 5  # names that begin with an unknown one
_LONGEST = 80  # of an unknown name, so that a message stays one line


def suggest(name: str, known: Iterable[str]) -> str:
    """Return ``"; did you mean 'x'?"`` for the names that begin so, the shortest first, else the nearest, or nothing.

    Upper and lower case, spaces, dashes and underscores make no difference; a name that differs in nothing else is
    the only one.

    >>> suggest("resnet5O", ["resnet50", "gpt2"])
    "; did you mean 'resnet50'?"
    >>> suggest("H100", ["mi100", "h100_sxm", "h100_x2"])
    "; did you mean 'h100_x2' or 'h100_sxm'?"
    >>> suggest("ResNet-50", ["resnet50", "resnet50d"])
    "; did you mean 'resnet50'?"
    """
    names = list(known)
    start = _folded(name)
    begin = [other for other in names if len(start) > 1 and _folded(other).startswith(start)]
    same = [other for other in begin if _folded(other) == start]
    close = same or sorted(begin, key=len)[:_OFFERED] or difflib.get_close_matches(name.lower(), names, n=1, cutoff=0.6)
    if not close:
        return ""
    *first, last = (f"'{other}'" for other in close)
    return f"; did you mean {', '.join(first)} or {last}?" if first else f"; did you mean {last}?"


def _folded(name: str) -> str:
    return "".join(c for c in name.casefold() if c not in " -_.")


def known_names(name: str, known: Iterable[str]) -> str:
    """The end of a message about an unknown name: the nearest one, if any, and the first forty known ones.

    >>> known_names("row", ["rows", "cols"])
    "; did you mean 'rows'? Known: rows, cols"
    """
    names = list(known)
    listed = ", ".join(names[:_LISTED]) + (", ..." if len(names) > _LISTED else "")
    hint = suggest(name[:_LONGEST], names)
    return f"{hint} Known: {listed}" if hint else f"; known: {listed or 'none'}"


def unknown_name(what: str, name: str, known: Iterable[str]) -> UnknownNameError:
    """The error for a name that is not among the known ones: nearest name, else the list."""
    names = sorted(known)
    hint = suggest(name[:_LONGEST], names) or known_names(name, names)
    return UnknownNameError(f"no {what} named '{name[:_LONGEST]}'{hint}")


class Registry(Mapping[str, T]):
    """A mapping from names to things that refuses duplicates.

    >>> shapes: Registry[int] = Registry("shape")
    >>> shapes.add("square", 4)
    4
    >>> shapes["squre"]
    Traceback (most recent call last):
    hwsim.errors.UnknownNameError: no shape named 'squre'; did you mean 'square'?
    """

    def __init__(self, what: str) -> None:
        self.what = what
        self._items: dict[str, T] = {}

    def add(self, name: str, item: T) -> T:
        """Register ``item``; raises InputError if the name is taken."""
        if name in self._items:
            raise InputError(f"{self.what} '{name}' is registered twice; give one of them another name")
        self._items[name] = item
        return item

    def register(self, name: str) -> Callable[[T], T]:
        """Decorator form of :meth:`add`."""
        return lambda item: self.add(name, item)

    def __getitem__(self, name: str) -> T:
        try:
            return self._items[name]
        except KeyError:
            raise unknown_name(self.what, name, self._items) from None

    def __contains__(self, name: object) -> bool:
        return name in self._items

    def __iter__(self) -> Iterator[str]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)
