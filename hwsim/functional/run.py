"""Run a graph on NumPy, operator by operator, as the reference for passes and for other runtimes."""

from __future__ import annotations

import math
import zlib
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from hwsim.errors import InputError, ShapeError
from hwsim.graph.graph import Graph, Phase
from hwsim.graph.operator import Array
from hwsim.graph.tensor import AUTO, Tensor
from hwsim.operators.formats import round_to_float
from hwsim.registry import known_names

__all__ = ["Given", "folded", "run_reference", "weight_values"]

_DTYPES: dict[str, Any] = {
    "fp64": np.float64,
    "fp16": np.float16,
    "int64": np.int64,
    "int32": np.int32,
    "int16": np.int16,
    "bool": np.bool_,
    "uint64": np.uint64,
    "uint32": np.uint32,
    "uint16": np.uint16,
}
"""Formats computed as they are; all others are computed in float32."""
_NARROW = ("int8", "int4", "uint8", "uint4")
"""Integers of a quantized model stay integers; those a scheme only prices narrow are computed in float32."""


def run_reference(
    graph: Graph,
    inputs: Mapping[str, Array],
    seed: int = 0,
    watch: Callable[[Tensor, Array], None] | None = None,
) -> dict[str, Array]:
    """Values of the graph's outputs by name.

    Each phase is run once, as its first repeat. ``inputs`` gives every input by name, and any weight or state;
    those not given are what the graph says (``values``), or drawn, each from its own generator, so that a tensor's
    values depend on the seed and its name only. fp64 and fp16 are computed as such; every other float in float32
    ('auto' in the widest float among the inputs, at least float32), values of bf16 rounded to it. Narrow integers that
    come as integers, from the caller or a quantizing operator, stay such; where only a scheme says int8 or int4, nobody
    gave a scale, and they are computed in float32: :func:`hwsim.passes.quantize.quantize` says where and how to round.
    A value is freed after its last use.

    Args:
        graph: what to run.
        inputs: arrays by the name of the tensor.
        seed: of the weights and states not given.
        watch: called with each tensor that a node reads or makes, and its values, once.

    Returns:
        One array for each output of the graph.

    Raises:
        InputError: an input is missing, a name is not a tensor given from outside, or an index lies out of range.
        ShapeError: an array has another shape than its tensor.
    """
    given = Given(graph, inputs, seed)
    uses = Counter(name for node in graph.nodes for name in node.inputs)
    uses.update(graph.outputs)
    values: dict[str, Array] = {}
    for node in graph.nodes:
        for name in node.inputs:
            if name not in values:
                values[name] = given.value(graph.tensors[name])
                if watch is not None:
                    watch(graph.tensors[name], values[name])
        try:
            results = node.op.reference(*(values[name] for name in node.inputs))
        except InputError as error:
            raise InputError(f"graph '{graph.name}': node '{node.name}': {error}") from None
        for name, result in zip(node.outputs, results, strict=True):
            values[name] = given.kept(result, graph.tensors[name])
            if watch is not None:
                watch(graph.tensors[name], values[name])
        uses.subtract(node.inputs)
        for name in (*node.inputs, *node.outputs):
            if uses[name] == 0:
                values.pop(name, None)
    return {name: values[name] if name in values else given.value(graph.tensors[name]) for name in graph.outputs}


def weight_values(graph: Graph, seed: int = 0) -> dict[str, Array]:
    """The values that :func:`run_reference` takes for the graph's weights, so that several runs can share them."""
    given = Given(graph, {}, seed)
    return {name: given.value(t) for name, t in graph.tensors.items() if t.role == "weight"}


