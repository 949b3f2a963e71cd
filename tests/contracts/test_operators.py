"""What every registered operator promises, checked on sample inputs of each kind.

An operator of one to three inputs of equal shape is tested without being listed; others need a sample below.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

import hwsim.operators  # noqa: F401 - registers them
from hwsim.errors import ShapeError
from hwsim.graph.operator import OPERATORS, kernel_labels
from hwsim.graph.tensor import TensorType
from hwsim.graph.work import Gemm
from hwsim.operators.precision import dtype_of

Shapes = Sequence[tuple[int, ...]]

_REDUCTIONS = ("sum", "mean", "max", "min", "prod", "l1", "l2", "sum_square", "log_sum", "log_sum_exp")
_CONV = [(2, 4, 7, 6), (6, 2, 3, 3), (6,)]
SAMPLES: dict[str, list[tuple[dict[str, Any], Shapes]]] = {
    "activation_grad": [({}, [(4, 8), (4, 8)])],
    "adam": [({}, [(4, 8)] * 4)],
    "attention_grad": [({"causal": True}, [(1, 2, 4, 8)] * 4)],
    "batchnorm_train": [({}, [(4, 3, 5), (3,), (3,)])],
    "conv_input_grad": [({"sizes": (5, 6)}, [(2, 3, 5, 6), (3, 4, 1, 1)])],
    "conv_weight_grad": [({"kernel": (3, 3)}, [(2, 3, 5, 6), (2, 4, 7, 8)])],
    "cross_entropy": [({}, [(2, 3, 5), (2, 3)])],
    "cross_entropy_grad": [({}, [(4, 5), (4,)])],
    "embedding_grad": [({}, [(2, 3, 4), (2, 3)])],
    "norm_grad": [({"affine": 2}, [(4, 8), (4, 8), (8,)])],
    "pooling_grad": [({}, [(1, 2, 2, 3), (1, 2, 4, 6)])],
    "selective_scan": [
        ({}, [(2, 3, 4, 5), (2, 3, 4), (4,), (4,), (2, 3, 2, 6), (2, 3, 2, 6), (4,)]),
        ({}, [(2, 1, 4, 5), (2, 1, 4), (4,), (4,), (2, 1, 2, 6), (2, 1, 2, 6), (4,), (2, 4, 5, 6)]),
    ],
    "sgd": [({}, [(4, 8)] * 3)],
    "upsample_grad": [({}, [(1, 2, 4, 8)])],
    "append": [({"axis": 2}, [(1, 2, 5, 4), (1, 2, 1, 4)])],
    "attention": [({}, [(2, 4, 3, 8), (2, 2, 5, 8), (2, 2, 5, 8)]), ({"causal": True}, [(1, 2, 4, 8)] * 3)],
    "attention_merge": [({}, [(2, 4, 3, 8), (2, 4, 3, 8), (2, 4, 3, 1), (2, 4, 3, 1)])],
    "attention_part": [({}, [(2, 4, 3, 8), (2, 2, 5, 8), (2, 2, 5, 8)])],
    "arg_extreme": [({}, [(3, 4)]), ({"mode": "min", "axis": 0, "keepdims": True, "last": True}, [(3, 4)])],
    "batchnorm": [({}, [(2, 3, 4), (3,), (3,), (3,), (3,)])],
    "cast": [({"format": "fp32"}, [(4, 8)])],
    "concat": [({"axis": 1}, [(2, 3), (2, 5), (2, 1)])],
    "conv1d": [({"stride": 2, "padding": 1}, [(2, 4, 9), (6, 4, 3), (6,)])],
    "conv2d": [
        ({"stride": (2, 1), "padding": (1, 0, 2, 1), "groups": 2}, _CONV),
        ({"padding": (1, 1), "groups": 4}, [(1, 4, 5, 5), (4, 1, 3, 3)]),
    ],
    "conv3d": [({"padding": (2, 1, 1, 0, 1, 1)}, [(1, 2, 3, 5, 4), (3, 2, 3, 3, 3)])],
    "clip": [({"low": 0.3, "high": 1.0}, [(3, 4)])],
    "conv_transpose": [({"stride": (2, 2), "padding": (1, 1)}, [(1, 4, 3, 5), (4, 6, 4, 4), (6,)])],
    "dequantize_linear": [({"format": "fp16"}, [(4, 8)])],
    "cumulative": [({}, [(3, 4)]), ({"mode": "prod", "exclusive": True, "reverse": True}, [(3, 4)])],
    "einsum": [({"equation": "bij,bjk->bik"}, [(2, 3, 4), (2, 4, 5)]), ({"equation": "ij->j"}, [(3, 4)])],
    "embedding": [({}, [(2, 3), (10, 4)])],
    "expert_linear": [({}, [(3, 2, 4), (3, 2), (2, 5, 4)]), ({"ranks": 2}, [(2, 2, 4), (2, 2), (1, 5, 4)])],
    "quantized_product": [],  # made by a pass; see tests/operators/test_quantized_product.py
    "fused": [],  # made by a pass; see tests/operators/test_fused.py
    "gather": [({"axis": 1}, [(3, 5, 2), (2, 2)])],
    "gather_elements": [({"axis": 1}, [(3, 5), (3, 2)])],
    "gather_nd": [({}, [(4, 5, 2), (3, 2)]), ({"batch": 1}, [(3, 5, 2), (3, 4, 1)])],
    "gemm": [({}, [(3, 4), (4, 5), (5,)]), ({"transpose_a": True, "transpose_b": True}, [(4, 3), (5, 4)])],
    "global_average": [({}, [(2, 3, 4, 5)])],
    "groupnorm": [({"groups": 2}, [(2, 4, 3, 3), (4,), (4,)])],
    "halo": [({"participants": 2}, [(2, 3, 4, 5)])],
    "host_copy": [({}, [(2, 3)])],
    "layernorm": [({}, [(2, 8), (8,), (8,)]), ({"axes": 2}, [(2, 3, 4)])],
    "linear": [({}, [(2, 3, 4), (5, 4), (5,)]), ({}, [(4,), (5, 4)])],
    "matmul": [({}, [(2, 3, 4), (4, 5)]), ({"transpose_b": True}, [(2, 3, 4), (2, 5, 4)])],
    "one_hot": [({"depth": 5, "axis": 1, "format": "fp16"}, [(3, 2)])],
    "opaque": [],  # has no values; see tests/workloads/test_onnx_import.py
    "pad": [({"pads": ((1, 1), (0, 2)), "mode": mode}, [(2, 3)]) for mode in ("edge", "reflect", "wrap")]
    + [({"pads": ((1, 0), (0, 2)), "value": 3.0}, [(2, 3)])],
    "pooling": [
        ({"kernel": (3, 3), "stride": (2, 2), "padding": (1, 1)}, [(1, 2, 7, 7)]),
        ({"mode": "average", "ceil": True}, [(1, 2, 5, 5)]),
        ({"kernel": (2,), "dilation": (2,), "places": "rows"}, [(1, 2, 5)]),
        ({"mode": "norm", "kernel": (2, 2, 2)}, [(1, 2, 4, 4, 4)]),
    ],
    "recurrent": [
        ({}, [(3, 2, 4), (20, 4), (20, 5), (40,), (2, 5), (2, 5)]),
        ({"mode": "gru", "backward": True}, [(3, 2, 4), (15, 4), (15, 5), (30,), (2, 5)]),
        ({"mode": "rnn"}, [(3, 2, 4), (5, 4), (5, 5), (10,), (2, 5)]),
    ],
    "reduce": [({"mode": mode, "axes": (0, 2)}, [(2, 3, 4)]) for mode in _REDUCTIONS],
    "reduce_scatter": [({"participants": 2, "axis": 1}, [(3, 4)])],
    "rmsnorm": [({}, [(2, 8), (8,)])],
    "rope": [({}, [(1, 2, 3, 4)]), ({"interleaved": True}, [(2, 1, 3, 4), (2, 3)])],
    "scale_shift": [({}, [(2, 3, 4), (2, 1, 4), (2, 1, 4)])],
    "shard": [({"axis": 1, "segments": ((1, False), (4, True))}, [(2, 5)])],
    "scatter_elements": [({"axis": 1, "mode": mode}, [(3, 5), (3, 2), (3, 2)]) for mode in ("none", "add")],
    "scatter_nd": [({}, [(4, 5), (2, 1), (2, 5)])],
    "slice": [({"axis": 1, "start": 1, "stop": None, "step": 2}, [(2, 5)])],
    "suppress_overlaps": [({"kept": 3}, [(2, 5, 4), (2, 5, 3)])],
    "split": [({"axis": 1, "sizes": (2, 3)}, [(2, 5)])],
    "tile": [({"repeats": (2, 1)}, [(2, 3)])],
    "topk": [({"k": 2}, [(3, 5)]), ({"k": 3, "axis": 0, "largest": False}, [(5, 2)])],
    "pack_queries": [({"perm": (1, 0, 2)}, [(2, 3, 4)])],
    "transpose": [({"perm": (2, 0, 1)}, [(2, 3, 4)])],
    "unfold": [({"kernel": (3, 2), "stride": (2, 1), "padding": (1, 0)}, [(2, 3, 5, 4)])],
    "fold": [({"size": (5, 4), "kernel": (3, 2), "stride": (2, 1), "padding": (1, 0)}, [(2, 18, 9)])],
    "upsample": [({}, [(1, 2, 3, 3)]), ({"scales": None, "size": (5, 4), "mode": "bilinear"}, [(1, 2, 3, 3)])],
}
VIEWS: dict[str, list[tuple[dict[str, Any], Shapes]]] = {
    "expand": [({"shape": (4, -1)}, [(1, 3)])],
    "reshape": [({"shape": (0, -1)}, [(2, 3, 4)])],
    "slice_view": [({"axis": 1, "start": 1, "stop": None, "step": 2}, [(2, 5)])],
    "split_view": [({"axis": 1, "sizes": (2, 3)}, [(2, 5)])],
    "strided_view": [({"perm": (2, 0, 1)}, [(2, 3, 4)])],
}
"""Operators that never ask for Work."""
WIDER = {"cast": np.float32, "dequantize_linear": np.float32, "quantize_linear": np.int8}
"""Dtypes of results that do not follow their input, by kind."""
INTEGERS = {
    "cross_entropy": [1],
    "cross_entropy_grad": [1],
    "embedding": [0],
    "embedding_grad": [1],
    "expert_linear": [1],
    "gather": [1],
    "gather_elements": [1],
    "gather_nd": [1],
    "one_hot": [0],
    "rope": [1],
    "scatter_elements": [1],
    "scatter_nd": [1],
}
"""Inputs that are indices or positions, by kind."""


def _generic(kind: str) -> list[tuple[dict[str, Any], Shapes]]:
    """Samples for an operator without an entry: the least number of equal shapes it takes."""
    for count in (1, 2, 3):
        try:
            OPERATORS[kind]().infer([TensorType((4, 8), "fp16")] * count)
        except ShapeError:
            continue
        return [({}, [(4, 8)] * count)]
    pytest.fail(f"operator '{kind}' takes neither one, two nor three tensors of one shape: add a sample to SAMPLES")


def _cases() -> list[Any]:
    cases = []
    for kind in sorted(OPERATORS):
        known = kind in SAMPLES or kind in VIEWS
        samples = SAMPLES.get(kind, []) + VIEWS.get(kind, []) if known else _generic(kind)
        cases += [pytest.param(kind, fields, shapes, id=f"{kind}-{i}") for i, (fields, shapes) in enumerate(samples)]
    return cases


def _types(kind: str, shapes: Shapes) -> list[TensorType]:
    integer = INTEGERS.get(kind, [])
    return [TensorType(shape, "int32" if i in integer else "fp16") for i, shape in enumerate(shapes)]


def _arrays(kind: str, shapes: Shapes, dtype: Any) -> list[np.ndarray[Any, Any]]:
    generator = np.random.default_rng(0)
    integer = INTEGERS.get(kind, [])
    drawn = [generator.uniform(0.1, 1.5, shape).astype(np.float16) for shape in shapes]
    return [(x * 2).astype(np.int32) if i in integer else x.astype(dtype) for i, x in enumerate(drawn)]


each_sample = pytest.mark.parametrize(("kind", "fields", "shapes"), _cases())
each_kind = pytest.mark.parametrize("kind", sorted(OPERATORS))


@each_sample
def test_the_inferred_shapes_are_those_of_the_values(kind: str, fields: dict[str, Any], shapes: Shapes) -> None:
    op = OPERATORS[kind](**fields)
    inferred = op.infer(_types(kind, shapes))
    values = op.reference(*_arrays(kind, shapes, np.float32))
    assert [t.shape for t in inferred] == [v.shape for v in values]


@each_sample
def test_half_precision_values_are_those_of_double_precision_rounded(
    kind: str, fields: dict[str, Any], shapes: Shapes
) -> None:
    op = OPERATORS[kind](**fields)
    exact = op.reference(*_arrays(kind, shapes, np.float64))
    formats = [t.format for t in op.infer(_types(kind, shapes))]
    for half, double, fmt in zip(op.reference(*_arrays(kind, shapes, np.float16)), exact, formats, strict=True):
        assert half.dtype == WIDER.get(kind, dtype_of(fmt))
        assert np.allclose(half.astype(np.float64), double, rtol=2e-3, atol=2e-3)


@each_sample
def test_work_is_counted_and_positive_unless_it_is_a_view(kind: str, fields: dict[str, Any], shapes: Shapes) -> None:
    op = OPERATORS[kind](**fields)
    inputs = _types(kind, shapes)
    works = op.lower(inputs, op.infer(inputs))
    assert bool(works) == (kind not in VIEWS)
    for work in works:
        assert work.kernel in kernel_labels()
        for count in (work.macs, work.flop, work.bytes_in, work.bytes_out):
            assert isinstance(count, int)
            assert count >= 0
        assert work.bytes_in > 0
        assert work.bytes_out > 0
        assert isinstance(hash(work), int)


@each_sample
def test_every_size_of_work_is_a_whole_number(kind: str, fields: dict[str, Any], shapes: Shapes) -> None:
    op = OPERATORS[kind](**fields)
    inputs = _types(kind, shapes)
    for work in op.lower(inputs, op.infer(inputs)):
        for item in dataclasses.fields(work):
            value = getattr(work, item.name)
            assert isinstance(value, {"int": int, "float": float, "bool": bool, "str": str}[str(item.type)]), item.name


@each_sample
def test_one_kernel_writes_each_output_once(kind: str, fields: dict[str, Any], shapes: Shapes) -> None:
    if kind in {"append", "recurrent", "all_gather", "attention_grad", "attention_part", "halo", "reduce_scatter"}:
        pytest.skip("writes a part of its output, several kernels, or is counted by the whole vector of a rank")
    op = OPERATORS[kind](**fields)
    inputs = _types(kind, shapes)
    outputs = op.infer(inputs)
    works = op.lower(inputs, outputs)
    if works:
        assert sum(work.bytes_out for work in works) == sum(t.size_bytes for t in outputs)


@each_sample
def test_equal_operators_are_equal_and_hash_alike(kind: str, fields: dict[str, Any], shapes: Shapes) -> None:
    assert shapes
    one, two = OPERATORS[kind](**fields), OPERATORS[kind](**fields)
    assert one == two
    assert hash(one) == hash(two)


@each_sample
def test_too_few_and_too_many_inputs_are_shape_errors(kind: str, fields: dict[str, Any], shapes: Shapes) -> None:
    op = OPERATORS[kind](**fields)
    counts = (0,) if kind == "concat" else (0, len(shapes) + 5)
    for count in counts:
        with pytest.raises(ShapeError, match=kind):
            op.infer(list(itertools.islice(itertools.cycle(_types(kind, shapes)), count)))


@each_kind
def test_an_operator_is_a_frozen_slotted_dataclass(kind: str) -> None:
    cls: Any = OPERATORS[kind]
    assert dataclasses.is_dataclass(cls)
    assert cls.__dataclass_params__.frozen
    assert cls.__dictoffset__ == 0
    assert cls.__doc__
    assert cls.infer.__doc__
    assert cls.lower.__doc__
    assert cls.reference.__doc__


@each_kind
def test_an_operator_lives_in_the_module_of_its_kind(kind: str) -> None:
    assert OPERATORS[kind].__module__ == f"hwsim.operators.{kind}"


def test_a_product_with_a_weight_says_so() -> None:
    for kind in ("linear", "conv2d", "gemm", "matmul"):
        fields, shapes = SAMPLES[kind][0]
        op = OPERATORS[kind](**fields)
        inputs = [TensorType(shape, "fp16", weight=i > 0) for i, shape in enumerate(shapes)]
        (work,) = op.lower(inputs, op.infer(inputs))
        assert isinstance(work, Gemm)
        assert work.b_is_weight
