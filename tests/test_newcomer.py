"""What a newcomer gets wrong is answered with what to write instead, and what they look at fits on a line."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import hwsim
from hwsim.cli import main
from hwsim.errors import HwsimError
from hwsim.loading.starter import starter_text

_CHIP = "h100_sxm"

_IN_PYTHON: list[tuple[Callable[[], object], str]] = [
    (lambda: hwsim.load_device("h100"), "did you mean 'h100_sxm' or 'h100_pcie'?"),
    (lambda: hwsim.workload("ResNet-50"), "did you mean 'resnet50'?"),
    (lambda: hwsim.workload("tinylama"), "did you mean 'tinyllama_1_1b'?"),
    (lambda: hwsim.workload("resnet50", bach=8), "did you mean 'batch'?"),
    (lambda: hwsim.workload("resnet50", batch="8"), "write a whole number such as 1, not '8'"),
    (lambda: hwsim.simulate("resnet50", _CHIP), "write a graph, e.g. hwsim.workload('resnet50'), not 'resnet50'"),  # type: ignore[arg-type]
    (lambda: hwsim.estimate(None, _CHIP), "write a graph, e.g. hwsim.workload('resnet50'), not nothing"),  # type: ignore[arg-type]
    (lambda: hwsim.compare(hwsim.ops.relu(elements=8), _CHIP), "write a list of devices, e.g. ['h100_sxm', 't4']"),
    (lambda: hwsim.simulate(hwsim.ops.relu(elements=8), _CHIP, governor="ondemand"), "governor: write None"),  # type: ignore[arg-type]
    (lambda: hwsim.simulate(hwsim.ops.relu(elements=8), _CHIP, polciy="heft"), "does not read 'polciy'"),
    (lambda: hwsim.ops.matmul(m=4, n=4, k=4, dtype="float16"), "no number format or scheme named 'float16'"),
    (lambda: hwsim.load_device(_CHIP).evolve({"sms": 160}), "write 'simt_gpu.sms'"),
    (lambda: hwsim.load_device(_CHIP).evolve({"bandwidth": "6 TB/s"}), "known: simt_gpu, memory, power, queues"),
    (lambda: hwsim.load_device(_CHIP).evolve({"memory.bandwidth": "6 TB/s"}), "known: hbm, l2"),
    (lambda: hwsim.load_device(_CHIP).evolve({"memory.hbm.bandwidth": 6e12}), "the unit is missing"),
]


@pytest.mark.parametrize(("mistake", "answer"), _IN_PYTHON, ids=[answer for _, answer in _IN_PYTHON])
def test_a_mistake_in_python_is_answered(mistake: Callable[[], object], answer: str) -> None:
    with pytest.raises(HwsimError) as caught:
        mistake()
    assert answer in str(caught.value)


_TYPED = [
    ("estimate resnet50 -d H100", "no device named 'H100'; did you mean 'h100_sxm' or 'h100_pcie'?"),
    ("compare resnet50 -d h100", "did you mean 'h100_x1', 'h100_x2', 'h100_x4', 'h100_x8' or 'h100_sxm'?"),
    ("estimate resnet50 -d my_npu", "no device named 'my_npu' in the library; for the file here write 'my_npu.yaml'"),
    ("compare resnet50 -d my_npu", "no device named 'my_npu' in the library; for the file here write 'my_npu.yaml'"),
    ("run scenarios/text_to_video.yaml", "no such file; for the scenario of the library write 'text_to_video'"),
    ("run nowhere.yaml", "'nowhere.yaml': no such file\n"),
    ("sweep npu_array.yaml", "no such file; for the sweep of the library write 'npu_array'"),
    ("estimate resnet50 -d t4 --set dtype=bf16", "its formats are fp64, fp32, fp16"),
    ("estimate resnet50 -d h100_sxm --software tensorrt", "known: amp, cuda_graph, diffusers, eager, inductor"),
    ("run my_npu.yaml", "my_npu.yaml:1:9: schema: this file describes a device; name one that describes a scenario\n"),
    ("estimate resnet50 -d my_sweep.yaml", "schema: this file describes a sweep; name one that describes a device\n"),
    ("compare resnet50 -d my_sweep.yaml", "schema: this file describes a sweep; name one that describes a system\n"),
    ("sweep my_npu.yaml", "schema: this file describes a device; name one that describes a sweep\n"),
    ("device", "Did you mean 'devices'?"),
]


@pytest.mark.parametrize(("typed", "answer"), _TYPED, ids=[typed for typed, _ in _TYPED])
def test_a_mistake_in_the_shell_is_answered_with_exit_code_2(
    typed: str, answer: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "my_npu.yaml").write_text(starter_text("device", "my_npu"), encoding="utf-8")
    (tmp_path / "my_sweep.yaml").write_text(starter_text("sweep", "my_sweep"), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["hwsim", *typed.split()])
    with pytest.raises(SystemExit) as left:
        main()
    printed = capsys.readouterr()
    assert (left.value.code, printed.out) == (2, "")
    assert answer in printed.err


def test_what_a_console_echoes_fits_on_a_line() -> None:
    graph = hwsim.workload("resnet50")
    shown = [
        repr(graph),
        repr(hwsim.load_device(_CHIP)),
        repr(hwsim.estimate(graph, _CHIP)),
        repr(hwsim.simulate(graph, _CHIP)),
        repr(hwsim.compare(graph, [_CHIP, "t4"])),
    ]
    assert shown[0] == "Graph(resnet50: 174 operators, 25557032 parameters, auto)"
    assert all(len(text) < 120 and "\n" not in text for text in shown)
