"""One node while it is read: what its rule asks, and how the rule answers with operators."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from hwsim.errors import InputError, ShapeError, UnsupportedError
from hwsim.graph.operator import Array, Operator
from hwsim.graph.tensor import AUTO, TensorType
from hwsim.operators.precision import dtype_of
from hwsim.workloads.onnx import limits
from hwsim.workloads.onnx.value import Value, check_shape, constant

if TYPE_CHECKING:
    from hwsim.workloads.onnx.importer import Importer

__all__ = ["Rule", "Use"]

_EAGER = 4096
"""Constants of fewer elements are computed at once, so that chains of them stay short."""
_STEPS = 64


@dataclass(frozen=True, slots=True)
class Use:
    """A node of an ONNX graph: its inputs, its attributes, and the importer that takes its operators."""

    importer: Importer
    kind: str
    name: str
    inputs: tuple[Value | None, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any] = field(default_factory=dict)

    @property
    def opset(self) -> int:
        """Version of the standard operators."""
        return self.importer.opset

    def has(self, index: int) -> bool:
        """Whether the node has that input; optional ones may be left out."""
        return index < len(self.inputs) and self.inputs[index] is not None

    def wants(self, index: int) -> bool:
        """Whether anybody reads that output."""
        return index < len(self.outputs) and bool(self.outputs[index])

    def at(self, index: int) -> Value:
        """An input; raises InputError when it is left out."""
        value = self.inputs[index] if index < len(self.inputs) else None
        if value is None:
            raise InputError(f"input {index} is missing")
        return value

    def all(self) -> list[Value]:
        """The inputs of a node that takes any number of them."""
        return [self.at(i) for i in range(len(self.inputs))]

    def some(self, *indices: int) -> list[Value]:
        """Those of the inputs that are there."""
        return [self.at(i) for i in indices if self.has(i)]

    def known(self, index: int) -> Array:
        """The array of an input that must be known to read the graph; raises UnsupportedError where it is not."""
        array = self.maybe(index)
        if array is None:
            says = f"'{self.at(index).name}'" if self.at(index).name else f"input {index}"
            raise UnsupportedError(f"{says} is not constant, and data decide no shapes here")
        return array

    def maybe(self, index: int) -> Array | None:
        """The array of an input if it is known and small enough, else None."""
        value = self.at(index)
        if value.make is None:
            return None
        if value.elements > limits.FOLDED:
            raise InputError(
                f"input {index} has {value.elements:,} elements; at most {limits.FOLDED:,} are read as numbers"
            )
        return value.make()

    def numbers(self, index: int) -> list[int]:
        """Whole numbers of an input that must be known; a scalar is a list of one."""
        return [int(n) for n in np.ravel(self.known(index)).tolist()]

    def scalar(self, index: int) -> float:
        """The only element of an input that must be known."""
        found = self.known(index)
        if found.size != 1:
            raise InputError(f"input {index} must have one element, not shape {list(found.shape)}")
        return float(found.ravel()[0])

    # Attributes: of the type asked for, or the default. --------------------------------------------------------------

    def _attribute(self, name: str, kinds: tuple[type, ...], default: Any) -> Any:
        value = self.attributes.get(name)
        if value is None:
            return default
        if not isinstance(value, kinds):
            wanted = " or ".join(kind.__name__ for kind in kinds)
            raise InputError(f"attribute '{name}' must be {wanted}, not {type(value).__name__}")
        return value

    def whole(self, name: str, default: int = 0) -> int:
        """A whole number."""
        found: int = self._attribute(name, (int,), default)
        return found

    def number(self, name: str, default: float = 0.0) -> float:
        """A number."""
        found: float = self._attribute(name, (float, int), default)
        return float(found)

    def text(self, name: str, default: str = "") -> str:
        """A text."""
        found: str = self._attribute(name, (str,), default)
        return found

    def ints(self, name: str) -> list[int] | None:
        """Whole numbers, or None."""
        found = self._attribute(name, (list,), None)
        if found is not None and not all(isinstance(n, int) for n in found):
            raise InputError(f"attribute '{name}' must be a list of whole numbers, not {found}")
        return None if found is None else list(found)

    def refuse(self, reason: str) -> UnsupportedError:
        """The error for a form of the operator that hwsim does not have."""
        return UnsupportedError(reason)

    def only(self, name: str, value: object, *others: object) -> None:
        """Raise UnsupportedError unless an attribute is absent or has one of those values."""
        found = self.attributes.get(name)
        if found is not None and found not in (value, *others):
            raise UnsupportedError(f"{name} = {found}")

    # Answers. -------------------------------------------------------------------------------------------------------

    def add(self, op: Operator, *inputs: Value) -> Value:
        """The first output of an operator on those inputs; constants alone make a constant."""
        return self.add_all(op, *inputs)[0]

    def add_all(
        self, op: Operator, *inputs: Value, roles: Mapping[int, str] | None = None, foldable: bool = True
    ) -> list[Value]:
        """The outputs of an operator; raises ShapeError when the inputs do not fit it."""
        folds = foldable and all(value.make is not None for value in inputs)
        if foldable and all(value.constant for value in inputs):
            return self._folded(op, inputs)
        if folds and any(0 in value.shape for value in inputs):
            return self._computed(op, inputs)
        types = op.infer([TensorType(v.shape, v.format, v.weight and v.constant) for v in inputs])
        for kind in types:
            check_shape(f"the result of {self.kind}", kind.shape, self.importer.main)
        formats = [t.format for t in types]
        chosen = roles or {}
        tensors = [self.importer.tensor(v, chosen.get(i, "weight")) for i, v in enumerate(inputs)]
        made = self.importer.builder.add_all(op, *tensors, name=self.name)
        arrays = _lazy(op, inputs, formats) if folds else [None] * len(made)
        steps = 1 + max((v.steps for v in inputs), default=0)
        return [
            Value(shape=t.shape, format=fmt if fmt != AUTO else self.importer.main, tensor=t, make=make, steps=steps)
            for t, fmt, make in zip(made, formats, arrays, strict=True)
        ]

    def _folded(self, op: Operator, inputs: Sequence[Value]) -> list[Value]:
        absent = any(value.make is None for value in inputs)
        if any(0 in value.shape for value in inputs) and not absent:
            return self._computed(op, inputs)
        types = op.infer([TensorType(v.shape, v.format, v.weight) for v in inputs])
        formats = [t.format if t.format != AUTO else self.importer.main for t in types]
        for kind, fmt in zip(types, formats, strict=True):
            check_shape(self.name, kind.shape, fmt)
        largest = max(*(v.elements for v in inputs), *(t.elements for t in types), 0)
        if largest <= _EAGER and not absent:
            return self._computed(op, inputs, formats)
        steps = 1 + max((v.steps for v in inputs), default=0)
        if steps > _STEPS:
            raise InputError(
                f"a constant of {types[0].elements:,} elements is computed through more than {_STEPS} nodes"
            )
        weight = any(v.weight for v in inputs)
        makes = [None] * len(types) if absent else _lazy(op, inputs, formats)
        return [
            Value(shape=kind.shape, format=fmt, make=make, steps=steps, weight=weight)
            for kind, fmt, make in zip(types, formats, makes, strict=True)
        ]

    def _computed(self, op: Operator, inputs: Sequence[Value], formats: Sequence[str] = ()) -> list[Value]:
        """The outputs as arrays, now."""
        arrays = [value.make() for value in inputs if value.make is not None]
        try:
            with np.errstate(all="ignore"):
                results = op.reference(*arrays)
        except (ValueError, IndexError, TypeError, ZeroDivisionError) as error:
            raise ShapeError(f"{op.kind}: {error}") from None
        kinds = formats or [self._format_of(result, inputs) for result in results]
        weight = any(v.weight for v in inputs)
        return [
            Value(shape=made.shape, format=fmt, make=_held(made), weight=weight)
            for made, fmt in ((r.astype(dtype_of(k), copy=False), k) for r, k in zip(results, kinds, strict=True))
        ]

    def _format_of(self, result: Array, inputs: Sequence[Value]) -> str:
        """Format of a result whose shape rule cannot be asked: that of an input of its dtype."""
        for value in inputs:
            if dtype_of(value.format) == result.dtype:
                return value.format
        return {"float64": "fp64", "float16": "fp16", "float32": "fp32"}.get(result.dtype.name, result.dtype.name)

    def graph_format(self, fmt: str) -> str:
        """The format that a tensor of the file's format has in the graph."""
        return self.importer.format(fmt)

    def constant(self, array: Any, fmt: str) -> Value:
        """A constant computed from shapes."""
        return constant(np.asarray(array, dtype_of(fmt)), fmt)

    def filled(self, shape: Sequence[int], number: float, fmt: str) -> Value:
        """A constant of one repeated number, never stored whole before it is asked for."""
        extents = check_shape(f"output of '{self.name}'", shape, fmt)
        element = np.asarray(number, dtype_of(fmt))
        return Value(shape=extents, format=fmt, make=lambda: np.full(extents, element), weight=math.prod(extents) > 1)


def _held(array: Array) -> Callable[[], Array]:
    return lambda: array


def _lazy(op: Operator, inputs: Sequence[Value], formats: Sequence[str]) -> list[Callable[[], Array] | None]:
    """Functions that compute an operator's outputs from its inputs when first asked, and keep them."""
    found: list[Array] = []

    def output(index: int, fmt: str) -> Callable[[], Array]:
        def made() -> Array:
            if not found:
                arrays = [value.make() for value in inputs if value.make is not None]
                with np.errstate(all="ignore"):
                    found.extend(op.reference(*arrays))
            return np.asarray(found[index]).astype(dtype_of(fmt), copy=False)

        return made

    return [output(i, fmt) for i, fmt in enumerate(formats)]


Rule = Callable[[Use], "Sequence[Value] | Value"]
