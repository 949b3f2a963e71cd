"""The command line, called in this process."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from hwsim import cli


@dataclass(frozen=True)
class Ran:
    """Exit code and what was printed."""

    code: int
    out: str
    err: str


Hwsim = Callable[..., Ran]


@pytest.fixture
def hwsim_cli(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Hwsim:
    """Run ``hwsim ARGS`` as the shell would; nothing but the process is left out."""

    def run(*args: str) -> Ran:
        monkeypatch.setattr(sys, "argv", ["hwsim", *args])
        capsys.readouterr()
        with pytest.raises(SystemExit) as left:
            cli.main()
        shown = capsys.readouterr()
        return Ran(int(left.value.code or 0), shown.out, shown.err)

    return run


@pytest.fixture
def scenario(tmp_path: Path) -> Callable[..., str]:
    """Write a small scenario; ``more`` is appended to it."""

    def written(more: str = "", name: str = "small", systems: str = "[t4]") -> str:
        path = tmp_path / f"{name}.yaml"
        text = f"schema: hwsim/scenario/v1\ntitle: Small\nworkload: {{name: mlp, dtype: fp16}}\nsystems: {systems}\n"
        path.write_text(text + more, encoding="utf-8")
        return str(path)

    return written
