"""A measured kernel, or recurrent layer, as the Work that hwsim lowers the same operator to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType

from hwsim.errors import InputError, ShapeError
from hwsim.graph.operator import Operator
from hwsim.graph.tensor import FORMATS, TensorType
from hwsim.graph.work import Collective, Gemm, Work
from hwsim.operators.add import Add
from hwsim.operators.attention import Attention
from hwsim.operators.conv2d import Conv2d
from hwsim.operators.div import Div
from hwsim.operators.elu import Elu
from hwsim.operators.gelu import Gelu
from hwsim.operators.layernorm import LayerNorm
from hwsim.operators.leaky_relu import LeakyRelu
from hwsim.operators.linear import Linear
from hwsim.operators.matmul import Matmul
from hwsim.operators.mul import Mul
from hwsim.operators.pow import Pow
from hwsim.operators.recurrent import Recurrent
from hwsim.operators.relu import Relu
from hwsim.operators.rmsnorm import RmsNorm
from hwsim.operators.rope import Rope
from hwsim.operators.selu import Selu
from hwsim.operators.sigmoid import Sigmoid
from hwsim.operators.silu_mul import SiluMul
from hwsim.operators.softmax import Softmax
from hwsim.operators.step import Step
from hwsim.operators.tanh import Tanh
from hwsim.validation.layer_parts import PART, layer_part
from hwsim.validation.measured import Row

__all__ = ["RECURRENT", "as_clocked", "kernel_name", "kernel_work", "recurrent_works"]

_NARROW: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "fp8_w8a8_dyn": ("fp8", "bf16"),
        "fp8_w8a8_static": ("fp8", "bf16"),
        "nvfp4_dyn": ("fp4", "bf16"),
        "int8_w8a8_smoothquant": ("int8", "int8"),
        "int8_w8a8_dyn": ("int8", "bf16"),
        "w8a8_dynamic": ("int8", "int8"),
    }
)
"""Schemes by their names in measured data: format of the weights and the matrix unit, format of the activations.

The wider activations of a scheme are narrowed by a kernel of their own, which is part of the time.
"""
_PLAIN: Mapping[str, str] = MappingProxyType({"fp16_mixed": "fp16", "float": "fp32", "bfloat16": "bf16"})
_ROWWISE: Mapping[str, Operator] = MappingProxyType(
    {"softmax": Softmax(), "layernorm": LayerNorm(), "layer_norm": LayerNorm(), "rmsnorm": RmsNorm()}
)
_ELEMENTWISE: Mapping[str, tuple[Operator, int]] = MappingProxyType(
    {
        "add": (Add(), 2),
        "add_scalar": (Add(2.0), 1),
        "mul": (Mul(), 2),
        "mul_scalar": (Mul(2.0), 1),
        "div": (Div(), 2),
        "div_scalar": (Div(2.0), 1),
        "pow": (Pow(), 2),
        "pow_scalar": (Pow(2.0), 1),
        "relu": (Relu(), 1),
        "leaky_relu": (LeakyRelu(), 1),
        "parametric_relu": (LeakyRelu(), 1),
        "gelu": (Gelu(), 1),
        "tanh": (Tanh(), 1),
        "sigmoid": (Sigmoid(), 1),
        "silu_mul": (SiluMul(), 2),
        "elu": (Elu(), 1),
        "selu": (Selu(), 1),
        "binary_step": (Step(), 1),
        "linear_activation": (Mul(1.0), 1),
    }
)
"""Operators and how many tensors they read."""
_PATTERNS: Mapping[str, str] = MappingProxyType(
    {
        "all_reduce": "all_reduce",
        "all_gather": "all_gather",
        "reduce_scatter": "reduce_scatter",
        "alltoall": "all_to_all",
        "all_to_all": "all_to_all",
        "send_recv": "send",
    }
)
RECURRENT: Mapping[str, str] = MappingProxyType({"rnn_lstm": "lstm", "rnn_gru": "gru", "rnn_vanilla": "rnn"})
"""Rows of whole recurrent layers, and the mode of hwsim's operator."""
_GATES: Mapping[str, int] = MappingProxyType({"lstm": 4, "gru": 3, "rnn": 1})
_ACROSS = ("NN", "NT")
"""Flags of a product whose first operand is stored across k, so that a column of it lies together (column-major)."""
_TICKS_S: Mapping[str, float] = MappingProxyType({"profiler_kernel": 1e-6})
"""Timings whose clock ticks: start and end of a kernel are whole ticks, so the median of many runs is the nearest."""
_HEAD_DIM = 128
_TPU_FORMAT = "fp32"
"""Element-wise kernels of a file without a format are in single precision."""


