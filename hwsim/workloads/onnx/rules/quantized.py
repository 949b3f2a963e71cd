"""Rules of quantized operators: each is written as Q and DQ nodes around the float one.

``fuse_quantized`` makes products on integers of them again; both forms of a file, QDQ and QLinear, become the same
graph.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from hwsim.errors import InputError
from hwsim.graph.operator import Array, Operator
from hwsim.operators.dequantize_linear import DequantizeLinear
from hwsim.operators.grid import Grid
from hwsim.operators.quantize_linear import QuantizeLinear
from hwsim.workloads.onnx.rules.products import convolution, matrix_product
from hwsim.workloads.onnx.rules.registry import rule
from hwsim.workloads.onnx.use import Use
from hwsim.workloads.onnx.value import Value, constant

__all__: list[str] = []

_SHIFT = 128
"""An unsigned byte whose zero point this is holds what a signed one without zero point does."""


def _grid(use: Use, fmt: str, scale: int, zero: int, rank: int, axis: int) -> Grid:
    """The grid of numbers of a format whose scale and zero point are those inputs."""
    scales = use.known(scale).astype(np.float64).ravel()
    zeros = use.known(zero).astype(np.int64).ravel() if use.has(zero) and "int" in fmt else np.zeros(len(scales))
    if len(zeros) != len(scales):
        raise InputError(f"{len(scales)} scales and {len(zeros)} zero points; there must be as many")
    if not -rank <= axis < max(rank, 1) and len(scales) > 1:
        raise InputError(f"axis {axis} of a tensor with {rank} axes")
    return Grid(
        format=fmt,
        symmetric=not zeros.any(),
        axis=axis % rank if len(scales) > 1 else None,
        scale=tuple(scales.tolist()),
        zero=tuple(int(z) for z in zeros) if zeros.any() else (),
    )


def _node(use: Use, op: Operator, x: Value) -> Value:
    """The operator on a value; matrices that are constant stay in the format they are stored in."""
    if not x.constant or len(x.shape) < 2:
        return use.add(op, x)
    made = use.importer.builder.add_all(op, use.importer.tensor(x, "weight"), name=use.name)[0]
    return Value(shape=made.shape, format=use.importer.main, tensor=made)


def _dequantized(use: Use, index: int, axis: int = 0, fmt: str = "") -> Value:
    """The floats behind input ``index``, whose scale and zero point are the next two."""
    x = use.at(index)
    grid = _grid(use, x.format, index + 1, index + 2, len(x.shape), axis)
    x, grid = _signed(x, grid)
    return _node(use, DequantizeLinear(grid, use.graph_format(fmt or use.at(index + 1).format)), x)


def _signed(x: Value, grid: Grid) -> tuple[Value, Grid]:
    """Unsigned constants around 128 as signed ones around 0, which products can take without a zero point."""
    make = x.make
    if not x.constant or make is None or grid.format != "uint8" or set(grid.zero) != {_SHIFT}:
        return x, grid

    def shifted() -> Array:
        return (make().astype(np.int16) - _SHIFT).astype(np.int8)

    return replace(x, format="int8", make=shifted), replace(grid, format="int8", zero=(), symmetric=True)


@rule("QuantizeLinear")
def _quantize_linear(use: Use) -> Value:
    use.only("block_size", 0)
    x = use.at(0)
    fmt = use.at(2).format if use.has(2) else "uint8"
    return use.add(QuantizeLinear(_grid(use, fmt, 1, 2, len(x.shape), use.whole("axis", 1))), x)


@rule("DequantizeLinear")
def _dequantize_linear(use: Use) -> Value:
    use.only("block_size", 0)
    if use.at(0).format == "int32":
        return _bias(use, use.at(0), use.known(1).astype(np.float32))
    return _dequantized(use, 0, use.whole("axis", 1))


def _bias(use: Use, x: Value, scale: Array) -> Value:
    """A constant int32 bias times its scale."""
    if x.make is None:
        raise use.refuse("int32 values that are not constant")
    return constant(x.make().astype(np.float32) * scale, use.importer.main)


@rule("QLinearConv")
def _qlinear_conv(use: Use) -> Value:
    inputs = [_dequantized(use, 0), _dequantized(use, 3)]
    if use.has(8):
        scale = use.known(1).astype(np.float64).ravel() * use.known(4).astype(np.float64).ravel()
        inputs.append(_bias(use, use.at(8), scale.astype(np.float32)))
    y = convolution(use, *inputs)
    return use.add(QuantizeLinear(_grid(use, use.at(7).format, 6, 7, len(y.shape), 1)), y)


@rule("QLinearMatMul")
def _qlinear_matmul(use: Use) -> Value:
    y = matrix_product(use, _dequantized(use, 0, -2), _dequantized(use, 3, -1))
    return use.add(QuantizeLinear(_grid(use, use.at(7).format, 6, 7, len(y.shape), -1)), y)
