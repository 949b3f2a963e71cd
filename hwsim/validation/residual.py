"""Fits the residual of a kernel family: what measured times show beyond the formula, as a smooth factor.

The logarithms of measured over predicted time are interpolated on a lattice of knots (:mod:`hwsim.cost.residual`)
whose weights have a Gaussian-process prior, a Matern covariance along each axis, which is ridge regression with a
penalty on roughness: A. G. Wilson, H. Nickisch, "Kernel interpolation for scalable structured Gaussian processes
(KISS-GP)", ICML 2015; C. E. Rasmussen, C. Williams, "Gaussian Processes for Machine Learning", 2006, section 4.2.
Lengths along the axes and the penalty are those of the least error in cross-validation over the shapes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hwsim.cost.residual import hats, lattice_of, log_residual
from hwsim.specs.software import ResidualSpec

__all__ = ["Residual", "fit_residual", "residual_factor"]

Floats = NDArray[np.float64]

_FOLDS = 5
_LENGTHS = (0.6, 1.2, 2.5, 5.0, 10.0)
"""Octaves over which the residual keeps its value, tried along each axis."""
_NOISES = (0.05, 0.2, 0.6, 2.0)
"""Variance of a single measurement against that of the residual."""
_REWEIGHTED = 2
_SMALL = 0.1
"""Errors (logarithms) beyond which a row pulls no harder than in proportion: kernels change from shape to shape."""
_MOST = 1.4
"""No row asks for a factor beyond e^1.4 = 4; further off, the formula is wrong or the row is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Residual:
    """A fitted residual and its mean absolute error over left-out shapes, in per cent, without and with it."""

    spec: ResidualSpec
    formula_percent: float
    percent: float


def residual_factor(spec: ResidualSpec, sizes: Mapping[str, Floats]) -> Floats:
    """What the residual multiplies predicted times by; ``sizes`` as in :func:`fit_residual`."""
    lattice = lattice_of(spec.low, spec.high, spec.knots, spec.weights)
    return np.exp(log_residual(lattice, [sizes[name] for name in spec.over]))


def fit_residual(
    sizes: Mapping[str, Floats],
    predicted_s: Floats,
    measured_s: Floats,
    *,
    of: Sequence[str],
    knots: int = 400,
    relative: bool = False,
    divisions: int = 1,
) -> Residual | None:
    """The residual of a kernel family, or None where it would not lessen the error of shapes that it has not seen.

    Args:
        sizes: by name, one array of shape (rows,) each: sizes of Work as in :data:`hwsim.graph.work.SIZES`, or products
            of them (``rows*cols``); a size that never changes is left out.
        predicted_s: seconds by the formula alone, (rows,).
        measured_s: measured seconds, (rows,). Give rows to fit alone: what validates must not be among them.
        of: the kernel families the residual is for, such as ``linear.bf16``.
        knots: most knots of the lattice; there are never more than rows.
        relative: fit errors in per cent, in which a time far too long weighs more than one far too short, not
            logarithms: for times that scatter widely.
        divisions: so many divisions into folds are averaged over, which steadies the choice where rows are few.
    """
    logs = np.clip(np.log(measured_s / predicted_s), -_MOST, _MOST)
    varied = {name: size for name, size in sizes.items() if np.min(size) < np.max(size)}
    if not varied or len(logs) < 2 * _FOLDS:
        return None
    knots = min(knots, len(logs))
    folds = [_folds(list(varied.values()), seed) for seed in range(divisions)]
    formula = _errors(np.zeros_like(logs), logs)

    def tried(lengths: tuple[float, ...], noise: float) -> _Trial:
        found = [_left_out(varied, logs, fold, lengths, noise, knots, relative) for fold in folds]
        return _Trial(np.mean(found, axis=0), lengths, noise)

    best = min((tried((length,) * len(varied), noise) for length in _LENGTHS for noise in _NOISES), key=_Trial.mean)
    for axis in range(len(varied)):
        alike = best.lengths
        others = [tried((*alike[:axis], length, *alike[axis + 1 :]), best.noise) for length in _LENGTHS]
        other = min(others, key=_Trial.mean)
        best = other if _clearly_less(other.errors, best.errors) else best
    best = min((best, *(tried(best.lengths, noise) for noise in _NOISES)), key=_Trial.mean)
    if not _clearly_less(best.errors, formula):
        return None
    spec = _solved(varied, logs, best, knots, of, relative)
    return Residual(spec=spec, formula_percent=100.0 * float(formula.mean()), percent=100.0 * best.mean())


@dataclass(frozen=True, slots=True, eq=False)
class _Trial:
    """Errors of left-out rows with such lengths and such a noise."""

    errors: Floats
    lengths: tuple[float, ...]
    noise: float

    def mean(self) -> float:
        """Mean error."""
        return float(self.errors.mean())


