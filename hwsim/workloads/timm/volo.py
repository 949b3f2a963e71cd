"""VOLOs (Yuan et al. 2022, VOLO: Vision Outlooker for Visual Recognition) by the names of timm."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from hwsim.graph.graph import GraphBuilder
from hwsim.graph.tensor import Tensor
from hwsim.operators.concat import Concat
from hwsim.operators.expand import Expand
from hwsim.operators.fold import Fold
from hwsim.operators.matmul import Matmul
from hwsim.operators.reduce import ReduceAxes
from hwsim.operators.reshape import Reshape
from hwsim.operators.slice import Slice
from hwsim.operators.softmax import Softmax
from hwsim.operators.split import Split
from hwsim.operators.transpose import Transpose
from hwsim.operators.unfold import Unfold
from hwsim.workloads import layers
from hwsim.workloads.families import ImageFamily, Sized

__all__ = ["FAMILIES", "Volo"]

_TO_LAST, _TO_SECOND = Transpose((0, 2, 3, 1)), Transpose((0, 3, 1, 2))
_AREA = 9
"""Pixels of the windows that outlookers weigh."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Volo:
    """Outlookers, then layers of three stages, widths and heads before and after positions are halved.

    ``stem``: channels of the first convolutions; ``ratio``: hidden over outer width of the perceptrons.
    """

    depths: tuple[int, int, int, int]
    widths: tuple[int, int]
    heads: tuple[int, int]
    stem: int = 64
    ratio: int = 3

    def __call__(self, b: GraphBuilder, image: Tensor, classes: int) -> Tensor:
        """Logits (batch, classes): those of the class token and half of the highest of any patch."""
        x = layers.conv_bn_act(b, image, self.stem, 7, stride=2, name="stem0")
        x = layers.conv_bn_act(b, layers.conv_bn_act(b, x, self.stem, 3, name="stem1"), self.stem, 3, name="stem2")
        x = b.add(_TO_LAST, layers.conv(b, x, self.widths[0], 4, stride=4, padding=0, name="patches"))
        for place in range(self.depths[0]):
            with b.scope(f"outlooker{place}"):
                x = layers.add(b, x, self._outlook(b, layers.layer_norm(b, x, name="norm1")))
                x = self._perceptron(b, x)
        x = layers.conv(b, b.add(_TO_SECOND, x), self.widths[1], 2, stride=2, padding=0, name="down")
        x = b.add(_TO_LAST, x)
        x = layers.add(b, x, b.weight("positions", (1, *x.shape[1:])), name="add_positions")
        batch, height, across, width = x.shape
        x = b.add(Reshape((batch, height * across, width)), x)
        for place in range(sum(self.depths[1:])):
            with b.scope(f"layer{place}"):
                y = layers.layer_norm(b, x, name="norm1")
                y = layers.attention(b, y, self.heads[1], packed=True, bias=False, out_bias=True)
                x = self._perceptron(b, layers.add(b, x, y))
        return self._classify(b, x, classes)

    def _classify(self, b: GraphBuilder, x: Tensor, classes: int) -> Tensor:
        batch, _, width = x.shape
        token = b.weight("class_token", (1, 1, width))
        token = b.add(Expand((batch, 1, width)), token) if batch > 1 else token
        x = b.add(Concat(1), token, x)
        for place in range(2):
            with b.scope(f"class{place}"):
                asked = layers.add(b, b.add(Slice(1, 0, 1), x), self._ask(b, layers.layer_norm(b, x, name="norm1")))
                x = b.add(Concat(1), self._perceptron(b, asked), b.add(Slice(1, 1, None), x))
        x = layers.layer_norm(b, x)
        first = b.add(Reshape((batch, width)), b.add(Slice(1, 0, 1), x))
        y = layers.linear(b, b.add(Slice(1, 1, None), x), classes, name="head_of_patches")
        y = layers.multiply(b, b.add(ReduceAxes("max", (1,)), y, name="highest"), b.state("half", (1,)))
        return layers.add(b, layers.linear(b, first, classes, name="head"), y)

    def _perceptron(self, b: GraphBuilder, x: Tensor) -> Tensor:
        y = layers.mlp(b, layers.layer_norm(b, x, name="norm2"), self.ratio * x.shape[-1])
        return layers.add(b, x, y, name="add2")

    def _ask(self, b: GraphBuilder, x: Tensor) -> Tensor:
        """(batch, 1, width): what the class token finds, in kernels of their own."""
        batch, _, width = x.shape
        heads = self.heads[1]
        with b.scope("class_attention"):
            k, v = b.add_all(Split(-1, (width, width)), layers.linear(b, x, 2 * width, bias=False, name="kv"))
            q = layers.linear(b, b.add(Slice(1, 0, 1), x), width, bias=False, name="q")
            q, k, v = (layers.split_heads(b, part, heads, name=n) for part, n in zip((q, k, v), "qkv", strict=True))
            q = layers.multiply(b, q, b.state("scale", (1,)), name="scaled")
            weights = b.add(Softmax(), b.add(Matmul(transpose_b=True), q, k, name="scores"))
            y = b.add(Reshape((batch, 1, width)), b.add(Matmul(), weights, v, name="values"))
            return layers.linear(b, y, width, name="out")

    def _outlook(self, b: GraphBuilder, x: Tensor) -> Tensor:
        """Windows of 3 x 3 with weights for each pair of their pixels (Yuan et al. 2022, section 3.1)."""
        batch, height, across, width = x.shape
        heads = self.heads[0]
        dim, count = width // heads, -(-height // 2) * -(-across // 2)
        window = {"kernel": (3, 3), "stride": (2, 2), "padding": (1, 1)}
        with b.scope("outlook"):
            v = b.add(Unfold(**window), b.add(_TO_SECOND, layers.linear(b, x, width, bias=False, name="v")))
            v = b.add(Reshape((batch, heads, dim, _AREA, count)), v)
            v = b.add(Transpose((0, 1, 4, 3, 2)), v, name="v_by_window")
            y = layers.pool(b, b.add(_TO_SECOND, x), "average", 2, ceil=True, name="pool")
            y = layers.linear(b, b.add(_TO_LAST, y), _AREA * _AREA * heads, name="weights")
            y = b.add(Reshape((batch, count, heads, _AREA, _AREA)), y)
            y = b.add(Transpose((0, 2, 1, 3, 4)), y, name="weights_by_head")
            y = b.add(Softmax(), layers.multiply(b, y, b.state("scale", (1,)), name="scaled"))
            y = b.add(Transpose((0, 1, 4, 3, 2)), b.add(Matmul(), y, v, name="weighed"), name="by_pixel")
            y = b.add(Reshape((batch, width * _AREA, count)), y)
            y = b.add(_TO_LAST, b.add(Fold(size=(height, across), **window), y))
            return layers.linear(b, y, width, name="out")


_NETWORKS: Mapping[str, Volo] = MappingProxyType(
    {
        "d1": Volo(depths=(4, 4, 8, 2), widths=(192, 384), heads=(6, 12)),
        "d2": Volo(depths=(6, 4, 10, 4), widths=(256, 512), heads=(8, 16)),
        "d3": Volo(depths=(8, 8, 16, 4), widths=(256, 512), heads=(8, 16)),
        "d4": Volo(depths=(8, 8, 16, 4), widths=(384, 768), heads=(12, 16)),
        "d5": Volo(depths=(12, 12, 20, 4), widths=(384, 768), heads=(12, 16), stem=128, ratio=4),
    }
)
"""Yuan et al. 2022, Table 2."""


def _find(name: str) -> Sized | None:
    found = re.match(r"volo_(d[1-5])_(224|384|448|512)$", name)
    return Sized(_NETWORKS[found[1]], int(found[2])) if found else None


FAMILIES = (
    ImageFamily(
        name="volo",
        title="outlookers and a vision transformer",
        source="Yuan et al. 2022, VOLO: Vision Outlooker for Visual Recognition, Table 2",
        examples=("volo_d1_224", "volo_d5_512", "volo_d3_448"),
        find=_find,
    ),
)
