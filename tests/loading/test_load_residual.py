"""``residual:`` of a stack in a device file: what it becomes, who inherits it, what is said of its faults."""

from __future__ import annotations

import pytest

from hwsim.errors import FileFormatError
from hwsim.loading.device import load_device

GOOD = "{of: [linear.int8], over: [m, n*k], from: [1, 64], to: [64, 1024], knots: [2, 2], weights: [0, 0.1, -0.1, 0]}"


def toy_with(write, toy: str, residual: str) -> None:
    write(
        "device_specs/toy.yaml",
        toy.replace("    timing: [graph]\n", f"    timing: [graph]\n    residual: [{residual}]\n"),
    )


def test_a_residual_is_read_with_its_stack(write, toy: str) -> None:
    toy_with(write, toy, GOOD)
    (residual,) = load_device("toy").stack("compiled").residuals
    assert (residual.of, residual.over, residual.low, residual.high) == (
        ("linear.int8",), ("m", "n*k"), (1.0, 64.0), (64.0, 1024.0),
    )  # fmt: skip
    assert (residual.knots, residual.weights) == ((2, 2), (0.0, 0.1, -0.1, 0.0))


def test_neither_another_stack_nor_a_relative_inherits_a_residual(write, toy: str) -> None:
    """It belongs to the measurements it was fitted to, as the errors do."""
    toy_with(write, toy, GOOD)
    write("device_specs/big.yaml", "schema: hwsim/device/v1\nname: big\ntitle: Big\nextends: toy\n")
    assert load_device("toy").stack("eager").residuals == ()
    assert load_device("big").stack("compiled").residuals == ()


def test_a_relative_of_the_same_die_inherits_a_residual_but_no_error(write, toy: str) -> None:
    toy_with(write, toy.replace("kind: ", "die: TD1\nkind: "), GOOD)
    for name, die in (("same", "die: TD1\n"), ("other", "die: TD2\n"), ("unsaid", "")):
        write(f"device_specs/{name}.yaml", f"schema: hwsim/device/v1\nname: {name}\ntitle: T\nextends: toy\n{die}")
    stacks = {name: load_device(name).stack("compiled") for name in ("toy", "same", "other", "unsaid")}
    assert [len(stack.residuals) for stack in stacks.values()] == [1, 1, 0, 0]
    assert dict(stacks["same"].validated) == {}
    assert stacks["same"].basis != "calibrated"


def test_a_variant_keeps_the_residual_of_its_chip(write, toy: str) -> None:
    toy_with(write, toy, GOOD)
    chip = load_device("toy")
    assert (
        chip.evolve({"memory.dram.bandwidth": "1 TB/s"}).stack("compiled").residuals == chip.stack("compiled").residuals
    )


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("knots: [2, 2]", "knots: [2, 3]", "4 weights for 6 knots; write one a knot"),
        ("knots: [2, 2]", "knots: [2, 1]", "write whole numbers from 2 to 512 in the list, not 1"),
        ("knots: [2, 2]", "knots: [100, 100]", "10000 knots; write at most 512 in all"),
        ("from: [1, 64]", "from: [1]", "write one value a size in over, from, to and knots; over has 2, from has 1"),
        ("to: [64, 1024]", "to: [64, 32]", "'n*k' ends at 32; write more than 64, its from"),
        ("over: [m, n*k]", "over: [m, n*rows]", "'n*rows' is no size of a kernel"),
        ("of: [linear.int8]", "of: [linaer.int8]", "did you mean 'linear'"),
        ("-0.1", "-9", "write numbers from -1.4 to 1.4 in the list, not -9"),
        ("weights: [0, 0.1, -0.1, 0]", "weight: [0]", "weights"),
    ],
)
def test_what_does_not_fit_together_is_named(write, toy: str, old: str, new: str, said: str) -> None:
    toy_with(write, toy, GOOD.replace(old, new))
    with pytest.raises(FileFormatError) as caught:
        load_device("toy")
    assert said in str(caught.value)
    assert "device_specs/toy.yaml:" in str(caught.value)
