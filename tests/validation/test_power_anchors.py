"""Power and energy of measured networks: which chip at which operating point a row means, and how near hwsim comes."""

from __future__ import annotations

from pathlib import Path

import pytest

import hwsim
from hwsim.validation.measured import read_measured
from hwsim.validation.predict import Prediction, predict

HEADER = "chip,compute_unit,model,precision,batch,latency_ms,power_w,energy_mj,input"


def predicted(tmp_path: Path, *rows: str) -> list[Prediction]:
    path = tmp_path / "anchors.csv"
    path.write_text("\n".join((HEADER, *rows)) + "\n", encoding="utf-8")
    file = read_measured(path)
    assert file is not None
    return predict([file])


def test_a_row_that_names_clock_and_voltage_is_predicted_there(tmp_path: Path) -> None:
    fast, slow = predicted(
        tmp_path,
        "Syntiant NDP120 (1.1V/98MHz),NPU,DS-CNN keyword spotting,int8,1,1,1,1,",
        "Syntiant NDP120 (0.9V/30MHz),NPU,DS-CNN keyword spotting,int8,1,1,1,1,",
    )
    assert (fast.spec, slow.spec) == ("syntiant_ndp120", "syntiant_ndp120@30mhz")
    assert slow.values["time"] > 2.5 * fast.values["time"]
    assert slow.values["power"] < fast.values["power"] / 3.5
    for each in (fast, slow):
        assert each.values["energy"] == pytest.approx(each.values["power"] * each.values["time"])


def test_an_operating_point_after_the_models_name_must_be_known(tmp_path: Path) -> None:
    known, unknown = predicted(
        tmp_path,
        "Apple A15 (iPhone 13),ANE,distilbert seq128 perf point,fp16,1,1,1,1,seq 128",
        "Apple A15 (iPhone 13),ANE,distilbert seq128 eco point,fp16,1,1,1,1,seq 128",
    )
    assert known.spec == "apple_a15_ane"
    assert not unknown.values
    assert unknown.reason == "no device file with the alias 'Apple A15 (iPhone 13), eco point' for its ANE"


@pytest.mark.slow
@pytest.mark.validation
def test_the_pairs_of_the_ndp120_are_within_a_fifth_and_their_energy_within_a_third(shared_dir: Path) -> None:
    """ResNet-8 was fitted; DS-CNN and MobileNet were not."""
    file = read_measured(shared_dir / "ground_truth/edge/power_energy_anchors.csv")
    assert file is not None
    found = [each for each in predict([file]) if each.spec.startswith("syntiant_ndp120")]
    assert len(found) == 6
    for each in found:
        bounds = {"latency_ms": ("time", 0.15), "power_w": ("power", 0.20), "energy_mj": ("energy", 0.30)}
        for column, (metric, bound) in bounds.items():
            assert each.values[metric] == pytest.approx(each.row.figures[column], rel=bound), each.row.columns


def test_energy_of_a_source_that_leaves_the_memory_out_is_predicted_without_it(tmp_path: Path) -> None:
    path = tmp_path / "anchors.csv"
    row = "Apple A15 (iPhone 13),ANE,distilbert seq128 perf point,fp16,1,1,1,1,seq 128"
    apple = "machinelearning.apple.com/research/neural-engine-transformers"
    path.write_text(f"{HEADER},source_repo\n{row},\n{row},{apple}\n", encoding="utf-8")
    file = read_measured(path)
    assert file is not None
    whole, engine = (each.values for each in predict([file]))
    assert whole["time"] == engine["time"]
    weights_j = 42e6 * 2 * 8 * 6e-12
    assert whole["energy"] - engine["energy"] == pytest.approx(weights_j, rel=0.1)
    assert engine["power"] * engine["time"] == pytest.approx(engine["energy"])


@pytest.mark.slow
@pytest.mark.validation
def test_the_pair_of_apples_engine_is_within_a_quarter(shared_dir: Path) -> None:
    """The energy of the faster point and the time of the slower one were fitted; the others were not."""
    file = read_measured(shared_dir / "ground_truth/edge/power_energy_anchors.csv")
    assert file is not None
    found = [each for each in predict([file]) if each.spec.startswith("apple_a15_ane")]
    assert [each.spec for each in found] == ["apple_a15_ane", "apple_a15_ane@low"]
    for each in found:
        for column, metric in (("latency_ms", "time"), ("power_w", "power"), ("energy_mj", "energy")):
            assert each.values[metric] == pytest.approx(each.row.figures[column], rel=0.25), each.row.columns


def test_tensors_of_a_phone_stay_in_its_system_cache() -> None:
    """Only weights pass the memory of an iPhone; on M1, whose measured working set is 2 MB, many tensors do too."""
    graph = hwsim.workload("fastvit_sa36")
    phone, mac = (sum(hwsim.estimate(graph, name).frame["bytes"]) for name in ("apple_a14_ane", "apple_m1_ane"))
    assert phone == pytest.approx(graph.weight_bytes, rel=0.02)
    assert mac > 1.5 * graph.weight_bytes
