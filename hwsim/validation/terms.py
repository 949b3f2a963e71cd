"""Constants of kernel families from measured times, where the terms of a kernel's time simply add up.

With ``overlap`` = 1 a kernel takes launch + compute / share + memory / share, so the launch and both ceilings come
from one linear fit without negative terms (C. Lawson and R. Hanson, Solving Least Squares Problems, 1974,
chapter 23, with three columns by trying every set of them). Errors count relative to what was measured.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from hwsim.devices.base import KINDS, price
from hwsim.graph.work import Work
from hwsim.specs.device import DeviceSpec
from hwsim.specs.fields import Ratio
from hwsim.specs.software import SoftwareSpec
from hwsim.validation.score import scored

__all__ = ["TermFit", "fit_terms"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class TermFit:
    """Constants of one family, with the mean absolute error in per cent on the rows fitted and on rows left out.

    ``held_out_percent`` leaves out one row at a time and predicts it from the others.
    """

    family: str
    constants: Mapping[str, float]
    rows: int
    fitted_percent: float
    held_out_percent: float


def fit_terms(
    spec: DeviceSpec, family: str, works: Sequence[Work], time_s: Floats, given: Mapping[str, float]
) -> TermFit:
    """Launch and the ceilings ``compute`` and ``memory`` of a family from the times of its rows, in seconds.

    Args:
        spec: the chip; its kind must read ``launch``, ``compute``, ``memory`` and ``overlap``.
        family: the label of the rows' Work.
        works: the rows.
        time_s: their measured times.
        given: constants that are not fitted.
    """
    kind = KINDS[spec.kind]
    compute_s, memory_s = _terms(spec, family, works, given)
    design = np.stack([np.ones(len(time_s)), compute_s, memory_s], axis=1)
    shares = _positive_least_squares(design / time_s[:, None])
    fitted = design @ shares
    left_out = [_left_out(design, time_s, row) for row in range(len(time_s))]
    constants = {"launch": float(shares[0]), "overlap": 1.0} | dict(given)
    for name, share in (("compute", shares[1]), ("memory", shares[2])):
        marker = kind.constants[name]
        assert isinstance(marker, Ratio)
        constants[name] = float(np.clip(1.0 / share if share > 0 else marker.high, marker.low, marker.high))
    return TermFit(
        family=family,
        constants=constants,
        rows=len(time_s),
        fitted_percent=scored(fitted.tolist(), time_s.tolist()).mape,
        held_out_percent=scored(left_out, time_s.tolist()).mape,
    )


def _terms(spec: DeviceSpec, family: str, works: Sequence[Work], given: Mapping[str, float]) -> tuple[Floats, Floats]:
    """Compute and memory terms of rows at ceilings of 1, from three prices: both, half the one, half the other."""
    kind = KINDS[spec.kind]

    def busy_s(compute: float, memory: float) -> Floats:
        constants = dict(given) | {"launch": 0.0, "overlap": 1.0, "compute": compute, "memory": memory}
        stack = SoftwareSpec(name="unit", kernels={family: constants})
        found: Floats = price(kind, works, kind.params(replace(spec, software={"unit": stack}), stack)).time_s[0]
        return found

    both = busy_s(1.0, 1.0)
    return 2.0 * (both - busy_s(2.0, 1.0)), 2.0 * (both - busy_s(1.0, 2.0))


def _positive_least_squares(design: Floats) -> Floats:
    """Coefficients x >= 0 with the least squared distance of ``design @ x`` from one in every row."""
    columns = design.shape[1]
    best, least = np.zeros(columns), float(len(design))
    for count in range(1, columns + 1):
        for chosen in combinations(range(columns), count):
            part = design[:, chosen]
            found = np.linalg.lstsq(part, np.ones(len(design)), rcond=None)[0]
            squares = float(np.sum((part @ found - 1.0) ** 2))
            if (found >= 0).all() and squares < least:
                best, least = np.zeros(columns), squares
                best[list(chosen)] = found
    return best


def _left_out(design: Floats, time_s: Floats, row: int) -> float:
    others = np.arange(len(time_s)) != row
    shares = _positive_least_squares(design[others] / time_s[others, None])
    return float(design[row] @ shares)
