"""NVDLA's seven published configurations: INT8 ResNet-50, vendor estimates of the primer.

One of them (46 frames/s on 256 MACs) gave the stack its constant; the others are only checked.
"""

from __future__ import annotations

import pytest

import hwsim

pytestmark = pytest.mark.validation

FRAMES_PER_S = {2048: 269, 1024: 153, 512: 93, 256: 46, 128: 20, 64: 7.3, 32: 3.6}


@pytest.mark.parametrize("macs", FRAMES_PER_S)
def test_frames_a_second_of_resnet50_are_met_within_20_percent(macs: int) -> None:
    costs = hwsim.estimate(hwsim.workload("resnet50"), f"nvdla_{macs}")
    assert 1 / costs.time_s == pytest.approx(FRAMES_PER_S[macs], rel=0.2)
    assert costs.dtype == "int8"


def test_a_peak_alone_does_not_explain_the_small_designs() -> None:
    """64 MACs at 1 GHz would run 4.1 GMAC 15.6 times a second; one GB/s and 128 KiB of buffer leave 7.3."""
    graph = hwsim.workload("resnet50")
    assert 64e9 / graph.macs > 2 * FRAMES_PER_S[64]


def test_a_small_buffer_reads_operands_again() -> None:
    """512 KiB need about 60 MB a frame, 128 KiB twice as much."""
    moved = [hwsim.estimate(hwsim.workload("resnet50"), f"nvdla_{macs}").frame.bytes.sum() for macs in (2048, 64)]
    assert moved[1] > 2 * moved[0]
