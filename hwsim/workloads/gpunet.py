"""GPUNet-0 (Wang et al. 2022, GPUNet: Searching the Deployable Convolution Neural Networks for GPUs, Table 3).

Layers as in NVIDIA/DeepLearningExamples, PyTorch/Classification/GPUNet, configs/batch1/GV100/0.65ms.json.
"""

from __future__ import annotations

from hwsim.graph.graph import GraphBuilder
from hwsim.graph.tensor import Tensor
from hwsim.workloads import layers
from hwsim.workloads.families import image_network
from hwsim.workloads.registry import Published

__all__: list[str] = []

_FUSED = ((32, 2), (32, 1), (64, 2), (64, 1), (64, 1))
_SEPARATED = ((256, 2, "silu", False), (256, 1, "silu", False), (256, 1, "silu", False), (704, 2, "relu", True))
_EXPANSION = 5


def _fused(b: GraphBuilder, x: Tensor, channels: int, stride: int) -> Tensor:
    """A 3 x 3 convolution that expands and a pointwise one that projects."""
    y = layers.conv_bn_act(b, x, _EXPANSION * x.shape[1], 3, stride=stride, name="expand")
    y = layers.conv_bn_act(b, y, channels, 1, act="", name="project")
    return layers.add(b, y, x) if y.shape == x.shape else y


def _separated(b: GraphBuilder, x: Tensor, channels: int, stride: int, act: str, *, gated: bool) -> Tensor:
    """MobileNetV2's block, with a gate over channels if asked."""
    hidden = _EXPANSION * x.shape[1]
    y = layers.conv_bn_act(b, x, hidden, 1, act=act, name="expand")
    y = layers.conv_bn_act(b, y, hidden, 3, stride=stride, groups=hidden, act=act, name="depthwise")
    if gated:
        y = layers.squeeze_excite(b, y, x.shape[1] // 4, act=act, gate="sigmoid")
    y = layers.conv_bn_act(b, y, channels, 1, act="", name="project")
    return layers.add(b, y, x) if y.shape == x.shape else y


def _gpunet(b: GraphBuilder, image: Tensor, classes: int) -> Tensor:
    """Logits (batch, classes)."""
    x = layers.conv_bn_act(b, image, 32, 3, stride=2, act="relu", name="stem")
    for place in range(2):
        x = layers.conv_bn_act(b, x, 32, 3, name=f"conv{place}")
    for place, (channels, stride) in enumerate(_FUSED):
        with b.scope(f"fused{place}"):
            x = _fused(b, x, channels, stride)
    for place, (channels, stride, act, gated) in enumerate((*_SEPARATED, (704, 1, "relu", True))):
        with b.scope(f"block{place}"):
            x = _separated(b, x, channels, stride, act, gated=gated)
    x = layers.conv_bn_act(b, x, 1280, 1, name="head")
    return layers.linear(b, layers.global_average(b, x), classes, name="classifier")


image_network(
    "gpunet_0",
    _gpunet,
    title="GPUNet-0",
    source="Wang et al. 2022, GPUNet: Searching the Deployable Convolution Neural Networks for GPUs, Table 3",
    published=Published(parameters=11_900_000, tolerance=0.01, source="timm, model card of gpunet_0"),
    size=320,
)
