"""Networks that fill holes of images: AOT-GAN and LaMa with dilated convolutions.

Sources: Zeng et al. 2022, Aggregated Contextual Transformations, Fig. 3 (researchmm/AOT-GAN-for-Inpainting at 4180346);
Suvorov et al. 2022, Resolution-robust Large Mask Inpainting (LaMa), section 3 and table 1 (advimman/lama at 7dee0e4).
"""

from __future__ import annotations

from hwsim.graph.graph import GraphBuilder
from hwsim.graph.tensor import Tensor
from hwsim.operators.add import Add
from hwsim.operators.concat import Concat
from hwsim.operators.conv_transpose import ConvTranspose2d
from hwsim.operators.div import Div
from hwsim.operators.pad import Pad
from hwsim.operators.reduce import ReduceAxes
from hwsim.operators.slice import Slice
from hwsim.operators.split import Split
from hwsim.operators.sqrt import Sqrt
from hwsim.operators.sub import Sub
from hwsim.operators.upsample import Resize
from hwsim.workloads import layers
from hwsim.workloads.families import image_filter
from hwsim.workloads.registry import Published, sources

__all__: list[str] = []


def _mirrored(b: GraphBuilder, x: Tensor, border: int, name: str) -> Tensor:
    return b.add(Pad(((0, 0), (0, 0), (border, border), (border, border)), mode="reflect"), x, name=f"{name}_pad")


def _conv(
    b: GraphBuilder, x: Tensor, channels: int, kernel: int, dilation: int = 1, *, bias: bool = True, name: str
) -> Tensor:
    """A convolution whose border is a mirror image: a copy of its own."""
    x = _mirrored(b, x, dilation * (kernel // 2), name)
    return layers.conv(b, x, channels, kernel, padding=0, dilation=dilation, bias=bias, name=name)


def _number(b: GraphBuilder, name: str) -> Tensor:
    return b.state(name, (1,))


def _masked(b: GraphBuilder, joint: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """(image, mask, one minus the mask, image without what the mask covers) from four channels."""
    image, mask = b.add(Slice(1, 0, 3), joint, name="image"), b.add(Slice(1, 3, 4), joint, name="mask")
    rest = b.add(Sub(), _number(b, "one"), mask)
    return image, mask, rest, layers.multiply(b, image, rest, name="kept")


def _standardised(b: GraphBuilder, x: Tensor) -> Tensor:
    """(2 (x - mean) / deviation - 1) 5 over each channel of an image, operator by operator."""
    mean = b.add(ReduceAxes("mean", (2, 3), True), x)
    moved = b.add(Sub(), x, mean)
    squares = layers.multiply(b, layers.multiply(b, moved, moved, name="squares"), _number(b, "share"))
    deviation = b.add(Sqrt(), b.add(ReduceAxes("sum", (2, 3), True), squares))
    deviation = b.add(Add(), deviation, _number(b, "least"))
    y = b.add(Div(), layers.multiply(b, moved, _number(b, "two")), deviation)
    return layers.multiply(b, b.add(Sub(), y, _number(b, "shift")), _number(b, "five"))


def _aot_block(b: GraphBuilder, x: Tensor) -> Tensor:
    """Convolutions of four dilations joined, and added where a gate says so."""
    size = x.shape[1]
    parts = [layers.activation(b, _conv(b, x, size // 4, 3, rate, name=f"rate{rate}"), "relu") for rate in (1, 2, 4, 8)]
    made = _conv(b, b.add(Concat(1), *parts), size, 3, name="fuse")
    gate = layers.activation(b, _standardised(b, _conv(b, x, size, 3, name="gate")), "sigmoid")
    rest = b.add(Sub(), _number(b, "one"), gate)
    return layers.add(b, layers.multiply(b, x, rest), layers.multiply(b, made, gate))


def _aot_gan(b: GraphBuilder, joint: Tensor) -> Tensor:
    """The image with its holes filled, from an image and a mask."""
    _, mask, _, kept = _masked(b, joint)
    x = b.add(Concat(1), layers.add(b, kept, mask, name="white"), mask)
    x = layers.activation(b, _conv(b, x, 64, 7, name="stem"), "relu")
    for place, channels in enumerate((128, 256)):
        x = layers.activation(b, layers.conv(b, x, channels, 4, stride=2, padding=1, name=f"down{place}"), "relu")
    for place in range(8):
        with b.scope(f"block{place}"):
            x = _aot_block(b, x)
    for place, channels in enumerate((128, 64)):
        x = b.add(Resize(scales=(2, 2), mode="bilinear"), x)
        x = layers.activation(b, layers.conv(b, x, channels, 3, name=f"up{place}"), "relu")
    return layers.activation(b, layers.conv(b, x, 3, 3, name="out"), "tanh")


def _dilated(b: GraphBuilder, x: Tensor, name: str) -> Tensor:
    """Four parts of the channels, each in a convolution of its own dilation to all channels, summed."""
    size = x.shape[1]
    with b.scope(name):
        pieces = b.add_all(Split(1, (size // 4,) * 4), x)
        made = [_conv(b, piece, size, 3, 1 << place, name=f"conv{place}") for place, piece in enumerate(pieces)]
        y = made[0]
        for other in made[1:]:
            y = layers.add(b, y, other)
        return layers.batch_norm(b, y)


def _lama(b: GraphBuilder, joint: Tensor) -> Tensor:
    """The image with its holes filled, from an image and a mask."""
    image, mask, rest, kept = _masked(b, joint)
    x = _conv(b, b.add(Concat(1), kept, mask), 64, 7, name="stem")
    x = layers.activation(b, layers.batch_norm(b, x, "stem_bn"), "relu")
    for place, channels in enumerate((128, 256, 512)):
        x = layers.batch_norm(b, layers.conv(b, x, channels, 3, stride=2, name=f"down{place}"), f"down{place}_bn")
        x = layers.activation(b, x, "relu")
    for place in range(9):
        with b.scope(f"block{place}"):
            y = layers.activation(b, _dilated(b, x, "a"), "relu")
            x = layers.add(b, x, _dilated(b, y, "b"))
    for place, channels in enumerate((256, 128, 64)):
        with b.scope(f"up{place}"):
            operands = (b.weight("weight", (x.shape[1], channels, 3, 3)), b.weight("bias", (channels,)))
        op = ConvTranspose2d(stride=(2, 2), padding=(1, 1), output_padding=(1, 1))
        x = layers.batch_norm(b, b.add(op, x, *operands, name=f"up{place}"), f"up{place}_bn")
        x = layers.activation(b, x, "relu")
    made = layers.activation(b, _conv(b, x, 3, 7, name="out"), "sigmoid")
    return layers.add(b, layers.multiply(b, mask, made), layers.multiply(b, rest, image))


_HUB = "quic/ai-hub-models, model card: parameters"
for _name, _title, _network, _parameters in (
    ("aot_gan", "AOT-GAN", _aot_gan, 15.2e6),
    ("lama_dilated", "LaMa, dilated", _lama, 45.6e6),
):
    image_filter(
        _name,
        _network,
        title=_title,
        source=sources(__doc__),
        published=Published(parameters=int(_parameters), tolerance=0.005, source=_HUB),
        what="An image and a mask (four channels) in, the image without holes out.",
        size=512,
        channels=4,
    )
