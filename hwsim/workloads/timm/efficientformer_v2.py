"""EfficientFormers of the second version (Li et al. 2023, Rethinking Vision Transformers) by the names of timm."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from hwsim.graph.graph import GraphBuilder
from hwsim.graph.tensor import Tensor
from hwsim.operators.matmul import Matmul
from hwsim.operators.mul import Mul
from hwsim.operators.reshape import Reshape
from hwsim.operators.softmax import Softmax
from hwsim.operators.transpose import Transpose
from hwsim.operators.upsample import Resize
from hwsim.workloads import layers
from hwsim.workloads.families import ImageFamily, Sized

__all__ = ["FAMILIES", "EfficientFormerV2"]

_HEADS = 8
_TURNED = Transpose((0, 1, 3, 2))


@dataclass(frozen=True, slots=True)
class EfficientFormerV2:
    """Widths, hidden over outer width of every block of each stage, and how many blocks attend in the last two."""

    widths: tuple[int, int, int, int]
    ratios: tuple[tuple[int, ...], ...]
    attending: int

    def __call__(self, b: GraphBuilder, image: Tensor, classes: int) -> Tensor:
        """Logits (batch, classes): the mean of two classifiers."""
        x = _conv(b, image, self.widths[0] // 2, 3, stride=2, act="gelu", name="stem0")
        x = _conv(b, x, self.widths[0], 3, stride=2, act="gelu", name="stem1")
        for stage, (width, ratios) in enumerate(zip(self.widths, self.ratios, strict=True)):
            with b.scope(f"stage{stage}"):
                if stage:
                    y = _conv(b, x, width, 3, stride=2, name="down")
                    x = layers.add(b, self._halved(b, x, width), y, name="down_add") if stage == 3 else y
                for place, ratio in enumerate(ratios):
                    with b.scope(f"block{place}"):
                        if stage > 1 and place >= len(ratios) - self.attending:
                            y = self._attend(b, x, strided=stage == 2)
                            x = layers.add(b, x, _scaled(b, y, "1"), name="add_attention")
                        y = _conv(b, x, ratio * width, 1, act="gelu", name="up")
                        y = _conv(b, y, ratio * width, 3, groups=ratio * width, act="gelu", name="middle")
                        x = layers.add(b, x, _scaled(b, _conv(b, y, width, 1, name="mlp_down"), "2"))
        y = layers.global_average(b, layers.batch_norm(b, x, name="norm"))
        made = [layers.linear(b, y, classes, name=name) for name in ("head", "head_distilled")]
        return layers.multiply(b, layers.add(b, made[0], made[1]), b.state("half", (1,)))

    def _attend(self, b: GraphBuilder, x: Tensor, *, strided: bool) -> Tensor:
        """Heads that talk to each other before and after the softmax, of a strided image if it is large (Fig. 2d)."""
        batch, width, *size = x.shape
        with b.scope("attention"):
            y = _conv(b, x, width, 3, stride=2, groups=width, name="stride") if strided else x
            _, _, height, across = y.shape
            seq, dim, dim_v = height * across, 32, 128
            q = b.add(_TURNED, b.add(Reshape((batch, _HEADS, dim, seq)), _conv(b, y, _HEADS * dim, 1, name="q")))
            k = b.add(Reshape((batch, _HEADS, dim, seq)), _conv(b, y, _HEADS * dim, 1, name="k"))
            v = _conv(b, y, _HEADS * dim_v, 1, name="v")
            local = _conv(b, v, _HEADS * dim_v, 3, groups=_HEADS * dim_v, name="v_local")
            v = b.add(_TURNED, b.add(Reshape((batch, _HEADS, dim_v, seq)), v), name="v_turned")
            scores = b.add(Mul(dim**-0.5), b.add(Matmul(), q, k, name="scores"), name="scaled")
            scores = layers.add(b, scores, b.state("bias", (_HEADS, seq, seq), "fp32"), name="biased")
            scores = b.add(Softmax(), layers.conv(b, scores, _HEADS, 1, name="talk1"))
            scores = layers.conv(b, scores, _HEADS, 1, name="talk2")
            y = b.add(_TURNED, b.add(Matmul(), scores, v, name="values"), name="back")
            y = layers.add(b, b.add(Reshape((batch, _HEADS * dim_v, height, across)), y), local, name="with_local")
            y = b.add(Resize(size=(size[0], size[1]), mode="bilinear"), y) if strided else y
            return _conv(b, layers.activation(b, y, "gelu"), width, 1, name="out")

    def _halved(self, b: GraphBuilder, x: Tensor, width: int) -> Tensor:
        """Attention of every other position to all (Li et al. 2023, Fig. 2f)."""
        batch, read, height, across = x.shape
        dim, dim_v, seq = 16, 64, height * across
        with b.scope("down_attention"):
            local = layers.conv(b, x, read, 3, stride=2, groups=read, name="q_local")
            q = layers.add(b, local, layers.pool(b, x, "average", 1, stride=2, name="q_pool"), name="q_both")
            asking = q.shape[2:]
            q = b.add(Reshape((batch, _HEADS, dim, -1)), _conv(b, q, _HEADS * dim, 1, name="q"))
            q = b.add(_TURNED, q, name="q_turned")
            k = b.add(Reshape((batch, _HEADS, dim, seq)), _conv(b, x, _HEADS * dim, 1, name="k"))
            v = _conv(b, x, _HEADS * dim_v, 1, name="v")
            local = _conv(b, v, _HEADS * dim_v, 3, stride=2, groups=_HEADS * dim_v, name="v_local")
            v = b.add(_TURNED, b.add(Reshape((batch, _HEADS, dim_v, seq)), v), name="v_turned")
            scores = b.add(Mul(dim**-0.5), b.add(Matmul(), q, k, name="scores"), name="scaled")
            scores = layers.add(b, scores, b.state("bias", (_HEADS, q.shape[2], seq), "fp32"), name="biased")
            y = b.add(_TURNED, b.add(Matmul(), b.add(Softmax(), scores), v, name="values"), name="back")
            y = layers.add(b, b.add(Reshape((batch, _HEADS * dim_v, *asking)), y), local, name="with_local")
            return _conv(b, layers.activation(b, y, "gelu"), width, 1, name="out")


def _scaled(b: GraphBuilder, y: Tensor, end: str) -> Tensor:
    return layers.multiply(b, y, b.weight(f"scale{end}", (y.shape[1], 1, 1)), name=f"layer_scale{end}")


def _conv(
    b: GraphBuilder,
    x: Tensor,
    width: int,
    kernel: int,
    *,
    stride: int = 1,
    groups: int = 1,
    act: str = "",
    name: str,
) -> Tensor:
    """With a bias, although it is normalised."""
    x = layers.conv(b, x, width, kernel, stride=stride, groups=groups, name=name)
    return layers.activation(b, layers.batch_norm(b, x, name=f"{name}_bn"), act)


_NETWORKS: Mapping[str, EfficientFormerV2] = MappingProxyType(
    {
        "efficientformerv2_s0": EfficientFormerV2(
            (32, 48, 96, 176), ((4, 4), (4, 4), (4, 3, 3, 3, 4, 4), (4, 3, 3, 4)), 2
        ),
        "efficientformerv2_s1": EfficientFormerV2(
            (32, 48, 120, 224), ((4,) * 3, (4,) * 3, (4, 4, 3, 3, 3, 3, 4, 4, 4), (4, 4, 3, 3, 4, 4)), 2
        ),
        "efficientformerv2_s2": EfficientFormerV2(
            (32, 64, 144, 288), ((4,) * 4, (4,) * 4, (4, 4, *(3,) * 6, *(4,) * 4), (4, 4, *(3,) * 4, 4, 4)), 4
        ),
        "efficientformerv2_l": EfficientFormerV2(
            (40, 80, 192, 384),
            ((4,) * 5, (4,) * 5, (*(4,) * 4, *(3,) * 7, *(4,) * 4), (*(4,) * 3, *(3,) * 4, *(4,) * 3)),
            6,
        ),
    }
)
"""Li et al. 2023, as published with the paper."""


def _find(name: str) -> Sized | None:
    return Sized(_NETWORKS[name]) if name in _NETWORKS else None


FAMILIES = (
    ImageFamily(
        name="efficientformer v2",
        title="convolution and attention for phones",
        source="Li et al. 2023, Rethinking Vision Transformers for MobileNet Size and Speed",
        examples=tuple(_NETWORKS),
        find=_find,
    ),
)
