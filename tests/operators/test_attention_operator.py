"""Attention: values against a loop over queries, Work by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from hwsim.errors import ShapeError
from hwsim.graph.tensor import TensorType
from hwsim.operators.attention import Attention
from hwsim.operators.causal_mask import CausalMask

RNG = np.random.default_rng(11)


def _one_query_at_a_time(q, k, v, causal: bool):
    batch, heads, seq_q, dim = q.shape
    kv_heads, seq_kv = k.shape[1:3]
    y = np.zeros(q.shape)
    for b, h, i in np.ndindex(batch, heads, seq_q):
        group = h // (heads // kv_heads)
        seen = seq_kv - seq_q + i + 1 if causal else seq_kv
        scores = [float(q[b, h, i] @ k[b, group, j]) / math.sqrt(dim) for j in range(seen)]
        weights = [math.exp(s) for s in scores]
        y[b, h, i] = sum(w * v[b, group, j] for j, w in enumerate(weights)) / sum(weights)
    return y


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize(("heads", "kv_heads"), [(4, 4), (4, 2), (4, 1)])
@pytest.mark.parametrize(("seq_q", "seq_kv"), [(5, 5), (1, 6), (3, 7)])
def test_attention_weighs_values_query_by_query(causal, heads, kv_heads, seq_q, seq_kv) -> None:
    q = RNG.standard_normal((2, heads, seq_q, 8))
    k, v = RNG.standard_normal((2, 2, kv_heads, seq_kv, 8))
    assert np.allclose(Attention(causal).reference(q, k, v)[0], _one_query_at_a_time(q, k, v, causal))


def test_large_scores_do_not_overflow() -> None:
    q = np.full((1, 1, 1, 4), 200.0, np.float32)
    k = np.concatenate([q, -q], axis=2)
    assert np.allclose(Attention().reference(q, k, k)[0], q)


def test_the_kernel_is_named_by_its_number_of_queries() -> None:
    cache = TensorType((1, 8, 100, 64), "fp16")
    one, many = TensorType((1, 32, 1, 64), "fp16"), TensorType((1, 32, 2, 64), "fp16")
    (decode,) = Attention(causal=True).lower([one, cache, cache], [one])
    (prefill,) = Attention(causal=True).lower([many, cache, cache], [many])
    assert (decode.kernel, prefill.kernel) == ("attention_decode", "attention_prefill")
    assert (decode.heads, decode.kv_heads, decode.seq_q, decode.seq_kv, decode.head_dim) == (32, 8, 1, 100, 64)
    assert decode.macs == 2 * 32 * 100 * 64
    assert decode.bytes_in == 2 * (32 * 64 + 2 * 8 * 100 * 64)


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        ([(1, 4, 3, 8), (1, 3, 5, 8), (1, 3, 5, 8)], "a divisor of 4"),
        ([(1, 4, 3, 8), (1, 4, 5, 6), (1, 4, 5, 6)], "so k must be"),
        ([(1, 4, 3, 8), (1, 4, 5, 8), (1, 4, 6, 8)], "v must have shape"),
        ([(1, 4, 6, 8), (1, 4, 5, 8), (1, 4, 5, 8)], "the first would see none"),
        ([(4, 3, 8), (1, 4, 5, 8), (1, 4, 5, 8)], "q must have 4 axes"),
    ],
)
def test_keys_and_values_that_do_not_fit_the_queries_are_named(shapes, message) -> None:
    with pytest.raises(ShapeError, match=message):
        Attention(causal=True).infer([TensorType(shape) for shape in shapes])


def test_a_causal_mask_hides_what_lies_ahead_of_a_query() -> None:
    (y,) = CausalMask().reference(np.zeros((1, 2, 3), np.float32))
    assert y.tolist() == [[[0, 0, -math.inf], [0, 0, 0]]]
    with pytest.raises(ShapeError, match="see none"):
        CausalMask().infer([TensorType((3, 2))])


def test_scores_that_a_causal_mask_hides_are_no_useful_work() -> None:
    """Three queries on five keys see 3, 4 and 5 of them: 12 of 15 scores, each 4 x 8 + 5 operations."""
    q, kv = TensorType((1, 2, 3, 8), "fp16"), TensorType((1, 2, 5, 8), "fp16")
    (full,), (masked,) = (Attention(causal=causal).lower([q, kv, kv], [q]) for causal in (False, True))
    assert (full.flop, masked.flop) == (2 * 15 * 37, 2 * 12 * 37)
    assert full.macs == masked.macs


def test_a_bias_shifts_the_scores_before_the_softmax() -> None:
    """A bias of log 3 on one of two equal keys gives it three quarters of the weight."""
    q, k = np.zeros((1, 1, 1, 2)), np.zeros((1, 1, 2, 2))
    v = np.array([[[[1.0, 0.0], [0.0, 1.0]]]])
    bias = np.log(np.array([[[[3.0, 1.0]]]]))
    assert np.allclose(Attention().reference(q, k, v, bias)[0], [[[[0.75, 0.25]]]])


def test_the_bytes_of_a_bias_are_read_and_its_shape_must_broadcast_to_the_scores() -> None:
    q, bias = TensorType((2, 4, 8, 16), "fp16"), TensorType((1, 4, 8, 8), "fp16")
    (plain,), (biased,) = (Attention().lower(inputs, (q,)) for inputs in ((q, q, q), (q, q, q, bias)))
    assert biased.bytes_in - plain.bytes_in == 4 * 8 * 8 * 2
    with pytest.raises(ShapeError, match=r"the bias must broadcast to \[2, 4, 8, 8\], not be \[4, 8, 8\]"):
        Attention().infer((q, q, q, TensorType((4, 8, 8), "fp16")))
