"""What people type wrong: one clear message, exit code 2, no traceback."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hwsim import __main__, cli
from hwsim.cli import console

ROOT = Path(__file__).resolve().parents[2]
Hwsim = Callable[..., Any]
Write = Callable[..., str]
H100 = ("-d", "h100_sxm")


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("estimate", "resnet5O", *H100), "did you mean 'resnet50'"),
        (("estimate", "resnet50", "-d", "h100"), "h100_sxm"),
        (("estimate", "resnet50"), "Missing option '-d'"),
        (("estimate", "resnet50", *H100, "--set", "batc=8"), "did you mean 'batch'"),
        (("estimate", "resnet50", *H100, "--set", "batch=eight"), "write a whole number such as 1, not 'eight'"),
        (("estimate", "resnet50", *H100, "--set", "batch"), "write NAME=VALUE"),
        (("estimate", "resnet50", *H100, "--set", "batch=0"), "must be at least 1"),
        (("estimate", "resnet50", *H100, "--set", "dtype=fp17"), "did you mean 'fp16'"),
        (("estimate", "resnet50", "-d", "tpu_v1", "--set", "dtype=fp32"), "its formats are int8, int16"),
        (("estimate", "resnet50", *H100, "--software", "tensorrt9"), "no software stack of h100_sxm named 'tensorrt9'"),
        (("estimate", "llama3_8b", *H100, "--set", "tokens=999999999"), "at most 100,000 such repeats"),
        (("estimate", "model.onnx", *H100), "model.onnx: cannot read this file: No such file or directory"),
        (("compare", "mlp"), "Missing option '-d'"),
        (("compare", "mlp", "-d", "nope"), "no device named 'nope'"),
        (("compare", "mlp", "-d", "tpu_v1", "--set", "dtype=fp64"), "none of tpu_v1 can run mlp"),
        (("run", "nope"), "no scenario named 'nope'; known:"),
        (("run", "nope.yaml"), "no such file"),
        (("run", "/"), "write a plain name, or a path that ends in .yaml"),
        (("run",), "Missing argument"),
        (("run", "--frobnicate"), "No such option"),
        (("devices", "nope"), "no device named 'nope'"),
        (("workloads", "nope"), "no workload named 'nope'"),
        (("ops", "nope"), "no operator named 'nope'"),
        (("policies", "nope"), "unexpected extra argument"),
        (("check", "nope.yaml"), "1 with faults"),
        (("explain", "mlp", *H100), "Missing option '--op'"),
        (("explain", "mlp", *H100, "--op", "nope"), "no operator of mlp named 'nope'"),
        (("explain", "mlp", *H100, "--op", ""), "write the name of an operator of mlp, e.g. '"),
        (("estimate", "mlp", *H100, "-d", "t4"), "estimate takes one device, not h100_sxm, t4; 'hwsim compare'"),
        (("explain", "mlp", *H100, "-d", "t4", "--op", "fc"), "explain takes one device"),
        (("fit", "mlp", *H100, "-d", "t4"), "fit takes one device"),
        (("estimate", "mlp", "-d", "h100_x8"), "'h100_x8' is a system, and one device is wanted; 'hwsim compare' runs"),
        (("fit", "nope", *H100), "no workload named 'nope'"),
        (("new", "planet"), "no kind of file named 'planet'"),
        (("new", "device", "../x"), "a name is letters"),
        (("schema", "planet"), "no kind of file named 'planet'"),
        (("sweep", "nope"), "no sweep named 'nope'"),
        (("validate", "--live"), "write one --device that 'hwsim calibrate' wrote, and no --data"),
        (("validate", "--live", *H100), "its software stack 'cuda_graph' cannot be run here"),
        (("calibrate", "--backend", "nump"), "did you mean 'numpy'?"),
        (("calibrate", "-o", "nowhere/this_machine.yaml"), "no folder 'nowhere'; make it first"),
        (("calibrate", "-o", "My Machine.yaml"), "e.g. 'this_machine.yaml'"),
        (("nope",), "No such command 'nope'"),
    ],
)
def test_a_mistake_gets_one_message_and_exit_code_2(hwsim_cli: Hwsim, args: tuple[str, ...], message: str) -> None:
    ran = hwsim_cli(*args)
    assert ran.code == 2
    assert message in " ".join(ran.err.split())
    assert "Traceback" not in ran.err
    assert ran.out == "" or args[0] == "check"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("title: [\n", "not YAML"),
        ("schema: hwsim/scenario/v1\ntitle: t\nworkload: {name: mlp}\nsystems: []\n", ":4:10: systems: is empty"),
        ("schema: hwsim/scenario/v1\ntitle: t\nworkload: {name: mlp}\n", "systems"),
        ("", "schema"),
    ],
)
def test_a_broken_scenario_says_where(hwsim_cli: Hwsim, tmp_path: Path, body: str, message: str) -> None:
    path = tmp_path / "broken.yaml"
    path.write_text(body, encoding="utf-8")
    ran = hwsim_cli("run", str(path))
    assert ran.code == 2
    assert f"{path}" in ran.err
    assert message in ran.err


def test_a_chip_without_any_format_says_so(hwsim_cli: Hwsim, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert hwsim_cli("new", "device", "mine").code == 0
    path = tmp_path / "mine.yaml"
    text = path.read_text(encoding="utf-8").replace("macs: {int8: 1, fp16: 0.5}", "macs: {}")
    path.write_text(re.sub(r"vector: {.*}", "vector: {}", text), encoding="utf-8")
    ran = hwsim_cli("estimate", "mlp", "-d", "mine.yaml")
    assert ran.code == 2
    assert "its formats are none: no unit of it has a rate" in ran.err


@pytest.mark.parametrize("command", [("compare",), ("explain", "--op", "fc"), ("fit",), ("estimate",)])
def test_a_scenario_is_found_by_its_name_as_by_its_path(hwsim_cli: Hwsim, command: tuple[str, ...]) -> None:
    ran = hwsim_cli(command[0], "precision_ladder", "-d", "t4", *command[1:])
    assert ran.code == 0, ran.err
    assert "t4" in ran.out


@pytest.mark.parametrize("change", ["nope=1", "workload.batch", "workload.batch=x", "systems="])
def test_a_wrong_set_is_refused(hwsim_cli: Hwsim, scenario: Write, change: str) -> None:
    assert hwsim_cli("run", scenario(), "--set", change).code == 2


@pytest.mark.parametrize("command", ["run", "compare", "sweep"])
def test_an_output_that_is_a_file_is_refused_before_anything_runs(
    hwsim_cli: Hwsim, scenario: Write, tmp_path: Path, command: str
) -> None:
    (tmp_path / "file").write_text("mine", encoding="utf-8")
    what = {"run": (scenario(),), "compare": ("mlp", "-d", "t4"), "sweep": ("npu_array",)}[command]
    ran = hwsim_cli(command, *what, "-o", str(tmp_path / "file"))
    assert ran.code == 2
    assert "cannot be written to: File exists; give another place" in ran.err
    assert ran.out == ""
    assert (tmp_path / "file").read_text(encoding="utf-8") == "mine"


def test_an_interrupt_is_exit_code_130(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupted(**_: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "app", interrupted)
    with pytest.raises(SystemExit) as left:
        cli.main()
    assert left.value.code == 130
    assert "interrupted; what was finished is kept" in capsys.readouterr().err


def test_an_interrupt_while_the_command_line_is_imported_is_one_like_later(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Interrupting:
        def find_spec(self, name: str, *_: object) -> None:
            if name == "hwsim.cli":
                raise KeyboardInterrupt

    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["scripts"]
    assert scripts == {"hwsim": f"{__main__.__name__}:main"}
    monkeypatch.delitem(sys.modules, "hwsim.cli")
    monkeypatch.setattr(sys, "meta_path", [Interrupting(), *sys.meta_path])
    with pytest.raises(SystemExit) as left:
        __main__.main()
    assert left.value.code == 130
    assert capsys.readouterr().err == "error: interrupted before anything began\n"


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="signals and pipes as on POSIX")
def test_control_c_leaves_no_half_written_file(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "hwsim", "run", "text_to_video", "-o", str(tmp_path / "out")]
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a child inherits that it is ignored
    try:
        running = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    finally:
        signal.signal(signal.SIGINT, before)
    while not (tmp_path / "out").exists() and running.poll() is None:  # from then on it simulates
        time.sleep(0.02)
    running.send_signal(signal.SIGINT)
    _, err = running.communicate(timeout=60)
    assert running.returncode == 130
    assert err.strip().endswith("error: interrupted; what was finished is kept")
    assert not list((tmp_path / "out").glob(".*")) if (tmp_path / "out").exists() else True


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="signals and pipes as on POSIX")
def test_a_reader_that_leaves_is_no_error() -> None:
    first = subprocess.Popen(
        [sys.executable, "-m", "hwsim", "ops"], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert first.stdout is not None
    first.stdout.close()
    assert first.wait(timeout=60) == 0
    assert first.stderr is not None
    assert first.stderr.read() == b""
    first.stderr.close()


def test_columns_are_honoured(hwsim_cli: Hwsim, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    lines = hwsim_cli("devices").out.splitlines()
    assert max(len(line) for line in lines) <= 60
    assert any("h100_sxm" in line for line in lines)


def test_nothing_is_coloured_when_piped(hwsim_cli: Hwsim) -> None:
    assert "\x1b" not in hwsim_cli("devices", "t4").out


def test_the_level_of_talking_is_set_by_each_command() -> None:
    console.setup(quiet=True, verbose=False)
    console.setup(quiet=False, verbose=True)
    assert console._level == {"quiet": False, "verbose": True}
