"""CAS-ViT: gates of space and of channels in place of attention (Zhang et al. 2024, CAS-ViT, Fig. 3), as deployed.

Layers as Tianfang-Zhang/CAS-ViT has them (classification/model/rcvit.py); batch normalisation before pointwise
convolutions is folded into them.
"""

from __future__ import annotations

from dataclasses import dataclass

from hwsim.graph.graph import GraphBuilder
from hwsim.graph.tensor import Tensor
from hwsim.operators.split import Split
from hwsim.workloads import image_layers, layers
from hwsim.workloads.families import image_network
from hwsim.workloads.registry import Published

__all__: list[str] = []


@dataclass(frozen=True, slots=True)
class CasVit:
    """Layers and widths of the stages."""

    depths: tuple[int, int, int, int]
    widths: tuple[int, int, int, int]

    def __call__(self, b: GraphBuilder, image: Tensor, classes: int) -> Tensor:
        """Logits (batch, classes), the mean of two heads."""
        first = self.widths[0]
        x = layers.conv_bn_act(b, image, first // 2, 3, stride=2, name="stem0")
        x = layers.conv_bn_act(b, x, first, 3, stride=2, name="stem1")
        for stage, (depth, width) in enumerate(zip(self.depths, self.widths, strict=True)):
            if stage:
                x = layers.conv_bn_act(b, x, width, 3, stride=2, act="", name=f"down{stage}")
            for place in range(depth):
                with b.scope(f"stage{stage}.{place}"):
                    x = self._block(b, x)
        x = layers.global_average(b, layers.batch_norm(b, x, "norm"))
        heads = [layers.linear(b, x, classes, name=name) for name in ("head", "head_distilled")]
        return layers.multiply(b, layers.add(b, heads[0], heads[1]), b.state("half", (1,)))

    def _block(self, b: GraphBuilder, x: Tensor) -> Tensor:
        width = x.shape[1]
        y = layers.conv_bn_act(b, x, width, 1, act="", name="local0")
        y = layers.activation(b, layers.conv(b, y, width, 3, groups=width, name="local1"), "gelu")
        x = layers.add(b, x, layers.conv(b, y, width, 1, name="local2"), name="add0")
        x = layers.add(b, x, self._mixed(b, x), name="add1")
        y = layers.activation(b, layers.conv(b, x, 4 * width, 1, name="up"), "gelu")
        return layers.add(b, x, layers.conv(b, y, width, 1, name="down"), name="add2")

    def _mixed(self, b: GraphBuilder, x: Tensor) -> Tensor:
        """Queries and keys gated in space and by channel, summed, filtered, times values (equation 5)."""
        width = x.shape[1]
        q, k, v = b.add_all(Split(1, (width,) * 3), layers.conv(b, x, 3 * width, 1, bias=False, name="qkv"))
        gated = []
        for name, y in (("q", q), ("k", k)):
            with b.scope(name):
                gate = layers.conv_bn_act(b, y, width, 3, groups=width, name="space")
                gate = layers.activation(b, layers.conv(b, gate, 1, 1, bias=False, name="map"), "sigmoid")
                gated.append(image_layers.whole_gate(b, layers.multiply(b, y, gate)))
        y = layers.conv(b, layers.add(b, gated[0], gated[1], name="sum"), width, 3, groups=width, name="filter")
        return layers.conv(b, layers.multiply(b, y, v, name="valued"), width, 3, groups=width, name="out")


for _name, _network, _parameters, _gmacs in (
    ("cas_vit_xs", CasVit((2, 2, 4, 2), (48, 56, 112, 220)), 3.20e6, 0.56),
    ("cas_vit_s", CasVit((3, 3, 6, 3), (48, 64, 128, 256)), 5.76e6, 0.93),
    ("cas_vit_m", CasVit((3, 3, 6, 3), (64, 96, 192, 384)), 12.42e6, 1.89),
    ("cas_vit_t", CasVit((3, 3, 6, 3), (96, 128, 256, 512)), 21.76e6, 3.60),
):
    image_network(
        _name,
        _network,
        title=f"CAS-ViT-{_name[8:].upper()}",
        source="Zhang et al. 2024, CAS-ViT: Convolutional Additive Self-attention Vision Transformers, Table 1",
        published=Published(
            parameters=int(_parameters), macs=_gmacs * 1e9, tolerance=0.06, source="Zhang et al. 2024, Table 2"
        ),
        what="Image classifier of gates in place of attention.",
    )
