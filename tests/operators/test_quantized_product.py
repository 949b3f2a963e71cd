"""Products on integers: values by hand, sums that do not lose a bit, agreement with floats, work on 8-bit units."""

from __future__ import annotations

import numpy as np
import pytest

from hwsim.errors import ShapeError
from hwsim.graph.tensor import TensorType
from hwsim.operators.conv2d import Conv2d
from hwsim.operators.dequantize_linear import DequantizeLinear
from hwsim.operators.fake_quantize import FakeQuantize
from hwsim.operators.fused import Fused, Member
from hwsim.operators.grid import Grid
from hwsim.operators.linear import Linear
from hwsim.operators.matmul import Matmul
from hwsim.operators.quantize_linear import QuantizeLinear
from hwsim.operators.quantized_product import QuantizedProduct
from hwsim.operators.relu import Relu

HALF, TENTH = Grid(scale=(0.5,), zero=(2,), symmetric=False), Grid(scale=(0.1,))


def test_a_product_by_hand() -> None:
    """(3 - 2) 4 + (0 - 2) 10 = -16, bias 0.5 / (0.5 x 0.1) = 10: -6 x 0.05 = -0.3."""
    op = QuantizedProduct(Linear(), HALF, TENTH, bias=True)
    (y,) = op.reference(np.array([[3, 0]], np.int8), np.array([[4, 10]], np.int8), np.array([0.5]))
    assert y == pytest.approx(-0.3)


def test_a_result_on_a_grid_is_rounded_and_saturated() -> None:
    """50 and 5000 times 0.05 on steps of 2: 2.5 / 2 = 1.25 rounds to 1, 250 / 2 = 125 + 7 saturates at 127."""
    op = QuantizedProduct(Matmul(), Grid(scale=(0.5,)), TENTH, result=Grid(scale=(2.0,), zero=(7,), symmetric=False))
    (y,) = op.reference(np.array([[5], [100]], np.int8), np.array([[10, 50]], np.int8))
    assert y.tolist() == [[8, 13], [32, 127]]
    assert y.dtype == np.int8


def test_channels_have_scales_of_their_own_and_padding_is_the_zero_point() -> None:
    """A 1x1 image of 3 (value 0.5) under a 3x3 window of ones: only the middle counts, whatever the zero point."""
    weights = Grid(scale=(1.0, 10.0), axis=0)
    op = QuantizedProduct(Conv2d(padding=(1, 1)), HALF, weights)
    (y,) = op.reference(np.full((1, 1, 1, 1), 3, np.int8), np.ones((2, 1, 3, 3), np.int8))
    assert y.reshape(-1).tolist() == [0.5, 5.0]


def test_integer_sums_are_exact_where_float32_is_not() -> None:
    """4,096 products of 127 x 127 need 27 bits; as many with the other sign leave the 1 between them."""
    half = np.full(4096, 127, np.int8)
    a, b = np.concatenate([half, [1], half]), np.concatenate([half, [1], -half])
    op = QuantizedProduct(Matmul(), Grid(scale=(1.0,)), Grid(scale=(1.0,)))
    assert op.reference(a[None], b[:, None])[0] == 1


def test_it_agrees_with_dequantized_floats() -> None:
    generator = np.random.default_rng(1)
    x, w = generator.standard_normal((3, 8, 6, 6)), generator.standard_normal((5, 8, 3, 3))
    bias = generator.standard_normal(5)
    a = Grid(symmetric=False).fixed([x.min()], [x.max()])
    flat = w.reshape(5, -1)
    b = Grid(axis=0).fixed(flat.min(axis=1), flat.max(axis=1))
    op = QuantizedProduct(Conv2d(), a, b, bias=True, epilogue=Fused((Member(Relu(), (0,)),), 1))
    (found,) = op.reference(QuantizeLinear(a).reference(x)[0], QuantizeLinear(b).reference(w)[0], bias)
    (y,) = Conv2d().reference(a.rounded(x), b.rounded(w), bias)
    assert np.allclose(found, np.maximum(y, 0), atol=max(b.scale) * a.scale[0])


def test_quantizing_and_back_is_fake_quantizing() -> None:
    x = np.random.default_rng(2).standard_normal((4, 9)).astype(np.float32)
    for grid in (Grid().fixed([-2], [2]), Grid(format="fp8").fixed([-3], [3]), Grid(symmetric=False).fixed([-1], [3])):
        (q,) = QuantizeLinear(grid).reference(x)
        assert np.array_equal(DequantizeLinear(grid).reference(q)[0], FakeQuantize(grid).reference(x)[0])


def test_work_runs_on_integer_units_and_rescales_behind_them() -> None:
    op = QuantizedProduct(Linear(), HALF, TENTH, result=TENTH)
    types = [TensorType((4, 16), "int8"), TensorType((8, 16), "int8", weight=True)]
    (work,) = op.lower(types, op.infer(types))
    assert (work.compute_format, work.accumulator_format, work.out_format) == ("int8", "int32", "int8")
    assert (work.macs, work.epilogue_flop, work.bytes_out) == (512, 5 * 32, 32)
    assert op.kind == work.kernel == "linear"


def test_a_weight_is_rounded_when_the_model_is_prepared() -> None:
    weight, activation = TensorType((8, 8), "int8", weight=True), TensorType((8, 8), "fp16")
    for op in (QuantizeLinear(TENTH), FakeQuantize()):
        assert op.lower((weight,), op.infer((weight,))) == ()
        assert op.infer((weight,))[0].weight
        assert len(op.lower((activation,), op.infer((activation,)))) == 1


def test_scales_must_be_fixed_and_weights_without_zero_points() -> None:
    types = [TensorType((4, 16), "int8"), TensorType((8, 16), "int8")]
    for a, b in ((Grid(), TENTH), (TENTH, HALF), (TENTH, Grid())):
        with pytest.raises(ShapeError, match="fixed"):
            QuantizedProduct(Linear(), a, b).infer(types)
    for op in (QuantizeLinear(Grid()), DequantizeLinear(Grid())):
        with pytest.raises(ShapeError, match="fixed scales"):
            op.infer(types[:1])
