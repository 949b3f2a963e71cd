"""``hwsim calibrate --data``: constants are found again, residuals take the rest, nothing is written by halves."""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import pytest

from hwsim.devices.base import KINDS, price
from hwsim.errors import InputError
from hwsim.loading.device import load_device
from hwsim.specs.device import DeviceSpec
from hwsim.specs.software import SoftwareSpec
from hwsim.validation.calibrated_device import calibrated_device
from hwsim.validation.kernels import kernel_work
from hwsim.validation.measured import Row

SIZES = [(2**a, 2**b + 64 * a) for a in range(14) for b in range(5, 14, 2)]


def seconds(spec: DeviceSpec, stack: SoftwareSpec, rows: int, cols: int) -> float:
    columns = {"op": "relu", "dtype": "fp32", "rows": str(rows), "cols": str(cols)}
    work = kernel_work(Row(1, MappingProxyType(columns), {}))
    kind = KINDS[spec.kind]
    return float(price(kind, [work], kind.params(spec, stack)).time_s[0, 0])


def write(
    path: Path, time_s: Callable[[int, int], float], device: str = "T4", timing: str = "cuda_event_eager"
) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["device", "op", "dtype", "rows", "cols", "timing", "latency_us"])
        for rows, cols in SIZES:
            writer.writerow([device, "relu", "fp32", rows, cols, timing, time_s(rows, cols) * 1e6])
    return path


@pytest.fixture
def slower(tmp_path: Path) -> Path:
    """A T4 whose element-wise kernels take 60 % of the bandwidth that its file says, and start in half the time."""
    spec = load_device("t4")
    stack = spec.stack("eager")
    name = "map.fp32" if "map.fp32" in stack.kernels else "map"
    known = dict(stack.kernels[name])
    family = {**known, "memory": 0.6 * known["memory"], "dispatch": 0.5 * known["dispatch"]}
    other = replace(stack, kernels=MappingProxyType({**stack.kernels, name: family}))
    return write(tmp_path / "slower.csv", lambda rows, cols: seconds(spec, other, rows, cols))


@pytest.mark.slow
def test_constants_that_changed_are_found_again(slower: Path, tmp_path: Path) -> None:
    found = calibrated_device(slower, load_device("t4"), tmp_path / "my_t4.yaml", residual=False)
    (fit,) = found.fits
    assert fit.before > 15.0
    assert fit.after < 0.5 * fit.before
    stack = found.spec.stack("eager")
    assert (found.spec.name, stack.basis, stack.validated["map.fp32"]) == (
        "my_t4",
        "calibrated",
        round(fit.after, 1),
    )
    assert (
        load_device(tmp_path / "my_t4.yaml").stack("eager").kernels["map.fp32"]
        != load_device("t4").stack("eager").kernels["map.fp32"]
    )


@pytest.mark.slow
def test_a_residual_takes_what_no_constant_explains(tmp_path: Path) -> None:
    spec = load_device("t4")
    stack = spec.stack("eager")

    def odd(rows: int, cols: int) -> float:
        return seconds(spec, stack, rows, cols) * (1.8 if 1e5 < rows * cols < 1e7 else 1.0)

    data = write(tmp_path / "odd.csv", odd)
    (fit,) = calibrated_device(data, spec, tmp_path / "my_t4.yaml", residual=True).fits
    assert fit.residual is not None
    assert fit.after < 0.8 * fit.formula
    assert load_device(tmp_path / "my_t4.yaml").stack("eager").residuals[0].of == ("map.fp32",)


@pytest.mark.slow
def test_an_unknown_name_is_taken_for_the_device_and_an_unknown_timing_becomes_a_stack(tmp_path: Path) -> None:
    """A file that names one device, known to nobody, and a way of measuring that no stack lists."""
    name, way = "the box under my desk", "my stop-watch"
    data = write(tmp_path / "own.csv", lambda rows, cols: 1e-6 + 1e-11 * rows * cols, device=name, timing=way)
    found = calibrated_device(data, load_device("t4"), tmp_path / "my_t4.yaml", residual=False)
    assert len(found.fits) == 1
    assert found.spec.stack("my_stop_watch").timing == (way,)


def test_rows_of_another_device_are_refused_and_an_older_file_stays(slower: Path, tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("older", encoding="utf-8")
    with pytest.raises(InputError, match="no rows of h100_sxm; its aliases are H100"):
        calibrated_device(slower, load_device("h100_sxm"), path, residual=False)
    assert path.read_text(encoding="utf-8") == "older"


def test_too_few_rows_are_refused_with_the_reason(tmp_path: Path) -> None:
    data = tmp_path / "few.csv"
    data.write_text(
        "device,op,dtype,rows,cols,timing,latency_us\nT4,relu,fp32,64,64,cuda_event_eager,20\n", encoding="utf-8"
    )
    with pytest.raises(InputError, match=r"nothing to fit: fewer than 12 rows of map\.fp32"):
        calibrated_device(data, load_device("t4"), tmp_path / "my_t4.yaml", residual=False)
    assert not (tmp_path / "my_t4.yaml").exists()


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("t4.yaml", "a device cannot extend itself"),
        ("My T4.yaml", "write a name of lower-case letters"),
        ("my_t4.json", "e.g. 'my_t4.yaml'"),
        ("nowhere/my_t4.yaml", "no folder"),
    ],
)
def test_a_file_that_cannot_be_a_device_is_refused(slower: Path, tmp_path: Path, name: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        calibrated_device(slower, load_device("t4"), tmp_path / name, residual=False)
