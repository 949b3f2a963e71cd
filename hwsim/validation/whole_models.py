"""Whole ONNX networks on hwsim's kernels and on ONNX Runtime, the same weights and inputs in both."""

from __future__ import annotations

import importlib
import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hwsim.errors import InputError
from hwsim.functional.run import run_reference
from hwsim.graph.graph import Graph
from hwsim.graph.operator import Array
from hwsim.graph.tensor import Tensor
from hwsim.operators.precision import dtype_of
from hwsim.workloads.onnx.document import onnx_package, read_model
from hwsim.workloads.onnx.importer import import_model

__all__ = ["RTOL", "ModelResult", "check_model", "shipped_models"]

RTOL = 1e-3
"""Relative tolerance of an output; its largest magnitude counts for elements that cancel to nearly nothing."""
_NEWEST_IR = 10
"""Version of the file format that any ONNX Runtime of the extra reads."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelResult:
    """One network: its counts, and how far its outputs lie from those of ONNX Runtime.

    ``error`` is the largest difference of an element over the largest magnitude of its output.
    """

    name: str
    operators: int
    macs: int
    parameters: int
    outputs: int
    error: float
    agrees: bool

    @property
    def verdict(self) -> str:
        """Passed or failed."""
        return "passed" if self.agrees else "failed"


def shipped_models() -> list[Path]:
    """The networks among the test data of the package onnx; raises InputError where it is missing."""
    onnx_package()
    home = Path(importlib.import_module("onnx.backend.test").__file__ or "").parent
    return sorted((home / "data" / "light").glob("*.onnx"))


def check_model(path: Path, dims: Mapping[str, int] | None = None, seed: int = 0) -> ModelResult:
    """Both runs of one network and their difference.

    Weights are those of the file; where it fills them with one number (as the test data of the package onnx do) they
    are drawn, and so are the inputs.

    Raises:
        InputError: onnxruntime is missing, or the file cannot be read or run.
    """
    model = read_model(path)
    counted = import_model(model, str(path), folder=path.parent, dims=dims).graph
    drawn = _weights_as_inputs(model)
    _show_logits(model)
    found = import_model(model, str(path), folder=path.parent, dims=dims, keep_formats=True)
    generator = np.random.default_rng(seed)
    given = {
        name: _values(tensor, drawn.get(name, ""), generator)
        for name, tensor in found.graph.tensors.items()
        if tensor.role == "input"
    }
    ours = run_reference(found.graph, given, seed)  # before external data are read: it refuses those that are absent
    onnx_package().external_data_helper.load_external_data_for_model(model, str(path.parent))
    theirs = _on_runtime(model, path, given)
    errors = [_error(ours[name], theirs[name]) for name in ours]
    close = [_close(ours[name], theirs[name]) for name in ours]
    return _result(path, counted, errors, agrees=all(close))


def _result(path: Path, graph: Graph, errors: list[float], *, agrees: bool) -> ModelResult:
    return ModelResult(
        name=path.stem,
        operators=len(graph.nodes),
        macs=graph.macs,
        parameters=graph.parameters,
        outputs=len(errors),
        error=max(errors, default=0.0),
        agrees=agrees,
    )


def _error(ours: Array, theirs: Array) -> float:
    """Largest difference over the largest magnitude."""
    difference = np.abs(ours.astype(np.float64) - theirs.astype(np.float64)).max(initial=0.0)
    scale = float(np.abs(theirs.astype(np.float64)).max(initial=0.0))
    return float(difference) / scale if scale else float(difference)


def _close(ours: Array, theirs: Array) -> bool:
    scale = float(np.abs(theirs.astype(np.float64)).max(initial=0.0))
    return bool(np.allclose(ours.astype(np.float64), theirs.astype(np.float64), rtol=RTOL, atol=RTOL * scale * 1e-2))


def _show_logits(model: Any) -> None:
    """Makes outputs of what a last softmax reads: probabilities may hide differences."""
    graph = model.graph
    ends = {item.name for item in (*graph.output, *graph.input)}
    for node in graph.node:
        if node.op_type == "Softmax" and node.output[0] in ends and node.input[0] not in ends:
            item = type(graph.output[0])()
            item.name = node.input[0]
            item.type.tensor_type.elem_type = graph.output[0].type.tensor_type.elem_type
            graph.output.append(item)


def _weights_as_inputs(model: Any) -> dict[str, str]:
    """Makes inputs of the weights that nodes fill with one number; gives what each is to the operator that reads it."""
    graph = model.graph
    shapes = {proto.name: proto for proto in graph.initializer}
    onnx = onnx_package()
    kept, made = [], {}
    for node in graph.node:
        if node.op_type == "ConstantOfShape" and node.input[0] in shapes:
            shape = onnx.numpy_helper.to_array(shapes[node.input[0]]).tolist()
            value = next((a.t for a in node.attribute if a.name == "value"), None)
            kind = value.data_type if value is not None else onnx.TensorProto.FLOAT
            if kind == onnx.TensorProto.FLOAT:
                graph.input.append(onnx.helper.make_tensor_value_info(node.output[0], kind, shape))
                made[node.output[0]] = ""
                continue
        kept.append(node)
    for node in kept:
        for index, name in enumerate(node.input):
            if name in made:
                made[name] = f"{node.op_type}.{index}"
    nodes = [type(node).FromString(node.SerializeToString()) for node in kept]
    del graph.node[:]
    graph.node.extend(nodes)
    return made


def _values(tensor: Tensor, place: str, generator: np.random.Generator) -> Array:
    """Values that keep activations of order one; variances are positive, whole numbers 0 or 1 (ids and masks)."""
    fmt, shape = tensor.type.format, tensor.shape
    if fmt.startswith(("int", "uint", "bool")):
        return generator.integers(0, 2, shape).astype(dtype_of(fmt))
    if place == "BatchNormalization.4":
        return generator.uniform(0.5, 1.5, shape).astype(np.float32)
    spread = 1 / math.sqrt(math.prod(shape[1:])) if place in ("Conv.1", "Gemm.1") else 1.0 if not place else 0.1
    drawn = spread * generator.standard_normal(shape)
    return (drawn + (place in ("BatchNormalization.1", "Mul.1", "Unsqueeze.0"))).astype(dtype_of(fmt))


def _on_runtime(model: Any, path: Path, given: Mapping[str, Array]) -> dict[str, Array]:
    """Outputs of ONNX Runtime by name, on one thread."""
    try:
        runtime = importlib.import_module("onnxruntime")
    except ImportError:
        raise InputError("comparing whole networks needs onnxruntime: pip install 'hwsim[onnx]'") from None
    options = runtime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    model.ir_version = min(model.ir_version, _NEWEST_IR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            session = runtime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
            wanted = {item.name for item in session.get_inputs()}
            names = [item.name for item in session.get_outputs()]
            values = session.run(names, {name: array for name, array in given.items() if name in wanted})
        except (runtime.capi.onnxruntime_pybind11_state.Fail, ValueError, RuntimeError) as error:
            raise InputError(f"{path}: ONNX Runtime cannot run this: {str(error).splitlines()[0]}") from None
    return dict(zip(names, (np.asarray(value) for value in values), strict=True))
