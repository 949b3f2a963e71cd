"""ConvNeXt (Liu et al. 2022, A ConvNet for the 2020s, Table 9)."""

from __future__ import annotations

from hwsim.graph.graph import Graph, GraphBuilder
from hwsim.graph.tensor import Tensor
from hwsim.operators.reshape import Reshape
from hwsim.operators.transpose import Transpose
from hwsim.workloads import layers
from hwsim.workloads.registry import Published, workload

__all__ = ["convnext_tiny"]

_DEPTHS = (3, 3, 9, 3)
_CHANNELS = (96, 192, 384, 768)
_TO_LAST = Transpose((0, 2, 3, 1))
_TO_SECOND = Transpose((0, 3, 1, 2))


def _channel_norm(b: GraphBuilder, x: Tensor, name: str) -> Tensor:
    """Layer normalisation over the channels of (batch, channels, height, width)."""
    return b.add(_TO_SECOND, layers.layer_norm(b, b.add(_TO_LAST, x), name=name))


def _block(b: GraphBuilder, x: Tensor) -> Tensor:
    """Depthwise 7x7, then a two-layer perceptron over the channels, scaled and added."""
    channels = x.shape[1]
    y = layers.conv(b, x, channels, 7, groups=channels, name="depthwise")
    y = layers.layer_norm(b, b.add(_TO_LAST, y))
    y = b.add(_TO_SECOND, layers.mlp(b, y, 4 * channels))
    y = layers.multiply(b, y, b.weight("scale", (channels, 1, 1)), name="layer_scale")
    return layers.add(b, x, y)


@workload(
    title="ConvNeXt-T",
    source="Liu et al. 2022, A ConvNet for the 2020s, Table 9; layers as in torchvision",
    item="image",
    minimum={"height": 32, "width": 32},
    published=Published(parameters=28_589_128, macs=4.4555e9, source="torchvision weight metadata (num_params, _ops)"),
)
def convnext_tiny(*, batch: int = 1, height: int = 224, width: int = 224, classes: int = 1000) -> Graph:
    """Image classifier of large depthwise convolutions and layer norms.

    Args:
        batch: Images at once.
        height: Image height in pixels.
        width: Image width in pixels.
        classes: Classes told apart.
    """
    b = GraphBuilder("convnext_tiny")
    x = b.input("image", (batch, 3, height, width))
    for stage, (depth, channels) in enumerate(zip(_DEPTHS, _CHANNELS, strict=True)):
        with b.scope(f"stage{stage}"):
            if stage == 0:
                x = layers.conv(b, x, channels, 4, stride=4, padding=0, name="stem")
                x = _channel_norm(b, x, "stem_norm")
            else:
                x = _channel_norm(b, x, "downsample_norm")
                x = layers.conv(b, x, channels, 2, stride=2, padding=0, name="downsample")
            for place in range(depth):
                with b.scope(f"block{place}"):
                    x = _block(b, x)
    y = b.add(Reshape((batch, _CHANNELS[-1], 1, 1)), layers.global_average(b, x))
    y = layers.flatten(b, _channel_norm(b, y, "norm"))
    return b.build([layers.linear(b, y, classes, name="head")], items=batch, item="image")
