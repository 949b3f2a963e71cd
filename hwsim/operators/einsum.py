"""Sum of products over named axes (Einstein's convention), of one or two tensors."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from hwsim.errors import ShapeError
from hwsim.graph.operator import Array, register
from hwsim.graph.tensor import TensorType
from hwsim.graph.work import Work
from hwsim.operators.checks import expect_inputs
from hwsim.operators.layout import move_work
from hwsim.operators.precision import result_format
from hwsim.operators.products import finish, gemm_work, matrix_operand
from hwsim.operators.rowwise import reduce_work

__all__ = ["Einsum"]


@register
@dataclass(frozen=True, slots=True)
class Einsum:
    """``equation`` such as ``bij,bjk->bik``: one letter an axis, the result's letters after the arrow."""

    kind: ClassVar[str] = "einsum"
    equation: str = "ij->ji"

    def _terms(self) -> tuple[list[str], str]:
        left, arrow, right = self.equation.partition("->")
        terms = left.split(",")
        if not arrow or not all(t.isalpha() or not t for t in (*terms, right)):
            raise ShapeError(f"einsum: write letters, ',' and one '->', e.g. 'bij,bjk->bik', not '{self.equation}'")
        if len(set(right)) < len(right) or set(right) - set(left):
            raise ShapeError(f"einsum: the result of '{self.equation}' must name axes of the inputs, each once")
        return terms, right

    def _sizes(self, inputs: Sequence[TensorType]) -> dict[str, int]:
        sizes: dict[str, int] = {}
        for term, tensor in zip(self._terms()[0], inputs, strict=True):
            if len(term) != len(tensor.shape):
                raise ShapeError(
                    f"einsum: '{term}' names {len(term)} axes, but the input has shape {list(tensor.shape)}"
                )
            for letter, extent in zip(term, tensor.shape, strict=True):
                if sizes.setdefault(letter, extent) != extent:
                    raise ShapeError(f"einsum: axis '{letter}' is {sizes[letter]} in one place, {extent} in another")
        return sizes

    def infer(self, inputs: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """The named axes in the first activation's format; raises ShapeError when the letters do not fit."""
        terms, right = self._terms()
        expect_inputs(self.kind, inputs, len(terms))
        if len(terms) > 2:
            raise ShapeError(f"einsum takes one or two inputs, not {len(terms)}")
        sizes = self._sizes(inputs)
        return (TensorType(tuple(sizes[letter] for letter in right), result_format(inputs)),)

    def lower(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> tuple[Work, ...]:
        """A Gemm over shared (batch), left (m), right (n) and summed (k) letters; of one input a Reduce or a Move."""
        terms, right = self._terms()
        sizes = self._sizes(inputs)
        (y,) = outputs

        def extent(letters: set[str]) -> int:
            return math.prod(sizes[letter] for letter in sorted(letters))

        if len(terms) == 1:
            summed = extent(set(terms[0]) - set(right))
            if summed == 1:
                return (move_work(self.kind, inputs, y, contiguous=False),)
            return (reduce_work(self.kind, inputs, y, cols=summed, passes=1, flop=1),)
        a, b, kept = set(terms[0]), set(terms[1]), set(right)
        problem = (extent(a & b & kept), extent((a - b) & kept), extent((b - a) & kept), extent((a | b) - kept))
        return (gemm_work(self.kind, (inputs[0], inputs[1]), y, problem),)

    def reference(self, *arrays: Array) -> tuple[Array, ...]:
        """The sums, in float32 for narrow floats and int32 for narrow integers, float64 else."""
        wide = [matrix_operand(a) for a in arrays]
        return (finish(np.asarray(np.einsum(self.equation, *wide)), arrays[0]),)