def _clearly_less(errors: Floats, others: Floats) -> bool:
    """Whether errors are less by more than a standard error; else chance may have chosen what is more complicated.

    Source: L. Breiman et al., "Classification and regression trees", 1984, section 3.4.3.
    """
    gain = others - errors
    return bool(gain.mean() > gain.std() / np.sqrt(len(gain)))


def _folds(sizes: Sequence[Floats], seed: int) -> NDArray[np.int64]:
    """A fold for each row; equal shapes share theirs."""
    _, shape = np.unique(np.stack(sizes), axis=1, return_inverse=True)
    order = np.random.default_rng(seed).permutation(int(shape.max()) + 1)
    return np.asarray(order[shape] % _FOLDS, dtype=np.int64)


def _errors(logs: Floats, wanted: Floats) -> Floats:
    return np.minimum(np.abs(np.expm1(logs - wanted)), 1.0)


def _axes(
    sizes: Mapping[str, Floats], lengths: Sequence[float], most: int
) -> tuple[list[float], list[float], list[int]]:
    """From, to and knots of each axis: spacings in proportion to the lengths, at most so many knots in all."""
    low, high = ([float(edge(size)) for size in sizes.values()] for edge in (np.min, np.max))
    octaves = np.log2(np.array(high) / np.array(low))
    for spacing in np.geomspace(0.2, 20.0, 200):
        knots = np.maximum(2, np.ceil(octaves / (spacing * np.array(lengths)) + 1.0)).astype(int).tolist()
        if np.prod(knots) <= most:
            return low, high, knots
    return low, high, [2] * len(octaves)


def _roughness(low: Sequence[float], high: Sequence[float], knots: Sequence[int], lengths: Sequence[float]) -> Floats:
    """Inverse of the prior covariance of the weights, (knots, knots): a product over the axes."""
    whole: Floats = np.ones((1, 1))
    for a, b, count, length in zip(low, high, knots, lengths, strict=True):
        place = np.linspace(np.log2(a), np.log2(b), count)
        gap = np.abs(place[:, None] - place) / length
        whole = np.kron(whole, np.linalg.inv((1.0 + gap) * np.exp(-gap) + 1e-6 * np.eye(count)))
    return whole


def _left_out(
    sizes: Mapping[str, Floats],
    logs: Floats,
    fold: NDArray[np.int64],
    lengths: Sequence[float],
    noise: float,
    most: int,
    relative: bool,
) -> Floats:
    """Error of every row, predicted from the other folds."""
    low, high, knots = _axes(sizes, lengths, most)
    basis = hats(lattice_of(low, high, knots, np.zeros(int(np.prod(knots)))), list(sizes.values()))
    penalty = noise * _roughness(low, high, knots, lengths)
    guess = np.zeros_like(logs)
    for left in range(_FOLDS):
        seen = fold != left
        guess[~seen] = basis[~seen] @ _weights(basis[seen], logs[seen], penalty, relative)
    return _errors(guess, logs)


def _weights(basis: Floats, logs: Floats, penalty: Floats, relative: bool) -> Floats:
    """Weights of the least penalized loss, quadratic for small and linear for large errors.

    A ``relative`` error e^d - 1 is steeper by e^d than its logarithm d.
    Source: P. J. Huber, "Robust estimation of a location parameter", 1964; solved by reweighted least squares.
    """
    trust = np.ones(len(logs))
    for _ in range(_REWEIGHTED + 1):
        trusted = basis * trust[:, None]
        weights = np.linalg.solve(basis.T @ trusted + penalty, trusted.T @ logs)
        error = basis @ weights - logs
        trust = _SMALL / np.maximum(np.abs(error), _SMALL)
        if relative:
            trust *= np.exp(np.clip(error, -_MOST, _MOST))
    return np.asarray(weights)


def _solved(
    sizes: Mapping[str, Floats], logs: Floats, best: _Trial, most: int, of: Sequence[str], relative: bool
) -> ResidualSpec:
    low, high, knots = _axes(sizes, best.lengths, most)
    basis = hats(lattice_of(low, high, knots, np.zeros(int(np.prod(knots)))), list(sizes.values()))
    penalty = best.noise * _roughness(low, high, knots, best.lengths)
    weights = _weights(basis, logs, penalty, relative)
    rounded = np.clip(np.round(weights, 2), -_MOST, _MOST) + 0.0
    return ResidualSpec(
        of=tuple(of),
        over=tuple(sizes),
        low=tuple(low),
        high=tuple(high),
        knots=tuple(knots),
        weights=tuple(rounded.tolist()),
    )
