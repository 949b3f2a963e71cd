"""Values that a file says exist but that are not there: enough to price a graph, not to run it."""

from __future__ import annotations

from dataclasses import dataclass

from hwsim.errors import InputError
from hwsim.graph.operator import Array

__all__ = ["AbsentValues"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AbsentValues:
    """Stands among a graph's ``values`` for those of a weight whose data are absent.

    Attributes:
        file: The model that refers to them.
        name: Of the tensor there.
    """

    file: str
    name: str

    def __call__(self) -> Array:
        """Raises InputError: there are none."""
        raise InputError(
            f"{self.file}: the values of '{self.name}' are external data that do not lie beside it: put their file "
            "there, or give the values by name; prices need none"
        )
