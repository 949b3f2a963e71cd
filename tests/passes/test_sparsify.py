"""Sparse weights: which elements stay, that nothing else changes, what is stored and moved, what devices skip."""

from __future__ import annotations

import numpy as np
import pytest

import hwsim
from hwsim.errors import InputError
from hwsim.functional.run import run_reference, weight_values
from hwsim.graph.graph import Graph, GraphBuilder
from hwsim.graph.lowering import lower
from hwsim.graph.storage import Storage
from hwsim.operators.linear import Linear
from hwsim.operators.relu import Relu
from hwsim.operators.sparsify import Sparsify
from hwsim.passes import apply_text
from hwsim.passes.sparsify import sparsify
from hwsim.workloads.registry import WORKLOADS


def _mlp(width: int = 32) -> Graph:
    b = GraphBuilder("mlp")
    x = b.add(
        Relu(), b.add(Linear(), b.input("x", (4, width)), b.weight("w1", (width, width)), b.weight("b1", (width,)))
    )
    return b.build([b.add(Linear(), x, b.weight("w2", (8, width)))])


def test_the_largest_magnitudes_stay() -> None:
    x = np.array([[4.0, -3.0, 1.0, 2.0], [-8.0, 7.0, 6.0, 0.5]])
    half = Storage(layout="bitmask", density=0.5)
    assert Sparsify(half).reference(x)[0].tolist() == [[4, 0, 0, 0], [-8, 7, 6, 0]]
    pairs = Storage(layout="n:m", density=0.5, keep=2, of=4)
    assert Sparsify(pairs).reference(x)[0].tolist() == [[4, -3, 0, 0], [-8, 7, 0, 0]]
    blocks = Storage(layout="csr", density=0.5, block=2)
    assert Sparsify(blocks).reference(x)[0].tolist() == [[4, -3, 0, 0], [-8, 7, 0, 0]]


@pytest.mark.parametrize("pattern", ["unstructured", "block:4", "2:4", "1:8"])
def test_a_sparse_network_computes_what_its_masked_weights_say(pattern: str) -> None:
    graph = _mlp()
    sparse = sparsify(graph, pattern, 0.75)
    x = {"x": np.random.default_rng(0).standard_normal((4, 32)).astype(np.float32)}
    masked = weight_values(graph)
    for node in sparse.nodes:
        if isinstance(node.op, Sparsify):
            (masked[node.inputs[0]],) = node.op.reference(masked[node.inputs[0]])
    (one,), (two,) = (list(v.values()) for v in (run_reference(sparse, x), run_reference(graph, masked | x)))
    assert np.array_equal(one, two)
    zeros = np.mean(masked["w1"] == 0)
    assert zeros == pytest.approx({"2:4": 0.5, "1:8": 0.875}.get(pattern, 0.75), abs=0.01)


def test_weights_shrink_and_arithmetic_does_not() -> None:
    graph = WORKLOADS["resnet18"].build(dtype="fp16")
    sparse = sparsify(graph, "2:4")
    convolutions = graph.weight_bytes - sum(
        t.type.size_bytes for t in graph.tensors.values() if t.role == "weight" and len(t.shape) < 2
    )
    assert sparse.weight_bytes == pytest.approx(graph.weight_bytes - 7 / 16 * convolutions, rel=1e-3)
    assert sparse.macs == graph.macs
    assert sparse.parameters == graph.parameters


def test_products_know_the_density_and_the_bytes_of_their_weights() -> None:
    works = lower(sparsify(_mlp(), "unstructured", 0.75, "csr").with_scheme("fp16")).works
    first = next(work for work in works if work.kernel == "linear")
    assert first.b_density == 0.25
    assert first.b_storage == pytest.approx(2 * 0.25, rel=0.3)  # value and index, and 4 bytes a row
    assert first.bytes_in < 0.7 * (4 * 32 + 32 * 32) * 2


def test_less_comes_from_memory_on_every_kind_of_device() -> None:
    graph = _mlp(8192)
    for device in ("ideal", "h100_sxm", "hexagon_v75", "kryo_8gen3"):
        costs = [hwsim.estimate(g, device).costs for g in (graph, sparsify(graph, "block:8", 0.9))]
        dense, sparse = (c.nodes(c.lowered.graph.phases[0]).dram_bytes.sum() for c in costs)
        assert 0 < sparse < 0.6 * dense, device


def test_multiplications_are_skipped_only_where_the_device_can() -> None:
    """Of a deep network: bringing images into the array's layout does not get faster."""
    graph = WORKLOADS["resnet34"].build(batch=4, dtype="fp16")
    plain = hwsim.load_device("hexagon_v75")
    skips = plain.evolve({"systolic_npu.sparse_speedup": 2.0})
    sparse = sparsify(graph, "2:4")
    assert hwsim.estimate(sparse, skips).time_s < 0.8 * hwsim.estimate(sparse, plain).time_s
    assert hwsim.estimate(sparse, plain).time_s > 0.8 * hwsim.estimate(graph, plain).time_s


def test_sparse_weights_can_be_quantized_and_trained_ones_sparsified() -> None:
    graph = apply_text(_mlp(), "sparsify:pattern=2:4,quantize:scheme=w8a8,fuse_quantized").with_scheme("fp16")
    assert graph.tensors["w1"].type.format == "int8"
    assert graph.tensors["w1"].type.size_bytes == 32 * 16 + 32 * 16 * 2 // 8
    linear = [work for work in lower(graph).works if work.kernel == "linear"]
    assert [(w.b_format, w.b_density) for w in linear] == [("int8", 0.5)] * 2
    assert apply_text(_mlp(), "sparsify:pattern=2:4,backward").name == "mlp training"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"pattern": "4:2"}, "2:4, not '4:2'"),
        ({"pattern": "block:0"}, "block:8"),
        ({"sparsity": 1.0}, "below 1, not 1"),
        ({"layout": "coo"}, "one of dense, bitmask, csr"),
        ({"pattern": "2:4", "layout": "csr"}, "leave out 'layout'"),
    ],
)
def test_what_cannot_be_asked_for_is_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        sparsify(_mlp(), **options)
