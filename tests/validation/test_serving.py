"""Serving rows: which model, engine and requests they mean, and how far predictions are from them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from benchmarks.fit_gpu import held_out
from hwsim.validation.measured import MeasuredFile, Row, read_measured
from hwsim.validation.predict import Prediction, predict
from hwsim.validation.score import scored
from hwsim.validation.serving import serving_group

_ROW = {
    "device": "H100-SXM5-80GB",
    "op": "serve_tpot",
    "dtype": "fp8",
    "batch": "8.0",
    "seq_q": "1024.0",
    "seq_kv": "1040.0",
    "ngpus": "2.0",
    "model": "meta-llama/Llama-3.1-8B-Instruct",
    "timing": "serving_bench",
    "stack": "trtllm 1.0.0rc3",
}


def _predicted(**changes: str) -> Prediction:
    columns: Mapping[str, str] = _ROW | changes
    row = Row(2, columns, {"latency_us": 1.0})
    (found,) = predict([MeasuredFile(Path("rows.csv"), tuple(columns), (row,))])
    return found


def _time_s(**changes: str) -> float:
    return _predicted(**changes).values["time"]


def test_more_clients_mean_longer_waits_for_the_first_and_for_each_token() -> None:
    for op in ("serve_ttft", "serve_tpot"):
        times = [_time_s(op=op, batch=batch) for batch in ("1", "8", "24")]
        assert times == sorted(times)
        assert times[0] < 0.9 * times[2]


def test_more_devices_make_tokens_faster() -> None:
    assert _time_s(ngpus="4") < _time_s(ngpus="1")


def test_a_cache_too_small_for_all_clients_makes_them_wait() -> None:
    """Qwen3-32B in bf16 leaves 39 GB a rank of two H100 for 128 sequences of 4,608 tokens: a half fits."""
    big = {"model": "Qwen/Qwen3-32B", "dtype": "", "seq_q": "4096", "seq_kv": "4608", "stack": "vllm 0.12.0"}
    assert _time_s(op="serve_ttft", batch="128", ngpus="2", **big) > 8 * _time_s(
        op="serve_ttft", batch="128", ngpus="8", **big
    )


def test_an_engine_is_known_by_its_name_without_a_version() -> None:
    times = [_time_s(stack=stack) for stack in ("trtllm 1.0.0rc3", "TensorRT-LLM 1.2", "trtllm/1.3.0rc5")]
    assert times[0] == times[1] == times[2] != _time_s(stack="vllm 0.12.0")


def test_what_is_not_known_is_said() -> None:
    assert "no workload for 'nobody/Model'" in _predicted(model="nobody/Model").reason
    assert "no number above 0 in column 'batch'" in _predicted(op="serve_decode_itl", batch="").reason
    assert "experts among 4 ranks on 2 devices" in _predicted(model="Qwen/Qwen3-30B-A3B tp=1 ep=4").reason
    assert "how the engine 'lmdeploy'" in _predicted(stack="lmdeploy 1").reason
    assert "do not fit into a cache" in _predicted(ngpus="1", seq_q="2000000", seq_kv="2000100").reason


def test_a_steady_step_has_a_time_a_power_and_an_energy_a_token() -> None:
    model = "Qwen/Qwen3-8B task=gpqa tp=1 ep=1 arch=Dense_Transformer"
    row = {"op": "serve_decode_itl", "model": model, "timing": "serving_bench_zeus", "stack": "vllm", "seq_q": ""}
    found = _predicted(**row, batch="31.99", seq_kv="8170", ngpus="1", dtype="bfloat16").values
    assert found["energy"] == pytest.approx(found["power"] * found["time"] / 31.99, rel=0.01)  # few prompts come
    assert 0.010 < found["time"] < 0.020
    assert 300 < found["power"] <= 700


def test_experts_spread_over_devices_make_steps_faster_and_are_named_in_the_model() -> None:
    row = {"op": "serve_decode_itl", "timing": "serving_bench_zeus", "stack": "vllm", "seq_q": "", "dtype": "bfloat16"}
    times = {}
    for spread in (1, 2):
        model = f"Qwen/Qwen3-30B-A3B-Instruct-2507 task=lm-arena-chat tp=1 ep={spread} arch=MoE"
        found = _predicted(**row, model=model, batch="63.92", seq_kv="919", ngpus=str(spread)).values
        times[spread] = found["time"]
        assert found["power"] <= 700 * spread
    assert 1.2 < times[1] / times[2] < 2.0


@pytest.mark.slow
@pytest.mark.validation
@pytest.mark.parametrize(("op", "most"), [("serve_tpot", 8.0), ("serve_ttft", 28.0)])
def test_served_models_in_groups_that_set_no_constant(shared_dir: Path, op: str, most: float) -> None:
    file = read_measured(shared_dir / "ground_truth" / "gpu" / "model_dev.csv")
    assert file is not None
    rows = tuple(row for row in file.rows if row.text("op") == op and held_out(serving_group(row)))
    assert len(rows) >= 200
    chosen = predict([MeasuredFile(file.path, file.columns, rows)])
    assert all(each.values for each in chosen)
    found = scored([each.values["time"] for each in chosen], [each.row.figures["latency_us"] for each in chosen])
    assert found.mape <= most
