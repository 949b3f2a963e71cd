"""FFNet (Mehta et al. 2022, Simple and Efficient Architectures for Semantic Segmentation, Figs. 2 and 3).

Stem, stages, heads and the smoothed halving of the low-resolution networks are those of the published code
(Qualcomm-AI-research/FFNet, models/resnet.py and models/ffnet_blocks.py, at 0887620).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hwsim.graph.graph import GraphBuilder
from hwsim.graph.tensor import Tensor
from hwsim.operators.concat import Concat
from hwsim.operators.conv2d import Conv2d
from hwsim.workloads import layers
from hwsim.workloads.backbones import resized, resnet_levels
from hwsim.workloads.families import image_network
from hwsim.workloads.registry import Published

__all__: list[str] = []

_Four = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class _Head:
    """Channels of the four levels after adapters and after smoothing; of the last layer but one; kernel of the last."""

    adapted: _Four
    smoothed: _Four
    middle: int
    kernel: int


_B = _Head((64, 128, 128, 256), (96, 96, 64, 32), 256, 3)
_C = _Head((128, 128, 128, 128), (128, 16, 16, 16), 128, 1)


@dataclass(frozen=True, slots=True)
class _FFNet:
    """A ResNet of basic blocks and a path upwards whose levels are summed, smoothed and joined.

    ``stem`` are the channels of its convolutions, the first two with stride 2; a network of three stages takes the
    stem's result as its finest level. ``halved``: the image is smoothed and halved first (trained so, exported so).
    """

    depths: Sequence[int]
    widths: Sequence[int]
    head: _Head
    stem: Sequence[int] = (32, 64)
    first_stride: int = 2
    halved: bool = False

    def __call__(self, b: GraphBuilder, image: Tensor, classes: int) -> Tensor:
        """Scores at an eighth of the size that the stem sees, or a quarter."""
        x = self._smoothed(b, image) if self.halved else image
        for place, channels in enumerate(self.stem):
            x = layers.conv_bn_act(b, x, channels, 3, stride=2 if place < 2 else 1, name=f"stem{place}")
        depths, count = tuple(self.depths), len(self.depths)
        found = [x]
        for stage in range(count):
            stride = self.first_stride if stage == 0 else 2
            with b.scope(f"stage{stage}"):
                levels = resnet_levels(
                    b,
                    found[-1],
                    depths[stage : stage + 1],
                    bottleneck=False,
                    widths=self.widths[stage : stage + 1],
                    strides=(stride,),
                    dilations=(1,),
                )
            found.append(levels[-1])
        return self._joined(b, found[-4:], classes)

    def _smoothed(self, b: GraphBuilder, image: Tensor) -> Tensor:
        with b.scope("smoothing"):
            filters = b.state("filter", (3, 1, 5, 5))
        return b.add(Conv2d(stride=(2, 2), padding=(2, 2), groups=3), image, filters, name="smoothing")

    def _joined(self, b: GraphBuilder, levels: Sequence[Tensor], classes: int) -> Tensor:
        head = self.head
        levels = [
            layers.conv_bn_act(b, x, channels, 1, name=f"adapter{place}")
            for place, (x, channels) in enumerate(zip(levels, head.adapted, strict=True))
        ]
        x, smooth = levels[3], [layers.conv_bn_act(b, levels[3], head.smoothed[3], 3, name="smooth3")]
        for place in (2, 1, 0):
            y = layers.conv_bn_act(b, x, head.adapted[place], 1, name=f"up{place + 1}")
            y = resized(b, y, levels[place].shape, mode="nearest", name=f"resize{place + 1}")
            x = layers.add(b, y, levels[place], name=f"add{place}")
            smooth.append(layers.conv_bn_act(b, x, head.smoothed[place], 3, name=f"smooth{place}"))
        fine = smooth[-1]
        parts = [
            fine,
            *(resized(b, y, fine.shape, mode="nearest", name=f"spread{i}") for i, y in enumerate(smooth[2::-1])),
        ]
        x = layers.conv(b, b.add(Concat(1), *parts), head.middle, 3, name="seg0")
        x = layers.activation(b, layers.batch_norm(b, x, "seg0_bn"), "relu")
        return layers.conv(b, x, classes, head.kernel, name="seg1")


_WIDTHS = (64, 128, 192, 320)
_FULL, _LOW = (1024, 2048), (512, 1024)
for _name, _title, _network, _size, _parameters in (
    ("ffnet_40s", "FFNet-40S", _FFNet((4, 5, 6, 4), _WIDTHS, _B), _FULL, 13.9e6),
    ("ffnet_54s", "FFNet-54S", _FFNet((5, 8, 8, 5), _WIDTHS, _B), _FULL, 18.0e6),
    ("ffnet_78s", "FFNet-78S", _FFNet((6, 12, 12, 8), _WIDTHS, _B), _FULL, 27.5e6),
    (
        "ffnet_78s_lowres",
        "FFNet-78S, low resolution",
        _FFNet((6, 12, 12, 8), _WIDTHS, _C, first_stride=1, halved=True),
        _LOW,
        26.8e6,
    ),
    (
        "ffnet_122ns_lowres",
        "FFNet-122NS, low resolution",
        _FFNet((16, 24, 20), (64, 128, 256), _C, stem=(64, 64, 64), halved=True),
        _LOW,
        32.1e6,
    ),
):
    image_network(
        _name,
        _network,
        title=_title,
        source="Mehta et al. 2022, Simple and Efficient Architectures for Semantic Segmentation; its published code",
        published=Published(
            parameters=int(_parameters), tolerance=0.005, source="quic/ai-hub-models, model card: parameters"
        ),
        what="Semantic segmentation.",
        size=_size,
        labels=19,
    )