def kernel_name(row: Row) -> str:
    """What ran, by the row's ``op``, else its ``model``; a row of m, n and k alone is a matmul."""
    written = row.text("op") or row.text("model")
    written = "linear_activation" if written == "act_linear" else written.removeprefix("act_")
    renamed = {"gemm": "matmul", "attention_context": "attention_prefill", "attention_generation": "attention_decode"}
    return renamed.get(written, written) or "matmul"


def kernel_work(row: Row) -> Work:
    """The Work of a measured kernel; raises InputError where hwsim has no such operator or a size is missing."""
    op = kernel_name(row)
    try:
        if op in _PRODUCTS:
            return _PRODUCTS[op](row)
        if op in _PATTERNS:
            pattern, size = _PATTERNS[op], row.number("bytes")
            ranks = 2 if pattern == "send" else row.number("ngpus")
            return Collective(kernel=pattern, pattern=pattern, bytes=size, participants=ranks, format=_format(row))
        return layer_part(row, _format(row)) if op.startswith(PART) else _vector(op, row)
    except ShapeError as error:
        raise InputError(str(error)) from None


def recurrent_works(row: Row) -> Counter[Work]:
    """The kernels of one recurrent layer and how often each runs: ``seq_q`` steps of ``batch`` states of ``cols``.

    As DeepBench runs them: the input is as wide as the state and added without a product of its own
    (``CUDNN_SKIP_INPUT``, ``miopenRNNskip`` in its rnn_bench), and the layers of its 8-bit suites are in single
    precision, since neither library has them in int8. Raises InputError where a size is missing.
    """
    mode, written = RECURRENT[kernel_name(row)], _format(row)
    fmt = "fp32" if written == "int8" else written
    steps, batch, hidden = (row.number(name) for name in ("seq_q", "batch", "cols"))
    rows = _GATES[mode] * hidden
    weights = [_tensor(fmt, rows, hidden, weight=True)] * 2
    states = [_tensor(fmt, batch, hidden)] * (2 if mode == "lstm" else 1)
    inputs = (_tensor(fmt, steps, batch, hidden), *weights, _tensor(fmt, 2 * rows, weight=True), *states)
    operator = Recurrent(mode=mode)
    _, *steps_alone = operator.lower(inputs, operator.infer(inputs))
    return Counter(steps_alone)


def as_clocked(time_s: float, timing: str) -> float:
    """What the clock of a timing shows of a kernel's time: whole ticks, at least one.

    >>> as_clocked(1.4e-6, "profiler_kernel"), as_clocked(1.4e-6, "cuda_graph")
    (1e-06, 1.4e-06)
    """
    tick_s = _TICKS_S.get(timing)
    return time_s if tick_s is None else max(1.0, round(time_s / tick_s)) * tick_s


def _format(row: Row) -> str:
    written = row.text("dtype") or _TPU_FORMAT
    name = _PLAIN.get(written, written)
    if name not in FORMATS:
        raise InputError(f"number format '{written}' is not known")
    return name


def _tensor(fmt: str, *shape: int, weight: bool = False) -> TensorType:
    return TensorType(shape, fmt, weight=weight)


def _lowered(operator: Operator, *inputs: TensorType) -> Work:
    (work,) = operator.lower(inputs, operator.infer(inputs))
    return work


