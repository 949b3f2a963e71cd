"""A streaming Zipformer transducer in three parts: what hears, what predicts the next token, what joins the two.

Sources: Yao et al. 2024, Zipformer; Ghodsi et al. 2020, RNN-Transducer with Stateless Prediction Network, section 2;
k2-fsa/icefall, egs/librispeech/ASR/pruned_transducer_stateless7_streaming (zipformer.py, decoder.py, joiner.py), with
the sizes of k2fsa-zipformer-chinese-english-mixed.
"""

from __future__ import annotations

from dataclasses import dataclass

from hwsim.graph.graph import Graph, GraphBuilder
from hwsim.graph.tensor import Tensor
from hwsim.operators.add import Add
from hwsim.operators.concat import Concat
from hwsim.operators.conv1d import Conv1d
from hwsim.operators.cumulative import Cumulative
from hwsim.operators.expand import Expand
from hwsim.operators.matmul import Matmul
from hwsim.operators.pow import Pow
from hwsim.operators.reduce import ReduceAxes
from hwsim.operators.reshape import Reshape
from hwsim.operators.slice import Slice
from hwsim.operators.softmax import Softmax
from hwsim.operators.split import Split
from hwsim.operators.sub import Sub
from hwsim.operators.transpose import Transpose
from hwsim.workloads import layers
from hwsim.workloads.registry import Published, sources, workload

__all__ = ["zipformer_decoder", "zipformer_encoder", "zipformer_joiner"]

_SOURCE = sources(__doc__)
_HUB = "quic/ai-hub-models, model card: parameters"
_VOCABULARY, _WIDTH = 6254, 512
_FEATURES, _HEADS, _KEYS, _PLACES, _KERNEL, _CONTEXT = 384, 8, 192, 4, 31, 128
"""Width of the encoder, heads, width of keys (twice that of values), of places in a head, kernel, frames kept."""
_STACKS = ((1, 2, 1024), (2, 4, 1024), (4, 3, 1536), (8, 2, 1536), (2, 4, 1024))
"""How much slower each stack runs, its layers, the width of its perceptrons."""


def _double_swish(b: GraphBuilder, x: Tensor, name: str = "swish") -> Tensor:
    """X sigmoid(x - 1)."""
    with b.scope(name):
        gate = layers.activation(b, b.add(Sub(), x, b.state("one", (1,))), "sigmoid")
        return layers.multiply(b, x, gate)


def _norm(b: GraphBuilder, x: Tensor, name: str) -> Tensor:
    """X over the root of its mean square (BasicNorm)."""
    with b.scope(name):
        mean = b.add(ReduceAxes("mean", (-1,), True), layers.multiply(b, x, x, name="squares"))
        mean = b.add(Add(), mean, b.state("least", (1,)))
        return layers.multiply(b, x, b.add(Pow(), mean, b.state("power", (1,))))


