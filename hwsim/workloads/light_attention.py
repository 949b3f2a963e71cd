"""Convolutions first, attention on few positions last: LeViT and EfficientFormer.

Sources: Graham et al. 2021, LeViT: a Vision Transformer in ConvNet's Clothing, Fig. 4 and Table 2; Li et al. 2022,
EfficientFormer: Vision Transformers at MobileNet Speed, Fig. 3 and appendix. Both have two classifiers whose scores are
averaged.
"""

from __future__ import annotations

from dataclasses import dataclass

from hwsim.graph.graph import GraphBuilder
from hwsim.graph.tensor import Tensor
from hwsim.operators.matmul import Matmul
from hwsim.operators.reduce import ReduceAxes
from hwsim.operators.reshape import Reshape
from hwsim.operators.slice import Slice
from hwsim.operators.softmax import Softmax
from hwsim.operators.split import Split
from hwsim.operators.sub import Sub
from hwsim.operators.transpose import Transpose
from hwsim.workloads import layers
from hwsim.workloads.families import image_network
from hwsim.workloads.registry import Published, sources

__all__: list[str] = []


def _positions(b: GraphBuilder, x: Tensor) -> Tensor:
    """(batch, positions, channels) of an image's features."""
    return b.add(Transpose((0, 2, 1)), b.add(Reshape((*x.shape[:2], -1)), x))


def _heads(b: GraphBuilder, x: Tensor, heads: int, name: str) -> Tensor:
    return layers.split_heads(b, x, heads, name=name)


def _attended(b: GraphBuilder, q: Tensor, k: Tensor, v: Tensor, name: str) -> Tensor:
    """(batch, queries, heads width) with a bias for each pair of positions, learned by distance and stored."""
    scores = b.add(Matmul(transpose_b=True), q, k, name=f"{name}_scores")
    bias = b.state(f"{name}_bias", (1, q.shape[1], q.shape[2], k.shape[2]))
    b.weight(f"{name}_distances", (q.shape[1], k.shape[2]))
    weights = b.add(Softmax(), layers.add(b, scores, bias, name=f"{name}_biased"))
    return layers.merge_heads(b, b.add(Matmul(), weights, v, name=f"{name}_values"), name=f"{name}_merge")


def _classified(b: GraphBuilder, x: Tensor, classes: int, *, normed: bool) -> Tensor:
    """The mean of two classifiers on the mean over positions."""
    mean = b.add(ReduceAxes("mean", (1,)), x, name="mean")
    parts = []
    for name in ("head", "distilled"):
        y = layers.batch_norm(b, mean, f"{name}_bn") if normed else mean
        parts.append(layers.linear(b, y, classes, name=name))
    return layers.multiply(b, layers.add(b, parts[0], parts[1], name="both"), b.state("half", (1,)), name="halved")


def _folded(b: GraphBuilder, x: Tensor, channels: int, name: str) -> Tensor:
    """A linear layer with batch normalisation, which folds into it."""
    return layers.linear(b, x, channels, name=name)


