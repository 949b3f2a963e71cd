"""ResNets for clips: 3D, (2+1)D and mixed convolutions.

As torchvision has them: 18 layers, clips of 16 frames of 112 x 112 pixels. Source: Tran et al. 2018, A Closer Look at
Spatiotemporal Convolutions for Action Recognition.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from hwsim.graph.graph import Graph, GraphBuilder
from hwsim.graph.tensor import Tensor
from hwsim.operators.global_average import GlobalAverage
from hwsim.workloads import layers
from hwsim.workloads.registry import Published, workload

__all__: list[str] = []

_Kind = Literal["full", "apart", "flat"]
_DOC = """Clip classifier of 18 layers.

Args:
    batch: Clips at once.
    frames: Frames of a clip.
    height: Frame height in pixels.
    width: Frame width in pixels.
    classes: Classes told apart.
"""


def _conv(
    b: GraphBuilder, x: Tensor, channels: int, kind: _Kind, stride: int, act: str, inner: int, name: str
) -> Tensor:
    """3x3x3, or 1x3x3 to the inner width and 3x1x1, or 1x3x3; then batch normalisation."""
    if kind == "flat":
        pads, step = (0, 1, 1), (1, stride, stride)
        y = layers.conv3d(b, x, channels, (1, 3, 3), stride=step, padding=pads, bias=False, name=name)
    elif kind == "full":
        y = layers.conv3d(b, x, channels, (3, 3, 3), stride=(stride,) * 3, padding=(1, 1, 1), bias=False, name=name)
    else:
        step = (1, stride, stride)
        y = layers.conv3d(b, x, inner, (1, 3, 3), stride=step, padding=(0, 1, 1), bias=False, name=f"{name}.a")
        y = layers.activation(b, layers.batch_norm(b, y, f"{name}.a_bn"), "relu")
        step = (stride, 1, 1)
        y = layers.conv3d(b, y, channels, (3, 1, 1), stride=step, padding=(1, 0, 0), bias=False, name=f"{name}.b")
    return layers.activation(b, layers.batch_norm(b, y, f"{name}_bn"), act)


def _inner(before: int, channels: int) -> int:
    """Width between 1x3x3 and 3x1x1 that gives both the weights of a 3x3x3 (section 3.5)."""
    return before * channels * 27 // (before * 9 + 3 * channels)


def _network(name: str, kinds: tuple[_Kind, _Kind, _Kind, _Kind]) -> Callable[..., Graph]:
    def build(*, batch: int = 1, frames: int = 16, height: int = 112, width: int = 112, classes: int = 400) -> Graph:
        b = GraphBuilder(name)
        x = b.input("clip", (batch, 3, frames, height, width))
        apart = kinds[0] == "apart"
        size, pads = ((1, 7, 7), (0, 3, 3)) if apart else ((3, 7, 7), (1, 3, 3))
        x = layers.conv3d(b, x, 45 if apart else 64, size, stride=(1, 2, 2), padding=pads, bias=False, name="stem")
        x = layers.activation(b, layers.batch_norm(b, x, "stem_bn"), "relu")
        if apart:
            x = layers.conv3d(b, x, 64, (3, 1, 1), padding=(1, 0, 0), bias=False, name="stem_time")
            x = layers.activation(b, layers.batch_norm(b, x, "stem_time_bn"), "relu")
        for stage, kind in enumerate(kinds):
            for place in range(2):
                stride = 2 if stage and not place else 1
                inner = _inner(x.shape[1], 64 << stage)
                with b.scope(f"layer{stage + 1}.{place}"):
                    y = _conv(b, x, 64 << stage, kind, stride, "relu", inner, "conv1")
                    y = _conv(b, y, 64 << stage, kind, 1, "", inner, "conv2")
                    if y.shape != x.shape:
                        step = (1 if kind == "flat" else stride, stride, stride)
                        x = layers.conv3d(b, x, 64 << stage, (1, 1, 1), stride=step, bias=False, name="downsample")
                        x = layers.batch_norm(b, x, "downsample_bn")
                    x = layers.activation(b, layers.add(b, y, x), "relu")
        return b.build([layers.linear(b, b.add(GlobalAverage(), x), classes, name="fc")], items=batch, item="clip")

    build.__name__ = name
    build.__module__ = __name__
    build.__doc__ = _DOC
    return build


_MEMBERS: tuple[tuple[str, str, tuple[_Kind, _Kind, _Kind, _Kind], int, float], ...] = (
    ("r3d_18", "ResNet 3D", ("full", "full", "full", "full"), 33_371_472, 40.697),
    ("r2plus1d_18", "ResNet (2+1)D", ("apart", "apart", "apart", "apart"), 31_505_325, 40.519),
    ("mc3_18", "ResNet, mixed convolutions", ("full", "flat", "flat", "flat"), 11_695_440, 43.343),
)

for _name, _title, _kinds, _parameters, _gmacs in _MEMBERS:
    workload(
        title=_title,
        source="Tran et al. 2018, A Closer Look at Spatiotemporal Convolutions for Action Recognition, section 3",
        item="clip",
        minimum={"height": 32, "width": 32},
        published=Published(
            parameters=_parameters, macs=_gmacs * 1e9, source="torchvision weight metadata (num_params, _ops)"
        ),
    )(_network(_name, _kinds))
