"""XMem (Cheng and Schwing 2022, XMem: Long-Term Video Object Segmentation, Figs. 3 to 5), part by part, for one object.

Layers as gaomingqi/Track-Anything has them (tracker/model, at e6e1592); reading the memory lies between the parts.
"""

from __future__ import annotations

from collections.abc import Sequence

from hwsim.errors import InputError
from hwsim.graph.graph import Graph, GraphBuilder
from hwsim.graph.tensor import Tensor
from hwsim.operators.add import Add
from hwsim.operators.clip import Clip
from hwsim.operators.concat import Concat
from hwsim.operators.div import Div
from hwsim.operators.linear import Linear
from hwsim.operators.log import Log
from hwsim.operators.reduce import ReduceAxes
from hwsim.operators.reshape import Reshape
from hwsim.operators.softmax import Softmax
from hwsim.operators.split import Split
from hwsim.operators.sub import Sub
from hwsim.operators.upsample import Resize
from hwsim.workloads import layers
from hwsim.workloads.backbones import resized, resnet_levels, resnet_stem
from hwsim.workloads.registry import Published, workload

__all__ = ["xmem_key", "xmem_segment", "xmem_value"]

_SOURCE = "Cheng and Schwing 2022, XMem: Long-Term Video Object Segmentation with an Atkinson-Shiffrin Memory Model"
_HUB = "quic/ai-hub-models, model card: parameters"
_KEY, _VALUE, _HIDDEN = 64, 512, 64


def _check(height: int, width: int) -> tuple[int, int]:
    """Height and width at a stride of 16; raises InputError where that is no whole number."""
    if height % 16 or width % 16:
        raise InputError(f"parameters 'height' and 'width' must be multiples of 16, not {height} and {width}")
    return height // 16, width // 16


@workload(
    title="XMem, key encoder",
    source=_SOURCE,
    item="frame",
    published=Published(parameters=9_720_000, tolerance=0.01, source=_HUB),
)
def xmem_key(*, batch: int = 1, height: int = 320, width: int = 576, shrinkage: bool = True) -> Graph:
    """Keys of a frame, their selection and features, by a ResNet-50 without its last stage.

    Args:
        batch: Frames at once.
        height: pixels, a multiple of 16.
        width: pixels, a multiple of 16.
        shrinkage: whether it is to be remembered: how sure each key is comes too, features of other strides do not.
    """
    _check(height, width)
    b = GraphBuilder("xmem_key")
    x = resnet_stem(b, b.input("image", (batch, 3, height, width)))
    levels = resnet_levels(
        b, x, (3, 4, 6), bottleneck=True, widths=(64, 128, 256), strides=(1, 2, 2), dilations=(1, 1, 1)
    )
    x = levels[-1]
    selection = layers.activation(b, layers.conv(b, x, _KEY, 3, name="selection"), "sigmoid")
    outputs = [layers.conv(b, x, _KEY, 3, name="key"), selection, x]
    if shrinkage:
        y = layers.conv(b, x, 1, 3, name="shrinkage")
        outputs.append(b.add(Add(), layers.multiply(b, y, y), b.state("one", (1,))))
    return b.build([*outputs, *([] if shrinkage else levels[:2])], items=batch, item="frame")


def _residual(b: GraphBuilder, x: Tensor, channels: int, name: str) -> Tensor:
    """Two convolutions, each after an activation, around a link."""
    with b.scope(name):
        y = layers.conv(b, layers.activation(b, x, "relu"), channels, 3, name="conv1")
        y = layers.conv(b, layers.activation(b, y, "relu"), channels, 3, name="conv2")
        return layers.add(b, y, x if x.shape[1] == channels else layers.conv(b, x, channels, 3, name="link"))


