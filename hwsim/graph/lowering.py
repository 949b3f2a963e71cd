"""Graph -> tables of Work, once per graph; equal operators share one row.

Networks repeat their layers, so a graph of 100,000 operators usually asks for a few dozen different
pieces of work. Each is priced once; ``row_ids`` says which rows a node consists of.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwsim.errors import GraphError
from hwsim.graph.graph import Graph, Node
from hwsim.graph.operator import Operator
from hwsim.graph.tensor import FORMAT_CODE, Scheme, Tensor, TensorType
from hwsim.graph.work import PATTERNS, Form, Gemm, Work

__all__ = ["Lowered", "Table", "lower", "tables_of"]


@dataclass(frozen=True)
class Table:
    """Rows of one form of Work as columns of shape (1, rows).

    ``columns`` holds every field and derived count of the form by its name, as float64; fields that are
    formats hold codes (:data:`FORMAT_CODE`), ``pattern`` an index into PATTERNS. ``index`` is each row's
    place among all rows. ``keys`` are the distinct (kernel, format) pairs, ``key`` each row's index into them.
    """

    form: Form
    works: tuple[Work, ...]
    index: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.works)

    def only(self, rows: NDArray[np.bool_]) -> Table:
        """The rows that a mask of shape (rows,) chooses; the table itself if that is all of them."""
        if rows.all():
            return self
        chosen = np.flatnonzero(rows)
        return Table(self.form, tuple(self.works[i] for i in chosen.tolist()), self.index[chosen])

    def __getattr__(self, name: str) -> NDArray[Any]:
        if name.startswith("__"):
            raise AttributeError(name)
        columns = self.__dict__.setdefault("columns", {})
        if name not in columns:
            columns[name] = self._column(name)
        column: NDArray[Any] = columns[name]
        return column

    def _column(self, name: str) -> NDArray[Any]:
        if name == "format" or name.endswith("_format"):
            return np.array([[FORMAT_CODE[getattr(w, name)] for w in self.works]], dtype=np.int64)
        if name == "pattern":
            return np.array([[PATTERNS.index(getattr(w, name)) for w in self.works]], dtype=np.int64)
        return np.array([[float(getattr(w, name)) for w in self.works]], dtype=np.float64)

    @cached_property
    def keys(self) -> tuple[tuple[str, str], ...]:
        """Distinct (kernel, format) pairs, in order of first use."""
        return tuple(dict.fromkeys((w.kernel, w.format) for w in self.works))

    @cached_property
    def key(self) -> NDArray[np.int64]:
        """Index into :attr:`keys` of each row, shape (rows,)."""
        place = {pair: i for i, pair in enumerate(self.keys)}
        return np.array([place[w.kernel, w.format] for w in self.works], dtype=np.int64)


def tables_of(works: Sequence[Work]) -> dict[Form, Table]:
    """One table per form that occurs, rows in the order given."""
    places: dict[Form, list[int]] = {}
    for place, work in enumerate(works):
        places.setdefault(work.form, []).append(place)
    return {
        form: Table(form, tuple(works[i] for i in rows), np.array(rows, dtype=np.int64))
        for form, rows in sorted(places.items())
    }


@dataclass(frozen=True)
class Lowered:
    """The Work of a graph.

    ``works`` are its distinct rows; node ``i`` consists of rows ``row_ids[row_start[i]:row_start[i + 1]]``.
    ``growth`` maps a row to what its fields grow by at each repeat of its phase.
    """

    graph: Graph
    works: tuple[Work, ...]
    row_start: NDArray[np.int64]
    row_ids: NDArray[np.int64]
    growth: Mapping[int, Mapping[str, int]]

    @cached_property
    def tables(self) -> Mapping[Form, Table]:
        """The rows at the first repeat, by form."""
        return tables_of(self.works)

    @cached_property
    def node_of(self) -> NDArray[np.int64]:
        """Node index of each entry of ``row_ids``."""
        return np.repeat(np.arange(len(self.row_start) - 1), np.diff(self.row_start))

    def count(self, *, repeats: bool = True) -> NDArray[np.int64]:
        """How often each row is run, over all nodes and (if asked) repeats of their phases; shape (rows,)."""
        times = np.ones(len(self.row_start) - 1, dtype=np.int64)
        if repeats:
            for phase in self.graph.phases:
                times[phase.first : phase.last] = phase.repeat
        return np.bincount(self.row_ids, weights=times[self.node_of], minlength=len(self.works)).astype(np.int64)

    def at(self, row: int, repeat: int) -> Work:
        """The row's Work at that repeat of its phase."""
        work = self.works[row]
        steps = self.growth.get(row)
        if not steps or repeat == 0:
            return work
        grown: Work = replace(work, **{name: getattr(work, name) + s * repeat for name, s in steps.items()})
        return grown

    def total(self, count: str) -> int:
        """Sum of an integer property of Work (``macs``, ``flop``, ``bytes_in`` ...) over the whole graph."""
        total = 0
        for phase in self.graph.phases:
            start, stop = self.row_start[phase.first], self.row_start[phase.last]
            rows, uses = np.unique(self.row_ids[start:stop], return_counts=True)
            for row, use in zip(rows.tolist(), uses.tolist(), strict=True):
                if row in self.growth:
                    total += use * sum(getattr(self.at(row, i), count) for i in range(phase.repeat))
                else:
                    total += use * phase.repeat * getattr(self.works[row], count)
        return total


