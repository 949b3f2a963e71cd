"""Depth from one image on small networks: FastDepth, and the network of SC-Depth (that of Monodepth2).

Sources: Wofk et al. 2019, FastDepth, section IV, with the channels that NetAdapt left (dwofk/fast-depth,
mobilenet-nnconv5dw-skipadd-pruned); Godard et al. 2019, Monodepth2, Table 1, and Sun et al. 2022, SC-DepthV3. From
memory, checked by their counts.
"""

from __future__ import annotations

from hwsim.graph.graph import GraphBuilder
from hwsim.graph.tensor import Tensor
from hwsim.operators.concat import Concat
from hwsim.operators.elu import Elu
from hwsim.workloads import layers
from hwsim.workloads import yolo_blocks as yolo
from hwsim.workloads.backbones import resnet_levels
from hwsim.workloads.families import image_filter
from hwsim.workloads.registry import Published, sources

__all__: list[str] = []

_ENCODER = (
    *((56, 1), (88, 2), (120, 1), (144, 2), (256, 1), (408, 2), (376, 1), (272, 1), (288, 1), (296, 1), (328, 1)),
    *((480, 2), (512, 1)),
)
_DECODER = (200, 256, 120, 56, 16)


def _fast_depth(b: GraphBuilder, image: Tensor) -> Tensor:
    """(batch, 1, height, width): depth; coarse features doubled and added to those of the encoder."""
    x = layers.conv_bn_act(b, image, 16, 3, stride=2, act="relu6", name="stem")
    taken = {}
    for place, (channels, stride) in enumerate(_ENCODER):
        with b.scope(f"block{place}"):
            x = layers.conv_bn_act(b, x, x.shape[1], 3, stride=stride, groups=x.shape[1], act="relu6", name="depthwise")
            x = layers.conv_bn_act(b, x, channels, 1, act="relu6", name="pointwise")
        taken[place] = x
    for place, channels in enumerate(_DECODER):
        with b.scope(f"up{place}"):
            x = layers.conv_bn_act(b, x, x.shape[1], 5, groups=x.shape[1], name="depthwise")
            x = yolo.up(b, layers.conv_bn_act(b, x, channels, 1, name="pointwise"))
            skip = {1: 4, 2: 2, 3: 0}.get(place)
            x = x if skip is None else layers.add(b, x, taken[skip])
    return layers.conv_bn_act(b, x, 1, 1, name="last")


def _sc_depth(b: GraphBuilder, image: Tensor) -> Tensor:
    """(batch, 1, height, width): disparity on ResNet-18, joined with finer features at each size."""
    first = layers.conv_bn_act(b, image, 64, 7, stride=2, name="stem")
    x = layers.pool(b, first, "max", 3, stride=2, padding=1, name="maxpool")
    levels = [first, *resnet_levels(b, x, (2, 2, 2, 2), bottleneck=False)]
    x = levels.pop()
    for place, channels in enumerate((256, 128, 64, 32, 16)):
        with b.scope(f"up{place}"):
            x = yolo.up(b, b.add(Elu(), layers.conv(b, x, channels, 3, name="conv0")))
            x = b.add(Concat(1), x, levels.pop()) if levels else x
            x = b.add(Elu(), layers.conv(b, x, channels, 3, name="conv1"))
    return layers.activation(b, layers.conv(b, x, 1, 3, name="disparity"), "sigmoid")


for _name, _title, _network, _size, _parameters, _gmacs in (
    ("fast_depth", "FastDepth", _fast_depth, 224, 1.35e6, 0.37),
    ("sc_depth", "SC-DepthV3", _sc_depth, (256, 320), 14.8e6, 5.35),
):
    image_filter(
        _name,
        _network,
        title=_title,
        source=sources(__doc__, before="From memory"),
        published=Published(
            parameters=int(_parameters), macs=_gmacs * 1e9, tolerance=0.04, source="hailo_model_zoo, public models"
        ),
        what="Depth of every pixel from one image.",
        size=_size,
    )
