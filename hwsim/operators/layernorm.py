"""Layer normalization over trailing axes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from hwsim.graph.operator import Array, register
from hwsim.graph.tensor import TensorType
from hwsim.graph.work import Work
from hwsim.operators.checks import expect_inputs, expect_positive, expect_rank
from hwsim.operators.precision import narrow, widen
from hwsim.operators.rowwise import expect_affine, reduce_work, standardized

__all__ = ["LayerNorm"]


@register
@dataclass(frozen=True, slots=True)
class LayerNorm:
    """(x - mean) / sqrt(variance + eps) [gamma [+ beta]] over the last ``axes`` axes (Ba et al., 2016).

    gamma and beta have the shape of those axes. ``wide``: the published module converts x to fp32 and back again;
    values and Work are the same, and passes that run a graph as a framework does heed it. ``kept``: it runs in the
    narrow format where mixed precision would convert x to fp32 (timm's own layer norms). ``within``: it runs in the
    kernel that makes x, and reads nothing of it.
    """

    kind: ClassVar[str] = "layernorm"
    axes: int = 1
    eps: float = 1e-5
    wide: bool = False
    kept: bool = False
    within: bool = False

    def infer(self, inputs: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """Shape and format of x; raises ShapeError when gamma or beta do not fit the normalized axes."""
        expect_inputs(self.kind, inputs, 1, 3)
        x = inputs[0]
        expect_positive(self.kind, "axes", (self.axes,))
        expect_rank(self.kind, "x", x, self.axes)
        expect_affine(self.kind, inputs, x.shape[len(x.shape) - self.axes :])
        return (TensorType(x.shape, x.format),)

    def lower(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> tuple[Work, ...]:
        """One Reduce of two passes.

        An element takes four operations for the moments (a sum, a difference, a square, a sum), two to
        standardize it, and one each for gamma and beta.
        """
        x = inputs[0]
        cols = math.prod(x.shape[len(x.shape) - self.axes :])
        flop = 5 + len(inputs)
        work = reduce_work(self.kind, inputs, outputs[0], cols=cols, passes=2, flop=flop, shared=inputs[1:])
        return (replace(work, passes=1, bytes_in=work.bytes_in - x.size_bytes) if self.within else work,)

    def reference(self, *arrays: Array) -> tuple[Array, ...]:
        """Values with the dtype of x, computed in float32 (float64 for float64)."""
        x, *affine = arrays
        y = standardized(widen(x), tuple(range(-self.axes, 0)), self.eps)
        if affine:
            y = y * widen(affine[0])
        if len(affine) == 2:
            y = y + widen(affine[1])
        return (narrow(y, x),)
