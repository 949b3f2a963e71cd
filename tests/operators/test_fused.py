"""Fused kernels: the head's Work with an epilogue, or one Map that touches only what is outside."""

from __future__ import annotations

import numpy as np
import pytest

from hwsim.errors import ShapeError
from hwsim.graph.tensor import TensorType
from hwsim.operators.add import Add
from hwsim.operators.cast import Cast
from hwsim.operators.fused import Fused, Member
from hwsim.operators.gelu import Gelu
from hwsim.operators.linear import Linear
from hwsim.operators.mul import Mul
from hwsim.operators.relu import Relu
from hwsim.operators.split import Split

X, W, BIAS = TensorType((6, 4), "fp16"), TensorType((5, 4), "fp16", True), TensorType((5,), "fp16", True)
RESIDUAL = TensorType((6, 5), "fp16")
# relu(x W^T + bias + residual): places 0-3 are x, W, bias, residual; 4 the product, 5 the sum
RESIDUAL_LINEAR = Fused((Member(Linear(), (0, 1, 2)), Member(Add(), (4, 3)), Member(Relu(), (5,))), 4)


def test_an_epilogue_adds_its_arithmetic_and_what_it_reads() -> None:
    inputs = [X, W, BIAS, RESIDUAL]
    (alone,) = Linear().lower([X, W, BIAS], [RESIDUAL])
    (work,) = RESIDUAL_LINEAR.lower(inputs, RESIDUAL_LINEAR.infer(inputs))
    assert work.kernel == "linear"
    assert work.epilogue_flop == alone.epilogue_flop + 30 + 30
    assert work.epilogue_bytes == 10 + 60
    assert (work.macs, work.bytes_out, work.b_is_weight) == (alone.macs, alone.bytes_out, True)


def test_an_epilogue_that_casts_writes_the_new_format() -> None:
    op = Fused((Member(Linear(), (0, 1)), Member(Cast("fp32"), (2,))), 2)
    (y,) = op.infer([X, W])
    (work,) = op.lower([X, W], [y])
    assert (y.format, work.out_format, work.bytes_out) == ("fp32", "fp32", 120)


def test_a_chain_reads_outside_tensors_once_and_counts_all_arithmetic() -> None:
    """gelu(a b) + a: 1 + 4 + 1 plain operations and one erf an element; a, b in, one tensor out."""
    op = Fused((Member(Mul(), (0, 1)), Member(Gelu(), (2,)), Member(Add(), (3, 0))), 2)
    (work,) = op.lower([X, X], op.infer([X, X]))
    assert (work.kernel, work.elements) == ("elementwise", 24)
    assert (work.flop_per_element, work.special_per_element) == (6, 1)
    assert (work.bytes_in, work.bytes_out) == (96, 48)


def test_a_kernel_is_of_the_kind_of_its_first_member() -> None:
    assert RESIDUAL_LINEAR.kind == "linear"
    assert Fused.kind == "fused"


def test_the_members_give_the_values() -> None:
    generator = np.random.default_rng(1)
    x, w, bias, residual = (generator.standard_normal(t.shape) for t in (X, W, BIAS, RESIDUAL))
    expected = np.maximum(np.einsum("mk,nk->mn", x, w) + bias + residual, 0)
    assert np.allclose(RESIDUAL_LINEAR.reference(x, w, bias, residual)[0], expected)


def test_a_member_that_does_not_fit_is_refused() -> None:
    with pytest.raises(ShapeError, match="add: shapes"):
        RESIDUAL_LINEAR.infer([X, W, BIAS, X])
    with pytest.raises(ShapeError, match="split has 2 outputs"):
        Fused((Member(Split(0, (3, 3)), (0,)),), 1).infer([X])
