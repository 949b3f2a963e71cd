"""The encoder that Rockchip's zoo calls lite-transformer-encoder-16."""

from __future__ import annotations

from hwsim.validation.names import named_workload
from hwsim.workloads import WORKLOADS


def test_the_lite_transformer_has_the_layers_of_its_configuration() -> None:
    """Five layers of six products of 256 x 256 with biases and two norms; embeddings and masks come from outside."""
    graph = WORKLOADS["lite_transformer_encoder"].build(dtype="fp16")
    assert graph.weight_bytes == 2 * 5 * (6 * (256 * 256 + 256) + 2 * 2 * 256)
    assert [graph.tensors[name].shape for name in graph.outputs] == [(1, 16, 256)]


def test_the_zoo_of_rockchip_names_it_with_its_words() -> None:
    assert named_workload("lite-transformer-encoder-16")[0] == "lite_transformer_encoder"