def _lower_node(
    op: Operator, ins: Sequence[TensorType], outs: Sequence[TensorType], chosen: Scheme | None
) -> tuple[Work, ...]:
    works = op.lower(ins, outs)
    if chosen is None:
        return works
    return tuple(_in_matrix_format(w, chosen) if isinstance(w, Gemm) else w for w in works)


def _in_matrix_format(work: Gemm, chosen: Scheme) -> Gemm:
    """A product with a weight runs in the scheme's matrix format, unless somebody gave its operands others."""
    own = work.a_format == chosen.activation and work.b_format == chosen.weight
    if not own or not work.b_is_weight or work.compute_format == chosen.matrix:
        return work
    return replace(work, compute_format=chosen.matrix)


def _difference(now: Work, later: Work) -> dict[str, int]:
    steps: dict[str, int] = {}
    for item in fields(now):
        a, b = getattr(now, item.name), getattr(later, item.name)
        if isinstance(a, int) and not isinstance(a, bool) and a != b:
            steps[item.name] = b - a
    return steps


class _Rows:
    """The distinct rows found so far, and which ones each operator consists of.

    Operators are known by the identity of their tensors' types, which a graph shares; where equal types are not the
    same object, their rows still are.
    """

    def __init__(self, graph: Graph) -> None:
        self._scheme = graph.scheme
        self._rows: dict[Any, int] = {}
        self.works: list[Work] = []
        self.growth: dict[int, dict[str, int]] = {}

    def of(self, node: Node, ins: Sequence[Tensor], outs: Sequence[Tensor]) -> tuple[int, ...]:
        """Places of a node's rows, new ones appended; raises GraphError if repeats ask for other numbers of rows."""
        now = _lower_node(node.op, [t.type for t in ins], [t.type for t in outs], self._scheme)
        if not any(t.step for t in (*ins, *outs)):
            return tuple([self._place(work, ()) for work in now])
        later = _lower_node(node.op, [t.at(1) for t in ins], [t.at(1) for t in outs], self._scheme)
        if len(later) != len(now):
            raise GraphError(
                f"node '{node.name}' asks for {len(now)} pieces of work at the first repeat of its phase and "
                f"{len(later)} at the next; give the first repeat a phase of its own"
            )
        return tuple([self._place(a, tuple(_difference(a, b).items())) for a, b in zip(now, later, strict=True)])

    def _place(self, work: Work, step: tuple[tuple[str, int], ...]) -> int:
        place = self._rows.setdefault((work, step), len(self.works))
        if place == len(self.works):
            self.works.append(work)
            if step:
                self.growth[place] = dict(step)
        return place


@contextmanager
def _collector_paused() -> Iterator[None]:
    """No garbage collection meanwhile: it would scan the whole graph again and again for cycles that cannot be."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def lower(graph: Graph) -> Lowered:
    """Lower every node of a graph whose formats are resolved.

    Raises:
        GraphError: some operator asks for other numbers of rows at other repeats.
    """
    tensors = graph.tensors
    found = _Rows(graph)
    memo: dict[Any, tuple[int, ...]] = {}
    starts: list[int] = [0]
    ids: list[int] = []
    with _collector_paused():
        for node in graph.nodes:
            ins = [tensors[name] for name in node.inputs]
            outs = [tensors[name] for name in node.outputs]
            key = (node.op, len(ins), *[id(t.type) for t in ins], *[id(t.type) for t in outs])
            if any([t.step for t in ins]) or any([t.step for t in outs]):  # noqa: C419 (a list is twice as fast)
                key = (*key, *[t.step for t in ins], *[t.step for t in outs])
            places = memo.get(key)
            if places is None:
                places = memo[key] = found.of(node, ins, outs)
            ids.extend(places)
            starts.append(len(ids))
    start, rows = np.array(starts, dtype=np.int64), np.array(ids, dtype=np.int64)
    weight_bytes = sum([t.type.size_bytes for t in tensors.values() if t.role == "weight"])
    return Lowered(graph, _among_weights(found.works, weight_bytes), start, rows, found.growth)


def _among_weights(works: Sequence[Work], weight_bytes: int) -> tuple[Work, ...]:
    """The rows; products with weights know how many bytes of weights the graph reads before theirs come round again."""
    return tuple(
        replace(work, cycled_bytes=weight_bytes) if isinstance(work, Gemm) and work.b_is_weight else work
        for work in works
    )
