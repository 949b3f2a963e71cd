"""Scores with the future masked out, as an un-fused attention computes them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from hwsim.errors import ShapeError
from hwsim.graph.operator import Array, register
from hwsim.graph.tensor import TensorType
from hwsim.graph.work import Map, Work, size_bytes
from hwsim.operators.attention import causal_mask
from hwsim.operators.checks import expect_inputs, expect_rank

__all__ = ["CausalMask"]


@register
@dataclass(frozen=True, slots=True)
class CausalMask:
    """Scores (..., seq_q, seq_kv) plus a stored mask: minus infinity where a query would look ahead.

    Aligned to the end: the last query sees every key.
    """

    kind: ClassVar[str] = "causal_mask"

    def infer(self, inputs: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """Same type as the scores; raises ShapeError when a query would see no key."""
        expect_inputs(self.kind, inputs, 1)
        (x,) = inputs
        expect_rank(self.kind, "the scores", x, 2)
        if x.shape[-2] > x.shape[-1]:
            raise ShapeError(f"causal_mask: {x.shape[-2]} queries on {x.shape[-1]} keys; the first would see none")
        return (TensorType(x.shape, x.format),)

    def lower(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> tuple[Work, ...]:
        """One Map that reads scores and a mask (seq_q, seq_kv) and adds them."""
        (x,), (y,) = inputs, outputs
        mask = size_bytes(x.shape[-2] * x.shape[-1], x.format)
        return (
            Map(
                kernel=self.kind,
                elements=y.elements,
                flop_per_element=1,
                special_per_element=0,
                bytes_in=x.size_bytes + mask,
                bytes_out=y.size_bytes,
                format=y.format,
            ),
        )

    def reference(self, *arrays: Array) -> tuple[Array, ...]:
        """The scores, minus infinity where masked."""
        (x,) = arrays
        return (np.where(causal_mask(*x.shape[-2:]), x, np.asarray(-np.inf, x.dtype)),)
