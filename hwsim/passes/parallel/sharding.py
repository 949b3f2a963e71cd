"""How a tensor is divided, and a graph in the making in which tensors are divided, gathered and cut."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from hwsim.graph.graph import Graph, Node
from hwsim.graph.operator import Operator
from hwsim.graph.tensor import Tensor
from hwsim.operators.all_gather import AllGather
from hwsim.operators.collectives import Segments
from hwsim.operators.concat import Concat
from hwsim.operators.shard import Shard
from hwsim.operators.split import Split
from hwsim.passes.rewrite import Rewriter, without_unread

__all__ = ["Divided", "Sharding"]


@dataclass(frozen=True, slots=True)
class Sharding:
    """Along ``axis`` a tensor consists of ``segments``, of which each rank holds its part, or the whole."""

    axis: int
    segments: Segments

    @property
    def length(self) -> int:
        """Extent of the axis in the undivided tensor."""
        return sum(length for length, _ in self.segments)

    def at(self, axis: int) -> Sharding:
        """The same along another axis."""
        return replace(self, axis=axis)

    def lengths(self, ranks: int) -> tuple[int, ...]:
        """What one rank holds of each segment."""
        return tuple(length // ranks if cut else length for length, cut in self.segments)

    def between(self, start: int, stop: int) -> tuple[Segments, int, int] | None:
        """The segments from one place of the axis to another, and which they are; None where that cuts through one."""
        edges = [0]
        for length, _ in self.segments:
            edges.append(edges[-1] + length)
        if start not in edges or stop not in edges:
            return None
        first, last = edges.index(start), edges.index(stop)
        return self.segments[first:last], first, last


class Divided:
    """A copy of a graph in the making in which some tensors are only one rank's part.

    ``sharding`` of a tensor is None where every rank holds it whole. A tensor that is needed in another way than it is
    held is gathered or cut once.
    """

    def __init__(self, graph: Graph, ranks: int) -> None:
        self.new = Rewriter(graph)
        self.ranks = ranks
        self._sharding: dict[str, Sharding] = {}
        self._parts: dict[str, Tensor] = {}
        self._known: dict[tuple[str, Sharding | None], Tensor] = {}
        self._joined: dict[str, tuple[int, list[Tensor]]] = {}

    def tensor(self, name: str) -> Tensor:
        """What stands for a tensor of the old graph, divided or not."""
        return self._parts.get(name) or self.new.tensors[name]

    def sharding(self, name: str) -> Sharding | None:
        """How a tensor of the old graph is held."""
        return self._sharding.get(name)

    def begin(self) -> None:
        """Forget what was gathered and cut in earlier phases, which other ranks may have run."""
        self._known.clear()

    def held_as(self, name: str, wanted: Sharding | None, like: Node) -> Tensor:
        """A tensor in the division somebody needs."""
        have = self._sharding.get(name)
        if have == wanted:
            return self.tensor(name)
        key = (name, wanted)
        if key not in self._known:
            if have is not None:
                whole = self._gathered(name, have, like)
                self._known[name, None] = whole
            else:
                whole = self.new.tensors[name]
            if wanted is not None:
                cut = Shard(wanted.axis, self.ranks, wanted.segments)
                whole = self.new.add(cut, [whole], self._label(name, "shard"), like)
            self._known[key] = whole
        return self._known[key]

    def _label(self, name: str, what: str) -> str:
        return f"{name}.{what}{len(self._known) or ''}"

    def _gathered(self, name: str, have: Sharding, like: Node) -> Tensor:
        """All ranks' parts of the segments that are cut, joined with those that are not."""
        x, label = self.tensor(name), self._label(name, "gather")
        if len(have.segments) == 1:
            return self.new.add(AllGather(self.ranks, axis=have.axis), [x], label, like)
        pieces = self.split(x, have.axis, have.lengths(self.ranks), label, like)
        for place, (_, cut) in enumerate(have.segments):
            if cut:
                gather = AllGather(self.ranks, axis=have.axis)
                pieces[place] = self.new.add(gather, [pieces[place]], f"{label}.{place}", like)
        return self.new.add(Concat(have.axis), pieces, f"{label}.joined", like)

    def split(self, x: Tensor, axis: int, lengths: Sequence[int], label: str, like: Node) -> list[Tensor]:
        """Pieces of a tensor along an axis."""
        if len(lengths) == 1:
            return [x]
        names = [f"{label}.piece{i}" for i in range(len(lengths))]
        return self.new.add_all(Split(axis, tuple(lengths)), [x], names, f"{label}.pieces", like)

    def make_whole(self, name: str, like: Node) -> None:
        """Gather a tensor for all who read it from here on."""
        whole = self.held_as(name, None, like)
        del self._sharding[name]
        self._parts[name] = whole

    def keep(self, node: Node) -> None:
        """Copy a node that reads nothing divided."""
        self.new.keep(node, {name: part.name for name, part in self._parts.items() if name not in self._sharding})

    def finish(self) -> Graph:
        """The new graph."""
        done = self.new.finish()
        return without_unread(replace(done, outputs=tuple(self.tensor(name).name for name in done.outputs)), Concat)

    def parts_of(self, x: Tensor, axis: int, lengths: Sequence[int]) -> list[Tensor]:
        """The tensors of those lengths that were joined to x along an axis; empty where it was not made so."""
        along, parts = self._joined.get(x.name, (-1, []))
        return list(parts) if along == axis and [t.shape[axis] for t in parts] == list(lengths) else []

    def put(self, node: Node, op: Operator, inputs: Sequence[Tensor], outputs: Sequence[Sharding | None]) -> None:
        """Add a node of the old graph with another operator or on other parts."""
        if isinstance(op, Concat):
            self._joined[node.outputs[0]] = (op.axis, list(inputs))
        self.new.add_all(op, inputs, node.outputs, node.name, node)
        for name, sharding in zip(node.outputs, outputs, strict=True):
            if sharding is not None:
                self._sharding[name] = sharding

    def put_as(self, part: Tensor, name: str, sharding: Sharding) -> None:
        """Let a tensor stand for one of the old graph, as this rank's part of it."""
        self._parts[name] = part
        self._sharding[name] = sharding
