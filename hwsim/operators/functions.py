"""Special functions that several operators use and NumPy lacks."""

from __future__ import annotations

import math

import numpy as np

from hwsim.graph.operator import Array

__all__ = ["erf", "gelu", "gelu_tanh", "logistic"]

_erf = np.frompyfunc(math.erf, 1, 1)


def logistic(x: Array) -> Array:
    """1 / (1 + exp(-x)) without overflow: exp is taken of -|x| only.

    >>> logistic(np.array([0.0, -1e4])).tolist()
    [0.5, 0.0]
    """
    small = np.exp(-np.abs(x))
    y: Array = np.where(x >= 0, 1, small) / (1 + small)
    return y


def erf(x: Array) -> Array:
    """Error function, element by element as the C library computes it.

    >>> float(erf(np.array(0.0)))
    0.0
    """
    y: Array = np.asarray(_erf(x)).astype(x.dtype)
    return y


def gelu(x: Array) -> Array:
    """GELU, x Phi(x), with the normal distribution function (Hendrycks and Gimpel, 2016, section 2)."""
    y: Array = x * (1 + erf(x * np.asarray(math.sqrt(0.5), x.dtype))) * np.asarray(0.5, x.dtype)
    return y


def gelu_tanh(x: Array) -> Array:
    """The tanh approximation of GELU (Hendrycks and Gimpel, 2016, section 2)."""
    inner = np.asarray(math.sqrt(2 / math.pi), x.dtype) * (x + np.asarray(0.044715, x.dtype) * x * x * x)
    y: Array = np.asarray(0.5, x.dtype) * x * (1 + np.tanh(inner))
    return y
