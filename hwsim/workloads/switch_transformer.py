"""Switch Transformers (Fedus, Zoph, Shazeer 2021): T5's encoder and decoder, every other MLP a mixture of experts.

A token goes to the one expert its router likes best, as long as that has room for it; what finds no room passes by
(section 2.2). Attention is unfused, as in Hugging Face's transformers (models/switch_transformers).
"""

from __future__ import annotations

from hwsim.graph.graph import Graph, GraphBuilder
from hwsim.graph.tensor import Tensor
from hwsim.operators.add import Add
from hwsim.operators.concat import Concat
from hwsim.operators.embedding import Embedding
from hwsim.operators.linear import Linear
from hwsim.operators.matmul import Matmul
from hwsim.operators.mul import Mul
from hwsim.operators.reduce import ReduceAxes
from hwsim.operators.reshape import Reshape
from hwsim.operators.slice import Slice
from hwsim.operators.softmax import Softmax
from hwsim.operators.transpose import Transpose
from hwsim.workloads import layers
from hwsim.workloads.registry import workload

__all__ = ["switch_xl4"]

_LAYERS, _WIDTH, _HIDDEN, _HEADS, _DIM = 24, 1024, 16_384, 32, 128
_EXPERTS, _ROOM, _BUCKETS, _VOCABULARY = 4, 64, 32, 32_128


def _distance_bias(b: GraphBuilder, name: str, batch: int, seq: int) -> Tensor:
    """(batch, seq, seq, heads): a learned number for each head and bucket of distances, plus the mask.

    The heads lie innermost, as they come out of the table: PyTorch's sum keeps the order of its operand.
    """
    buckets = b.input(f"{name}_distances", (seq, seq), "int64")
    with b.scope("distances"):
        table = b.weight("weight", (_BUCKETS, _HEADS))
    y = b.add(Reshape((1, seq, seq, _HEADS)), b.add(Embedding(), buckets, table, name="distances"), name="view")
    return b.add(Add(), y, b.input(f"{name}_mask", (batch, seq, seq, 1)), name="masked")


def _attention(b: GraphBuilder, x: Tensor, source: Tensor, bias: Tensor, name: str) -> Tensor:
    """Attention of x to ``source``, whose scores are not scaled but get ``bias``.

    That of a layer to itself has its heads innermost, so that the sum reads it across its order.
    """
    with b.scope(name):
        if source is x:
            bias = b.add(Transpose((0, 3, 1, 2)), bias, name="bias_by_head")
        q, k, v = (
            layers.split_heads(
                b, layers.linear(b, y, _HEADS * _DIM, bias=False, name=part), _HEADS, name=f"{part}_heads"
            )
            for part, y in (("q", x), ("k", source), ("v", source))
        )
        scores = b.add(Add(), b.add(Matmul(transpose_b=True), q, k, name="scores"), bias, name="biased")
        y = layers.merge_heads(b, b.add(Matmul(), b.add(Softmax(-1), scores), v, name="values"))
        return layers.linear(b, y, _WIDTH, bias=False, name="out")


def _experts(b: GraphBuilder, x: Tensor) -> Tensor:
    """What the experts make of x, times the router's probability.

    Where a token goes depends on its value; here each expert has the tokens that stand in turn, as many as it has room
    for, and the rest pass by.
    """
    seq = x.shape[1]
    room = min(_ROOM, seq // _EXPERTS)
    scores = b.add(Softmax(-1), layers.linear(b, x, _EXPERTS, bias=False, name="router"), name="probabilities")
    best = b.add(ReduceAxes("max", (-1,), keepdims=True), scores, name="best")
    parts = []
    for place in range(_EXPERTS if room else 0):
        with b.scope(f"expert{place}"):
            mine = b.add(Slice(1, place * room, (place + 1) * room), x, name="chosen")
            parts.append(layers.mlp(b, mine, _HIDDEN, act="relu", bias=False))
    if room * _EXPERTS < seq:
        parts.append(b.add(Slice(1, room * _EXPERTS, seq), x, name="without_room"))
    return b.add(Mul(), b.add(Concat(1), *parts, name="together"), best, name="weighed")


def _layer(
    b: GraphBuilder, x: Tensor, bias: Tensor, memory: Tensor | None, nothing: Tensor | None, place: int
) -> Tensor:
    y = layers.rms_norm(b, x, "norm1")
    x = layers.add(b, x, _attention(b, y, y, bias, "attention"), name="add1")
    if memory is not None and nothing is not None:
        y = _attention(b, layers.rms_norm(b, x, "norm2"), memory, nothing, "cross_attention")
        x = layers.add(b, x, y, name="add2")
    y = layers.rms_norm(b, x, "norm3")
    y = _experts(b, y) if place % 2 else layers.mlp(b, y, _HIDDEN, act="relu", bias=False)
    return layers.add(b, x, y, name="add3")


@workload(
    title="Switch-XL, 4 experts",
    source="Fedus et al. 2021, Switch Transformers, section 2; sizes: switchxl4.json of NeuSight (6945927d)",
    item="sequence",
)
def switch_xl4(*, batch: int = 1, seq: int = 512) -> Graph:
    """Encoder and decoder of 24 layers each, 1024 wide, half of their MLPs with four experts of 64 tokens.

    Args:
        batch: Sequences at once.
        seq: Tokens that each of encoder and decoder reads.
    """
    b = GraphBuilder("switch_xl4")
    with b.scope("shared"):
        table = b.weight("weight", (_VOCABULARY, _WIDTH))
    found: Tensor | None = None
    for side in ("encoder", "decoder"):
        with b.scope(side):
            x = b.add(Embedding(), b.input(f"{side}_ids", (batch, seq), "int64"), table, name="tokens")
            bias = _distance_bias(b, side, batch, seq)
            nothing = b.input("open_mask", (batch, 1, seq, seq)) if found is not None else None
            for place in range(_LAYERS):
                with b.scope(f"layer{place}"):
                    x = _layer(b, x, bias, found, nothing, place)
            found = layers.rms_norm(b, x, "norm_final")
    assert found is not None
    scaled = b.add(Mul(_WIDTH**-0.5), found, name="scaled")
    return b.build([b.add(Linear(), scaled, table, name="head")], items=batch, item="sequence")
