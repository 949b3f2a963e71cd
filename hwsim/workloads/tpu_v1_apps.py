"""The six production applications of the TPU v1 study, with layers derived from what it publishes.

N. Jouppi et al., In-datacenter performance analysis of a tensor processing unit, ISCA 2017, table 1 gives layers by
kind, weights, operations a weight byte and batch; table 3 shares of cycles. Shapes are not published. Those here are
assumptions that meet the counts, each said where it is made. Among shapes that meet them, those were kept whose
predictions come near the published shares and TOP/s, so agreement with these shows that the model can explain the
table, not that it would have foretold it. Inputs come from the host and results go back to it.
"""

from __future__ import annotations

from collections.abc import Sequence

from hwsim.graph.graph import Graph, GraphBuilder
from hwsim.graph.tensor import Tensor
from hwsim.operators.add import Add
from hwsim.operators.concat import Concat
from hwsim.operators.fused import Fused, Member
from hwsim.operators.host_copy import HostCopy
from hwsim.operators.mul import Mul
from hwsim.operators.tanh import Tanh
from hwsim.workloads import layers
from hwsim.workloads.registry import Published, workload

__all__ = ["tpu_cnn0", "tpu_cnn1", "tpu_lstm0", "tpu_lstm1", "tpu_mlp0", "tpu_mlp1"]

_SOURCE = "Jouppi et al. 2017, In-datacenter performance analysis of a tensor processing unit, tables 1 and 3"


def _arrives(b: GraphBuilder, *shape: int) -> Tensor:
    """An input, copied from the host."""
    return b.add(HostCopy(), b.input("x", shape), name="from_host")


def _leaves(b: GraphBuilder, results: Sequence[Tensor], batch: int, item: str) -> Graph:
    """The graph of those results, copied to the host."""
    copies = [b.add(HostCopy(), result, name=f"to_host{i}") for i, result in enumerate(results)]
    return b.build(copies, items=batch, item=item)


def _mlp(name: str, batch: int, widths: Sequence[int]) -> Graph:
    b = GraphBuilder(name)
    x = _arrives(b, batch, widths[0])
    for place, width in enumerate(widths[1:]):
        x = layers.linear(b, x, width, bias=False, name=f"fc{place}")
        x = layers.activation(b, x, "relu", name=f"relu{place}")
    return _leaves(b, [x], batch, "sample")


def _published(weights: int, per_byte: float, tolerance: float) -> Published:
    return Published(source=_SOURCE, parameters=weights, macs=weights * per_byte, tolerance=tolerance)


@workload(title="TPU v1: MLP0", source=_SOURCE, item="sample", published=_published(20_000_000, 200, 0.005))
def tpu_mlp0(*, batch: int = 200) -> Graph:
    """Five fully connected layers, 20 M weights.

    assumption: equal square layers, 2,000 features.

    Args:
        batch: Samples at once.
    """
    return _mlp("tpu_mlp0", batch, (2000,) * 6)


@workload(title="TPU v1: MLP1", source=_SOURCE, item="sample", published=_published(5_000_000, 168, 0.005))
def tpu_mlp1(*, batch: int = 168) -> Graph:
    """Four fully connected layers, 5 M weights.

    assumption: 1,000 and 1,250 features in turn: equal square layers (1,118) would fill 76 % of their weight tiles, and
    89 % of the active cycles of table 3 are useful.

    Args:
        batch: Samples at once.
    """
    return _mlp("tpu_mlp1", batch, (1000, 1250, 1000, 1250, 1000))


def _gates(b: GraphBuilder, v: Tensor, hidden: int) -> list[Tensor]:
    """i, f, g, o of a vector, each a matrix and an activation of its own."""
    kinds = {"i": "sigmoid", "f": "sigmoid", "g": "tanh", "o": "sigmoid"}
    return [
        layers.activation(b, layers.linear(b, v, hidden, bias=False, name=name), kind, name=f"{name}.{kind}")
        for name, kind in kinds.items()
    ]


@workload(title="TPU v1: LSTM0", source=_SOURCE, item="step", published=_published(52_000_000, 64, 0.01))
def tpu_lstm0(*, batch: int = 64) -> Graph:
    """24 fully connected and 34 vector layers, 52 M weights.

    assumption: one step of six LSTM cells of 1,024 features, four gates each on input and state together, five vector
    operations a cell and a sum around each of the last four; 1,536 inputs. Whole weight tiles: in table 3 all active
    cycles are useful.

    Args:
        batch: Sequences at once.
    """
    hidden, inputs = 1024, 1536
    b = GraphBuilder("tpu_lstm0")
    x = _arrives(b, batch, inputs)
    for place in range(6):
        with b.scope(f"cell{place}"):
            state, cell = b.state("h", (batch, hidden)), b.state("c", (batch, hidden))
            i, f, g, o = _gates(b, b.add(Concat(-1), x, state, name="beside"), hidden)
            cell = layers.add(b, layers.multiply(b, f, cell, "kept"), layers.multiply(b, i, g, "new"), "cell")
            y = layers.multiply(b, o, layers.activation(b, cell, "tanh", "tanh"), "hidden")
            x = layers.add(b, x, y, "around") if place >= 2 else y
    return _leaves(b, [x], batch, "step")


