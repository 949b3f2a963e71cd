"""Whole networks, small: no pass changes a value, a multiply-accumulate, a phase or an output."""

from __future__ import annotations

import numpy as np
import pytest

from hwsim.functional.run import run_reference
from hwsim.graph.graph import Graph
from hwsim.passes import PASSES, apply_passes
from hwsim.workloads.registry import WORKLOADS
from tests.passes.drawn import drawn_inputs

NETWORKS = {
    "resnet18": {"height": 32, "width": 32},
    "mobilenet_v3_small": {"height": 32, "width": 32},
    "yolov8n": {"height": 64, "width": 64},
    "lstm": {},
}
PASS_LISTS = [[name] for name in PASSES] + [["upcast_norms", "fuse"], ["unfuse_attention", "upcast_norms", "fuse"]]


@pytest.fixture(scope="module", params=sorted(NETWORKS))
def network(request: pytest.FixtureRequest) -> tuple[Graph, dict[str, np.ndarray], dict[str, np.ndarray]]:
    graph = WORKLOADS[request.param].build(**NETWORKS[request.param])
    inputs = drawn_inputs(graph)
    return graph, inputs, run_reference(graph, inputs)


@pytest.mark.parametrize(
    "names",
    [pytest.param(names, marks=() if len(names) > 1 else pytest.mark.slow) for names in PASS_LISTS],
    ids="+".join,
)
def test_values_are_kept(network, names: list[str]) -> None:
    graph, inputs, expected = network
    found = run_reference(apply_passes(graph, names), inputs)
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert np.allclose(found[name], value, rtol=1e-5, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("names", PASS_LISTS, ids="+".join)
@pytest.mark.parametrize("workload", ["llama3_2_1b", "stable_diffusion_1_5", "whisper_tiny", "resnet50"])
def test_macs_phases_and_outputs_are_kept(workload: str, names: list[str]) -> None:
    graph = WORKLOADS[workload].build().with_scheme("bf16")
    after = apply_passes(graph, names)
    assert after.macs == graph.macs
    assert after.outputs == graph.outputs
    assert [(p.name, p.repeat) for p in after.phases] == [(p.name, p.repeat) for p in graph.phases]
    assert after.parameters == graph.parameters
    made = {name for node in after.nodes for name in node.outputs}
    outside = {t.name for t in after.tensors.values() if t.role != "activation"}
    assert all(name in made | outside for node in after.nodes for name in node.inputs)
