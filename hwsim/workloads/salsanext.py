"""SalsaNext (Cortinhal, Tzelepis and Aksoy 2020, SalsaNext, Fig. 2): labels for the points of a lidar's panorama.

Layers as TiagoCortinhal/SalsaNext has them (train/tasks/semantic/modules/SalsaNext.py, at 7548c12).
"""

from __future__ import annotations

from hwsim.graph.graph import GraphBuilder
from hwsim.graph.tensor import Tensor
from hwsim.operators.concat import Concat
from hwsim.operators.leaky_relu import LeakyRelu
from hwsim.operators.softmax import Softmax
from hwsim.workloads import layers
from hwsim.workloads.backbones import pixel_shuffle
from hwsim.workloads.families import image_filter
from hwsim.workloads.registry import Published

__all__: list[str] = []

_CLASSES = 20


def _conv(
    b: GraphBuilder, x: Tensor, channels: int, kernel: int, dilation: int = 1, *, norm: bool = True, name: str
) -> Tensor:
    """A convolution that keeps the size, an activation, and only then batch normalisation."""
    padding = dilation * (kernel - 1) // 2 if kernel % 2 else dilation // 2
    y = layers.conv(b, x, channels, kernel, padding=padding, dilation=dilation, name=name)
    y = b.add(LeakyRelu(0.01), y, name=f"{name}_act")
    return layers.batch_norm(b, y, f"{name}_bn") if norm else y


def _context(b: GraphBuilder, x: Tensor, name: str) -> Tensor:
    with b.scope(name):
        short = _conv(b, x, 32, 1, norm=False, name="conv1")
        return layers.add(b, short, _conv(b, _conv(b, short, 32, 3, name="conv2"), 32, 3, 2, name="conv3"))


def _spread(b: GraphBuilder, x: Tensor, channels: int) -> Tensor:
    """Three convolutions in a row, of growing reach, joined and mixed."""
    first = _conv(b, x, channels, 3, name="conv2")
    second = _conv(b, first, channels, 3, 2, name="conv3")
    third = _conv(b, second, channels, 2, 2, name="conv4")
    return _conv(b, b.add(Concat(1), first, second, third), channels, 1, name="conv5")


def _residual(b: GraphBuilder, x: Tensor, channels: int, name: str) -> Tensor:
    with b.scope(name):
        short = _conv(b, x, channels, 1, norm=False, name="conv1")
        return layers.add(b, short, _spread(b, x, channels))


def _network(b: GraphBuilder, scan: Tensor) -> Tensor:
    """Probabilities of 20 classes (batch, 20, height, width) from range, place and intensity."""
    x = scan
    for place in range(3):
        x = _context(b, x, f"context{place}")
    levels = []
    for place, channels in enumerate((64, 128, 256, 256)):
        x = _residual(b, x, channels, f"down{place}")
        levels.append(x)
        x = layers.pool(b, x, "average", 3, stride=2, padding=1, name=f"pool{place}")
    x = _residual(b, x, 256, "bottom")
    for place, channels in ((3, 128), (2, 128), (1, 64), (0, 32)):
        with b.scope(f"up{place}"):
            joined = b.add(Concat(1), pixel_shuffle(b, x, 2), levels[place])
            x = _spread(b, joined, channels)
    return b.add(Softmax(axis=1), layers.conv(b, x, _CLASSES, 1, name="logits"))


image_filter(
    "salsanext",
    _network,
    title="SalsaNext",
    source="Cortinhal, Tzelepis and Aksoy 2020, SalsaNext: Uncertainty-aware Semantic Segmentation of LiDAR; its code",
    published=Published(
        parameters=6_710_000, tolerance=0.005, source="Cortinhal et al. 2020: 6.73 M; quic/ai-hub-models: 6.71 M"
    ),
    what="Semantic segmentation of a lidar's panorama of five channels.",
    size=(64, 2048),
    channels=5,
)
