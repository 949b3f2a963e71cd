"""Depth Anything 3, small, for one view (Lin et al. 2025, Depth Anything 3: Recovering the Visual Space, Fig. 2).

Layers as ByteDance-Seed/Depth-Anything-3 has them (configs/da3-small.yaml, at a7927ef); the branch for rays, which a
map of depth does not need, is left out.
"""

from __future__ import annotations

from collections.abc import Sequence

from hwsim.errors import InputError
from hwsim.graph.graph import GraphBuilder
from hwsim.graph.tensor import Tensor
from hwsim.operators.concat import Concat
from hwsim.operators.exp import Exp
from hwsim.operators.layernorm import LayerNorm
from hwsim.operators.reshape import Reshape
from hwsim.operators.rope import Rope
from hwsim.operators.slice import Slice
from hwsim.operators.split import Split
from hwsim.operators.transpose import Transpose
from hwsim.workloads import image_layers, layers
from hwsim.workloads.backbones import resized
from hwsim.workloads.depth import fusion
from hwsim.workloads.families import image_filter
from hwsim.workloads.registry import Published
from hwsim.workloads.segmentation import transposed_conv

__all__: list[str] = []

_WIDTH, _DEPTH, _HEADS, _PATCH = 384, 12, 6, 14
_TAKEN = (6, 8, 10, 12)
_TURNED_FROM = 4
"""Blocks from here on normalise queries and keys and turn them by their places; every other one sees all views."""


def _attention(b: GraphBuilder, x: Tensor, *, turned: bool) -> Tensor:
    with b.scope("attention"):
        joint = layers.linear(b, x, 3 * _WIDTH, name="qkv")
        q, k, v = b.add_all(Split(-1, (_WIDTH,) * 3), joint)
        q, k, v = (layers.split_heads(b, y, _HEADS, name=n) for y, n in ((q, "q"), (k, "k"), (v, "v")))
        if turned:
            q, k = layers.layer_norm(b, q, "q_norm"), layers.layer_norm(b, k, "k_norm")
            q, k = b.add(Rope(), q, name="q_rope"), b.add(Rope(), k, name="k_rope")
        return layers.linear(b, layers.merge_heads(b, image_layers.fused_attention(b, q, k, v)), _WIDTH, name="out")


def _scaled(b: GraphBuilder, x: Tensor, name: str) -> Tensor:
    return layers.multiply(b, x, b.weight(name, (_WIDTH,)), name=name)


def _tokens(b: GraphBuilder, image: Tensor) -> list[Tensor]:
    """(batch, 1 + patches, 768) after four of the blocks: what one view and what all views made, side by side."""
    batch, _, height, width = image.shape
    if height % _PATCH or width % _PATCH:
        raise InputError(f"parameters 'height' and 'width' must be multiples of the patch size {_PATCH}")
    x = layers.conv(b, image, _WIDTH, _PATCH, stride=_PATCH, padding=0, name="patches")
    count = x.shape[2] * x.shape[3]
    x = b.add(Transpose((0, 2, 1)), b.add(Reshape((batch, _WIDTH, count)), x))
    x = b.add(Concat(1), b.weight("class_token", (batch, 1, _WIDTH)), x)
    x = layers.add(b, x, b.weight("positions", (1, count + 1, _WIDTH)))
    local, found = x, []
    for place in range(_DEPTH):
        if place == _TURNED_FROM:
            rest = b.add(Slice(1, 1, count + 1), x, name="patches_only")
            x = b.add(Concat(1), b.weight("camera_token", (batch, 1, _WIDTH)), rest)
        with b.scope(f"block{place}"):
            y = _attention(b, layers.layer_norm(b, x, "norm1"), turned=place >= _TURNED_FROM)
            x = layers.add(b, x, _scaled(b, y, "scale1"), name="add1")
            y = layers.mlp(b, layers.layer_norm(b, x, "norm2"), 4 * _WIDTH)
            x = layers.add(b, x, _scaled(b, y, "scale2"), name="add2")
        if place + 1 in _TAKEN:
            all_views = layers.layer_norm(b, x, f"norm{place}")
            found.append(b.add(Concat(2), local, all_views))
        elif place % 2 == 0:
            local = x
    return found


def _levels(b: GraphBuilder, tokens: Sequence[Tensor], rows: int, cols: int) -> list[Tensor]:
    """Features of 64 channels at strides of 3.5 to 28 pixels; norms of all levels share their weights."""
    gain = layers.norm_weights(b, 2 * _WIDTH, name="head_norm")
    made = []
    for place, every in enumerate(tokens):
        channels = 48 << place
        x = b.add(LayerNorm(), b.add(Slice(1, 1, rows * cols + 1), every), *gain)
        x = b.add(Reshape((x.shape[0], 2 * _WIDTH, rows, cols)), b.add(Transpose((0, 2, 1)), x))
        x = _placed(b, layers.conv(b, x, channels, 1, name=f"project{place}"), f"places{place}")
        if place < 2:
            x = transposed_conv(b, x, channels, 4 >> place, 4 >> place, name=f"resize{place}")
        elif place == 3:
            x = layers.conv(b, x, channels, 3, stride=2, name="resize3")
        made.append(layers.conv(b, x, 64, 3, bias=False, name=f"scratch{place}"))
    return made


def _placed(b: GraphBuilder, x: Tensor, name: str) -> Tensor:
    return layers.add(b, x, b.state(name, (1, *x.shape[1:])), name=f"{name}_add")


def _depth(b: GraphBuilder, image: Tensor) -> tuple[Tensor, Tensor]:
    """Depth and how sure it is, (batch, 1, height, width) each."""
    height, width = image.shape[2:]
    x = fusion(b, _levels(b, _tokens(b, image), height // _PATCH, width // _PATCH), (64, 64, 64, 64))
    x = resized(b, layers.conv(b, x, 32, 3, name="out0"), image.shape)
    x = layers.activation(b, layers.conv(b, _placed(b, x, "places"), 32, 3, name="out1"), "relu")
    depth, sure = b.add_all(Split(1, (1, 1)), layers.conv(b, x, 2, 1, name="out2"))
    return b.add(Exp(), depth), b.add(Exp(), sure)


image_filter(
    "depth_anything3_small",
    _depth,
    title="Depth Anything 3 Small",
    source="Lin et al. 2025, Depth Anything 3: Recovering the Visual Space from Any Views; its published code",
    published=Published(parameters=24_700_000, tolerance=0.02, source="quic/ai-hub-models, model card: parameters"),
    what="Depth of every pixel from one image.",
    size=518,
)
