"""VideoMAE (Tong et al. 2022, VideoMAE: Masked Autoencoders are Data-Efficient Learners, section 3.3 and appendix)."""

from __future__ import annotations

from hwsim.errors import InputError
from hwsim.graph.graph import Graph, GraphBuilder
from hwsim.graph.tensor import Tensor
from hwsim.operators.reduce import ReduceAxes
from hwsim.operators.reshape import Reshape
from hwsim.operators.transpose import Transpose
from hwsim.workloads import layers
from hwsim.workloads.registry import Published, workload

__all__ = ["video_mae_base"]

_WIDTH, _DEPTH, _HEADS, _PATCH, _FRAMES = 768, 12, 12, 16, 2


@workload(
    title="VideoMAE-B",
    source="Tong et al. 2022, VideoMAE: Masked Autoencoders are Data-Efficient Learners for Self-Supervised Video",
    item="clip",
    published=Published(
        parameters=86_534_800, macs=180e9, tolerance=0.02, source="Tong et al. 2022, Table 6: 87 M, 180 GFLOP (as MACs)"
    ),
)
def video_mae_base(
    *, batch: int = 1, frames: int = 16, height: int = 224, width: int = 224, classes: int = 400
) -> Graph:
    """Clip classifier: ViT-B on cubes of two frames by 16 x 16 pixels, all of which attend to all.

    Args:
        batch: Clips at once.
        frames: Frames of a clip, a multiple of 2.
        height: Frame height in pixels, a multiple of 16.
        width: Frame width in pixels, a multiple of 16.
        classes: Classes told apart.
    """
    if frames % _FRAMES or height % _PATCH or width % _PATCH:
        raise InputError("parameters 'frames', 'height' and 'width' must be multiples of 2, 16 and 16")
    b = GraphBuilder("video_mae_base")
    x = _cubes(b, b.input("clip", (batch, 3, frames, height, width)))
    for place in range(_DEPTH):
        with b.scope(f"layer{place}"):
            y = layers.attention(b, layers.layer_norm(b, x, "norm1"), _HEADS, key_bias=False)
            x = layers.add(b, x, y, name="add1")
            x = layers.add(b, x, layers.mlp(b, layers.layer_norm(b, x, "norm2"), 4 * _WIDTH), name="add2")
    x = layers.layer_norm(b, b.add(ReduceAxes("mean", (1,)), x), "norm")
    return b.build([layers.linear(b, x, classes, name="head")], items=batch, item="clip")


def _cubes(b: GraphBuilder, clip: Tensor) -> Tensor:
    """(batch, cubes, width) with fixed sinusoids of their places."""
    size = (_FRAMES, _PATCH, _PATCH)
    x = layers.conv3d(b, clip, _WIDTH, size, stride=size, name="cubes")
    batch, width, count = x.shape[0], x.shape[1], x.shape[2] * x.shape[3] * x.shape[4]
    x = b.add(Transpose((0, 2, 1)), b.add(Reshape((batch, width, count)), x))
    return layers.add(b, x, b.state("positions", (1, count, width)))
