"""Layers split over chips: the flow shop's known answers."""

from __future__ import annotations

import pytest

from hwsim.cost.pipeline import pipelined_s


@pytest.mark.parametrize(
    ("pieces", "stages", "together", "expected"),
    [
        ([6.0], 3, 0, 6.0),  # one piece passes all stages: nothing overlaps
        ([6.0] * 4, 1, 0, 24.0),  # one stage: the sum
        ([6.0] * 4, 3, 0, 12.0),  # 2 s a stage: 4 + 2 more stages
        ([2.0, 6.0], 2, 0, 7.0),  # 1 + 3, and the longest once more
        ([6.0] * 4, 3, 2, 16.0),  # two batches of two pieces, each drained: 2 x (2 + 2) x 2 s
    ],
)
def test_a_pipeline_ends_after_its_sum_and_the_longest_piece_for_each_further_stage(
    pieces: list[float], stages: int, together: int, expected: float
) -> None:
    assert pipelined_s(pieces, stages, together=together) == expected
