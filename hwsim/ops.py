"""One-operator graphs for people: ``hwsim.ops.matmul(m=4096, n=4096, k=4096, dtype="fp16")``.

Each takes ``dtype``, a number format or a precision scheme (``w8a8``, ``fp8_w8a8`` ...); 'auto' waits for the
device's preferred format. The operator's input is the tensor ``x`` (``x`` and ``y`` of two).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from hwsim.errors import InputError
from hwsim.graph.graph import Graph, GraphBuilder
from hwsim.graph.operator import Operator
from hwsim.graph.tensor import AUTO, BITS, Tensor, scheme
from hwsim.operators.add import Add
from hwsim.operators.all_gather import AllGather
from hwsim.operators.all_reduce import AllReduce
from hwsim.operators.all_to_all import AllToAll
from hwsim.operators.attention import Attention
from hwsim.operators.collectives import Exchange
from hwsim.operators.conv2d import Conv2d
from hwsim.operators.div import Div
from hwsim.operators.embedding import Embedding
from hwsim.operators.gelu import Gelu
from hwsim.operators.layernorm import LayerNorm
from hwsim.operators.linear import Linear
from hwsim.operators.matmul import Matmul
from hwsim.operators.mul import Mul
from hwsim.operators.pow import Pow
from hwsim.operators.reduce_scatter import ReduceScatter
from hwsim.operators.relu import Relu
from hwsim.operators.rmsnorm import RmsNorm
from hwsim.operators.rope import Rope
from hwsim.operators.send import Send
from hwsim.operators.silu import Silu
from hwsim.operators.silu_mul import SiluMul
from hwsim.operators.softmax import Softmax
from hwsim.operators.tanh import Tanh

__all__ = [
    "add",
    "all_gather",
    "all_reduce",
    "all_to_all",
    "attention",
    "conv2d",
    "div",
    "embedding",
    "gelu",
    "layernorm",
    "linear",
    "matmul",
    "mul",
    "power",
    "reduce_scatter",
    "relu",
    "rmsnorm",
    "rope",
    "send",
    "silu",
    "silu_mul",
    "softmax",
    "tanh",
]


def matmul(m: int, n: int, k: int, batch: int = 1, dtype: str = AUTO) -> Graph:
    """C (batch, m, n) = A (batch, m, k) B (batch, k, n).

    Without a batch B is a constant, as in a layer of a network: it comes from memory, and quantized schemes
    multiply it in their narrow format. In a batch both operands are activations, as in attention.

    >>> matmul(m=2, n=3, k=4, batch=5).macs
    120
    """
    b = GraphBuilder("matmul")
    if batch == 1:
        return _one(b, Matmul(), (b.input("x", (m, k)), b.weight("y", (k, n))), dtype)
    return _one(b, Matmul(), (b.input("x", (batch, m, k)), b.input("y", (batch, k, n))), dtype)


def linear(m: int, n: int, k: int, bias: bool = True, dtype: str = AUTO) -> Graph:
    """Product of x (m, k) and a weight (n, k), plus a bias."""
    b = GraphBuilder("linear")
    x = b.input("x", (m, k))
    return _one(b, Linear(), (x, b.weight("weight", (n, k)), *([b.weight("bias", (n,))] if bias else [])), dtype)


def conv2d(
    batch: int,
    cin: int,
    h: int,
    w: int,
    cout: int,
    kernel: int | tuple[int, int],
    stride: int | tuple[int, int] = 1,
    padding: int | tuple[int, ...] = 0,
    groups: int = 1,
    dtype: str = AUTO,
) -> Graph:
    """A convolution of x (batch, cin, h, w) without bias; ``kernel``, ``stride`` and ``padding`` are one number or two.

    ``padding`` may also be four: (top, left, bottom, right). Raises InputError unless ``groups`` divides ``cin``.
    """
    if groups < 1 or cin % groups:
        raise InputError(f"conv2d: groups must divide cin = {cin}, not {groups}")
    window = (kernel, kernel) if isinstance(kernel, int) else kernel
    op = Conv2d(
        stride=(stride, stride) if isinstance(stride, int) else stride,
        padding=(padding, padding) if isinstance(padding, int) else padding,
        groups=groups,
    )
    b = GraphBuilder("conv2d")
    return _one(b, op, (b.input("x", (batch, cin, h, w)), b.weight("weight", (cout, cin // groups, *window))), dtype)


def attention(
    batch: int,
    heads: int,
    seq_q: int,
    seq_kv: int,
    head_dim: int,
    kv_heads: int | None = None,
    causal: bool = False,
    dtype: str = AUTO,
) -> Graph:
    """Fused attention of q (batch, heads, seq_q, head_dim) on k and v (batch, kv_heads, seq_kv, head_dim)."""
    b = GraphBuilder("attention")
    q = b.input("q", (batch, heads, seq_q, head_dim))
    shape = (batch, heads if kv_heads is None else kv_heads, seq_kv, head_dim)
    return _one(b, Attention(causal=causal), (q, b.input("k", shape), b.input("v", shape)), dtype)


def softmax(rows: int, cols: int, dtype: str = AUTO) -> Graph:
    """Softmax of each row of x (rows, cols)."""
    b = GraphBuilder("softmax")
    return _one(b, Softmax(), (b.input("x", (rows, cols)),), dtype)


def layernorm(rows: int, cols: int, dtype: str = AUTO) -> Graph:
    """Layer normalization of each row of x (rows, cols), with gamma and beta."""
    b = GraphBuilder("layernorm")
    return _one(
        b, LayerNorm(), (b.input("x", (rows, cols)), b.weight("gamma", (cols,)), b.weight("beta", (cols,))), dtype
    )


def rmsnorm(rows: int, cols: int, dtype: str = AUTO) -> Graph:
    """RMS normalization of each row of x (rows, cols), with gamma."""
    b = GraphBuilder("rmsnorm")
    return _one(b, RmsNorm(), (b.input("x", (rows, cols)), b.weight("gamma", (cols,))), dtype)


def gelu(elements: int, dtype: str = AUTO) -> Graph:
    """GELU of that many elements."""
    return _elementwise(Gelu(), elements, 1, dtype)


def relu(elements: int, dtype: str = AUTO) -> Graph:
    """ReLU of that many elements."""
    return _elementwise(Relu(), elements, 1, dtype)


def silu(elements: int, dtype: str = AUTO) -> Graph:
    """SiLU of that many elements."""
    return _elementwise(Silu(), elements, 1, dtype)


def tanh(elements: int, dtype: str = AUTO) -> Graph:
    """Hyperbolic tangent of that many elements."""
    return _elementwise(Tanh(), elements, 1, dtype)


def silu_mul(elements: int, dtype: str = AUTO) -> Graph:
    """silu(x) y for two tensors of that many elements."""
    return _elementwise(SiluMul(), elements, 2, dtype)


def add(elements: int, dtype: str = AUTO, scalar: float | None = None) -> Graph:
    """Sum of two tensors of that many elements, or of one and a number."""
    return _elementwise(Add(scalar), elements, 2 if scalar is None else 1, dtype)


def mul(elements: int, dtype: str = AUTO, scalar: float | None = None) -> Graph:
    """Element-wise product of two tensors of that many elements, or of one and a number."""
    return _elementwise(Mul(scalar), elements, 2 if scalar is None else 1, dtype)


def div(elements: int, dtype: str = AUTO, scalar: float | None = None) -> Graph:
    """Quotient of two tensors of that many elements, or of one and a number."""
    return _elementwise(Div(scalar), elements, 2 if scalar is None else 1, dtype)


def power(elements: int, dtype: str = AUTO, scalar: float | None = None) -> Graph:
    """Power of two tensors of that many elements, or of one and a number."""
    return _elementwise(Pow(scalar), elements, 2 if scalar is None else 1, dtype)


def rope(elements: int, dtype: str = AUTO) -> Graph:
    """Rotary embedding of x (1, heads, seq, dim): the largest head of up to 128 and up to 32 heads that divide it.

    >>> rope(elements=32 * 7 * 128).tensors["x"].shape
    (1, 32, 7, 128)
    """
    dim = math.gcd(elements, 128)
    heads = math.gcd(elements // dim, 32)
    b = GraphBuilder("rope")
    return _one(b, Rope(), (b.input("x", (1, heads, elements // (dim * heads), dim)),), dtype)


def all_reduce(bytes: int, devices: int, dtype: str = AUTO) -> Graph:
    """The sum of x, ``bytes`` large on each of ``devices``, on every one; 'auto' is fp16.

    >>> all_reduce(bytes=1000, devices=8).tensors["x"].shape
    (500,)
    """
    return _exchange(AllReduce(devices), bytes, 1, dtype)


def all_gather(bytes: int, devices: int, dtype: str = AUTO) -> Graph:
    """All devices' parts joined on every one into a vector of ``bytes``; 'auto' is fp16."""
    return _exchange(AllGather(devices), bytes, devices, dtype)


