"""Semantic segmentation on ResNets and MobileNets: FCN, DeepLab, PSPNet, U-Net, BiSeNet.

Sources: Long, Shelhamer and Darrell 2015, FCN; Chen et al. 2017, DeepLabv3, section 3, and 2018, DeepLabv3+,
section 3.1; Zhao et al. 2017, PSPNet, Fig. 3; Ronneberger et al. 2015, U-Net, Fig. 1; Yu et al. 2018, BiSeNet,
section 3. Layers as in torchvision, quic/ai-hub-models and hailo_model_zoo.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hwsim.graph.graph import GraphBuilder
from hwsim.graph.tensor import Tensor
from hwsim.operators.arg_extreme import ArgExtreme
from hwsim.operators.concat import Concat
from hwsim.operators.conv_transpose import ConvTranspose2d
from hwsim.operators.reshape import Reshape
from hwsim.workloads import layers
from hwsim.workloads.backbones import (
    dilated_conv,
    mobilenet_v2_levels,
    resized,
    resnet_levels,
    resnet_stem,
)
from hwsim.workloads.families import image_network
from hwsim.workloads.registry import Published, sources

__all__ = ["transposed_conv"]

_KEPT = (1, 1, 2, 4)


def transposed_conv(b: GraphBuilder, x: Tensor, channels: int, kernel: int, stride: int, *, name: str) -> Tensor:
    """A transposed convolution that multiplies the size by its stride."""
    with b.scope(name):
        weight, bias = b.weight("weight", (x.shape[1], channels, kernel, kernel)), b.weight("bias", (channels,))
    padding, rest = (kernel - stride + 1) // 2, (kernel - stride) % 2
    op = ConvTranspose2d(stride=(stride, stride), padding=(padding, padding), output_padding=(rest, rest))
    return b.add(op, x, weight, bias, name=name)


def _atrous_pyramid(b: GraphBuilder, x: Tensor, channels: int, rates: Sequence[int], *, light: bool = False) -> Tensor:
    """Parallel convolutions with growing holes and the mean of the image, joined (DeepLabv3, Fig. 5)."""
    with b.scope("aspp"):
        parts = [layers.conv_bn_act(b, x, channels, 1, name="point")]
        for rate in rates:
            y = x
            if light:
                y = dilated_conv(b, y, y.shape[1], 3, dilation=rate, groups=y.shape[1], name=f"dw{rate}")
            parts.append(
                dilated_conv(b, y, channels, 1 if light else 3, dilation=1 if light else rate, name=f"a{rate}")
            )
        mean = b.add(Reshape((x.shape[0], x.shape[1], 1, 1)), layers.global_average(b, x))
        mean = layers.conv_bn_act(b, mean, channels, 1, name="pool")
        parts.append(resized(b, mean, x.shape, name="spread"))
        return layers.conv_bn_act(b, b.add(Concat(1), *parts), channels, 1, name="project")


@dataclass(frozen=True, slots=True)
class _Fcn:
    """FCN or DeepLabv3 head on a ResNet of bottlenecks with output stride 8 (torchvision)."""

    depths: tuple[int, int, int, int]
    rates: tuple[int, ...] = ()

    def __call__(self, b: GraphBuilder, image: Tensor, classes: int) -> Tensor:
        x = resnet_levels(b, resnet_stem(b, image), self.depths, bottleneck=True, dilations=_KEPT)[-1]
        if self.rates:
            x = layers.conv_bn_act(b, _atrous_pyramid(b, x, 256, self.rates), 256, 3, name="head")
        else:
            x = layers.conv_bn_act(b, x, x.shape[1] // 4, 3, name="head")
        return resized(b, layers.conv(b, x, classes, 1, name="classifier"), image.shape)


def _deeplab_mobilenet(b: GraphBuilder, image: Tensor, classes: int, stride: int = 8) -> Tensor:
    """DeepLabv3 with a pooled branch only, output stride 8 (TensorFlow's mobilenet_v2_dm100), to labels of pixels."""
    x = mobilenet_v2_levels(b, image, stride=stride)[0]
    mean = b.add(Reshape((x.shape[0], x.shape[1], 1, 1)), layers.global_average(b, x))
    mean = resized(b, layers.conv_bn_act(b, mean, 256, 1, name="pool"), x.shape, name="spread")
    x = b.add(Concat(1), layers.conv_bn_act(b, x, 256, 1, name="point"), mean)
    x = layers.conv_bn_act(b, x, 256, 1, name="project")
    return b.add(ArgExtreme(axis=1), resized(b, layers.conv(b, x, classes, 1, name="classifier"), image.shape))


def _deeplab_mobilenet_stride16(b: GraphBuilder, image: Tensor, classes: int) -> Tensor:
    """The same at output stride 16."""
    return _deeplab_mobilenet(b, image, classes, 16)


def _deeplab_mobilenet_stride32(b: GraphBuilder, image: Tensor, classes: int) -> Tensor:
    """The same without holes, output stride 32."""
    x = mobilenet_v2_levels(b, image)[0]
    x = layers.conv_bn_act(b, x, 256, 1, name="project")
    return b.add(ArgExtreme(axis=1), resized(b, layers.conv(b, x, classes, 1, name="classifier"), image.shape))


def _deeplab_plus_mobilenet(b: GraphBuilder, image: Tensor, classes: int) -> Tensor:
    """DeepLabv3+ with full 3x3 convolutions, output stride 16 (jfzhang95/pytorch-deeplab-xception)."""
    levels = mobilenet_v2_levels(b, image, stride=16)
    x = _atrous_pyramid(b, levels[0], 256, (6, 12, 18))
    low = layers.conv_bn_act(b, levels[4], 48, 1, name="low")
    x = b.add(Concat(1), resized(b, x, low.shape), low)
    x = layers.conv_bn_act(b, layers.conv_bn_act(b, x, 256, 3, name="last0"), 256, 3, name="last1")
    return resized(b, layers.conv(b, x, classes, 1, name="classifier"), image.shape)


def _spread(
    b: GraphBuilder, x: Tensor, channels: int, name: str, *, stride: int = 1, dilation: int = 1, early: bool = False
) -> Tensor:
    """A depthwise 3x3 and a pointwise convolution, rectified ``early`` (before both) or after each."""
    act = "" if early else "relu"
    x = layers.activation(b, x, "relu") if early else x
    width = x.shape[1]
    x = dilated_conv(b, x, width, 3, stride=stride, dilation=dilation, groups=width, act=act, name=f"{name}_depthwise")
    return layers.conv_bn_act(b, x, channels, 1, act=act, name=f"{name}_pointwise")


_XCEPTION = (
    # channels, stride, dilation, how the shortcut goes
    *(((128, 128, 128), 2, 1, "conv"), ((256, 256, 256), 2, 1, "conv"), ((728, 728, 728), 2, 1, "conv")),
    *[((728, 728, 728), 1, 1, "sum")] * 16,
    *(((728, 1024, 1024), 1, 1, "conv"), ((1536, 1536, 2048), 1, 2, "none")),
)


def _deeplab_xception(b: GraphBuilder, image: Tensor, classes: int) -> Tensor:
    """DeepLabv3+ on Xception-65 at output stride 16 (LikeLy-Journey/SegmenTron); separable branches, low features."""
    x = layers.conv_bn_act(b, layers.conv_bn_act(b, image, 32, 3, stride=2, name="stem0"), 64, 3, name="stem1")
    low = x
    for place, (channels, stride, dilation, shortcut) in enumerate(_XCEPTION):
        with b.scope(f"block{place}"):
            y = x
            for part, width in enumerate(channels):
                step = stride if part == 2 else 1
                y = _spread(b, y, width, f"s{part}", stride=step, dilation=dilation, early=shortcut != "none")
                low = y if (place, part) == (1, 1) else low
            if shortcut == "conv":
                x = layers.conv_bn_act(b, x, channels[-1], 1, stride=stride, act="", name="shortcut")
            x = y if shortcut == "none" else layers.add(b, y, x)
    with b.scope("aspp"):
        parts = [layers.conv_bn_act(b, x, 256, 1, name="point")]
        parts += [_spread(b, x, 256, f"a{rate}", dilation=rate) for rate in (6, 12, 18)]
        mean = b.add(Reshape((x.shape[0], x.shape[1], 1, 1)), layers.global_average(b, x))
        parts.append(resized(b, layers.conv_bn_act(b, mean, 256, 1, name="pool"), x.shape, name="spread"))
        x = layers.conv_bn_act(b, b.add(Concat(1), *parts), 256, 1, name="project")
    low = layers.conv_bn_act(b, low, 48, 1, name="low")
    x = b.add(Concat(1), resized(b, x, low.shape), low)
    x = _spread(b, _spread(b, x, 256, "last0"), 256, "last1")
    return resized(b, layers.conv(b, x, classes, 1, name="classifier"), image.shape)


def _pspnet(b: GraphBuilder, image: Tensor, classes: int) -> Tensor:
    """ResNet-101 with a stem of three convolutions, output stride 8, and means over 1, 4, 9 and 36 windows (semseg)."""
    x = layers.conv_bn_act(b, image, 64, 3, stride=2, name="stem0")
    x = layers.conv_bn_act(b, x, 64, 3, name="stem1")
    x = layers.pool(b, layers.conv_bn_act(b, x, 128, 3, name="stem2"), "max", 3, stride=2, padding=1, name="maxpool")
    x = resnet_levels(b, x, (3, 4, 23, 3), bottleneck=True, dilations=_KEPT)[-1]
    parts = [x]
    for bins in (1, 2, 3, 6):
        with b.scope(f"pyramid{bins}"):
            mean = layers.adaptive_average(b, x, bins)
            parts.append(resized(b, layers.conv_bn_act(b, mean, x.shape[1] // 4, 1, name="point"), x.shape))
    x = layers.conv_bn_act(b, b.add(Concat(1), *parts), 512, 3, name="head")
    return resized(b, layers.conv(b, x, classes, 1, name="classifier"), image.shape)


def _double(b: GraphBuilder, x: Tensor, channels: int, name: str) -> Tensor:
    with b.scope(name):
        return layers.conv_bn_act(b, layers.conv_bn_act(b, x, channels, 3, name="0"), channels, 3, name="1")


def _unet(b: GraphBuilder, image: Tensor, classes: int) -> Tensor:
    """U-Net with transposed convolutions (milesial/Pytorch-UNet, the Carvana checkpoint)."""
    skips = [_double(b, image, 64, "inc")]
    for place, channels in enumerate((128, 256, 512, 1024)):
        skips.append(_double(b, layers.pool(b, skips[-1], "max", 2), channels, f"down{place}"))
    x = skips.pop()
    for place, channels in enumerate((512, 256, 128, 64)):
        x = transposed_conv(b, x, channels, 2, 2, name=f"up{place}.up")
        skip = skips.pop()
        x = _double(b, b.add(Concat(1), skip, resized(b, x, skip.shape)), channels, f"up{place}")
    return layers.conv(b, x, classes, 1, name="out")


@dataclass(frozen=True, slots=True)
class _UnetMobileNet:
    """The U-Net of TensorFlow's segmentation tutorial on MobileNetV2 (pix2pix up-sampling), by size of its kernels."""

    kernel: int

    def __call__(self, b: GraphBuilder, image: Tensor, classes: int) -> Tensor:
        """Scores (batch, classes, height, width)."""
        levels = mobilenet_v2_levels(b, image, wide=True)
        skips = [levels[2], levels[4], levels[8], levels[16]]
        x = levels[0]
        for place, channels in enumerate((512, 256, 128, 64)):
            x = transposed_conv(b, x, channels, self.kernel, 2, name=f"up{place}")
            x = b.add(Concat(1), layers.activation(b, x, "relu"), skips.pop())
        return transposed_conv(b, x, classes, self.kernel, 2, name="last")


def _fcn8_resnet18(b: GraphBuilder, image: Tensor, classes: int) -> Tensor:
    """FCN-8s on ResNet-18: scores of three strides summed; the label of each pixel."""
    levels = resnet_levels(b, resnet_stem(b, image), (2, 2, 2, 2), bottleneck=False)
    x = layers.conv(b, levels[3], classes, 1, name="score32")
    for place in (2, 1):
        y = layers.conv(b, levels[place], classes, 1, name=f"score{place}")
        x = layers.add(b, resized(b, x, y.shape), y)
    return b.add(ArgExtreme(axis=1), resized(b, x, image.shape))


def _refined(b: GraphBuilder, x: Tensor, name: str) -> Tensor:
    """Channels scaled by a gate computed from their means (Fig. 2b)."""
    with b.scope(name):
        mean = b.add(Reshape((*x.shape[:2], 1, 1)), layers.global_average(b, x))
        gate = layers.batch_norm(b, layers.conv(b, mean, x.shape[1], 1, name="gate"))
        return layers.multiply(b, x, layers.activation(b, gate, "sigmoid"))


def _bisenet(b: GraphBuilder, image: Tensor, classes: int) -> Tensor:
    """BiSeNet on ResNet-18: a path of context and a path of detail (Fig. 2; ooooverflow/BiSeNet)."""
    levels = resnet_levels(b, resnet_stem(b, image), (2, 2, 2, 2), bottleneck=False)
    detail = image
    for place, channels in enumerate((64, 128, 256)):
        detail = layers.conv_bn_act(b, detail, channels, 3, stride=2, name=f"spatial{place}")
    middle, coarse = _refined(b, levels[2], "arm16"), _refined(b, levels[3], "arm32")
    mean = b.add(Reshape((*coarse.shape[:2], 1, 1)), layers.global_average(b, levels[3]))
    coarse = layers.multiply(b, coarse, mean)
    sized = [resized(b, x, detail.shape) for x in (middle, coarse)]
    x = layers.conv_bn_act(b, b.add(Concat(1), detail, *sized), classes, 3, name="fuse")
    gate = b.add(Reshape((*x.shape[:2], 1, 1)), layers.global_average(b, x))
    gate = layers.activation(b, layers.conv(b, gate, classes, 1, name="fuse1"), "relu")
    gate = layers.activation(b, layers.conv(b, gate, classes, 1, name="fuse2"), "sigmoid")
    x = layers.add(b, x, layers.multiply(b, x, gate))
    return layers.conv(b, resized(b, x, image.shape), classes, 1, name="classifier")


_HUB = "quic/ai-hub-models model pages"
_HAILO = "hailo_model_zoo, public models"
for _name, _title, _network, _size, _labels, _parameters, _gmacs, _tolerance, _source in (
    ("fcn_resnet50", "FCN-ResNet50", _Fcn((3, 4, 6, 3)), 520, 21, 33.0e6, 0.0, 0.01, _HUB),
    ("deeplabv3_resnet50", "DeepLabv3-ResNet50", _Fcn((3, 4, 6, 3), (12, 24, 36)), 520, 21, 39.6e6, 0.0, 0.01, _HUB),
    ("deeplabv3_mobilenet_v2", "DeepLabv3-MobileNetV2", _deeplab_mobilenet, 513, 21, 2.1e6, 8.825, 0.03, _HAILO),
    (
        *("deeplabv3_mobilenet_v2_stride16", "DeepLabv3-MobileNetV2, stride 16", _deeplab_mobilenet_stride16, 513),
        *(21, 2.1e6, 2.75, 0.05, "tensorflow/models, research/deeplab model zoo, from memory: 2.75 G at 513 x 513"),
    ),
    (
        *("deeplabv3_mobilenet_v2_stride32", "DeepLabv3-MobileNetV2, stride 32", _deeplab_mobilenet_stride32, 513),
        *(21, 2.1e6, 1.605, 0.12, _HAILO),
    ),
    ("deeplabv3_plus_mobilenet", "DeepLabv3+-MobileNetV2", _deeplab_plus_mobilenet, 513, 21, 5.80e6, 0.0, 0.02, _HUB),
    ("unet_segmentation", "U-Net", _unet, 224, 2, 31.0e6, 0.0, 0.01, _HUB),
    ("unet_mobilenet_v2", "U-Net on MobileNetV2", _UnetMobileNet(4), 256, 3, 10.08e6, 0.0, 0.01, _HAILO),
    (
        *("unet_mobilenet_v2_k3", "U-Net on MobileNetV2, 3x3 kernels", _UnetMobileNet(3), 128),
        *(3, 6.5e6, 0.0, 0.03, "TensorFlow segmentation tutorial: 6.5 M"),
    ),
    ("fcn8_resnet18", "FCN-8s on ResNet-18", _fcn8_resnet18, (1024, 1920), 19, 11.2e6, 71.41, 0.02, _HAILO),
    ("deeplab_xception", "DeepLabv3+-Xception65", _deeplab_xception, (480, 520), 21, 41.26e6, 0.0, 0.01, _HUB),
    ("pspnet", "PSPNet-ResNet101", _pspnet, 473, 21, 65.7e6, 0.0, 0.01, _HUB),
    ("bisenet", "BiSeNet on ResNet-18", _bisenet, (720, 960), 12, 12.0e6, 0.0, 0.01, _HUB),
):
    image_network(
        _name,
        _network,
        title=_title,
        source=sources(__doc__, before="Layers"),
        published=Published(
            parameters=int(_parameters), macs=_gmacs * 1e9 or None, tolerance=_tolerance, source=_source
        ),
        what="Semantic segmentation.",
        size=_size,
        labels=_labels,
    )
