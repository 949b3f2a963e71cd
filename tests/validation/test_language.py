"""Rows of language models: which steps they stand for, in which pieces, on how many chips."""

from __future__ import annotations

from pathlib import Path

import pytest

from hwsim.validation.language import chips_of, language_run
from hwsim.validation.measured import MeasuredFile, Row, read_measured
from hwsim.validation.networks import planned
from hwsim.validation.predict import predict
from hwsim.validation.score import scored


def _row(**columns: str) -> Row:
    return Row(2, columns, {})


def test_the_number_of_chips_stands_behind_the_name_or_in_a_column() -> None:
    assert chips_of(_row(chip="3090 24GB * 4")) == ("3090 24GB", 4)
    assert chips_of(_row(device="A40", ngpus="2")) == ("A40", 2)
    assert chips_of(_row(device="M1 Max 32\u201164GB")) == ("M1 Max 32-64GB", 1)


def test_llama_cpp_reads_a_prompt_in_pieces_of_512_behind_each_other() -> None:
    row = _row(op="llm_prefill", model="Llama-3-8B", seq_q="1100")
    pieces = [(piece["prompt"], piece["past"]) for piece in language_run(row, "llama-bench").pieces]
    assert pieces == [(512, 0), (512, 512), (76, 1024)]
    assert len(language_run(row, "vllm").pieces) == 1


def test_a_token_of_llama_cpp_is_the_one_halfway_through_those_it_writes() -> None:
    row = _row(op="llm_generate_per_token", model="Llama-3-8B", seq_kv="1024")
    (piece,) = language_run(row, "llama-bench").pieces
    assert piece == {"phase": "decode", "context": 512}


def test_a_training_step_is_a_prompt_with_its_gradients_and_no_optimizer() -> None:
    row = _row(op="model_train_iter", model="gpt2", batch="1", seq_q="64", precision="fp32")
    graph = planned(row).plans[0].graph()
    assert [t.role for t in graph.tensors.values() if t.name == "labels"] == ["input"]
    kinds = {node.op.kind for node in graph.nodes}
    assert {"cross_entropy_grad", "softmax_grad"} <= kinds
    assert not kinds & {"adam", "sgd"}


def test_a_rate_of_tokens_is_a_share_of_the_whole_prompt() -> None:
    row = _row(
        model="llama3-8B prefill", input="1024-token prompt / 1024 generated", tokens_per_s="5", precision="fp16"
    )
    what = planned(row, "llama.cpp")
    assert (what.tokens, len(what.plans), what.together) == (1024, 2, 4)


HELD_OUT = (
    "rtx_3070",
    "rtx_3080",
    "rtx_3080_ti",
    "rtx_4070_ti",
    "rtx_4080",
    "a40",
    "rtx_4000_ada",
    "rtx_5000_ada",
    "h100_pcie",
    "apple_m1_gpu_7",
)
"""Chips that no constant of llama.cpp was fitted to; F16 prompts on A100 SXM took ten times as long as on A100 PCIe."""


@pytest.mark.slow
@pytest.mark.validation
@pytest.mark.parametrize(("phase", "most"), [("decode", 10.0), ("prefill", 15.0)])
def test_llama_cpp_on_chips_it_was_not_fitted_to(shared_dir: Path, phase: str, most: float) -> None:
    file = read_measured(shared_dir / "ground_truth" / "edge" / "llamacpp_gpu_apple.csv")
    assert file is not None
    rows = tuple(row for row in file.rows if phase in row.text("model") and "*" not in row.text("device"))
    chosen = [row for row in predict([MeasuredFile(file.path, file.columns, rows)], HELD_OUT) if row.values]
    assert len(chosen) >= 14
    found = scored([row.values["time"] for row in chosen], [row.row.figures["latency_ms"] for row in chosen])
    assert found.mape <= most


@pytest.mark.slow
@pytest.mark.validation
def test_eager_networks_in_fp32_follow_from_kernels_alone(shared_dir: Path) -> None:
    """GPT-2 large, GPT-3 XL, OPT-1.3B and Switch-XL on five GPUs (NeuSight): no network was fitted."""
    file = read_measured(shared_dir / "ground_truth" / "gpu" / "model_dev.csv")
    assert file is not None
    rows = tuple(row for row in file.rows if row.text("timing") == "cuda_event_eager")
    chosen = [row for row in predict([MeasuredFile(file.path, file.columns, rows)]) if row.values]
    chosen = [row for row in chosen if row.op == "model_forward"]
    assert len(chosen) >= 30
    found = scored([row.values["time"] for row in chosen], [row.row.figures["latency_us"] for row in chosen])
    assert found.mape <= 5.2
