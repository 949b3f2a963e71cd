"""Run one rank's share of a divided graph on NumPy for all ranks together: what shards compute must equal the whole."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from hwsim.functional.run import Given
from hwsim.graph.graph import Graph, Node
from hwsim.graph.operator import Array
from hwsim.operators.collectives import Exchange, RankWise

__all__ = ["run_ranks"]


def run_ranks(graph: Graph, inputs: Mapping[str, Array], ranks: int, seed: int = 0) -> list[dict[str, Array]]:
    """Values of the graph's outputs on each rank; inputs, weights and states are the same everywhere.

    Ranks proceed together, node by node, and exchange where the graph says so; see :func:`run_reference` for the rest.

    Raises:
        InputError: an input is missing, or a name is not a tensor given from outside.
        ShapeError: an array has another shape than its tensor.
    """
    given = Given(graph, inputs, seed)
    uses = Counter(name for node in graph.nodes for name in node.inputs)
    uses.update(graph.outputs)
    values: dict[str, Sequence[Array]] = {}
    for node in graph.nodes:
        for name in node.inputs:
            if name not in values:
                values[name] = [given.value(graph.tensors[name])] * ranks
        results = _computed(node, [values[name] for name in node.inputs], ranks)
        for place, name in enumerate(node.outputs):
            values[name] = [given.kept(result[place], graph.tensors[name]) for result in results]
        uses.subtract(node.inputs)
        for name in (*node.inputs, *node.outputs):
            if uses[name] == 0:
                values.pop(name, None)
    return [{name: values[name][rank] for name in graph.outputs} for rank in range(ranks)]


def _computed(node: Node, operands: Sequence[Sequence[Array]], ranks: int) -> list[tuple[Array, ...]]:
    """Results of a node on each rank."""
    op = node.op
    if isinstance(op, Exchange):
        (parts,) = operands
        found: list[tuple[Array, ...]] = [()] * ranks
        for group in _groups(op, ranks):
            for rank, result in zip(group, op.exchange([parts[rank] for rank in group]), strict=True):
                found[rank] = (result,)
        return found
    arrays = [[operand[rank] for operand in operands] for rank in range(ranks)]
    if isinstance(op, RankWise):
        return [op.on_rank(rank, *arrays[rank]) for rank in range(ranks)]
    return [op.reference(*arrays[rank]) for rank in range(ranks)]


def _groups(op: Exchange, ranks: int) -> list[list[int]]:
    """The groups of ranks that exchange among themselves.

    >>> from hwsim.operators.send import Send
    >>> _groups(Send(2, 2), 4)
    [[0, 2], [1, 3]]
    """
    size = op.participants * op.stride
    starts = [first + offset for first in range(0, ranks, size) for offset in range(op.stride)]
    return [list(range(start, start + size, op.stride)) for start in starts]
