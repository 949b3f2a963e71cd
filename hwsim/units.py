"""The only place where "3.35 TB/s" becomes 3.35e12.

A quantity is a string: a number, a space (optional) and a unit. Prefixes are SI (k M G T P, m u n p f) or
binary (Ki Mi Gi Ti) for bytes and bits; ``B`` is a byte, ``b`` and ``bit`` a bit, and they are never mixed up.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from decimal import Decimal
from types import MappingProxyType

from hwsim.errors import UnitError

__all__ = ["DIMENSIONS", "base_unit", "format_quantity", "parse_quantity", "shown"]

_SI: Mapping[str, Decimal] = MappingProxyType(
    {
        prefix: Decimal(f"1e{exponent}")
        for prefix, exponent in {
            "f": -15, "p": -12, "n": -9, "u": -6, "\u00b5": -6, "\u03bc": -6, "m": -3, "": 0,
            "k": 3, "K": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18,
        }.items()
    }
)  # fmt: skip
_BINARY: Mapping[str, Decimal] = MappingProxyType(
    {"Ki": Decimal(2**10), "Mi": Decimal(2**20), "Gi": Decimal(2**30), "Ti": Decimal(2**40), "Pi": Decimal(2**50)}
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

_UNPREFIXED = ("m2", "degC")  # a km2 is 1e6 m2, not 1e3
_LONGEST = 200
_QUANTITY = re.compile(r"^\s*([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*(\S.*?)?\s*$")


def _factor(unit: str, dimension: str) -> Decimal | None:
    bases, binary, _ = DIMENSIONS[dimension]
    if unit in bases:
        return Decimal(str(bases[unit]))
    if dimension in _UNPREFIXED:
        return None
    for base, scale in bases.items():
        prefix = unit[: -len(base)]
        if unit.endswith(base) and (prefix in _SI or (binary and prefix in _BINARY)):
            return (_SI.get(prefix) or _BINARY[prefix]) * Decimal(str(scale))
    return None


def base_unit(dimension: str) -> str:
    """The unit in which :func:`parse_quantity` returns values of a dimension.

    >>> base_unit("J/byte")
    'J/B'
    """
    return next(iter(DIMENSIONS[dimension][0]))


def shown(value: object, limit: int = 60) -> str:
    """What stands in a file as a message shows it: on one line, cut to ``limit`` characters.

    >>> shown("900 Gb/s"), shown(True), shown({})
    ("'900 Gb/s'", 'true', 'a mapping')
    """
    if isinstance(value, Mapping):
        return "a mapping"
    if isinstance(value, list | tuple):
        return "a list"
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return str(value).lower()
    text = str(value)[: limit + 1]
    cut = text if len(text) <= limit else f"{text[:limit]}..."
    return repr(cut) if isinstance(value, str) else cut


def _wanted(dimension: str) -> str:
    return f"write a number and the unit '{base_unit(dimension)}', e.g. '{DIMENSIONS[dimension][2]}'"


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
        missing = " (the unit is missing)" if isinstance(value, int | float) and not isinstance(value, bool) else ""
        raise UnitError(f"{_wanted(dimension)}, not {shown(value)}{missing}")
    match = _QUANTITY.match(value) if len(value) <= _LONGEST else None
    if match is None:
        raise UnitError(f"{_wanted(dimension)}, not {shown(value)}")
    number, unit = float(match[1]), match[2]
    if unit is None:
        raise UnitError(f"{_wanted(dimension)}, not {shown(value)} (the unit is missing)")
    factor = _factor(unit, dimension)
    if factor is None:
        raise UnitError(f"{_wanted(dimension)}, not {shown(value)}")
    result = float(Decimal(match[1]) * factor) if math.isfinite(number) else math.inf
    if not math.isfinite(result):
        raise UnitError(f"{_wanted(dimension)}, a finite one, not {shown(value)}")
    if result < minimum or (exclusive and result == minimum):
        bound = "greater than" if exclusive else "at least"
        raise UnitError(f"write a value {bound} {minimum:g}, not {shown(value)}")
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
