"""Vision transformers (Dosovitskiy et al. 2021, An Image is Worth 16x16 Words, Table 1)."""

from __future__ import annotations

from dataclasses import dataclass

from hwsim.errors import InputError
from hwsim.graph.graph import Graph, GraphBuilder
from hwsim.graph.tensor import Tensor
from hwsim.operators.concat import Concat
from hwsim.operators.expand import Expand
from hwsim.operators.reshape import Reshape
from hwsim.operators.slice import Slice
from hwsim.operators.transpose import Transpose
from hwsim.workloads import layers
from hwsim.workloads.registry import Published, workload

__all__ = ["vit_b_16", "vit_l_16", "vit_s_16"]

_SOURCE = "Dosovitskiy et al. 2021, An Image is Worth 16x16 Words, Table 1"
_TORCHVISION = "torchvision weight metadata (num_params, _ops)"
_MINIMUM = {"height": 16, "width": 16}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Size:
    depth: int
    width: int
    heads: int
    patch: int = 16


def _embed(b: GraphBuilder, image: Tensor, size: _Size) -> Tensor:
    """(batch, 1 + patches, width): projected patches behind a class token, plus position embeddings."""
    batch, _, height, width = image.shape
    if height % size.patch or width % size.patch:
        raise InputError(
            f"parameters 'height' and 'width' must be multiples of the patch size {size.patch}, "
            f"not {height} and {width}"
        )
    x = layers.conv(b, image, size.width, size.patch, stride=size.patch, padding=0, name="patches")
    x = b.add(Reshape((batch, size.width, -1)), x)
    x = b.add(Transpose((0, 2, 1)), x)
    token = b.weight("class_token", (1, 1, size.width))
    if batch > 1:
        token = b.add(Expand((batch, 1, size.width)), token)
    x = b.add(Concat(1), token, x)
    return layers.add(b, x, b.weight("positions", (1, *x.shape[1:])), name="add_positions")


def _vit(name: str, size: _Size, *, batch: int, height: int, width: int, classes: int) -> Graph:
    b = GraphBuilder(name)
    x = _embed(b, b.input("image", (batch, 3, height, width)), size)
    for place in range(size.depth):
        with b.scope(f"layer{place}"):
            y = layers.layer_norm(b, x, name="norm1")
            x = layers.add(b, x, layers.attention(b, y, size.heads, packed=True), name="add1")
            y = layers.layer_norm(b, x, name="norm2")
            x = layers.add(b, x, layers.mlp(b, y, 4 * size.width), name="add2")
    x = layers.layer_norm(b, x)
    x = b.add(Reshape((batch, size.width)), b.add(Slice(1, 0, 1), x))
    return b.build([layers.linear(b, x, classes, name="head")], items=batch, item="image")


@workload(
    title="ViT-B/16",
    source=_SOURCE,
    item="image",
    minimum=_MINIMUM,
    published=Published(parameters=86_567_656, macs=17.5638e9, source=_TORCHVISION),
)
def vit_b_16(*, batch: int = 1, height: int = 224, width: int = 224, classes: int = 1000) -> Graph:
    """Vision transformer, base size, on patches of 16 x 16 pixels.

    Args:
        batch: Images at once.
        height: Image height in pixels, a multiple of 16.
        width: Image width in pixels, a multiple of 16.
        classes: Classes told apart.
    """
    size = _Size(depth=12, width=768, heads=12)
    return _vit("vit_b_16", size, batch=batch, height=height, width=width, classes=classes)


@workload(
    title="ViT-L/16",
    source=_SOURCE,
    item="image",
    minimum=_MINIMUM,
    published=Published(parameters=304_326_632, macs=61.555e9, source=_TORCHVISION),
)
def vit_l_16(*, batch: int = 1, height: int = 224, width: int = 224, classes: int = 1000) -> Graph:
    """Vision transformer, large size, on patches of 16 x 16 pixels.

    Args:
        batch: Images at once.
        height: Image height in pixels, a multiple of 16.
        width: Image width in pixels, a multiple of 16.
        classes: Classes told apart.
    """
    size = _Size(depth=24, width=1024, heads=16)
    return _vit("vit_l_16", size, batch=batch, height=height, width=width, classes=classes)


@workload(
    title="ViT-S/16",
    source="Touvron et al. 2021, Training Data-efficient Image Transformers (DeiT), Table 1, without distillation",
    item="image",
    minimum=_MINIMUM,
    published=Published(
        parameters=22_050_664, macs=4.6e9, tolerance=0.01, source="DeiT, Table 1 and model zoo (DeiT-S, 22 M, 4.6 G)"
    ),
)
def vit_s_16(*, batch: int = 1, height: int = 224, width: int = 224, classes: int = 1000) -> Graph:
    """Vision transformer, small size, on patches of 16 x 16 pixels.

    Args:
        batch: Images at once.
        height: Image height in pixels, a multiple of 16.
        width: Image width in pixels, a multiple of 16.
        classes: Classes told apart.
    """
    size = _Size(depth=12, width=384, heads=6)
    return _vit("vit_s_16", size, batch=batch, height=height, width=width, classes=classes)
