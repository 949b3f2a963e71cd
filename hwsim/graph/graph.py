"""Graphs of operators in phases, and the builder that makes them."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from html import escape
from typing import TYPE_CHECKING, Any

from hwsim.errors import GraphError, InputError, ShapeError
from hwsim.graph.operator import Array, Operator
from hwsim.graph.tensor import AUTO, Scheme, Tensor, TensorType, scheme
from hwsim.registry import suggest

if TYPE_CHECKING:
    import networkx

__all__ = ["Graph", "GraphBuilder", "Node", "Phase"]


@dataclass(frozen=True, slots=True)
class Node:
    """One use of an operator: ``inputs`` and ``outputs`` are names of tensors; ``tags`` are for placement rules."""

    name: str
    op: Operator
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Phase:
    """Nodes ``first`` to ``last`` (exclusive), run ``repeat`` times one after another, before the next phase.

    ``ranks`` devices run the nodes at the same time, each on its own part of the data.
    """

    name: str
    first: int
    last: int
    repeat: int = 1
    ranks: int = 1


@dataclass(frozen=True)
class Graph:
    """Operators, the tensors between them, and the phases they run in.

    Nodes stand in an order in which producers come before consumers, phase by phase.
    ``items`` is how many ``item`` (image, token, video ...) one run makes; ``info`` holds further named
    figures of a workload (``prompt_tokens``, ``steps`` ...). ``values`` gives what weights and states hold, where a
    model brought it along: by the name of the tensor a function, or an :class:`~hwsim.graph.absent.AbsentValues`, to
    call when they are needed. ``notes`` are remarks that reports repeat, e.g. on what was priced but not understood.
    """

    name: str
    nodes: tuple[Node, ...]
    tensors: Mapping[str, Tensor]
    phases: tuple[Phase, ...]
    outputs: tuple[str, ...]
    items: int = 1
    item: str = "run"
    scheme: Scheme | None = None
    info: Mapping[str, float] = field(default_factory=dict)
    values: Mapping[str, Callable[[], Array]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        """One line; the fields have it whole."""
        scheme = self.scheme.name if self.scheme else "auto"
        return f"Graph({self.name}: {len(self.nodes)} operators, {self.parameters} parameters, {scheme})"

    def _repr_html_(self) -> str:
        """A line for notebooks: size, work, phases."""
        scheme = self.scheme.name if self.scheme else "auto"
        runs = ", ".join(f"{phase.name} x{phase.repeat:,}" for phase in self.phases)
        size = f"{len(self.nodes):,} operators, {self.parameters:,} parameters, {self.macs:,} MACs"
        return f"<b>{escape(self.name)}</b>: {size}, {scheme}; phases: {escape(runs)}"

    @cached_property
    def producer(self) -> dict[str, int]:
        """Index of the node that makes each tensor."""
        return {name: index for index, node in enumerate(self.nodes) for name in node.outputs}

    @cached_property
    def predecessors(self) -> list[tuple[int, ...]]:
        """For each node, the nodes of the same phase it waits for, ascending, without duplicates."""
        first = [0] * len(self.nodes)
        for phase in self.phases:
            first[phase.first : phase.last] = [phase.first] * (phase.last - phase.first)
        made = self.producer
        result: list[tuple[int, ...]] = []
        for index, node in enumerate(self.nodes):
            found = {made[name] for name in node.inputs if name in made}
            result.append(tuple(sorted(p for p in found if p >= first[index])))
        return result

    def types(self, names: Iterable[str], repeat: int = 0) -> tuple[TensorType, ...]:
        """Types of those tensors at that repeat of their phase."""
        return tuple(self.tensors[name].at(repeat) for name in names)

    @property
    def ranks(self) -> int:
        """How many devices the graph is divided among; each node stands for one rank's share."""
        return max((phase.ranks for phase in self.phases), default=1)

    @property
    def parameters(self) -> int:
        """Elements of all weights."""
        return sum(t.type.elements for t in self.tensors.values() if t.role == "weight")

    @property
    def weight_bytes(self) -> int:
        """Bytes of all weights; those whose format is still 'auto' count as 16-bit ones."""
        resolved = self.with_scheme("fp16") if self.is_auto else self
        return sum(t.type.size_bytes for t in resolved.tensors.values() if t.role == "weight")

    @property
    def macs(self) -> int:
        """Multiply-accumulates of matrix work, all repeats of all phases."""
        return self._total("macs")

    @property
    def flop(self) -> int:
        """Floating-point (or integer) operations of all work, all repeats of all phases."""
        return self._total("flop")

    def _total(self, count: str) -> int:
        from hwsim.graph.lowering import lower

        return lower(self.with_scheme("fp16") if self.is_auto else self).total(count)

    @property
    def is_auto(self) -> bool:
        """Whether some tensors wait for a device's preferred format."""
        return any(t.type.format == AUTO for t in self.tensors.values())

    def with_scheme(self, name: str) -> Graph:
        """The same graph with every 'auto' tensor in the format of that scheme; raises UnknownNameError."""
        chosen = scheme(name)
        weight, activation = chosen.weight, chosen.activation
        known: dict[TensorType, TensorType] = {}

        def resolved(tensor: Tensor) -> Tensor:
            old = tensor.type
            if old.format != AUTO:
                return tensor
            new = known.get(old)
            if new is None:
                new = known[old] = TensorType(old.shape, weight if old.weight else activation, old.weight, old.storage)
            return Tensor(tensor.name, new, tensor.role, tensor.step)

        tensors = {key: resolved(tensor) for key, tensor in self.tensors.items()}
        return replace(self, tensors=tensors, scheme=chosen)

    def to_networkx(self) -> networkx.DiGraph[Any]:
        """Nodes by name with ``kind`` and ``phase``; edges carry ``tensor`` and ``elements``."""
        import networkx

        drawn: networkx.DiGraph[Any] = networkx.DiGraph(name=self.name)
        for phase in self.phases:
            for node in self.nodes[phase.first : phase.last]:
                drawn.add_node(node.name, kind=node.op.kind, phase=phase.name)
        for node in self.nodes:
            for name in node.inputs:
                made = self.producer.get(name)
                if made is not None:
                    elements = self.tensors[name].type.elements
                    drawn.add_edge(self.nodes[made].name, node.name, tensor=name, elements=elements)
        return drawn

    @staticmethod
    def from_nodes(
        name: str,
        nodes: Sequence[Node],
        tensors: Mapping[str, Tensor],
        outputs: Sequence[str] = (),
        **fields: Any,
    ) -> Graph:
        """A graph of one phase from nodes in any order, every fault checked.

        Raises:
            GraphError: two nodes of one name, a dangling tensor, two producers of a tensor, or a cycle.
            ShapeError: a tensor whose recorded type differs from what its operator yields.
        """
        _check_wiring(nodes, tensors)
        ordered = _topological(nodes)
        for node in ordered:
            _check_types(node, tensors)
        made = {out for node in ordered for out in node.outputs}
        used = {n for node in ordered for n in node.inputs}
        ends = tuple(outputs) or tuple(out for node in ordered for out in node.outputs if out not in used)
        for end in ends:
            if end not in made:
                raise GraphError(f"graph '{name}': output '{end}' is made by no node{suggest(end, made)}")
        phases = (Phase("main", 0, len(ordered), 1),)
        return Graph(name, ordered, dict(tensors), phases, ends, **fields)


