"""EdgeNeXts (Maaz et al. 2022, EdgeNeXt) by the names of timm."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from hwsim.graph.graph import GraphBuilder
from hwsim.graph.tensor import Tensor
from hwsim.operators.concat import Concat
from hwsim.operators.div import Div
from hwsim.operators.matmul import Matmul
from hwsim.operators.reduce import ReduceAxes
from hwsim.operators.reshape import Reshape
from hwsim.operators.softmax import Softmax
from hwsim.operators.split import Split
from hwsim.operators.transpose import Transpose
from hwsim.workloads import image_layers, layers
from hwsim.workloads.families import ImageFamily, Sized

__all__ = ["FAMILIES", "EdgeNeXt"]

_TO_LAST, _TO_SECOND = Transpose((0, 2, 3, 1)), Transpose((0, 3, 1, 2))
_SCALES = (2, 2, 3, 4)
"""Parts of the channels that a stage's last block convolves one after another."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EdgeNeXt:
    """Blocks and widths of stages, heads of attention between channels.

    ``strided``: strides in depthwise convolutions, which have no biases, behind an overlapping stem.
    """

    depths: tuple[int, int, int, int]
    widths: tuple[int, int, int, int]
    heads: int = 8
    strided: bool = False

    def __call__(self, b: GraphBuilder, image: Tensor, classes: int) -> Tensor:
        """Logits (batch, classes)."""
        side, padding = (9, 4) if self.strided else (4, 0)
        bias = not self.strided
        x = layers.conv(b, image, self.widths[0], side, stride=4, padding=padding, bias=bias, name="stem")
        x = image_layers.channel_norm(b, x, "stem_norm")
        for stage, (depth, width) in enumerate(zip(self.depths, self.widths, strict=True)):
            with b.scope(f"stage{stage}"):
                if stage and not self.strided:
                    x = image_layers.channel_norm(b, x, "down_norm")
                    x = layers.conv(b, x, width, 2, stride=2, padding=0, name="down")
                for place in range(depth):
                    with b.scope(f"block{place}"):
                        if stage and place == depth - 1:
                            x = self._mixed(b, x, _SCALES[stage], placed=stage == 1)
                        else:
                            stride = 2 if self.strided and stage and place == 0 else 1
                            x = self._convolved(b, x, width, (3, 5, 7, 9)[stage], stride)
        y = b.add(Reshape((*x.shape[:2], 1, 1)), layers.global_average(b, x))
        return layers.linear(b, layers.flatten(b, image_layers.channel_norm(b, y, "norm")), classes, name="head")

    def _convolved(self, b: GraphBuilder, x: Tensor, width: int, kernel: int, stride: int) -> Tensor:
        bias = not self.strided
        y = layers.conv(b, x, width, kernel, stride=stride, groups=x.shape[1], bias=bias, name="depthwise")
        shortcut = y if y.shape != x.shape else x
        return layers.add(b, shortcut, self._perceptron(b, b.add(_TO_LAST, y)))

    def _perceptron(self, b: GraphBuilder, x: Tensor) -> Tensor:
        y = layers.mlp(b, layers.layer_norm(b, x), 4 * x.shape[3])
        y = layers.multiply(b, b.weight("scale", (x.shape[3],)), y, name="layer_scale")
        return b.add(_TO_SECOND, y)

    def _mixed(self, b: GraphBuilder, x: Tensor, scales: int, *, placed: bool) -> Tensor:
        """Parts convolved one after the other, attention between channels, a perceptron (Maaz et al. 2022, Fig. 2)."""
        batch, width, height, across = x.shape
        share = -(-width // scales)
        parts = b.add_all(Split(1, (*(share,) * (scales - 1), width - share * (scales - 1))), x, name="parts")
        made: list[Tensor] = []
        for place in range(max(1, scales - 1)):
            y = layers.add(b, made[-1], parts[place], name=f"with_part{place}") if made else parts[place]
            made.append(layers.conv(b, y, share, 3, groups=share, bias=not self.strided, name=f"part{place}"))
        y = image_layers.to_sequence(b, b.add(Concat(1), *made, parts[-1], name="joined"))
        if placed:
            waves = b.state("waves", (1, 64, height, across))
            places = image_layers.to_sequence(b, layers.conv(b, waves, width, 1, name="positions"))
            y = layers.add(b, y, places, name="add_positions")
        z = self._between_channels(b, layers.layer_norm(b, y, name="norm_attention"))
        z = layers.multiply(b, b.weight("scale_attention", (width,)), z, name="attention_scaled")
        y = b.add(Reshape((batch, height, across, width)), layers.add(b, y, z, name="add_attention"))
        return layers.add(b, x, self._perceptron(b, y))

    def _between_channels(self, b: GraphBuilder, x: Tensor) -> Tensor:
        """Attention by the angles between channels (El-Nouby et al. 2021, XCiT, equation 4)."""
        batch, seq, width = x.shape
        dim = width // self.heads
        with b.scope("attention"):
            joint = b.add(Reshape((batch, seq, 3, self.heads, dim)), layers.linear(b, x, 3 * width, name="qkv"))
            joint = b.add(Transpose((2, 0, 3, 4, 1)), joint, name="parts_first")
            parts = b.add_all(Split(0, (1, 1, 1)), joint)
            q, k, v = (b.add(Reshape((batch, self.heads, dim, seq)), part) for part in parts)
            turned = []
            for name, part in (("q", q), ("k", k)):
                length = b.add(ReduceAxes("l2", (3,), True), part, name=f"{name}_length")
                turned.append(b.add(Div(), part, length, name=f"{name}_direction"))
            scores = b.add(Matmul(transpose_b=True), *turned, name="scores")
            scores = layers.multiply(b, scores, b.weight("temperature", (self.heads, 1, 1)), name="scaled")
            y = b.add(Matmul(), b.add(Softmax(), scores), v, name="values")
            y = b.add(Reshape((batch, seq, width)), b.add(Transpose((0, 3, 1, 2)), y, name="merge"))
            return layers.linear(b, y, width, name="out")


_SMALL = EdgeNeXt(depths=(3, 3, 9, 3), widths=(48, 96, 160, 304))
_NETWORKS: Mapping[str, tuple[EdgeNeXt, int]] = MappingProxyType(
    {
        "edgenext_xx_small": (EdgeNeXt(depths=(2, 2, 6, 2), widths=(24, 48, 88, 168), heads=4), 256),
        "edgenext_x_small": (EdgeNeXt(depths=(3, 3, 9, 3), widths=(32, 64, 100, 192), heads=4), 256),
        "edgenext_small": (_SMALL, 256),
        "edgenext_base": (replace(_SMALL, widths=(80, 160, 288, 584)), 256),
        "edgenext_small_rw": (replace(_SMALL, widths=(48, 96, 192, 384), strided=True), 256),
    }
)
"""Maaz et al. 2022, Table 1."""


def _find(name: str) -> Sized | None:
    return Sized(*_NETWORKS[name]) if name in _NETWORKS else None


FAMILIES = (
    ImageFamily(
        name="edgenext",
        title="convolution and attention between channels",
        source="Maaz et al. 2022, EdgeNeXt: Efficiently Amalgamated CNN-Transformer Architecture, Table 1",
        examples=tuple(_NETWORKS),
        find=_find,
    ),
)
