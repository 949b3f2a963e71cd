"""FastViTs, and the image encoders of MobileCLIP, merged as they are deployed or with the branches that timm runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from hwsim.graph.graph import GraphBuilder
from hwsim.graph.tensor import Tensor
from hwsim.operators.sub import Sub
from hwsim.workloads import image_layers, layers
from hwsim.workloads.families import ImageFamily, Sized
from hwsim.workloads.timm.mobileone import branches

__all__ = ["FAMILIES", "FastViT"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FastViT:
    """Blocks of each stage, width of the first, hidden over outer width of the perceptrons.

    ``attended``: the last stage attends, behind a convolution for positions. ``second``: MobileCLIP's, with gates and
    activations where the last two stages begin. ``merged``: the branches of each block are one convolution, as where
    the network is deployed and its latency published (Vasu et al. 2023, section 3.2 and 4.1).
    """

    depths: tuple[int, int, int, int]
    width: int = 64
    ratio: int = 4
    attended: bool = True
    second: bool = False
    merged: bool = True

    def __call__(self, b: GraphBuilder, image: Tensor, classes: int) -> Tensor:
        """Logits (batch, classes)."""
        width = self.width
        x = layers.activation(b, self._convolution(b, image, width, 3, stride=2, name="stem0"), "gelu")
        x = layers.activation(b, self._convolution(b, x, width, 3, stride=2, groups=width, name="stem1"), "gelu")
        x = layers.activation(b, self._convolution(b, x, width, 1, name="stem2"), "gelu")
        for stage, depth in enumerate(self.depths):
            with b.scope(f"stage{stage}"):
                x = self._down(b, x, self.width << stage, gated=self.second and stage > 1) if stage else x
                attended = self.attended and stage == 3
                if attended:
                    places = layers.conv(b, x, x.shape[1], 7, groups=x.shape[1], name="positions")
                    x = places if self.merged else layers.add(b, places, x, name="add_positions")
                for place in range(depth):
                    with b.scope(f"block{place}"):
                        x = self._block(b, x, attended=attended)
        width = 2 * x.shape[1]
        y = self._convolution(b, x, width, 3, groups=x.shape[1], name="last")
        squeezed = image_layers.rounded(width / 16, divisor=1)
        y = layers.squeeze_excite(b, y, squeezed, act="relu", gate="sigmoid")
        return layers.linear(b, layers.global_average(b, layers.activation(b, y, "gelu")), classes, name="head")

    def _down(self, b: GraphBuilder, x: Tensor, width: int, *, gated: bool) -> Tensor:
        """A strided 7x7 convolution and a 3x3 one, summed, and a block over channels (Vasu et al. 2023, Fig. 2c)."""
        groups = x.shape[1]
        y = layers.conv_bn_act(b, x, width, 7, stride=2, groups=groups, act="", name="large")
        if not self.merged:
            z = layers.conv_bn_act(b, x, width, 3, stride=2, groups=groups, act="", name="small")
            y = layers.add(b, y, z, name="both")
        y = image_layers.channel_gate(b, y, 1 / 4) if gated else y
        y = layers.activation(b, y, "gelu") if self.second else y
        return layers.activation(b, self._convolution(b, y, width, 1, name="down"), "gelu")

    def _block(self, b: GraphBuilder, x: Tensor, *, attended: bool) -> Tensor:
        channels = x.shape[1]
        if self.merged and not attended:
            x = layers.conv(b, x, channels, 3, groups=channels, name="mixer")
        else:
            y = self._attend(b, layers.batch_norm(b, x, name="norm")) if attended else self._mixed(b, x)
            x = layers.add(b, x, layers.multiply(b, y, b.weight("scale1", (channels, 1, 1)), name="layer_scale1"))
        y = layers.conv_bn_act(b, x, channels, 7, groups=channels, act="", name="mlp_depthwise")
        y = layers.activation(b, layers.conv(b, y, self.ratio * channels, 1, name="up"), "gelu")
        y = layers.conv(b, y, channels, 1, name="mlp_down")
        y = layers.multiply(b, y, b.weight("scale2", (channels, 1, 1)), name="layer_scale2")
        return layers.add(b, x, y, name="add2")

    @staticmethod
    def _mixed(b: GraphBuilder, x: Tensor) -> Tensor:
        """Branches less a norm, before they and the sum behind them become one convolution."""
        channels = x.shape[1]
        mixed = branches(b, x, channels, 3, groups=channels, whole=True, name="mixer")
        normed = branches(b, x, channels, 3, groups=channels, count=0, scaled=False, whole=True, name="norm")
        return b.add(Sub(), mixed, normed, name="less_norm")

    def _convolution(
        self, b: GraphBuilder, x: Tensor, channels: int, kernel: int, *, stride: int = 1, groups: int = 1, name: str
    ) -> Tensor:
        if self.merged:
            return layers.conv(b, x, channels, kernel, stride=stride, groups=groups, name=name)
        return branches(b, x, channels, kernel, stride=stride, groups=groups, whole=True, name=name)

    def _attend(self, b: GraphBuilder, x: Tensor) -> Tensor:
        y = image_layers.to_sequence(b, x)
        y = layers.attention(b, y, x.shape[1] // 32, packed=True, bias=False, out_bias=True)
        return image_layers.to_image(b, y, x.shape[2:])


_T = FastViT(depths=(2, 2, 6, 2), ratio=3, attended=False)
_MCI = FastViT(depths=(2, 6, 10, 2), ratio=3, second=True)
_NETWORKS: Mapping[str, FastViT] = MappingProxyType(
    {
        "fastvit_t8": replace(_T, depths=(2, 2, 4, 2), width=48),
        "fastvit_t12": _T,
        "fastvit_s12": replace(_T, ratio=4),
        "fastvit_sa12": FastViT(depths=(2, 2, 6, 2)),
        "fastvit_sa24": FastViT(depths=(4, 4, 12, 4)),
        "fastvit_sa36": FastViT(depths=(6, 6, 18, 6)),
        "fastvit_ma36": FastViT(depths=(6, 6, 18, 6), width=76),
        "fastvit_mci0": _MCI,
        "fastvit_mci1": replace(_MCI, depths=(4, 12, 20, 4)),
        "fastvit_mci2": replace(_MCI, depths=(4, 12, 24, 4), width=80),
    }
)
"""Vasu et al. 2023, FastViT, Table 2; Vasu et al. 2024, MobileCLIP, appendix A."""


def _find(name: str) -> Sized | None:
    found = _NETWORKS.get(name.removesuffix("_branches"))
    if found is None:
        return None
    return Sized(replace(found, merged=not name.endswith("_branches")), 256, 512 if found.second else 1000)


FAMILIES = (
    ImageFamily(
        name="fastvit",
        title="convolution and attention, merged as deployed or not",
        source="Vasu et al. 2023, FastViT; Vasu et al. 2024, MobileCLIP",
        examples=(*_NETWORKS, "fastvit_t8_branches"),
        find=_find,
    ),
)
