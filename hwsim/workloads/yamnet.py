"""YAMNet: MobileNet on spectrograms (Plakal and Ellis 2020, tensorflow/models, research/audioset/yamnet)."""

from __future__ import annotations

from hwsim.graph.graph import GraphBuilder
from hwsim.graph.tensor import Tensor
from hwsim.workloads import layers
from hwsim.workloads.backbones import mobilenet_v1_levels
from hwsim.workloads.families import image_filter
from hwsim.workloads.registry import Published

__all__: list[str] = []

_CLASSES = 521


def _yamnet(b: GraphBuilder, patch: Tensor) -> Tensor:
    """Scores (batch, 521) of sounds in 96 frames of 64 bands."""
    x = layers.global_average(b, mobilenet_v1_levels(b, patch, act="relu")[0])
    return layers.activation(b, layers.linear(b, x, _CLASSES, name="classifier"), "sigmoid")


image_filter(
    "yamnet",
    _yamnet,
    title="YAMNet",
    source="Plakal and Ellis 2020, YAMNet; Howard et al. 2017, MobileNets, Table 1",
    published=Published(parameters=3_730_000, macs=69.2e6, tolerance=0.01, source="model card of YAMNet: 69.2 M MACs"),
    what="521 kinds of sounds in a spectrogram.",
    size=(96, 64),
    channels=1,
)