@dataclass(frozen=True, slots=True)
class _Layer:
    """A layer of a stack that sees ``frames`` new frames and ``past`` old ones."""

    frames: int
    past: int
    hidden: int

    def __call__(self, b: GraphBuilder, x: Tensor, outputs: list[Tensor]) -> Tensor:
        first = x
        x = layers.add(b, x, self._perceptron(b, x, "forward1"))
        x = layers.add(b, x, self._pooled(b, x, outputs))
        made, shares = self._attended(b, x, outputs)
        x = layers.add(b, layers.add(b, x, made), self._convolved(b, x, "conv1", outputs))
        x = layers.add(b, x, self._perceptron(b, x, "forward2"))
        x = layers.add(b, x, self._again(b, x, shares, outputs))
        x = layers.add(b, x, self._convolved(b, x, "conv2", outputs))
        x = _norm(b, layers.add(b, x, self._perceptron(b, x, "forward3")), "norm")
        moved = layers.multiply(b, b.add(Sub(), x, first, name="moved"), b.weight("bypass", (1,)))
        return layers.add(b, first, moved)

    def _perceptron(self, b: GraphBuilder, x: Tensor, name: str) -> Tensor:
        with b.scope(name):
            y = _double_swish(b, layers.linear(b, x, self.hidden, name="up"))
            return layers.linear(b, y, _FEATURES, name="down")

    def _pooled(self, b: GraphBuilder, x: Tensor, outputs: list[Tensor]) -> Tensor:
        """The mean of all that was heard until each frame, projected."""
        with b.scope("pooling"):
            total = layers.add(b, b.add(Cumulative(axis=1), x), b.state("mean", (1, 1, _FEATURES)))
            mean = layers.multiply(b, total, b.state("shares", (1, self.frames, 1)))
            outputs.append(b.add(Slice(1, self.frames - 1, self.frames), mean))
            return layers.linear(b, mean, _FEATURES, bias=False, name="proj")

    def _remembered(self, b: GraphBuilder, x: Tensor, name: str, outputs: list[Tensor]) -> Tensor:
        """Old frames and new ones; the last of them are kept."""
        joined = b.add(Concat(1), b.state(name, (1, self.past, x.shape[2])), x, name=f"{name}_joined")
        outputs.append(b.add(Slice(1, self.frames, self.frames + self.past), joined, name=f"{name}_kept"))
        return joined

    def _heads(self, b: GraphBuilder, x: Tensor, name: str) -> Tensor:
        return layers.split_heads(b, x, _HEADS, name=name)

    def _attended(self, b: GraphBuilder, x: Tensor, outputs: list[Tensor]) -> tuple[Tensor, Tensor]:
        """Attention with scores by distance added, and its shares."""
        with b.scope("attention"):
            values = _KEYS // 2
            sizes = (_KEYS, _KEYS, values, _HEADS * _PLACES)
            q, k, v, p = b.add_all(Split(2, sizes), layers.linear(b, x, sum(sizes), name="in_proj"))
            k = self._heads(b, self._remembered(b, k, "keys", outputs), "k")
            v = self._heads(b, self._remembered(b, v, "values", outputs), "v")
            reach = self.past + 2 * self.frames - 1
            places = b.weight("places", (_HEADS * _PLACES, _FEATURES))
            far = b.add(Matmul(transpose_b=True), places, b.state("distances", (reach, _FEATURES)), name="far")
            far = b.add(Reshape((1, _HEADS, _PLACES, reach)), far)
            far = b.add(Matmul(), self._heads(b, p, "p"), far, name="far_scores")
            seen = self.past + self.frames
            shifted = b.add(Reshape((1, _HEADS, self.frames * reach)), far)
            shifted = b.add(Slice(2, 0, self.frames * seen), shifted, name="shifted")
            shifted = b.add(Reshape((1, _HEADS, self.frames, seen)), shifted)
            scores = layers.add(b, b.add(Matmul(transpose_b=True), self._heads(b, q, "q"), k, name="near"), shifted)
            shares = b.add(Softmax(), scores)
            made = layers.merge_heads(b, b.add(Matmul(), shares, v, name="read"))
            return layers.linear(b, made, _FEATURES, name="out_proj"), shares

    def _again(self, b: GraphBuilder, x: Tensor, shares: Tensor, outputs: list[Tensor]) -> Tensor:
        """The same shares of other values."""
        with b.scope("attention2"):
            v = layers.linear(b, x, _KEYS // 2, bias=False, name="in_proj")
            v = self._heads(b, self._remembered(b, v, "values", outputs), "v")
            made = layers.merge_heads(b, b.add(Matmul(), shares, v, name="read"))
            return layers.linear(b, made, _FEATURES, name="out_proj")

    def _convolved(self, b: GraphBuilder, x: Tensor, name: str, outputs: list[Tensor]) -> Tensor:
        """A gated pointwise convolution, one over the last 31 frames and another pointwise one."""
        with b.scope(name):
            y = layers.linear(b, x, 2 * _FEATURES, name="point1")
            y, gate = b.add_all(Split(2, (_FEATURES, _FEATURES)), y)
            y = b.add(Transpose((0, 2, 1)), layers.multiply(b, y, layers.activation(b, gate, "sigmoid")))
            y = b.add(Concat(2), b.state("past", (1, _FEATURES, _KERNEL - 1)), y)
            outputs.append(b.add(Slice(2, self.frames, self.frames + _KERNEL - 1), y, name="past_kept"))
            weights = b.weight("depthwise.weight", (_FEATURES, 1, _KERNEL)), b.weight("depthwise.bias", (_FEATURES,))
            y = b.add(Transpose((0, 2, 1)), b.add(Conv1d(groups=_FEATURES), y, *weights, name="depthwise"))
            return layers.linear(b, _double_swish(b, y), _FEATURES, name="point2")


def _embedded(b: GraphBuilder, sound: Tensor) -> Tensor:
    """(1, 32, 384): frames of half the rate from (1, 71, 80) by three convolutions."""
    x = b.add(Reshape((1, 1, *sound.shape[1:])), sound)
    rows = ((8, (1, 1), (0, 1)), (32, (2, 2), (0, 0)), (128, (1, 2), (0, 0)))
    for place, (channels, stride, padding) in enumerate(rows):
        x = layers.conv(b, x, channels, 3, stride=stride, padding=padding, name=f"conv{place}")
        x = _double_swish(b, x, f"swish{place}")
    x = b.add(Transpose((0, 2, 1, 3)), x)
    x = b.add(Reshape((1, x.shape[1], -1)), x)
    return _norm(b, layers.linear(b, x, _FEATURES, name="embed"), "embed_norm")


def _slower(b: GraphBuilder, x: Tensor, factor: int, name: str) -> Tensor:
    """Frames of a lower rate: weighed means of neighbours, the weights by how well a learned query fits them."""
    with b.scope(name):
        y = b.add(Reshape((1, x.shape[1] // factor, factor, _FEATURES)), x)
        fit = layers.multiply(b, y, b.weight("query", (_FEATURES,)))
        fit = b.add(Softmax(axis=2), b.add(ReduceAxes("sum", (3,), True), fit))
        return b.add(ReduceAxes("sum", (2,)), layers.multiply(b, y, fit, name="weighed"))


def _combined(b: GraphBuilder, x: Tensor, y: Tensor, name: str) -> Tensor:
    with b.scope(name):
        x = layers.multiply(b, x, b.weight("share", (1,)), name="first")
        return layers.add(b, x, layers.multiply(b, y, b.state("rest", (1,)), name="second"))


@workload(
    title="Zipformer, encoder",
    source=_SOURCE,
    item="chunk",
    published=Published(parameters=63_200_000, tolerance=0.005, source=_HUB),
)
def zipformer_encoder() -> Graph:
    """0.71 s of sound in 71 frames of 80 bands, heard after what is remembered: 15 layers at four rates."""
    b = GraphBuilder("zipformer_encoder")
    outputs: list[Tensor] = []
    x = _embedded(b, b.input("sound", (1, 71, 80)))
    found: list[Tensor] = []
    for place, (factor, depth, hidden) in enumerate(_STACKS):
        if place == 4:
            x = _combined(b, found[1], x, "skip")
        y = _slower(b, x, factor, f"down{place}") if factor > 1 else x
        layer = _Layer(y.shape[1], _CONTEXT // factor, hidden)
        for step in range(depth):
            with b.scope(f"stack{place}.{step}"):
                y = layer(b, y, outputs)
        if factor > 1:
            y = b.add(Expand((1, y.shape[1], factor, _FEATURES)), b.add(Reshape((1, y.shape[1], 1, _FEATURES)), y))
            y = layers.add(b, y, b.weight(f"up{place}", (factor, _FEATURES)))
            y = _combined(b, x, b.add(Reshape(x.shape), y), f"combine{place}")
        x = y
        found.append(x)
    x = layers.linear(b, _slower(b, x, 2, "output"), _WIDTH, name="projection")
    return b.build([x, *outputs], items=1, item="chunk")


@workload(
    title="Zipformer, decoder",
    source=_SOURCE,
    item="token",
    published=Published(parameters=3_470_000, tolerance=0.003, source=_HUB),
)
def zipformer_decoder(*, batch: int = 1, context: int = 2) -> Graph:
    """Features of the last tokens: a table, a depthwise convolution over them, a projection.

    Args:
        batch: Sequences at once.
        context: Tokens it looks back on.
    """
    b = GraphBuilder("zipformer_decoder")
    x = layers.embedding(b, b.input("ids", (batch, context), "int64"), _VOCABULARY, _WIDTH)
    x = b.add(Transpose((0, 2, 1)), x)
    x = b.add(Conv1d(groups=_WIDTH), x, b.weight("conv.weight", (_WIDTH, 1, context)), name="conv")
    x = layers.activation(b, b.add(Reshape((batch, _WIDTH)), x), "relu")
    return b.build([layers.linear(b, x, _WIDTH, name="projection")], items=batch, item="token")


@workload(
    title="Zipformer, joiner",
    source=_SOURCE,
    item="token",
    published=Published(parameters=3_210_000, tolerance=0.003, source=_HUB),
)
def zipformer_joiner(*, batch: int = 1) -> Graph:
    """Scores of the next token from features of the sound and of the last tokens.

    Args:
        batch: Sequences at once.
    """
    b = GraphBuilder("zipformer_joiner")
    x = layers.add(b, b.input("sound", (batch, _WIDTH)), b.input("tokens", (batch, _WIDTH)))
    x = layers.linear(b, layers.activation(b, x, "tanh"), _VOCABULARY, name="scores")
    return b.build([x], items=batch, item="token")
