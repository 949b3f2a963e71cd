"""DenseNet-121 (Huang et al. 2017, Densely Connected Convolutional Networks, Table 1)."""

from __future__ import annotations

from hwsim.graph.graph import Graph, GraphBuilder
from hwsim.graph.tensor import Tensor
from hwsim.operators.concat import Concat
from hwsim.workloads import layers
from hwsim.workloads.registry import Published, workload

__all__ = ["densenet121"]

_GROWTH = 32
_DEPTHS = (6, 12, 24, 16)


def _norm_relu_conv(b: GraphBuilder, x: Tensor, channels: int, kernel: int, name: str) -> Tensor:
    y = layers.activation(b, layers.batch_norm(b, x, name=f"{name}_bn"), "relu")
    return layers.conv(b, y, channels, kernel, bias=False, name=name)


def _dense_layer(b: GraphBuilder, features: list[Tensor]) -> Tensor:
    """1x1 to four times the growth, 3x3 to the growth, on everything made so far in the block."""
    x = b.add(Concat(1), *features) if len(features) > 1 else features[0]
    y = _norm_relu_conv(b, x, 4 * _GROWTH, 1, "conv1")
    return _norm_relu_conv(b, y, _GROWTH, 3, "conv2")


@workload(
    title="DenseNet-121",
    source="Huang et al. 2017, Densely Connected Convolutional Networks, Table 1",
    item="image",
    minimum={"height": 32, "width": 32},
    published=Published(parameters=7_978_856, macs=2.8342e9, source="torchvision weight metadata (num_params, _ops)"),
)
def densenet121(*, batch: int = 1, height: int = 224, width: int = 224, classes: int = 1000) -> Graph:
    """Image classifier in which each layer reads all earlier ones of its block.

    Args:
        batch: Images at once.
        height: Image height in pixels.
        width: Image width in pixels.
        classes: Classes told apart.
    """
    b = GraphBuilder("densenet121")
    x = b.input("image", (batch, 3, height, width))
    x = layers.conv_bn_act(b, x, 64, 7, stride=2, name="stem")
    x = layers.pool(b, x, "max", 3, stride=2, padding=1, name="maxpool")
    for stage, depth in enumerate(_DEPTHS):
        features = [x]
        for place in range(depth):
            with b.scope(f"block{stage + 1}.{place}"):
                features.append(_dense_layer(b, features))
        x = b.add(Concat(1), *features, name=f"block{stage + 1}")
        if stage < len(_DEPTHS) - 1:
            x = _norm_relu_conv(b, x, x.shape[1] // 2, 1, f"transition{stage + 1}")
            x = layers.pool(b, x, "average", 2)
    x = layers.activation(b, layers.batch_norm(b, x, name="norm"), "relu")
    y = layers.linear(b, layers.global_average(b, x), classes, name="classifier")
    return b.build([y], items=batch, item="image")
