"""What numbers a format holds, and how hardware rounds to them: nearest, ties to even, saturating or overflowing.

Binary floats follow IEEE 754-2019 (section 3.6 for the interchange formats, 4.3.1 for the rounding); bfloat16 and
TF32 are binary32 with 7 and 10 bits of fraction; FP8 is Micikevicius et al., FP8 Formats for Deep Learning, 2022,
Table 1 (as in OCP 8-bit Floating Point Specification 1.0, 2023); FP4 is OCP Microscaling Formats 1.0, 2023, section
5.3.3.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from hwsim.graph.operator import Array
from hwsim.registry import unknown_name

__all__ = ["FLOATS", "INTEGERS", "FloatFormat", "IntegerFormat", "float_format", "integer_format", "round_to_float"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FloatFormat:
    """Sign, ``exponent`` and ``fraction`` bits; ``largest`` finite number; whether there is an infinity above it."""

    exponent: int
    fraction: int
    largest: float
    infinite: bool = True

    @property
    def smallest_exponent(self) -> int:
        """Of a normal number, 1 - bias; below it numbers are subnormal."""
        return 2 - (1 << (self.exponent - 1))

    @property
    def smallest(self) -> float:
        """The least number above zero.

        >>> FLOATS["fp16"].smallest == 2.0**-24
        True
        """
        return float(np.ldexp(1.0, self.smallest_exponent - self.fraction))


@dataclass(frozen=True, slots=True, kw_only=True)
class IntegerFormat:
    """The whole numbers ``low`` to ``high``."""

    low: int
    high: int


FLOATS: Mapping[str, FloatFormat] = MappingProxyType(
    {
        "fp16": FloatFormat(exponent=5, fraction=10, largest=65504.0),
        "bf16": FloatFormat(exponent=8, fraction=7, largest=float(np.ldexp(2.0 - 2.0**-7, 127))),
        "tf32": FloatFormat(exponent=8, fraction=10, largest=float(np.ldexp(2.0 - 2.0**-10, 127))),
        "fp8": FloatFormat(exponent=4, fraction=3, largest=448.0, infinite=False),
        "fp8_e5m2": FloatFormat(exponent=5, fraction=2, largest=57344.0),
        "fp4": FloatFormat(exponent=2, fraction=1, largest=6.0, infinite=False),
    }
)
"""Floats narrower than fp32 by name; ``fp8`` is E4M3, ``fp4`` is E2M1."""

INTEGERS: Mapping[str, IntegerFormat] = MappingProxyType(
    {
        f"{sign}int{bits}": IntegerFormat(
            low=0 if sign else -(1 << (bits - 1)), high=(1 << bits) - 1 if sign else (1 << (bits - 1)) - 1
        )
        for bits in (2, 4, 8, 16)
        for sign in ("", "u")
    }
)
"""Narrow integers by name, two's complement."""


def float_format(name: str) -> FloatFormat:
    """The narrow float of that name; raises UnknownNameError."""
    if name not in FLOATS:
        raise unknown_name("narrow float", name, FLOATS)
    return FLOATS[name]


def integer_format(name: str) -> IntegerFormat:
    """The narrow integer of that name; raises UnknownNameError.

    >>> integer_format("int4")
    IntegerFormat(low=-8, high=7)
    """
    if name not in INTEGERS:
        raise unknown_name("narrow integer", name, INTEGERS)
    return INTEGERS[name]


def round_to_float(x: Array, name: str, *, saturate: bool | None = None) -> Array:
    """The nearest numbers of a narrow float, ties to even, in the array's own dtype (float32 or float64).

    Beyond the largest number, halfway to the next power of two that would follow it, values become infinite (not a
    number where the format has no infinity), or the largest number if ``saturate``. By default the formats of 8 bits
    and fewer saturate, as converters of matrix units do, and the wider ones overflow, as IEEE 754 says. Not-a-number
    stays.

    >>> round_to_float(np.array([0.3, 17.0, 500.0]), "fp8").tolist()
    [0.3125, 16.0, 448.0]
    """
    fmt = float_format(name)
    wide = x if x.dtype == np.float64 else x.astype(np.float32, copy=False)
    _, exponent = np.frexp(wide)
    step = np.maximum(exponent - 1, fmt.smallest_exponent) - fmt.fraction
    y: Array = np.ldexp(np.rint(np.ldexp(wide, -step)), step)
    y = np.where(np.isfinite(wide), y, wide)
    over = np.abs(y) > fmt.largest
    if not over.any():
        return y
    if saturate if saturate is not None else 1 + fmt.exponent + fmt.fraction <= 8:
        return np.where(over, np.copysign(np.asarray(fmt.largest, y.dtype), y), y)
    return np.where(over, np.copysign(np.asarray(np.inf), y) if fmt.infinite else np.nan, y).astype(y.dtype)
