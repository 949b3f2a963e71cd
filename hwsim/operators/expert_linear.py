"""Each token's product with the weights of the experts chosen for it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from hwsim.errors import InputError, ShapeError
from hwsim.graph.operator import Array, register
from hwsim.graph.tensor import TensorType
from hwsim.graph.work import Work
from hwsim.operators.checks import expect_inputs, expect_rank
from hwsim.operators.products import finish, gemm_work, matrix_operand

__all__ = ["ExpertLinear", "experts_touched"]


def experts_touched(experts: int, chosen: int, tokens: int) -> int:
    """How many of ``experts`` some token chooses, on average where each of them chooses ``chosen`` at random.

    The expected number of distinct experts is E (1 - (1 - k/E)^T); at least as many as one token chooses.

    >>> experts_touched(128, 8, 1), experts_touched(128, 8, 16), experts_touched(128, 8, 1000)
    (8, 82, 128)
    """
    expected = experts * (1.0 - (1.0 - min(chosen, experts) / experts) ** tokens)
    return min(experts, max(1, round(expected)))


@register
@dataclass(frozen=True, slots=True)
class ExpertLinear:
    """y[t, j] = x[t, j] W[ids[t, j]]^T for x (tokens, chosen, k), ids (tokens, chosen) and W (experts, n, k).

    A mixture of experts (Shazeer et al., "Outrageously Large Neural Networks", 2017, section 2). Which experts are
    chosen is not known before it runs: its Work assumes that all are equally likely. ``ranks``: how many devices hold
    ``experts`` each, among which those of this rank are chosen by all ranks' tokens (expert parallelism).
    """

    kind: ClassVar[str] = "expert_linear"
    ranks: int = 1

    def __post_init__(self) -> None:
        if self.ranks < 1:
            raise InputError(f"{self.kind}: ranks must be at least 1, not {self.ranks}")

    def infer(self, inputs: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """(tokens, chosen, n) in the format of x; raises ShapeError when k or the choices do not fit."""
        expect_inputs(self.kind, inputs, 3)
        x, ids, w = inputs
        expect_rank(self.kind, "x", x, 3, 3)
        expect_rank(self.kind, "the weight", w, 3, 3)
        if x.shape[:2] != ids.shape or x.shape[2] != w.shape[2]:
            raise ShapeError(
                f"{self.kind}: x {list(x.shape)}, choices {list(ids.shape)} and weights (experts, n, k) "
                f"{list(w.shape)} do not fit each other"
            )
        return (TensorType((*x.shape[:2], w.shape[1]), x.format),)

    def lower(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> tuple[Work, ...]:
        """One batched Gemm over the experts that are chosen, the rows shared evenly among them."""
        x, _, w = inputs
        tokens, chosen, k = x.shape
        experts, n, _ = w.shape
        touched = experts_touched(experts * self.ranks, chosen, tokens * self.ranks) / self.ranks
        batch = max(1, min(experts, tokens * chosen, round(touched)))
        read = TensorType((batch, n, k), w.format, weight=w.weight)
        return (gemm_work(self.kind, (x, read), outputs[0], (batch, math.ceil(tokens * chosen / batch), n, k)),)

    def reference(self, *arrays: Array) -> tuple[Array, ...]:
        """The products, summed as :class:`Linear` does; choices beyond the experts held here wrap around."""
        x, ids, w = arrays
        chosen = matrix_operand(w[ids % len(w)])
        return (finish(np.einsum("tjk,tjnk->tjn", matrix_operand(x), chosen), x),)
