"""Non-maximum suppression by hand."""

from __future__ import annotations

import numpy as np
import pytest

from hwsim.errors import ShapeError
from hwsim.graph.tensor import TensorType
from hwsim.operators.suppress_overlaps import SuppressOverlaps

_BOXES = np.array([[[0, 0, 2, 2], [0, 0, 2, 1.5], [4, 4, 5, 5]]], np.float32)
"""The first two share 3 of 4; the third stands apart."""


def test_of_two_boxes_that_overlap_the_better_one_stays() -> None:
    scores = np.array([[[0.5], [0.9], [0.1]]], np.float32)
    (found,) = SuppressOverlaps(kept=3, overlap=0.6).reference(_BOXES, scores)
    assert found[0, 0, :, 4].tolist() == pytest.approx([0.9, 0.1, 0.0])
    (found,) = SuppressOverlaps(kept=3, overlap=0.8).reference(_BOXES, scores)
    assert found[0, 0, :, 4].tolist() == pytest.approx([0.9, 0.5, 0.1])


def test_classes_are_told_apart() -> None:
    scores = np.array([[[0.5, 0.0], [0.0, 0.9], [0.0, 0.0]]], np.float32)
    (found,) = SuppressOverlaps(kept=1).reference(_BOXES, scores)
    assert found[0, :, 0, 4].tolist() == pytest.approx([0.5, 0.9])


def test_each_score_is_looked_at_once() -> None:
    kinds = (TensorType((2, 10, 4), "int8"), TensorType((2, 10, 7), "int8"))
    (work,) = SuppressOverlaps().lower(kinds, SuppressOverlaps().infer(kinds))
    assert (work.flop, work.bytes_in) == (2 * 10 * 7, 2 * 10 * 11)


def test_an_anchor_without_a_box_is_refused() -> None:
    with pytest.raises(ShapeError, match="boxes are"):
        SuppressOverlaps().infer((TensorType((1, 9, 4), "int8"), TensorType((1, 10, 7), "int8")))
