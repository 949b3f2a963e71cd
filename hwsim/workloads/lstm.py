"""A stack of LSTM layers run step by step (Hochreiter and Schmidhuber 1997; gates of Gers et al. 2000)."""

from __future__ import annotations

from hwsim.graph.graph import Graph, GraphBuilder
from hwsim.graph.tensor import Tensor
from hwsim.operators.split import Split
from hwsim.workloads import layers
from hwsim.workloads.registry import workload

__all__ = ["lstm"]


def _cell(b: GraphBuilder, x: Tensor, hidden: int) -> tuple[Tensor, Tensor]:
    """New hidden and cell state, (batch, hidden) each.

    i, f, o = sigmoid, g = tanh of W x + U h + biases; c' = f c + i g; h' = o tanh(c') (two biases, as in PyTorch).
    """
    batch = x.shape[0]
    before, cell = b.state("h", (batch, hidden)), b.state("c", (batch, hidden))
    joint = layers.add(
        b, layers.linear(b, x, 4 * hidden, name="input"), layers.linear(b, before, 4 * hidden, name="recurrent")
    )
    gates = b.add_all(Split(-1, (hidden,) * 4), joint)
    i, f, o = (layers.activation(b, gates[place], "sigmoid") for place in (0, 1, 3))
    g = layers.activation(b, gates[2], "tanh")
    kept, new = layers.multiply(b, f, cell, name="kept"), layers.multiply(b, i, g, name="new")
    cell = layers.add(b, kept, new, name="cell")
    return layers.multiply(b, o, layers.activation(b, cell, "tanh"), name="hidden"), cell


@workload(
    title="LSTM",
    source="Hochreiter and Schmidhuber 1997, Long Short-Term Memory; gates of Gers, Schmidhuber and Cummins 2000",
    item="sequence",
    minimum={"outputs": 0},
    maximum={"depth": 10_000},
)
def lstm(
    *, batch: int = 1, depth: int = 2, inputs: int = 512, hidden: int = 512, steps: int = 128, outputs: int = 0
) -> Graph:
    """Recurrent network: one step is a phase, repeated for each element of the sequence.

    Args:
        batch: Sequences at once.
        depth: LSTM layers on top of each other.
        inputs: Features of an element of the sequence.
        hidden: Features of the state.
        steps: Elements of a sequence.
        outputs: Features of a linear layer on the last state; 0 for none.
    """
    b = GraphBuilder("lstm")
    b.phase("step", repeat=steps)
    x = b.input("x", (batch, inputs))
    states: list[Tensor] = []
    for place in range(depth):
        with b.scope(f"layer{place}"):
            x, cell = _cell(b, x, hidden)
            states += [x, cell]
    if outputs:
        b.phase("head")
        states.append(layers.linear(b, x, outputs, name="head"))
    return b.build(states, items=batch, item="sequence", info={"steps": steps})
