"""EasyOCR's recogniser of text lines (JaidedAI/EasyOCR, easyocr/model/vgg_model.py and modules.py, generation 2).

After Shi, Bai and Yao 2017, An End-to-End Trainable Neural Network for Image-based Sequence Recognition (CRNN),
Table 1.
"""

from __future__ import annotations

from hwsim.graph.graph import GraphBuilder
from hwsim.graph.tensor import Tensor
from hwsim.operators.concat import Concat
from hwsim.operators.recurrent import Recurrent
from hwsim.operators.reduce import ReduceAxes
from hwsim.operators.transpose import Transpose
from hwsim.workloads import layers
from hwsim.workloads.families import image_filter
from hwsim.workloads.registry import Published

__all__: list[str] = []

_HIDDEN, _CHARACTERS = 256, 97


def _features(b: GraphBuilder, x: Tensor) -> Tensor:
    """(batch, 256, 1, columns): convolutions and pools that halve the height more often than the width."""
    rows = ((32, (2, 2)), (64, (2, 2)), (128, (1, 1)), (128, (2, 1)), (256, (1, 1)), (256, (2, 1)))
    for place, (channels, window) in enumerate(rows):
        normed = channels == 256
        x = layers.conv(b, x, channels, 3, bias=not normed, name=f"conv{place}")
        x = layers.batch_norm(b, x, f"bn{place}") if normed else x
        x = layers.activation(b, x, "relu")
        x = layers.pool(b, x, "max", window, name=f"pool{place}") if window != (1, 1) else x
    return layers.activation(b, layers.conv(b, x, 256, 2, padding=0, name="last"), "relu")


def _both_ways(b: GraphBuilder, x: Tensor, name: str) -> Tensor:
    """(seq, batch, 256) read forwards and backwards, then a linear layer."""
    made = []
    for backward in (False, True):
        with b.scope(f"{name}.{'backward' if backward else 'forward'}"):
            shapes = ((4 * _HIDDEN, x.shape[2]), (4 * _HIDDEN, _HIDDEN), (8 * _HIDDEN,))
            weights = [b.weight(part, shape) for part, shape in zip(("w", "r", "bias"), shapes, strict=True)]
            state = (x.shape[1], _HIDDEN)
            first = [b.state(part, state) for part in ("hidden", "cell")]
        made.append(b.add_all(Recurrent("lstm", backward), x, *weights, *first)[0])
    return layers.linear(b, b.add(Concat(2), *made), _HIDDEN, name=f"{name}.linear")


def _reader(b: GraphBuilder, image: Tensor) -> Tensor:
    """Scores (columns, batch, characters) along a line of text."""
    x = b.add(ReduceAxes("mean", (2,)), _features(b, image))
    x = b.add(Transpose((2, 0, 1)), x)
    for place in range(2):
        x = _both_ways(b, x, f"lstm{place}")
    return layers.linear(b, x, _CHARACTERS, name="scores")


image_filter(
    "easyocr_recognizer",
    _reader,
    title="EasyOCR, recogniser",
    source="JaidedAI/EasyOCR, easyocr/model/vgg_model.py; Shi, Bai and Yao 2017, CRNN, Table 1",
    published=Published(parameters=3_840_000, tolerance=0.03, source="quic/ai-hub-models, model card: parameters"),
    what="Characters along a line of text.",
    size=(64, 800),
    channels=1,
)
