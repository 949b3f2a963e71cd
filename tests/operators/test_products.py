"""Matrix products: values against slow loops, Work by hand."""

from __future__ import annotations

import numpy as np
import pytest

from hwsim.errors import ShapeError
from hwsim.graph.tensor import TensorType
from hwsim.graph.work import Gemm as GemmWork
from hwsim.operators.expert_linear import ExpertLinear
from hwsim.operators.gemm import Gemm
from hwsim.operators.linear import Linear
from hwsim.operators.matmul import Matmul

RNG = np.random.default_rng(7)


def _product(a: list[list[float]], b: list[list[float]]) -> list[list[float]]:
    return [[sum(x * y for x, y in zip(row, column, strict=True)) for column in zip(*b, strict=True)] for row in a]


def test_gemm_scales_the_product_and_the_addend() -> None:
    a, b, c = (RNG.standard_normal(shape) for shape in ((3, 4), (4, 5), (1, 5)))
    expected = 2 * np.array(_product(a.tolist(), b.tolist())) - 0.5 * c
    assert np.allclose(Gemm(alpha=2.0, beta=-0.5).reference(a, b, c)[0], expected)


@pytest.mark.parametrize("transpose_a", [False, True])
@pytest.mark.parametrize("transpose_b", [False, True])
def test_gemm_takes_either_side_transposed(transpose_a: bool, transpose_b: bool) -> None:
    a, b = RNG.standard_normal((3, 4)), RNG.standard_normal((4, 5))
    op = Gemm(transpose_a=transpose_a, transpose_b=transpose_b)
    given = (a.T if transpose_a else a, b.T if transpose_b else b)
    (work,) = op.lower([TensorType(x.shape, "fp16") for x in given], [TensorType((3, 5), "fp16")])
    assert np.allclose(op.reference(*given)[0], _product(a.tolist(), b.tolist()))
    assert (work.m, work.n, work.k) == (3, 5, 4)


def test_linear_multiplies_by_the_transposed_weight_and_adds_the_bias() -> None:
    x, w, bias = (RNG.standard_normal(shape) for shape in ((2, 3, 4), (5, 4), (5,)))
    expected = [np.array(_product(part.tolist(), w.T.tolist())) + bias for part in x]
    assert np.allclose(Linear().reference(x, w, bias)[0], expected)


def test_linear_folds_leading_axes_into_m_and_adds_the_bias_in_the_epilogue() -> None:
    x, w, bias = TensorType((2, 3, 4), "fp16"), TensorType((5, 4), "int8", True), TensorType((5,), "fp16", True)
    (work,) = Linear().lower([x, w, bias], Linear().infer([x, w, bias]))
    assert (work.kernel, work.batch, work.m, work.n, work.k) == ("linear", 1, 6, 5, 4)
    assert (work.macs, work.epilogue_flop, work.epilogue_bytes) == (120, 30, 10)
    assert (work.compute_format, work.accumulator_format, work.b_is_weight) == ("fp16", "fp32", True)
    assert work.bytes_in == 24 * 2 + 20 + 10


def test_matmul_of_a_shared_right_side_is_one_tall_product() -> None:
    a, b = TensorType((8, 16, 4), "fp16"), TensorType((4, 5), "fp16")
    (work,) = Matmul().lower([a, b], Matmul().infer([a, b]))
    assert (work.batch, work.m, work.n, work.k, work.b_elements) == (1, 128, 5, 4, 20)


def test_matmul_of_a_right_side_per_batch_is_batched() -> None:
    a, b = TensorType((2, 3, 16, 4), "fp16"), TensorType((2, 1, 4, 5), "fp16")
    (work,) = Matmul().lower([a, b], Matmul().infer([a, b]))
    assert (work.batch, work.m, work.macs, work.b_elements) == (6, 16, 6 * 16 * 5 * 4, 40)


def test_integers_are_summed_in_int32() -> None:
    a = np.full((1, 1000), 100, np.int8)
    (y,) = Matmul().reference(a, a.T)
    assert (y.dtype, y.item()) == (np.int32, 10_000_000)


def test_half_precision_is_summed_in_float32() -> None:
    """1 + 4096 x 2^-12: in float16 each addend would vanish beside 1 (spacing 2^-10), and the sum stay 1."""
    a = np.full((1, 4097), 2.0**-12, np.float16)
    a[0, 0] = 1
    (y,) = Matmul().reference(a, np.ones((4097, 1), np.float16))
    assert (y.dtype, y.item()) == (np.float16, 2.0)


@pytest.mark.parametrize(
    ("op", "shapes", "message"),
    [
        (Matmul(), [(2, 3), (4, 5)], "k is 3 on the left, 4 on the right"),
        (Matmul(), [(2, 3, 4), (3, 4, 5)], "batch axes do not broadcast"),
        (Matmul(), [(3,), (3, 4)], "two axes or more"),
        (Gemm(), [(2, 3), (4, 5)], "k is 3 on the left, 4 on the right"),
        (Gemm(), [(2, 3), (3, 5), (4,)], "do not broadcast"),
        (Gemm(), [(2, 3), (3, 5), (7, 2, 5)], "must broadcast to"),
        (Linear(), [(2, 3), (5, 4)], r"the weight \(n, k\) is \[5, 4\]"),
        (Linear(), [(2, 4), (5, 4), (4,)], r"the bias must have shape \[5\]"),
    ],
)
def test_sizes_that_do_not_fit_are_named(
    op: Matmul | Gemm | Linear, shapes: list[tuple[int, ...]], message: str
) -> None:
    with pytest.raises(ShapeError, match=message):
        op.infer([TensorType(shape) for shape in shapes])


def test_experts_compute_what_each_token_chose() -> None:
    generator = np.random.default_rng(0)
    x, w = generator.standard_normal((5, 2, 4)), generator.standard_normal((3, 6, 4))
    ids = np.array([[0, 1], [2, 0], [1, 2], [2, 2], [0, 0]])
    (found,) = ExpertLinear().reference(x, ids, w)
    for token in range(5):
        for place in range(2):
            assert np.allclose(found[token, place], w[ids[token, place]] @ x[token, place])


def test_few_tokens_read_the_weights_of_few_experts() -> None:
    """16 tokens choose 8 of 128 experts each: 82 are chosen on average, so 82 matrices are read, with 2 rows each."""
    x, ids = TensorType((16, 8, 64), "bf16"), TensorType((16, 8), "int64")
    w = TensorType((128, 32, 64), "bf16", weight=True)
    op = ExpertLinear()
    (work,) = op.lower((x, ids, w), op.infer((x, ids, w)))
    assert isinstance(work, GemmWork)
    assert (work.batch, work.m, work.n, work.k) == (82, 2, 32, 64)
    assert work.b_elements == 82 * 32 * 64
    assert work.b_is_weight
