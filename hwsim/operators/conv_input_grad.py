"""Gradient of a convolution by its input."""

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

__all__ = ["ConvInputGrad"]


@register
@dataclass(frozen=True, slots=True)
class ConvInputGrad:
    """dx for inputs (dy, w): every element of dy adds its multiple of w; x had the spatial ``sizes``.

    Its Work carries the label of the convolution: the same implicit product with other operands
    (S. Chetlur et al., cuDNN, 2014, section 3).
    """

    kind: ClassVar[str] = "conv_input_grad"
    kernels: ClassVar[tuple[str, ...]] = ("conv1d", "conv2d", "conv3d", "depthwise_conv2d")
    forward: Conv1d | Conv2d | Conv3d = field(default_factory=Conv2d)
    sizes: tuple[int, ...] = (1, 1)

    def infer(self, inputs: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """(batch, cin, *sizes) in the format of dy; raises ShapeError when dy is not the convolution's."""
        expect_inputs(self.kind, inputs, 2)
        dy, w = inputs
        if len(w.shape) != 2 + len(self.sizes) or len(dy.shape) != len(w.shape):
            raise ShapeError(f"{self.kind}: dy {list(dy.shape)} and w {list(w.shape)} do not fit sizes {self.sizes}")
        x = TensorType((dy.shape[0], w.shape[1] * self.forward.groups, *self.sizes), dy.format)
        (y,) = self.forward.infer((x, w))
        if y.shape != dy.shape:
            raise ShapeError(f"{self.kind}: dy must have shape {list(y.shape)}, not {list(dy.shape)}")
        return (x,)

    def lower(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> tuple[Work, ...]:
        """One Gemm with as many MACs as the convolution: m are the positions of x, k what reaches one on average."""
        (dy, w), (x,) = inputs, outputs
        groups = self.forward.groups
        (forward,) = self.forward.lower((x, w), (dy,))
        assert isinstance(forward, Gemm)
        m, n = x.shape[0] * math.prod(self.sizes), w.shape[1]
        fmt = multiply_format(dy, w)
        return (
            Gemm(
                kernel=forward.kernel,
                batch=groups,
                m=m,
                n=n,
                k=math.ceil(forward.macs / (groups * m * n)),
                a_elements=dy.elements,
                b_elements=w.elements,
                a_format=dy.format,
                b_format=w.format,
                compute_format=fmt,
                accumulator_format=accumulator(fmt),
                out_format=x.format,
                kh=forward.kh,
                kw=forward.kw,
                channels=dy.shape[1] // groups,
                groups=groups,
                b_is_weight=w.weight,
            ),
        )

    def reference(self, *arrays: Array) -> tuple[Array, ...]:
        """Values with the dtype of dy, summed in float32 (float64 for float64)."""
        dy, w = (matrix_operand(a) for a in arrays)
        window, groups, kernel = self.forward.window, self.forward.groups, w.shape[2:]
        batch, cout, positions = dy.shape[0], dy.shape[1], dy.shape[2:]
        left = dy.reshape(batch, groups, cout // groups, -1)
        full = [size + sum(pad) for size, pad in zip(self.sizes, window.padding, strict=True)]
        dx = np.zeros((batch, groups * w.shape[1], *full), dy.dtype)
        filters = w.reshape(groups, cout // groups, *w.shape[1:])
        for tap in np.ndindex(*kernel):
            starts = [at * d for at, d in zip(tap, window.dilation, strict=True)]
            reach = [slice(a, a + (o - 1) * s + 1, s) for a, o, s in zip(starts, positions, window.stride, strict=True)]
            part = np.swapaxes(filters[(slice(None), slice(None), slice(None), *tap)], -1, -2)
            dx[(slice(None), slice(None), *reach)] += np.matmul(part, left).reshape(batch, -1, *positions)
        inner = [slice(before, before + size) for size, (before, _) in zip(self.sizes, window.padding, strict=True)]
        return (finish(dx[(slice(None), slice(None), *inner)], arrays[0]),)
