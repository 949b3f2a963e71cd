"""Boxes of detectors without those that overlap better ones of their class (non-maximum suppression)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from hwsim.errors import ShapeError
from hwsim.graph.operator import Array, register
from hwsim.graph.tensor import TensorType
from hwsim.graph.work import Reduce, Work
from hwsim.operators.checks import expect_inputs

__all__ = ["SuppressOverlaps"]


@register
@dataclass(frozen=True, slots=True)
class SuppressOverlaps:
    """The best ``kept`` boxes of each class, best first, of which no two share more than ``overlap`` of their union.

    Boxes (batch, anchors, 4) are two corners, x and y each; scores are (batch, anchors, classes); the result, (batch,
    classes, kept, 5), holds corners and score, zeros where there are fewer (Felzenszwalb et al. 2010, Object Detection
    with Discriminatively Trained Part-Based Models, section 7.2).
    """

    kind: ClassVar[str] = "suppress_overlaps"
    kept: int = 20
    overlap: float = 0.6

    def infer(self, inputs: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """The format is that of the scores; raises ShapeError unless each anchor has a box and scores."""
        expect_inputs(self.kind, inputs, 2)
        boxes, scores = inputs
        if len(boxes.shape) != 3 or len(scores.shape) != 3 or boxes.shape != (*scores.shape[:2], 4):
            raise ShapeError(
                f"{self.kind}: boxes are (batch, anchors, 4) and scores (batch, anchors, classes), "
                f"not {list(boxes.shape)} and {list(scores.shape)}"
            )
        batch, _, classes = scores.shape
        return (TensorType((batch, classes, self.kept, 5), scores.format),)

    def lower(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> tuple[Work, ...]:
        """One Reduce over the scores: each is looked at once; the few boxes that are compared count nothing."""
        scores = inputs[1]
        return (
            Reduce(
                kernel=self.kind,
                rows=scores.elements // scores.shape[2],
                cols=scores.shape[2],
                passes=1,
                flop_per_element=1,
                special_per_element=0,
                bytes_in=sum(t.size_bytes for t in inputs),
                bytes_out=outputs[0].size_bytes,
                format=scores.format,
            ),
        )

    def reference(self, *arrays: Array) -> tuple[Array, ...]:
        """Greedy, class by class."""
        boxes, scores = arrays
        found = np.zeros((scores.shape[0], scores.shape[2], self.kept, 5), scores.dtype)
        for image, label in np.ndindex(*found.shape[:2]):
            chosen: list[int] = []
            for place in np.argsort(-scores[image, :, label], kind="stable"):
                if len(chosen) < self.kept and all(
                    _shared(boxes[image, place], boxes[image, other]) <= self.overlap for other in chosen
                ):
                    chosen.append(int(place))
            for rank, place in enumerate(chosen):
                found[image, label, rank] = (*boxes[image, place], scores[image, place, label])
        return (found,)


def _shared(first: Array, second: Array) -> float:
    """The area that two boxes share over that of their union; 0 where that is empty."""
    sides = np.minimum(first[2:], second[2:]) - np.maximum(first[:2], second[:2])
    shared = float(np.prod(np.maximum(sides, 0)))
    union = sum(float(np.prod(np.maximum(box[2:] - box[:2], 0))) for box in (first, second)) - shared
    return shared / union if union > 0 else 0.0
