"""Every command, doing what it is for."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import hwsim

ROOT = Path(__file__).resolve().parents[2]
Hwsim = Callable[..., Any]
Write = Callable[..., str]
COMMANDS = ["run", "compare", "estimate", "devices", "workloads", "policies", "ops", "check", "explain", "fit"]
COMMANDS += ["new", "schema", "sweep"]
SLOW = 'require: [{name: fast, metric: latency_s, op: "<=", limit: 1 ns}]\n'


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(hwsim_cli: Hwsim, command: str) -> None:
    ran = hwsim_cli(command, "--help")
    assert ran.code == 0
    assert {"--help", "--quiet", "--verbose"} <= set(ran.out.split())


def test_the_version(hwsim_cli: Hwsim) -> None:
    assert hwsim_cli("--version").out == f"hwsim {hwsim.__version__}\n"


def test_a_scenario_prints_its_table_what_it_rests_on_and_what_takes_time(hwsim_cli: Hwsim, scenario: Write) -> None:
    ran = hwsim_cli("run", scenario())
    assert ran.code == 0
    for text in ("Small", "t4", "fp16", "Where the time goes", "basis ", "fidelity: operator-level", "energy: "):
        assert text in ran.out
    assert ran.err == ""


@pytest.mark.slow
def test_piped_lines_have_no_trailing_spaces_and_at_most_140_columns(hwsim_cli: Hwsim, scenario: Write) -> None:
    lines = hwsim_cli("devices").out.splitlines() + hwsim_cli("run", scenario()).out.splitlines()
    assert all(line == line.rstrip() for line in lines)
    assert max(len(line) for line in lines if not line.startswith("  ")) <= 140


def test_a_scenario_as_json_is_one_document(hwsim_cli: Hwsim, scenario: Write) -> None:
    document = json.loads(hwsim_cli("run", scenario(), scenario(name="other"), "--json").out)
    assert document["schema"] == "hwsim/result/v1"
    assert [run["system"] for run in document["runs"]] == ["t4", "t4"]


def test_a_missed_requirement_is_exit_code_1(hwsim_cli: Hwsim, scenario: Write) -> None:
    ran = hwsim_cli("run", scenario(SLOW))
    assert ran.code == 1
    assert "FAILS" in ran.out


def test_a_memory_overflow_is_exit_code_1_and_says_what_is_missing(hwsim_cli: Hwsim, scenario: Write) -> None:
    systems = "[{name: tiny, use: t4, set: {memory.gddr6.capacity: 1 MB}}]"
    ran = hwsim_cli("run", scenario(systems=systems))
    assert ran.code == 1
    assert "NO" in ran.out
    assert "does not fit" in ran.out


def test_a_set_changes_the_scenario(hwsim_cli: Hwsim, scenario: Write) -> None:
    document = json.loads(hwsim_cli("run", scenario(), "--set", "workload.batch=8", "--json").out)
    assert document["runs"][0]["items"] == 8


@pytest.mark.slow
def test_several_scenarios_get_a_folder_each(hwsim_cli: Hwsim, scenario: Write, tmp_path: Path) -> None:
    ran = hwsim_cli("run", scenario(), scenario(name="other"), "-o", str(tmp_path / "out"), "--json")
    assert ran.code == 0
    assert json.loads(ran.out)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["other", "small"]
    assert ran.err.count("report: ") == 2


def test_quiet_prints_results_only(hwsim_cli: Hwsim, scenario: Write, tmp_path: Path) -> None:
    ran = hwsim_cli("run", scenario(), "-o", str(tmp_path / "out"), "--quiet")
    assert ran.err == ""
    assert "Small" in ran.out


def test_verbose_says_the_whole_basis(hwsim_cli: Hwsim, scenario: Write) -> None:
    assert "shows it whole" in hwsim_cli("run", scenario()).out
    assert "shows it whole" not in hwsim_cli("run", scenario(), "--verbose").out


def test_a_comparison_has_a_row_a_device_and_says_who_cannot(hwsim_cli: Hwsim) -> None:
    ran = hwsim_cli("compare", "mlp", "-d", "t4", "-d", "tpu_v1", "--set", "dtype=fp16", "--set", "batch=4")
    assert ran.code == 0
    assert " t4 " in ran.out
    assert "tpu_v1: left out: tpu_v1 cannot run" in ran.err


def test_a_comparison_of_a_scenarios_workload(hwsim_cli: Hwsim, scenario: Write) -> None:
    document = json.loads(hwsim_cli("compare", scenario(), "-d", "l4", "-d", "t4", "--json").out)
    assert [run["system"] for run in document["runs"]] == ["l4", "t4"]


def test_an_estimate_names_time_energy_bound_and_basis(hwsim_cli: Hwsim) -> None:
    ran = hwsim_cli("estimate", "mlp", "-d", "ideal", "--set", "batch=8")
    for name in ("makes", "time", "energy", "bound by", "precision", "basis", "rests on", "fidelity"):
        assert f"\n{name} " in ran.out
    assert "8 samples" in ran.out


def test_an_estimate_lists_its_operators(hwsim_cli: Hwsim) -> None:
    table = hwsim_cli("estimate", "mlp", "-d", "ideal", "--per-op").out
    document = json.loads(hwsim_cli("estimate", "mlp", "-d", "ideal", "--per-op", "--json").out)
    assert document["time_s"] == pytest.approx(sum(op["time_s"] for op in document["ops"]))
    assert all(op["op"] in table for op in document["ops"])


def test_a_device_whole_shows_peaks_against_the_datasheet_ridges_and_sources(hwsim_cli: Hwsim) -> None:
    ran = hwsim_cli("devices", "h100_sxm")
    for text in (
        "Derived peaks",
        "989 TOP/s",
        "+0.0 %",
        "295.4 FLOP/B",
        "Memories",
        "TDP",
        "Software stacks",
        "Sources",
    ):
        assert text in ran.out


@pytest.mark.parametrize(
    ("args", "text"),
    [
        (("devices",), "h100_sxm"),
        (("devices",), "snapdragon_8_gen_3"),
        (("devices", "snapdragon_8_gen_3"), "hexagon_v75"),
        (("devices", "h100_x2"), "Interconnect"),
        (("workloads",), "resnet50"),
        (("workloads", "resnet50"), "25,557,032"),
        (("policies",), "heft"),
        (("ops",), "conv2d"),
        (("ops", "conv2d"), "stride"),
    ],
)
def test_the_libraries_are_listed(hwsim_cli: Hwsim, args: tuple[str, ...], text: str) -> None:
    assert text in hwsim_cli(*args).out
    assert text in hwsim_cli(*args, "--json").out or text in {"Interconnect", "25,557,032"}


def test_an_explanation_has_terms_parameters_and_sources(hwsim_cli: Hwsim) -> None:
    ran = hwsim_cli("explain", "resnet50", "-d", "h100_sxm", "--op", "layer1.0.conv1")
    for text in ("operations", "peak rate", "waves", "energy an operation", "simt_gpu.sms", "132", "Sources"):
        assert text in ran.out
    assert " 1\n" in ran.out or " 32\n" in ran.out
    assert "m1\n" not in ran.out


def test_the_parts_of_an_explanation_sum_to_its_energy(hwsim_cli: Hwsim) -> None:
    document = json.loads(hwsim_cli("explain", "mlp", "-d", "ideal", "--op", "linear1", "--json").out)
    assert len(document["terms"]["Energy"]) == 3
    assert document["parameters"][0].keys() == {"parameter", "value", "from"}
    assert {row["from"] for row in document["parameters"]} - set(document["sources"]) == set()


def test_fit_counts_weights_and_finds_the_largest_batch_and_prompt(hwsim_cli: Hwsim) -> None:
    document = json.loads(hwsim_cli("fit", "gpt2", "-d", "t4", "--json").out)
    assert document["fits"]
    assert document["length"] in {"prompt", "context", "seq"}
    assert document["largest_batch"] > 8
    need = document["weights_bytes"] + document["states_bytes"] + document["activations_bytes"]
    assert need == document["total_bytes"] < document["capacity_bytes"]


def test_a_network_without_lengths_has_no_largest_one(hwsim_cli: Hwsim) -> None:
    document = json.loads(hwsim_cli("fit", "mlp", "-d", "t4", "--json").out)
    assert document["largest_length"] is None
    assert "no length parameter" in hwsim_cli("fit", "mlp", "-d", "t4").out


def test_check_lists_every_fault_with_line_and_column(hwsim_cli: Hwsim, tmp_path: Path, scenario: Write) -> None:
    good = scenario()
    assert hwsim_cli("check", good).code == 0
    bad = tmp_path / "bad.yaml"
    bad.write_text("schema: hwsim/scenario/v1\ntitle: t\nsystem: [t4]\nwrokload: {name: mlp}\n", encoding="utf-8")
    ran = hwsim_cli("check", good, str(bad))
    assert ran.code == 2
    assert f"{bad}:3:1:" in ran.out
    assert f"{bad}:4:" in ran.out
    assert "2 file(s) checked, 1 with faults" in ran.err
    assert hwsim_cli("check", str(tmp_path)).code == 2


def test_check_goes_on_past_an_empty_folder(hwsim_cli: Hwsim, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    ran = hwsim_cli("check", str(empty), "nope.yaml")
    assert ran.code == 2
    assert ran.out.splitlines() == [f"{empty}: is a folder; name a .yaml file in it", "nope.yaml: no such file"]


@pytest.mark.parametrize("kind", ["device", "system", "scenario", "sweep"])
def test_a_starter_file_is_right_and_never_overwrites(
    hwsim_cli: Hwsim, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert hwsim_cli("new", kind, "mine").code == 0
    assert hwsim_cli("check", "mine.yaml").code == 0
    again = hwsim_cli("new", kind, "mine")
    assert again.code == 2
    assert "exists already" in again.err


@pytest.mark.parametrize("kind", ["device", "system", "scenario", "sweep"])
def test_a_schema_is_json_schema(hwsim_cli: Hwsim, kind: str) -> None:
    document = json.loads(hwsim_cli("schema", kind).out)
    assert document["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert document["title"] == f"hwsim {kind}"


def test_a_sweep_prints_and_writes_its_front(hwsim_cli: Hwsim, tmp_path: Path) -> None:
    sweep = tmp_path / "s.yaml"
    sweep.write_text(
        "schema: hwsim/sweep/v1\nbase: {device: ideal}\n"
        "vary: {memory.dram.bandwidth: [1 TB/s, 2 TB/s, 4 TB/s]}\nworkloads: [mlp]\n"
        "objectives: {latency_s: min, energy_j: min}\n",
        encoding="utf-8",
    )
    ran = hwsim_cli("sweep", str(sweep), "-o", str(tmp_path / "out"))
    assert ran.code == 0
    assert "Pareto front" in ran.out
    assert "3 designs priced" in ran.err
    assert {"designs.csv", "pareto.csv", "pareto.png"} <= {path.name for path in (tmp_path / "out").iterdir()}
    assert json.loads(hwsim_cli("sweep", str(sweep), "--json").out)["designs"] == 3
    with sweep.open("a", encoding="utf-8") as file:
        file.write("constraints: [{metric: latency_s, op: <, limit: 1 ps}]\n")
    none = hwsim_cli("sweep", str(sweep), "-o", str(tmp_path / "none"))
    assert (none.code, none.out) == (0, "")
    assert "no design keeps to the constraints: latency < 1 ps (nearest " in none.err


def test_data_of_which_no_row_can_be_predicted_get_no_empty_tables(hwsim_cli: Hwsim, tmp_path: Path) -> None:
    (tmp_path / "mine.csv").write_text("device,op,latency_us\nAbacus,relu,1\n", encoding="utf-8")
    ran = hwsim_cli("validate", "--data", str(tmp_path / "mine.csv"))
    assert ran.code == 0
    assert "0 of 1 rows predicted" in ran.out
    assert "Worst rows" not in ran.out


@pytest.mark.slow
def test_results_do_not_depend_on_the_hash_seed(scenario: Write) -> None:
    path = scenario(systems="[snapdragon_8_gen_3]")
    outputs = set()
    for seed in ("0", "1"):
        environment = os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)}
        command = [sys.executable, "-m", "hwsim", "run", path, "--json"]
        outputs.add(subprocess.run(command, env=environment, capture_output=True, check=True, cwd=ROOT).stdout)
    assert len(outputs) == 1
