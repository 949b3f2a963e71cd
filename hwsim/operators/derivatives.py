"""Derivatives of element-wise functions, by the kind of operator."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np

from hwsim.errors import InputError
from hwsim.graph.operator import Array, Operator
from hwsim.operators.functions import erf, logistic

__all__ = ["derivative", "has_derivative"]


def _gelu(op: Operator, x: Array) -> Array:
    """Phi(x) + x phi(x), or that of the tanh formula (Hendrycks and Gimpel, 2016, section 2)."""
    if getattr(op, "approximate", False):
        root = math.sqrt(2 / math.pi)
        t = np.tanh(root * (x + 0.044715 * x**3))
        y: Array = 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * root * (1 + 3 * 0.044715 * x * x)
        return y
    exact: Array = 0.5 * (1 + erf(x * math.sqrt(0.5))) + x * np.exp(-0.5 * x * x) / math.sqrt(2 * math.pi)
    return exact


def _scaled_silu(x: Array, rate: float) -> Array:
    s = logistic(rate * x)
    y: Array = s * (1 + rate * x * (1 - s))
    return y


def _mish(x: Array) -> Array:
    t = np.tanh(np.logaddexp(0, x))
    y: Array = t + x * (1 - t * t) * logistic(x)
    return y


def _sigmoid(x: Array) -> Array:
    s = logistic(x)
    y: Array = s * (1 - s)
    return y


_BY_KIND: Mapping[str, Callable[[Operator, Array], Array]] = MappingProxyType(
    {
        "elu": lambda op, x: np.where(x > 0, 1, getattr(op, "alpha", 1.0) * np.exp(np.minimum(x, 0))),
        "erf": lambda _, x: 2 / math.sqrt(math.pi) * np.exp(-x * x),
        "exp": lambda _, x: np.exp(x),
        "gelu": _gelu,
        "gelu_mul": _gelu,
        "hardsigmoid": lambda _, x: np.where(np.abs(x) < 3, 1 / 6, 0),
        "hardswish": lambda _, x: np.where(x <= -3, 0, np.where(x >= 3, 1, (2 * x + 3) / 6)),
        "leaky_relu": lambda op, x: np.where(x > 0, 1, getattr(op, "slope", 0.01)),
        "log": lambda _, x: 1 / x,
        "mish": lambda _, x: _mish(x),
        "quick_gelu": lambda _, x: _scaled_silu(x, 1.702),
        "reciprocal": lambda _, x: -1 / (x * x),
        "relu": lambda _, x: x > 0,
        "relu6": lambda _, x: (x > 0) & (x < 6),
        "sigmoid": lambda _, x: _sigmoid(x),
        "silu": lambda _, x: _scaled_silu(x, 1.0),
        "silu_mul": lambda _, x: _scaled_silu(x, 1.0),
        "softplus": lambda _, x: logistic(x),
        "sqrt": lambda _, x: 0.5 / np.sqrt(x),
        "tanh": lambda _, x: 1 - np.tanh(x) ** 2,
    }
)


def has_derivative(op: Operator) -> bool:
    """Whether the function's derivative is known."""
    return op.kind in _BY_KIND


def derivative(op: Operator, x: Array) -> Array:
    """The derivative of an element-wise function (of a gated pair: that of the gate's function) at ``x``.

    Where a function has a corner, the value of one side.

    Raises:
        InputError: nobody wrote it down.
    """
    if op.kind not in _BY_KIND:
        raise InputError(f"no derivative of '{op.kind}'; known: {', '.join(_BY_KIND)}")
    return np.asarray(_BY_KIND[op.kind](op, x)).astype(x.dtype)
