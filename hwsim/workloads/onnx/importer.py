"""The walk over an ONNX graph: each node's rule answers with operators, constants stay constants, shapes are known."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hwsim.errors import HwsimError, InputError, ShapeError, UnsupportedError
from hwsim.graph.absent import AbsentValues
from hwsim.graph.graph import Graph, GraphBuilder
from hwsim.graph.operator import Array
from hwsim.graph.tensor import AUTO, Tensor
from hwsim.operators.opaque import Opaque
from hwsim.operators.reshape import Reshape
from hwsim.workloads.onnx import limits
from hwsim.workloads.onnx.bodies import function_body
from hwsim.workloads.onnx.document import check_texts, default_opset, functions_of, stored_tensor
from hwsim.workloads.onnx.elements import FLOATS
from hwsim.workloads.onnx.inferred import Declared, inferred_types, stated_types
from hwsim.workloads.onnx.interface import input_types
from hwsim.workloads.onnx.naming import renamed
from hwsim.workloads.onnx.nodes import attributes_of, function_defaults, label_of, one_float, one_line, without
from hwsim.workloads.onnx.rules import RULES
from hwsim.workloads.onnx.use import Use
from hwsim.workloads.onnx.value import Value

__all__ = ["Imported", "Importer", "import_model"]

_DEFAULT = ("", "ai.onnx")
_FLOW = {
    "If": "a branch that data decide has no one price; export the branch that is taken",
    "Loop": "a loop whose end data decide has no one price; export it unrolled",
    "Scan": "a loop over an axis; export it unrolled",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """A graph and its outputs by their names in the file; outputs that are constants are in ``outputs`` only."""

    graph: Graph
    outputs: Mapping[str, Value]


class _Lost:
    """Stands for what an operator that is not supported would have made."""


_LOST = _Lost()
_Found = Value | _Lost


@dataclass(frozen=True, slots=True)
class _Scope:
    """Names a node sees: its own graph's or function's, then those around a subgraph."""

    values: dict[str, _Found]
    outer: _Scope | None = None

    def find(self, name: str) -> _Found | None:
        """What that name stands for, or None."""
        scope: _Scope | None = self
        while scope is not None:
            if name in scope.values:
                return scope.values[name]
            scope = scope.outer
        return None


class Importer:
    """One reading of one model.

    Attributes:
        builder: Takes the operators.
        opset: Version of the standard operators.
        main: The file's own format of what the graph leaves 'auto'.
    """

    def __init__(self, model: Any, name: str, *, folder: Path | None, allow_unknown: bool, keep_formats: bool) -> None:
        check_texts(model, name)
        self.opset = default_opset(model, name)
        self.builder = GraphBuilder(Path(name).stem)
        self.main = "fp32"
        self._file = name
        self._model = model
        self.folder = folder
        self._allow_unknown = allow_unknown
        self._auto = not keep_formats and one_float(model)
        self._functions = functions_of(model, name)
        self._tensors: dict[int, Tensor] = {}
        self._kept: list[Value] = []
        self._taken: set[str] = set()
        self._arrays: dict[str, Callable[[], Array]] = {}
        self._walked = 0
        self._unsupported: Counter[str] = Counter()
        self._opaque: Counter[str] = Counter()
        self._declared: Declared | None = None
        self._inferred = False
        self._dims: Mapping[str, int] = {}

    # Tensors --------------------------------------------------------------------------------------------------------

    def format(self, fmt: str) -> str:
        """The format a tensor of the file has in the graph."""
        return AUTO if self._auto and fmt == self.main else fmt

    def tensor(self, value: Value, role: str = "weight") -> Tensor:
        """The graph's tensor of a value; a constant becomes a weight, or a state if it is no parameter."""
        if value.tensor is not None:
            return value.tensor
        known = self._tensors.get(id(value))
        if known is not None:
            return known
        if 0 in value.shape:
            raise InputError(f"tensor '{value.name}' of shape {list(value.shape)} is empty")
        name = self._fresh(value.name or f"constant{len(self._taken)}")
        fmt = self.format(value.format)
        parameter = role == "weight" and (fmt == AUTO or fmt in (*FLOATS, "int8", "uint8", "int4", "uint4"))
        made = (self.builder.weight if parameter else self.builder.state)(name, value.shape, fmt)
        self._arrays[name] = value.make or AbsentValues(file=self._file, name=name)
        self._tensors[id(value)] = made
        self._kept.append(value)  # so that its id stays its own
        return made

    def array(self, value: Value) -> Array | None:
        """The array of a value that is known and small, else None."""
        return value.make() if value.make is not None and value.elements <= limits.FOLDED else None

    def _fresh(self, name: str) -> str:
        """A name that no tensor and no node has."""
        fresh, number = name, 1
        while fresh in self._taken:
            number += 1
            fresh = f"{name}.{number}"
        self._taken.add(fresh)
        return fresh

    # The walk -------------------------------------------------------------------------------------------------------

    def read(self, dims: Mapping[str, int], given: Mapping[str, Array]) -> Imported:
        """The whole graph; every unsupported operator is named at once.

        Raises:
            InputError: a fault of the file, or a dimension without a size.
            UnsupportedError: operators that hwsim does not have.
        """
        graph = self._model.graph
        self._reserve(graph)
        self._dims = dims
        scope = _Scope(self._initializers(graph))
        for name, (shape, fmt) in input_types(graph, dims, given, set(scope.values), self._file).items():
            array = given.get(name)
            make = None if array is None else _constantly(array)
            if 0 in shape:
                scope.values[name] = Value(shape=shape, format=fmt, make=make, name=name)
                continue
            tensor = self.builder.input(name, shape, self.format(fmt))
            scope.values[name] = Value(shape=shape, format=fmt, tensor=tensor, make=make, name=name)
        self.walk(graph.node, scope, ())
        self._refuse()
        outputs = {}
        for out in graph.output:
            value = scope.find(out.name)
            if value is None:
                raise InputError(f"{self._file}: output '{out.name}' is made by no node")
            assert isinstance(value, Value)
            outputs[out.name] = value
        return self._finished(outputs)

    def _reserve(self, graph: Any) -> None:
        """Names of inputs and nodes are not taken by constants."""
        self._taken |= {item.name for item in graph.input} | {label_of(node) for node in graph.node}

    def _initializers(self, graph: Any) -> dict[str, _Found]:
        if graph.sparse_initializer:
            raise InputError(f"{self._file}: sparse initializers are not read; store them dense")
        return {
            proto.name: stored_tensor(proto, self.folder, f"{self._file}: tensor '{proto.name}'")
            for proto in graph.initializer
        }

    def walk(
        self, nodes: Iterable[Any], scope: _Scope, stack: tuple[tuple[str, str], ...], attributes: Any = None
    ) -> None:
        """Read nodes in order into a scope; ``stack`` holds the functions being read."""
        for node in nodes:
            self._walked += 1
            if self._walked > limits.NODES:
                raise InputError(f"{self._file}: more than {limits.NODES:,} nodes, those inside functions counted")
            label = label_of(node)
            try:
                self._node(node, label, scope, stack, attributes or {})
            except (InputError, RecursionError) as error:
                raise self._placed(error, node, label) from None

    def _placed(self, error: Exception, node: Any, label: str) -> HwsimError:
        """The error with the file and the node in front, once."""
        text = "nested too deep" if isinstance(error, RecursionError) else one_line(str(error))
        if text.startswith(f"{self._file}: "):
            return error if isinstance(error, HwsimError) else InputError(text)
        text = text.removeprefix(f"node '{label}': ")
        kind = ShapeError if isinstance(error, ShapeError) else InputError
        return kind(f"{self._file}: node '{label}' ({node.op_type}): {text}")

    def _node(self, node: Any, label: str, scope: _Scope, stack: Any, outer: Mapping[str, Any]) -> None:
        domain = "" if node.domain in _DEFAULT else node.domain
        key = (domain, node.op_type)
        found = [scope.find(name) if name else None for name in node.input]
        for name, value in zip(node.input, found, strict=True):
            if name and value is None:
                raise InputError(f"its input '{name}' is made by no node before it (a dangling edge)")
        attributes = attributes_of(node, outer)
        lost = any(isinstance(value, _Lost) for value in found)
        inputs = tuple(value if isinstance(value, Value) else None for value in found)
        use = Use(self, node.op_type, label, inputs, tuple(node.output), attributes)
        try:
            results: Sequence[_Found] = self._results(node, key, use, scope, stack, lost=lost)
        except UnsupportedError as error:
            results = self._unknown(node, use, key, str(error), lost=lost)
        for name, result in zip(node.output, results, strict=False):
            if name:
                if scope.values.get(name) is not None:
                    raise InputError(f"its output '{name}' exists already; every tensor is made once")
                scope.values[name] = result.named(name) if isinstance(result, Value) else result
        if len(results) < sum(1 for name in node.output if name):
            raise InputError(f"{node.op_type} makes {len(results)} outputs, not {len(node.output)}")

    def _results(
        self,
        node: Any,
        key: tuple[str, str],
        use: Use,
        scope: _Scope,
        stack: tuple[tuple[str, str], ...],
        *,
        lost: bool,
    ) -> Sequence[_Found]:
        if key in self._functions:
            return self._called(self._functions[key], key, use, stack, lost=lost)
        rule = RULES.get(key)
        if lost:
            if rule is None and function_body(use, key[0], self.opset) is None:
                raise UnsupportedError("")
            return [_LOST] * len(node.output)
        if key == ("", "If"):
            return self._branch(node, use, scope, stack)
        if rule is not None:
            made = rule(use)
            return [made] if isinstance(made, Value) else list(made)
        if key[1] in _FLOW and not key[0]:
            raise UnsupportedError(_FLOW[key[1]])
        body = function_body(use, key[0], self.opset)
        if body is None:
            raise UnsupportedError("")
        return self._called(body, key, use, stack, lost=lost)

    def _branch(self, node: Any, use: Use, scope: _Scope, stack: tuple[tuple[str, str], ...]) -> Sequence[_Found]:
        """The branch of an If whose condition is a constant; raises UnsupportedError for another."""
        condition = use.maybe(0)
        if condition is None or condition.size != 1:
            raise UnsupportedError(_FLOW["If"])
        wanted = "then_branch" if bool(condition.ravel()[0]) else "else_branch"
        graph = next((a.g for a in node.attribute if a.name == wanted), None)
        if graph is None:
            raise InputError(f"has no {wanted}")
        inner = _Scope(self._initializers(graph), scope)
        self.walk(graph.node, inner, stack)
        found = [inner.find(out.name) for out in graph.output]
        if any(value is None for value in found):
            raise InputError(f"an output of its {wanted} is made by no node")
        return [value for value in found if value is not None]

    def _called(
        self, function: Any, key: tuple[str, str], use: Use, stack: tuple[tuple[str, str], ...], *, lost: bool
    ) -> Sequence[_Found]:
        """The outputs of a function: its body, read where it is called."""
        if key in stack and key in self._functions:
            raise InputError(f"function '{key[1]}' calls itself")
        if len(stack) >= limits.CALLS:
            raise InputError(f"functions call each other more than {limits.CALLS} deep")
        if len(use.inputs) > len(function.input):
            raise InputError(f"function {key[1]} takes {len(function.input)} inputs, not {len(use.inputs)}")
        if lost:
            return [_LOST] * len(function.output)
        attributes = function_defaults(function)
        attributes.update(use.attributes)
        given: dict[str, _Found] = {
            name: use.inputs[i]  # type: ignore[misc]  # absent ones are left out
            for i, name in enumerate(function.input)
            if i < len(use.inputs) and use.inputs[i] is not None
        }
        absent = set(function.input) - set(given)
        inner = _Scope(given)
        nodes = [without(node, absent) for node in function.node]
        self.walk(nodes, inner, (*stack, key), attributes)
        results = [inner.find(name) for name in function.output]
        for name, result, wanted in zip(function.output, results, use.outputs, strict=False):
            if wanted and result is None:
                raise InputError(f"function {key[1]}: its output '{name}' is made by no node")
        return [result if result is not None else _LOST for result in results]

    # What is not understood -----------------------------------------------------------------------------------------

    def _unknown(self, node: Any, use: Use, key: tuple[str, str], reason: str, *, lost: bool) -> Sequence[_Found]:
        """Results of an operator that has no rule: lost, or as large as the file says, at the price of moving them."""
        shown = "::".join(part for part in key if part)
        label = f"{shown} ({reason})" if reason else shown
        if not self._allow_unknown or lost:
            self._unsupported[label] += 1
            return [_LOST] * len(node.output)
        if self._declared is None:
            self._declared = stated_types(self._model, self._dims, self._file)
        if not self._inferred and any(name and name not in self._declared for name in node.output):
            self._inferred = True
            self._declared = inferred_types(self._model, self._dims, self._file)
        types = []
        for name in node.output:
            declared = self._declared.get(name) if name else None
            if name and declared is None:
                self._unsupported[f"{label}: the file does not say what shape '{name}' has"] += 1
                return [_LOST] * len(node.output)
            if declared:
                types.append((declared[0], self.format(declared[1])))
        self._opaque[label] += 1
        read = [value for value in use.inputs if value is not None]
        made = use.add_all(Opaque(node.op_type, tuple(types)), *read, foldable=False)
        results = iter(made)
        return [next(results) if name else _LOST for name in node.output]

    def _refuse(self) -> None:
        if self._unsupported:
            listed = ", ".join(f"{what} x{n}" if n > 1 else what for what, n in sorted(self._unsupported.items()))
            listed = one_line(listed)
            kinds = len(self._unsupported)
            raise UnsupportedError(
                f"{self._file}: {kinds} operator{'s' if kinds > 1 else ''} that hwsim does not have: {listed}; "
                "--allow-unknown prices them as moves of their bytes"
            )

    # The end --------------------------------------------------------------------------------------------------------

    def _finished(self, outputs: Mapping[str, Value]) -> Imported:
        """The graph, its outputs named as in the file."""
        ends: dict[str, Value] = {}
        names: dict[str, str] = {}
        for name, value in outputs.items():
            if value.constant and (0 in value.shape or value.make is None or not self.builder_holds(value)):
                ends[name] = value
                continue
            tensor = self.tensor(value)
            if tensor.name == name and name not in names:
                names[name], ends[name] = name, value
                continue
            if tensor.role != "activation" or tensor.name in names:
                tensor = self.builder.add(Reshape(tensor.shape), tensor, name="output")
            names[tensor.name] = name
            ends[name] = replace(value, tensor=tensor)
        chosen = [v.tensor for v in ends.values() if v.tensor is not None]
        graph = self.builder.build(chosen)
        notes = tuple(f"{what} x{n} priced as a move of its bytes" for what, n in sorted(self._opaque.items()))
        return Imported(graph=renamed(replace(graph, values=self._arrays, notes=notes), names), outputs=ends)

    def builder_holds(self, value: Value) -> bool:
        """Whether a constant already is a tensor of the graph."""
        return id(value) in self._tensors


def _constantly(array: Array) -> Callable[[], Array]:
    return lambda: array


def import_model(
    model: Any,
    name: str,
    *,
    folder: Path | None = None,
    dims: Mapping[str, int] | None = None,
    given: Mapping[str, Array] | None = None,
    allow_unknown: bool = False,
    keep_formats: bool = False,
) -> Imported:
    """The graph of a ModelProto; see :func:`hwsim.load_onnx`.

    Args:
        model: the ModelProto.
        name: of the file, for messages.
        folder: where external data lie.
        dims: sizes of symbolic dimensions.
        given: arrays of inputs, for operators whose shapes they decide.
        allow_unknown: whether operators without a rule are priced as moves.
        keep_formats: whether floats keep the file's format where they could be 'auto'.
    """
    importer = Importer(model, name, folder=folder, allow_unknown=allow_unknown, keep_formats=keep_formats)
    return importer.read(dims or {}, given or {})
