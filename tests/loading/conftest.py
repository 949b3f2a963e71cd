"""A library of toy files in a folder of its own, which is also the working directory."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

TOY = """\
schema: hwsim/device/v1
name: toy
title: A toy
kind: systolic_npu
aliases: [Toy-NPU, TOY 1]
systolic_npu:
  rows: 128
  cols: 64
  clock: 1 GHz
  macs: {int8: 1, fp16: 0.5}
  source: "worked by hand"
memory:
  - name: dram
    capacity: 8 GB
    bandwidth: 64 GB/s
    energy: 4 pJ/bit
    source: "worked by hand"
  - name: sram
    capacity: 4 MiB
    bandwidth: 1 TB/s
    assumption: "round"
power:
  tdp: 8 W
  idle: 200 mW
  energy_per_op: {int8: 0.2 pJ}
  assumption: "round"
datasheet: {peak: {int8: 16.384 TOP/s}, source: "worked by hand"}
software:
  compiled:
    timing: [graph]
    launch: 2 us
    gemm: {compute: 0.8}
    gemm.int8: {compute: 0.5}
    basis: calibrated
    validated: {gemm: 9.8}
    fitted_to: "nothing"
  eager: {extends: compiled, timing: [eager], dispatch: 20 us, assumption: "round"}
"""

Write = Callable[[str, str], Path]


@pytest.fixture
def toy() -> str:
    """The text of the toy device."""
    return TOY


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Writes files below the working directory, where device_specs/toy.yaml lies already."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HWSIM_PATH", raising=False)

    def written(name: str, text: str) -> Path:
        path = Path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    written("device_specs/toy.yaml", TOY)
    return written
