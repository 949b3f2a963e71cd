"""What measurements add to a formula: a smooth factor over the sizes of a problem, 1 where nothing was measured.

The logarithm of measured over predicted time is interpolated on a small lattice of knots, evenly spaced in the
logarithm of every size: a spline of degree one along each axis (C. de Boor, "A Practical Guide to Splines", 1978,
chapter XVII). Beyond the outermost knots it falls to 0 within one spacing, so the factor is never outside the
range that its weights span, and far from the measurements the formula stands alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["Lattice", "hats", "lattice_of", "log_residual"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Lattice:
    """Knots along each axis and what stands on them.

    ``first`` is log2 of the first knot of an axis, ``per_octave`` its knots an octave, ``knots`` their number.
    ``weights`` are those of all knots in C order, with a ring of zeros around; ``corners`` are the offsets of the
    2^axes knots around a point, along the last axis of ``weights`` first.
    """

    first: tuple[float, ...]
    per_octave: tuple[float, ...]
    knots: tuple[int, ...]
    weights: Floats
    strides: tuple[int, ...]
    corners: NDArray[np.int64]


def lattice_of(low: Sequence[float], high: Sequence[float], knots: Sequence[int], weights: ArrayLike) -> Lattice:
    """The lattice with so many knots between ``low`` and ``high`` of each size; ``weights`` in C order."""
    ringed = np.pad(np.asarray(weights, dtype=np.float64).reshape(tuple(knots)), 1)
    strides = tuple(int(s) // ringed.itemsize for s in ringed.strides)
    corners = [sum(s for s, up in zip(strides, ups, strict=True) if up) for ups in product((0, 1), repeat=len(knots))]
    return Lattice(
        first=tuple(float(np.log2(a)) for a in low),
        per_octave=tuple((n - 1) / float(np.log2(b / a)) for a, b, n in zip(low, high, knots, strict=True)),
        knots=tuple(knots),
        weights=ringed.ravel(),
        strides=strides,
        corners=np.array(corners, dtype=np.int64)[:, None],
    )


def log_residual(lattice: Lattice, sizes: Sequence[Floats]) -> Floats:
    """Logarithm of the factor for sizes, one array of shape (rows,) an axis.

    >>> one = lattice_of([1.0], [4.0], [3], [0.0, 0.2, 0.4])
    >>> log_residual(one, [np.array([2.0, 4.0, 8.0, 1024.0])]).round(3).tolist()
    [0.2, 0.4, 0.0, 0.0]
    """
    start: NDArray[np.int64] = np.zeros(np.shape(sizes[0]), dtype=np.int64)
    shares: list[Floats] = []
    axes = zip(sizes, lattice.first, lattice.per_octave, lattice.knots, lattice.strides, strict=True)
    for size, first, per_octave, knots, stride in axes:
        place = np.clip((np.log2(size) - first) * per_octave + 1.0, 0.0, knots + 1.0)
        knot = np.minimum(place.astype(np.int64), knots)
        shares.append(place - knot)
        start = start + knot * stride
    around: Floats = lattice.weights[start + lattice.corners]
    for share in shares:
        half = len(around) // 2
        around = around[:half] + share * (around[half:] - around[:half])
    return np.asarray(around[0])


def hats(lattice: Lattice, sizes: Sequence[Floats]) -> Floats:
    """How much each knot counts at each point, (rows, knots in C order): :func:`log_residual` is this times weights.

    >>> hats(lattice_of([1.0], [4.0], [3], [0.0] * 3), [np.array([2.0, 2.0**1.25, 8.0])]).round(3).tolist()
    [[0.0, 1.0, 0.0], [0.0, 0.75, 0.25], [0.0, 0.0, 0.0]]
    """
    found: Floats = np.ones((len(sizes[0]), 1))
    for size, first, per_octave, knots in zip(sizes, lattice.first, lattice.per_octave, lattice.knots, strict=True):
        place = (np.log2(size) - first) * per_octave
        near = np.maximum(0.0, 1.0 - np.abs(place[:, None] - np.arange(knots)))
        found = (found[:, :, None] * near[:, None, :]).reshape(len(size), -1)
    return found