def _check_wiring(nodes: Sequence[Node], tensors: Mapping[str, Tensor]) -> None:
    names: set[str] = set()
    made: dict[str, str] = {}
    for node in nodes:
        if node.name in names:
            raise GraphError(f"two nodes are named '{node.name}'; give one of them another name")
        names.add(node.name)
        for out in node.outputs:
            if out in made:
                raise GraphError(f"tensor '{out}' is made by both '{made[out]}' and '{node.name}'")
            if out not in tensors:
                raise GraphError(f"node '{node.name}': its output '{out}' is not among the tensors")
            made[out] = node.name
    for node in nodes:
        for name in node.inputs:
            if name not in tensors:
                raise GraphError(f"node '{node.name}': its input '{name}' does not exist{suggest(name, tensors)}")
            if name not in made and tensors[name].role == "activation":
                raise GraphError(f"node '{node.name}': its input '{name}' is made by no node (a dangling tensor)")


def _topological(nodes: Sequence[Node]) -> tuple[Node, ...]:
    """Producers first, ties by position; raises GraphError naming the nodes of a cycle."""
    made = {out: index for index, node in enumerate(nodes) for out in node.outputs}
    waits = [{made[n] for n in node.inputs if n in made} for node in nodes]
    users: list[list[int]] = [[] for _ in nodes]
    for index, before in enumerate(waits):
        for p in before:
            users[p].append(index)
    missing = [len(before) for before in waits]
    ready = [i for i, count in enumerate(missing) if count == 0]
    order: list[int] = []
    while ready:
        index = heapq.heappop(ready)
        order.append(index)
        for user in users[index]:
            missing[user] -= 1
            if missing[user] == 0:
                heapq.heappush(ready, user)
    if len(order) < len(nodes):
        done = set(order)
        at = next(i for i in range(len(nodes)) if i not in done)
        path: list[int] = []
        while at not in path:
            path.append(at)
            at = min(p for p in waits[at] if p not in done)
        circle = [*path[path.index(at) :], at]
        raise GraphError("the graph has a cycle: " + " <- ".join(f"'{nodes[i].name}'" for i in circle))
    return tuple(nodes[i] for i in order)


