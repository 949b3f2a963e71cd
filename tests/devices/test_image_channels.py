"""Images on arrays that multiply cells of channels."""

from __future__ import annotations

import pytest

import hwsim


def test_an_image_is_padded_by_rows_of_the_window() -> None:
    """3 channels, 7 x 7, cells of 32: a row of the window is 21 values, one cell, so seven of them instead of 49."""
    image = hwsim.ops.conv2d(batch=1, cin=3, h=64, w=64, cout=8, kernel=7, padding=3, dtype="int8")
    packed = hwsim.load_device("nvdla_256").evolve({"memory.sdram.bandwidth": "1 TB/s"})
    padded = packed.evolve({"systolic_npu.image_channels": 0})
    ratio = hwsim.estimate(image, padded).time_s / hwsim.estimate(image, packed).time_s
    assert ratio == pytest.approx(7.0, rel=0.05)
