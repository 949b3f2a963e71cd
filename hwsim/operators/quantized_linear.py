"""Fully connected layer whose kernel decodes packed weights as it multiplies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from hwsim.graph.operator import register
from hwsim.operators.linear import Linear

__all__ = ["QuantizedLinear"]


@register
@dataclass(frozen=True, slots=True)
class QuantizedLinear(Linear):
    """A :class:`Linear` by a kernel of its own: weights of 4 or 8 bits are read packed and widened in registers.

    Values and Work are those of Linear; only the label differs, since such kernels have their own constants
    (Gerganov et al., llama.cpp, 2023: one kernel for each block format).
    """

    kind: ClassVar[str] = "quantized_linear"
