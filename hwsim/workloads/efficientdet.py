"""EfficientDet-Lite: EfficientNet-Lite, then features summed up and down (Tan, Pang and Le 2020, EfficientDet).

Without weights of the sums, as google/automl has it (efficientdet, lite models), from memory, checked by its counts.
"""

from __future__ import annotations

from dataclasses import dataclass

from hwsim.graph.graph import GraphBuilder
from hwsim.graph.tensor import Tensor
from hwsim.operators.conv2d import Conv2d
from hwsim.workloads import layers
from hwsim.workloads.backbones import resized
from hwsim.workloads.edge_classifiers import efficientnet_lite_levels
from hwsim.workloads.families import image_network
from hwsim.workloads.registry import Published

__all__: list[str] = []

_ANCHORS = 9


@dataclass(frozen=True, slots=True)
class EfficientDet:
    """Factors on the width and depth of the backbone; channels of the pyramid and how often it is summed.

    ``repeats``: convolutions of a head.
    """

    width: float
    depth: float
    channels: int
    cells: int
    repeats: int = 3

    def __call__(self, b: GraphBuilder, image: Tensor, classes: int) -> tuple[Tensor, ...]:
        """Scores and boxes of nine anchors a pixel at strides 8 to 128."""
        levels = efficientnet_lite_levels(b, image, self.width, self.depth)[1:]
        coarse = layers.conv_bn_act(b, levels[-1], self.channels, 1, act="", name="level6")
        levels.append(layers.pool(b, coarse, "max", 3, stride=2, padding=1, name="pool6"))
        levels.append(layers.pool(b, levels[-1], "max", 3, stride=2, padding=1, name="pool7"))
        for cell in range(self.cells):
            with b.scope(f"cell{cell}"):
                levels = self._summed(b, levels)
        return (
            *self._head(b, levels, _ANCHORS * classes, "scores"),
            *self._head(b, levels, _ANCHORS * 4, "boxes"),
        )

    def _fit(self, b: GraphBuilder, x: Tensor, name: str) -> Tensor:
        """Features with the channels of the pyramid."""
        return x if x.shape[1] == self.channels else layers.conv_bn_act(b, x, self.channels, 1, act="", name=name)

    def _node(self, b: GraphBuilder, name: str, *parts: Tensor) -> Tensor:
        x = parts[0]
        for place, part in enumerate(parts[1:]):
            x = layers.add(b, x, part, name=f"{name}_sum{place}")
        x = layers.activation(b, x, "relu6")
        x = layers.conv(b, x, self.channels, 3, groups=self.channels, bias=False, name=f"{name}_depthwise")
        return layers.batch_norm(b, layers.conv(b, x, self.channels, 1, name=name), f"{name}_bn")

    def _summed(self, b: GraphBuilder, levels: list[Tensor]) -> list[Tensor]:
        """From coarse to fine, then back; levels between the ends join both sums (Fig. 2d)."""
        down = [self._fit(b, x, f"in{place}") for place, x in enumerate(levels)]
        back = [self._fit(b, x, f"again{place}") for place, x in enumerate(levels)]
        for place in (3, 2, 1, 0):
            coarse = resized(b, down[place + 1], down[place].shape, mode="nearest", name=f"up{place}")
            down[place] = self._node(b, f"down{place}", down[place], coarse)
        made = [down[0]]
        for place in (1, 2, 3, 4):
            finer = layers.pool(b, made[-1], "max", 3, stride=2, padding=1, name=f"pool{place}")
            own = [back[place], down[place]] if place < 4 else [back[place]]
            made.append(self._node(b, f"up{place}_node", *own, finer))
        return made

    def _head(self, b: GraphBuilder, levels: list[Tensor], outputs: int, name: str) -> list[Tensor]:
        """Convolutions that all levels share, each level with normalisations of its own."""
        with b.scope(name):
            widths = [self.channels] * self.repeats + [outputs]
            weights = [
                (
                    b.weight(f"depthwise{step}", (self.channels, 1, 3, 3)),
                    b.weight(f"point{step}", (width, self.channels, 1, 1)),
                    b.weight(f"bias{step}", (width,)),
                )
                for step, width in enumerate(widths)
            ]
            found = []
            for place, level in enumerate(levels):
                x = level
                for step, (depthwise, point, bias) in enumerate(weights):
                    x = b.add(Conv2d(padding=(1, 1), groups=self.channels), x, depthwise, name=f"dw{step}.{place}")
                    x = b.add(Conv2d(), x, point, bias, name=f"pw{step}.{place}")
                    if step < self.repeats:
                        x = layers.activation(b, layers.batch_norm(b, x, f"bn{step}.{place}"), "relu6")
                found.append(x)
        return found


for _number, _network, _size, _parameters, _gmacs in (
    (0, EfficientDet(1.0, 1.0, 64, 3), 320, 3.2e6, 0.0),
    (1, EfficientDet(1.0, 1.1, 88, 4), 384, 4.2e6, 2.0),
    (2, EfficientDet(1.1, 1.2, 112, 5), 448, 5.3e6, 3.42),
    (3, EfficientDet(1.2, 1.4, 160, 6, 4), 512, 8.4e6, 0.0),
):
    image_network(
        f"efficientdet_lite{_number}",
        _network,
        title=f"EfficientDet-Lite{_number}",
        source="Tan, Pang and Le 2020, EfficientDet: Scalable and Efficient Object Detection, section 3; google/automl",
        published=Published(
            parameters=int(_parameters),
            macs=_gmacs * 1e9 or None,
            tolerance=0.02,
            source="google/automl README, from memory: 3.2, 4.2, 5.3, 8.4 M; hailo_model_zoo (MACs; heads by level)",
        ),
        what="Object detector of five levels (overlaps are not suppressed).",
        size=_size,
        labels=90,
    )