@dataclass(frozen=True, slots=True)
class _Levit:
    """Widths, heads and blocks of three stages; keys are ``key`` wide, values twice that, or four times between."""

    widths: tuple[int, int, int]
    heads: tuple[int, int, int]
    depths: tuple[int, int, int]
    key: int = 16

    def __call__(self, b: GraphBuilder, image: Tensor, classes: int) -> Tensor:
        x, width = image, self.widths[0]
        for place, channels in enumerate((width // 8, width // 4, width // 2, width)):
            x = layers.conv_bn_act(
                b, x, channels, 3, stride=2, act="" if place == 3 else "hardswish", name=f"stem{place}"
            )
        side = x.shape[2]
        x = _positions(b, x)
        for stage, (width, heads, depth) in enumerate(zip(self.widths, self.heads, self.depths, strict=True)):
            if stage:
                with b.scope(f"down{stage}"):
                    x, side = self._shrunk(b, x, side, width)
            for place in range(depth):
                with b.scope(f"stage{stage}.{place}"):
                    x = layers.add(b, x, self._attention(b, x, heads), name="add1")
                    x = layers.add(b, x, self._mlp(b, x), name="add2")
        return _classified(b, x, classes, normed=True)

    def _mlp(self, b: GraphBuilder, x: Tensor) -> Tensor:
        y = layers.activation(b, _folded(b, x, 2 * x.shape[-1], "up"), "hardswish")
        return _folded(b, y, x.shape[-1], "down")

    def _attention(self, b: GraphBuilder, x: Tensor, heads: int) -> Tensor:
        joined = _heads(b, _folded(b, x, heads * 4 * self.key, "qkv"), heads, "qkv_heads")
        q, k, v = b.add_all(Split(3, (self.key, self.key, 2 * self.key)), joined)
        y = layers.activation(b, _attended(b, q, k, v, "attention"), "hardswish")
        return _folded(b, y, x.shape[-1], "out")

    def _shrunk(self, b: GraphBuilder, x: Tensor, side: int, width: int) -> tuple[Tensor, int]:
        """Attention whose queries are every second position of every second row."""
        heads, inner = x.shape[-1] // self.key, x.shape[-1]
        joined = _heads(b, _folded(b, x, heads * 5 * self.key, "kv"), heads, "kv_heads")
        k, v = b.add_all(Split(3, (self.key, 4 * self.key)), joined)
        grid = b.add(Reshape((x.shape[0], side, side, inner)), x)
        few = b.add(Slice(2, 0, side, 2), b.add(Slice(1, 0, side, 2), grid))
        fewer = few.shape[1]
        q = _heads(b, _folded(b, b.add(Reshape((x.shape[0], -1, inner)), few), heads * self.key, "q"), heads, "q_heads")
        y = _folded(b, layers.activation(b, _attended(b, q, k, v, "attention"), "hardswish"), width, "out")
        return layers.add(b, y, self._mlp(b, y), name="add"), fewer


@dataclass(frozen=True, slots=True)
class _EfficientFormer:
    """Widths and blocks of four stages; the last ``attending`` blocks attend, all others pool."""

    widths: tuple[int, int, int, int]
    depths: tuple[int, int, int, int]
    attending: int

    def __call__(self, b: GraphBuilder, image: Tensor, classes: int) -> Tensor:
        x = layers.conv_bn_act(b, image, self.widths[0] // 2, 3, stride=2, name="stem0")
        x = layers.conv_bn_act(b, x, self.widths[0], 3, stride=2, name="stem1")
        for stage, (width, depth) in enumerate(zip(self.widths, self.depths, strict=True)):
            if stage:
                x = layers.conv(b, x, width, 3, stride=2, name=f"down{stage}")
                x = layers.batch_norm(b, x, f"down{stage}_bn")
            for place in range(depth - (self.attending if stage == 3 else 0)):
                with b.scope(f"stage{stage}.{place}"):
                    x = self._pooled(b, x)
        x = _positions(b, x)
        for place in range(self.attending):
            with b.scope(f"attention{place}"):
                x = self._attended(b, x)
        return _classified(b, layers.layer_norm(b, x), classes, normed=False)

    def _scaled(self, b: GraphBuilder, x: Tensor, y: Tensor, name: str) -> Tensor:
        shape = (x.shape[1], 1, 1) if len(x.shape) == 4 else (x.shape[2],)
        return layers.add(b, x, layers.multiply(b, y, b.weight(f"{name}.scale", shape), name=f"{name}_scale"), name)

    def _pooled(self, b: GraphBuilder, x: Tensor) -> Tensor:
        y = b.add(Sub(), layers.pool(b, x, "average", 3, stride=1, padding=1), x, name="mixed")
        x = self._scaled(b, x, y, "mix")
        y = layers.conv(b, x, 4 * x.shape[1], 1, name="up")
        y = layers.activation(b, layers.batch_norm(b, y, "up_bn"), "gelu")
        y = layers.batch_norm(b, layers.conv(b, y, x.shape[1], 1, name="down"), "down_bn")
        return self._scaled(b, x, y, "feed")

    def _attended(self, b: GraphBuilder, x: Tensor) -> Tensor:
        heads, key = 8, 32
        y = layers.linear(b, layers.layer_norm(b, x, name="norm1"), heads * 6 * key, name="qkv")
        q, k, v = b.add_all(Split(3, (key, key, 4 * key)), _heads(b, y, heads, "heads"))
        x = self._scaled(b, x, layers.linear(b, _attended(b, q, k, v, "mix"), x.shape[-1], name="out"), "add1")
        y = layers.mlp(b, layers.layer_norm(b, x, name="norm2"), 4 * x.shape[-1])
        return self._scaled(b, x, y, "add2")


for _name, _title, _network, _parameters, _macs, _source in (
    (
        *("levit_128s", "LeViT-128S", _Levit((128, 256, 384), (4, 6, 8), (2, 3, 4)), 7.8e6, 305e6),
        "Graham et al. 2021, Table 3: 7.8 M, 305 MFLOP",
    ),
    (
        *("efficientformer_l1", "EfficientFormer-L1", _EfficientFormer((48, 96, 224, 448), (3, 2, 6, 4), 1)),
        *(12.3e6, 1.3e9, "Li et al. 2022, Table 1: 12.3 M, 1.3 GMACs"),
    ),
    (
        *("efficientformer_l3", "EfficientFormer-L3", _EfficientFormer((64, 128, 320, 512), (4, 4, 12, 6), 4)),
        *(31.3e6, 3.9e9, "Li et al. 2022, Table 1: 31.3 M, 3.9 GMACs"),
    ),
):
    image_network(
        _name,
        _network,
        title=_title,
        source=sources(__doc__, before="Both have"),
        published=Published(parameters=int(_parameters), macs=_macs, tolerance=0.03, source=_source),
    )
