"""What passes share: copying a graph node by node, phase by phase, with some nodes replaced."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from hwsim.errors import GraphError, ShapeError
from hwsim.graph.graph import Graph, Node, Phase
from hwsim.graph.operator import Operator
from hwsim.graph.tensor import Tensor, TensorType

__all__ = ["Rewriter", "users"]


def users(graph: Graph) -> dict[str, list[int]]:
    """Indices of the nodes that read each tensor, ascending, each once; a graph output is also read by -1."""
    found: dict[str, list[int]] = {}
    for index, node in enumerate(graph.nodes):
        for name in dict.fromkeys(node.inputs):
            found.setdefault(name, []).append(index)
    for name in graph.outputs:
        found.setdefault(name, []).append(-1)
    return found


class Rewriter:
    """A copy of a graph in the making: :meth:`keep` nodes or :meth:`add` new ones, in order, phase by phase."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.tensors: dict[str, Tensor] = {n: t for n, t in graph.tensors.items() if n not in graph.producer}
        self._nodes: list[Node] = []
        self._phases: list[Phase] = []
        self._taken = {node.name for node in graph.nodes} | set(graph.tensors)

    def phases(self) -> Iterable[tuple[Phase, range]]:
        """Each phase of the old graph with the indices of its nodes; closes the new phase after it."""
        for phase in self.graph.phases:
            first = len(self._nodes)
            yield phase, range(phase.first, phase.last)
            self._phases.append(Phase(phase.name, first, len(self._nodes), phase.repeat))

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