def _attended(b: GraphBuilder, x: Tensor) -> Tensor:
    """Channels, then pixels scaled by gates from means and maxima (Woo et al. 2018, CBAM, Fig. 2)."""
    batch, size = x.shape[:2]
    with b.scope("attention"):
        down = layers.linear_weights(b, size // 16, size, name="down")
        up = layers.linear_weights(b, size, size // 16, name="up")
        made = []
        for mode in ("average", "max"):
            y = layers.flatten(b, layers.pool(b, x, mode, (x.shape[2], x.shape[3]), name=mode))
            y = layers.activation(b, b.add(Linear(), y, *down), "relu")
            made.append(b.add(Linear(), y, *up))
        gate = layers.activation(b, layers.add(b, made[0], made[1]), "sigmoid")
        x = layers.multiply(b, x, b.add(Reshape((batch, size, 1, 1)), gate))
        both = [b.add(ReduceAxes(mode, (1,), True), x) for mode in ("max", "mean")]
        y = layers.conv(b, b.add(Concat(1), *both), 1, 7, name="pixels")
        return layers.multiply(b, x, layers.activation(b, y, "sigmoid"))


def _fused(b: GraphBuilder, x: Tensor, channels: Sequence[int]) -> Tensor:
    with b.scope("fuser"):
        x = _residual(b, x, channels[0], "block1")
        return _residual(b, layers.add(b, x, _attended(b, x)), channels[1], "block2")


def _updated(b: GraphBuilder, x: Tensor, hidden: Tensor) -> Tensor:
    """The hidden state after one step of a gated unit."""
    with b.scope("hidden"):
        y = layers.conv(b, b.add(Concat(1), x, hidden), 3 * _HIDDEN, 3, name="transform")
        forget, update, new = b.add_all(Split(1, (_HIDDEN,) * 3), y)
        forget, update = (layers.activation(b, gate, "sigmoid") for gate in (forget, update))
        new = layers.multiply(b, update, layers.activation(b, new, "tanh"))
        rest = b.add(Sub(), b.state("one", (1,)), update)
        return layers.add(b, layers.multiply(b, layers.multiply(b, forget, hidden), rest), new)


def _shares(b: GraphBuilder, mask: Tensor) -> Tensor:
    """(batch, 2, height, width): probabilities of background and object from those of the object."""
    one = b.state("whole", (1,))
    both = b.add(Concat(1), b.add(Sub(), one, mask), mask)
    both = b.add(Clip(low=1e-7, high=1.0), both)
    odds = b.add(Log(), b.add(Div(), both, b.add(Sub(), one, both)))
    return b.add(Softmax(axis=1), odds)


@workload(
    title="XMem, value encoder",
    source=_SOURCE,
    item="frame",
    published=Published(parameters=23_300_000, tolerance=0.03, source=_HUB),
)
def xmem_value(*, batch: int = 1, height: int = 320, width: int = 576) -> Graph:
    """What a frame and its mask leave in the memory, by a ResNet-18 without its last stage.

    Args:
        batch: Frames at once.
        height: pixels, a multiple of 16.
        width: pixels, a multiple of 16.
    """
    tall, wide = _check(height, width)
    b = GraphBuilder("xmem_value")
    image, mask = b.input("image", (batch, 3, height, width)), b.input("mask", (batch, 1, height, width))
    features, hidden = b.input("features", (batch, 1024, tall, wide)), b.input("hidden", (batch, _HIDDEN, tall, wide))
    shares = _shares(b, mask)
    others = b.state("others", (batch, 1, height, width))
    _, known = b.add_all(Split(1, (1, 1)), shares)
    x = resnet_stem(b, b.add(Concat(1), image, known, others))
    x = resnet_levels(b, x, (2, 2, 2), bottleneck=False, widths=(64, 128, 256), strides=(1, 2, 2), dilations=(1, 1, 1))[
        -1
    ]
    x = _fused(b, b.add(Concat(1), features, x), (_VALUE, _VALUE))
    return b.build([shares, x, _updated(b, x, hidden)], items=batch, item="frame")


@workload(
    title="XMem, decoder",
    source=_SOURCE,
    item="frame",
    published=Published(parameters=30_100_000, tolerance=0.02, source=_HUB),
)
def xmem_segment(*, batch: int = 1, height: int = 320, width: int = 576) -> Graph:
    """The mask of a frame from its features and what was read from the memory.

    Args:
        batch: Frames at once.
        height: pixels, a multiple of 16.
        width: pixels, a multiple of 16.
    """
    tall, wide = _check(height, width)
    b = GraphBuilder("xmem_segment")
    rows = ((1024, 1), (512, 2), (256, 4))
    f16, f8, f4 = (b.input(f"features{s}", (batch, c, s * tall, s * wide)) for c, s in rows)
    memory, hidden = b.input("memory", (batch, _VALUE, tall, wide)), b.input("hidden", (batch, _HIDDEN, tall, wide))
    x = coarse = _fused(b, b.add(Concat(1), f16, b.add(Concat(1), memory, hidden)), (512, 512))
    made = []
    for place, skip in enumerate((f8, f4)):
        with b.scope(f"up{place}"):
            short = layers.conv(b, skip, x.shape[1], 3, name="skip")
            x = layers.add(b, short, b.add(Resize(scales=(2, 2), mode="bilinear"), x))
            x = _residual(b, x, 256, "out")
        made.append(x)
    logits = layers.conv(b, layers.activation(b, x, "relu"), 1, 3, name="logits")
    fine = b.add(Concat(1), x, logits)
    size = coarse.shape
    with b.scope("update"):
        parts = [
            layers.conv(b, resized(b, y, size, name=f"down{i}"), 256, 1, name=f"conv{i}")
            for i, y in enumerate((coarse, made[0], fine))
        ]
        mixed = layers.add(b, layers.add(b, parts[0], parts[1]), parts[2])
        hidden = _updated(b, mixed, hidden)
    mask = layers.activation(b, b.add(Resize(scales=(4, 4), mode="bilinear"), logits), "sigmoid")
    return b.build([_shares(b, mask), hidden], items=batch, item="frame")
