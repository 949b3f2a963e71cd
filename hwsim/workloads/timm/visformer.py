"""Visformers, ConViTs and TNTs, vision transformers with convolutions or pixels inside, by the names of timm."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from hwsim.graph.graph import GraphBuilder
from hwsim.graph.tensor import Tensor
from hwsim.operators.concat import Concat
from hwsim.operators.div import Div
from hwsim.operators.expand import Expand
from hwsim.operators.matmul import Matmul
from hwsim.operators.mul import Mul
from hwsim.operators.reduce import ReduceAxes
from hwsim.operators.reshape import Reshape
from hwsim.operators.slice import Slice
from hwsim.operators.softmax import Softmax
from hwsim.operators.split import Split
from hwsim.operators.sub import Sub
from hwsim.operators.transpose import Transpose
from hwsim.operators.unfold import Unfold
from hwsim.workloads import image_layers, layers
from hwsim.workloads.families import ImageFamily, Sized

__all__ = ["FAMILIES", "ConViT", "TransformerInTransformer", "Visformer"]


def _weights(b: GraphBuilder, q: Tensor, k: Tensor) -> Tensor:
    """The softmax of scaled scores, kernel by kernel."""
    scores = b.add(Mul(q.shape[-1] ** -0.5), b.add(Matmul(transpose_b=True), q, k, name="scores"), name="scaled")
    return b.add(Softmax(), scores, name="weights")


def _with_token(b: GraphBuilder, x: Tensor) -> Tensor:
    batch, _, width = x.shape
    token = b.weight("class_token", (1, 1, width))
    return b.add(Concat(1), b.add(Expand((batch, 1, width)), token) if batch > 1 else token, x, name="with_token")


def _first(b: GraphBuilder, x: Tensor) -> Tensor:
    return b.add(Reshape((x.shape[0], x.shape[2])), b.add(Slice(1, 0, 1), x))


@dataclass(frozen=True, slots=True)
class Visformer:
    """Width of the last two thirds, heads, channels of the stem (Chen et al. 2021, Visformer, Table 4)."""

    width: int
    heads: int
    stem: int

    def __call__(self, b: GraphBuilder, image: Tensor, classes: int) -> Tensor:
        """Logits (batch, classes)."""
        x = layers.conv_bn_act(b, image, self.stem, 7, stride=2, name="stem")
        for stage, depth in enumerate((7, 4, 4)):
            with b.scope(f"stage{stage}"):
                side = 2 if stage else 4
                x = layers.conv(b, x, (self.width // 2) << stage, side, stride=side, padding=0, name="patches")
                x = layers.batch_norm(b, x, name="patches_bn")
                x = layers.add(b, x, b.weight("positions", (1, *x.shape[1:])), name="add_positions")
                for place in range(depth):
                    with b.scope(f"block{place}"):
                        x = self._convolved(b, x) if stage == 0 else self._attended(b, x)
        x = layers.batch_norm(b, x, name="norm")
        return layers.linear(b, layers.global_average(b, x), classes, name="head")

    def _convolved(self, b: GraphBuilder, x: Tensor) -> Tensor:
        width = x.shape[1]
        y = layers.conv(b, layers.batch_norm(b, x, name="norm"), 2 * width, 1, bias=False, name="conv1")
        y = layers.conv(b, layers.activation(b, y, "gelu"), 2 * width, 3, groups=8, bias=False, name="conv2")
        return layers.add(b, x, layers.conv(b, layers.activation(b, y, "gelu"), width, 1, bias=False, name="conv3"))

    def _attended(self, b: GraphBuilder, x: Tensor) -> Tensor:
        batch, width, height, across = x.shape
        dim = width // self.heads
        joint = layers.conv(b, layers.batch_norm(b, x, name="norm1"), 3 * width, 1, bias=False, name="qkv")
        joint = b.add(Reshape((batch, 3, self.heads, dim, height * across)), joint)
        joint = b.add(Transpose((1, 0, 2, 4, 3)), joint, name="parts_first")
        parts = b.add_all(Split(0, (1, 1, 1)), joint)
        q, k, v = (b.add(Reshape((batch, self.heads, height * across, dim)), part) for part in parts)
        y = b.add(Matmul(), _weights(b, q, k), v, name="values")
        y = b.add(Reshape((batch, width, height, across)), b.add(Transpose((0, 1, 3, 2)), y, name="back"))
        x = layers.add(b, x, layers.conv(b, y, width, 1, bias=False, name="out"))
        y = layers.conv(b, layers.batch_norm(b, x, name="norm2"), 4 * width, 1, bias=False, name="up")
        y = layers.conv(b, layers.activation(b, y, "gelu"), width, 1, bias=False, name="down")
        return layers.add(b, x, y, name="add2")


@dataclass(frozen=True, slots=True)
class ConViT:
    """Heads of 48 features; ten of twelve layers weigh positions against contents (d'Ascoli et al. 2021, section 3)."""

    heads: int

    def __call__(self, b: GraphBuilder, image: Tensor, classes: int) -> Tensor:
        """Logits (batch, classes)."""
        x = image_layers.to_sequence(
            b, layers.conv(b, image, 48 * self.heads, 16, stride=16, padding=0, name="patches")
        )
        x = layers.add(b, x, b.weight("positions", (1, *x.shape[1:])), name="add_positions")
        for place in range(12):
            x = _with_token(b, x) if place == 10 else x
            with b.scope(f"layer{place}"):
                y = self._attend(b, layers.layer_norm(b, x, name="norm1", kept=True), placed=place < 10)
                x = layers.add(b, x, y)
                y = layers.mlp(b, layers.layer_norm(b, x, name="norm2", kept=True), 4 * x.shape[2])
                x = layers.add(b, x, y, name="add2")
        return layers.linear(b, _first(b, layers.layer_norm(b, x, kept=True)), classes, name="head")

    def _attend(self, b: GraphBuilder, x: Tensor, *, placed: bool) -> Tensor:
        _, _, width = x.shape
        with b.scope("attention"):
            if placed:
                parts = b.add_all(Split(-1, (width,) * 2), layers.linear(b, x, 2 * width, bias=False, name="qk"))
                parts = (*parts, layers.linear(b, x, width, bias=False, name="v"))
            else:
                parts = b.add_all(Split(-1, (width,) * 3), layers.linear(b, x, 3 * width, bias=False, name="qkv"))
            q, k, v = (layers.split_heads(b, p, self.heads, name=n) for p, n in zip(parts, "qkv", strict=True))
            weights = _weights(b, q, k)
            weights = self._gated(b, weights) if placed else weights
            y = layers.merge_heads(b, b.add(Matmul(), weights, v, name="values"))
            return layers.linear(b, y, width, name="out")

    def _gated(self, b: GraphBuilder, weights: Tensor) -> Tensor:
        """Shares of the softmaxes of contents and of positions, normalised once more (equation 7)."""
        batch, heads, seq, _ = weights.shape
        places = b.add(Expand((batch, seq, seq, 3)), b.state("places", (1, seq, seq, 3)), name="places_of_each")
        places = b.add(Transpose((0, 3, 1, 2)), layers.linear(b, places, heads, name="positions"), name="by_head")
        places = b.add(Softmax(), places, name="position_weights")
        gate = layers.activation(b, b.weight("gate", (1, heads, 1, 1)), "sigmoid")
        rest = b.add(Sub(), b.state("one", (1,)), gate, name="rest")
        y = layers.multiply(b, rest, weights, name="contents")
        y = layers.add(b, y, layers.multiply(b, gate, places, name="places"), name="both")
        return b.add(Div(), y, b.add(ReduceAxes("sum", (3,), True), y, name="total"), name="normalised")


@dataclass(frozen=True, slots=True)
class TransformerInTransformer:
    """Width and heads of patches, width of their sixteen pixels, in four heads (Han et al. 2021, TNT, Table 2)."""

    width: int
    heads: int
    inner: int

    def __call__(self, b: GraphBuilder, image: Tensor, classes: int) -> Tensor:
        """Logits (batch, classes)."""
        x = layers.conv(b, image, self.inner, 7, stride=4, padding=3, name="pixels")
        batch, count = x.shape[0], (x.shape[2] // 4) * (x.shape[3] // 4)
        x = b.add(Transpose((0, 2, 1)), b.add(Unfold((4, 4), (4, 4)), x), name="patches_first")
        x = b.add(Reshape((batch * count, self.inner, 4, 4)), x)
        x = layers.add(b, x, b.weight("pixel_positions", (1, self.inner, 4, 4)), name="add_pixel_positions")
        pixels = b.add(Transpose((0, 2, 1)), b.add(Reshape((batch * count, self.inner, 16)), x), name="pixels_first")
        y = layers.layer_norm(b, b.add(Reshape((batch, count, -1)), pixels), name="norm1")
        y = layers.layer_norm(b, layers.linear(b, y, self.width, name="project"), name="norm2")
        y = _with_token(b, y)
        y = layers.add(b, y, b.weight("positions", (1, *y.shape[1:])), name="add_positions")
        for place in range(12):
            with b.scope(f"layer{place}"):
                with b.scope("pixels"):
                    pixels = self._layer(b, pixels, 4)
                z = b.add(Reshape((batch, count, -1)), layers.layer_norm(b, pixels, name="norm_pixels"))
                z = layers.linear(b, z, self.width, name="project")
                rest = layers.add(b, b.add(Slice(1, 1, None), y), z, name="with_pixels")
                y = b.add(Concat(1), b.add(Slice(1, 0, 1), y), rest, name="with_token")
                y = self._layer(b, y, self.heads)
        return layers.linear(b, _first(b, layers.layer_norm(b, y)), classes, name="head")

    def _layer(self, b: GraphBuilder, x: Tensor, heads: int) -> Tensor:
        width = x.shape[2]
        y = layers.layer_norm(b, x, name="norm_attention")
        with b.scope("attention"):
            parts = b.add_all(Split(-1, (width, width)), layers.linear(b, y, 2 * width, bias=False, name="qk"))
            q, k = (layers.split_heads(b, part, heads, name=n) for part, n in zip(parts, "qk", strict=True))
            v = layers.split_heads(b, layers.linear(b, y, width, bias=False, name="v"), heads, name="v_heads")
            y = layers.merge_heads(b, b.add(Matmul(), _weights(b, q, k), v, name="values"))
            x = layers.add(b, x, layers.linear(b, y, width, name="out"))
        return layers.add(b, x, layers.mlp(b, layers.layer_norm(b, x, name="norm_mlp"), 4 * width), name="add2")


_NETWORKS: Mapping[str, Visformer | ConViT | TransformerInTransformer] = MappingProxyType(
    {
        "visformer_tiny": Visformer(192, 3, 16),
        "visformer_small": Visformer(384, 6, 32),
        "convit_tiny": ConViT(4),
        "convit_small": ConViT(9),
        "convit_base": ConViT(16),
        "tnt_s_patch16_224": TransformerInTransformer(384, 6, 24),
        "tnt_b_patch16_224": TransformerInTransformer(640, 10, 40),
    }
)


def _find(name: str) -> Sized | None:
    return Sized(_NETWORKS[name]) if name in _NETWORKS else None


FAMILIES = (
    ImageFamily(
        name="visformer, convit, tnt",
        title="vision transformer with another look at neighbours",
        source="Chen et al. 2021, Visformer; d'Ascoli et al. 2021, ConViT; Han et al. 2021, Transformer in Transformer",
        examples=tuple(_NETWORKS),
        find=_find,
    ),
)
