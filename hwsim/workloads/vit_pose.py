"""ViTPose: a plain vision transformer, two transposed convolutions, heat maps of key points (Xu et al. 2022)."""

from __future__ import annotations

from collections.abc import Callable

from hwsim.graph.graph import GraphBuilder
from hwsim.graph.tensor import Tensor
from hwsim.workloads import layers
from hwsim.workloads.families import image_filter
from hwsim.workloads.image_layers import to_image, to_sequence
from hwsim.workloads.registry import Published
from hwsim.workloads.segmentation import transposed_conv

__all__: list[str] = []

_DEPTH, _WIDTH, _HEADS, _PATCH, _POINTS = 12, 384, 6, 16, 17


def _vit_pose_small(b: GraphBuilder, image: Tensor) -> Tensor:
    """(batch, 17, height / 4, width / 4), with layer normalisation."""
    return _vit_pose(b, image, lambda x, name: layers.layer_norm(b, x, name))


def _vit_pose_small_bn(b: GraphBuilder, image: Tensor) -> Tensor:
    """(batch, 17, height / 4, width / 4); batch normalisation is folded into the products of the transformer."""
    return _vit_pose(b, image, lambda x, _: x)


def _vit_pose(b: GraphBuilder, image: Tensor, normed: Callable[[Tensor, str], Tensor]) -> Tensor:
    x = layers.conv(b, image, _WIDTH, _PATCH, stride=_PATCH, padding=0, name="patches")
    side = x.shape[2:]
    x = to_sequence(b, x)
    x = layers.add(b, x, b.weight("positions", (1, *x.shape[1:])), name="placed")
    for place in range(_DEPTH):
        with b.scope(f"layer{place}"):
            x = layers.add(b, x, layers.attention(b, normed(x, "norm1"), _HEADS, packed=True), name="add1")
            x = layers.add(b, x, layers.mlp(b, normed(x, "norm2"), 4 * _WIDTH), name="add2")
    x = to_image(b, normed(x, "norm"), side)
    for place in range(2):
        x = layers.batch_norm(b, transposed_conv(b, x, 256, 4, 2, name=f"up{place}"), f"up{place}_bn")
        x = layers.activation(b, x, "relu")
    return layers.conv(b, x, _POINTS, 1, name="maps")


for _name, _title, _network in (
    ("vit_pose_small", "ViTPose-S", _vit_pose_small),
    ("vit_pose_small_bn", "ViTPose-S with batch normalisation", _vit_pose_small_bn),
):
    image_filter(
        _name,
        _network,
        title=_title,
        source="Xu et al. 2022, ViTPose, section 3.1; hailo_model_zoo, public models",
        published=Published(
            parameters=24_320_000,
            tolerance=0.02,
            source="hailo_model_zoo: 24.32 M parameters; its 8.6 GMAC count zeros of transposed convolutions",
        ),
        what="Heat maps of seventeen key points of a person.",
        size=(256, 192),
    )
