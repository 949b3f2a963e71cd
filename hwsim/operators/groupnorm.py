"""Group normalization over groups of channels and all positions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from hwsim.errors import ShapeError
from hwsim.graph.operator import Array, register
from hwsim.graph.tensor import TensorType
from hwsim.graph.work import Work
from hwsim.operators.checks import expect_inputs, expect_positive, expect_rank
from hwsim.operators.precision import narrow, widen
from hwsim.operators.rowwise import expect_affine, reduce_work, standardized

__all__ = ["GroupNorm"]


@register
@dataclass(frozen=True, slots=True)
class GroupNorm:
    """Standardizes x (batch, channels, ...) over each group of channels and all positions (Wu and He, 2018).

    gamma and beta have one element a channel.
    """

    kind: ClassVar[str] = "groupnorm"
    groups: int = 32
    eps: float = 1e-5

    def infer(self, inputs: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """Shape and format of x; raises ShapeError when the groups do not divide the channels."""
        expect_inputs(self.kind, inputs, 1, 3)
        x = inputs[0]
        expect_rank(self.kind, "x", x, 2)
        expect_positive(self.kind, "groups", (self.groups,))
        if x.shape[1] % self.groups:
            raise ShapeError(
                f"groupnorm: {self.groups} groups do not divide the {x.shape[1]} channels of {list(x.shape)}"
            )
        expect_affine(self.kind, inputs, x.shape[1:2])
        return (TensorType(x.shape, x.format),)

    def lower(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> tuple[Work, ...]:
        """One Reduce of two passes over batch x groups rows; an element costs what it does in layernorm."""
        cols = inputs[0].elements // (inputs[0].shape[0] * self.groups)
        flop = 5 + len(inputs)
        return (reduce_work(self.kind, inputs, outputs[0], cols=cols, passes=2, flop=flop, shared=inputs[1:]),)

    def reference(self, *arrays: Array) -> tuple[Array, ...]:
        """Values with the dtype of x, computed in float32 (float64 for float64)."""
        x, *affine = arrays
        grouped = widen(x).reshape(x.shape[0], self.groups, -1)
        y = standardized(grouped, (-1,), self.eps).reshape(x.shape)
        across = (-1,) + (1,) * (x.ndim - 2)
        if affine:
            y = y * widen(affine[0]).reshape(across)
        if len(affine) == 2:
            y = y + widen(affine[1]).reshape(across)
        return (narrow(y, x),)
