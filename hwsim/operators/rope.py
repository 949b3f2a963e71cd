"""Rotary position embedding of queries and keys."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from hwsim.errors import ShapeError
from hwsim.graph.operator import Array, register
from hwsim.graph.tensor import TensorType
from hwsim.graph.work import Map, Work, size_bytes
from hwsim.operators.checks import expect_inputs, expect_rank
from hwsim.operators.collectives import Segments, held
from hwsim.operators.precision import narrow, widen

__all__ = ["Rope"]


@register
@dataclass(frozen=True, slots=True)
class Rope:
    """Turns pairs of x (batch, heads, seq, dim) by position x theta^(-2 i / dim) (Su et al., RoFormer, 2021, eq. 34).

    A pair is (i, i + dim / 2), or (2 i, 2 i + 1) if ``interleaved``. ``positions`` is (seq) or (batch, seq);
    without it they count from 0, or, where x is one rank's part of a sequence (``segments`` cut among ``ranks``), from
    where that part begins. ``backwards`` turns the other way, as gradients do.
    """

    kind: ClassVar[str] = "rope"
    theta: float = 10000.0
    interleaved: bool = False
    ranks: int = 1
    segments: Segments = ()
    backwards: bool = False

    def infer(self, inputs: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """Shape and format of x; raises ShapeError when dim is odd or the positions do not fit."""
        expect_inputs(self.kind, inputs, 1, 2)
        x = inputs[0]
        expect_rank(self.kind, "x", x, 4, 4)
        batch, _, seq, dim = x.shape
        if dim % 2:
            raise ShapeError(f"rope: the last axis of {list(x.shape)} must be even")
        if len(inputs) == 2 and inputs[1].shape not in ((seq,), (1, seq), (batch, seq)):
            raise ShapeError(f"rope: positions must be [{seq}] or [{batch}, {seq}], not {list(inputs[1].shape)}")
        return (TensorType(x.shape, x.format),)

    def lower(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> tuple[Work, ...]:
        """One Map: two products and a sum an element; cosines and sines (seq, dim) are read from a table."""
        x, (y,) = inputs[0], outputs
        table = size_bytes(x.shape[2] * x.shape[3], x.format)
        return (
            Map(
                kernel=self.kind,
                elements=y.elements,
                flop_per_element=3,
                special_per_element=0,
                bytes_in=sum(t.size_bytes for t in inputs) + table,
                bytes_out=y.size_bytes,
                format=y.format,
                longest=max(x.shape),
                cols=x.shape[1] * x.shape[3],
            ),
        )

    def reference(self, *arrays: Array) -> tuple[Array, ...]:
        """Values with the dtype of x; angles in float64, products in float32 (float64 for float64)."""
        return self.on_rank(0, *arrays)

    def on_rank(self, rank: int, *arrays: Array) -> tuple[Array, ...]:
        """Values of one rank's part."""
        x = arrays[0]
        batch, heads, seq, dim = x.shape
        own = held(self.segments, rank, self.ranks) if self.segments else np.arange(seq)
        positions = np.asarray(arrays[1] if len(arrays) == 2 else own, np.float64).reshape(-1, 1, seq, 1)
        angle = (-1.0 if self.backwards else 1.0) * positions * self.theta ** (-2.0 * np.arange(dim // 2) / dim)
        wide = widen(x)
        cosine, sine = np.cos(angle).astype(wide.dtype), np.sin(angle).astype(wide.dtype)
        axis = -1 if self.interleaved else -2
        pairs = wide.reshape(batch, heads, seq, *((dim // 2, 2) if self.interleaved else (2, dim // 2)))
        first, second = np.take(pairs, 0, axis), np.take(pairs, 1, axis)
        turned = np.stack([first * cosine - second * sine, second * cosine + first * sine], axis)
        return (narrow(turned.reshape(x.shape), x),)
