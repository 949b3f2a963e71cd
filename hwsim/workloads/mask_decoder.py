"""Parts of Segment Anything: encoders of images, and the decoder that turns points into masks.

Sources: Kirillov et al. 2023, Segment Anything, appendix A; Zhang et al. 2023, Faster Segment Anything (MobileSAM),
section 3; Ravi et al. 2024, SAM 2, appendix D.1. As quic/ai-hub-models, models/mobilesam and sam2 (052dc1f), cut them
in two; what embeds the few points is left out, and embedded points are an input.
"""

from __future__ import annotations

from hwsim.graph.graph import Graph, GraphBuilder
from hwsim.graph.tensor import Tensor
from hwsim.operators.attention import Attention
from hwsim.operators.concat import Concat
from hwsim.operators.expand import Expand
from hwsim.operators.matmul import Matmul
from hwsim.operators.reshape import Reshape
from hwsim.operators.slice import Slice
from hwsim.operators.transpose import Transpose
from hwsim.workloads import image_layers, layers
from hwsim.workloads.backbones import resized
from hwsim.workloads.families import image_filter
from hwsim.workloads.registry import Published, sources, workload
from hwsim.workloads.segmentation import transposed_conv
from hwsim.workloads.timm.grouped_windows import TinyViT
from hwsim.workloads.timm.segment_anything import HieraDetector

__all__ = ["sam2_mask_decoder", "sam_mask_decoder"]

_SOURCE = sources(__doc__, before="As quic")
_WIDTH, _HEADS, _INNER, _HIDDEN, _MASKS = 256, 8, 128, 2048, 4
_TINY = TinyViT(widths=(64, 128, 160, 320), heads=(4, 5, 10))
_HIERA = HieraDetector(depths=(1, 2, 7, 2), whole=(5, 7, 9))


def _mobile_encoder(b: GraphBuilder, image: Tensor) -> Tensor:
    """(batch, 256, height / 16, width / 16)."""
    x = layers.conv(b, _TINY.features(b, image, last_stride=1), _WIDTH, 1, bias=False, name="neck0")
    x = layers.conv(b, image_layers.channel_norm(b, x, "neck0_norm"), _WIDTH, 3, bias=False, name="neck1")
    return image_layers.channel_norm(b, x, "neck1_norm")


def _second_encoder(b: GraphBuilder, image: Tensor) -> tuple[Tensor, ...]:
    """(batch, 256, height / 16, width / 16), and finer features of 32 and 64 channels at strides of 4 and 8."""
    levels = [b.add(Transpose((0, 3, 1, 2)), level) for level in _HIERA.levels(b, image)]
    side = [layers.conv(b, level, _WIDTH, 1, name=f"lateral{place}") for place, level in enumerate(levels)]
    top = layers.add(b, side[2], resized(b, side[3], side[2].shape, mode="nearest", name="up"))
    top = layers.add(b, top, b.weight("no_memory", (1, _WIDTH, 1, 1)), name="add_no_memory")
    return top, layers.conv(b, side[0], 32, 1, name="fine0"), layers.conv(b, side[1], 64, 1, name="fine1")


for _name, _title, _network, _parameters, _counted in (
    ("mobile_sam_encoder", "MobileSAM, image encoder", _mobile_encoder, 5.78e6, "Zhang et al. 2023, Table 3"),
    ("sam2_tiny_encoder", "SAM 2.1 tiny, image encoder", _second_encoder, 26.85e6, "timm, its trunk sam2_hiera_tiny"),
):
    image_filter(
        _name,
        _network,
        title=_title,
        source=_SOURCE,
        published=Published(parameters=int(_parameters), tolerance=0.02, source=_counted),
        what="Features of an image that masks are decoded from.",
        size=1024,
    )


def _attend(b: GraphBuilder, q: Tensor, k: Tensor, v: Tensor, inner: int, name: str) -> Tensor:
    """Attention of q (batch, seq, 256) to k and v by so many features."""
    with b.scope(name):
        parts = [
            layers.split_heads(b, layers.linear(b, part, inner, name=which), _HEADS, name=f"{which}_heads")
            for which, part in (("q", q), ("k", k), ("v", v))
        ]
        return layers.linear(b, layers.merge_heads(b, b.add(Attention(), *parts, name="attention")), _WIDTH, name="out")


