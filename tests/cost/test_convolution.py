"""Winograd's convolutions: known counts, and when each kind pays."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hwsim.cost.convolution import WinogradProblem, fused_product, transformed_product, winograd_time
from hwsim.cost.tiling import GemmConstants, SimtLimits

LAYER = WinogradProblem(
    images=2.0, out_h=8.0, out_w=6.0, channels_in=64.0, channels_out=32.0, in_bytes=1e3, filter_bytes=2e3,
    out_bytes=3e3, width=4.0,
)  # fmt: skip
CHIP = SimtLimits(sms=10.0, flop_per_s=1e12, bandwidth_bytes_per_s=1e9, cache_bytes=0.0)


def macs(product: object) -> float:
    return float(product.m * product.n * product.k * product.batch)  # type: ignore[attr-defined]


def test_tiles_of_two_by_two_multiply_four_times_an_output_instead_of_nine():
    """2 x 8 x 6 outputs, 64 x 32 channels: (2 + 2)^2 / 2^2 = 4 multiplications each, where the window has 9."""
    assert macs(fused_product(LAYER)) == 4 * 2 * 8 * 6 * 64 * 32


def test_an_output_that_fills_half_a_tile_pays_a_whole_one():
    """Rows of 6 outputs take two tiles of 4: 2 x 2 x 2 tiles of 36 products."""
    product, _ = transformed_product(LAYER)
    assert (float(product.m), float(product.batch)) == (2 * 2 * 2, 36.0)


def test_a_window_of_five_has_tiles_of_eight():
    product, _ = transformed_product(replace(LAYER, window=5.0))
    assert float(product.batch) == 64.0


def test_transforms_move_both_forms_of_all_tensors():
    """8 tiles of 36 places: inputs 64, outputs 32 channels, filters 64 x 32; and the plain tensors, in fp32."""
    _, moved = transformed_product(LAYER)
    assert float(moved) == 6e3 + 4 * 36 * (8 * 64 + 64 * 32 + 8 * 32)


@pytest.mark.parametrize(("bandwidth", "transformed"), [(1e6, False), (1e15, True)])
def test_transforms_pay_where_bytes_are_cheap(bandwidth, transformed):
    """F(4 x 4) needs 36 / 16 multiplications an output, F(2 x 2) 4, but writes and reads its tiles."""
    layer = replace(LAYER, out_h=64.0, out_w=64.0, images=64.0)
    limits = replace(CHIP, bandwidth_bytes_per_s=bandwidth)
    constants = GemmConstants(compute=0.5)
    both = winograd_time(layer, limits, constants, fused=1.0, transform_s=0.0)
    fused_alone = winograd_time(layer, limits, constants, fused=1.0, transform_s=1e9)
    assert bool(both.time_s < fused_alone.time_s) is transformed


def test_the_fused_kernel_has_a_window_of_three_only():
    five = replace(LAYER, window=5.0)
    assert winograd_time(five, CHIP, GemmConstants(), fused=1.0, transform_s=1e3).time_s.item() > 1e3
