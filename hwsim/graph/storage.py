"""How the weights that sparsity leaves lie in memory: which values, what says where they belong, and how many bytes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from hwsim.errors import InputError

__all__ = ["LAYOUTS", "Storage"]

LAYOUTS = ("dense", "bitmask", "csr", "n:m")
_POINTER_BITS = 32
_SHORT_COLUMNS = 1 << 16
"""Columns that a 16-bit index reaches."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Storage:
    """A tensor of which only the share ``density`` of elements is not zero, stored by ``layout``.

    ``dense`` keeps the zeros. ``bitmask`` has a bit an element and the values that are not zero (S. Han et al., EIE,
    2016, compares it with others). ``csr`` has a column index a value, of 16 bits up to 65,536 columns, else 32, and
    a 32-bit offset a row (Y. Saad, Iterative Methods for Sparse Linear Systems, 2003, section 3.4); rows are along
    the first axis, all other axes together are columns; in blocks of ``block`` elements along a row, an index stands
    for a whole block. ``n:m`` keeps ``keep`` of each ``of`` elements along a row, with their places (A. Mishra et
    al., Accelerating Sparse Deep Neural Networks, 2021, section 3: two bits each for 2 of 4).
    """

    layout: str = "dense"
    density: float = 1.0
    block: int = 1
    keep: int = 0
    of: int = 0

    def __post_init__(self) -> None:
        if self.layout not in LAYOUTS:
            raise InputError(f"a storage layout is one of {', '.join(LAYOUTS)}, not '{self.layout}'")
        if not 0 < self.density <= 1 or self.block < 1:
            raise InputError(f"a density lies above 0 and is at most 1, a block has 1 element or more: {self}")
        if self.layout == "n:m" and not 0 < self.keep <= self.of:
            raise InputError(f"n:m keeps at least 1 of m elements and at most all, not {self.keep} of {self.of}")

    def values(self, shape: Sequence[int]) -> int:
        """Stored values of a tensor of that shape."""
        rows, columns = _matrix(shape)
        match self.layout:
            case "dense":
                return rows * columns
            case "n:m":
                whole, rest = divmod(columns, self.of)
                return rows * (whole * self.keep + min(rest, self.keep))
            case _:
                blocks = round(self.density * rows * math.ceil(columns / self.block))
                return blocks * self.block

    def size_bytes(self, shape: Sequence[int], bits: float) -> int:
        """Bytes of a tensor of that shape with ``bits`` a value.

        >>> Storage(layout="csr", density=0.125).size_bytes((1, 65536), 16)
        32776
        """
        rows, columns = _matrix(shape)
        count = self.values(shape)
        match self.layout:
            case "dense":
                index = 0
            case "bitmask":
                index = rows * math.ceil(columns / self.block)
            case "n:m":
                index = count * max(1, math.ceil(math.log2(self.of)))
            case _:
                wide = 16 if math.ceil(columns / self.block) <= _SHORT_COLUMNS else 32
                index = math.ceil(count / self.block) * wide + (rows + 1) * _POINTER_BITS
        return math.ceil(count * bits / 8) + math.ceil(index / 8)


def _matrix(shape: Sequence[int]) -> tuple[int, int]:
    """(rows, columns): the first axis against all others."""
    return (shape[0], math.prod(shape[1:])) if shape else (1, 1)
