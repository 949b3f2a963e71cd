"""CenterNet on DLA-34 with deformable convolutions (Zhou et al. 2019, Objects as Points, section 5 and Fig. 6 d).

Levels of the backbone are joined from the deepest up, each time through two deformable convolutions and a depthwise
transposed one (xingyizhou/CenterNet, models/networks/pose_dla_dcn.py at 4c50fd3); deformable ones are gathers, as
quic/ai-hub-models exports them.
"""

from __future__ import annotations

from dataclasses import dataclass

from hwsim.graph.graph import GraphBuilder
from hwsim.graph.tensor import Tensor
from hwsim.operators.conv_transpose import ConvTranspose2d
from hwsim.workloads import layers
from hwsim.workloads.deformable import deformable_conv
from hwsim.workloads.families import image_network
from hwsim.workloads.registry import Published
from hwsim.workloads.timm.dla import DLA

__all__: list[str] = []

_DLA_34 = DLA(levels=(1, 1, 1, 2, 2, 1), widths=(16, 32, 64, 128, 256, 512), kind="basic")
_WIDTHS = (64, 128, 256, 512)


def _deformed(b: GraphBuilder, x: Tensor, width: int, name: str) -> Tensor:
    y = layers.batch_norm(b, deformable_conv(b, x, width, name=name), f"{name}_bn")
    return layers.activation(b, y, "relu")


def _joined(b: GraphBuilder, levels: list[Tensor], width: int, scales: list[int], name: str) -> list[Tensor]:
    """Levels joined one after the other, each brought to the width and size of the first."""
    made = levels[:1]
    for place, (x, scale) in enumerate(zip(levels[1:], scales, strict=True), start=1):
        with b.scope(f"{name}.{place}"):
            y = _deformed(b, x, width, "proj")
            weight = b.weight("up.weight", (width, 1, 2 * scale, 2 * scale))
            op = ConvTranspose2d(stride=(scale, scale), padding=(scale // 2, scale // 2), groups=width)
            made.append(_deformed(b, layers.add(b, b.add(op, y, weight), made[-1]), width, "node"))
    return made


@dataclass(frozen=True, slots=True)
class CenterNetDla:
    """Maps beside that of centres, by their channels."""

    maps: tuple[int, ...]

    def __call__(self, b: GraphBuilder, image: Tensor, classes: int) -> tuple[Tensor, ...]:
        """Maps of centres by class and of what else is told of each object, at a quarter of the size."""
        levels = _DLA_34.features(b, image)
        found: list[Tensor] = []
        for place in (2, 1, 0):
            scales = [2] * (len(levels) - 1 - place)
            levels = [*levels[:place], *_joined(b, levels[place:], _WIDTHS[place], scales, f"dla_up{place}")]
            found.insert(0, levels[-1])
        x = _joined(b, found, _WIDTHS[0], [2, 4], "ida_up")[-1]
        heads = []
        for place, outputs in enumerate((classes, *self.maps)):
            y = layers.activation(b, layers.conv(b, x, 256, 3, name=f"head{place}"), "relu")
            heads.append(layers.conv(b, y, outputs, 1, name=f"head{place}_out"))
        return (layers.activation(b, heads[0], "sigmoid"), *heads[1:])


_TITLES = {"centernet_dla34_3d": ", in space", "centernet_dla34_pose": ", poses"}
for _name, _maps, _classes, _size, _parameters, _what in (
    ("centernet_dla34", (2, 2), 80, 512, 19.69e6, "Objects by their centres, sizes and offsets."),
    ("centernet_dla34_pose", (2, 34, 2, 17, 2), 1, 512, 20.09e6, "People by their centres, and 17 joints of each."),
    ("centernet_dla34_3d", (1, 8, 3, 2, 2), 3, (384, 1280), 20.09e6, "Depth, turn and size of what one camera sees."),
):
    image_network(
        _name,
        CenterNetDla(_maps),
        title="CenterNet on DLA-34" + _TITLES.get(_name, ""),
        source="Zhou et al. 2019, Objects as Points, section 5; xingyizhou/CenterNet at 4c50fd3",
        published=Published(
            parameters=int(_parameters),
            tolerance=0.01,
            source="quic/ai-hub-models, centernet_2d, _pose, _3d: 20.2 and 20.6 M, 0.51 M of it in a classifier apart",
        ),
        what=_what,
        size=_size,
        labels=_classes,
    )
