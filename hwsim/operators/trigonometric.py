"""Circular and hyperbolic functions and their inverses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np

from hwsim.graph.operator import register
from hwsim.operators.elementwise import Modal

__all__ = ["Trigonometric"]


@register
@dataclass(frozen=True, slots=True)
class Trigonometric(Modal):
    """Element-wise sine, cosine, ... of radians, by ``mode`` (the names of ONNX).

    One special function.
    """

    kind: ClassVar[str] = "trigonometric"
    flop_per_element: ClassVar[int] = 0
    special_per_element: ClassVar[int] = 1
    modes: ClassVar[Mapping[str, Any]] = MappingProxyType(
        {"sin": np.sin, "cos": np.cos, "tan": np.tan, "asin": np.arcsin, "acos": np.arccos, "atan": np.arctan}
        | {"sinh": np.sinh, "cosh": np.cosh, "asinh": np.arcsinh, "acosh": np.arccosh, "atanh": np.arctanh}
    )
    mode: str = "sin"
