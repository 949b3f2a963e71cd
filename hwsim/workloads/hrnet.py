"""HRNet: branches of several resolutions side by side.

Source: Sun et al. 2019, Deep High-Resolution Representation Learning for Human Pose Estimation.
"""

from __future__ import annotations

from dataclasses import dataclass

from hwsim.graph.graph import GraphBuilder
from hwsim.graph.tensor import Tensor
from hwsim.operators.concat import Concat
from hwsim.operators.upsample import Resize
from hwsim.workloads import layers
from hwsim.workloads.backbones import resized, resnet_levels
from hwsim.workloads.families import image_network
from hwsim.workloads.registry import Published

__all__ = ["HRNet"]


@dataclass(frozen=True, slots=True)
class HRNet:
    """Width of the finest branch; ``joined``: all branches make the heat maps (HRNetV2), else the finest alone.

    ``modules`` of the stages, ``depth`` blocks of each branch, ``first``: blocks and width of the stage before.
    """

    width: int
    joined: bool
    modules: tuple[int, int, int] = (1, 4, 3)
    depth: int = 4
    first: tuple[int, int] = (4, 64)

    def __call__(self, b: GraphBuilder, image: Tensor, classes: int) -> Tensor:
        """Heat maps (batch, classes, height / 4, width / 4)."""
        branches = self.levels(b, image)
        x = branches[0]
        if self.joined:
            x = b.add(Concat(1), x, *(resized(b, y, x.shape) for y in branches[1:]))
            x = layers.conv_bn_act(b, x, x.shape[1], 1, name="head")
        return layers.conv(b, x, classes, 1, name="heatmaps")

    def levels(self, b: GraphBuilder, image: Tensor) -> list[Tensor]:
        """Features of every branch, the finest first; of it alone unless ``joined``."""
        x = layers.conv_bn_act(b, image, 64, 3, stride=2, name="stem0")
        x = layers.conv_bn_act(b, x, 64, 3, stride=2, name="stem1")
        depth, width = self.first
        branches = resnet_levels(b, x, (depth,), bottleneck=True, widths=(width,), strides=(1,), dilations=(1,))
        for stage, modules in enumerate(self.modules):
            branches = self._widened(b, branches, f"transition{stage}")
            for module in range(modules):
                single = stage == 2 and module == modules - 1 and not self.joined
                with b.scope(f"stage{stage}.{module}"):
                    branches = _module(b, branches, 1 if single else len(branches), self.depth)
        return branches

    def _widened(self, b: GraphBuilder, branches: list[Tensor], name: str) -> list[Tensor]:
        """The branches at their widths, and one more at half the size of the last."""
        found = []
        for place, x in enumerate(branches):
            wide = self.width << place
            found.append(x if x.shape[1] == wide else layers.conv_bn_act(b, x, wide, 3, name=f"{name}.{place}"))
        new = layers.conv_bn_act(b, branches[-1], self.width << len(branches), 3, stride=2, name=f"{name}.new")
        return [*found, new]


def _module(b: GraphBuilder, branches: list[Tensor], outputs: int, depth: int) -> list[Tensor]:
    """Basic blocks in each branch, then every branch summed into every other (Fig. 3)."""
    done = []
    for place, x in enumerate(branches):
        with b.scope(f"branch{place}"):
            width = x.shape[1]
            done += resnet_levels(b, x, (depth,), bottleneck=False, widths=(width,), strides=(1,), dilations=(1,))
    return [_fused(b, done, target) for target in range(outputs)]


def _fused(b: GraphBuilder, branches: list[Tensor], target: int) -> Tensor:
    total = branches[target]
    width = total.shape[1]
    for place, x in enumerate(branches):
        name = f"fuse{place}to{target}"
        if place > target:
            y = layers.conv_bn_act(b, x, width, 1, act="", name=name)
            total = layers.add(b, total, b.add(Resize(scales=(1 << (place - target),) * 2), y))
        elif place < target:
            y = x
            for step in range(target - place):
                last = step == target - place - 1
                channels = width if last else x.shape[1]
                y = layers.conv_bn_act(b, y, channels, 3, stride=2, act="" if last else "relu", name=f"{name}.{step}")
            total = layers.add(b, total, y)
    return layers.activation(b, total, "relu")


for _name, _title, _network, _size, _labels, _parameters, _gmacs, _tolerance, _source in (
    ("hrnet_pose", "HRNet-W32 pose", HRNet(32, False), (256, 192), 17, 28.5e6, 7.1, 0.08, "Sun et al. 2019, Table 1"),
    (
        *("hrnet_face", "HRNetV2-W18 face", HRNet(18, True), (256, 256), 29, 9.68e6, 0.0, 0.01),
        "quic/ai-hub-models model pages",
    ),
    (
        "hrnet_pose_w48",
        "HRNet-W48 pose",
        HRNet(48, False),
        (256, 192),
        17,
        63.6e6,
        14.6,
        0.08,
        "Sun et al. 2019, Table 1",
    ),
):
    image_network(
        _name,
        _network,
        title=_title,
        source="Sun et al. 2019, Deep High-Resolution Representation Learning for Human Pose Estimation, section 3",
        published=Published(
            parameters=int(_parameters), macs=_gmacs * 1e9 or None, tolerance=_tolerance, source=_source
        ),
        what="Heat maps of key points from parallel branches of four resolutions.",
        size=_size,
        labels=_labels,
    )
