"""Open-weight language models that are found by name: counts as published."""

from __future__ import annotations

import pytest

from hwsim.workloads import WORKLOADS
from hwsim.workloads.decoder import Run, decoder_graph
from hwsim.workloads.open_models import OPEN_MODELS

STEP = Run(phase="decode", batch=1, prompt=1, context=1, tokens=1, logits="last")


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(OPEN_MODELS))
def test_a_model_has_the_parameters_that_are_published(name: str) -> None:
    _, _, shape, published = OPEN_MODELS[name]
    graph = decoder_graph(name, shape, STEP)
    assert graph.parameters == pytest.approx(published.parameters, rel=published.tolerance)


def test_a_model_is_found_but_not_listed() -> None:
    assert "gemma2_9b" not in list(WORKLOADS)
    graph = WORKLOADS["smollm2_135m"].build(phase="decode", context=16)
    assert graph.parameters == pytest.approx(134.5e6, rel=0.001)
