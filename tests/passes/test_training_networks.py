"""Training steps of networks: what they cost, how they are asked for, pipelines and quantization."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hwsim.errors import InputError
from hwsim.explore.fit import footprint
from hwsim.functional.run import run_reference
from hwsim.graph.graph import GraphBuilder, Phase
from hwsim.operators.linear import Linear
from hwsim.passes import apply_text
from hwsim.passes.backward import backward
from hwsim.workloads.registry import WORKLOADS
from tests.passes.drawn import drawn_inputs


@pytest.mark.parametrize("name", ["resnet50", "vit_b_16", "bert_base"])
def test_a_step_takes_three_times_the_multiplications_of_inference(name: str) -> None:
    graph = WORKLOADS[name].build()
    assert backward(graph).macs / graph.macs == pytest.approx(3, rel=0.04)
    assert 3.3 < backward(graph, recompute=True).macs / graph.macs < 4.05


def test_adam_costs_up_to_sixteen_bytes_a_weight() -> None:
    """fp32 weight and two moments, 16-bit copy and gradient (Rajbhandari et al., ZeRO, 2020, section 3.1).

    The copy of a first layer is read on the way forward only, so it makes room for the gradient.
    """
    b = GraphBuilder("g")
    graph = b.build([b.add(Linear(), b.input("x", (1, 1024)), b.weight("w", (1024, 1024)))])
    need = footprint(backward(graph).with_scheme("bf16"))
    assert need.weights_bytes == 4 << 20
    assert need.states_bytes == 8 << 20
    assert need.activations_bytes == pytest.approx(2 << 20, rel=0.01)


def test_recomputation_trades_multiplications_for_memory() -> None:
    graph = WORKLOADS["resnet50"].build(batch=32)
    kept, again = (footprint(backward(graph, recompute=r).with_scheme("fp16")) for r in (False, True))
    assert again.activations_bytes < 0.5 * kept.activations_bytes
    assert again.weights_bytes == kept.weights_bytes


def test_a_step_is_asked_for_by_text() -> None:
    graph = WORKLOADS["mlp"].build(passes="backward:optimizer=sgd:recompute=true")
    assert graph.name == "mlp training"
    assert any(node.op.kind == "sgd" for node in graph.nodes)
    assert apply_text(WORKLOADS["mlp"].build(), "backward").nodes[-1].op.kind == "adam"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("backwards", "did you mean 'backward'"),
        ("backward:optimiser=sgd", "no option 'optimiser'; did you mean 'optimizer'"),
        ("backward:optimizer=lamb", "optimizer is one of adam, sgd, none, not 'lamb'"),
        ("backward:recompute=maybe", "true or false, not 'maybe'"),
        ("backward:sgd", "backward:NAME=VALUE, not 'sgd'"),
        ("fuse:hard=true", "takes no options"),
    ],
)
def test_what_cannot_be_asked_for_is_refused(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        WORKLOADS["mlp"].build(passes=text)


@pytest.mark.parametrize(
    ("name", "phase", "loss"),
    [
        ("gpt2", "prefill", "cross_entropy"),
        ("pixart_sigma", "denoise", "mse"),
        ("stable_diffusion_1_5", "denoise", "mse"),
    ],
)
def test_a_phase_of_a_pipeline_is_trained_by_itself(name: str, phase: str, loss: str) -> None:
    graph = WORKLOADS[name].build()
    step = backward(graph, phase=phase)
    assert ("cross_entropy" if "labels" in step.tensors else "mse") == loss
    found = next(p for p in graph.phases if p.name == phase)
    alone = replace(
        graph,
        nodes=graph.nodes[found.first : found.last],
        phases=(Phase(phase, 0, found.last - found.first),),
    )
    assert step.macs / alone.macs == pytest.approx(3, rel=0.08)
    assert any(node.op.kind == "adam" for node in step.nodes)


def test_training_that_knows_of_quantization_rounds_on_the_way_forward_only() -> None:
    """Fake-quantized operands and straight-through gradients: those of the network at its rounded weights."""
    graph = WORKLOADS["mlp"].build()
    aware = apply_text(graph, "quantize:scheme=w8a8:fake=true,backward:optimizer=none")
    kinds = [node.op.kind for node in aware.nodes]
    assert kinds.count("fake_quantize") > 2
    assert aware.macs == backward(graph, optimizer="none").macs
    inputs = drawn_inputs(aware)
    plain = run_reference(backward(graph, optimizer="none"), inputs)
    rounded = run_reference(aware, inputs)
    for one, two in zip(plain.values(), rounded.values(), strict=True):
        assert 0.9 < float((one * two).sum()) / float(np.linalg.norm(one) * np.linalg.norm(two)) < 1 or one.size == 1
