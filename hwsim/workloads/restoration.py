"""Networks from image to image: super resolution, denoising, light enhancement.

Sources: Berger et al. 2023, QuickSRNet, Fig. 2; Ayazoglu 2021, XLSR, Fig. 2; Bhardwaj et al. 2022, SESR, Fig. 2;
Wang et al. 2018, ESRGAN, Fig. 4, and 2021, Real-ESRGAN; Shi et al. 2016, ESPCN; Lim et al. 2017, EDSR, Fig. 3;
Zhang et al. 2017, DnCNN, Fig. 1; Guo et al. 2020, Zero-DCE, Fig. 2.
"""

from __future__ import annotations

from dataclasses import dataclass

from hwsim.graph.graph import GraphBuilder
from hwsim.graph.tensor import Tensor
from hwsim.operators.concat import Concat
from hwsim.operators.reshape import Reshape
from hwsim.operators.split import Split
from hwsim.operators.transpose import Transpose
from hwsim.operators.upsample import Resize
from hwsim.workloads import layers
from hwsim.workloads.backbones import pixel_shuffle
from hwsim.workloads.families import image_filter
from hwsim.workloads.registry import Published, sources

__all__: list[str] = []


def _conv(b: GraphBuilder, x: Tensor, channels: int, kernel: int = 3, act: str = "relu", *, name: str) -> Tensor:
    return layers.activation(b, layers.conv(b, x, channels, kernel, name=name), act)


@dataclass(frozen=True, slots=True)
class _Plain:
    """A chain of 3x3 convolutions, then pixels from channels; the input is added where ``shortcut``."""

    width: int
    depth: int
    scale: int
    act: str = "relu"
    shortcut: bool = False

    def __call__(self, b: GraphBuilder, image: Tensor) -> Tensor:
        x = _conv(b, image, self.width, act=self.act, name="first")
        for place in range(self.depth):
            x = _conv(b, x, self.width, act=self.act, name=f"body{place}")
        x = _conv(b, x, image.shape[1] * self.scale**2, act="", name="last")
        x = pixel_shuffle(b, x, self.scale) if self.scale > 1 else x
        if not self.shortcut:
            return x
        big = b.add(Resize(scales=(self.scale, self.scale), mode="nearest"), image) if self.scale > 1 else image
        return layers.add(b, x, big)


def _sesr(b: GraphBuilder, image: Tensor) -> Tensor:
    """SESR-M5 with its linear blocks expanded to 256 channels, as it is exported."""

    def expanded(x: Tensor, channels: int, kernel: int, name: str) -> Tensor:
        return _conv(b, _conv(b, x, 256, kernel, "", name=f"{name}.a"), channels, 1, "", name=f"{name}.b")

    first = layers.activation(b, expanded(image, 16, 5, "first"), "relu")
    x = first
    for place in range(5):
        x = layers.activation(b, layers.add(b, expanded(x, 16, 3, f"body{place}"), x), "relu")
    return pixel_shuffle(b, expanded(layers.add(b, x, first), 16 * image.shape[1], 5, "last"), 4)


def _xlsr(b: GraphBuilder, image: Tensor) -> Tensor:
    """Grouped 3x3 and pointwise convolutions on 32 channels, the input's own features joined in."""
    x = _conv(b, image, 32, act="", name="first")
    for place in range(3):
        y = layers.activation(b, layers.conv(b, x, 32, 3, groups=4, name=f"body{place}.a"), "relu")
        x = layers.conv(b, y, 32, 1, name=f"body{place}.b")
    x = b.add(Concat(1), x, _conv(b, image, 16, act="", name="direct"))
    x = _conv(b, x, 32, 1, "relu", name="mix")
    return pixel_shuffle(b, _conv(b, x, 16 * image.shape[1], act="relu6", name="last"), 4)


@dataclass(frozen=True, slots=True)
class _Rrdb:
    """Residual-in-residual dense blocks, then twice nearest and a convolution; ``folded`` pixels become channels."""

    folded: int = 1

    def __call__(self, b: GraphBuilder, image: Tensor) -> Tensor:
        x = _folded(b, image, self.folded) if self.folded > 1 else image
        x = first = _conv(b, x, 64, act="", name="first")
        for place in range(23):
            inner = x
            for part in range(3):
                with b.scope(f"body{place}.{part}"):
                    inner = _dense(b, inner)
            x = layers.add(b, x, inner)
        x = layers.add(b, _conv(b, x, 64, act="", name="body"), first)
        for place in range(2):
            x = _conv(b, b.add(Resize(scales=(2, 2)), x), 64, act="leaky_relu", name=f"up{place}")
        return _conv(b, _conv(b, x, 64, act="leaky_relu", name="hr"), 3, act="", name="last")


def _dense(b: GraphBuilder, x: Tensor) -> Tensor:
    parts = [x]
    for place in range(4):
        joined = b.add(Concat(1), *parts) if place else x
        parts.append(_conv(b, joined, 32, act="leaky_relu", name=f"conv{place}"))
    return layers.add(b, x, _conv(b, b.add(Concat(1), *parts), x.shape[1], act="", name="conv4"))


