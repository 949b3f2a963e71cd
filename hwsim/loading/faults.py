"""What is wrong with a file, and where: collected first, raised together."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from hwsim.errors import FileFormatError

__all__ = ["Fault", "Faults", "Place"]

_LISTED = 200
_ENOUGH = 1000


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """A position in a file, lines and columns from 1; line 0 stands for the whole file or a command-line option."""

    file: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}" if self.line else self.file


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing to correct: where it stands, the dotted path of the value, what is wrong and what to write."""

    place: Place
    path: str
    message: str

    def __str__(self) -> str:
        return ": ".join(part for part in (str(self.place), self.path, self.message) if part)


class Faults:
    """The faults found so far in a file and in the files it extends."""

    def __init__(self) -> None:
        self._found: list[Fault] = []
        self._noted: set[tuple[Place, str, str]] = set()

    def add(self, place: Place, path: str, message: str) -> None:
        """Note one fault, once: not a second one for the same value, nor the same again where a value is inherited.

        A thousand are enough to raise.
        """
        text = " ".join(message.split())
        if {(place, path, ""), (place, "", text)} & self._noted:
            return
        self._noted |= {(place, path, ""), (place, "", text)}
        self._found.append(Fault(place, path, text))
        if len(self._found) >= _ENOUGH:
            self.check()

    def check(self) -> None:
        """Raise FileFormatError with all faults, a line each in the order of the file, if there are any."""
        if not self._found:
            return
        lines = [str(fault) for fault in self][:_LISTED]
        if len(self._found) > _LISTED:
            lines.append(f"... and {len(self._found) - _LISTED} more")
        raise FileFormatError("\n".join(lines))

    def __len__(self) -> int:
        return len(self._found)

    def __iter__(self) -> Iterator[Fault]:
        return iter(sorted(self._found, key=lambda fault: (fault.place, fault.path)))