_CELL = Fused(
    (
        Member(Mul(), (1, 4)),
        Member(Mul(), (0, 2)),
        Member(Add(), (5, 6)),
        Member(Tanh(), (7,)),
        Member(Mul(), (3, 8)),
    ),
    5,
)
"""o x tanh(f x c + i x g) as one vector operator on i, f, g, o, c."""


@workload(title="TPU v1: LSTM1", source=_SOURCE, item="step", published=_published(34_000_000, 96, 0.01))
def tpu_lstm1(*, batch: int = 96) -> Graph:
    """37 fully connected and 19 vector layers, 34 M weights.

    assumption: one step of 19 LSTM cells of 600 features with a projection between two; every matrix is 600 x 600, the
    size that section 7 gives for LSTM1, so a layer of gates is four of them: 19 x 4 + 18 = 94 matrices.

    Args:
        batch: Sequences at once.
    """
    hidden = 600
    b = GraphBuilder("tpu_lstm1")
    x = _arrives(b, batch, hidden)
    for place in range(19):
        with b.scope(f"cell{place}"):
            if place:
                x = layers.linear(b, x, hidden, bias=False, name="project")
                x = layers.activation(b, x, "tanh", name="projected")
            x = b.add(_CELL, *_gates(b, x, hidden), b.state("c", (batch, hidden)), name="cell")
    return _leaves(b, [x], batch, "step")


def _conv(b: GraphBuilder, x: Tensor, channels: int, kernel: int, name: str) -> Tensor:
    y = layers.conv(b, x, channels, kernel, bias=False, name=name)
    return layers.activation(b, y, "relu", name=f"{name}.relu")


@workload(title="TPU v1: CNN0", source=_SOURCE, item="board", published=_published(8_000_000, 2888, 0.005))
def tpu_cnn0(*, batch: int = 8) -> Graph:
    """16 convolutions, 8 M weights.

    assumption: 2,888 operations a weight at batch 8 are 361 = 19 x 19 places; 256 channels fill the array, as table 3
    says: 5x5 from 48 planes, thirteen 3x3, and two 1x1 to one plane.

    Args:
        batch: Boards at once.
    """
    b = GraphBuilder("tpu_cnn0")
    x = _conv(b, _arrives(b, batch, 48, 19, 19), 256, 5, "conv0")
    for place in range(13):
        x = _conv(b, x, 256, 3, f"conv{place + 1}")
    x = _conv(b, x, 64, 1, "conv14")
    return _leaves(b, [_conv(b, x, 1, 1, "conv15")], batch, "board")


@workload(title="TPU v1: CNN1", source=_SOURCE, item="image", published=_published(100_000_000, 1750, 0.04))
def tpu_cnn1(*, batch: int = 32) -> Graph:
    """72 convolutions, 13 poolings and 4 fully connected layers, 100 M weights.

    assumption: 24 bottlenecks (1x1, 3x3, 1x1) of 512 and 128 channels on 28 x 28 places. They meet the operations; half
    of the active cycles of table 3 are useful, so channels are shallow; and activations of 12.3 MiB fit what the
    study says CNN1 takes of the unified buffer, 13.9 MiB. The other weights are fully connected. Table 3 spends 35 %
    of the cycles on waiting for weights and shifting them, twice what full tiles would take, so those layers are
    narrow: two towers on the last map, each of two layers with 116 features.

    Args:
        batch: Images at once.
    """
    wide, narrow, side, features = 512, 128, 28, 116
    b = GraphBuilder("tpu_cnn1")
    x = _arrives(b, batch, 48, side, side)
    for place in range(24):
        with b.scope(f"block{place}"):
            x = _conv(b, x, narrow, 1, "reduce")
            x = _conv(b, x, narrow, 3, "conv")
            x = _conv(b, x, wide, 1, "expand")
            if place % 2 or place == 22:
                x = layers.pool(b, x, "max", 3, stride=1, padding=1, name="pool")
    flat = layers.flatten(b, x)
    towers = []
    for tower in range(2):
        y = flat
        for place in range(2):
            y = layers.linear(b, y, features, bias=False, name=f"tower{tower}.fc{place}")
            y = layers.activation(b, y, "sigmoid", name=f"tower{tower}.sigmoid{place}")
        towers.append(y)
    return _leaves(b, towers, batch, "image")
