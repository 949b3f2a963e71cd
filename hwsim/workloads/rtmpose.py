"""RTMPose (Jiang et al. 2023, RTMPose: Real-Time Multi-Person Pose Estimation, Fig. 2), medium, for whole bodies.

On CSPNeXt (Lyu et al. 2022, RTMDet, Figs. 2 and 3), as open-mmlab/mmpose builds it
(rtmpose-m_8xb64-270e_coco-wholebody-256x192).
"""

from __future__ import annotations

from hwsim.graph.graph import GraphBuilder
from hwsim.graph.tensor import Tensor
from hwsim.operators.add import Add
from hwsim.operators.div import Div
from hwsim.operators.matmul import Matmul
from hwsim.operators.mul import Mul
from hwsim.operators.reduce import ReduceAxes
from hwsim.operators.relu import Relu
from hwsim.operators.reshape import Reshape
from hwsim.operators.slice import Slice
from hwsim.operators.split import Split
from hwsim.workloads import layers
from hwsim.workloads.cspnext import cspnext
from hwsim.workloads.families import image_filter
from hwsim.workloads.registry import Published

__all__: list[str] = []

_POINTS, _FEATURES, _SHARED, _SPLIT = 133, 256, 128, 2


def _scale_norm(b: GraphBuilder, x: Tensor, name: str) -> Tensor:
    """X over the length of its last axis, times one gain (Nguyen and Salazar 2019, section 2.2)."""
    with b.scope(name):
        length = b.add(Mul(), b.add(ReduceAxes("l2", (-1,), True), x), b.state("scale", (1,)))
        return layers.multiply(b, b.add(Div(), x, length), b.weight("gain", (1,)))


def _gated_attention(b: GraphBuilder, x: Tensor) -> Tensor:
    """A gated attention unit over key points (Hua et al. 2022, Transformer Quality in Linear Time, section 2)."""
    batch, points, width = x.shape
    hidden = _SPLIT * _FEATURES
    with b.scope("attention"):
        y = layers.linear(b, _scale_norm(b, x, "norm"), 2 * hidden + _SHARED, bias=False, name="uv")
        u, v, base = b.add_all(Split(-1, (hidden, hidden, _SHARED)), layers.activation(b, y, "silu"))
        base = b.add(Reshape((batch, points, 1, _SHARED)), base)
        both = layers.multiply(b, base, b.weight("gamma", (2, _SHARED)))
        both = b.add(Add(), both, b.weight("beta", (2, _SHARED)))
        q, k = (b.add(Reshape((batch, points, _SHARED)), b.add(Slice(2, i, i + 1), both)) for i in range(2))
        scores = layers.multiply(b, b.add(Matmul(transpose_b=True), q, k), b.state("root", (1,)), name="scaled")
        scores = b.add(Relu(), scores)
        mixed = b.add(Matmul(), layers.multiply(b, scores, scores, name="squared"), v)
        y = layers.linear(b, layers.multiply(b, u, mixed, name="gated"), width, bias=False, name="out")
        return layers.add(b, layers.multiply(b, x, b.weight("link", (width,)), name="linked"), y)


def _rtmpose(b: GraphBuilder, image: Tensor) -> tuple[Tensor, Tensor]:
    """Where each of 133 points lies across and down: scores of twice as many bins as there are pixels."""
    tall, wide = image.shape[2:]
    x = layers.conv(b, cspnext(b, image)[-1], _POINTS, 7, name="points")
    x = b.add(Reshape((x.shape[0], _POINTS, x.shape[2] * x.shape[3])), x)
    x = layers.linear(b, _scale_norm(b, x, "norm"), _FEATURES, bias=False, name="features")
    x = _gated_attention(b, x)
    across = layers.linear(b, x, 2 * wide, bias=False, name="bins_x")
    return across, layers.linear(b, x, 2 * tall, bias=False, name="bins_y")


image_filter(
    "rtmpose_m_wholebody",
    _rtmpose,
    title="RTMPose-m, whole body",
    source="Jiang et al. 2023, RTMPose: Real-Time Multi-Person Pose Estimation based on MMPose; its published code",
    published=Published(
        parameters=17_900_000, macs=2.22e9, tolerance=0.02, source="mmpose model zoo: 18.0 M, 2.22 GFLOP (as MACs)"
    ),
    what="133 key points of a person.",
    size=(256, 192),
)
