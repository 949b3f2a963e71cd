"""SegFormer on MiT-B0 with batch normalisation in place of layer normalisation (Xie et al. 2021, SegFormer, section 3).

As hailo_model_zoo deploys it (segformer_b0_bn): the normalisation folds into the products around it.
"""

from __future__ import annotations

from hwsim.graph.graph import GraphBuilder
from hwsim.graph.tensor import Tensor
from hwsim.operators.arg_extreme import ArgExtreme
from hwsim.operators.concat import Concat
from hwsim.operators.split import Split
from hwsim.workloads import image_layers, layers
from hwsim.workloads.backbones import resized
from hwsim.workloads.families import image_network
from hwsim.workloads.registry import Published

__all__: list[str] = []

_STAGES = ((32, 1, 8), (64, 2, 4), (160, 5, 2), (256, 8, 1))
"""Width, heads, how often keys are subsampled along each side; two layers each (Table 6, B0)."""


def _attention(b: GraphBuilder, x: Tensor, image: Tensor, heads: int, reduced: int) -> Tensor:
    """Pixels attend to a subsampled image."""
    width = x.shape[2]
    with b.scope("attention"):
        q = layers.split_heads(b, layers.linear(b, x, width, name="q"), heads, name="q_heads")
        if reduced > 1:
            y = layers.conv(b, image, width, reduced, stride=reduced, padding=0, name="reduce")
            x = image_layers.to_sequence(b, y)
        parts = b.add_all(Split(-1, (width, width)), layers.linear(b, x, 2 * width, name="kv"))
        k, v = (layers.split_heads(b, part, heads, name=name) for part, name in zip(parts, "kv", strict=True))
        return layers.linear(b, layers.merge_heads(b, image_layers.fused_attention(b, q, k, v)), width, name="out")


def _segformer_b0(b: GraphBuilder, image: Tensor, classes: int) -> Tensor:
    """The label of each pixel."""
    x, levels = image, []
    for stage, (width, heads, reduced) in enumerate(_STAGES):
        with b.scope(f"stage{stage}"):
            kernel, stride = (3, 2) if stage else (7, 4)
            x = layers.conv(b, x, width, kernel, stride=stride, name="patches")
            for place in range(2):
                with b.scope(f"layer{place}"):
                    side = x.shape[2:]
                    y = _attention(b, image_layers.to_sequence(b, x), x, heads, reduced)
                    x = layers.add(b, x, image_layers.to_image(b, y, side), name="add1")
                    y = layers.conv(b, x, 4 * width, 1, name="up")
                    y = layers.conv(b, y, 4 * width, 3, groups=4 * width, name="depthwise")
                    y = layers.conv(b, layers.activation(b, y, "gelu"), width, 1, name="down")
                    x = layers.add(b, x, y, name="add2")
            levels.append(x)
    parts = [
        resized(b, layers.conv(b, y, 256, 1, name=f"linear{place}"), levels[0].shape) for place, y in enumerate(levels)
    ]
    x = layers.conv_bn_act(b, b.add(Concat(1), *parts), 256, 1, name="fuse")
    return b.add(ArgExtreme(axis=1), resized(b, layers.conv(b, x, classes, 1, name="classifier"), image.shape))


image_network(
    "segformer_b0_bn",
    _segformer_b0,
    title="SegFormer-B0 with batch normalisation",
    source="Xie et al. 2021, SegFormer, section 3 and Table 6; hailo_model_zoo, public models",
    published=Published(parameters=3_720_000, tolerance=0.02, source="hailo_model_zoo, from memory: 3.72 M"),
    what="Semantic segmentation.",
    size=(512, 1024),
    labels=19,
)
