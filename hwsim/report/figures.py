"""Figures as people read them: a few digits, a unit, a fitting prefix."""

from __future__ import annotations

import math

from hwsim.specs.scenario import METRICS
from hwsim.units import base_unit, format_quantity

__all__ = ["counted", "figure", "joules", "number", "percent", "seconds", "shortened", "size", "words"]

_SHARES = ("utilization", "memory_utilization", "busy")
_RATES = {"throughput_per_s": ("throughput", "/s"), "tokens_per_s": ("token rate", "tokens/s")}


def seconds(value: float) -> str:
    """A time with four digits and a fitting unit.

    >>> seconds(0.0551), seconds(19785.2)
    ('55.1 ms', '19,785 s')
    """
    return f"{value:,.0f} s" if 1000.0 <= value < 1e9 else format_quantity(value, "s")


def joules(value: float) -> str:
    """An energy with four digits and a fitting unit."""
    return format_quantity(value, "J")


def size(value: float) -> str:
    """Bytes in decimal units."""
    return format_quantity(value, "B", 3)


def percent(value: float) -> str:
    """A share as per cent."""
    return f"{100.0 * value:.1f} %"


def number(value: float, digits: int = 4) -> str:
    """A plain number: no prefix; powers of ten only where it is very large or very small.

    >>> number(32.0), number(0.8213), number(16777216.0), number(14513.4), number(5.05e-05)
    ('32', '0.8213', '16,777,216', '14,510', '5.05e-05')
    """
    if math.isfinite(value) and value == int(value) and abs(value) < 1e9:
        return f"{int(value):,}"
    if 10.0**digits <= abs(value) < 1e9:
        return f"{float(f'{value:.{digits}g}'):,.0f}"
    return f"{value:,.{digits}g}" if 1e-3 <= abs(value) < 10.0**digits else f"{value:.{digits}g}"


def counted(count: float, item: str) -> str:
    """How many of what.

    >>> counted(1, "image"), counted(128, "token")
    ('1 image', '128 tokens')
    """
    return f"{number(count)} {item}{'' if count == 1 else 's'}"


def words(metric: str) -> str:
    """The name of a metric as people say it, without its unit.

    >>> words("average_power_w"), words("throughput_per_s"), words("tokens_per_s")
    ('average power', 'throughput', 'token rate')
    """
    if metric in _RATES:
        return _RATES[metric][0]
    return (metric.rsplit("_", 1)[0] if METRICS.get(metric) else metric).replace("_", " ")


def figure(metric: str, value: float | None, unit: str = "") -> str:
    """A figure of a metric with its unit; ``unit`` overrides it (``x`` for a ratio of two).

    >>> figure("latency_s", 0.055), figure("latency_s", 10.734, "x"), figure("fits", 1.0), figure("busy", 0.5)
    ('55 ms', '10.73 x', 'yes', '50.0 %')
    """
    if value is None:
        return ""
    if unit:
        return f"{number(value)} {unit}"
    if metric == "fits":
        return "yes" if value else "no"
    if metric in _SHARES:
        return percent(value)
    dimension = METRICS.get(metric, "")
    if dimension == "s":
        return seconds(value)
    if dimension:
        return format_quantity(value, base_unit(dimension))
    return f"{number(value)} {_RATES[metric][1]}" if metric in _RATES else number(value)


def shortened(text: str, limit: int = 120) -> str:
    """The beginning of a long text, cut between words.

    >>> shortened("one two three", 8)
    'one two...'
    """
    flat = " ".join(text.split())
    if len(flat) <= limit:
        return flat
    head, space, _ = flat[: limit + 1].rpartition(" ")
    return (head if space else flat[:limit]).rstrip(" ,;:") + "..."
