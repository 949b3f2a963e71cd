"""Training steps: gradients against finite differences, updates by hand, memory, and what recomputation trades."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from hwsim.errors import InputError
from hwsim.functional.run import run_reference, weight_values
from hwsim.graph.graph import Graph, GraphBuilder
from hwsim.graph.tensor import Tensor
from hwsim.operators.add import Add
from hwsim.operators.append import Append
from hwsim.operators.attention import Attention
from hwsim.operators.batchnorm import BatchNorm
from hwsim.operators.concat import Concat
from hwsim.operators.conv1d import Conv1d
from hwsim.operators.conv2d import Conv2d
from hwsim.operators.conv3d import Conv3d
from hwsim.operators.conv_transpose import ConvTranspose2d
from hwsim.operators.cumulative import Cumulative
from hwsim.operators.div import Div
from hwsim.operators.elu import Elu
from hwsim.operators.embedding import Embedding
from hwsim.operators.erf import Erf
from hwsim.operators.exp import Exp
from hwsim.operators.expand import Expand
from hwsim.operators.gelu import Gelu
from hwsim.operators.gelu_mul import GeluMul
from hwsim.operators.gemm import Gemm
from hwsim.operators.global_average import GlobalAverage
from hwsim.operators.groupnorm import GroupNorm
from hwsim.operators.hardsigmoid import HardSigmoid
from hwsim.operators.hardswish import HardSwish
from hwsim.operators.layernorm import LayerNorm
from hwsim.operators.leaky_relu import LeakyRelu
from hwsim.operators.linear import Linear
from hwsim.operators.log import Log
from hwsim.operators.matmul import Matmul
from hwsim.operators.mish import Mish
from hwsim.operators.mul import Mul
from hwsim.operators.pad import Pad
from hwsim.operators.pooling import Pool
from hwsim.operators.pow import Pow
from hwsim.operators.quick_gelu import QuickGelu
from hwsim.operators.reciprocal import Reciprocal
from hwsim.operators.reduce import ReduceAxes
from hwsim.operators.relu import Relu
from hwsim.operators.relu6 import Relu6
from hwsim.operators.reshape import Reshape
from hwsim.operators.rmsnorm import RmsNorm
from hwsim.operators.rope import Rope
from hwsim.operators.scale_shift import ScaleShift
from hwsim.operators.sigmoid import Sigmoid
from hwsim.operators.silu import Silu
from hwsim.operators.silu_mul import SiluMul
from hwsim.operators.slice import Slice
from hwsim.operators.softmax import Softmax
from hwsim.operators.softplus import Softplus
from hwsim.operators.split import Split
from hwsim.operators.sqrt import Sqrt
from hwsim.operators.sub import Sub
from hwsim.operators.tanh import Tanh
from hwsim.operators.tile import Tile
from hwsim.operators.transpose import Transpose
from hwsim.operators.upsample import Resize
from hwsim.passes import PASSES
from hwsim.passes.backward import backward, trained
from hwsim.workloads.registry import WORKLOADS
from tests.passes.drawn import drawn_inputs

Build = Callable[[GraphBuilder], Tensor]


def _agrees_with_differences(graph: Graph, **options: object) -> None:
    """Derivatives along random directions in all weights: gradient times direction against a central difference."""
    step = backward(graph, optimizer="none", **options)
    inputs = drawn_inputs(step)
    weights = {name: array.astype(np.float64) for name, array in weight_values(graph, 3).items()}
    names = [name for name in trained(graph) if name in step.tensors]
    found = run_reference(step, inputs | weights, seed=3)
    gradients = [found[name] for name in step.outputs[1:]]
    assert len(gradients) == len(names) > 0
    generator = np.random.default_rng(1)
    for _ in range(3):
        direction = {n: generator.standard_normal(weights[n].shape) * np.abs(weights[n]).mean() for n in names}

        def loss(scale: float, direction: dict[str, np.ndarray] = direction) -> float:
            moved = {name: weights[name] + scale * direction[name] for name in names}
            return float(run_reference(step, inputs | weights | moved, seed=3)["loss"][0])

        slope = (loss(1e-6) - loss(-1e-6)) / 2e-6
        along = sum(float((g * direction[name]).sum()) for g, name in zip(gradients, names, strict=True))
        assert along == pytest.approx(slope, rel=2e-4, abs=1e-7)


def _after(op: object, *shape: int) -> Build:
    """A function between a layer with weights and the loss."""

    def build(b: GraphBuilder) -> Tensor:
        x = b.add(Mul(), b.input("x", shape), b.weight("w", shape))
        return b.add(op, x)

    return build


def _linear(b: GraphBuilder) -> Tensor:
    x = b.add(Linear(), b.input("x", (2, 3, 4)), b.weight("w1", (5, 4)), b.weight("b1", (5,)))
    return b.add(Linear(), x, b.weight("w2", (4, 5)))


def _products(b: GraphBuilder) -> Tensor:
    """Every way to transpose both sides, shared and batched right sides."""
    x = b.add(Mul(), b.input("x", (2, 3, 4)), b.weight("s", (2, 3, 4)))
    y = b.add(Matmul(), x, b.weight("w1", (4, 5)))
    y = b.add(Matmul(transpose_b=True), y, b.weight("w2", (6, 5)))
    y = b.add(Matmul(), y, b.weight("w3", (2, 6, 5)))
    y = b.add(Matmul(transpose_a=True), y, b.weight("w4", (2, 3, 4)))
    y = b.add(Matmul(transpose_a=True, transpose_b=True), y, b.weight("w5", (2, 3, 5)))
    return b.add(Matmul(transpose_b=True), b.weight("w6", (3, 4)), b.add(Transpose((0, 2, 1)), y))


def _gemms(b: GraphBuilder) -> Tensor:
    y = b.add(Gemm(alpha=0.5, beta=2.0), b.input("x", (3, 4)), b.weight("w1", (4, 5)), b.weight("c", (5,)))
    y = b.add(Gemm(transpose_b=True), y, b.weight("w2", (3, 5)))
    y = b.add(Gemm(transpose_a=True), y, b.weight("w3", (3, 4)))
    return b.add(Gemm(transpose_a=True, transpose_b=True), y, b.weight("w4", (6, 3)))


def _convolutions(b: GraphBuilder) -> Tensor:
    x = b.input("x", (2, 4, 7, 6))
    vectors = [b.weight("gamma", (6,)), b.weight("beta", (6,)), b.state("m", (6,)), b.state("v", (6,))]
    conv = Conv2d(stride=(2, 1), padding=(1, 0, 2, 1), groups=2)
    y = b.add(conv, x, b.weight("w1", (6, 2, 3, 3)), b.weight("b1", (6,)))
    y = b.add(Relu(), b.add(BatchNorm(), y, *vectors))
    y = b.add(Conv2d(padding=(2, 2), dilation=(2, 2), groups=6), y, b.weight("w2", (6, 1, 3, 3)))
    y = b.add(Pool("max", (3, 3), (2, 2), (1, 1)), y)
    y = b.add(Pool("average", (2, 2), (1, 1), (1, 0), ceil=True), y)
    return b.add(GlobalAverage(), y)


def _other_convolutions(b: GraphBuilder) -> Tensor:
    y = b.add(Conv3d(stride=(1, 2, 2)), b.input("x", (1, 2, 3, 5, 5)), b.weight("w1", (4, 2, 2, 3, 3)))
    y = b.add(Conv3d(), y, b.weight("w2", (3, 4, 1, 2, 2)))
    y = b.add(Conv1d(stride=2, padding=1), b.add(Reshape((1, 3, -1)), y), b.weight("w3", (4, 3, 2)))
    return b.add(ReduceAxes("mean", (2,)), y)


def _attention(b: GraphBuilder) -> Tensor:
    x = b.add(Embedding(), b.input("ids", (2, 6), "int32"), b.weight("table", (11, 8)))
    x = b.add(LayerNorm(), x, b.weight("g", (8,)), b.weight("h", (8,)))
    q, k, v = b.add_all(Split(2, (8, 4, 4)), b.add(Linear(), x, b.weight("qkv", (16, 8))))
    heads = [b.add(Transpose((0, 2, 1, 3)), b.add(Reshape((2, 6, n, 4)), t)) for t, n in ((q, 2), (k, 1), (v, 1))]
    heads[:2] = [b.add(Rope(), heads[0]), b.add(Rope(interleaved=True), heads[1])]
    y = b.add(Reshape((2, 6, 8)), b.add(Transpose((0, 2, 1, 3)), b.add(Attention(causal=True), *heads)))
    y = b.add(RmsNorm(), b.add(Add(), x, y), b.weight("r", (8,)))
    gate, up = (b.add(Linear(), y, b.weight(n, (12, 8))) for n in ("gate", "up"))
    y = b.add(Linear(), b.add(SiluMul(), gate, up), b.weight("down", (8, 12)))
    return b.add(Linear(), b.add(GeluMul(), y, y), b.weight("head", (5, 8)))


def _denoiser(b: GraphBuilder) -> Tensor:
    x = b.input("x", (1, 4, 4, 4))
    y = b.add(Conv2d(padding=(1, 1)), x, b.weight("w1", (8, 4, 3, 3)))
    y = b.add(Silu(), b.add(GroupNorm(groups=2), y, b.weight("g", (8,)), b.weight("h", (8,))))
    down = b.add(Conv2d(stride=(2, 2), padding=(1, 1)), y, b.weight("w2", (8, 8, 3, 3)))
    y = b.add(Concat(1), b.add(Resize(), down), y)
    y = b.add(ScaleShift(), y, b.weight("scale", (16, 1, 1)), b.weight("shift", (16, 1, 1)))
    return b.add(Conv2d(), y, b.weight("w3", (4, 16, 1, 1)))


def _layout(b: GraphBuilder) -> Tensor:
    x = b.add(Add(), b.input("x", (2, 6)), b.weight("w", (6,)))
    first, _, last = b.add_all(Split(1, (2, 1, 3)), x)
    y = b.add(Concat(1), b.add(Slice(1, 1, 3), last), b.add(Pad(((0, 0), (1, 0))), first))
    y = b.add(Sub(), b.add(Expand((2, 5)), b.add(ReduceAxes("sum", (1,), keepdims=True), y)), y)
    y = b.add(Div(), y, b.add(Exp(), b.weight("d", (2, 1))))
    return b.add(Div(3.0), b.add(Sub(1.0), b.add(Mul(), y, b.weight("m", (1, 5)))))


def _roots(b: GraphBuilder) -> Tensor:
    x = b.add(Exp(), b.add(Mul(), b.input("x", (3, 4)), b.weight("w", (3, 4))))
    return b.add(Reciprocal(), b.add(Add(2.0), b.add(Log(), b.add(Add(1.0), b.add(Sqrt(), x)))))


def _pools(b: GraphBuilder) -> Tensor:
    """Windows in one and three dimensions, apart, partial, with and without padding in the average."""
    x = b.add(Mul(), b.input("x", (2, 3, 4, 5, 6)), b.weight("w", (2, 3, 4, 5, 6)))
    y = b.add(Pool("max", (2, 2, 2), (1, 1, 2), (0, 1, 1), dilation=(2, 1, 1)), x)
    y = b.add(Reshape((2, 3, -1)), y)
    y = b.add(Pool("average", (3,), (2,), (1, 1), ceil=True, count_padding=True), y)
    return b.add(ReduceAxes("mean", (2,)), y)


def _decoder(b: GraphBuilder) -> Tensor:
    """Transposed convolutions and interpolation, and a cache in front of attention."""
    x = b.input("x", (1, 4, 3, 2))
    up = ConvTranspose2d((2, 2), (1, 0), (1, 0), groups=2)
    y = b.add(up, x, b.weight("w1", (4, 3, 3, 3)), b.weight("b1", (6,)))
    y = b.add(ConvTranspose2d(dilation=(2, 1)), y, b.weight("w2", (6, 2, 2, 2)))
    y = b.add(Resize((1.5, 2.0), mode="bilinear"), y)
    y = b.add(Reshape((1, 1, -1, 4)), b.add(Slice(3, 0, 12), y))
    k = b.add(Append(2), b.state("cache", (1, 1, 5, 4)), y)
    return b.add(Attention(), y, k, k)


def _softmax(b: GraphBuilder) -> Tensor:
    x = b.add(Matmul(), b.input("x", (3, 4)), b.weight("w", (4, 5)))
    return b.add(Matmul(), b.add(Softmax(), x), b.weight("v", (5, 3)))


GRAPHS: dict[str, Build] = {
    "linear": _linear,
    "products": _products,
    "gemms": _gemms,
    "convolutions": _convolutions,
    "other_convolutions": _other_convolutions,
    "attention": _attention,
    "decoder": _decoder,
    "denoiser": _denoiser,
    "layout": _layout,
    "pools": _pools,
    "roots": _roots,
    "softmax": _softmax,
    **{
        type(op).__name__: _after(op, 4, 6)
        for op in (
            Elu(0.5),
            Erf(),
            Mish(),
            Pow(3.0),
            Softplus(),
            Gelu(),
            Sigmoid(),
            Tanh(),
            Silu(),
            QuickGelu(),
            HardSwish(),
            HardSigmoid(),
            LeakyRelu(),
            Relu6(),
            Exp(),
        )
    },
    "gelu_tanh": _after(Gelu(approximate=True), 4, 6),
}


def _built(build: Build) -> Graph:
    b = GraphBuilder("g")
    return b.build([build(b)])


@pytest.mark.parametrize("recompute", [False, True])
@pytest.mark.parametrize("name", GRAPHS)
def test_gradients_agree_with_finite_differences(name: str, recompute: bool) -> None:
    _agrees_with_differences(_built(GRAPHS[name]), recompute=recompute)


@pytest.mark.parametrize("loss", ["cross_entropy", "mse"])
def test_both_losses_have_right_gradients(loss: str) -> None:
    _agrees_with_differences(_built(_linear), loss=loss)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "at"),
    [
        ("resnet18", {"height": 32, "width": 32}),
        ("mobilenet_v3_small", {"height": 32, "width": 32}),
        ("convnext_tiny", {"height": 32, "width": 32}),
    ],
)
def test_gradients_of_whole_networks_agree_with_finite_differences(name: str, at: dict[str, int]) -> None:
    _agrees_with_differences(WORKLOADS[name].build(**at, batch=8))  # batch norm of two samples is all kinks


def test_the_loss_of_a_uniform_guess_is_the_logarithm_of_the_classes() -> None:
    b = GraphBuilder("g")
    graph = b.build([b.add(Linear(), b.input("x", (1, 2)), b.weight("w", (8, 2)))])
    values = run_reference(backward(graph), {"x": np.ones((1, 2)), "w": np.zeros((8, 2)), "labels": np.array([3])})
    assert values["loss"] == pytest.approx(np.log(8))


def _one_weight(optimizer: str) -> np.ndarray:
    """Loss = (3 w - 6)^2 at w = 1: gradient 2 (3 - 6) 3 = -18."""
    b = GraphBuilder("g")
    graph = b.build([b.add(Linear(), b.input("x", (1, 1)), b.weight("w", (1, 1)))])
    step = backward(graph, optimizer=optimizer, loss="mse")
    zero, one = np.zeros((1, 1)), np.ones((1, 1))
    states = {t.name: zero for t in step.tensors.values() if t.role == "state"}
    values = run_reference(step, {"x": 3 * one, "w": one, "target": 6 * one, **states})
    assert values["loss"] == pytest.approx(9.0)
    return values[step.outputs[1]]


def test_an_update_by_hand() -> None:
    """SGD moves by 0.01 x 18; the first step of Adam by its rate (Kingma and Ba, 2015, section 2.1)."""
    assert _one_weight("none") == pytest.approx(-18)
    assert _one_weight("sgd") == pytest.approx(1.18)
    assert _one_weight("adam") == pytest.approx(1.001)


def test_training_lowers_the_loss() -> None:
    graph = _built(_linear)
    step = backward(graph, optimizer="sgd")
    inputs = drawn_inputs(step)
    values = {t.name: np.zeros(t.shape) for t in step.tensors.values() if t.role == "state"}
    values |= weight_values(graph)
    losses = []
    for _ in range(20):
        made = run_reference(step, inputs | values)
        losses.append(float(made["loss"][0]))
        for node in step.nodes:
            if node.name.endswith(".update"):
                values[node.inputs[0]] = made[node.outputs[0]]
    assert losses[-1] < losses[0] - 0.01
    assert losses == sorted(losses, reverse=True)


def test_narrow_weights_are_kept_in_fp32_unless_somebody_says_no() -> None:
    graph = _built(_linear).with_scheme("bf16")
    assert backward(graph).tensors["w1"].type.format == "fp32"
    assert backward(graph, master=False).tensors["w1"].type.format == "bf16"
    assert backward(graph, master=False).tensors["w1.mean"].type.format == "bf16"
    assert "w1.copy" not in backward(_built(_linear).with_scheme("fp32")).tensors


def test_a_step_can_be_fused_like_any_graph() -> None:
    step = backward(_built(_convolutions), optimizer="none")
    inputs = drawn_inputs(step)
    for name in PASSES:
        after = run_reference(PASSES[name](step), inputs)
        for key, value in run_reference(step, inputs).items():
            assert np.allclose(after[key], value, rtol=1e-5, atol=1e-6), (name, key)


def test_operators_without_a_gradient_are_named_all_at_once() -> None:
    b = GraphBuilder("g")
    x = b.add(Mul(), b.input("x", (2, 3)), b.weight("w", (2, 3)))
    graph = b.build([b.add(Add(), b.add(Tile((1, 1)), x), b.add(Cumulative(), x))])
    with pytest.raises(InputError, match="operators without a gradient: cumulative, tile"):
        backward(graph)
    b = GraphBuilder("g")
    x = b.add(Mul(), b.input("x", (2, 3)), b.weight("w", (2, 3)))
    with pytest.raises(InputError, match="node 'reduce': no gradient of reduce max is known"):
        backward(b.build([b.add(ReduceAxes("max", (0,), keepdims=True), x)]))


def test_phases_integers_and_graphs_without_weights_are_refused() -> None:
    with pytest.raises(InputError, match=r"several phases \(prefill x1, decode x.*'backward:phase=decode'"):
        backward(WORKLOADS["gpt2"].build())
    with pytest.raises(InputError, match="has no phase 'train'"):
        backward(WORKLOADS["gpt2"].build(), phase="train")
    with pytest.raises(InputError, match="train in fp32, bf16 or fp16"):
        backward(_built(_linear).with_scheme("w8a8"))
    b = GraphBuilder("g")
    with pytest.raises(InputError, match="no weight has a part"):
        backward(b.build([b.add(Relu(), b.input("x", (2, 2)))]))


def test_gradients_may_be_added_to_those_of_earlier_steps() -> None:
    """Three weights: three sums more, whose other operands are states."""
    plain = backward(_built(_linear), optimizer="none")
    added = backward(_built(_linear), optimizer="none", accumulate=True)
    assert [name for name in added.outputs if name.endswith(".accumulated")]
    states = {t.name: t.shape for t in added.tensors.values() if t.role == "state"}
    assert len(added.nodes) - len(plain.nodes) == len(states) == 3
