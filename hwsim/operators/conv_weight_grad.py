"""Gradient of a convolution by its filters."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from hwsim.errors import ShapeError
from hwsim.graph.operator import Array, register
from hwsim.graph.tensor import TensorType
from hwsim.graph.work import Gemm, Work
from hwsim.operators.checks import expect_inputs
from hwsim.operators.conv1d import Conv1d
from hwsim.operators.conv2d import Conv2d
from hwsim.operators.conv3d import Conv3d
from hwsim.operators.precision import accumulator, multiply_format
from hwsim.operators.products import finish, matrix_operand

__all__ = ["ConvWeightGrad"]


@register
@dataclass(frozen=True, slots=True)
class ConvWeightGrad:
    """dw[o, c, tap] = sum of dy[n, o, p] x[n, c, place of p and tap] for inputs (dy, x); ``kernel`` is the window.

    Its Work carries the label of the convolution: the same implicit product with other operands
    (S. Chetlur et al., cuDNN, 2014, section 3).
    """

    kind: ClassVar[str] = "conv_weight_grad"
    kernels: ClassVar[tuple[str, ...]] = ("conv1d", "conv2d", "conv3d", "depthwise_conv2d")
    forward: Conv1d | Conv2d | Conv3d = field(default_factory=Conv2d)
    kernel: tuple[int, ...] = (1, 1)

    def infer(self, inputs: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """(cout, cin / groups, *kernel) in the format of dy; raises ShapeError when dy is not the convolution's."""
        expect_inputs(self.kind, inputs, 2)
        dy, x = inputs
        if len(x.shape) != 2 + len(self.kernel) or len(dy.shape) != len(x.shape):
            raise ShapeError(f"{self.kind}: dy {list(dy.shape)} and x {list(x.shape)} do not fit filters {self.kernel}")
        w = TensorType((dy.shape[1], x.shape[1] // self.forward.groups, *self.kernel), dy.format)
        (y,) = self.forward.infer((x, w))
        if y.shape != dy.shape:
            raise ShapeError(f"{self.kind}: dy must have shape {list(y.shape)}, not {list(dy.shape)}")
        return (w,)

    def lower(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> tuple[Work, ...]:
        """One Gemm with as many MACs as the convolution: its k are all output positions of the batch."""
        (dy, x), (w,) = inputs, outputs
        groups = self.forward.groups
        (forward,) = self.forward.lower((x, w), (dy,))
        assert isinstance(forward, Gemm)
        fmt = multiply_format(dy, x)
        return (
            Gemm(
                kernel=forward.kernel,
                batch=groups,
                m=dy.shape[1] // groups,
                n=math.prod(w.shape[1:]),
                k=x.shape[0] * math.prod(dy.shape[2:]),
                a_elements=dy.elements,
                b_elements=forward.a_elements,
                a_format=dy.format,
                b_format=x.format,
                compute_format=fmt,
                accumulator_format=accumulator(fmt),
                out_format=w.format,
                groups=groups,
            ),
        )

    def reference(self, *arrays: Array) -> tuple[Array, ...]:
        """Values with the dtype of dy, summed in float32 (float64 for float64)."""
        dy, x = (matrix_operand(a) for a in arrays)
        window, groups = self.forward.window, self.forward.groups
        padded = np.pad(x, ((0, 0), (0, 0), *window.padding))
        batch, cout, positions = dy.shape[0], dy.shape[1], dy.shape[2:]
        left = np.moveaxis(dy.reshape(batch, groups, cout // groups, -1), 0, 2).reshape(groups, cout // groups, -1)
        dw = np.zeros((*self.kernel, groups, cout // groups, x.shape[1] // groups), dy.dtype)
        for tap in np.ndindex(*self.kernel):
            starts = [at * d for at, d in zip(tap, window.dilation, strict=True)]
            reach = [slice(a, a + (o - 1) * s + 1, s) for a, o, s in zip(starts, positions, window.stride, strict=True)]
            seen = padded[(slice(None), slice(None), *reach)].reshape(batch, groups, x.shape[1] // groups, -1)
            right = np.moveaxis(seen, 0, 2).reshape(groups, x.shape[1] // groups, -1)
            dw[tap] = np.matmul(left, np.swapaxes(right, -1, -2))
        taps = len(self.kernel)
        last = np.moveaxis(dw, tuple(range(taps)), tuple(range(3, 3 + taps)))
        return (finish(last.reshape(cout, x.shape[1] // groups, *self.kernel), arrays[0]),)
