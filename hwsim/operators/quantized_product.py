"""A matrix product on quantized numbers: wide sums, one rescaling, and what follows in the same kernel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar, cast

import numpy as np

from hwsim.errors import ShapeError
from hwsim.graph.operator import Array, Operator, register
from hwsim.graph.tensor import AUTO, TensorType
from hwsim.graph.work import Gemm, Work
from hwsim.operators.checks import expect_inputs
from hwsim.operators.fused import Fused
from hwsim.operators.grid import Grid
from hwsim.operators.linear import Linear
from hwsim.operators.precision import widen

__all__ = ["QuantizedProduct"]

_UNIT = Grid(scale=(1.0,))
_LAST_AXIS = ("gemm", "linear", "matmul")


class _ProductKind:
    """``quantized_product`` of the class; of a kernel, the kind of its product."""

    def __get__(self, kernel: QuantizedProduct | None, owner: type[QuantizedProduct]) -> str:
        return "quantized_product" if kernel is None else kernel.product.kind


@register
@dataclass(frozen=True, slots=True)
class QuantizedProduct:
    """epilogue(s_a s_b (sum (a - z_a)(b - z_b) + bias), ...) for numbers a and b before scaling, on a grid ``result``.

    Inputs are a, b, the bias if ``bias``, and what the epilogue reads besides the product. Sums of integers are int32
    and wrap; the bias joins them as an integer of scale s_a s_b (Jacob et al., 2018, section 2.4). Sums of FP8 are
    fp32. Without a ``result`` the values leave as floats of ``format``. ONNX calls the forms QLinearConv and
    QLinearMatMul (with a result), ConvInteger and MatMulInteger (without one, before the rescaling). Scales are
    fixed; those of b may differ by output channel.
    """

    kind: ClassVar[str] = cast("str", _ProductKind())
    product: Operator = field(default_factory=Linear)
    a: Grid = _UNIT
    b: Grid = _UNIT
    bias: bool = False
    epilogue: Fused | None = None
    result: Grid | None = None
    format: str = AUTO

    @property
    def _own(self) -> int:
        """How many inputs the product itself has."""
        return 3 if self.bias else 2

    def infer(self, inputs: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """The product's shape in the format of the result; raises ShapeError where scales do not fit."""
        more = self.epilogue.arity - 1 if self.epilogue else 0
        expect_inputs(self.kind, inputs, self._own + more)
        (y,) = self.product.infer(inputs[: self._own])
        if len(self.a.scale) != 1 or not self.b.scale or any(self.b.zero):
            raise ShapeError(
                f"{self.kind}: integers need one fixed scale on the left, fixed ones without zero points right"
            )
        if self.epilogue:
            (y,) = self.epilogue.infer((y, *inputs[self._own :]))
        return (TensorType(y.shape, self.result.stored if self.result else self.format),)

    def lower(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> tuple[Work, ...]:
        """The product's Gemm on integers; rescaling (1), epilogue and rounding (4) happen in its epilogue."""
        (y,) = outputs
        rows = [work for work in self.product.lower(inputs[: self._own], (y,)) if isinstance(work, Gemm)]
        flop = y.elements * (5 if self.result else 1)
        if self.epilogue:
            wide = TensorType(y.shape, "fp32")
            flop += sum(work.flop for work in self.epilogue.lower((wide, *inputs[self._own :]), (wide,)))
        last = replace(
            rows[-1],
            epilogue_flop=rows[-1].epilogue_flop + flop,
            epilogue_bytes=rows[-1].epilogue_bytes + sum(t.size_bytes for t in inputs[self._own :]),
            out_format=y.format,
        )
        return (*rows[:-1], last)

    def reference(self, *arrays: Array) -> tuple[Array, ...]:
        """Integers of the result's grid, or float32; sums are exact."""
        a, b = arrays[:2]
        # Sums of products of 8-bit integers are exact in float64, whose matrix product is fast.
        left = a.astype(np.float64) - (self.a.zero or (0,))[0]
        (summed,) = self.product.reference(left, b.astype(np.float64))
        channel = (-1,) if self.product.kind in _LAST_AXIS else (-1, *(1 for _ in range(summed.ndim - 2)))
        scale = self.a.scale[0] * np.asarray(self.b.scale).reshape(channel)
        bias = arrays[2].astype(np.float64).reshape(channel) / scale if self.bias else np.zeros(1)
        sums = (summed + bias).astype(np.float32)
        if self.a.is_integer and self.b.is_integer:
            sums = (summed + np.rint(bias)).astype(np.int64).astype(np.int32).astype(np.float32)
        y = sums * scale.astype(np.float32)
        if self.epilogue:
            (y,) = self.epilogue.reference(y, *arrays[self._own :])
        return (self.result.encode(widen(y))[0] if self.result else y,)
