"""How long graphs take on this machine: what runs them (NumPy references or PyTorch) and how it is timed."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from hwsim.functional.run import run_reference
from hwsim.graph.graph import Graph
from hwsim.graph.tensor import Tensor
from hwsim.graph.work import Form, Work
from hwsim.validation.torch_backend import TorchBackend

__all__ = ["BACKENDS", "Backend", "NumpyBackend", "drawn_arrays", "times_in_turn_s"]

Arrays = Mapping[str, NDArray[Any]]
Run = Callable[[], object]


class Backend(Protocol):
    """Runs graphs in fp32.

    ``name`` is the name of the software stack that stands for it, ``device_name`` that of the GPU it runs on, empty
    for the CPU.
    """

    name: str
    device_name: str

    def prepared(self, graph: Graph, arrays: Arrays) -> Run:
        """A call that runs the graph once on these arrays and returns when it is done."""
        ...

    def given(self, work: Work) -> Mapping[str, float]:
        """Constants of a CPU that follow from how the backend works, for rows like this one."""
        ...


class NumpyBackend:
    """The NumPy references of the operators, one after the other."""

    name = "numpy"
    device_name = ""

    def prepared(self, graph: Graph, arrays: Arrays) -> Run:
        """One run of :func:`hwsim.functional.run.run_reference`."""
        return lambda: run_reference(graph, arrays)

    def given(self, work: Work) -> Mapping[str, float]:
        """Products thread and pack (in NumPy's BLAS library), nothing else threads; a convolution makes columns."""
        if work.form in (Form.GEMM, Form.ATTENTION):
            return {"packed": 1.0} | ({"columns": 1.0} if "conv" in work.kernel else {})
        return {"serial": 1.0}


BACKENDS: Mapping[str, Callable[[], Backend]] = MappingProxyType({"numpy": NumpyBackend, "torch": TorchBackend})
"""What can run graphs here, by name."""


def drawn_arrays(graph: Graph, seed: int = 0) -> dict[str, NDArray[Any]]:
    """An array for every tensor that no node makes: activations and weights of order one, indices within range.

    Indices are below the first axis of the tables they are looked up in.
    """
    generator = np.random.default_rng(seed)
    drawn: dict[str, NDArray[Any]] = {}
    for tensor in graph.tensors.values():
        if tensor.name in graph.producer:
            continue
        if tensor.type.format.startswith("int"):
            drawn[tensor.name] = generator.integers(0, _rows_behind(graph, tensor), tensor.shape)
        elif tensor.role == "state":
            drawn[tensor.name] = generator.uniform(0.5, 1.5, tensor.shape).astype(np.float32)
        else:
            scale = 1.0 / math.sqrt(math.prod(tensor.shape[1:])) if tensor.role == "weight" else 1.0
            drawn[tensor.name] = (scale * generator.standard_normal(tensor.shape)).astype(np.float32)
    return drawn


def _rows_behind(graph: Graph, ids: Tensor) -> int:
    tables = [
        graph.tensors[name].shape[0]
        for node in graph.nodes
        if ids.name in node.inputs
        for name in node.inputs
        if name != ids.name and graph.tensors[name].shape
    ]
    return max(1, min(tables, default=1))


def times_in_turn_s(
    graphs: Sequence[Graph], backend: Backend, rounds: int = 9, done: Callable[[int], object] = int
) -> list[float]:
    """Seconds each graph takes when they run one after the other, as the operators of a network do.

    So weights come from memory, what a graph reads was just written, and arrays of all sizes come and go. The
    shortest of several rounds counts, since what else the machine does can only lengthen one; the first does not.
    ``done`` is told how many graphs have run.
    """
    arrays = [drawn_arrays(graph) for graph in graphs]
    best = [math.inf] * len(graphs)
    for turn in range(rounds + 1):
        for place, (graph, given) in enumerate(zip(graphs, arrays, strict=True)):
            fresh = {n: a.copy() if graph.tensors[n].role == "input" else a for n, a in given.items()}
            run = backend.prepared(graph, fresh)
            start = time.perf_counter()
            run()
            if turn:
                best[place] = min(best[place], time.perf_counter() - start)
            done(1)
    return best
