"""Encoder of a small translator (Vaswani et al. 2017, Fig. 1) that Rockchip's model zoo exports.

Five post-norm layers of 256 features with four heads and feed-forward layers as wide as the features, as
configs/rk_nmt.yml of airockchip/lite-transformer has it; words are looked up outside, padding is a mask on the scores
(rk_tools/export_onnx.py).
"""

from __future__ import annotations

from hwsim.graph.graph import Graph, GraphBuilder
from hwsim.graph.tensor import Tensor
from hwsim.workloads import layers
from hwsim.workloads.registry import workload

__all__ = ["lite_transformer_encoder"]

_DEPTH, _WIDTH, _HEADS = 5, 256, 4


def _normed(b: GraphBuilder, x: Tensor, y: Tensor, name: str) -> Tensor:
    return layers.layer_norm(b, layers.add(b, x, y, name=f"{name}_add"), name=f"{name}_norm")


@workload(
    title="Lite Transformer, encoder",
    source="Vaswani et al. 2017, Fig. 1; airockchip/lite-transformer, configs/rk_nmt.yml",
    item="sentence",
)
def lite_transformer_encoder(*, batch: int = 1, seq: int = 16) -> Graph:
    """Translation of a sentence of embedded words, (batch, seq, features): the encoder.

    Args:
        batch: Sentences at once.
        seq: Words of the sentence.
    """
    b = GraphBuilder("lite_transformer_encoder")
    x = b.input("words", (batch, seq, _WIDTH))
    padding = b.input("padding", (batch, 1, seq, seq))
    for place in range(_DEPTH):
        with b.scope(f"encoder.{place}"):
            x = _normed(b, x, layers.attention(b, x, _HEADS, scores=padding), "attention")
            x = _normed(b, x, layers.mlp(b, x, _WIDTH, act="relu"), "mlp")
    return b.build([x], items=batch, item="sentence")
