"""Depth from one image: MiDaS small and Depth Anything, both on fusion blocks that go from coarse to fine.

Sources: Ranftl et al. 2022, Towards Robust Monocular Depth Estimation (MiDaS v2.1 small); Ranftl, Bochkovskiy and
Koltun 2021, DPT, section 3; Yang et al. 2024, Depth Anything V2; Oquab et al. 2023, DINOv2 (ViT-S/14).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hwsim.errors import InputError
from hwsim.graph.graph import GraphBuilder
from hwsim.graph.tensor import Tensor
from hwsim.operators.concat import Concat
from hwsim.operators.reshape import Reshape
from hwsim.operators.slice import Slice
from hwsim.operators.transpose import Transpose
from hwsim.operators.upsample import Resize
from hwsim.workloads import layers
from hwsim.workloads.backbones import resized
from hwsim.workloads.edge_classifiers import efficientnet_lite_levels
from hwsim.workloads.families import image_filter
from hwsim.workloads.registry import Published, sources
from hwsim.workloads.segmentation import transposed_conv

__all__ = ["VisionTransformer", "fusion"]


def _residual(b: GraphBuilder, x: Tensor, name: str) -> Tensor:
    """Two 3x3 convolutions, each after a ReLU, around a link."""
    y = x
    for place in range(2):
        y = layers.conv(b, layers.activation(b, y, "relu"), x.shape[1], 3, name=f"{name}.conv{place}")
    return layers.add(b, x, y)


def fusion(b: GraphBuilder, levels: Sequence[Tensor], widths: Sequence[int]) -> Tensor:
    """Coarse features refined, doubled and added to the next finer ones; ``widths`` are those that leave each block."""
    x: Tensor | None = None
    for place in reversed(range(len(levels))):
        y = levels[place]
        if x is not None:
            y = layers.add(b, resized(b, x, y.shape), _residual(b, y, f"refine{place}.a"))
        y = _residual(b, y, f"refine{place}.b")
        y = b.add(Resize(scales=(2, 2), mode="bilinear"), y)
        x = layers.conv(b, y, widths[place], 1, name=f"refine{place}.out")
    assert x is not None
    return x


def _midas_small(b: GraphBuilder, image: Tensor) -> Tensor:
    """Inverse depth (batch, 1, height, width)."""
    levels = efficientnet_lite_levels(b, image, 1.2, 1.4)
    widths = (64, 128, 256, 512)
    levels = [layers.conv(b, x, w, 3, bias=False, name=f"scratch{w}") for x, w in zip(levels, widths, strict=True)]
    x = fusion(b, levels, (64, 64, 128, 256))
    x = layers.conv(b, x, 32, 3, name="out0")
    x = resized(b, x, image.shape)
    x = layers.activation(b, layers.conv(b, x, 32, 3, name="out1"), "relu")
    return layers.activation(b, layers.conv(b, x, 1, 1, name="out2"), "relu")


@dataclass(frozen=True, slots=True)
class VisionTransformer:
    """A pre-norm transformer over patches, with a class token; ``scaled`` residuals carry a weight a channel."""

    width: int
    depth: int
    heads: int
    patch: int
    scaled: bool = False

    def tokens(self, b: GraphBuilder, image: Tensor, taken: Sequence[int]) -> list[Tensor]:
        """Normalised tokens (batch, 1 + patches, width) after the blocks ``taken``, counted from one."""
        batch, _, height, width = image.shape
        if height % self.patch or width % self.patch:
            raise InputError(f"parameters 'height' and 'width' must be multiples of the patch size {self.patch}")
        x = layers.conv(b, image, self.width, self.patch, stride=self.patch, padding=0, name="patches")
        count = x.shape[2] * x.shape[3]
        x = b.add(Transpose((0, 2, 1)), b.add(Reshape((batch, self.width, count)), x))
        x = b.add(Concat(1), b.weight("class_token", (batch, 1, self.width)), x)
        x = layers.add(b, x, b.weight("positions", (1, count + 1, self.width)))
        found = []
        for place in range(self.depth):
            with b.scope(f"block{place}"):
                y = layers.attention(b, layers.layer_norm(b, x, "norm1"), self.heads, packed=True)
                x = layers.add(b, x, self._scaled(b, y, "scale1"), name="add1")
                y = layers.mlp(b, layers.layer_norm(b, x, "norm2"), 4 * self.width)
                x = layers.add(b, x, self._scaled(b, y, "scale2"), name="add2")
            if place + 1 in taken:
                found.append(layers.layer_norm(b, x, f"norm{place}"))
        return found

    def _scaled(self, b: GraphBuilder, x: Tensor, name: str) -> Tensor:
        return layers.multiply(b, x, b.weight(name, (self.width,)), name=name) if self.scaled else x


def _depth_anything(b: GraphBuilder, image: Tensor) -> Tensor:
    """Relative depth (batch, 1, height, width) from four levels of one transformer, reassembled as images."""
    network = VisionTransformer(384, 12, 6, 14, scaled=True)
    batch, _, height, width = image.shape
    rows, cols = height // 14, width // 14
    levels = []
    for place, tokens in enumerate(network.tokens(b, image, (3, 6, 9, 12))):
        channels = 48 << place
        x = b.add(Transpose((0, 2, 1)), b.add(Slice(1, 1, rows * cols + 1), tokens))
        x = b.add(Reshape((batch, 384, rows, cols)), x)
        x = layers.conv(b, x, channels, 1, name=f"project{place}")
        if place < 2:
            x = transposed_conv(b, x, channels, 4 >> place, 4 >> place, name=f"resize{place}")
        elif place == 3:
            x = layers.conv(b, x, channels, 3, stride=2, name="resize3")
        levels.append(layers.conv(b, x, 64, 3, bias=False, name=f"scratch{place}"))
    x = layers.conv(b, fusion(b, levels, (64, 64, 64, 64)), 32, 3, name="out0")
    x = resized(b, x, image.shape)
    x = layers.activation(b, layers.conv(b, x, 32, 3, name="out1"), "relu")
    return layers.activation(b, layers.conv(b, x, 1, 1, name="out2"), "relu")


for _name, _title, _network, _size, _parameters, _tolerance, _source in (
    ("midas_small", "MiDaS 2.1 small", _midas_small, 256, 16.6e6, 0.01, "quic/ai-hub-models: 16.6 M"),
    (
        "depth_anything_v2_small",
        "Depth Anything V2 Small",
        _depth_anything,
        518,
        24.7e6,
        0.02,
        "Yang et al. 2024: 24.8 M",
    ),
):
    image_filter(
        _name,
        _network,
        title=_title,
        source=sources(__doc__),
        published=Published(parameters=int(_parameters), tolerance=_tolerance, source=_source),
        what="Depth of every pixel from one image.",
        size=_size,
    )