def _check_types(node: Node, tensors: Mapping[str, Tensor]) -> None:
    try:
        found = node.op.infer([tensors[n].type for n in node.inputs])
    except ShapeError as error:
        raise ShapeError(f"node '{node.name}': {error}") from None
    if len(found) != len(node.outputs):
        raise GraphError(f"node '{node.name}': {node.op.kind} makes {len(found)} tensors, not {len(node.outputs)}")
    for name, kind in zip(node.outputs, found, strict=True):
        have = tensors[name].type
        if have.shape != kind.shape or have.format != kind.format:
            raise ShapeError(
                f"node '{node.name}': output '{name}' is {list(have.shape)} {have.format}, "
                f"but {node.op.kind} yields {list(kind.shape)} {kind.format}"
            )


class GraphBuilder:
    """Builds a graph node by node; names are made unique by their position in the module path.

    >>> from hwsim.operators.relu import Relu
    >>> b = GraphBuilder("toy")
    >>> x = b.input("x", (4, 8))
    >>> y = b.add(Relu(), x)
    >>> b.build([y]).nodes[0].name
    'relu'
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._nodes: list[Node] = []
        self._uses: dict[str, int] = {}
        self._tensors: dict[str, Tensor] = {}
        self._phases: list[Phase] = []
        self._open: Phase = Phase("main", 0, 0, 1)
        self._path: list[str] = []
        self._tags: tuple[str, ...] = ()
        self._types: dict[TensorType, TensorType] = {}

    def input(self, name: str, shape: Sequence[int], format: str = AUTO, step: Sequence[int] = ()) -> Tensor:
        """A tensor given from outside."""
        return self._tensor(name, TensorType(tuple(shape), format), "input", tuple(step))

    def weight(self, name: str, shape: Sequence[int], format: str = AUTO) -> Tensor:
        """A constant; names get the module path as prefix."""
        return self._tensor(self._scoped(name), TensorType(tuple(shape), format, True), "weight")

    def state(self, name: str, shape: Sequence[int], format: str = AUTO, step: Sequence[int] = ()) -> Tensor:
        """A value kept between repeats, e.g. a KV cache; ``step`` is its growth a repeat."""
        return self._tensor(self._scoped(name), TensorType(tuple(shape), format), "state", tuple(step))

    def _tensor(self, name: str, kind: TensorType, role: str, step: tuple[int, ...] = ()) -> Tensor:
        if name in self._tensors:
            raise GraphError(f"two tensors are named '{name}'; give one of them another name")
        made = Tensor(name, self._types.setdefault(kind, kind), role, step if any(step) else ())
        self._tensors[name] = made
        return made

    def _scoped(self, name: str) -> str:
        return ".".join([*self._path, name])

    @contextmanager
    def scope(self, name: str) -> Iterator[GraphBuilder]:
        """``with b.scope("layer0"):`` prefixes the names of nodes and weights made inside."""
        self._path.append(name)
        try:
            yield self
        finally:
            self._path.pop()

    def phase(self, name: str, repeat: int = 1) -> None:
        """Start a new phase; what is added from here on runs ``repeat`` times; raises InputError below one."""
        if repeat < 1:
            raise InputError(f"phase '{name}': repeat must be at least 1, not {repeat}")
        self._close()
        self._open = Phase(name, len(self._nodes), len(self._nodes), repeat)

    def _close(self) -> None:
        if len(self._nodes) > self._open.first:
            self._phases.append(replace(self._open, last=len(self._nodes)))

    def tag(self, *tags: str) -> None:
        """Tags given to the nodes added from here on (for placement rules)."""
        self._tags = tags

    def add(self, op: Operator, *inputs: Tensor, name: str | None = None) -> Tensor:
        """Add a node and return its first output; see :meth:`add_all` for several."""
        return self.add_all(op, *inputs, name=name)[0]

    def add_all(self, op: Operator, *inputs: Tensor, name: str | None = None) -> tuple[Tensor, ...]:
        """Add a node and return all its outputs; raises ShapeError, or GraphError for inputs of another graph."""
        label = self._unique(self._scoped(name or op.kind))
        try:
            types = op.infer([t.type for t in inputs])
            steps: Sequence[tuple[int, ...]] = [()] * len(types)
            if any(t.step for t in inputs):
                later = op.infer([t.at(1) for t in inputs])
                pairs = zip(types, later, strict=True)
                steps = [tuple(b - a for a, b in zip(x.shape, y.shape, strict=True)) for x, y in pairs]
        except ShapeError as error:
            raise ShapeError(f"node '{label}': {error}") from None
        for tensor in inputs:
            if self._tensors.get(tensor.name) is not tensor:
                raise GraphError(f"node '{label}': its input '{tensor.name}' belongs to another graph")
        names = [label] if len(types) == 1 else [f"{label}:{i}" for i in range(len(types))]
        made = tuple(
            self._tensor(n, kind, "activation", step) for n, kind, step in zip(names, types, steps, strict=True)
        )
        self._nodes.append(Node(label, op, tuple(t.name for t in inputs), tuple(names), self._tags))
        return made

    def _unique(self, label: str) -> str:
        count = self._uses.get(label, 0)
        self._uses[label] = count + 1
        if count == 0 and label not in self._tensors:
            return label
        count = max(count, 1)
        while f"{label}_{count}" in self._uses or f"{label}_{count}" in self._tensors:
            count += 1
        self._uses[label] = count + 1
        self._uses[f"{label}_{count}"] = 1
        return f"{label}_{count}"

    def build(
        self,
        outputs: Sequence[Tensor],
        *,
        items: int = 1,
        item: str = "run",
        info: Mapping[str, float] | None = None,
        dtype: str = AUTO,
    ) -> Graph:
        """The finished graph; ``dtype`` other than 'auto' resolves its formats at once."""
        self._close()
        phases = tuple(self._phases)
        graph = Graph(
            self.name,
            tuple(self._nodes),
            self._tensors,
            phases,
            tuple(t.name for t in outputs),
            items,
            item,
            None,
            dict(info or {}),
        )
        return graph if dtype == AUTO else graph.with_scheme(dtype)
