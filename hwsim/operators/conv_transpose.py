"""Transposed convolution over images: the up-sampling layer of decoders and generators."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from hwsim.errors import ShapeError
from hwsim.graph.operator import Array, register
from hwsim.graph.tensor import TensorType
from hwsim.graph.work import Work
from hwsim.operators.checks import expect_inputs, expect_positive, expect_rank, expect_shape
from hwsim.operators.products import finish, gemm_work, matrix_operand

__all__ = ["ConvTranspose2d"]


@register
@dataclass(frozen=True, slots=True)
class ConvTranspose2d:
    """Every element of x (batch, cin, height, width) adds its multiple of w (cin, cout / groups, kh, kw) to y."""

    kind: ClassVar[str] = "conv_transpose"
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (0, 0)
    output_padding: tuple[int, int] = (0, 0)
    dilation: tuple[int, int] = (1, 1)
    groups: int = 1

    def infer(self, inputs: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """(batch, cout, (h - 1) stride - 2 padding + dilation (kh - 1) + output_padding + 1, ...), or ShapeError."""
        expect_inputs(self.kind, inputs, 2, 3)
        expect_positive(self.kind, "stride", self.stride, 2)
        expect_positive(self.kind, "dilation", self.dilation, 2)
        expect_positive(self.kind, "groups", (self.groups,))
        x, w = inputs[:2]
        expect_rank(self.kind, "x", x, 4, 4)
        expect_rank(self.kind, "the weight", w, 4, 4)
        if x.shape[1] != w.shape[0] or w.shape[0] % self.groups:
            raise ShapeError(
                f"{self.kind}: x {list(x.shape)} has {x.shape[1]} channels; the weight must be ({x.shape[1]}, "
                f"cout / groups, kh, kw) with channels a multiple of {self.groups} groups, not {list(w.shape)}"
            )
        cout = w.shape[1] * self.groups
        if len(inputs) == 3:
            expect_shape(self.kind, "the bias", inputs[2], (cout,))
        sizes = tuple(
            full - 2 * p + o for full, p, o in zip(self._full(x, w), self.padding, self.output_padding, strict=True)
        )
        if min(sizes) < 1:
            raise ShapeError(f"{self.kind}: padding {self.padding} leaves an output of {list(sizes)}")
        return (TensorType((x.shape[0], cout, *sizes), x.format),)

    def _full(self, x: TensorType | Array, w: TensorType | Array) -> tuple[int, int]:
        """Height and width before padding is cut off."""
        (h, width), (kh, kw) = x.shape[2:], w.shape[2:]
        (sh, sw), (dh, dw) = self.stride, self.dilation
        return (h - 1) * sh + dh * (kh - 1) + 1, (width - 1) * sw + dw * (kw - 1) + 1

    def lower(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> tuple[Work, ...]:
        """A Gemm for each part of the window: output positions that sum equally many of its elements go together.

        Source: W. Shi et al., Is the deconvolution layer the same as a convolutional layer?, 2016, section 2: a
        transposed convolution of stride s is s^2 ordinary ones, each with a part of the window. x and w are counted
        as read once for all of them.
        """
        x, w = inputs[:2]
        (y,) = outputs
        channels, per_group = x.shape[1] // self.groups, w.shape[1]
        parts = [
            (down * across, rows * columns, (high, wide))
            for high, down, rows in self._taps(0, y.shape[2], w.shape[2])
            for wide, across, columns in self._taps(1, y.shape[3], w.shape[3])
        ]
        whole = gemm_work(
            self.kind, (x, w), y, (self.groups, 1, per_group, 1), addend=inputs[2] if inputs[2:] else None
        )
        return tuple(
            replace(
                whole,
                m=y.shape[0] * positions,
                k=channels * kh * kw,
                kh=kh,
                kw=kw,
                channels=channels,
                groups=self.groups,
                a_elements=x.elements // len(parts),
                b_elements=x.shape[1] * per_group * taps,
                epilogue_flop=y.shape[0] * y.shape[1] * positions if inputs[2:] else 0,
                epilogue_bytes=whole.epilogue_bytes // len(parts),
            )
            for positions, taps, (kh, kw) in parts
        )

    def _taps(self, axis: int, size: int, kernel: int) -> list[tuple[int, int, int]]:
        """(elements of the window that meet at a position, such positions, elements that do) along an axis."""
        stride, step, before = self.stride[axis], self.dilation[axis], self.padding[axis]
        met = Counter(i * step % stride for i in range(kernel))
        most = [max(1, met[phase]) for phase in range(stride)]
        positions: Counter[int] = Counter()
        for phase in range(stride):
            first = (phase - before) % stride
            positions[most[phase]] += max(0, -(-(size - first) // stride))
        positions = Counter({n: places for n, places in positions.items() if places})
        return [(n, positions[n], sum(met[p] for p in range(stride) if most[p] == n)) for n in sorted(positions)]

    def reference(self, *arrays: Array) -> tuple[Array, ...]:
        """Values with the dtype of x, summed in float32 (float64 for float64)."""
        x, w = (matrix_operand(a) for a in arrays[:2])
        batch, cin, h, width = x.shape
        groups, per_group = self.groups, w.shape[1]
        inputs = x.reshape(batch, groups, cin // groups, h * width)
        filters = w.reshape(groups, cin // groups, per_group, *w.shape[2:])
        full_h, full_w = self._full(x, w)
        (sh, sw), (dh, dw), (ph, pw), (oh, ow) = self.stride, self.dilation, self.padding, self.output_padding
        y = np.zeros((batch, groups * per_group, full_h + oh, full_w + ow), x.dtype)
        for i in range(w.shape[2]):
            for j in range(w.shape[3]):
                part = np.matmul(filters[..., i, j].transpose(0, 2, 1), inputs)  # (batch, groups, cout / groups, h w)
                rows = slice(i * dh, i * dh + (h - 1) * sh + 1, sh)
                columns = slice(j * dw, j * dw + (width - 1) * sw + 1, sw)
                y[:, :, rows, columns] += part.reshape(batch, -1, h, width)
        y = y[:, :, ph : full_h + oh - ph, pw : full_w + ow - pw]
        if len(arrays) == 3:
            y = y + matrix_operand(arrays[2]).astype(y.dtype)[:, None, None]
        return (finish(y, arrays[0]),)