def folded(graph: Graph, weights: Mapping[str, Array], seed: int = 0) -> tuple[Graph, dict[str, Array]]:
    """The graph without what depends on weights alone, and the values of all weights it then has."""
    constant = {name for name, tensor in graph.tensors.items() if tensor.role == "weight"}
    nodes = []
    for node in graph.nodes:
        if node.inputs and all(name in constant for name in node.inputs):
            constant.update(node.outputs)
            nodes.append(node)
    made = [name for node in nodes for name in node.outputs]
    needed = {name for node in nodes for name in node.inputs}
    before = replace(graph, nodes=tuple(nodes), outputs=tuple(made), phases=(Phase("constants", 0, len(nodes)),))
    values = run_reference(before, {n: weights[n] for n in needed if n in weights}, seed)
    tensors = {n: replace(t, role="weight") if n in values else t for n, t in graph.tensors.items()}
    gone = {node.name for node in nodes}
    phases, kept = [], 0
    for phase in graph.phases:
        count = sum(node.name not in gone for node in graph.nodes[phase.first : phase.last])
        phases.append(replace(phase, first=kept, last=kept + count))
        kept += count
    rest = tuple(node for node in graph.nodes if node.name not in gone)
    read = {name for node in rest for name in node.inputs} | set(graph.outputs)
    everything = {**weights, **values}
    after = replace(graph, nodes=rest, tensors=tensors, phases=tuple(phases))
    return after, {name: array for name, array in everything.items() if name in read}


class Given:
    """The tensors of a graph that no node makes: handed in, or drawn."""

    def __init__(self, graph: Graph, inputs: Mapping[str, Array], seed: int) -> None:
        outside = {name for name in graph.tensors if name not in graph.producer}
        for name in inputs:
            if name not in outside:
                raise InputError(f"graph '{graph.name}' takes no tensor '{name}'{known_names(name, outside)}")
        self._graph = graph.name
        self._arrays = {name: np.asarray(array) for name, array in inputs.items()}
        self._values = graph.values
        self._seed = seed
        floats = [a.dtype for a in self._arrays.values() if np.issubdtype(a.dtype, np.floating)]
        self._widest = np.result_type(np.float32, *floats)
        for name in sorted(self._arrays):
            self.value(graph.tensors[name])

    def dtype(self, tensor: Tensor) -> np.dtype[Any]:
        """The dtype a tensor is computed in."""
        fmt = tensor.type.format
        return self._widest if fmt == AUTO else np.dtype(_DTYPES.get(fmt, np.float32))

    def kept(self, array: Array, tensor: Tensor) -> Array:
        """The array as the tensor holds it."""
        fmt = tensor.type.format
        if fmt in _NARROW and array.dtype in (np.int8, np.uint8):
            return array
        unscaled = fmt == "int16" and np.issubdtype(array.dtype, np.floating)
        held = array.astype(np.float32 if unscaled else self.dtype(tensor), copy=False)
        return round_to_float(held, fmt) if fmt == "bf16" else held

    def value(self, tensor: Tensor) -> Array:
        """Its array; raises InputError for a missing input and ShapeError for a misshapen array."""
        array = self._arrays.get(tensor.name)
        if array is None and tensor.name in self._values:
            array = self._values[tensor.name]()
        shape = list(tensor.shape)
        if array is not None:
            if array.shape != tensor.shape:
                raise ShapeError(f"graph '{self._graph}': '{tensor.name}' has shape {shape}, not {list(array.shape)}")
            return self.kept(array, tensor)
        if tensor.role == "input":
            raise InputError(f"graph '{self._graph}': give the input '{tensor.name}', an array of shape {shape}")
        name_code = zlib.crc32(tensor.name.encode())
        return self.kept(_drawn(tensor, np.random.default_rng([self._seed, name_code])), tensor)


def _drawn(tensor: Tensor, generator: np.random.Generator) -> Array:
    """Values that keep activations of order one.

    A matrix or filter gets a spread of 1 / sqrt(inputs summed), a vector values near one, a state values
    between 0.5 and 1.5 (stored variances must be positive).
    """
    if tensor.role == "state":
        return generator.uniform(0.5, 1.5, tensor.shape)
    if len(tensor.shape) < 2:
        return 1 + 0.1 * generator.standard_normal(tensor.shape)
    return generator.standard_normal(tensor.shape) / math.sqrt(math.prod(tensor.shape[1:]))
