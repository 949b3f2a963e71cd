"""How a software stack drives a chip: overheads, ceilings of its kernel families, habits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated

from hwsim.specs.fields import Names, Numbers, Quantity, Text

__all__ = ["MOST_KNOTS", "ResidualSpec", "SoftwareSpec"]

MOST_KNOTS = 512
"""Knots of one residual: few enough to be smooth, and read by people."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ResidualSpec:
    """What measurements add to the formula of some kernels: a smooth factor on their time.

    ``of`` are the kernel families it was fitted to. ``over`` are sizes of their Work, or products of them
    (``rows*cols``); each has ``knots`` evenly spaced in its logarithm between ``low`` and ``high``. ``weights`` are the
    logarithms of the factor at the knots, the last size fastest. See :mod:`hwsim.cost.residual`.
    """

    of: Annotated[tuple[str, ...], Names("of")]
    over: Annotated[tuple[str, ...], Names("over")]
    low: Annotated[tuple[float, ...], Numbers("from", 1.0, 1e18)]
    high: Annotated[tuple[float, ...], Numbers("to", 1.0, 1e18)]
    knots: Annotated[tuple[int, ...], Numbers("knots", 2, MOST_KNOTS, whole=True)]
    weights: Annotated[tuple[float, ...], Numbers("weights", -1.4, 1.4)]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SoftwareSpec:
    """A named stack of a device's YAML.

    ``launch_s`` is the device-side cost of starting one kernel, ``dispatch_s`` the host-side cost an eager
    framework pays per operator (hidden behind long kernels), ``request_s`` what it costs to hand a compiled graph to
    the device, once for each time it runs. ``item_s`` is what the host takes to read and decode one item for the next
    run while this one is under way, so no run is shorter than that for all its items. ``compile_s`` is what it takes
    to compile one kernel; only measurements that average over first runs contain it. ``sequence_s`` is what choosing
    and handing out a token costs a serving engine's host for each sequence of a step, ``draw_bytes`` what the device
    moves for each entry of the vocabulary where it is drawn (sorts, sums, noise). ``kernels`` maps a kernel family
    (a kernel label, a form of Work, or either followed by ``.format``, e.g. ``gemm.int8``) to its constants by name;
    each kind of device documents the constants it reads. ``passes`` are graph passes the stack applies.
    ``timing`` lists the timing modes of measured rows it stands for. ``validated`` maps families to the
    held-out mean absolute percentage error reached, in per cent. ``basis`` says what predictions rest on:
    ``calibrated`` (fitted to this chip), ``family`` (constants of a relative) or ``uncalibrated``.
    ``residuals`` correct the time of kernel families by what measurements showed beyond the constants.
    A graph with more than ``weights_limit_bytes`` of weights runs on the stack named ``beyond`` instead, where
    nobody asked for this one by name: chips that keep small networks on chip stream large ones.
    """

    name: str
    launch_s: Annotated[float, Quantity("launch", "s", zero=True)] = 0.0
    dispatch_s: Annotated[float, Quantity("dispatch", "s", zero=True)] = 0.0
    request_s: Annotated[float, Quantity("request", "s", zero=True)] = 0.0
    item_s: Annotated[float, Quantity("item", "s", zero=True)] = 0.0
    compile_s: Annotated[float, Quantity("compile", "s", zero=True)] = 0.0
    sequence_s: Annotated[float, Quantity("sequence", "s", zero=True)] = 0.0
    draw_bytes: Annotated[float, Quantity("draw", "bytes", zero=True)] = 0.0
    kernels: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    residuals: tuple[ResidualSpec, ...] = ()
    passes: tuple[str, ...] = ()
    timing: tuple[str, ...] = ()
    weights_limit_bytes: Annotated[float, Quantity("weights_limit", "bytes")] = 0.0
    beyond: Annotated[str, Text("beyond")] = ""
    basis: str = "uncalibrated"
    validated: Mapping[str, float] = field(default_factory=dict)
    fitted_to: Annotated[str, Text("fitted_to")] = ""
    assumption: Annotated[str, Text("assumption")] = ""
