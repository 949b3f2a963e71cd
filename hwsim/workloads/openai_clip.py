"""CLIP on ViT-B/16: how alike an image and a text are (Radford et al. 2021, Fig. 3 and Table 20)."""

from __future__ import annotations

from hwsim.graph.graph import Graph, GraphBuilder
from hwsim.graph.tensor import Tensor
from hwsim.operators.div import Div
from hwsim.operators.matmul import Matmul
from hwsim.operators.reduce import ReduceAxes
from hwsim.workloads import layers
from hwsim.workloads.registry import Published, workload
from hwsim.workloads.text_encoders import CLIP_TOKENS, Clip, clip_encoder, clip_pooled, token_ids
from hwsim.workloads.vit import VisionTransformer

__all__ = ["clip_vit_b_16"]

_SHARED = 512
_TEXT = Clip(width=_SHARED, layers=12, heads=8, act="quick_gelu")
_IMAGE = VisionTransformer(depth=12, width=768, heads=12, act="quick_gelu", norm_first=True)


def _of_length_one(b: GraphBuilder, x: Tensor, name: str) -> Tensor:
    return b.add(Div(), x, b.add(ReduceAxes("l2", (1,), True), x, name=f"{name}_length"), name=f"{name}_unit")


@workload(
    title="CLIP ViT-B/16",
    source="Radford et al. 2021, Learning Transferable Visual Models From Natural Language Supervision, Table 20",
    item="pair",
    published=Published(parameters=149_620_737, tolerance=0.0001, source="parameters of the released ViT-B/16"),
)
def clip_vit_b_16(*, batch: int = 1, height: int = 224, width: int = 224) -> Graph:
    """Both encoders, and the product of what they make.

    Args:
        batch: Images, and texts, at once.
        height: Image height in pixels, a multiple of 16.
        width: Image width in pixels, a multiple of 16.
    """
    b = GraphBuilder("clip_vit_b_16")
    text = clip_encoder(b, token_ids(b, batch, CLIP_TOKENS, "text"), _TEXT)
    text = _of_length_one(b, clip_pooled(b, text, projected=True), "text")
    with b.scope("image"):
        x = _IMAGE(b, b.input("image", (batch, 3, height, width)), _SHARED)
    x = layers.multiply(b, _of_length_one(b, x, "image"), b.weight("scale", (1,)), name="scaled")
    return b.build([b.add(Matmul(transpose_b=True), x, text, name="alike")], items=batch, item="pair")
