"""Conditional DETR (Meng et al. 2021, Conditional DETR for Fast Training Convergence, Fig. 3), on ResNet-50.

Layers as transformers builds them (microsoft/conditional-detr-resnet-50).
"""

from __future__ import annotations

import math

from hwsim.graph.graph import GraphBuilder
from hwsim.graph.tensor import Tensor
from hwsim.operators.concat import Concat
from hwsim.operators.linear import Linear
from hwsim.operators.matmul import Matmul
from hwsim.operators.mul import Mul
from hwsim.operators.pad import Pad
from hwsim.operators.softmax import Softmax
from hwsim.workloads import layers
from hwsim.workloads.detr import encoded
from hwsim.workloads.families import image_network
from hwsim.workloads.registry import Published

__all__: list[str] = []

_WIDTH, _HEADS, _QUERIES, _DEPTH, _HIDDEN = 256, 8, 300, 6, 2048


def _dense(b: GraphBuilder, x: Tensor, *sizes: int, name: str) -> Tensor:
    """Linear layers with activations between them."""
    for place, size in enumerate(sizes):
        x = layers.linear(b, x, size, name=f"{name}{place}")
        x = layers.activation(b, x, "relu") if place < len(sizes) - 1 else x
    return x


def _linear(b: GraphBuilder, x: Tensor, name: str) -> Tensor:
    return layers.linear(b, x, _WIDTH, name=name)


def _attended(b: GraphBuilder, q: Tensor, k: Tensor, v: Tensor, name: str) -> Tensor:
    """Attention of heads whose values may be narrower than their keys."""
    with b.scope(name):
        scores = b.add(Matmul(transpose_b=True), q, k, name="scores")
        scores = b.add(Softmax(), b.add(Mul(1 / math.sqrt(q.shape[-1])), scores, name="scale"))
        return _linear(b, layers.merge_heads(b, b.add(Matmul(), scores, v, name="values")), "out")


def _heads(b: GraphBuilder, x: Tensor, name: str) -> Tensor:
    return layers.split_heads(b, x, _HEADS, name=name)


def _itself(b: GraphBuilder, x: Tensor, place: Tensor) -> Tensor:
    """Queries attend to each other: what they hold and where they are, projected apart and added."""
    with b.scope("self"):
        q = layers.add(b, _linear(b, x, "q_content"), _linear(b, place, "q_place"))
        k = layers.add(b, _linear(b, x, "k_content"), _linear(b, place, "k_place"))
        return _attended(b, _heads(b, q, "q"), _heads(b, k, "k"), _heads(b, _linear(b, x, "v"), "v"), "attention")


def _image(b: GraphBuilder, x: Tensor, memory: Tensor, asked: tuple[Tensor, Tensor, Tensor], *, first: bool) -> Tensor:
    """Queries attend to the image; content and place of a head lie side by side in its queries and keys."""
    place, sines, places = asked
    with b.scope("cross"):
        q, k, v = _linear(b, x, "q_content"), _linear(b, memory, "k_content"), _linear(b, memory, "v")
        key_place = _linear(b, places, "k_place")
        if first:
            q, k = layers.add(b, q, _linear(b, place, "q_place")), layers.add(b, k, key_place)
        q = b.add(Concat(3), _heads(b, q, "q"), _heads(b, _linear(b, sines, "q_sines"), "q_sine_heads"))
        k = b.add(Concat(3), _heads(b, k, "k"), _heads(b, key_place, "k_places"))
        return _attended(b, q, k, _heads(b, v, "v"), "attention")


def _network(b: GraphBuilder, image: Tensor, classes: int) -> tuple[Tensor, Tensor]:
    """(batch, 300, classes) and boxes (batch, 300, 4)."""
    memory, places = encoded(b, image, (3, 4, 6, 3))
    place, x = b.weight("queries", (1, _QUERIES, _WIDTH)), b.state("target", (image.shape[0], _QUERIES, _WIDTH))
    centre = _dense(b, place, _WIDTH, 2, name="centre")
    sines = b.state("sines", (1, _QUERIES, _WIDTH))
    scale = [layers.linear_weights(b, _WIDTH, _WIDTH, name=f"query_scale{i}") for i in range(2)]
    for step in range(_DEPTH):
        with b.scope(f"decoder{step}"):
            moved = sines
            if step:
                y = layers.activation(b, b.add(Linear(), x, *scale[0]), "relu")
                moved = layers.multiply(b, sines, b.add(Linear(), y, *scale[1]), name="scaled")
            x = layers.layer_norm(b, layers.add(b, x, _itself(b, x, place)), "norm1")
            y = _image(b, x, memory, (place, moved, places), first=step == 0)
            x = layers.layer_norm(b, layers.add(b, x, y), "norm2")
            x = layers.layer_norm(b, layers.add(b, x, layers.mlp(b, x, _HIDDEN, act="relu")), "norm3")
    x = layers.layer_norm(b, x, "norm")
    boxes = _dense(b, x, _WIDTH, _WIDTH, 4, name="boxes")
    boxes = layers.add(b, boxes, b.add(Pad(((0, 0), (0, 0), (0, 2))), centre), name="moved")
    return layers.linear(b, x, classes, name="class"), layers.activation(b, boxes, "sigmoid")


image_network(
    "conditional_detr_resnet50",
    _network,
    title="Conditional DETR-ResNet50",
    source="Meng et al. 2021, Conditional DETR for Fast Training Convergence; layers as in transformers",
    published=Published(parameters=43_600_000, tolerance=0.02, source="quic/ai-hub-models, model card: parameters"),
    what="Object detector without anchors and suppression.",
    size=480,
    labels=91,
)
