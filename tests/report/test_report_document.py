"""Results as JSON and CSV."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

import hwsim
from hwsim.report.document import (
    estimate_document,
    json_text,
    plain,
    result_document,
    run_document,
    whole_file,
    write_csv,
)
from hwsim.report.result import Result
from hwsim.specs.device import DeviceSpec

RUN_KEYS = {
    "scenario", "variant", "system", "policy", "dtype", "software", "basis", "latency_s", "energy_j", "average_power_w",
    "throughput_per_s", "items", "peak_memory_bytes", "fits", "requirements", "claims", "latency_percentiles_s",
    "devices", "energy_breakdown_j",
}  # fmt: skip


def numbers(value: Any) -> list[float]:
    if isinstance(value, dict):
        return [n for item in value.values() for n in numbers(item)]
    if isinstance(value, list):
        return [n for item in value for n in numbers(item)]
    return [value] if isinstance(value, float) else []


def test_a_run_has_the_keys_of_the_interface(phone: Result) -> None:
    document = run_document(phone)
    assert document.keys() >= RUN_KEYS
    assert document["latency_percentiles_s"].keys() == {"p50", "p90", "p99"}
    assert document["energy_breakdown_j"].keys() == {"compute", "memory", "link", "active", "static"}
    assert document["devices"].keys() == {"npu", "gpu", "cpu"}
    keys = {"spec", "busy", "compute", "memory", "energy_j", "peak_temperature_c"}
    assert all(device.keys() == keys for device in document["devices"].values())


def test_the_document_says_its_schema_and_version(product: Result) -> None:
    document = result_document([product], seed=7)
    assert (document["schema"], document["seed"]) == ("hwsim/result/v1", 7)
    assert document["hwsim_version"] == hwsim.__version__
    assert len(document["runs"]) == 1


def test_a_lone_device_is_called_by_its_spec(product: Result) -> None:
    assert run_document(product)["devices"].keys() == {"toy"}


def test_energy_parts_sum_to_the_total(decoding: Result) -> None:
    document = run_document(decoding)
    assert math.fsum(document["energy_breakdown_j"].values()) == pytest.approx(document["energy_j"], rel=1e-8)


def test_numbers_have_nine_digits_and_are_finite(decoding: Result) -> None:
    for number in numbers(result_document([decoding])):
        assert float(f"{number:.9g}") == number


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_is_null(value: float) -> None:
    assert plain({"x": [value, 1.0]}) == {"x": [None, 1.0]}


def test_a_run_says_itself_as_json(product: Result) -> None:
    assert json.loads(product.to_json())["runs"][0]["latency_s"] == 0.002


def test_the_same_run_gives_the_same_bytes(toy: DeviceSpec) -> None:
    graph = hwsim.workload("mlp", dtype="fp16")
    texts = {hwsim.simulate(graph, toy).to_json() for _ in range(2)}
    assert len(texts) == 1


def test_an_estimate_lists_its_operators_where_asked(toy: DeviceSpec) -> None:
    found = hwsim.estimate(hwsim.ops.matmul(m=8, n=8, k=8, dtype="fp16"), toy)
    assert "ops" not in estimate_document(found)
    (row,) = estimate_document(found, per_op=True)["ops"]
    assert (row["op"], row["bound"]) == ("matmul", found.columns["bound"][0])


def test_a_file_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old", encoding="utf-8")

    def broken() -> None:
        with whole_file(path) as part:
            part.write_text("half", encoding="utf-8")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        broken()
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]
    assert path.read_text(encoding="utf-8") == "old"


def test_csv_has_a_header_and_nine_digits(tmp_path: Path) -> None:
    write_csv({"a": [1 / 3, 2.0], "b": ["x", "y,z"]}, tmp_path / "a.csv")
    assert (tmp_path / "a.csv").read_text(encoding="utf-8") == 'a,b\n0.333333333,x\n2,"y,z"\n'


def test_json_text_refuses_what_is_no_number() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        json_text({"x": math.nan})
