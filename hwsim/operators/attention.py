"""Scaled dot-product attention as one fused kernel: multi-head, grouped-query, causal, cross."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from hwsim.errors import ShapeError
from hwsim.graph.operator import Array, register
from hwsim.graph.tensor import TensorType
from hwsim.graph.work import Attention as AttentionWork
from hwsim.graph.work import Work
from hwsim.operators.checks import expect_inputs, expect_rank, expect_shape
from hwsim.operators.precision import narrow, widen

__all__ = ["Attention", "causal_mask"]


def causal_mask(seq_q: int, seq_kv: int) -> Array:
    """True where query i may look: keys up to i + seq_kv - seq_q, so the last query sees all; (seq_q, seq_kv).

    >>> causal_mask(2, 3).astype(int).tolist()
    [[1, 1, 0], [1, 1, 1]]
    """
    return np.tri(seq_q, seq_kv, seq_kv - seq_q, dtype=np.bool_)


@register
@dataclass(frozen=True, slots=True)
class Attention:
    """softmax(q k^T / sqrt(dim) + bias) v for q (batch, heads, seq_q, dim), k and v (batch, kv_heads, seq_kv, dim).

    A fourth input is the bias, which broadcasts to (batch, heads, seq_q, seq_kv).
    ``kv_heads`` divides ``heads`` (grouped queries: Ainslie et al., 2023). ``causal`` is aligned to the
    end: with a cache, the last query sees every key. Never stores the scores (Dao et al., FlashAttention, 2022).
    ``head_by_head``: exported so that each head is operators of its own, each of which reads the keys and values of
    its group anew (:mod:`hwsim.passes.heads_apart`).
    """

    kind: ClassVar[str] = "attention"
    kernels: ClassVar[tuple[str, ...]] = ("attention_prefill", "attention_decode")
    causal: bool = False
    head_by_head: bool = False

    def infer(self, inputs: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """Shape and format of q; raises ShapeError when k, v or the bias do not fit it."""
        expect_inputs(self.kind, inputs, 3, 4)
        q, k, v = inputs[:3]
        expect_rank(self.kind, "q", q, 4, 4)
        expect_rank(self.kind, "k", k, 4, 4)
        expect_shape(self.kind, "v", v, k.shape)
        batch, heads, seq_q, dim = q.shape
        if k.shape[0] != batch or k.shape[3] != dim or heads % k.shape[1]:
            raise ShapeError(
                f"attention: q is (batch, heads, seq_q, dim) = {list(q.shape)}, so k must be ({batch}, a divisor of "
                f"{heads}, seq_kv, {dim}), not {list(k.shape)}"
            )
        if self.causal and seq_q > k.shape[2]:
            raise ShapeError(f"attention: {seq_q} causal queries on {k.shape[2]} keys; the first would see none")
        scores = (batch, heads, seq_q, k.shape[2])
        for bias in inputs[3:]:
            fits = len(bias.shape) == 4 and all(d in (1, s) for d, s in zip(bias.shape, scores, strict=True))
            if not fits:
                raise ShapeError(f"attention: the bias must broadcast to {list(scores)}, not be {list(bias.shape)}")
        return (TensorType(q.shape, q.format),)

    def lower(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> tuple[Work, ...]:
        """One fused Attention, labelled ``attention_decode`` for a single query, else ``attention_prefill``."""
        q, k = inputs[:2]
        batch, heads, seq_q, dim = q.shape
        return (
            AttentionWork(
                kernel="attention_decode" if seq_q == 1 else "attention_prefill",
                batch=batch,
                heads=heads,
                kv_heads=heads if self.head_by_head else k.shape[1],
                seq_q=seq_q,
                seq_kv=k.shape[2],
                head_dim=dim,
                causal=self.causal,
                format=q.format,
                kv_format=k.format,
                out_format=outputs[0].format,
                bias_bytes=sum(bias.size_bytes for bias in inputs[3:]),
            ),
        )

    def reference(self, *arrays: Array) -> tuple[Array, ...]:
        """Values with the dtype of q, computed in float32 (float64 for float64)."""
        q, k, v = (widen(a) for a in arrays[:3])
        batch, heads, seq_q, dim = q.shape
        kv_heads, seq_kv = k.shape[1:3]
        grouped = q.reshape(batch, kv_heads, heads // kv_heads, seq_q, dim)
        scores = np.matmul(grouped, np.swapaxes(k, -1, -2)[:, :, None]) / np.asarray(math.sqrt(dim), q.dtype)
        for bias in arrays[3:]:
            whole = np.broadcast_to(widen(bias), (batch, heads, seq_q, seq_kv))
            scores = scores + whole.reshape(scores.shape)
        if self.causal:
            scores = np.where(causal_mask(seq_q, seq_kv), scores, -np.inf)
        weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
        weights /= weights.sum(axis=-1, keepdims=True)
        y = np.matmul(weights, v[:, :, None]).reshape(batch, heads, seq_q, dim)
        return (narrow(y, arrays[0]),)
