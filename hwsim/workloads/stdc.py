"""Segmentation on short-term dense concatenations: STDC1-Seg and PP-LiteSeg.

Sources: Fan et al. 2021, Rethinking BiSeNet for Real-time Semantic Segmentation, Fig. 3 and 4 (MichaelFan01/STDC-Seg);
Peng et al. 2022, PP-LiteSeg, Fig. 2 to 4 (PaddleSeg, pp_liteseg_stdc1). From memory, checked by their counts.
"""

from __future__ import annotations

from collections.abc import Sequence

from hwsim.graph.graph import GraphBuilder
from hwsim.graph.tensor import Tensor
from hwsim.operators.arg_extreme import ArgExtreme
from hwsim.operators.concat import Concat
from hwsim.operators.reduce import ReduceAxes
from hwsim.operators.reshape import Reshape
from hwsim.operators.sub import Sub
from hwsim.workloads import layers
from hwsim.workloads.backbones import resized
from hwsim.workloads.families import image_network
from hwsim.workloads.registry import Published, sources

__all__: list[str] = []


def _dense(b: GraphBuilder, x: Tensor, channels: int, stride: int, name: str) -> Tensor:
    """Four convolutions, each half as wide as the one before, all of them joined (Fig. 3)."""
    half, eighth = channels // 2, channels // 8
    with b.scope(name):
        first = layers.conv_bn_act(b, x, half, 1, name="0")
        y, kept = first, first
        if stride == 2:
            y = layers.conv_bn_act(b, first, half, 3, stride=2, groups=half, act="", name="halve")
            kept = layers.pool(b, first, "average", 3, stride=2, padding=1, name="pool")
        parts = [kept]
        for place, width in enumerate((channels // 4, eighth, eighth)):
            y = layers.conv_bn_act(b, y, width, 3, name=str(place + 1))
            parts.append(y)
        return b.add(Concat(1), *parts)


def _stages(b: GraphBuilder, image: Tensor) -> list[Tensor]:
    """Features at strides 8, 16 and 32."""
    x = layers.conv_bn_act(
        b, layers.conv_bn_act(b, image, 32, 3, stride=2, name="stem0"), 64, 3, stride=2, name="stem1"
    )
    found = []
    for place, channels in enumerate((256, 512, 1024)):
        x = _dense(b, x, channels, 2, f"stage{place}.0")
        x = _dense(b, x, channels, 1, f"stage{place}.1")
        found.append(x)
    return found


def _mean(b: GraphBuilder, x: Tensor) -> Tensor:
    return b.add(Reshape((*x.shape[:2], 1, 1)), layers.global_average(b, x))


def _refined(b: GraphBuilder, x: Tensor, name: str) -> Tensor:
    """128 channels scaled by a gate from their means (BiSeNet, Fig. 2b)."""
    with b.scope(name):
        x = layers.conv_bn_act(b, x, 128, 3, name="conv")
        gate = layers.batch_norm(b, layers.conv(b, _mean(b, x), 128, 1, bias=False, name="gate"))
        return layers.multiply(b, x, layers.activation(b, gate, "sigmoid"))


def _stdc_seg(b: GraphBuilder, image: Tensor, classes: int) -> Tensor:
    """The label of each pixel: context at strides 16 and 32 fused with the features at stride 8 (Fig. 4)."""
    fine, middle, coarse = _stages(b, image)
    mean = layers.conv_bn_act(b, _mean(b, coarse), 128, 1, name="mean")
    x = layers.add(b, _refined(b, coarse, "arm32"), resized(b, mean, coarse.shape, mode="nearest"))
    x = layers.conv_bn_act(b, resized(b, x, middle.shape, mode="nearest"), 128, 3, name="head32")
    x = layers.add(b, _refined(b, middle, "arm16"), x)
    x = layers.conv_bn_act(b, resized(b, x, fine.shape, mode="nearest"), 128, 3, name="head16")
    x = layers.conv_bn_act(b, b.add(Concat(1), fine, x), 256, 1, name="fuse")
    gate = layers.activation(b, layers.conv(b, _mean(b, x), 64, 1, bias=False, name="fuse1"), "relu")
    gate = layers.activation(b, layers.conv(b, gate, 256, 1, bias=False, name="fuse2"), "sigmoid")
    x = layers.add(b, x, layers.multiply(b, x, gate))
    x = layers.conv(b, layers.conv_bn_act(b, x, 256, 3, name="out"), classes, 1, bias=False, name="classifier")
    return b.add(ArgExtreme(axis=1), resized(b, x, image.shape))


def _attended(b: GraphBuilder, low: Tensor, high: Tensor, channels: int, name: str) -> Tensor:
    """Finer and coarser features mixed by a map from their means and maxima over channels (PP-LiteSeg, Fig. 3)."""
    with b.scope(name):
        low = layers.conv_bn_act(b, low, high.shape[1], 3, name="low")
        high = resized(b, high, low.shape)
        parts: Sequence[Tensor] = [b.add(ReduceAxes(m, (1,), True), y) for y in (low, high) for m in ("mean", "max")]
        y = layers.conv_bn_act(b, b.add(Concat(1), *parts), 2, 3, act="leaky_relu", name="map0")
        share = layers.activation(b, layers.conv_bn_act(b, y, 1, 3, act="", name="map1"), "sigmoid")
        kept = b.add(Sub(), b.state("one", (1,)), share)
        y = layers.add(b, layers.multiply(b, high, share), layers.multiply(b, low, kept, name="low_mul"))
        return layers.conv_bn_act(b, y, channels, 3, name="out")


def _pp_liteseg(b: GraphBuilder, image: Tensor, classes: int) -> Tensor:
    """Scores (batch, classes, height, width)."""
    levels = _stages(b, image)
    x = levels[-1]
    total: Tensor | None = None
    for bins in (1, 2, 4):
        y = layers.conv_bn_act(b, layers.adaptive_average(b, x, bins), 128, 1, name=f"pool{bins}")
        y = resized(b, y, x.shape)
        total = y if total is None else layers.add(b, total, y)
    assert total is not None
    y = layers.conv_bn_act(b, total, 128, 3, name="context")
    for place, channels in ((2, 128), (1, 64), (0, 32)):
        y = _attended(b, levels[place], y, channels, f"arm{place}")
    y = layers.conv_bn_act(b, y, 32, 3, name="head")
    return resized(b, layers.conv(b, y, classes, 1, bias=False, name="classifier"), image.shape)


for _name, _title, _network, _size, _parameters, _gmacs, _source in (
    ("stdc1", "STDC1-Seg", _stdc_seg, (1024, 1920), 8.27e6, 63.2, "hailo_model_zoo, from memory: 8.27 M, 126.5 GOPS"),
    ("pp_liteseg_stdc1", "PP-LiteSeg on STDC1", _pp_liteseg, (512, 1024), 8.0e6, 0.0, "PaddleSeg, from memory: 8.0 M"),
):
    image_network(
        _name,
        _network,
        title=_title,
        source=sources(__doc__, before="From memory"),
        published=Published(parameters=int(_parameters), macs=_gmacs * 1e9 or None, tolerance=0.05, source=_source),
        what="Semantic segmentation.",
        size=_size,
        minimum=128,
        labels=19,
    )
