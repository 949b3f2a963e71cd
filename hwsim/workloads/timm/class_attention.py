"""CaiT and XCiT: layers on the patches, then two in which only the class token asks, by the names of timm."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from hwsim.graph.graph import GraphBuilder
from hwsim.graph.tensor import Tensor
from hwsim.operators.concat import Concat
from hwsim.operators.div import Div
from hwsim.operators.expand import Expand
from hwsim.operators.matmul import Matmul
from hwsim.operators.reduce import ReduceAxes
from hwsim.operators.reshape import Reshape
from hwsim.operators.slice import Slice
from hwsim.operators.softmax import Softmax
from hwsim.operators.split import Split
from hwsim.operators.transpose import Transpose
from hwsim.workloads import image_layers, layers
from hwsim.workloads.families import ImageFamily, Sized

__all__ = ["FAMILIES", "CrossCovariance", "TalkingHeads", "class_attention"]

_HEADS_LAST = Transpose((0, 2, 3, 1))
_HEADS_FIRST = Transpose((0, 3, 1, 2))
_FLAT = Transpose((0, 2, 1))


def class_attention(b: GraphBuilder, x: Tensor, heads: int) -> Tensor:
    """(batch, 1, width): what the first of x (batch, seq, width) attends to (Touvron et al. 2021, CaiT, section 3)."""
    batch, _, width = x.shape
    with b.scope("class_attention"):
        first = b.add(Slice(1, 0, 1), x)
        q, k, v = (
            layers.split_heads(b, layers.linear(b, part, width, name=name), heads, name=f"{name}_heads")
            for part, name in ((first, "q"), (x, "k"), (x, "v"))
        )
        y = b.add(Reshape((batch, 1, width)), image_layers.fused_attention(b, q, k, v))
        return layers.linear(b, y, width, name="out")


def _scaled(b: GraphBuilder, y: Tensor, end: str) -> Tensor:
    return layers.multiply(b, y, b.weight(f"scale{end}", (y.shape[-1],)), name=f"layer_scale{end}")


def _token(b: GraphBuilder, batch: int, width: int) -> Tensor:
    token = b.weight("class_token", (1, 1, width))
    return b.add(Expand((batch, 1, width)), token) if batch > 1 else token


def _read(b: GraphBuilder, x: Tensor, classes: int) -> Tensor:
    y = b.add(Reshape((x.shape[0], x.shape[2])), b.add(Slice(1, 0, 1), layers.layer_norm(b, x)))
    return layers.linear(b, y, classes, name="head")


@dataclass(frozen=True, slots=True)
class TalkingHeads:
    """Layers and heads of 48 features; heads mix before and after softmax (Touvron et al. 2021, CaiT, section 2)."""

    depth: int
    heads: int

    def __call__(self, b: GraphBuilder, image: Tensor, classes: int) -> Tensor:
        """Logits (batch, classes)."""
        batch, width = image.shape[0], 48 * self.heads
        x = layers.conv(b, image, width, 16, stride=16, padding=0, name="patches")
        x = b.add(_FLAT, b.add(Reshape((batch, width, -1)), x))
        x = layers.add(b, x, b.weight("positions", (1, *x.shape[1:])), name="add_positions")
        for place in range(self.depth):
            with b.scope(f"layer{place}"):
                y = self._attend(b, layers.layer_norm(b, x, name="norm1"))
                x = layers.add(b, x, _scaled(b, y, "1"))
                y = layers.mlp(b, layers.layer_norm(b, x, name="norm2"), 4 * width)
                x = layers.add(b, x, _scaled(b, y, "2"), name="add2")
        token = _token(b, batch, width)
        for place in range(2):
            with b.scope(f"class{place}"):
                joined = b.add(Concat(1), token, x)
                y = class_attention(b, layers.layer_norm(b, joined, name="norm1"), self.heads)
                token = layers.add(b, token, _scaled(b, y, "1"))
                y = layers.mlp(b, layers.layer_norm(b, token, name="norm2"), 4 * width)
                token = layers.add(b, token, _scaled(b, y, "2"), name="add2")
        return _read(b, b.add(Concat(1), token, x), classes)

    def _attend(self, b: GraphBuilder, x: Tensor) -> Tensor:
        width = x.shape[2]
        with b.scope("attention"):
            parts = b.add_all(Split(-1, (width, width, width)), layers.linear(b, x, 3 * width, name="qkv"))
            q, k, v = (layers.split_heads(b, part, self.heads, name=n) for part, n in zip(parts, "qkv", strict=True))
            q = layers.multiply(b, q, b.state("factor", (1,)), name="scaled_q")
            scores = b.add(_HEADS_LAST, b.add(Matmul(transpose_b=True), q, k, name="scores"))
            scores = b.add(_HEADS_FIRST, layers.linear(b, scores, self.heads, name="before"))
            shares = b.add(_HEADS_LAST, b.add(Softmax(), scores))
            shares = b.add(_HEADS_FIRST, layers.linear(b, shares, self.heads, name="after"))
            y = layers.merge_heads(b, b.add(Matmul(), shares, v, name="values"))
            return layers.linear(b, y, width, name="out")


@dataclass(frozen=True, slots=True)
class CrossCovariance:
    """Layers that attend between features, not patches (Ali et al. 2021, XCiT, sections 3 and 4).

    ``all_normed``: all positions are normalised before the perceptron of the class token, not it alone.
    """

    depth: int
    width: int
    heads: int
    patch: int
    all_normed: bool = True

    def __call__(self, b: GraphBuilder, image: Tensor, classes: int) -> Tensor:
        """Logits (batch, classes)."""
        batch, x = image.shape[0], image
        stages = 4 if self.patch == 16 else 3
        for place in range(stages):
            act = "gelu" if place < stages - 1 else ""
            x = layers.conv_bn_act(b, x, self.width >> (stages - 1 - place), 3, stride=2, act=act, name=f"stem{place}")
        _, _, height, width = x.shape
        x = b.add(_FLAT, b.add(Reshape((batch, self.width, height * width)), x))
        with b.scope("positions"):
            waves = layers.conv(b, b.state("waves", (1, 64, height, width)), self.width, 1, name="projection")
            waves = b.add(_FLAT, b.add(Reshape((1, self.width, height * width)), waves))
        x = layers.add(b, x, waves, name="add_positions")
        for place in range(self.depth):
            with b.scope(f"layer{place}"):
                x = self._layer(b, x, (height, width))
        x = b.add(Concat(1), _token(b, batch, self.width), x)
        for place in range(2):
            with b.scope(f"class{place}"):
                x = self._class_layer(b, x)
        return _read(b, x, classes)

    def _layer(self, b: GraphBuilder, x: Tensor, side: tuple[int, int]) -> Tensor:
        batch, seq, width = x.shape
        x = layers.add(b, x, _scaled(b, self._attend(b, layers.layer_norm(b, x, name="norm1")), "1"))
        y = b.add(_FLAT, layers.layer_norm(b, x, name="norm3"))
        y = b.add(Reshape((batch, width, *side)), y)
        y = layers.activation(b, layers.conv(b, y, width, 3, groups=width, name="local1"), "gelu")
        y = layers.conv(b, layers.batch_norm(b, y, name="local_bn"), width, 3, groups=width, name="local2")
        y = b.add(_FLAT, b.add(Reshape((batch, width, seq)), y))
        x = layers.add(b, x, _scaled(b, y, "3"), name="add3")
        y = layers.mlp(b, layers.layer_norm(b, x, name="norm2"), 4 * width)
        return layers.add(b, x, _scaled(b, y, "2"), name="add2")

    def _attend(self, b: GraphBuilder, x: Tensor) -> Tensor:
        """Shares between the features of a head, of unit length over the patches."""
        batch, seq, width = x.shape
        dim = width // self.heads
        with b.scope("attention"):
            parts = b.add_all(Split(-1, (width, width, width)), layers.linear(b, x, 3 * width, name="qkv"))
            q, k, v = (
                b.add(Transpose((0, 2, 3, 1)), b.add(Reshape((batch, seq, self.heads, dim)), part), name=name)
                for part, name in zip(parts, "qkv", strict=True)
            )
            made = []
            for part, name in ((q, "q"), (k, "k")):
                length = b.add(ReduceAxes("l2", (3,), True), part, name=f"{name}_length")
                made.append(b.add(Div(), part, length, name=f"{name}_direction"))
            scores = b.add(Matmul(transpose_b=True), *made, name="scores")
            scores = layers.multiply(b, scores, b.weight("temperature", (self.heads, 1, 1)), name="tempered")
            y = b.add(Matmul(), b.add(Softmax(), scores), v, name="values")
            y = b.add(Reshape((batch, seq, width)), b.add(Transpose((0, 3, 1, 2)), y, name="merge"))
            return layers.linear(b, y, width, name="out")

    def _class_layer(self, b: GraphBuilder, x: Tensor) -> Tensor:
        rest = Slice(1, 1, None)
        normed = layers.layer_norm(b, x, name="norm1")
        y = b.add(Concat(1), class_attention(b, normed, self.heads), b.add(rest, normed))
        x = layers.add(b, x, _scaled(b, y, "1"))
        if self.all_normed:
            x = layers.layer_norm(b, x, name="norm2")
        else:
            first = layers.layer_norm(b, b.add(Slice(1, 0, 1), x), name="norm2")
            x = b.add(Concat(1), first, b.add(rest, x))
        y = _scaled(b, layers.mlp(b, b.add(Slice(1, 0, 1), x), 4 * self.width), "2")
        return layers.add(b, x, b.add(Concat(1), y, b.add(rest, x)), name="add2")


_HEADS: Mapping[str, int] = MappingProxyType({"xxs": 4, "xs": 6, "s": 8, "m": 16})
_XCIT: Mapping[str, tuple[int, int]] = MappingProxyType(
    {"nano": (128, 4), "tiny": (192, 4), "small": (384, 8), "medium": (512, 8), "large": (768, 16)}
)
"""Width and heads (Ali et al. 2021, XCiT, Table 1)."""


def _find(name: str) -> Sized | None:
    found = re.match(r"cait_(xxs|xs|s|m)(24|36|48)_(\d{3})$", name)
    return Sized(TalkingHeads(int(found[2]), _HEADS[found[1]]), int(found[3])) if found else None


def _find_xcit(name: str) -> Sized | None:
    found = re.match(r"xcit_(nano|tiny|small|medium|large)_(12|24)_p(8|16)_(\d{3})$", name)
    if found is None:
        return None
    network = CrossCovariance(int(found[2]), *_XCIT[found[1]], int(found[3]), found[1] != "nano")
    return Sized(network, int(found[4]))


FAMILIES = (
    ImageFamily(
        name="cait",
        title="vision transformer with class attention",
        source="Touvron et al. 2021, Going Deeper with Image Transformers (CaiT), Table 3",
        examples=("cait_xxs24_224", "cait_m36_384"),
        find=_find,
    ),
    ImageFamily(
        name="xcit",
        title="attention between features",
        source="Ali et al. 2021, XCiT: Cross-Covariance Image Transformers, Table 1",
        examples=("xcit_nano_12_p16_224", "xcit_large_24_p8_384"),
        find=_find_xcit,
    ),
)
