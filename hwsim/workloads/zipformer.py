"""The small parts of a streaming Zipformer transducer: what predicts the next token, and what joins it with the sound.

Sources: Yao et al. 2024, Zipformer; Ghodsi et al. 2020, RNN-Transducer with Stateless Prediction Network, section 2;
k2-fsa/icefall, egs/librispeech/ASR/pruned_transducer_stateless7 (decoder.py, joiner.py), with the vocabulary of
k2fsa-zipformer-chinese-english-mixed.
"""

from __future__ import annotations

from hwsim.graph.graph import Graph, GraphBuilder
from hwsim.operators.conv1d import Conv1d
from hwsim.operators.reshape import Reshape
from hwsim.operators.transpose import Transpose
from hwsim.workloads import layers
from hwsim.workloads.registry import Published, workload

__all__ = ["zipformer_decoder", "zipformer_joiner"]

_SOURCE = (__doc__ or "").split("Sources: ")[1].strip().replace("\n", " ")
_HUB = "quic/ai-hub-models, model card: parameters"
_VOCABULARY, _WIDTH = 6254, 512


@workload(
    title="Zipformer, decoder",
    source=_SOURCE,
    item="token",
    published=Published(parameters=3_470_000, tolerance=0.003, source=_HUB),
)
def zipformer_decoder(*, batch: int = 1, context: int = 2) -> Graph:
    """Features of the last tokens: a table, a depthwise convolution over them, a projection.

    Args:
        batch: Sequences at once.
        context: Tokens it looks back on.
    """
    b = GraphBuilder("zipformer_decoder")
    x = layers.embedding(b, b.input("ids", (batch, context), "int64"), _VOCABULARY, _WIDTH)
    x = b.add(Transpose((0, 2, 1)), x)
    x = b.add(Conv1d(groups=_WIDTH), x, b.weight("conv.weight", (_WIDTH, 1, context)), name="conv")
    x = layers.activation(b, b.add(Reshape((batch, _WIDTH)), x), "relu")
    return b.build([layers.linear(b, x, _WIDTH, name="projection")], items=batch, item="token")


@workload(
    title="Zipformer, joiner",
    source=_SOURCE,
    item="token",
    published=Published(parameters=3_210_000, tolerance=0.003, source=_HUB),
)
def zipformer_joiner(*, batch: int = 1) -> Graph:
    """Scores of the next token from features of the sound and of the last tokens.

    Args:
        batch: Sequences at once.
    """
    b = GraphBuilder("zipformer_joiner")
    x = layers.add(b, b.input("sound", (batch, _WIDTH)), b.input("tokens", (batch, _WIDTH)))
    x = layers.linear(b, layers.activation(b, x, "tanh"), _VOCABULARY, name="scores")
    return b.build([x], items=batch, item="token")
