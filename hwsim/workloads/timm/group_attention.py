"""EfficientViTs of Microsoft (Liu et al. 2023), whose heads read parts of the channels, by the names of timm."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from hwsim.graph.graph import GraphBuilder
from hwsim.graph.tensor import Tensor
from hwsim.operators.concat import Concat
from hwsim.operators.matmul import Matmul
from hwsim.operators.mul import Mul
from hwsim.operators.reshape import Reshape
from hwsim.operators.softmax import Softmax
from hwsim.operators.split import Split
from hwsim.operators.transpose import Transpose
from hwsim.workloads import image_layers, layers, windows
from hwsim.workloads.families import ImageFamily, Sized

__all__ = ["FAMILIES", "GroupAttention"]

_KEY, _WINDOW = 16, 7
_TO_LAST, _TO_SECOND = Transpose((0, 2, 3, 1)), Transpose((0, 3, 1, 2))


@dataclass(frozen=True, slots=True)
class GroupAttention:
    """Widths, blocks and heads of three stages, and the kernels over the queries of each head."""

    widths: tuple[int, int, int]
    depths: tuple[int, int, int]
    heads: tuple[int, int, int]
    kernels: tuple[int, int, int, int]

    def __call__(self, b: GraphBuilder, image: Tensor, classes: int) -> Tensor:
        """Logits (batch, classes)."""
        x = image
        for place, share in enumerate((8, 4, 2, 1)):
            act = "relu" if share > 1 else ""
            x = layers.conv_bn_act(b, x, self.widths[0] // share, 3, stride=2, act=act, name=f"stem{place}")
        for stage, (width, depth, heads) in enumerate(zip(self.widths, self.depths, self.heads, strict=True)):
            with b.scope(f"stage{stage}"):
                if stage:
                    x = self._perceptron(b, self._depthwise(b, x, "down0"), "down1")
                    x = self._perceptron(b, self._depthwise(b, self._merged(b, x, width), "down2"), "down3")
                for place in range(depth):
                    with b.scope(f"block{place}"):
                        x = self._perceptron(b, self._depthwise(b, x, "depthwise0"), "mlp0")
                        x = layers.add(b, x, self._windowed(b, x, heads), name="add_attention")
                        x = self._perceptron(b, self._depthwise(b, x, "depthwise1"), "mlp1")
        y = b.add(Reshape((*x.shape[:2], 1, 1)), layers.global_average(b, x))
        return layers.linear(b, layers.flatten(b, layers.batch_norm(b, y, name="norm")), classes, name="head")

    def _depthwise(self, b: GraphBuilder, x: Tensor, name: str) -> Tensor:
        y = layers.conv_bn_act(b, x, x.shape[1], 3, groups=x.shape[1], act="", name=name)
        return layers.add(b, x, y, name=f"{name}_add")

    def _perceptron(self, b: GraphBuilder, x: Tensor, name: str) -> Tensor:
        y = layers.conv_bn_act(b, x, 2 * x.shape[1], 1, name=f"{name}_up")
        y = layers.conv_bn_act(b, y, x.shape[1], 1, act="", name=f"{name}_down")
        return layers.add(b, x, y, name=f"{name}_add")

    def _merged(self, b: GraphBuilder, x: Tensor, width: int) -> Tensor:
        inner = 4 * x.shape[1]
        x = layers.conv_bn_act(b, x, inner, 1, name="merge0")
        x = layers.conv_bn_act(b, x, inner, 3, stride=2, groups=inner, name="merge1")
        x = image_layers.channel_gate(b, x, 1 / 4)
        return layers.conv_bn_act(b, x, width, 1, act="", name="merge2")

    def _windowed(self, b: GraphBuilder, x: Tensor, heads: int) -> Tensor:
        _, _, height, across = x.shape
        if max(height, across) <= _WINDOW:
            return self._attend(b, x, heads)
        count = windows.partitioned(b, b.add(_TO_LAST, x), _WINDOW)
        y = b.add(_TO_SECOND, b.add(Reshape((count.shape[0], _WINDOW, _WINDOW, count.shape[2])), count))
        y = b.add(_TO_LAST, self._attend(b, y, heads))
        return b.add(_TO_SECOND, windows.gathered(b, b.add(Reshape(count.shape), y), _WINDOW, height, across))

    def _attend(self, b: GraphBuilder, x: Tensor, heads: int) -> Tensor:
        """Head after head, each reading what the one before made (Liu et al. 2023, equation 2)."""
        count, width, height, across = x.shape
        share, seq = width // heads, height * across
        parts = b.add_all(Split(1, (share,) * heads), x, name="parts")
        y, made = parts[0], []
        with b.scope("attention"):
            for head in range(heads):
                y = layers.add(b, y, parts[head], name=f"with_part{head}") if head else y
                joint = layers.conv_bn_act(b, y, 2 * _KEY + share, 1, act="", name=f"qkv{head}")
                q, k, v = b.add_all(Split(1, (_KEY, _KEY, share)), joint)
                q = layers.conv_bn_act(b, q, _KEY, self.kernels[head], groups=_KEY, act="", name=f"over_q{head}")
                q, k, v = (b.add(Reshape((count, part.shape[1], seq)), part) for part in (q, k, v))
                q = b.add(Transpose((0, 2, 1)), b.add(Mul(_KEY**-0.5), q), name=f"q_turned{head}")
                scores = b.add(Matmul(), q, k, name=f"scores{head}")
                scores = layers.add(b, scores, b.state(f"bias{head}", (seq, seq), "fp32"), name=f"biased{head}")
                weights = b.add(Softmax(), scores, name=f"weights{head}")
                y = b.add(Matmul(transpose_b=True), v, weights, name=f"values{head}")
                y = b.add(Reshape((count, share, height, across)), y)
                made.append(y)
            y = layers.activation(b, b.add(Concat(1), *made, name="heads"), "relu")
            return layers.conv_bn_act(b, y, width, 1, act="", name="out")


_NETWORKS: Mapping[str, GroupAttention] = MappingProxyType(
    {
        "efficientvit_m0": GroupAttention((64, 128, 192), (1, 2, 3), (4, 4, 4), (5, 5, 5, 5)),
        "efficientvit_m1": GroupAttention((128, 144, 192), (1, 2, 3), (2, 3, 3), (7, 5, 3, 3)),
        "efficientvit_m2": GroupAttention((128, 192, 224), (1, 2, 3), (4, 3, 2), (7, 5, 3, 3)),
        "efficientvit_m3": GroupAttention((128, 240, 320), (1, 2, 3), (4, 3, 4), (5, 5, 5, 5)),
        "efficientvit_m4": GroupAttention((128, 256, 384), (1, 2, 3), (4, 4, 4), (7, 5, 3, 3)),
        "efficientvit_m5": GroupAttention((192, 288, 384), (1, 3, 4), (3, 3, 4), (7, 5, 3, 3)),
    }
)
"""Liu et al. 2023, Table 1."""


def _find(name: str) -> Sized | None:
    return Sized(_NETWORKS[name]) if name in _NETWORKS else None


FAMILIES = (
    ImageFamily(
        name="efficientvit m",
        title="heads on parts of the channels",
        source="Liu et al. 2023, EfficientViT: Memory Efficient Vision Transformer, Table 1",
        examples=tuple(_NETWORKS),
        find=_find,
    ),
)
