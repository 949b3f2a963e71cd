"""How far the values of a narrow number format lie from those of fp32, on synthetic inputs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from hwsim.errors import InputError
from hwsim.functional.calibrate import calibrated
from hwsim.functional.run import folded, run_reference, weight_values
from hwsim.graph.graph import Graph
from hwsim.graph.operator import Array
from hwsim.graph.tensor import AUTO, Tensor, TensorType
from hwsim.graph.tensor import scheme as scheme_of
from hwsim.operators.embedding import Embedding
from hwsim.operators.gather import Gather
from hwsim.passes import PASSES
from hwsim.passes.quantize import grids_of, quantize

__all__ = ["NumericalError", "Numerics", "synthetic_inputs"]

_REFERENCE = "fp32"
_FLOATS = ("fp64", "fp32", "tf32", "bf16", "fp16")
_MOST_MACS = 3e11
"""Most multiply-accumulates of all runs together; NumPy does about 10^10 a second on one core."""
_MOST_PARAMETERS = 1e9
"""Most weights; they are held in float32."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NumericalError:
    """What a number format costs in accuracy.

    Attributes:
        scheme: the precision scheme that was run.
        reference: what it is held against.
        inputs: how many synthetic inputs were run.
        snr_db: power of the reference over power of the difference, in decibels; infinite where nothing differs, minus
            infinity where a format overflows.
        cosine: of the angle between both outputs, taken as vectors.
        top1_agreement: share of outputs whose largest element is at the same place; None for outputs of one element.
    """

    scheme: str
    reference: str
    inputs: int
    snr_db: float
    cosine: float
    top1_agreement: float | None


class Numerics:
    """A graph run in fp32 on synthetic inputs; :meth:`error` says how far a scheme's values lie from that.

    Weights are those the graph brings along, else drawn: then the figures say what a format does to a network of that
    shape, not what it does to a trained one. Quantized schemes are calibrated on as many further inputs.
    """

    def __init__(
        self,
        graph: Graph,
        *,
        inputs: int = 8,
        calibration: str = "minmax",
        percentile: float = 99.99,
        seed: int = 0,
    ) -> None:
        """Refuse what is too large.

        Raises:
            InputError: the network is too large to run in NumPy.
        """
        self._plain = _unresolved(graph)
        _check_size(self._plain, inputs)
        self._inputs, self._seed = inputs, seed
        self._calibration, self._percentile = calibration, percentile

    @cached_property
    def _weights(self) -> dict[str, Array]:
        return weight_values(self._plain, self._seed)

    def _samples(self, first: int) -> list[dict[str, Array]]:
        return [synthetic_inputs(self._plain, self._seed, first + i) for i in range(self._inputs)]

    def _run(self, graph: Graph, weights: Mapping[str, Array]) -> list[list[Array]]:
        """Outputs for each input; what depends on weights alone is computed once."""
        rest, constants = folded(graph, weights, self._seed)
        with np.errstate(over="ignore", invalid="ignore"):  # what overflows shows in the figures
            return [_floats(run_reference(rest, constants | sample, self._seed)) for sample in self._samples(0)]

    @cached_property
    def _reference(self) -> list[list[Array]]:
        return self._run(self._plain.with_scheme(_REFERENCE), self._weights)

    def _ranges(self, graph: Graph, weights: Mapping[str, Array]) -> Mapping[str, tuple[Array, Array]]:
        samples = [{**weights, **sample} for sample in self._samples(self._inputs)]
        method, cut = self._calibration, self._percentile
        return calibrated(graph.with_scheme(_REFERENCE), samples, method=method, percentile=cut, seed=self._seed)

    def error(self, scheme: str, changed: Graph | None = None) -> NumericalError:
        """The error of a scheme, or of the scheme in the graph as passes changed it.

        Raises:
            UnknownNameError: no such scheme.
            InputError: an unknown calibration, or a changed graph with other outputs.
        """
        plain, weights = self._plain, self._weights
        if changed is not None:
            plain = _unresolved(changed)
            own = weight_values(plain, self._seed)
            weights = {name: weights[name] if _fits(weights.get(name), own[name]) else own[name] for name in own}
        if _outputs(plain) != _outputs(self._plain):
            raise InputError(f"numerics: {plain.name} has other outputs than {self._plain.name}; compare them apart")
        _, activation = grids_of(scheme_of(scheme))
        ranges = self._ranges(plain, weights) if activation is not None else {}
        narrow = PASSES["fuse_quantized"](quantize(plain, scheme, ranges)).with_scheme(_carrier(scheme))
        return _compared(self._reference, self._run(narrow, weights), scheme)


