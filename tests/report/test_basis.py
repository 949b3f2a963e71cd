"""What a prediction rests on, and the error band that comes with it."""

from __future__ import annotations

import pytest

from hwsim.report.basis import basis_of, weakest
from hwsim.specs.software import SoftwareSpec

_STACK = SoftwareSpec(name="s", basis="calibrated", validated={"gemm": 6.0, "gemm.int8": 16.0, "conv2d": 30.0})


@pytest.mark.parametrize(
    ("kernel", "form", "fmt", "error"),
    [
        ("linear", "gemm", "bf16", 6.0),
        ("linear", "gemm", "int8", 16.0),
        ("conv2d", "gemm", "int8", 30.0),
        ("softmax", "reduce", "fp16", 20.0),
    ],
)
def test_a_family_has_its_own_error_or_that_of_the_basis(kernel: str, form: str, fmt: str, error: float) -> None:
    assert basis_of(_STACK, [(kernel, form, fmt, 1.0)]).error_percent == error


def test_errors_are_averaged_by_time() -> None:
    """Three seconds at 6 % and one at 30 %: 12 %."""
    found = basis_of(_STACK, [("linear", "gemm", "bf16", 3.0), ("conv2d", "gemm", "bf16", 1.0)])
    assert found.error_percent == 12.0


def test_a_run_of_nothing_has_the_error_of_its_basis() -> None:
    assert [basis_of(SoftwareSpec(name="s", basis=b), []).error_percent for b in ("calibrated", "family")] == [
        20.0,
        25.0,
    ]


def test_of_several_the_least_certain_counts_with_the_largest_error() -> None:
    sure = basis_of(_STACK, [("linear", "gemm", "bf16", 1.0)])
    unsure = basis_of(SoftwareSpec(name="t", basis="uncalibrated"), [("linear", "gemm", "bf16", 1.0)])
    assert (weakest([sure, unsure]).name, weakest([unsure, sure]).error_percent) == ("uncalibrated", 50.0)