def _folded(b: GraphBuilder, x: Tensor, factor: int) -> Tensor:
    """(batch, channels factor^2, height / factor, width / factor)."""
    batch, channels, height, width = x.shape
    x = b.add(Reshape((batch, channels, height // factor, factor, width // factor, factor)), x)
    x = b.add(Transpose((0, 1, 3, 5, 2, 4)), x, name="fold")
    return b.add(Reshape((batch, channels * factor**2, height // factor, width // factor)), x)


@dataclass(frozen=True, slots=True)
class _Espcn:
    scale: int

    def __call__(self, b: GraphBuilder, image: Tensor) -> Tensor:
        x = _conv(b, _conv(b, image, 64, 5, "tanh", name="conv0"), 32, act="tanh", name="conv1")
        return pixel_shuffle(b, _conv(b, x, self.scale**2, act="", name="conv2"), self.scale)


def _edsr(b: GraphBuilder, image: Tensor) -> Tensor:
    """Five residual blocks of 32 channels, twice the size."""
    x = first = _conv(b, image, 32, act="", name="first")
    for place in range(5):
        y = _conv(b, _conv(b, x, 32, name=f"body{place}.a"), 32, act="", name=f"body{place}.b")
        x = layers.add(b, x, y)
    x = layers.add(b, _conv(b, x, 32, act="", name="body"), first)
    return _conv(b, pixel_shuffle(b, _conv(b, x, 128, act="", name="up"), 2), 3, act="", name="last")


@dataclass(frozen=True, slots=True)
class _Curves:
    """Seven layers of 32 channels with mirrored links that make curves, applied eight times; ``light``: depthwise."""

    light: bool

    def __call__(self, b: GraphBuilder, image: Tensor) -> Tensor:
        def conv(x: Tensor, channels: int, act: str, name: str) -> Tensor:
            if self.light:
                x = layers.conv(b, x, x.shape[1], 3, groups=x.shape[1], name=f"{name}.dw")
            return _conv(b, x, channels, 1 if self.light else 3, act, name=name)

        down = [image]
        for place in range(4):
            down.append(conv(down[-1], 32, "relu", f"conv{place}"))
        x = down[4]
        for place in (3, 2):
            x = conv(b.add(Concat(1), down[place], x), 32, "relu", f"up{place}")
        curves = conv(b.add(Concat(1), down[1], x), 3 if self.light else 24, "tanh", "curves")
        gains = [curves] * 8 if self.light else b.add_all(Split(1, (3,) * 8), curves)
        y = image
        for gain in gains:
            y = layers.add(b, y, layers.multiply(b, gain, y))
        return y


_HUB = "quic/ai-hub-models model pages"
_HAILO = "hailo_model_zoo, public models"
for _name, _title, _network, _size, _channels, _parameters, _gmacs, _tolerance, _source in (
    ("quicksrnet_small", "QuickSRNet-Small", _Plain(32, 2, 4), 128, 3, 33.3e3, 0.0, 0.002, _HUB),
    ("quicksrnet_medium", "QuickSRNet-Medium", _Plain(32, 5, 4), 128, 3, 61.0e3, 0.0, 0.002, _HUB),
    ("quicksrnet_large", "QuickSRNet-Large", _Plain(64, 11, 4), 128, 3, 436e3, 0.0, 0.002, _HUB),
    ("xlsr", "XLSR", _xlsr, 128, 3, 28.0e3, 0.0, 0.05, _HUB),
    ("sesr_m5", "SESR-M5", _sesr, 128, 3, 343e3, 0.0, 0.01, _HUB),
    ("esrgan", "ESRGAN x4", _Rrdb(), 128, 3, 16.7e6, 0.0, 0.002, _HUB),
    ("real_esrgan_x2", "Real-ESRGAN x2", _Rrdb(2), 512, 3, 16.7e6, 1175.0, 0.002, _HAILO),
    (
        "real_esrgan_general",
        "Real-ESRGAN-General x4v3",
        _Plain(64, 32, 4, "relu", True),
        128,
        3,
        1.21e6,
        0.0,
        0.01,
        _HUB,
    ),
    ("espcn_x2", "ESPCN x2", _Espcn(2), (156, 240), 1, 21.3e3, 0.8, 0.01, _HAILO),
    ("espcn_x3", "ESPCN x3", _Espcn(3), (104, 160), 1, 22.7e3, 0.38, 0.02, _HAILO),
    ("espcn_x4", "ESPCN x4", _Espcn(4), (78, 120), 1, 24.8e3, 0.23, 0.01, _HAILO),
    ("edsr_f32b5", "EDSR, 32 features, 5 blocks", _edsr, (540, 960), 3, 0.14e6, 0.0, 0.1, "Lim et al. 2017, EDSR"),
    ("dncnn_color", "DnCNN-B, colour", _Plain(64, 18, 1, "relu", True), (321, 481), 3, 0.667e6, 102.985, 0.01, _HAILO),
    ("dncnn3", "DnCNN-3, grey", _Plain(64, 18, 1, "relu", True), (321, 481), 1, 0.665e6, 0.0, 0.01, _HAILO),
    ("zero_dce", "Zero-DCE", _Curves(light=False), (400, 600), 3, 79.4e3, 19.1, 0.02, _HAILO),
    ("zero_dce_pp", "Zero-DCE++", _Curves(light=True), (400, 600), 3, 10.6e3, 2.42, 0.03, _HAILO),
):
    image_filter(
        _name,
        _network,
        title=_title,
        source=sources(__doc__),
        published=Published(
            parameters=int(_parameters), macs=_gmacs * 1e9 or None, tolerance=_tolerance, source=_source
        ),
        what="An image in, a larger or cleaner image out.",
        size=_size,
        channels=_channels,
        minimum=16,
    )
