"""The only place where "3.35 TB/s" becomes 3.35e12.

A quantity is a string: a number, a space (optional) and a unit. Prefixes are SI (k M G T P, m u n p f) or
binary (Ki Mi Gi Ti) for bytes and bits; ``B`` is a byte, ``b`` and ``bit`` a bit, and they are never mixed up.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from types import MappingProxyType

from hwsim.errors import UnitError

__all__ = ["DIMENSIONS", "format_quantity", "parse_quantity"]

_SI: Mapping[str, float] = MappingProxyType(
    {"f": 1e-15, "p": 1e-12, "n": 1e-9, "u": 1e-6, "µ": 1e-6, "μ": 1e-6, "m": 1e-3, "": 1.0}
    | {"k": 1e3, "K": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15, "E": 1e18}
)
_BINARY: Mapping[str, float] = MappingProxyType(
    {"Ki": 2.0**10, "Mi": 2.0**20, "Gi": 2.0**30, "Ti": 2.0**40, "Pi": 2.0**50}
)

# dimension -> (base units with their factor, whether binary prefixes make sense, example)
DIMENSIONS: Mapping[str, tuple[Mapping[str, float], bool, str]] = MappingProxyType(
    {
        "bytes": ({"B": 1.0}, True, "80 GiB"),
        "bytes/s": ({"B/s": 1.0}, True, "3 TB/s"),
        "bits/s": ({"b/s": 1.0, "bit/s": 1.0}, False, "400 Gb/s"),
        "Hz": ({"Hz": 1.0}, False, "1.8 GHz"),
        "s": ({"s": 1.0}, False, "5 us"),
        "W": ({"W": 1.0}, False, "700 W"),
        "J": ({"J": 1.0}, False, "0.6 pJ"),
        "J/byte": ({"J/B": 1.0, "J/byte": 1.0, "J/bit": 8.0, "J/b": 8.0}, False, "4 pJ/bit"),
        "V": ({"V": 1.0}, False, "0.9 V"),
        "op/s": ({"FLOP/s": 1.0, "OP/s": 1.0, "FLOPS": 1.0, "OPS": 1.0}, False, "989 TFLOP/s"),
        "elements/s": ({"elem/s": 1.0}, False, "60 Gelem/s"),
        "m2": ({"m2": 1.0, "mm2": 1e-6}, False, "814 mm2"),
        "degC": ({"C": 1.0, "degC": 1.0, "°C": 1.0}, False, "85 degC"),
    }
)

_QUANTITY = re.compile(r"^\s*([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*(\S.*?)?\s*$")


def _factor(unit: str, dimension: str) -> float | None:
    bases, binary, _ = DIMENSIONS[dimension]
    if unit in bases:
        return bases[unit]
    for base, scale in bases.items():
        if unit.endswith(base):
            prefix = unit[: -len(base)]
            if prefix in _SI:
                return _SI[prefix] * scale
            if binary and prefix in _BINARY:
                return _BINARY[prefix] * scale
    return None


def _wanted(dimension: str) -> str:
    bases, _, example = DIMENSIONS[dimension]
    return f"write a number and the unit '{next(iter(bases))}', e.g. '{example}'"


def parse_quantity(value: object, dimension: str, *, minimum: float = 0.0, exclusive: bool = False) -> float:
    """Return a quantity in SI base units.

    Args:
        value: what stands in the file, e.g. ``"3.35 TB/s"``.
        dimension: a key of :data:`DIMENSIONS`.
        minimum: smallest value allowed.
        exclusive: whether the minimum itself is refused.

    Raises:
        UnitError: no unit, another unit, not a finite number, or out of range.

    >>> parse_quantity("3.35 TB/s", "bytes/s")
    3350000000000.0
    >>> parse_quantity("50 MiB", "bytes")
    52428800.0
    """
    if not isinstance(value, str):
        raise UnitError(f"{_wanted(dimension)}, not {value!r}")
    match = _QUANTITY.match(value[:200])
    if match is None or len(value) > 200:
        raise UnitError(f"{_wanted(dimension)}, not '{value[:60]}'")
    number, unit = float(match[1]), match[2]
    if unit is None:
        raise UnitError(f"{_wanted(dimension)}, not '{value}' (the unit is missing)")
    factor = _factor(unit, dimension)
    if factor is None:
        raise UnitError(f"{_wanted(dimension)}, not '{value}'")
    result = number * factor
    if not math.isfinite(result):
        raise UnitError(f"{_wanted(dimension)}, a finite one, not '{value}'")
    if result < minimum or (exclusive and result == minimum):
        bound = "greater than" if exclusive else "at least"
        raise UnitError(f"write a value {bound} {minimum:g}, not '{value}'")
    return result


_SHOWN = ((1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, ""))
_SHOWN_SMALL = ((1e-3, "m"), (1e-6, "u"), (1e-9, "n"), (1e-12, "p"), (1e-15, "f"))


def format_quantity(value: float, unit: str, digits: int = 4) -> str:
    """Return a value in SI base units as text for people, with a fitting prefix.

    >>> format_quantity(3.35e12, "B/s")
    '3.35 TB/s'
    >>> format_quantity(2.8e-6, "s")
    '2.8 us'
    """
    if not math.isfinite(value):
        return f"{value} {unit}"
    size = abs(value)
    if size == 0.0:
        return f"0 {unit}"
    for scale, prefix in _SHOWN + _SHOWN_SMALL:
        if size >= scale * (1 - 10.0 ** (-digits) / 2):
            return f"{value / scale:.{digits}g} {prefix}{unit}"
    return f"{value:.{digits}g} {unit}"
