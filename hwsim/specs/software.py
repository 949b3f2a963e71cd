"""How a software stack drives a chip: overheads, ceilings of its kernel families, habits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated

from hwsim.specs.fields import Quantity, Text

__all__ = ["SoftwareSpec"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SoftwareSpec:
    """A named stack of a device's YAML.

    ``launch_s`` is the device-side cost of starting one kernel, ``dispatch_s`` the host-side cost an eager
    framework pays per operator (hidden behind long kernels). ``kernels`` maps a kernel family (a kernel
    label, a form of Work, or either followed by ``.format``, e.g. ``gemm.int8``) to its constants by name;
    each kind of device documents the constants it reads. ``passes`` are graph passes the stack applies.
    ``timing`` lists the timing modes of measured rows it stands for. ``validated`` maps families to the
    held-out mean absolute percentage error reached, in per cent. ``basis`` says what predictions rest on:
    ``calibrated`` (fitted to this chip), ``family`` (constants of a relative) or ``uncalibrated``.
    A graph with more than ``weights_limit_bytes`` of weights runs on the stack named ``beyond`` instead, where
    nobody asked for this one by name: chips that keep small networks on chip stream large ones.
    """

    name: str
    launch_s: Annotated[float, Quantity("launch", "s", zero=True)] = 0.0
    dispatch_s: Annotated[float, Quantity("dispatch", "s", zero=True)] = 0.0
    kernels: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    passes: tuple[str, ...] = ()
    timing: tuple[str, ...] = ()
    weights_limit_bytes: Annotated[float, Quantity("weights_limit", "bytes")] = 0.0
    beyond: Annotated[str, Text("beyond")] = ""
    basis: str = "uncalibrated"
    validated: Mapping[str, float] = field(default_factory=dict)
    fitted_to: Annotated[str, Text("fitted_to")] = ""
    assumption: Annotated[str, Text("assumption")] = ""
