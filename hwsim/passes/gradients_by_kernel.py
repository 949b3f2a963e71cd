"""How gradients flow back through operators whose gradients are kernels of their own."""

from __future__ import annotations

import math
from dataclasses import replace

from hwsim.graph.tensor import Tensor
from hwsim.operators.append import Append
from hwsim.operators.attention import Attention
from hwsim.operators.attention_grad import AttentionGrad
from hwsim.operators.batchnorm_train import BatchNormTrain
from hwsim.operators.causal_mask import CausalMask
from hwsim.operators.conv1d import Conv1d
from hwsim.operators.conv2d import Conv2d
from hwsim.operators.conv3d import Conv3d
from hwsim.operators.conv_input_grad import ConvInputGrad
from hwsim.operators.conv_transpose import ConvTranspose2d
from hwsim.operators.conv_weight_grad import ConvWeightGrad
from hwsim.operators.embedding import Embedding
from hwsim.operators.embedding_grad import EmbeddingGrad
from hwsim.operators.expand import Expand
from hwsim.operators.fake_quantize import FakeQuantize
from hwsim.operators.global_average import GlobalAverage
from hwsim.operators.groupnorm import GroupNorm
from hwsim.operators.layernorm import LayerNorm
from hwsim.operators.mul import Mul
from hwsim.operators.norm_grad import NormGrad
from hwsim.operators.pooling import Pool
from hwsim.operators.pooling_grad import PoolingGrad
from hwsim.operators.reduce import ReduceAxes
from hwsim.operators.rmsnorm import RmsNorm
from hwsim.operators.rope import Rope
from hwsim.operators.slice import Slice
from hwsim.operators.softmax import Softmax
from hwsim.operators.softmax_grad import SoftmaxGrad
from hwsim.operators.sparsify import Sparsify
from hwsim.operators.upsample import Resize
from hwsim.operators.upsample_grad import UpsampleGrad
from hwsim.passes.gradients import Flow, Gradients, rule

__all__: list[str] = []


@rule(Conv1d, Conv2d, Conv3d)
def _convolution(flow: Flow) -> Gradients:
    x, w, *bias = flow.inputs
    found: list[Tensor | None] = [None] * len(flow.inputs)
    if flow.needs[0]:
        found[0] = flow.add(ConvInputGrad(flow.op, x.shape[2:]), [flow.dy, w], "x")
    if flow.needs[1]:
        found[1] = flow.add(ConvWeightGrad(flow.op, w.shape[2:]), [flow.dy, x], "w")
    if bias and flow.needs[2]:
        axes = (0, *range(2, len(x.shape)))
        found[2] = flow.add(ReduceAxes("sum", axes), [flow.dy], "bias")
    return found


@rule(ConvTranspose2d)
def _transposed_convolution(flow: Flow) -> Gradients:
    """The convolution whose gradient by its input it is: dy is that one's input, x its output."""
    op, (x, w, *bias), dy = flow.op, flow.inputs, flow.dy
    forward = Conv2d(op.stride, op.padding, op.dilation, op.groups)
    found: list[Tensor | None] = [None] * len(flow.inputs)
    if flow.needs[0]:
        found[0] = flow.add(forward, [dy, w], "x")
    if flow.needs[1]:
        found[1] = flow.add(ConvWeightGrad(forward, w.shape[2:]), [x, dy], "w")
    if bias and flow.needs[2]:
        found[2] = flow.add(ReduceAxes("sum", (0, 2, 3)), [dy], "bias")
    return found


@rule(BatchNormTrain, GroupNorm, LayerNorm, RmsNorm)
def _norm(flow: Flow) -> Gradients:
    x, *affine = flow.inputs
    made = flow.add_all(NormGrad(flow.op, len(affine)), [flow.dy, x, *affine[:1]], "x")
    return [gradient if needed else None for gradient, needed in zip(made, flow.needs, strict=True)]


@rule(Pool)
def _pool(flow: Flow) -> Gradients:
    dy = flow.dys[0]
    if dy is None or flow.op.mode not in ("max", "average"):
        raise KeyError(f"pooling {flow.op.mode}")
    return [flow.add(PoolingGrad(flow.op), [dy, flow.inputs[0]], "x")]


@rule(GlobalAverage)
def _global_average(flow: Flow) -> Gradients:
    x = flow.inputs[0]
    small = flow.add(Mul(1.0 / math.prod(x.shape[2:])), [flow.dy], "share")
    kept = flow.shaped(small, (*x.shape[:2], *(1 for _ in x.shape[2:])), "kept")
    return [flow.add(Expand(x.shape), [kept], "x")]


@rule(Softmax)
def _softmax(flow: Flow) -> Gradients:
    return [flow.add(SoftmaxGrad(flow.op.axis), [flow.dy, flow.outputs[0]], "x")]


@rule(CausalMask)
def _masked(flow: Flow) -> Gradients:
    return [flow.dy]  # the softmax behind it gives masked scores no weight, so nothing comes back to them


@rule(Attention)
def _attention(flow: Flow) -> Gradients:
    return flow.add_all(AttentionGrad(flow.op.causal), [flow.dy, *flow.inputs], "qkv")


@rule(Append)
def _append(flow: Flow) -> Gradients:
    """Entries that were there before are not trained."""
    start = flow.inputs[0].shape[flow.op.axis]
    return [None, flow.add(Slice(flow.op.axis, start, None), [flow.dy], "new")]


@rule(Embedding)
def _embedding(flow: Flow) -> Gradients:
    ids, table = flow.inputs
    return [None, flow.add(EmbeddingGrad(table.shape[0]), [flow.dy, ids], "table")]


@rule(FakeQuantize, Sparsify)
def _straight_through(flow: Flow) -> Gradients:
    """As if nothing had been rounded (Bengio et al., Estimating Gradients Through Stochastic Neurons, 2013)."""
    return [flow.dy]


@rule(Rope)
def _rope(flow: Flow) -> Gradients:
    op = replace(flow.op, backwards=not flow.op.backwards)
    return [flow.add(op, [flow.dy, *flow.inputs[1:]], "x"), *(None for _ in flow.inputs[1:])]


@rule(Resize)
def _upsample(flow: Flow) -> Gradients:
    return [flow.add(UpsampleGrad(flow.op, flow.inputs[0].shape[2:]), [flow.dy], "x")]
