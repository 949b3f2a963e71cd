"""FastViTs, and the image encoders of MobileCLIP, with the branches of training by the names of timm."""

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
    activations where the last two stages begin.
    """

    depths: tuple[int, int, int, int]
    width: int = 64
    ratio: int = 4
    attended: bool = True
    second: bool = False

    def __call__(self, b: GraphBuilder, image: Tensor, classes: int) -> Tensor:
        """Logits (batch, classes)."""
        width = self.width
        x = layers.activation(b, branches(b, image, width, 3, stride=2, whole=True, name="stem0"), "gelu")
        x = layers.activation(b, branches(b, x, width, 3, stride=2, groups=width, whole=True, name="stem1"), "gelu")
        x = layers.activation(b, branches(b, x, width, 1, whole=True, name="stem2"), "gelu")
        for stage, depth in enumerate(self.depths):
            with b.scope(f"stage{stage}"):
                x = self._down(b, x, self.width << stage, gated=self.second and stage > 1) if stage else x
                attended = self.attended and stage == 3
                if attended:
                    places = layers.conv(b, x, x.shape[1], 7, groups=x.shape[1], name="positions")
                    x = layers.add(b, places, x, name="add_positions")
                for place in range(depth):
                    with b.scope(f"block{place}"):
                        x = self._block(b, x, attended=attended)
        width = 2 * x.shape[1]
        y = branches(b, x, width, 3, groups=x.shape[1], whole=True, name="last")
        squeezed = image_layers.rounded(width / 16, divisor=1)
        y = layers.squeeze_excite(b, y, squeezed, act="relu", gate="sigmoid")
        return layers.linear(b, layers.global_average(b, layers.activation(b, y, "gelu")), classes, name="head")

    def _down(self, b: GraphBuilder, x: Tensor, width: int, *, gated: bool) -> Tensor:
        """A strided 7x7 convolution and a 3x3 one, summed, and a block over channels (Vasu et al. 2023, Fig. 2c)."""
        groups = x.shape[1]
        y = layers.conv_bn_act(b, x, width, 7, stride=2, groups=groups, act="", name="large")
        z = layers.conv_bn_act(b, x, width, 3, stride=2, groups=groups, act="", name="small")
        y = layers.add(b, y, z, name="both")
        y = image_layers.channel_gate(b, y, 1 / 4) if gated else y
        y = layers.activation(b, y, "gelu") if self.second else y
        return layers.activation(b, branches(b, y, width, 1, whole=True, name="down"), "gelu")

    def _block(self, b: GraphBuilder, x: Tensor, *, attended: bool) -> Tensor:
        channels = x.shape[1]
        if attended:
            y = self._attend(b, layers.batch_norm(b, x, name="norm"))
        else:
            mixed = branches(b, x, channels, 3, groups=channels, whole=True, name="mixer")
            normed = branches(b, x, channels, 3, groups=channels, count=0, scaled=False, whole=True, name="norm")
            y = b.add(Sub(), mixed, normed, name="less_norm")
        x = layers.add(b, x, layers.multiply(b, y, b.weight("scale1", (channels, 1, 1)), name="layer_scale1"))
        y = layers.conv_bn_act(b, x, channels, 7, groups=channels, act="", name="mlp_depthwise")
        y = layers.activation(b, layers.conv(b, y, self.ratio * channels, 1, name="up"), "gelu")
        y = layers.conv(b, y, channels, 1, name="mlp_down")
        y = layers.multiply(b, y, b.weight("scale2", (channels, 1, 1)), name="layer_scale2")
        return layers.add(b, x, y, name="add2")

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
    return Sized(_NETWORKS[name], 256, 512 if _NETWORKS[name].second else 1000) if name in _NETWORKS else None


FAMILIES = (
    ImageFamily(
        name="fastvit",
        title="convolution with branches and attention, not merged",
        source="Vasu et al. 2023, FastViT; Vasu et al. 2024, MobileCLIP",
        examples=tuple(_NETWORKS),
        find=_find,
    ),
)