def _matmul(row: Row) -> Work:
    """A layer without bias: m x k activations by n x k weights.

    The flags of a BLAS call stand in ``model``. With TN both operands are stored along k, as a Linear has them; with NN
    and NT the first one is stored across it, as the second of a Matmul: other kernels, with constants of their own.
    """
    m, n, k = (row.number(name) for name in "mnk")
    scheme = _NARROW.get(row.text("dtype"))
    if scheme is None:
        fmt = _format(row)
        work = _lowered(Linear(), _tensor(fmt, m, k), _tensor(fmt, n, k, weight=True))
        return replace(work, kernel=Matmul.kind) if row.text("model") in _ACROSS else work
    weight, activation = scheme
    work = _lowered(Linear(), _tensor(activation, m, k), _tensor(weight, n, k, weight=True))
    assert isinstance(work, Gemm)
    return replace(work, compute_format=weight, out_format="bf16")


def _linear(row: Row) -> Work:
    fmt, (m, n, k) = _format(row), (row.number(name) for name in "mnk")
    return _lowered(Linear(), _tensor(fmt, m, k), _tensor(fmt, n, k, weight=True), _tensor(fmt, n, weight=True))


def _bmm(row: Row) -> Work:
    fmt, (batch, m, n, k) = _format(row), (row.number(name) for name in ("batch", "m", "n", "k"))
    return _lowered(Matmul(), _tensor(fmt, batch, m, k), _tensor(fmt, batch, k, n))


def _conv2d(row: Row) -> Work:
    fmt = _format(row)
    x = _tensor(fmt, *(row.number(name) for name in ("batch", "cin", "h", "w")))
    w = _tensor(fmt, *(row.number(name) for name in ("cout", "cin", "kh", "kw")), weight=True)
    stride, pad = row.number("stride", 1), row.number("pad", 0)
    return _lowered(Conv2d(stride=(stride, stride), padding=(pad, pad)), x, w)


def _attention(row: Row) -> Work:
    """Fused attention; files of the short form call the sizes B, S, H, KV and D."""
    fmt, decode = _format(row), kernel_name(row) == "attention_decode"
    short = "S" in row.columns
    keys = ("batch", "heads", "kv_heads", "seq_kv", "head_dim") if not short else ("B", "H", "KV", "S", "D")
    batch, heads, kv_heads, seq_kv, dim = (row.number(key) for key in keys)
    queries = 1 if decode else row.number("seq_q", seq_kv)
    causal = not decode if short else bool(row.number("causal", int(not decode)))
    kv = _tensor(fmt, batch, kv_heads or heads, seq_kv, dim)
    return _lowered(Attention(causal=causal), _tensor(fmt, batch, heads, queries, dim), kv, kv)


_PRODUCTS: Mapping[str, Callable[[Row], Work]] = MappingProxyType(
    {
        "matmul": _matmul,
        "matmul_best_shape": _matmul,
        "linear": _matmul,
        "linear_bias": _linear,
        "bmm": _bmm,
        "conv2d": _conv2d,
        "attention_prefill": _attention,
        "attention_decode": _attention,
    }
)


def _vector(op: str, row: Row) -> Work:
    if op not in {*_ROWWISE, *_ELEMENTWISE, "rope"}:
        raise InputError(f"no operator for '{op}'")
    fmt, shape = _format(row), _shape(row)
    if op in _ROWWISE:
        return _lowered(_ROWWISE[op], _tensor(fmt, *shape))
    if op == "rope":
        rows, cols = shape
        return _lowered(Rope(), _tensor(fmt, 1, max(1, cols // _HEAD_DIM), rows, min(cols, _HEAD_DIM)))
    operator, inputs = _ELEMENTWISE[op]
    return _lowered(operator, *[_tensor(fmt, *shape)] * inputs)


def _shape(row: Row) -> tuple[int, ...]:
    if row.text("shape"):
        sizes = row.text("shape").split("x")
        if not all(size.isdecimal() and int(size) for size in sizes):
            raise InputError("no sizes such as 16x16x32 in column 'shape'")
        return tuple(int(size) for size in sizes)
    return row.number("rows"), row.number("cols")