def _both_ways(b: GraphBuilder, tokens: Tensor, image: Tensor, points: Tensor, places: Tensor) -> tuple[Tensor, Tensor]:
    """Two layers in which tokens read the image and the image reads tokens, and the tokens' last look."""
    for place in range(2):
        with b.scope(f"layer{place}"):
            q = layers.add(b, tokens, points, name="q") if place else tokens
            y = _attend(b, q, q, tokens, _WIDTH, "self")
            tokens = layers.layer_norm(b, layers.add(b, tokens, y, name="add1") if place else y, "norm1")
            q, k = layers.add(b, tokens, points, name="q2"), layers.add(b, image, places, name="k2")
            tokens = layers.add(b, tokens, _attend(b, q, k, image, _INNER, "to_image"), name="add2")
            tokens = layers.layer_norm(b, tokens, "norm2")
            tokens = layers.add(b, tokens, layers.mlp(b, tokens, _HIDDEN, act="relu"), name="add3")
            tokens = layers.layer_norm(b, tokens, "norm3")
            q = layers.add(b, tokens, points, name="q4")
            image = layers.add(b, image, _attend(b, k, q, tokens, _INNER, "to_tokens"), name="add4")
            image = layers.layer_norm(b, image, "norm4")
    q, k = layers.add(b, tokens, points, name="last_q"), layers.add(b, image, places, name="last_k")
    tokens = layers.add(b, tokens, _attend(b, q, k, image, _INNER, "last"), name="last_add")
    return layers.layer_norm(b, tokens, "last_norm"), image


def _perceptron(b: GraphBuilder, x: Tensor, outputs: int, name: str) -> Tensor:
    """Two hidden layers."""
    with b.scope(name):
        for place in range(2):
            x = layers.activation(b, layers.linear(b, x, _WIDTH, name=f"fc{place}"), "relu")
        return layers.linear(b, x, outputs, name="out")


def _token(b: GraphBuilder, tokens: Tensor, place: int) -> Tensor:
    """(batch, 1, 256) of the token there."""
    return b.add(Slice(1, place, place + 1), tokens, name=f"token{place}")


def _decoder(name: str, batch: int, points: int, side: int, *, second: bool) -> Graph:
    b = GraphBuilder(name)
    image = b.input("image", (batch, _WIDTH, side, side))
    finer = [b.input(f"finer{i}", (batch, size, f * side, f * side)) for i, (size, f) in enumerate(((64, 2), (32, 4)))]
    learned = b.weight("tokens", (1, _MASKS + 1 + second, _WIDTH))
    learned = b.add(Expand((batch, *learned.shape[1:])), learned, name="learned") if batch > 1 else learned
    tokens = b.add(Concat(1), learned, b.input("points", (batch, points, _WIDTH)), name="all_tokens")
    x = layers.add(b, image, b.state("no_mask", (1, _WIDTH, side, side)), name="add_no_mask")
    places = image_layers.to_sequence(b, b.state("places", (1, _WIDTH, side, side)))
    tokens, x = _both_ways(b, tokens, image_layers.to_sequence(b, x), tokens, places)
    x = transposed_conv(b, image_layers.to_image(b, x, (side, side)), 64, 2, 2, name="up0")
    x = layers.add(b, x, finer[0], name="add_finer0") if second else x
    x = layers.activation(b, image_layers.channel_norm(b, x, "up_norm"), "gelu")
    x = transposed_conv(b, x, 32, 2, 2, name="up1")
    x = layers.activation(b, layers.add(b, x, finer[1], name="add_finer1") if second else x, "gelu")
    first = 1 + second
    mixes = [_perceptron(b, _token(b, tokens, first + place), 32, f"mix{place}") for place in range(_MASKS)]
    pixels = b.add(Reshape((batch, 32, 16 * side * side)), x)
    masks = b.add(Matmul(), b.add(Concat(1), *mixes, name="mixes"), pixels, name="masks")
    masks = b.add(Reshape((batch, _MASKS, 4 * side, 4 * side)), masks)
    outputs = [masks, _perceptron(b, _token(b, tokens, second), _MASKS, "quality")]
    outputs += [_perceptron(b, _token(b, tokens, 0), 1, "present")] if second else []
    return b.build(outputs, items=batch, item="prompt")


@workload(
    title="Segment Anything, mask decoder",
    source=_SOURCE,
    item="prompt",
    published=Published(parameters=4_058_340, tolerance=0.001, source="MaskDecoder of segment-anything"),
)
def sam_mask_decoder(*, batch: int = 1, points: int = 2, side: int = 64) -> Graph:
    """Four masks at a quarter of the image's size, and how good they are.

    Args:
        batch: Prompts at once.
        points: Points of a prompt.
        side: Height and width of the image's features.
    """
    return _decoder("sam_mask_decoder", batch, points, side, second=False)


@workload(
    title="SAM 2, mask decoder",
    source=_SOURCE,
    item="prompt",
    published=Published(
        parameters=4_190_437, tolerance=0.001, source="that of segment-anything, a token and a perceptron for objects"
    ),
)
def sam2_mask_decoder(*, batch: int = 1, points: int = 3, side: int = 64) -> Graph:
    """Four masks at a quarter of the image's size, how good they are, and whether there is an object.

    Args:
        batch: Prompts at once.
        points: Points of a prompt, the empty one at its end included.
        side: Height and width of the image's features.
    """
    return _decoder("sam2_mask_decoder", batch, points, side, second=True)
