"""Vision transformers (Dosovitskiy et al. 2021, An Image is Worth 16x16 Words, Table 1)."""

from __future__ import annotations

from dataclasses import dataclass

from hwsim.errors import InputError
from hwsim.graph.graph import GraphBuilder
from hwsim.graph.tensor import Tensor
from hwsim.operators.concat import Concat
from hwsim.operators.expand import Expand
from hwsim.operators.reshape import Reshape
from hwsim.operators.slice import Slice
from hwsim.operators.transpose import Transpose
from hwsim.workloads import layers
from hwsim.workloads.families import image_network, torchvision
from hwsim.workloads.registry import Published

__all__ = ["VisionTransformer"]

_SOURCE = "Dosovitskiy et al. 2021, An Image is Worth 16x16 Words, Table 1"


@dataclass(frozen=True, slots=True, kw_only=True)
class VisionTransformer:
    """Layers, width and heads of the encoder; ``patch`` is the side of a patch in pixels."""

    depth: int
    width: int
    heads: int
    patch: int = 16

    def __call__(self, b: GraphBuilder, image: Tensor, classes: int) -> Tensor:
        """Logits (batch, classes); raises InputError when the image is not a whole number of patches."""
        x = self._embed(b, image)
        for place in range(self.depth):
            with b.scope(f"layer{place}"):
                y = layers.layer_norm(b, x, name="norm1")
                x = layers.add(b, x, layers.attention(b, y, self.heads, packed=True), name="add1")
                y = layers.layer_norm(b, x, name="norm2")
                x = layers.add(b, x, layers.mlp(b, y, 4 * self.width), name="add2")
        x = layers.layer_norm(b, x)
        first = b.add(Reshape((x.shape[0], self.width)), b.add(Slice(1, 0, 1), x))
        return layers.linear(b, first, classes, name="head")

    def _embed(self, b: GraphBuilder, image: Tensor) -> Tensor:
        """(batch, 1 + patches, width): projected patches behind a class token, plus position embeddings."""
        batch, _, height, width = image.shape
        if height % self.patch or width % self.patch:
            raise InputError(
                f"parameters 'height' and 'width' must be multiples of the patch size {self.patch}, "
                f"not {height} and {width}"
            )
        x = layers.conv(b, image, self.width, self.patch, stride=self.patch, padding=0, name="patches")
        x = b.add(Transpose((0, 2, 1)), b.add(Reshape((batch, self.width, -1)), x))
        token = b.weight("class_token", (1, 1, self.width))
        if batch > 1:
            token = b.add(Expand((batch, 1, self.width)), token)
        x = b.add(Concat(1), token, x)
        return layers.add(b, x, b.weight("positions", (1, *x.shape[1:])), name="add_positions")


for _name, _network, _source, _published in (
    (
        "vit_s_16",
        VisionTransformer(depth=12, width=384, heads=6),
        "Touvron et al. 2021, Training Data-efficient Image Transformers (DeiT), Table 1, without distillation",
        Published(parameters=22_050_664, macs=4.6e9, source="DeiT model zoo: DeiT-S, 22 M parameters, 4.6 G"),
    ),
    (
        "vit_b_16",
        VisionTransformer(depth=12, width=768, heads=12),
        _SOURCE,
        torchvision(86_567_656, 17.564e9),
    ),
    (
        "vit_l_16",
        VisionTransformer(depth=24, width=1024, heads=16),
        _SOURCE,
        torchvision(304_326_632, 61.555e9),
    ),
):
    image_network(
        _name,
        _network,
        title=f"ViT-{_name[4].upper()}/16",
        source=_source,
        published=_published,
        what="Vision transformer on patches of 16 x 16 pixels.",
        minimum=16,
    )
