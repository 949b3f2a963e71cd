"""CrossViTs (Chen et al. 2021, CrossViT) by the names of timm: ``crossvit_<size>[_dagger]_<pixels>``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from hwsim.graph.graph import GraphBuilder
from hwsim.graph.tensor import Tensor
from hwsim.operators.concat import Concat
from hwsim.operators.expand import Expand
from hwsim.operators.matmul import Matmul
from hwsim.operators.reshape import Reshape
from hwsim.operators.slice import Slice
from hwsim.operators.softmax import Softmax
from hwsim.operators.transpose import Transpose
from hwsim.operators.upsample import Resize
from hwsim.workloads import layers
from hwsim.workloads.families import ImageFamily, Sized

__all__ = ["FAMILIES", "CrossViT"]

_FIRST, _REST = Slice(1, 0, 1), Slice(1, 1, None)


@dataclass(frozen=True, slots=True)
class CrossViT:
    """Two branches on patches of 12 and 16 pixels, ``width`` and twice that wide, that exchange their class tokens.

    ``depth`` layers of the second branch (the first has one) in each of three rounds; ``ratio``: hidden over outer
    width; ``convolved``: patches come from three convolutions. The second branch sees the image smaller, by
    ``share`` = (numerator, denominator); timm resizes it bicubically, here it is bilinear.
    """

    width: int
    depth: int
    heads: int
    ratio: int
    share: tuple[int, int] = (224, 240)
    convolved: bool = False

    def __call__(self, b: GraphBuilder, image: Tensor, classes: int) -> Tensor:
        """Logits (batch, classes): the mean of both branches'."""
        small = tuple(side * self.share[0] // self.share[1] for side in image.shape[2:])
        images = (image, b.add(Resize(size=(small[0], small[1]), mode="bilinear"), image, name="smaller"))
        widths = (self.width, 2 * self.width)
        branches = [self._embed(b, x, side, w) for x, side, w in zip(images, (12, 16), widths, strict=True)]
        for place in range(3):
            with b.scope(f"round{place}"):
                branches = self._round(b, branches)
        made = []
        for place, x in enumerate(branches):
            y = b.add(Reshape((x.shape[0], x.shape[2])), b.add(_FIRST, layers.layer_norm(b, x, name=f"norm{place}")))
            made.append(layers.linear(b, y, classes, name=f"head{place}"))
        return layers.multiply(b, layers.add(b, made[0], made[1]), b.state("half", (1,)))

    def _embed(self, b: GraphBuilder, x: Tensor, side: int, width: int) -> Tensor:
        batch = x.shape[0]
        with b.scope(f"patches{side}"):
            if self.convolved:
                stride, padding, last = (3, 0, 1) if side == 12 else (2, 1, 2)
                x = layers.activation(b, layers.conv(b, x, width // 4, 7, stride=4, name="conv0"), "relu")
                x = layers.conv(b, x, width // 2, 3, stride=stride, padding=padding, name="conv1")
                x = layers.conv(b, layers.activation(b, x, "relu"), width, 3, stride=last, name="conv2")
            else:
                x = layers.conv(b, x, width, side, stride=side, padding=0, name="conv")
            x = b.add(Transpose((0, 2, 1)), b.add(Reshape((batch, width, -1)), x))
            token = b.weight("token", (1, 1, width))
            token = b.add(Expand((batch, 1, width)), token) if batch > 1 else token
            x = b.add(Concat(1), token, x)
            return layers.add(b, x, b.weight("positions", (1, *x.shape[1:])))

    def _round(self, b: GraphBuilder, branches: list[Tensor]) -> list[Tensor]:
        done = []
        for place, (x, depth) in enumerate(zip(branches, (1, self.depth), strict=True)):
            y = x
            for layer in range(depth):
                with b.scope(f"branch{place}.{layer}"):
                    z = layers.attention(b, layers.layer_norm(b, y, name="norm1"), self.heads, packed=True)
                    y = layers.add(b, y, z)
                    z = layers.mlp(b, layers.layer_norm(b, y, name="norm2"), self.ratio * y.shape[2])
                    y = layers.add(b, y, z, name="add2")
            done.append(y)
        found = []
        for place, x in enumerate(done):
            other = done[1 - place]
            with b.scope(f"fusion{place}"):
                token = self._projected(b, b.add(_FIRST, x), other.shape[2], "there")
                joined = b.add(Concat(1), token, b.add(_REST, other))
                asked = self._cross(b, layers.layer_norm(b, joined))
                token = layers.add(b, b.add(_FIRST, joined), asked)
                token = self._projected(b, token, x.shape[2], "back")
                found.append(b.add(Concat(1), token, b.add(_REST, x)))
        return found

    def _projected(self, b: GraphBuilder, token: Tensor, width: int, name: str) -> Tensor:
        y = layers.activation(b, layers.layer_norm(b, token, name=f"{name}_norm"), "gelu", name=f"{name}_gelu")
        return layers.linear(b, y, width, name=name)

    def _cross(self, b: GraphBuilder, x: Tensor) -> Tensor:
        """What the first position attends to, as kernels of its own."""
        width = x.shape[2]
        q, k, v = (
            layers.split_heads(b, layers.linear(b, part, width, name=n), self.heads, name=f"{n}_heads")
            for part, n in ((b.add(_FIRST, x), "q"), (x, "k"), (x, "v"))
        )
        scores = layers.multiply(b, b.add(Matmul(transpose_b=True), q, k, name="scores"), b.state("factor", (1,)))
        y = b.add(Matmul(), b.add(Softmax(), scores), v, name="values")
        return layers.linear(b, b.add(Reshape((x.shape[0], 1, width)), y), width, name="out")


_SIZES: Mapping[str, tuple[int, int, int, int]] = MappingProxyType(
    {
        # width, layers, heads, hidden over outer width
        "tiny": (96, 4, 3, 4),
        "small": (192, 4, 6, 4),
        "base": (384, 4, 12, 4),
        "9": (128, 3, 4, 3),
        "15": (192, 5, 6, 3),
        "18": (224, 6, 7, 3),
    }
)
"""Chen et al. 2021, CrossViT, Table 1."""


def _find(name: str) -> Sized | None:
    found = re.match(r"crossvit_(tiny|small|base|9|15|18)(_dagger)?_(240|408)$", name)
    if found is None:
        return None
    share = (224, 240) if found[3] == "240" else (384, 408)
    return Sized(CrossViT(*_SIZES[found[1]], share, bool(found[2])), int(found[3]))


FAMILIES = (
    ImageFamily(
        name="crossvit",
        title="transformers on patches of two sizes",
        source="Chen et al. 2021, CrossViT: Cross-Attention Multi-Scale Vision Transformer, Table 1",
        examples=("crossvit_base_240", "crossvit_18_dagger_408", "crossvit_9_240"),
        find=_find,
        minimum=240,
    ),
)
