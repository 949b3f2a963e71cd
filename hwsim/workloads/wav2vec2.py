"""wav2vec 2.0, speech recognition from samples (Baevski et al. 2020, wav2vec 2.0, section 2 and appendix B, base).

Seven convolutions turn 320 samples into one frame, twelve post-norm layers attend to all frames, whose places come
from a grouped convolution over 128 of them; a classifier names the letter of each frame, as
facebook/wav2vec2-base-960h does.
"""

from __future__ import annotations

from hwsim.graph.graph import Graph, GraphBuilder
from hwsim.graph.tensor import Tensor
from hwsim.operators.conv1d import Conv1d
from hwsim.operators.slice import Slice
from hwsim.operators.transpose import Transpose
from hwsim.workloads import layers
from hwsim.workloads.registry import Published, workload

__all__ = ["wav2vec2_base"]

_RATE = 16_000
_WINDOWS = ((10, 5), (3, 2), (3, 2), (3, 2), (3, 2), (2, 2), (2, 2))
"""Window and stride of each convolution."""
_FEATURES, _WIDTH, _DEPTH, _HEADS, _PLACES, _GROUPS, _LETTERS = 512, 768, 12, 12, 128, 16, 32


def _frames(b: GraphBuilder, sound: Tensor) -> Tensor:
    """(batch, frames, 512) from samples (batch, 1, samples)."""
    x = sound
    for place, (window, stride) in enumerate(_WINDOWS):
        with b.scope(f"conv{place}"):
            weight = b.weight("weight", (_FEATURES, x.shape[1], window))
            x = b.add(Conv1d(stride=stride), x, weight, name="conv")
            x = layers.group_norm(b, x, _FEATURES) if not place else x
            x = layers.activation(b, x, "gelu")
    return b.add(Transpose((0, 2, 1)), x)


def _placed(b: GraphBuilder, x: Tensor) -> Tensor:
    """X and what a convolution over its neighbours says of their places."""
    with b.scope("places"):
        weight = b.weight("weight", (_WIDTH, _WIDTH // _GROUPS, _PLACES))
        y = b.add(Transpose((0, 2, 1)), x)
        conv = Conv1d(padding=_PLACES // 2, groups=_GROUPS)
        y = b.add(conv, y, weight, b.weight("bias", (_WIDTH,)), name="conv")
        y = layers.activation(b, b.add(Slice(2, 0, x.shape[1]), y), "gelu")
        return layers.layer_norm(b, layers.add(b, x, b.add(Transpose((0, 2, 1)), y)))


@workload(
    title="wav2vec 2.0 base",
    source="Baevski et al. 2020, wav2vec 2.0, appendix B; facebook/wav2vec2-base-960h",
    item="sound",
    published=Published(parameters=94_400_000, tolerance=0.01, source="facebook/wav2vec2-base-960h: 94.4 M"),
)
def wav2vec2_base(*, batch: int = 1, seconds: int = 20) -> Graph:
    """Letters of recorded speech, (batch, frames, letters), 50 frames a second.

    Args:
        batch: Recordings at once.
        seconds: Length of a recording, 16,000 samples a second.
    """
    b = GraphBuilder("wav2vec2_base")
    x = layers.layer_norm(b, _frames(b, b.input("sound", (batch, 1, seconds * _RATE))), name="features_norm")
    x = _placed(b, layers.linear(b, x, _WIDTH, name="features"))
    for place in range(_DEPTH):
        with b.scope(f"layers.{place}"):
            x = layers.layer_norm(b, layers.add(b, x, layers.attention(b, x, _HEADS), name="add1"), name="norm1")
            y = layers.mlp(b, x, 4 * _WIDTH)
            x = layers.layer_norm(b, layers.add(b, x, y, name="add2"), name="norm2")
    return b.build([layers.linear(b, x, _LETTERS, name="letters")], items=batch, item="sound")
