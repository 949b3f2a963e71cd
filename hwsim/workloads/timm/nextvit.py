"""Next-ViTs (Li et al. 2022, Next-ViT) by the names of timm."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from hwsim.graph.graph import GraphBuilder
from hwsim.graph.tensor import Tensor
from hwsim.operators.concat import Concat
from hwsim.operators.reshape import Reshape
from hwsim.operators.transpose import Transpose
from hwsim.workloads import image_layers, layers
from hwsim.workloads.families import ImageFamily, Sized

__all__ = ["FAMILIES", "NextViT"]

_HEAD = 32
_WIDTHS, _WIDE = (96, 192, 384, 768), (96, 256, 512, 1024)
"""Channels of a stage's blocks, and of those that attend (Li et al. 2022, Table 3)."""
_FLAT = Transpose((0, 2, 1))


@dataclass(frozen=True, slots=True)
class NextViT:
    """Blocks of the third stage; there every fifth attends, in the others the last, but for the first stage."""

    depth: int

    def __call__(self, b: GraphBuilder, image: Tensor, classes: int) -> Tensor:
        """Logits (batch, classes)."""
        x = image
        for place, (width, stride) in enumerate(((64, 2), (32, 1), (64, 1), (64, 2))):
            x = layers.conv_bn_act(b, x, width, 3, stride=stride, name=f"stem{place}")
        for stage, depth in enumerate((3, 4, self.depth, 3)):
            for place in range(depth):
                attends = stage > 0 and (place % 5 == 4 if stage == 2 else place == depth - 1)
                with b.scope(f"stage{stage}.{place}"):
                    stride = 2 if stage and place == 0 else 1
                    x = self._transformer(b, x, stage) if attends else self._conv_block(b, x, stage, stride)
        x = layers.batch_norm(b, x, name="norm")
        return layers.linear(b, layers.global_average(b, x), classes, name="head")

    def _conv_block(self, b: GraphBuilder, x: Tensor, stage: int, stride: int) -> Tensor:
        x = _embedded(b, x, _WIDTHS[stage], stride, "embed")
        x = layers.add(b, x, _grouped(b, x), name="add_convolved")
        return self._perceptron(b, x, 3)

    def _perceptron(self, b: GraphBuilder, x: Tensor, ratio: int) -> Tensor:
        y = layers.conv(b, layers.batch_norm(b, x, name="norm_mlp"), ratio * x.shape[1], 1, name="up")
        return layers.add(b, x, layers.conv(b, layers.activation(b, y, "relu"), x.shape[1], 1, name="mlp_down"))

    def _transformer(self, b: GraphBuilder, x: Tensor, stage: int) -> Tensor:
        """Attention on three quarters of the channels, grouped convolution on the rest (Li et al. 2022, Fig. 3)."""
        width = _WIDE[stage]
        attended = image_layers.rounded(0.75 * width, divisor=32)
        x = _embedded(b, x, attended, 1, "embed")
        size = x.shape[2:]
        y = image_layers.to_sequence(b, layers.batch_norm(b, x, name="norm_attention"))
        y = image_layers.to_image(b, self._attend(b, y, 8 >> stage), size)
        x = layers.add(b, x, y, name="add_attention")
        z = _embedded(b, x, width - attended, 1, "project")
        z = layers.add(b, z, _grouped(b, z), name="add_convolved")
        return self._perceptron(b, b.add(Concat(1), x, z, name="beside"), 2)

    def _attend(self, b: GraphBuilder, x: Tensor, reduced: int) -> Tensor:
        """Keys and values come from means of ``reduced`` squared pixels in a row."""
        batch, seq, width = x.shape
        with b.scope("attention"):
            heads = width // _HEAD
            q = layers.split_heads(b, layers.linear(b, x, width, name="q"), heads, name="q_heads")
            if reduced > 1:
                y = b.add(Reshape((batch, width, 1, seq)), b.add(_FLAT, x))
                y = layers.pool(b, y, "average", (1, reduced * reduced), name="reduce")
                y = layers.batch_norm(b, b.add(Reshape((batch, width, -1)), y), name="reduce_bn")
                x = b.add(_FLAT, y)
            k, v = (layers.split_heads(b, layers.linear(b, x, width, name=n), heads, name=f"{n}_heads") for n in "kv")
            y = layers.merge_heads(b, image_layers.fused_attention(b, q, k, v))
            return layers.linear(b, y, width, name="out")


def _embedded(b: GraphBuilder, x: Tensor, width: int, stride: int, name: str) -> Tensor:
    if stride > 1:
        x = layers.pool(b, x, "average", 2, ceil=True, name=f"{name}_pool")
    elif x.shape[1] == width:
        return x
    return layers.conv_bn_act(b, x, width, 1, act="", name=name)


def _grouped(b: GraphBuilder, x: Tensor) -> Tensor:
    width = x.shape[1]
    y = layers.conv_bn_act(b, x, width, 3, groups=width // _HEAD, name="grouped")
    return layers.conv(b, y, width, 1, bias=False, name="grouped_out")


_NETWORKS: Mapping[str, NextViT] = MappingProxyType(
    {"nextvit_small": NextViT(10), "nextvit_base": NextViT(20), "nextvit_large": NextViT(30)}
)


def _find(name: str) -> Sized | None:
    return Sized(_NETWORKS[name]) if name in _NETWORKS else None


FAMILIES = (
    ImageFamily(
        name="nextvit",
        title="grouped convolution and attention",
        source="Li et al. 2022, Next-ViT: Next Generation Vision Transformer for Efficient Deployment, Table 3",
        examples=tuple(_NETWORKS),
        find=_find,
    ),
)
