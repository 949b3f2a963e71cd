"""Gradients of fused attention."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from hwsim.graph.operator import Array, register
from hwsim.graph.tensor import TensorType
from hwsim.graph.work import Attention as AttentionWork
from hwsim.graph.work import Work
from hwsim.operators.attention import Attention, causal_mask
from hwsim.operators.checks import expect_inputs, expect_shape
from hwsim.operators.precision import narrow, widen

__all__ = ["AttentionGrad"]


@register
@dataclass(frozen=True, slots=True)
class AttentionGrad:
    """(dq, dk, dv) for inputs (dy, q, k, v); the scores are computed again, never stored.

    Source: T. Dao, FlashAttention-2, 2023, algorithm 2: five products where the forward kernel has two.
    """

    kind: ClassVar[str] = "attention_grad"
    causal: bool = False

    def infer(self, inputs: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """Types of q, k and v; raises ShapeError unless they fit each other and dy has the shape of q."""
        expect_inputs(self.kind, inputs, 4)
        dy, *operands = inputs
        (y,) = Attention(self.causal).infer(operands)
        expect_shape(self.kind, "dy", dy, y.shape)
        return tuple(TensorType(t.shape, t.format) for t in operands)

    def lower(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> tuple[Work, ...]:
        """One Attention of 2.5 times the head's width: five products instead of two over the same scores."""
        _, q, k, _ = inputs
        batch, heads, seq_q, dim = q.shape
        return (
            AttentionWork(
                kernel=self.kind,
                batch=batch,
                heads=heads,
                kv_heads=k.shape[1],
                seq_q=seq_q,
                seq_kv=k.shape[2],
                head_dim=math.ceil(2.5 * dim),
                causal=self.causal,
                format=q.format,
                kv_format=k.format,
                out_format=outputs[0].format,
            ),
        )

    def reference(self, *arrays: Array) -> tuple[Array, ...]:
        """Values with the dtypes of q, k and v, computed in float32 (float64 for float64)."""
        dy, q, k, v = (widen(a) for a in arrays)
        batch, heads, seq_q, dim = q.shape
        kv_heads, seq_kv = k.shape[1:3]
        scale = np.asarray(1 / math.sqrt(dim), q.dtype)
        q5, dy5 = (a.reshape(batch, kv_heads, heads // kv_heads, seq_q, dim) for a in (q, dy))
        k5, v5 = k[:, :, None], v[:, :, None]
        scores = np.matmul(q5, np.swapaxes(k5, -1, -2)) * scale
        if self.causal:
            scores = np.where(causal_mask(seq_q, seq_kv), scores, -np.inf)
        p = np.exp(scores - scores.max(axis=-1, keepdims=True))
        p /= p.sum(axis=-1, keepdims=True)
        dv = np.matmul(np.swapaxes(p, -1, -2), dy5).sum(axis=2)
        dp = np.matmul(dy5, np.swapaxes(v5, -1, -2))
        ds = p * (dp - (dp * p).sum(axis=-1, keepdims=True)) * scale
        dq = np.matmul(ds, k5).reshape(q.shape)
        dk = np.matmul(np.swapaxes(ds, -1, -2), q5).sum(axis=2)
        return tuple(narrow(value, like) for value, like in zip((dq, dk, dv), arrays[1:], strict=True))
