"""Scenarios that ship with hwsim run, hold, and say the same every time."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import hwsim
from hwsim.report.document import result_document

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = sorted((ROOT / "scenarios").rglob("*.yaml"))
DEMO = ROOT / "scenarios" / "video" / "text_to_video.yaml"
Write = Callable[[str], Path]

SMALL = """
title: small
workload: {name: mlp, batch: 4, dtype: fp16}
systems: [l4, {name: phone, use: adreno_750}]
"""


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def written(body: str) -> Path:
        path = tmp_path / "small.yaml"
        path.write_text("schema: hwsim/scenario/v1\n" + body, encoding="utf-8")
        return path

    return written


QUICK = ("hbm_bandwidth_whatif", "precision_ladder", "resnet50_everywhere", "mixed_precision_memory")


@pytest.mark.parametrize(
    "path",
    [pytest.param(path, marks=() if path.stem in QUICK else pytest.mark.slow) for path in SHIPPED],
    ids=lambda path: path.stem,
)
def test_every_shipped_scenario_holds(path: Path) -> None:
    scenario = hwsim.load_scenario(path)
    scenario.run()
    assert scenario.refused == {}
    assert scenario.holds


def test_the_demo_simulates_within_five_seconds() -> None:
    scenario = hwsim.load_scenario(DEMO)
    begun = time.perf_counter()
    scenario.run()
    assert time.perf_counter() - begun < 5.0


def test_the_demo_runs_on_every_class_of_chip() -> None:
    results = hwsim.load_scenario(DEMO).run()
    assert [result.system.name for result in results] == [
        "h100_sxm",
        "rtx_4090",
        "ascend_910b",
        "phone_npu",
        "phone_gpu",
    ]
    assert all(result.fits for result in results)


@pytest.mark.slow
def test_each_unit_of_the_phone_works_alone_in_the_demo() -> None:
    *_, npu, gpu = hwsim.load_scenario(DEMO).run()
    assert {role: use["busy"] for role, use in npu.utilization.items()} == {"npu": 1.0, "gpu": 0.0, "cpu": 0.0}
    assert {role: use["busy"] for role, use in gpu.utilization.items()} == {"npu": 0.0, "gpu": 1.0, "cpu": 0.0}


@pytest.mark.slow
def test_the_same_scenario_gives_the_same_bytes_whatever_the_hash_seed(write: Write) -> None:
    path = write(SMALL + "variants: [{name: more, set: {workload.batch: 8}}]\n")
    command = [sys.executable, "-m", "hwsim", "run", str(path), "--json", "--quiet"]
    outputs = {
        subprocess.run(
            command, cwd=ROOT, env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, check=True
        ).stdout
        for seed in ("0", "1", "4242")
    }
    assert len(outputs) == 1


@pytest.mark.slow
@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_every_shipped_scenario_gives_the_same_bytes_whatever_the_hash_seed(path: Path) -> None:
    command = [sys.executable, "-m", "hwsim", "run", str(path), "--json", "--quiet"]
    outputs = {
        subprocess.run(
            command, cwd=ROOT, env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, check=True
        ).stdout
        for seed in ("0", "1")
    }
    assert len(outputs) == 1


def test_every_system_runs_in_every_variant(write: Write) -> None:
    scenario = hwsim.load_scenario(write(SMALL + "variants: [{name: more, set: {workload.batch: 8}}]\n"))
    runs = [(result.variant, result.system.name) for result in scenario.run()]
    assert runs == [("", "l4"), ("", "phone"), ("more", "l4"), ("more", "phone")]
    assert scenario.count == 4


def test_a_requirement_that_fails_is_told_with_its_value(write: Write) -> None:
    need = "require: [{name: instant, metric: latency_s, system: l4, op: '<=', limit: 1 ps}]\n"
    scenario = hwsim.load_scenario(write(SMALL + need))
    first, _ = scenario.run()
    (told,) = first.requirements
    assert not scenario.holds
    assert not told["holds"]
    assert told["value"] == first.latency_s


def test_a_requirement_without_a_system_is_judged_for_each(write: Write) -> None:
    scenario = hwsim.load_scenario(write(SMALL + "require: [{name: any, metric: latency_s, op: '>', limit: 1 ps}]\n"))
    assert [len(result.requirements) for result in scenario.run()] == [1, 1]


def test_a_claim_is_held_against_the_simulated_ratio(write: Write) -> None:
    claim = "claim: {says: slower, value: 3, unit: x, metric: latency_s, system: phone, over: l4}\n"
    l4, phone = hwsim.load_scenario(write(SMALL + claim)).run()
    (told,) = phone.claims
    assert told["simulated"] == phone.latency_s / l4.latency_s
    assert l4.claims == ()


def test_a_measurement_is_shown_with_the_error(write: Write) -> None:
    measured = "measured: [{system: l4, latency: 1 ms, source: nobody}]\n"
    l4, _ = hwsim.load_scenario(write(SMALL + measured)).run()
    (told,) = l4.measured
    assert told["error_percent"] == pytest.approx(100.0 * (l4.latency_s / 1e-3 - 1.0))


def test_a_system_that_cannot_run_the_work_is_named_and_fails_the_scenario(write: Write) -> None:
    scenario = hwsim.load_scenario(write(SMALL.replace("fp16", "fp8")))
    results = scenario.run()
    assert [result.system.name for result in results] == ["l4"]
    assert "fp8" in scenario.refused["phone"]
    assert not scenario.holds


def test_a_model_that_does_not_fit_is_run_and_marked(write: Write) -> None:
    body = "title: big\nworkload: {name: llama3_8b, phase: decode, dtype: fp16}\nsystems: [adreno_750]\n"
    scenario = hwsim.load_scenario(write(body))
    (result,) = scenario.run()
    assert not result.fits
    assert "weights" in result.note
    assert not scenario.holds


def test_asking_whether_it_fits_excuses_what_does_not(write: Write) -> None:
    body = "title: big\nworkload: {name: llama3_8b, phase: decode, dtype: fp16}\nsystems: [adreno_750]\n"
    need = "require: [{name: too big, metric: fits, op: '==', limit: 0}]\n"
    scenario = hwsim.load_scenario(write(body + need))
    scenario.run()
    assert scenario.holds


def test_values_set_from_outside_reach_the_workload(write: Write) -> None:
    path = write(SMALL)
    one, _ = hwsim.load_scenario(path, ["workload.batch=4096"]).run()
    other, _ = hwsim.load_scenario(path).run()
    assert one.items == 4096
    assert one.latency_s > other.latency_s


def test_the_document_holds_a_run_a_system(write: Write) -> None:
    document = result_document(hwsim.load_scenario(write(SMALL)).run())
    assert [run["system"] for run in document["runs"]] == ["l4", "phone"]
    assert json.loads(json.dumps(document, allow_nan=False)) == document


@pytest.mark.slow
def test_a_scenario_reports_the_numerical_error_beside_time_and_energy(write: Write) -> None:
    body = SMALL + "numerics: {inputs: 2, at: {batch: 2}}\nvariants: [{name: int8, set: {workload.dtype: w8a8}}]\n"
    body += "require: [{name: near, metric: snr_db, variant: int8, op: '>=', limit: 20}]\n"
    scenario = hwsim.load_scenario(write(body))
    results = scenario.run()
    runs = result_document(results)["runs"]
    assert [run["numerics"]["scheme"] for run in runs] == ["fp16", "fp16", "w8a8", "w8a8"]
    assert runs[2]["numerics"] == runs[3]["numerics"]
    assert runs[0]["numerics"]["snr_db"] > runs[2]["numerics"]["snr_db"] > 20
    assert runs[2]["numerics"]["inputs"] == 2
    assert runs[2]["weight_bytes"] < 0.6 * runs[0]["weight_bytes"]
    assert scenario.holds
    assert result_document(hwsim.load_scenario(write(SMALL)).run())["runs"][0]["numerics"] is None


def test_a_requirement_on_the_numerical_error_needs_numerics(write: Write) -> None:
    body = SMALL + "require: [{name: near, metric: snr_db, op: '>=', limit: 20}]\n"
    with pytest.raises(hwsim.HwsimError, match=r"numerics: \{inputs: 8\}"):
        hwsim.load_scenario(write(body)).run()
