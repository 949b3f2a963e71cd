"""Convolutions: values against the textbook sum in slow loops, Work by hand."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwsim.errors import ShapeError
from hwsim.graph.tensor import TensorType
from hwsim.operators.conv1d import Conv1d
from hwsim.operators.conv2d import Conv2d
from hwsim.operators.conv3d import Conv3d
from hwsim.operators.conv_transpose import ConvTranspose2d
from hwsim.operators.fused import Fused, Member
from hwsim.operators.relu import Relu

RNG = np.random.default_rng(3)


def _slow(x: np.ndarray, w: np.ndarray, stride: tuple, before: tuple, after: tuple, dilation: tuple, groups: int):
    """The sum over channels and window, one output element at a time, for any number of spatial axes."""
    kernel, sizes = w.shape[2:], x.shape[2:]
    axes = range(len(kernel))
    positions = [(sizes[i] + before[i] + after[i] - dilation[i] * (kernel[i] - 1) - 1) // stride[i] + 1 for i in axes]
    y = np.zeros((x.shape[0], w.shape[0], *positions))
    for n, f, *at in np.ndindex(y.shape):
        first = f // (w.shape[0] // groups) * w.shape[1]
        for c, *tap in np.ndindex(w.shape[1:]):
            place = [at[i] * stride[i] + tap[i] * dilation[i] - before[i] for i in axes]
            if all(0 <= p < size for p, size in zip(place, sizes, strict=True)):
                y[(n, f, *at)] += x[(n, first + c, *place)] * w[(f, c, *tap)]
    return y


@given(
    h=st.integers(4, 7),
    kernel=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    stride=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    padding=st.tuples(*[st.integers(0, 2)] * 4),
    dilation=st.tuples(st.integers(1, 2), st.integers(1, 1)),
    groups=st.sampled_from([1, 2, 4]),
)
def test_conv2d_is_the_textbook_sum(h, kernel, stride, padding, dilation, groups) -> None:
    if dilation[0] * (kernel[0] - 1) + 1 > h + padding[0] + padding[2]:
        return
    x, w = RNG.standard_normal((2, 4, h, 5)), RNG.standard_normal((4, 4 // groups, *kernel))
    op = Conv2d(stride, padding, dilation, groups)
    expected = _slow(x, w, stride, padding[:2], padding[2:], dilation, groups)
    (inferred,) = op.infer([TensorType(x.shape), TensorType(w.shape)])
    assert inferred.shape == expected.shape
    assert np.allclose(op.reference(x, w)[0], expected)


def test_conv1d_and_conv3d_are_the_textbook_sum() -> None:
    x, w, bias = RNG.standard_normal((2, 4, 9)), RNG.standard_normal((6, 2, 3)), RNG.standard_normal(6)
    op = Conv1d(stride=2, padding=(2, 1), dilation=2, groups=2)
    expected = _slow(x, w, (2,), (2,), (1,), (2,), 2) + bias[:, None]
    assert np.allclose(op.reference(x, w, bias)[0], expected)
    x, w = RNG.standard_normal((1, 2, 4, 5, 3)), RNG.standard_normal((3, 2, 3, 2, 1))
    causal = Conv3d(stride=(1, 2, 1), padding=(2, 1, 0, 0, 1, 0))
    expected = _slow(x, w, (1, 2, 1), (2, 1, 0), (0, 1, 0), (1, 1, 1), 1)
    assert np.allclose(causal.reference(x, w)[0], expected)


def test_a_causal_clip_keeps_its_frames_and_sees_no_later_one() -> None:
    op = Conv3d(padding=(2, 1, 1, 0, 1, 1))
    x, w = RNG.standard_normal((1, 1, 5, 4, 4)), RNG.standard_normal((1, 1, 3, 3, 3))
    later = x.copy()
    later[:, :, 3:] = 0
    (y,), (y_without,) = op.reference(x, w), op.reference(later, w)
    assert y.shape == x.shape
    assert (y[:, :, :3] == y_without[:, :, :3]).all()


@given(
    kernel=st.tuples(st.integers(1, 4), st.integers(1, 3)),
    stride=st.tuples(st.integers(1, 3), st.integers(1, 2)),
    padding=st.integers(0, 1),
    extra=st.integers(0, 1),
    dilation=st.integers(1, 2),
    groups=st.sampled_from([1, 2]),
)
def test_transposed_convolution_scatters_each_element(kernel, stride, padding, extra, dilation, groups) -> None:
    x, w = RNG.standard_normal((2, 4, 3, 4)), RNG.standard_normal((4, 3, *kernel))
    op = ConvTranspose2d(stride, (padding, padding), (extra, extra), (dilation, dilation), groups)
    sizes = [
        (s - 1) * t - 2 * padding + dilation * (k - 1) + extra + 1
        for s, t, k in zip((3, 4), stride, kernel, strict=True)
    ]
    if min(sizes) < 1:
        return
    expected = np.zeros((2, 3 * groups, *sizes))
    for n, c, i, j in np.ndindex(x.shape):
        group = c // (4 // groups)
        for f, u, v in itertools.product(range(3), *map(range, kernel)):
            row, column = i * stride[0] + u * dilation - padding, j * stride[1] + v * dilation - padding
            if 0 <= row < sizes[0] and 0 <= column < sizes[1]:
                expected[n, group * 3 + f, row, column] += x[n, c, i, j] * w[c, f, u, v]
    (inferred,) = op.infer([TensorType(x.shape), TensorType(w.shape)])
    assert inferred.shape == expected.shape
    assert np.allclose(op.reference(x, w)[0], expected)


def test_resnet50_first_layer_is_a_tall_gemm_over_its_window() -> None:
    """7x7, stride 2, 3 -> 64 channels on 224x224: 12544 positions, k = 147, 118.0 M multiply-accumulates."""
    x, w = TensorType((8, 3, 224, 224), "fp16"), TensorType((64, 3, 7, 7), "fp16", True)
    op = Conv2d((2, 2), (3, 3))
    (work,) = op.lower([x, w], op.infer([x, w]))
    assert (work.batch, work.m, work.n, work.k) == (1, 8 * 112 * 112, 64, 147)
    assert (work.kh, work.kw, work.channels, work.groups) == (7, 7, 3, 1)
    assert work.macs == 8 * 118_013_952
    assert (work.a_elements, work.b_elements) == (x.elements, w.elements)


def test_input_that_the_stride_skips_is_not_read() -> None:
    x, w = TensorType((1, 256, 56, 56), "fp16"), TensorType((512, 256, 1, 1), "fp16", True)
    op = Conv2d((2, 2))
    (work,) = op.lower([x, w], op.infer([x, w]))
    assert work.a_elements == x.elements // 4


def test_groups_are_the_batch_and_a_group_per_channel_is_depthwise() -> None:
    x, w = TensorType((1, 32, 10, 10), "fp16"), TensorType((32, 1, 3, 3), "fp16", True)
    op = Conv2d(padding=(1, 1), groups=32)
    (work,) = op.lower([x, w], op.infer([x, w]))
    assert (work.kernel, work.batch, work.m, work.n, work.k) == ("depthwise_conv2d", 32, 100, 1, 9)
    assert (work.channels, work.groups, work.macs) == (1, 32, 28_800)


def test_a_convolution_of_one_channel_is_not_depthwise() -> None:
    x, w = TensorType((1, 1, 10, 10), "fp16"), TensorType((8, 1, 3, 3), "fp16", True)
    (work,) = Conv2d().lower([x, w], Conv2d().infer([x, w]))
    assert work.kernel == "conv2d"


def test_the_depth_of_a_3d_window_counts_as_channels() -> None:
    x, w = TensorType((1, 4, 5, 6, 6), "fp16"), TensorType((8, 4, 3, 3, 3), "fp16", True)
    (work,) = Conv3d().lower([x, w], Conv3d().infer([x, w]))
    assert (work.k, work.channels, work.kh, work.kw) == (108, 12, 3, 3)
    assert work.k == work.channels * work.kh * work.kw


@pytest.mark.parametrize(
    ("window", "stride", "parts"),
    [(3, 2, 4), (4, 2, 1), (2, 2, 1), (5, 2, 4), (3, 1, 1)],
)
def test_a_transposed_convolution_multiplies_each_input_with_the_whole_window(
    window: int, stride: int, parts: int
) -> None:
    """As fvcore and others count: batch x cin x cout / groups x window area x input area, borders apart."""
    op = ConvTranspose2d((stride, stride), (0, 0), (0, 0), (1, 1), 2)
    x, w = TensorType((3, 8, 40, 40), "fp16"), TensorType((8, 3, window, window), "fp16", weight=True)
    outputs = op.infer([x, w])
    works = op.lower([x, w], outputs)
    exact = 3 * 8 * 3 * window**2 * 40 * 40
    assert len(works) == parts
    assert exact <= sum(work.macs for work in works) <= exact * (1 + window / stride / 40) ** 2
    assert sum(work.bytes_out for work in works) == outputs[0].size_bytes
    assert sum(work.bytes_in for work in works) == x.size_bytes + w.size_bytes


def test_an_activation_behind_a_transposed_convolution_is_done_once() -> None:
    op = Fused((Member(ConvTranspose2d((2, 2), (1, 1)), (0, 1)), Member(Relu(), (2,))), 2)
    x, w = TensorType((1, 4, 8, 8), "fp16"), TensorType((4, 6, 3, 3), "fp16", weight=True)
    (y,) = op.infer([x, w])
    works = op.lower([x, w], [y])
    assert [work.flop - 2 * work.macs for work in works] == [0, 0, 0, y.elements]


def test_a_transposed_convolution_has_a_mac_for_each_input_and_tap() -> None:
    x, w = TensorType((1, 16, 8, 8), "fp16"), TensorType((16, 32, 4, 4), "fp16", True)
    op = ConvTranspose2d((2, 2), (1, 1))
    (y,) = op.infer([x, w])
    (work,) = op.lower([x, w], [y])
    assert y.shape == (1, 32, 16, 16)
    assert work.macs == 16 * 8 * 8 * 32 * 4 * 4
    assert work.bytes_out == y.size_bytes


@pytest.mark.parametrize(
    ("op", "shapes", "message"),
    [
        (Conv2d(), [(1, 3, 8, 8), (4, 2, 3, 3)], "has 3 channels"),
        (Conv2d(groups=2), [(1, 4, 8, 8), (3, 2, 3, 3)], "with 2 groups"),
        (Conv2d(), [(1, 3, 2, 8), (4, 3, 3, 3)], "does not fit"),
        (Conv2d(padding=(1, 1, 1)), [(1, 3, 8, 8), (4, 3, 3, 3)], "padding is 2 or 4 numbers"),
        (Conv2d(stride=(0, 1)), [(1, 3, 8, 8), (4, 3, 3, 3)], "stride must be 2 whole numbers of at least 1"),
        (Conv2d(dilation=(2,)), [(1, 3, 8, 8), (4, 3, 3, 3)], "dilation must be 2 whole numbers"),
        (Conv2d(groups=0), [(1, 3, 8, 8), (4, 3, 3, 3)], "groups must be a whole number of at least 1"),
        (ConvTranspose2d(stride=2), [(1, 3, 8, 8), (3, 4, 3, 3)], "stride must be 2 whole numbers of at least 1"),
        (Conv2d(), [(3, 8, 8), (4, 3, 3, 3)], "x must have 4 axes"),
        (Conv2d(), [(1, 3, 8, 8), (4, 3, 3, 3), (3,)], r"the bias must have shape \[4\]"),
        (ConvTranspose2d(), [(1, 3, 8, 8), (4, 3, 3, 3)], "has 3 channels"),
        (ConvTranspose2d(padding=(5, 5)), [(1, 3, 2, 2), (3, 3, 3, 3)], "leaves an output"),
    ],
)
def test_what_does_not_fit_is_named(op, shapes, message) -> None:
    with pytest.raises(ShapeError, match=message):
        op.infer([TensorType(shape) for shape in shapes])


def test_the_multiply_accumulates_of_a_convolution_are_positions_times_filters() -> None:
    x, w = TensorType((2, 6, 9, 8), "fp16"), TensorType((4, 3, 3, 2), "fp16", True)
    op = Conv2d((2, 1), (1, 0), (1, 2), 2)
    (y,) = op.infer([x, w])
    (work,) = op.lower([x, w], [y])
    assert work.macs == y.elements * math.prod(w.shape[1:])
