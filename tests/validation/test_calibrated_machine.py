"""A device file for this machine, from times that nobody has to wait for."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import hwsim
from hwsim import cli
from hwsim.errors import FileFormatError, InputError
from hwsim.graph.lowering import lower
from hwsim.loading.check import check_file
from hwsim.loading.device import load_device
from hwsim.validation import calibrated_machine, live, timing
from hwsim.validation.calibrated_machine import Measured, calibrated, measured_probes
from hwsim.validation.machine import Level, Machine
from hwsim.validation.probes import PROBES, probe_graphs
from hwsim.validation.timing import NumpyBackend
from hwsim.validation.torch_backend import _CALLS

TOY = Machine(
    title="Toy core",
    cores=2,
    threads=1,
    clock_hz=2e9,
    simd_bits=256,
    caches=(Level(name="l2", size_bytes=2**20),),
    memory_bytes=4 * 2**30,
    told="cores",
)


@pytest.fixture(autouse=True)
def toy(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine of known facts whose memory moves 10 GB/s, its cache 40 GB/s."""
    monkeypatch.setattr("hwsim.validation.machine.copy_bytes_per_s", lambda size: 40e9 if size < 2**21 else 10e9)
    monkeypatch.setattr(calibrated_machine, "this_machine", lambda: TOY)


@pytest.fixture
def measured() -> list[Measured]:
    """Every probe as if it took 10 us and moved 5 GB/s and 2 GFLOP/s."""
    works = [work for graph in probe_graphs() for work in lower(graph).works]
    return [Measured(work, 1e-5 + (work.bytes_in + work.bytes_out) / 5e9 + work.flop / 2e9) for work in works]


def test_each_probe_is_one_row_of_its_family_and_pytorch_knows_its_operator() -> None:
    for kind in PROBES:
        for graph in probe_graphs([kind]):
            (work,) = lower(graph).works
            assert work.kernel.endswith(kind) or work.kernel.startswith(kind)
            assert {node.op.kind for node in graph.nodes} <= _CALLS.keys()


@pytest.mark.parametrize("network", live.NETWORKS, ids=lambda network: network["model"])
def test_pytorch_knows_every_operator_of_the_live_networks(network: Mapping[str, str]) -> None:
    kinds = {node.op.kind for node in hwsim.workload(network["model"]).nodes}
    assert kinds - _CALLS.keys() == set()


def test_the_file_written_is_right_and_predicts_what_was_measured(tmp_path: Path, measured: list[Measured]) -> None:
    path = tmp_path / "toy_machine.yaml"
    found = calibrated(NumpyBackend(), measured, path)
    assert check_file(path) == ()
    spec = load_device(path)
    assert spec.default_software.name == "numpy"
    assert spec.default_software.basis == "calibrated"
    assert spec.title == "Toy core"
    by_family = {fit.family: fit for fit in found.families}
    assert {"linear", "conv2d", "gelu", "gemm", "map", "reduce", "move", "attention"} <= by_family.keys()
    assert by_family["add"].fitted_percent < 2.0
    graph = hwsim.ops.add(elements=500_000, dtype="fp32")
    (work,) = lower(graph).works
    wanted = 1e-5 + (work.bytes_in + work.bytes_out) / 5e9 + work.flop / 2e9
    assert hwsim.estimate(graph, spec).time_s == pytest.approx(wanted, rel=0.05)


def test_a_document_with_faults_leaves_an_old_file_alone(
    tmp_path: Path, measured: list[Measured], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "toy_machine.yaml"
    path.write_text("old", encoding="utf-8")
    monkeypatch.setattr(calibrated_machine, "this_machine", lambda: replace(TOY, cores=0))
    with pytest.raises(FileFormatError, match=r"cpu\.cores: write a whole number of at least 1"):
        calibrated(NumpyBackend(), measured, path)
    assert path.read_text(encoding="utf-8") == "old"
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_a_folder_that_is_not_there_gets_one_clear_error(tmp_path: Path, measured: list[Measured]) -> None:
    with pytest.raises(InputError, match="cannot be written: No such file or directory; name another file with -o"):
        calibrated(NumpyBackend(), measured, tmp_path / "nowhere" / "x.yaml")


def test_probes_are_measured_with_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    def in_turn(graphs: Sequence[Any], _: Any, rounds: int, done: Callable[[int], object]) -> list[float]:
        done(len(graphs) * (rounds + 1))
        return [1e-3] * len(graphs)

    monkeypatch.setattr(calibrated_machine, "times_in_turn_s", in_turn)
    told: list[int] = []
    rows = measured_probes(NumpyBackend(), lambda runs: (told.append(runs), told.append)[1])
    assert told == [len(rows) * (calibrated_machine.ROUNDS + 1)] * 2
    assert {row.time_s for row in rows} == {1e-3}


@pytest.fixture
def toy_file(tmp_path: Path, measured: list[Measured]) -> str:
    path = tmp_path / "toy_machine.yaml"
    calibrated(NumpyBackend(), measured, path)
    return str(path)


def test_live_puts_what_was_measured_beside_what_the_file_predicts(
    toy_file: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(live, "times_in_turn_s", lambda graphs, *_: [2.0] * len(graphs))
    found = live.validate_live(toy_file)
    assert [each.measured for each in found.compared] == [2.0] * 3
    graph = hwsim.workload("resnet50", dtype="fp32")
    assert found.compared[1].predicted == pytest.approx(hwsim.simulate(graph, load_device(toy_file)).latency_s)
    assert {each.row.basis for each in found.compared} == {"calibrated"}
    monkeypatch.setattr("sys.argv", ["hwsim", "validate", "--device", toy_file, "--live"])
    with pytest.raises(SystemExit) as left:
        cli.main()
    assert left.value.code == 0
    assert "3 of 3 rows predicted" in capsys.readouterr().out


def test_live_refuses_a_device_that_was_not_calibrated_here() -> None:
    with pytest.raises(InputError, match="its software stack 'cuda_graph' cannot be run here"):
        live.validate_live("h100_sxm")


def test_a_gpu_that_no_device_file_knows_is_refused(tmp_path: Path, measured: list[Measured]) -> None:
    backend = NumpyBackend()
    backend.device_name = "Nobody's GPU 9000"
    with pytest.raises(InputError, match="Nobody's GPU 9000"):
        calibrated(backend, measured, tmp_path / "gpu.yaml")


def test_torch_that_is_not_installed_is_said_to_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(InputError, match=r"pip install 'hwsim\[torch\]'"):
        timing.BACKENDS["torch"]()
