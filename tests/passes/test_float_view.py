"""Quantized models on kernels that know floats alone: what becomes fp16, and what it costs on a phone's GPU."""

from __future__ import annotations

import pytest

import hwsim
from hwsim.graph.graph import Graph
from hwsim.passes import PASSES, TRANSFORMS
from hwsim.workloads import workload


def _resnet(dtype: str) -> Graph:
    return workload("resnet18").with_scheme(dtype)


@pytest.mark.parametrize("dtype", ["w8a8", "w8a16_int", "w4a16"])
def test_what_the_scheme_keeps_in_integers_becomes_fp16(dtype: str) -> None:
    after = PASSES["float_view"](_resnet(dtype))
    assert {t.type.format for t in after.tensors.values()} == {t.type.format for t in _resnet("fp16").tensors.values()}
    assert {t.type.format for t in _resnet(dtype).tensors.values()} & {"int8", "int4"}


def test_floats_and_indices_stay() -> None:
    for graph in (_resnet("fp16"), _resnet("fp32")):
        assert PASSES["float_view"](graph) is graph
    words = PASSES["float_view"](workload("bert_base").with_scheme("w8a8"))
    assert {t.type.format for t in words.tensors.values()} & {"int32", "int64"}


def test_a_graph_that_quantizes_by_operators_stays() -> None:
    quantized = TRANSFORMS["quantize"](_resnet("fp16"), "w8a8")
    assert PASSES["float_view"](quantized) is quantized


def test_a_phones_gpu_gains_nothing_from_integers() -> None:
    integers, floats = (hwsim.estimate(_resnet(dtype), "adreno_740").time_s for dtype in ("w8a8", "fp16"))
    assert integers == pytest.approx(floats, rel=1e-12)
