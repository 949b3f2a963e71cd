"""EfficientViTs of MIT (Cai et al. 2023, EfficientViT) by the names of timm."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from hwsim.graph.graph import GraphBuilder
from hwsim.graph.tensor import Tensor
from hwsim.operators.cast import Cast
from hwsim.operators.concat import Concat
from hwsim.operators.div import Div
from hwsim.operators.matmul import Matmul
from hwsim.operators.pad import Pad
from hwsim.operators.reshape import Reshape
from hwsim.operators.slice import Slice
from hwsim.operators.split import Split
from hwsim.operators.transpose import Transpose
from hwsim.workloads import layers
from hwsim.workloads.families import ImageFamily, Sized

__all__ = ["FAMILIES", "EfficientViT"]

_PIXELS_LAST = Transpose((0, 1, 3, 2))


@dataclass(frozen=True, slots=True)
class EfficientViT:
    """Widths and depths of the stem and four stages, features of a head, widths of the last two layers.

    ``large``: full convolutions in the stem and the first stages, wider strided blocks.
    """

    widths: tuple[int, int, int, int, int]
    depths: tuple[int, int, int, int, int]
    head: int
    features: tuple[int, int]
    large: bool = False

    def __call__(self, b: GraphBuilder, image: Tensor, classes: int) -> Tensor:
        """Logits (batch, classes)."""
        act = self._act
        x = layers.conv_bn_act(b, image, self.widths[0], 3, stride=2, act=act, name="stem")
        for place in range(self.depths[0]):
            with b.scope(f"stem.{place}"):
                groups = 1 if self.large else x.shape[1]
                y = layers.conv_bn_act(b, x, x.shape[1], 3, groups=groups, act=act, name="conv1")
                y = layers.conv_bn_act(b, y, x.shape[1], 3 if self.large else 1, act="", name="conv2")
                x = layers.add(b, y, x)
        for stage, (width, depth) in enumerate(zip(self.widths[1:], self.depths[1:], strict=True)):
            with b.scope(f"stage{stage}"):
                x = self._stage(b, x, stage, width, depth)
        y = layers.conv_bn_act(b, x, self.features[0], 1, act="hardswish", name="features")
        y = layers.linear(b, layers.global_average(b, y), self.features[1], bias=False, name="hidden")
        y = layers.activation(b, layers.layer_norm(b, y), "hardswish")
        return layers.linear(b, y, classes, name="head")

    @property
    def _act(self) -> str:
        return "gelu_tanh" if self.large else "hardswish"

    def _stage(self, b: GraphBuilder, x: Tensor, stage: int, width: int, depth: int) -> Tensor:
        attended = stage > (2 if self.large else 1)
        bare = attended or (self.large and stage == 2)
        fused = self.large and stage < 2
        first = (24 if attended else 16) if self.large else 4
        with b.scope("down"):
            x = self._inverted(b, x, width, 2, first, bare=bare, fused=fused)
        inner = 4 if not (self.large and attended) else 6
        count = depth if self.large or attended else depth - 1
        for place in range(count):
            with b.scope(f"block{place}"):
                x = layers.add(b, self._linear_attention(b, x), x, name="add_attention") if attended else x
                x = layers.add(b, self._inverted(b, x, width, 1, inner, bare=bare, fused=fused), x)
        return x

    def _inverted(
        self, b: GraphBuilder, x: Tensor, width: int, stride: int, ratio: int, *, bare: bool, fused: bool
    ) -> Tensor:
        """Widened and narrowed; ``bare``: only the last layer is normalised; ``fused``: one full convolution widens."""
        inner = x.shape[1] * ratio
        if fused:
            y = self._conv(b, x, inner, 3, stride=stride, bare=bare, name="expand")
        else:
            y = self._conv(b, x, inner, 1, bare=bare, name="expand")
            y = self._conv(b, y, inner, 3, stride=stride, groups=inner, bare=bare, name="depthwise")
        return layers.conv_bn_act(b, y, width, 1, act="", name="project")

    def _conv(
        self,
        b: GraphBuilder,
        x: Tensor,
        width: int,
        kernel: int,
        *,
        stride: int = 1,
        groups: int = 1,
        bare: bool,
        name: str,
    ) -> Tensor:
        x = layers.conv(b, x, width, kernel, stride=stride, groups=groups, bias=bare, name=name)
        x = x if bare else layers.batch_norm(b, x, name=f"{name}_bn")
        return layers.activation(b, x, self._act, name=f"{name}_act")

    def _linear_attention(self, b: GraphBuilder, x: Tensor) -> Tensor:
        """Keys times values first, in fp32, at two scales (Cai et al. 2023, section 3.1)."""
        batch, channels, height, width = x.shape
        dim, total = self.head, channels // self.head * self.head
        with b.scope("attention"):
            qkv = layers.conv(b, x, 3 * total, 1, bias=False, name="qkv")
            wide = layers.conv(b, qkv, 3 * total, 5, groups=3 * total, bias=False, name="scale5")
            wide = layers.conv(b, wide, 3 * total, 1, groups=3 * total // dim, bias=False, name="scale5_mix")
            joint = b.add(Reshape((batch, 2 * total // dim, 3 * dim, height * width)), b.add(Concat(1), qkv, wide))
            q, k, v = b.add_all(Split(3, (dim, dim, dim)), b.add(_PIXELS_LAST, joint))
            q, k = layers.activation(b, q, "relu", name="q_relu"), layers.activation(b, k, "relu", name="k_relu")
            v = b.add(Pad(((0, 0), (0, 0), (0, 0), (0, 1))), v, name="ones")
            q, k, v = (b.add(Cast("fp32"), part, name=f"{n}_wide") for part, n in zip((q, k, v), "qkv", strict=True))
            made = b.add(Matmul(), q, b.add(Matmul(), b.add(_PIXELS_LAST, k), v, name="memory"), name="read")
            y = b.add(Div(), b.add(Slice(3, 0, dim), made), b.add(Slice(3, dim, dim + 1), made), name="divided")
            y = b.add(_PIXELS_LAST, b.add(Cast(), y, name="narrow"))
            y = b.add(Reshape((batch, 2 * total, height, width)), y)
            return layers.conv_bn_act(b, y, channels, 1, act="", name="out")


_NETWORKS: Mapping[str, EfficientViT] = MappingProxyType(
    {
        "efficientvit_b0": EfficientViT((8, 16, 32, 64, 128), (1, 2, 2, 2, 2), 16, (1024, 1280)),
        "efficientvit_b1": EfficientViT((16, 32, 64, 128, 256), (1, 2, 3, 3, 4), 16, (1536, 1600)),
        "efficientvit_b2": EfficientViT((24, 48, 96, 192, 384), (1, 3, 4, 4, 6), 32, (2304, 2560)),
        "efficientvit_b3": EfficientViT((32, 64, 128, 256, 512), (1, 4, 6, 6, 9), 32, (2304, 2560)),
        "efficientvit_l1": EfficientViT((32, 64, 128, 256, 512), (1, 1, 1, 6, 6), 32, (3072, 3200), True),
        "efficientvit_l2": EfficientViT((32, 64, 128, 256, 512), (1, 2, 2, 8, 8), 32, (3072, 3200), True),
        "efficientvit_l3": EfficientViT((64, 128, 256, 512, 1024), (1, 2, 2, 8, 8), 32, (6144, 6400), True),
    }
)


def _find(name: str) -> Sized | None:
    return Sized(_NETWORKS[name]) if name in _NETWORKS else None


FAMILIES = (
    ImageFamily(
        name="efficientvit",
        title="linear attention at two scales",
        source="Cai et al. 2023, EfficientViT: Multi-Scale Linear Attention for High-Resolution Dense Prediction",
        examples=tuple(_NETWORKS),
        find=_find,
    ),
)
