"""Layers that networks share, as small functions over a GraphBuilder.

Each adds the operators a framework would run, with its weights named ``<scope>.<name>.weight`` and so on. Shapes are
those of the frameworks: images (batch, channels, height, width), sequences (batch, seq, features), heads
(batch, heads, seq, dim). Normalisation, bias-free activation and addition are operators of their own: joining them is
the business of the ``fuse`` pass.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from hwsim.errors import InputError
from hwsim.graph.graph import GraphBuilder
from hwsim.graph.operator import Operator
from hwsim.graph.tensor import Tensor
from hwsim.operators.add import Add
from hwsim.operators.attention import Attention
from hwsim.operators.batchnorm import BatchNorm
from hwsim.operators.conv2d import Conv2d
from hwsim.operators.conv3d import Conv3d
from hwsim.operators.embedding import Embedding
from hwsim.operators.gelu import Gelu
from hwsim.operators.gelu_mul import GeluMul
from hwsim.operators.global_average import GlobalAverage
from hwsim.operators.groupnorm import GroupNorm
from hwsim.operators.hardsigmoid import HardSigmoid
from hwsim.operators.hardswish import HardSwish
from hwsim.operators.layernorm import LayerNorm
from hwsim.operators.leaky_relu import LeakyRelu
from hwsim.operators.linear import Linear
from hwsim.operators.mul import Mul
from hwsim.operators.pooling import Pool
from hwsim.operators.quick_gelu import QuickGelu
from hwsim.operators.relu import Relu
from hwsim.operators.relu6 import Relu6
from hwsim.operators.reshape import Reshape
from hwsim.operators.rmsnorm import RmsNorm
from hwsim.operators.rope import Rope
from hwsim.operators.sigmoid import Sigmoid
from hwsim.operators.silu import Silu
from hwsim.operators.silu_mul import SiluMul
from hwsim.operators.split import Split
from hwsim.operators.tanh import Tanh
from hwsim.operators.transpose import Transpose
from hwsim.registry import unknown_name

__all__ = [
    "Pair",
    "activation",
    "adaptive_average",
    "add",
    "attention",
    "batch_norm",
    "conv",
    "conv3d",
    "conv_bn_act",
    "divisible",
    "embedding",
    "flatten",
    "gated_mlp",
    "global_average",
    "group_norm",
    "layer_norm",
    "linear",
    "linear_weights",
    "merge_heads",
    "mlp",
    "multiply",
    "norm_weights",
    "pair",
    "pool",
    "rms_norm",
    "split_heads",
    "squeeze_excite",
]

Pair = int | tuple[int, int]
"""One number for both axes of an image, or (height, width)."""

_ACTIVATIONS: Mapping[str, Operator] = MappingProxyType(
    {
        "gelu": Gelu(),
        "gelu_new": Gelu(approximate=True, written_out=True),
        "gelu_tanh": Gelu(approximate=True),
        "hardsigmoid": HardSigmoid(),
        "hardswish": HardSwish(),
        "leaky_relu": LeakyRelu(0.1),
        "quick_gelu": QuickGelu(),
        "relu": Relu(),
        "relu6": Relu6(),
        "sigmoid": Sigmoid(),
        "silu": Silu(),
        "tanh": Tanh(),
    }
)
_GATES: Mapping[str, Operator] = MappingProxyType(
    {"gelu": GeluMul(), "gelu_tanh": GeluMul(approximate=True), "silu": SiluMul()}
)


def pair(value: Pair) -> tuple[int, int]:
    """(height, width) from one number for both, or from a pair."""
    return (value, value) if isinstance(value, int) else value


def divisible(channels: float) -> int:
    """The nearest multiple of 8 that is not more than a tenth below: how mobile networks round scaled widths.

    >>> divisible(33.6), divisible(18)
    (32, 24)
    """
    rounded = max(8, int(channels + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * channels else rounded


def activation(b: GraphBuilder, x: Tensor, kind: str, name: str | None = None) -> Tensor:
    """An element-wise activation of that kind; an empty kind is none at all. Raises UnknownNameError."""
    if not kind:
        return x
    if kind not in _ACTIVATIONS:
        raise unknown_name("activation", kind, _ACTIVATIONS)
    return b.add(_ACTIVATIONS[kind], x, name=name)


def add(b: GraphBuilder, x: Tensor, y: Tensor, name: str = "add") -> Tensor:
    """The sum of both, broadcast: residual connections and position embeddings."""
    return b.add(Add(), x, y, name=name)


def multiply(b: GraphBuilder, x: Tensor, y: Tensor, name: str = "mul") -> Tensor:
    """The product of both, broadcast: gates and layer scales."""
    return b.add(Mul(), x, y, name=name)


def linear(b: GraphBuilder, x: Tensor, features: int, *, bias: bool = True, name: str = "linear") -> Tensor:
    """(..., features) from (..., k), with weight (features, k)."""
    return b.add(Linear(), x, *linear_weights(b, features, x.shape[-1], bias=bias, name=name), name=name)


def linear_weights(b: GraphBuilder, n: int, k: int, *, bias: bool = True, name: str) -> tuple[Tensor, ...]:
    """Weight (n, k) and, if asked, bias (n): for layers used by more than one phase."""
    with b.scope(name):
        weight = b.weight("weight", (n, k))
        return (weight, b.weight("bias", (n,))) if bias else (weight,)


def norm_weights(b: GraphBuilder, size: int, *, shift: bool = True, name: str) -> tuple[Tensor, ...]:
    """Scale gamma and, if asked, shift beta: for layers used by more than one phase."""
    with b.scope(name):
        gamma = b.weight("gamma", (size,))
        return (gamma, b.weight("beta", (size,))) if shift else (gamma,)


def conv(
    b: GraphBuilder,
    x: Tensor,
    channels: int,
    kernel: Pair,
    *,
    stride: Pair = 1,
    padding: Pair | None = None,
    dilation: Pair = 1,
    groups: int = 1,
    bias: bool = True,
    name: str = "conv",
) -> Tensor:
    """A convolution to that many channels; by default padded so that stride 1 keeps the size of odd kernels."""
    (kh, kw), (dh, dw) = pair(kernel), pair(dilation)
    pads = (dh * (kh - 1) // 2, dw * (kw - 1) // 2) if padding is None else pair(padding)
    with b.scope(name):
        operands = [b.weight("weight", (channels, x.shape[1] // groups, kh, kw))]
        if bias:
            operands.append(b.weight("bias", (channels,)))
    op = Conv2d(stride=pair(stride), padding=pads, dilation=(dh, dw), groups=groups)
    return b.add(op, x, *operands, name=name)


def conv3d(
    b: GraphBuilder,
    x: Tensor,
    channels: int,
    kernel: tuple[int, int, int],
    *,
    stride: tuple[int, int, int] = (1, 1, 1),
    padding: tuple[int, ...] = (0, 0, 0),
    bias: bool = True,
    name: str = "conv",
) -> Tensor:
    """A convolution of (batch, channels, frames, height, width); ``padding`` as :class:`Conv3d` takes it."""
    with b.scope(name):
        operands = [b.weight("weight", (channels, x.shape[1], *kernel))]
        if bias:
            operands.append(b.weight("bias", (channels,)))
    return b.add(Conv3d(stride=stride, padding=padding), x, *operands, name=name)


def batch_norm(b: GraphBuilder, x: Tensor, name: str = "bn") -> Tensor:
    """Batch normalisation in inference: scale and shift are weights, running mean and variance are state."""
    size = (x.shape[1],)
    with b.scope(name):
        operands = (b.weight("gamma", size), b.weight("beta", size), b.state("mean", size), b.state("variance", size))
    return b.add(BatchNorm(), x, *operands, name=name)


def conv_bn_act(
    b: GraphBuilder,
    x: Tensor,
    channels: int,
    kernel: Pair,
    *,
    stride: Pair = 1,
    padding: Pair | None = None,
    groups: int = 1,
    act: str = "relu",
    name: str = "conv",
) -> Tensor:
    """Convolution without bias, batch normalisation, activation (none if ``act`` is empty)."""
    x = conv(b, x, channels, kernel, stride=stride, padding=padding, groups=groups, bias=False, name=name)
    x = batch_norm(b, x, name=f"{name}_bn")
    return activation(b, x, act, name=f"{name}_{act}")


def layer_norm(
    b: GraphBuilder, x: Tensor, name: str = "norm", *, affine: bool = True, wide: bool = False, kept: bool = False
) -> Tensor:
    """Layer normalisation over the last axis, with scale and shift unless ``affine`` is off.

    ``wide``: in fp32; ``kept``: in the narrow format even under mixed precision.
    """
    operands = norm_weights(b, x.shape[-1], name=name) if affine else ()
    return b.add(LayerNorm(wide=wide, kept=kept), x, *operands, name=name)


def rms_norm(b: GraphBuilder, x: Tensor, name: str = "norm") -> Tensor:
    """Root-mean-square normalisation over the last axis, with scale."""
    return b.add(RmsNorm(), x, *norm_weights(b, x.shape[-1], shift=False, name=name), name=name)


def group_norm(b: GraphBuilder, x: Tensor, groups: int, name: str = "norm") -> Tensor:
    """Normalisation over groups of channels (axis 1), with scale and shift per channel."""
    return b.add(GroupNorm(groups), x, *norm_weights(b, x.shape[1], name=name), name=name)


def pool(
    b: GraphBuilder,
    x: Tensor,
    mode: str,
    kernel: Pair,
    *,
    stride: Pair | None = None,
    padding: Pair = 0,
    ceil: bool = False,
    name: str | None = None,
) -> Tensor:
    """Pooling, ``mode`` 'max' or 'average'; the stride is the kernel unless given."""
    op = Pool(
        mode=mode,
        kernel=pair(kernel),
        stride=pair(kernel if stride is None else stride),
        padding=pair(padding),
        ceil=ceil,
    )
    return b.add(op, x, name=name)


def global_average(b: GraphBuilder, x: Tensor, name: str = "global_average") -> Tensor:
    """(batch, channels): the mean over height and width."""
    return b.add(GlobalAverage(), x, name=name)


def adaptive_average(b: GraphBuilder, x: Tensor, size: Pair, name: str = "adaptive_average") -> Tensor:
    """Mean pooling to a given size, in equal windows; raises InputError when x is smaller than that size."""
    (height, width), (rows, cols) = x.shape[2:4], pair(size)
    if height < rows or width < cols:
        raise InputError(
            f"the image is too small: {height} x {width} features where at least {rows} x {cols} are needed"
        )
    stride = (height // rows, width // cols)
    kernel = (height - (rows - 1) * stride[0], width - (cols - 1) * stride[1])
    return pool(b, x, "average", kernel, stride=stride, name=name)


def flatten(b: GraphBuilder, x: Tensor, name: str = "flatten") -> Tensor:
    """(batch, everything else)."""
    return b.add(Reshape((x.shape[0], -1)), x, name=name)


def squeeze_excite(b: GraphBuilder, x: Tensor, squeezed: int, *, act: str, gate: str, name: str = "se") -> Tensor:
    """Channels of x scaled by a gate computed from their means (Hu et al. 2018, Squeeze-and-Excitation, Fig. 2)."""
    batch, channels = x.shape[:2]
    with b.scope(name):
        y = b.add(Reshape((batch, channels, 1, 1)), global_average(b, x))
        y = activation(b, conv(b, y, squeezed, 1, name="reduce"), act)
        y = activation(b, conv(b, y, channels, 1, name="expand"), gate)
        return multiply(b, x, y)


def embedding(b: GraphBuilder, ids: Tensor, rows: int, cols: int, name: str = "embedding") -> Tensor:
    """(batch, seq, cols): rows of a table picked by ids (batch, seq)."""
    with b.scope(name):
        table = b.weight("weight", (rows, cols))
    return b.add(Embedding(), ids, table, name=name)


def split_heads(b: GraphBuilder, x: Tensor, heads: int, name: str = "heads") -> Tensor:
    """(batch, heads, seq, dim) from (batch, seq, heads dim); for one token that is a mere view."""
    batch, seq, features = x.shape
    if seq == 1 and not any(x.step):
        return b.add(Reshape((batch, heads, 1, features // heads)), x, name=f"{name}_view")
    y = b.add(Reshape((batch, -1, heads, features // heads)), x, name=f"{name}_view")
    return b.add(Transpose((0, 2, 1, 3)), y, name=name)


def merge_heads(b: GraphBuilder, x: Tensor, name: str = "merge") -> Tensor:
    """(batch, seq, heads dim) from (batch, heads, seq, dim); for one token that is a mere view."""
    batch, heads, seq, dim = x.shape
    if seq > 1 or any(x.step):
        x = b.add(Transpose((0, 2, 1, 3)), x, name=name)
    return b.add(Reshape((batch, -1, heads * dim)), x, name=f"{name}_view")


def attention(
    b: GraphBuilder,
    x: Tensor,
    heads: int,
    *,
    context: Tensor | None = None,
    kv_heads: int | None = None,
    head_dim: int | None = None,
    causal: bool = False,
    bias: bool = True,
    key_bias: bool | None = None,
    out_bias: bool | None = None,
    packed: bool = False,
    rope: Rope | None = None,
    qk_norm: bool = False,
    scores: Tensor | None = None,
    name: str = "attention",
) -> Tensor:
    """Multi-head attention of x (batch, seq, features) to itself or to ``context``, projections included.

    ``packed`` computes q, k and v with one product, as GPT-2 does; ``qk_norm`` normalises each head of q and k
    (RMS). ``key_bias`` and ``out_bias`` follow ``bias`` unless given; ``scores`` is added to the scores.
    """
    width = x.shape[-1]
    dim = head_dim or width // heads
    groups = kv_heads or heads
    source = x if context is None else context
    with b.scope(name):
        if packed:
            sizes = (heads * dim, groups * dim, groups * dim)
            joint = linear(b, x, sum(sizes), bias=bias, name="qkv")
            q, k, v = b.add_all(Split(-1, sizes), joint, name="split")
        else:
            q = linear(b, x, heads * dim, bias=bias, name="q")
            k = linear(b, source, groups * dim, bias=bias if key_bias is None else key_bias, name="k")
            v = linear(b, source, groups * dim, bias=bias, name="v")
        q = split_heads(b, q, heads, name="q_heads")
        k = split_heads(b, k, groups, name="k_heads")
        v = split_heads(b, v, groups, name="v_heads")
        if qk_norm:
            q, k = rms_norm(b, q, name="q_norm"), rms_norm(b, k, name="k_norm")
        if rope is not None:
            q, k = b.add(rope, q, name="q_rope"), b.add(rope, k, name="k_rope")
        operands = (q, k, v) if scores is None else (q, k, v, scores)
        y = merge_heads(b, b.add(Attention(causal=causal), *operands, name="attention"))
        return linear(b, y, width, bias=bias if out_bias is None else out_bias, name="out")


def mlp(b: GraphBuilder, x: Tensor, hidden: int, *, act: str = "gelu", bias: bool = True, name: str = "mlp") -> Tensor:
    """Two linear layers with an activation between; the width of x is kept."""
    width = x.shape[-1]
    with b.scope(name):
        y = activation(b, linear(b, x, hidden, bias=bias, name="up"), act)
        return linear(b, y, width, bias=bias, name="down")


def gated_mlp(
    b: GraphBuilder, x: Tensor, hidden: int, *, act: str = "silu", bias: bool = False, name: str = "mlp"
) -> Tensor:
    """down(act(gate(x)) up(x)) (Shazeer 2020, GLU Variants, Eq. 6); ``act`` is silu, gelu or gelu_tanh."""
    if act not in _GATES:
        raise unknown_name("gated activation", act, _GATES)
    width = x.shape[-1]
    with b.scope(name):
        gate = linear(b, x, hidden, bias=bias, name="gate")
        up = linear(b, x, hidden, bias=bias, name="up")
        return linear(b, b.add(_GATES[act], gate, up), width, bias=bias, name="down")