def reduce_scatter(bytes: int, devices: int, dtype: str = AUTO) -> Graph:
    """The sum of a vector of ``bytes`` on each device, one part of it on each; 'auto' is fp16."""
    return _exchange(ReduceScatter(devices), bytes, 1, dtype)


def all_to_all(bytes: int, devices: int, dtype: str = AUTO) -> Graph:
    """Each device's vector of ``bytes`` cut into a part for each device; 'auto' is fp16."""
    return _exchange(AllToAll(devices), bytes, 1, dtype)


def send(bytes: int, devices: int = 2, dtype: str = AUTO) -> Graph:
    """A vector of ``bytes`` from one device to another; 'auto' is fp16."""
    return _exchange(Send(devices), bytes, 1, dtype)


def embedding(rows: int, cols: int, vocab: int, dtype: str = AUTO) -> Graph:
    """``rows`` rows of a table (vocab, cols), looked up by int32 ids."""
    b = GraphBuilder("embedding")
    return _one(b, Embedding(), (b.input("x", (rows,), "int32"), b.weight("table", (vocab, cols))), dtype)


def _exchange(op: Exchange, size: int, parts: int, dtype: str) -> Graph:
    """A collective of a whole vector of ``size`` bytes, of which its input is one of ``parts``.

    The vector is rounded up to elements, and to equal parts for each device.
    """
    name = "fp16" if dtype == AUTO else dtype
    bits = BITS[scheme(name).activation]
    share = 1 if isinstance(op, AllReduce | Send) else op.participants
    elements = math.ceil(size * 8 / bits / share) * share
    b = GraphBuilder(op.kind)
    return _one(b, op, (b.input("x", (elements // parts,)),), name)


def _elementwise(op: Operator, elements: int, arity: int, dtype: str) -> Graph:
    b = GraphBuilder(op.kind)
    return _one(b, op, [b.input(name, (elements,)) for name in "xy"[:arity]], dtype)


def _one(b: GraphBuilder, op: Operator, inputs: Sequence[Tensor], dtype: str) -> Graph:
    return b.build([b.add(op, *inputs)], dtype=dtype)
