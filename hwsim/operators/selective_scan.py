"""A linear recurrence whose decay and input depend on the token: the state-space layer of Mamba-2."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from hwsim.errors import ShapeError
from hwsim.graph.operator import Array, register
from hwsim.graph.tensor import TensorType
from hwsim.graph.work import Map, Work
from hwsim.operators.checks import expect_inputs, expect_rank, expect_shape
from hwsim.operators.precision import narrow, widen

__all__ = ["SelectiveScan"]


@register
@dataclass(frozen=True, slots=True)
class SelectiveScan:
    """h[t] = a[t] h[t-1] + d[t] x[t] b[t]^T, y[t] = h[t] c[t] + skip x[t] for each head, and the last h.

    x (batch, seq, heads, dim); step (batch, seq, heads) gives d = softplus(step + bias); decay (heads) gives
    a = exp(-exp(decay) d); b and c (batch, seq, groups, state) serve equal groups of heads; skip and bias (heads); an
    eighth input is the state (batch, heads, dim, state) before, else it begins at 0. Dao and Gu, "Transformers are
    SSMs", 2024, section 7 (the recurrent form; what ``reference`` adds up token by token, kernels do in chunks).
    """

    kind: ClassVar[str] = "selective_scan"

    def infer(self, inputs: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """Types of y and of the state, which keeps its format; raises ShapeError where operands do not fit."""
        expect_inputs(self.kind, inputs, 7, 8)
        x, step, bias, decay, b, c, skip = inputs[:7]
        expect_rank(self.kind, "x", x, 4, 4)
        batch, seq, heads, dim = x.shape
        expect_rank(self.kind, "b", b, 4, 4)
        groups, state = b.shape[2:]
        expect_shape(self.kind, "the step", step, (batch, seq, heads))
        for name, each in (("the bias", bias), ("the decay", decay), ("the skip", skip)):
            expect_shape(self.kind, name, each, (heads,))
        for name, each in (("b", b), ("c", c)):
            expect_shape(self.kind, name, each, (batch, seq, groups, state))
        if heads % groups:
            raise ShapeError(f"{self.kind}: {groups} groups do not divide {heads} heads")
        if len(inputs) == 8:
            expect_shape(self.kind, "the state", inputs[7], (batch, heads, dim, state))
        kept = inputs[7].format if len(inputs) == 8 else x.format
        return TensorType(x.shape, x.format), TensorType((batch, heads, dim, state), kept)

    def lower(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> tuple[Work, ...]:
        """One Map: five operations an element of the state and token, the state read and written once."""
        y, state = outputs
        return (
            Map(
                kernel=self.kind,
                elements=y.elements,
                flop_per_element=5 * state.shape[3] + 2,
                special_per_element=0,
                bytes_in=sum(t.size_bytes for t in inputs),
                bytes_out=y.size_bytes + state.size_bytes,
                format=y.format,
                longest=max(y.shape),
                cols=y.shape[-1],
            ),
        )

    def reference(self, *arrays: Array) -> tuple[Array, ...]:
        """Values: y with the dtype of x and the state with its own, computed in float32 (float64 for float64)."""
        x, step, bias, decay, b, c, skip = (widen(a) for a in arrays[:7])
        heads, dim = x.shape[2:]
        b, c = (np.repeat(a, heads // a.shape[2], axis=2) for a in (b, c))
        kept = arrays[7] if len(arrays) == 8 else np.zeros((len(x), heads, dim, b.shape[3]), arrays[0].dtype)
        state = widen(kept)
        size = np.logaddexp(step + bias, np.asarray(0, step.dtype))
        left = np.exp(-np.exp(decay) * size)
        found = []
        for t in range(x.shape[1]):
            added = (size[:, t, :, None] * x[:, t])[..., None] * b[:, t, :, None]
            state = left[:, t, :, None, None] * state + added
            found.append((state * c[:, t, :, None]).sum(-1) + skip[:, None] * x[:, t])
        return narrow(np.stack(found, axis=1), arrays[0]), narrow(state, kept)
