"""What passes share: copying a graph node by node, phase by phase, with some nodes replaced."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

from hwsim.errors import GraphError, ShapeError
from hwsim.graph.graph import Graph, Node, Phase
from hwsim.graph.operator import Operator
from hwsim.graph.tensor import Tensor, TensorType

__all__ = ["Rewriter", "users", "with_operators", "without_unread", "written_anew"]


def users(graph: Graph) -> dict[str, list[int]]:
    """Indices of the nodes that read each tensor, ascending, each once; a graph output is also read by -1."""
    found: dict[str, list[int]] = {}
    for index, node in enumerate(graph.nodes):
        for name in dict.fromkeys(node.inputs):
            found.setdefault(name, []).append(index)
    for name in graph.outputs:
        found.setdefault(name, []).append(-1)
    return found


def without_unread(graph: Graph, kind: type) -> Graph:
    """The graph without operators of that class whose results nobody reads any more."""
    read = {name for node in graph.nodes for name in node.inputs} | set(graph.outputs)
    gone = {node.name for node in graph.nodes if isinstance(node.op, kind) and not read & set(node.outputs)}
    new = Rewriter(graph)
    for _, indices in new.phases():
        for index in indices:
            if graph.nodes[index].name not in gone:
                new.keep(graph.nodes[index])
    return new.finish()


def written_anew(graph: Graph, chosen: Callable[[Operator], bool], write: Callable[[Rewriter, Node], None]) -> Graph:
    """The graph with every node whose operator is chosen written by ``write``, which must make its outputs."""
    new = Rewriter(graph)
    for _, indices in new.phases():
        for index in indices:
            node = graph.nodes[index]
            if chosen(node.op):
                write(new, node)
            else:
                new.keep(node)
    return new.finish()


def with_operators(graph: Graph, chosen: Callable[[Node], Operator]) -> Graph:
    """The graph with the operator chosen for each node in place of its own; what nodes read and make stays."""
    new = Rewriter(graph)
    for _, indices in new.phases():
        for index in indices:
            node = graph.nodes[index]
            op = chosen(node)
            new.keep(node if op is node.op else replace(node, op=op))
    return new.finish()


class Rewriter:
    """A copy of a graph in the making: :meth:`keep` nodes or :meth:`add` new ones, in order, phase by phase."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.tensors: dict[str, Tensor] = {n: t for n, t in graph.tensors.items() if n not in graph.producer}
        self._nodes: list[Node] = []
        self._phases: list[Phase] = []
        self._types: dict[tuple[tuple[int, ...], str], TensorType] = {}
        self._taken = {node.name for node in graph.nodes} | set(graph.tensors)

    def phases(self) -> Iterable[tuple[Phase, range]]:
        """Each phase of the old graph with the indices of its nodes; closes the new phase after it."""
        for phase in self.graph.phases:
            first = len(self._nodes)
            yield phase, range(phase.first, phase.last)
            self._phases.append(replace(phase, first=first, last=len(self._nodes)))

    def keep(self, node: Node, renamed: Mapping[str, str] | None = None) -> None:
        """Copy a node, reading other tensors where ``renamed`` says so."""
        if renamed and any(name in renamed for name in node.inputs):
            node = replace(node, inputs=tuple(renamed.get(name, name) for name in node.inputs))
        for name in node.outputs:
            self.tensors[name] = self.graph.tensors[name]
        self._nodes.append(node)

    def put(self, node: Node) -> None:
        """Add a node that makes tensors of the old graph, of the same types."""
        self.keep(node)

    def add(self, op: Operator, inputs: Sequence[Tensor], name: str, like: Node, output: str = "") -> Tensor:
        """Add a node with the tags of ``like`` and return its output.

        The output is the old graph's tensor ``output`` if given, else a new one of inferred type and growth.

        Raises:
            GraphError: a node or tensor of that name exists.
            ShapeError: the inputs do not fit the operator, or it yields another shape than ``output`` has.
        """
        if name in self._taken:
            raise GraphError(f"a pass cannot name a node '{name}': the graph has one of that name; rename it")
        self._taken.add(name)
        (kind,) = op.infer([t.type for t in inputs])
        made = self.graph.tensors[output] if output else Tensor(name, kind, "activation", _growth(op, inputs, kind))
        if made.shape != kind.shape:
            raise ShapeError(
                f"node '{name}': {op.kind} yields {list(kind.shape)}, but '{output}' is {list(made.shape)}"
            )
        self.tensors[made.name] = made
        self._nodes.append(Node(name, op, tuple(t.name for t in inputs), (made.name,), like.tags))
        return made

    def add_all(
        self, op: Operator, inputs: Sequence[Tensor], outputs: Sequence[str], name: str, like: Node
    ) -> list[Tensor]:
        """Add a node with the tags of ``like`` that makes tensors of those names, of other shapes maybe.

        Formats are those of the old graph's tensors of these names, where it has any. Nothing may grow.

        Raises:
            ShapeError: the inputs do not fit the operator.
        """
        try:
            types = op.infer([t.type for t in inputs])
        except ShapeError as error:
            raise ShapeError(f"node '{name}': {error}") from None
        made = []
        for label, kind in zip(outputs, types, strict=True):
            old = self.graph.tensors.get(label)
            fmt = kind.format if old is None else old.type.format
            made.append(
                Tensor(label, self._types.setdefault((kind.shape, fmt), TensorType(kind.shape, fmt)), "activation")
            )
        self.tensors.update((t.name, t) for t in made)
        self._nodes.append(Node(name, op, tuple(t.name for t in inputs), tuple(outputs), like.tags))
        return made

    def add_several(self, op: Operator, inputs: Sequence[Tensor], name: str, like: Node) -> tuple[Tensor, ...]:
        """As :meth:`add`, a node of any number of outputs: ``name:0`` ... if several; GraphError for a taken name."""
        if name in self._taken:
            raise GraphError(f"a pass cannot name a node '{name}': the graph has one of that name; rename it")
        self._taken.add(name)
        kinds = op.infer([t.type for t in inputs])
        made = tuple(Tensor(f"{name}:{i}" if len(kinds) > 1 else name, kind) for i, kind in enumerate(kinds))
        self.tensors.update({t.name: t for t in made})
        self._nodes.append(Node(name, op, tuple(t.name for t in inputs), tuple(t.name for t in made), like.tags))
        return made

    def finish(self) -> Graph:
        """The new graph."""
        return replace(self.graph, nodes=tuple(self._nodes), tensors=self.tensors, phases=tuple(self._phases))


def _growth(op: Operator, inputs: Sequence[Tensor], now: TensorType) -> tuple[int, ...]:
    """What the output's shape grows by at each repeat, empty if it does not."""
    if not any(t.step for t in inputs):
        return ()
    (later,) = op.infer([t.at(1) for t in inputs])
    step = tuple(b - a for a, b in zip(now.shape, later.shape, strict=True))
    return step if any(step) else ()
