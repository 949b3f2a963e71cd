"""What a prediction rests on, and the error band that comes with it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from hwsim.specs.software import SoftwareSpec

__all__ = ["FIDELITY", "Basis", "basis_of"]

FIDELITY = "operator-level, closed forms; not cycle-accurate"

_WITHOUT_VALIDATION = {"calibrated": 20.0, "family": 25.0, "uncalibrated": 50.0}
"""Mean absolute error in per cent where a stack has no held-out figure for a kernel family: constants of a
sibling chip reach 8-23 % on matrix products, those of another vendor 45-50 %."""

_ORDER = ("uncalibrated", "family", "calibrated")


@dataclass(frozen=True, slots=True, kw_only=True)
class Basis:
    """``name`` is calibrated, family or uncalibrated; ``error_percent`` the expected mean absolute error.

    ``residual_share`` is the share of the time that a residual of the stack corrected; the rest is physics alone.
    """

    name: str
    error_percent: float
    says: str
    residual_share: float = 0.0
    fidelity: str = FIDELITY

    @property
    def method(self) -> str:
        """What made the figures, in words."""
        if self.residual_share <= 0.0:
            return "physics alone"
        return f"physics, with a residual on {self.residual_share:.0%} of the time"


def basis_of(stack: SoftwareSpec, shares: Iterable[tuple[str, str, str, float]], residual_share: float = 0.0) -> Basis:
    """The basis of a run from the seconds spent in each (kernel, form, format).

    Held-out errors of the stack's kernel families are averaged by time, each row's that of the first of
    ``linear.int8``, ``linear``, ``gemm.int8``, ``gemm`` that has one; families without count with the figure of the
    stack's basis.
    """
    fallback = _WITHOUT_VALIDATION[stack.basis]
    total = error = 0.0
    for kernel, form, fmt, seconds in shares:
        families = (f"{kernel}.{fmt}", kernel, f"{form}.{fmt}", form)
        found = next((stack.validated[name] for name in families if name in stack.validated), fallback)
        total += seconds
        error += seconds * found
    says = stack.fitted_to or stack.assumption or "no measurements"
    expected = error / total if total > 0.0 else fallback
    return Basis(name=stack.basis, error_percent=expected, says=says, residual_share=residual_share)


def weakest(parts: Iterable[Basis]) -> Basis:
    """The least certain of several bases, with the largest error."""
    listed = list(parts)
    name = min((p.name for p in listed), key=_ORDER.index)
    return Basis(
        name=name,
        error_percent=max(p.error_percent for p in listed),
        says="; ".join(dict.fromkeys(p.says for p in listed)),
        residual_share=max(p.residual_share for p in listed),
    )
