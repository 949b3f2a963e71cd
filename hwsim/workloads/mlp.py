"""A multilayer perceptron of any size."""

from __future__ import annotations

from typing import Literal

from hwsim.graph.graph import Graph, GraphBuilder
from hwsim.workloads import layers
from hwsim.workloads.registry import workload

__all__ = ["mlp"]


@workload(
    title="Multilayer perceptron",
    source="Rumelhart, Hinton and Williams 1986, Learning Representations by Back-propagating Errors",
    item="sample",
    maximum={"depth": 100_000},
)
def mlp(
    *,
    batch: int = 1,
    depth: int = 4,
    width: int = 1024,
    inputs: int = 1024,
    outputs: int = 1024,
    act: Literal["relu", "gelu", "silu", "tanh", "sigmoid"] = "relu",
) -> Graph:
    """Fully connected layers with an activation between.

    Args:
        batch: Samples at once.
        depth: Linear layers, the last included.
        width: Features of each hidden layer.
        inputs: Features of a sample.
        outputs: Features of the result.
        act: Activation between the layers.
    """
    b = GraphBuilder("mlp")
    x = b.input("x", (batch, inputs))
    for place in range(depth - 1):
        x = layers.linear(b, x, width, name=f"linear{place}")
        x = layers.activation(b, x, act, name=f"{act}{place}")
    x = layers.linear(b, x, outputs, name=f"linear{depth - 1}")
    return b.build([x], items=batch, item="sample")
