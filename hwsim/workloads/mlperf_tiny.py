"""The four networks of MLPerf Tiny (Banbury et al. 2021, MLPerf Tiny Benchmark, Section 4)."""

from __future__ import annotations

from hwsim.graph.graph import Graph, GraphBuilder
from hwsim.graph.tensor import Tensor
from hwsim.workloads import layers
from hwsim.workloads.families import image_network
from hwsim.workloads.registry import Published, workload

__all__ = ["deep_autoencoder", "ds_cnn"]

_PAPER = "Banbury et al. 2021, MLPerf Tiny Benchmark"
_MODELS = "mlcommons/tiny, benchmark/training"
_COUNTED = "Keras summary of the reference model without running statistics: 24,908, 221,794, 78,666, 269,992 with them"
_KEYWORD_BLOCKS = 4
_HIDDEN = (128, 128, 128, 128, 8, 128, 128, 128, 128)
"""Widths of the autoencoder's hidden layers (Koizumi et al. 2020, DCASE 2020 task 2 baseline)."""
_WAKE_ROWS = (
    # channels, stride of the depthwise convolution: MobileNet at a quarter of its width
    *((16, 1), (32, 2), (32, 1), (64, 2), (64, 1), (128, 2)),
    *((128, 1), (128, 1), (128, 1), (128, 1), (128, 1), (256, 2), (256, 1)),
)


def _convolved(
    b: GraphBuilder,
    x: Tensor,
    channels: int,
    kernel: layers.Pair,
    name: str,
    *,
    stride: int = 1,
    padding: layers.Pair | None = None,
    groups: int = 1,
) -> Tensor:
    """A convolution with bias (as Keras has it beside a normalisation), batch normalisation, ReLU."""
    x = layers.conv(b, x, channels, kernel, stride=stride, padding=padding, groups=groups, name=name)
    return layers.activation(b, layers.batch_norm(b, x, name=f"{name}_bn"), "relu", f"{name}_relu")


def _separable(b: GraphBuilder, x: Tensor, channels: int, stride: int) -> Tensor:
    x = _convolved(b, x, x.shape[1], 3, "depthwise", stride=stride, groups=x.shape[1])
    return _convolved(b, x, channels, 1, "pointwise")


def _wake_words(b: GraphBuilder, image: Tensor, classes: int) -> Tensor:
    """Logits (batch, classes)."""
    x = _convolved(b, image, 8, 3, "stem", stride=2)
    for place, (channels, stride) in enumerate(_WAKE_ROWS):
        with b.scope(f"block{place}"):
            x = _separable(b, x, channels, stride)
    return layers.linear(b, layers.global_average(b, x), classes, name="classifier")


def _resnet8(b: GraphBuilder, image: Tensor, classes: int) -> Tensor:
    """Logits (batch, classes)."""
    x = _convolved(b, image, 16, 3, "stem")
    for place, (channels, stride) in enumerate(((16, 1), (32, 2), (64, 2))):
        with b.scope(f"block{place}"):
            y = _convolved(b, x, channels, 3, "conv0", stride=stride)
            y = layers.batch_norm(b, layers.conv(b, y, channels, 3, name="conv1"), name="conv1_bn")
            if stride > 1:
                x = layers.conv(b, x, channels, 1, stride=stride, padding=0, name="shortcut")
            x = layers.activation(b, layers.add(b, x, y), "relu", "relu")
    return layers.linear(b, layers.global_average(b, x), classes, name="classifier")


image_network(
    "mobilenet_v1_025_96",
    _wake_words,
    title="MobileNet 0.25 for visual wake words, 96 x 96",
    source=f"{_PAPER}, Section 4; {_MODELS}/visual_wake_words",
    published=Published(parameters=216_322, macs=7_489_664, source=_COUNTED),
    what="Tells whether a person is in the picture.",
    size=96,
    labels=2,
)
image_network(
    "resnet8_cifar10",
    _resnet8,
    title="ResNet-8 for CIFAR-10",
    source=f"{_PAPER}, Section 4; {_MODELS}/image_classification/keras_model.py",
    published=Published(parameters=78_186, macs=12_501_632, source=_COUNTED),
    size=32,
    minimum=8,
    labels=10,
)


@workload(
    title="DS-CNN for keyword spotting",
    source=f"{_PAPER}, Section 4; Zhang et al. 2017, Hello Edge: Keyword Spotting on Microcontrollers",
    item="clip",
    published=Published(parameters=23_756, macs=2_656_768, source=_COUNTED),
)
def ds_cnn(*, batch: int = 1, channels: int = 64, classes: int = 12) -> Graph:
    """Depthwise separable convolutions over the spectrum of a second of speech, 49 frames of 10 coefficients.

    Args:
        batch: Clips at once.
        channels: Channels of every layer.
        classes: Words told apart, silence and unknown words among them.
    """
    b = GraphBuilder("ds_cnn")
    x = b.input("spectrum", (batch, 1, 49, 10))
    x = _convolved(b, x, channels, (10, 4), "stem", stride=2, padding=(5, 1))
    for place in range(_KEYWORD_BLOCKS):
        with b.scope(f"block{place}"):
            x = _separable(b, x, channels, 1)
    x = layers.linear(b, layers.global_average(b, x), classes, name="classifier")
    return b.build([x], items=batch, item="clip")


@workload(
    title="Deep autoencoder for anomalous sounds",
    source=f"{_PAPER}, Section 4; Koizumi et al. 2020, DCASE 2020 Challenge Task 2 baseline",
    item="window",
    published=Published(parameters=267_928, macs=264_192, source=_COUNTED),
)
def deep_autoencoder(*, batch: int = 1, inputs: int = 640) -> Graph:
    """Fully connected layers down to eight features and back: five frames of 128 mel bands.

    Args:
        batch: Windows at once.
        inputs: Features of a window.
    """
    b = GraphBuilder("deep_autoencoder")
    x = window = b.input("window", (batch, inputs))
    for place, width in enumerate(_HIDDEN):
        x = layers.batch_norm(b, layers.linear(b, x, width, name=f"dense{place}"), name=f"dense{place}_bn")
        x = layers.activation(b, x, "relu", f"relu{place}")
    x = layers.linear(b, x, window.shape[-1], name="output")
    return b.build([x], items=batch, item="window")