def _outputs(graph: Graph) -> list[tuple[int, ...]]:
    return [graph.tensors[name].shape for name in graph.outputs]


def _fits(array: Array | None, other: Array) -> bool:
    return array is not None and array.shape == other.shape


def _compared(expected: Sequence[list[Array]], found: Sequence[list[Array]], scheme: str) -> NumericalError:
    signal = noise = product = other = 0.0
    same: list[float] = []
    for arrays, others in zip(expected, found, strict=True):
        for a, b in zip(arrays, others, strict=True):
            signal += float(np.square(a).sum())
            other += float(np.square(b).sum())
            noise += float(np.square(a - b).sum())
            product += float((a * b).sum())
            axis = 1 if a.ndim > 3 else -1  # images have their channels second, sequences their features last
            if a.ndim > 1 and a.shape[axis] > 1:
                same.extend((a.argmax(axis) == b.argmax(axis)).ravel().tolist())
    if not math.isfinite(noise):
        noise, product, other = math.inf, 0.0, 1.0
    norms = math.sqrt(signal * other)
    return NumericalError(
        scheme=scheme,
        reference=_REFERENCE,
        inputs=len(expected),
        snr_db=_decibels(signal, noise),
        cosine=product / norms if norms > 0 else float(signal == other),
        top1_agreement=math.fsum(same) / len(same) if same else None,
    )


def _decibels(signal: float, noise: float) -> float:
    if noise in (0.0, math.inf):
        return math.inf if noise == 0.0 else -math.inf
    return 10.0 * math.log10(signal / noise) if signal > 0.0 else -math.inf


def synthetic_inputs(graph: Graph, seed: int, number: int) -> dict[str, Array]:
    """One set of inputs: normal values, and whole numbers that index the tables they are looked up in."""
    found: dict[str, Array] = {}
    for place, tensor in enumerate(t for t in graph.tensors.values() if t.role == "input"):
        generator = np.random.default_rng([seed, number, place])
        if _is_float(tensor):
            found[tensor.name] = generator.standard_normal(tensor.shape).astype(np.float32)
        else:
            found[tensor.name] = generator.integers(0, _entries(graph, tensor.name), tensor.shape)
    return found


def _is_float(tensor: Tensor) -> bool:
    return tensor.type.format == AUTO or tensor.type.format.startswith(("fp", "bf", "tf"))


def _entries(graph: Graph, name: str) -> int:
    """How many entries the smallest table has that a tensor of indices is looked up in; 2 where it is in none."""
    sizes = []
    for node in graph.nodes:
        if isinstance(node.op, Embedding) and node.inputs[0] == name:
            sizes.append(graph.tensors[node.inputs[1]].shape[0])
        elif isinstance(node.op, Gather) and node.inputs[1] == name:
            sizes.append(graph.tensors[node.inputs[0]].shape[node.op.axis])
    return min(sizes, default=2)


def _unresolved(graph: Graph) -> Graph:
    """The graph with all its floats 'auto' again."""

    def freed(tensor: Tensor) -> Tensor:
        if tensor.type.format not in _FLOATS:
            return tensor
        return replace(tensor, type=TensorType(tensor.shape, AUTO, tensor.type.weight, tensor.type.storage))

    return replace(graph, tensors={name: freed(tensor) for name, tensor in graph.tensors.items()}, scheme=None)


def _carrier(scheme: str) -> str:
    """The format in which a scheme's values travel between products."""
    activation = scheme_of(scheme).activation
    return activation if activation in _FLOATS else "fp32"


def _floats(outputs: Mapping[str, Array]) -> list[Array]:
    return [np.asarray(array, np.float64) for array in outputs.values() if array.dtype.kind == "f"]


def _check_size(graph: Graph, inputs: int) -> None:
    macs = 3.0 * inputs * graph.with_scheme("fp16").macs
    if graph.parameters > _MOST_PARAMETERS:
        raise InputError(
            f"{graph.name}: numerics run the values of {graph.parameters:,} weights in NumPy, at most "
            f"{_MOST_PARAMETERS:,.0f}; leave numerics out, or take a smaller model of the family"
        )
    if macs > _MOST_MACS:
        raise InputError(
            f"{graph.name}: numerics would take {macs:.2g} multiply-accumulates in NumPy, at most {_MOST_MACS:.0e}; "
            f"write fewer inputs, or smaller ones, e.g. 'numerics: {{inputs: 2, at: {{height: 64, width: 64}}}}'"
        )
