"""Rules of quantized operators: each is written as Q and DQ nodes around the float one.

``fuse_quantized`` makes products on integers of them again; both forms of a file, QDQ and QLinear, become the same
graph. Where data decide scales, and for products of plain integers, the arithmetic is written out in floats.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from hwsim.errors import InputError
from hwsim.graph.operator import Array
from hwsim.operators.add import Add
from hwsim.operators.cast import Cast
from hwsim.operators.checks import axis_of
from hwsim.operators.clip import Clip
from hwsim.operators.dequantize_linear import DequantizeLinear
from hwsim.operators.div import Div
from hwsim.operators.formats import FLOATS as NARROW
from hwsim.operators.formats import INTEGERS
from hwsim.operators.grid import Grid
from hwsim.operators.mul import Mul
from hwsim.operators.quantize_linear import QuantizeLinear
from hwsim.operators.rounding import Rounding
from hwsim.operators.sub import Sub
from hwsim.workloads.onnx.elements import format_of
from hwsim.workloads.onnx.rules.elementwise import reshaped
from hwsim.workloads.onnx.rules.products import convolution, matrix_product
from hwsim.workloads.onnx.rules.registry import rule
from hwsim.workloads.onnx.use import Use
from hwsim.workloads.onnx.value import Value

__all__: list[str] = []

_SHIFT = 128
"""An unsigned byte whose zero point this is holds what a signed one without zero point does."""


def _grid(use: Use, fmt: str, scale: Value, zero: Value | None, axis: int | None) -> Grid | None:
    """The grid of constant scales and zero points, or None for others."""
    scales = use.importer.array(scale)
    zeros = None if zero is None else use.importer.array(zero)
    if scales is None or (zero is not None and zeros is None) or (fmt not in INTEGERS and fmt not in NARROW):
        return None
    if not np.all((scales > 0) & np.isfinite(scales)):
        raise InputError(f"scales must be numbers above 0, not {scales.ravel()[:4].tolist()}")
    many = scales.size > 1
    return Grid(
        format=fmt,
        symmetric=False,
        axis=axis if many else None,
        scale=tuple(float(s) for s in scales.ravel()),
        zero=() if zeros is None or fmt in NARROW else tuple(int(z) for z in zeros.ravel()),
    )


def _axis(use: Use, x: Value, scale: Value) -> int | None:
    """The axis along which scales vary; raises UnsupportedError for blocks."""
    if use.whole("block_size") or len(scale.shape) > 1:
        raise use.refuse("in blocks")
    if scale.elements == 1:
        return None
    axis = axis_of("quantization", use.whole("axis", 1), len(x.shape))
    if x.shape[axis] != scale.elements:
        raise InputError(f"{scale.elements} scales for axis {axis} of x {list(x.shape)}")
    return axis


def _across(use: Use, value: Value, x: Value, axis: int | None) -> Value:
    """Scales or zero points in a shape that broadcasts to x."""
    if axis is None:
        return reshaped(use, value, ())
    return reshaped(use, value, tuple(value.elements if i == axis else 1 for i in range(len(x.shape))))


def quantized(use: Use, x: Value, scale: Value, zero: Value | None, fmt: str, axis: int | None) -> Value:
    """Numbers of ``fmt`` for the values x."""
    grid = _grid(use, fmt, scale, zero, axis)
    if grid is not None:
        return use.add(QuantizeLinear(grid), x)
    limits = INTEGERS.get(fmt)
    if limits is None:
        raise use.refuse(f"to {fmt}")
    y = use.add(Rounding("nearest"), use.add(Div(), x, _across(use, scale, x, axis)))
    if zero is not None:
        y = use.add(Add(), y, use.add(Cast(use.graph_format(x.format), truncate=True), _across(use, zero, x, axis)))
    return use.add(Cast(fmt, truncate=True), use.add(Clip(limits.low, limits.high), y))


def dequantized(use: Use, q: Value, scale: Value, zero: Value | None, axis: int | None) -> Value:
    """Values of the numbers q; a stored weight stays in its narrow format."""
    grid = _grid(use, q.format, scale, zero, axis)
    floats = use.graph_format(scale.format)
    if grid is not None:
        q, grid = _signed(q, grid)
        return use.add_all(DequantizeLinear(grid, floats), q, foldable=not q.weight)[0]
    y = use.add(Cast(floats, truncate=True), q)
    if zero is not None:
        y = use.add(Sub(), y, use.add(Cast(floats, truncate=True), _across(use, zero, q, axis)))
    return use.add(Mul(), y, _across(use, scale, q, axis))


def _signed(x: Value, grid: Grid) -> tuple[Value, Grid]:
    """Unsigned constants around 128 as signed ones around 0, which products can take without a zero point."""
    make = x.make
    if not x.constant or make is None or grid.format != "uint8" or set(grid.zero) != {_SHIFT}:
        return x, grid

    def shifted() -> Array:
        return (make().astype(np.int16) - _SHIFT).astype(np.int8)

    return replace(x, format="int8", make=shifted), replace(grid, format="int8", zero=(), symmetric=True)


def _optional(use: Use, index: int) -> Value | None:
    return use.at(index) if use.has(index) else None


@rule("QuantizeLinear")
def _quantize(use: Use) -> Value:
    x, scale, zero = use.at(0), use.at(1), _optional(use, 2)
    told = use.whole("output_dtype")
    fmt = zero.format if zero is not None else format_of(told, "the result") if told else "uint8"
    use.only("saturate", 1)
    return quantized(use, x, scale, zero, fmt, _axis(use, x, scale))


@rule("DequantizeLinear")
def _dequantize(use: Use) -> Value:
    q, scale, zero = use.at(0), use.at(1), _optional(use, 2)
    return dequantized(use, q, scale, zero, _axis(use, q, scale))


@rule("DynamicQuantizeLinear")
def _dynamic(use: Use) -> list[Value]:
    from hwsim.operators.extreme import Extreme
    from hwsim.operators.reduce import ReduceAxes

    x = use.at(0)
    axes = tuple(range(len(x.shape)))
    high = use.add(Extreme(0.0, "max"), use.add(ReduceAxes("max", axes), x))
    low = use.add(Extreme(0.0, "min"), use.add(ReduceAxes("min", axes), x))
    scale = use.add(Div(255.0), use.add(Sub(), high, low))
    zero = use.add(Rounding("nearest"), use.add(Div(), use.add(Mul(-1.0), low), scale))
    whole = use.add(Cast("uint8", truncate=True), use.add(Clip(0.0, 255.0), zero))
    return [quantized(use, x, scale, whole, "uint8", None), scale, whole]


@rule("QLinearMatMul")
def _qlinear_matmul(use: Use) -> Value:
    a, a_scale, a_zero, b, b_scale, b_zero, y_scale, y_zero = (use.at(i) for i in range(8))
    left = dequantized(use, a, a_scale, a_zero, _line(use, a, a_scale, -2))
    right = dequantized(use, b, b_scale, b_zero, _line(use, b, b_scale, -1))
    y = matrix_product(use, left, right)
    return quantized(use, y, y_scale, y_zero, y_zero.format, _line(use, y, y_scale, -1))


def _line(use: Use, x: Value, scale: Value, axis: int) -> int | None:
    """The axis of a matrix along which scales vary; raises UnsupportedError for scales that do not fit it."""
    if scale.elements == 1:
        return None
    if len(scale.shape) != 1 or len(x.shape) < 2 or x.shape[axis] != scale.elements:
        raise use.refuse(f"scales of shape {list(scale.shape)}")
    return axis % len(x.shape)


@rule("QLinearConv")
def _qlinear_conv(use: Use) -> Value:
    x, x_scale, x_zero, w, w_scale, w_zero, y_scale, y_zero = (use.at(i) for i in range(8))
    axis = None if w_scale.elements == 1 else 0
    left = dequantized(use, x, x_scale, x_zero, None)
    right = dequantized(use, w, w_scale, w_zero, axis)
    bias: Sequence[Value] = ()
    if use.has(8):  # of scale x_scale w_scale, without a zero point
        floats = use.add(Cast(use.graph_format(x_scale.format), truncate=True), use.at(8))
        factor = use.add(Mul(), reshaped(use, x_scale, ()), reshaped(use, w_scale, (w_scale.elements,)))
        bias = (use.add(Mul(), floats, factor),)
    return quantized(use, convolution(use, left, right, *bias), y_scale, y_zero, y_zero.format, None)


@rule("MatMulInteger")
def _matmul_integer(use: Use) -> Value:
    left, right = _shifted(use, 0, 2, -1), _shifted(use, 1, 3, -2)
    return use.add(Cast("int32"), matrix_product(use, left, right))


@rule("ConvInteger")
def _conv_integer(use: Use) -> Value:
    return use.add(Cast("int32"), convolution(use, _shifted(use, 0, 2, None), _shifted(use, 1, 3, None)))


def _shifted(use: Use, index: int, zero: int, axis: int | None) -> Value:
    """An operand without its zero point, as numbers that a matrix unit multiplies; ``axis`` may have several zeros."""
    q, offset = use.at(index), _optional(use, zero)
    if offset is None or offset.elements == 1:
        return dequantized(use, q, use.constant(1.0, "fp32"), offset, None)
    if axis is None or q.shape[axis] != offset.elements:
        raise use.refuse("with several zero points")
    wide = Cast(use.graph_format("fp32"), truncate=True)
    shape = tuple(offset.elements if i == axis % len(q.shape) else 1 for i in range(len(q.shape)))
    return use.add(Sub(), use.add(wide, q), reshaped(use, use.add(wide, offset), shape))
