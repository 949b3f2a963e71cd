"""Rules of convolutions and matrix products."""

from __future__ import annotations

from typing import Any

from hwsim.errors import InputError
from hwsim.operators.conv1d import Conv1d
from hwsim.operators.conv2d import Conv2d
from hwsim.operators.conv3d import Conv3d
from hwsim.operators.conv_transpose import ConvTranspose2d
from hwsim.operators.einsum import Einsum
from hwsim.operators.gemm import Gemm
from hwsim.operators.matmul import Matmul
from hwsim.workloads.onnx import limits
from hwsim.workloads.onnx.rules.elementwise import reshaped
from hwsim.workloads.onnx.rules.registry import rule
from hwsim.workloads.onnx.use import Use
from hwsim.workloads.onnx.value import Value

__all__ = ["auto_padding", "convolution", "matrix_product", "window_attributes"]


def window_attributes(use: Use, kernel: tuple[int, ...]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """(stride, dilation) of a window; raises InputError for numbers that do not match its axes."""
    found = []
    if max(kernel, default=1) > limits.WINDOW:
        raise InputError(f"a window of {list(kernel)}; at most {limits.WINDOW:,} an axis are read")
    for name in ("strides", "dilations"):
        numbers = tuple(use.ints(name) or [1] * len(kernel))
        if len(numbers) != len(kernel) or not all(1 <= n <= limits.WINDOW for n in numbers):
            raise InputError(
                f"{name} must be {len(kernel)} whole numbers of 1 to {limits.WINDOW:,}, not {list(numbers)}"
            )
        found.append(numbers)
    return found[0], found[1]


def auto_padding(
    use: Use, sizes: tuple[int, ...], kernel: tuple[int, ...], stride: tuple[int, ...], dilation: tuple[int, ...]
) -> tuple[int, ...]:
    """All padding before, then all after, from ``pads`` or ``auto_pad`` (ONNX, operator Conv)."""
    mode = use.text("auto_pad", "NOTSET")
    if mode in ("NOTSET", ""):
        pads = tuple(use.ints("pads") or [0] * (2 * len(kernel)))
        if len(pads) != 2 * len(kernel) or not all(0 <= p <= limits.WINDOW for p in pads):
            raise InputError(
                f"pads must be {2 * len(kernel)} whole numbers of 0 to {limits.WINDOW:,}, not {list(pads)}"
            )
        return pads
    if mode == "VALID":
        return (0,) * (2 * len(kernel))
    if mode not in ("SAME_UPPER", "SAME_LOWER"):
        raise use.refuse(f"auto_pad = '{mode}'")
    befores, afters = [], []
    for size, k, s, d in zip(sizes, kernel, stride, dilation, strict=True):
        total = max(0, (-(-size // s) - 1) * s + d * (k - 1) + 1 - size)
        less, more = total // 2, total - total // 2
        befores.append(less if mode == "SAME_UPPER" else more)
        afters.append(more if mode == "SAME_UPPER" else less)
    return (*befores, *afters)


@rule("Conv")
def _conv(use: Use) -> Value:
    return convolution(use, use.at(0), use.at(1), *use.some(2))


def convolution(use: Use, x: Value, w: Value, *bias: Value) -> Value:
    """The convolution that a node's attributes describe, over one to three axes."""
    kernel = w.shape[2:]
    if len(x.shape) != len(w.shape) or not 1 <= len(kernel) <= 3:
        raise InputError(f"x {list(x.shape)} and the weight {list(w.shape)} must have 3 to 5 axes, equally many")
    told = use.ints("kernel_shape")
    if told is not None and tuple(told) != kernel:
        raise InputError(f"kernel_shape is {told}, but the weight has shape {list(w.shape)}")
    stride, dilation = window_attributes(use, kernel)
    padding = auto_padding(use, x.shape[2:], kernel, stride, dilation)
    groups = use.whole("group", 1)
    op: Any
    if len(kernel) == 1:
        if padding[0] != padding[1]:
            from hwsim.operators.pad import Pad

            x = use.add(Pad(((0, 0), (0, 0), (padding[0], padding[1]))), x)
            padding = (0, 0)
        op = Conv1d(stride[0], padding[0], dilation[0], groups)
    else:
        op = (Conv2d if len(kernel) == 2 else Conv3d)(stride, padding, dilation, groups)  # type: ignore[arg-type]
    return use.add(op, x, w, *bias)


@rule("ConvTranspose")
def _conv_transpose(use: Use) -> Value:
    x, w = use.at(0), use.at(1)
    kernel = w.shape[2:]
    if len(x.shape) != 4 or len(kernel) != 2:
        raise use.refuse("only over images, of 4 axes")
    stride, dilation = window_attributes(use, kernel)
    use.only("auto_pad", "NOTSET")
    if use.ints("output_shape"):
        raise use.refuse("output_shape is given")
    pads = auto_padding(use, x.shape[2:], kernel, stride, dilation)
    if pads[:2] != pads[2:]:
        raise use.refuse(f"padding {list(pads)} differs on opposite sides")
    more = use.ints("output_padding") or [0, 0]
    if len(more) != 2 or not all(0 <= n < s for n, s in zip(more, stride, strict=True)):
        raise InputError(f"output_padding {more} must be two whole numbers below the strides {list(stride)}")
    op = ConvTranspose2d(
        (stride[0], stride[1]),
        (pads[0], pads[1]),
        (more[0], more[1]),
        (dilation[0], dilation[1]),
        use.whole("group", 1),
    )
    return use.add(op, x, w, *use.some(2))


@rule("Gemm")
def _gemm(use: Use) -> Value:
    op = Gemm(bool(use.whole("transA")), bool(use.whole("transB")), use.number("alpha", 1.0), use.number("beta", 1.0))
    return use.add(op, use.at(0), use.at(1), *use.some(2))


@rule("MatMul")
def _matmul(use: Use) -> Value:
    a, b = use.at(0), use.at(1)
    return matrix_product(use, a, b)


def matrix_product(use: Use, a: Value, b: Value) -> Value:
    """The product, where vectors count as a row on the left and a column on the right, as in NumPy."""
    if not a.shape or not b.shape:
        raise InputError("a matrix product takes no scalars")
    left = reshaped(use, a, (1, *a.shape)) if len(a.shape) == 1 else a
    right = reshaped(use, b, (*b.shape, 1)) if len(b.shape) == 1 else b
    y = use.add(Matmul(), left, right)
    shape = y.shape
    if len(b.shape) == 1:
        shape = shape[:-1]
    if len(a.shape) == 1:
        shape = (*shape[:-2], *shape[len(shape) - 1 :]) if len(b.shape) > 1 else shape[:-1]
    return reshaped(use, y, shape)


@rule("Einsum")
def _einsum(use: Use) -> Value:
    equation = "".join(use.text("equation").split())
    if "..." in equation:
        equation = _spelled(use, equation)
    if "->" not in equation:
        letters = equation.replace(",", "")
        equation += "->" + "".join(sorted(c for c in set(letters) if letters.count(c) == 1))
    if equation.count(",") > 1:
        raise use.refuse("more than two inputs")
    return use.add(Einsum(equation), *use.all())


def _spelled(use: Use, equation: str) -> str:
    """The equation with '...' written as letters it does not use; of inputs with fewer such axes, the last ones."""
    left, arrow, right = equation.partition("->")
    terms = left.split(",")
    counts = [len(v.shape) - len(t.replace("...", "")) for t, v in zip(terms, use.all(), strict=False)]
    most = max(n for t, n in zip(terms, counts, strict=False) if "..." in t)
    if most < 0 or most > 20:
        raise InputError(f"'{equation}' does not fit the inputs' axes")
    spare = [c for c in "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz" if c not in equation][:most]
    spelled = [t.replace("...", "".join(spare[most - n :])) for t, n in zip(terms, counts, strict=False)]
    if not arrow:
        letters = left.replace(",", "").replace("...", "")
        right = "..." + "".join(sorted(c for c in set(letters) if letters.count(c) == 1))
    return ",".join(spelled) + "->" + right.replace("...", "".join(spare))
