"""What a newcomer reads is true: commands run and print what is shown, examples load, tables match the files."""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

import hwsim
from benchmarks.accuracy import held_out_lines, without_held_out
from hwsim.cli import app, main
from hwsim.devices.base import KINDS
from hwsim.loading.check import check_file
from hwsim.loading.library import list_devices, list_systems
from hwsim.loading.schema import SCHEMAS, json_schema
from hwsim.workloads.registry import WORKLOADS

_TOP = Path(__file__).resolve().parents[1]
_README = _TOP / "README.md"
_CLI, _FILES, _MODELS, _ACCURACY = (_TOP / "docs" / f"{name}.md" for name in ("cli", "files", "models", "accuracy"))
_FAMILIES = sorted((_TOP / "docs" / "accuracy").glob("*.md"))
_STACKS = _TOP / "docs" / "accuracy" / "stacks.md"
_PAGES = [_README, *(_TOP / f"{name}.md" for name in ("CONTRIBUTING", "CHANGELOG", "benchmarks/README"))]
_PAGES += sorted((_TOP / "docs").rglob("*.md"))
_LINK = re.compile(r"\]\(([^)#\s]*)#?([^)]*)\)")
_FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_SLOW = (
    "text_to_video",
    "npu_array",
    "llama3_70b",
    "verify",
    "fit llama3_8b",
    "check device_specs",
    "-o results/compared",
)
_NETWORKS = len(list(WORKLOADS))
"""Counted before the pages' examples register networks of their own."""
_TOLERANCE = 0.02
"""Figures shown may differ so much from those printed: vector units round differently."""


@dataclass(frozen=True, slots=True)
class _Shown:
    """The ``hwsim`` commands of a fenced block, and the output shown right after it."""

    page: str
    commands: tuple[str, ...]
    output: str

    @property
    def title(self) -> str:
        """Name of the test."""
        return f"{self.page}: {self.commands[0]}"


def _fences(path: Path, language: str) -> list[str]:
    return [text for kind, text in _FENCE.findall(path.read_text(encoding="utf-8")) if kind == language]


def _shown(path: Path, *, slow: bool) -> Iterator[_Shown]:
    """Blocks of commands; the slow ones of a block come one by one."""
    fences = [*_FENCE.findall(path.read_text(encoding="utf-8")), ("", "")]
    for (kind, text), (next_kind, next_text) in pairwise(fences):
        lines = text.splitlines() if kind == "console" else []
        commands = [line for line in lines if line.startswith("hwsim ")]
        chosen = [c for c in commands if any(word in c for word in _SLOW) == slow]
        output = next_text if next_kind == "text" and len(commands) == 1 else ""
        if chosen and not slow:
            yield _Shown(path.name, tuple(chosen), output)
        elif chosen:
            yield from (_Shown(path.name, (command,), output) for command in chosen)


def _both(*, slow: bool) -> list[_Shown]:
    """The blocks of both pages; what the first page runs alone, the second need not run again."""
    first = list(_shown(_README, slow=slow))
    known = {shown.commands for shown in first}
    again = (replace(shown, commands=_further(shown.commands, known)) for shown in _shown(_CLI, slow=slow))
    return [*first, *(shown for shown in again if shown.commands)]


def _further(commands: tuple[str, ...], known: set[tuple[str, ...]]) -> tuple[str, ...]:
    return tuple(command for command in commands if (command,) not in known)


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the YAML folders of a checkout; one for all tests, as files found by another path are read anew."""
    top = tmp_path_factory.mktemp("checkout")
    for folder in ("device_specs", "scenarios", "sweeps"):
        (top / folder).symlink_to(_TOP / folder)
    return top


@pytest.fixture
def checkout(library: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A working directory with the YAML folders of a checkout; what a test writes beside them is removed."""
    monkeypatch.chdir(library)
    yield library
    for path in library.iterdir():
        if path.is_file():
            path.unlink()
        elif not path.is_symlink():
            shutil.rmtree(path)


def _run(command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of a command typed in this process."""
    monkeypatch.setattr(sys, "argv", command.split())
    with pytest.raises(SystemExit) as left:
        main()
    printed = capsys.readouterr()
    return int(left.value.code or 0), printed.out, printed.err


def _number(word: str) -> float | None:
    try:
        return float(word.replace(",", "").removesuffix("%").removesuffix("x"))
    except ValueError:
        return None


def _same_word(shown: str, printed: str) -> bool:
    one, other = _number(shown), _number(printed)
    if one is None or other is None:
        return shown == printed
    return abs(one - other) <= _TOLERANCE * max(abs(one), abs(other))


def _begins(printed: str, shown: str) -> bool:
    """Whether a printed line begins with the words of a shown one; rules of tables may be cut anywhere."""
    words, wanted = printed.split(), shown.split()
    if set(shown.strip()) == {"─"}:
        return set(printed.strip()) == {"─"}
    return len(words) >= len(wanted) and all(map(_same_word, wanted, words))


def _missing(shown: str, printed: str) -> list[str]:
    """Shown lines that do not come, in that order, among the printed ones; '...' stands for lines left out."""
    rest = iter(printed.splitlines())
    wanted = [line for line in shown.splitlines() if line.strip() not in {"", "..."}]
    return [line for line in wanted if not any(_begins(found, line) for found in rest)]


def _check_shown(shown: _Shown, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    for command in shown.commands:
        code, out, err = _run(command, monkeypatch, capsys)
        assert code == 0, f"{command}: {err}"
        if shown.output:
            missing = _missing(shown.output, out)
            assert not missing, f"{shown.page} shows, but '{command}' does not print: {missing[0]}\nIt prints:\n{out}"


@pytest.mark.golden
@pytest.mark.usefixtures("checkout")
@pytest.mark.parametrize("shown", _both(slow=False), ids=lambda shown: shown.title)
def test_a_command_runs_and_prints_what_the_page_shows(
    shown: _Shown, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _check_shown(shown, monkeypatch, capsys)


@pytest.mark.slow
@pytest.mark.golden
@pytest.mark.usefixtures("checkout")
@pytest.mark.parametrize("shown", _both(slow=True), ids=lambda shown: shown.title)
def test_a_longer_command_runs_and_prints_what_the_page_shows(
    shown: _Shown, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _check_shown(shown, monkeypatch, capsys)


def test_shown_figures_may_differ_by_two_per_cent_and_words_not_at_all() -> None:
    assert _missing("t4 100 ms", "table\nt4 101 ms yes") == []
    assert _missing("t4 100 ms", "t4 103 ms yes") == ["t4 100 ms"]
    assert _missing("t4 100 ms", "l4 100 ms yes") == ["t4 100 ms"]
    assert _missing("b 2\n...\na 1", "a 1\nb 2") == ["a 1"]


@pytest.mark.usefixtures("checkout")
@pytest.mark.parametrize("text", _fences(_README, "python"))
def test_the_python_of_the_readme_runs(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    exec(compile(text, "README.md", "exec"), {})
    assert capsys.readouterr().out.count("\n") >= 3


@pytest.mark.parametrize("text", [*_fences(_README, "yaml"), *_fences(_FILES, "yaml")])
def test_a_yaml_example_passes_the_check(text: str, tmp_path: Path) -> None:
    assert text.startswith("schema: hwsim/")
    name = re.search(r"^name: (\w+)$", text, re.MULTILINE)
    path = tmp_path / f"{name[1] if name else 'example'}.yaml"
    path.write_text(text, encoding="utf-8")
    assert check_file(path) == ()


def test_the_chip_of_the_readme_prices_a_network(tmp_path: Path) -> None:
    text = next(text for text in _fences(_README, "yaml") if "name: my_npu" in text)
    (tmp_path / "my_npu.yaml").write_text(text, encoding="utf-8")
    costs = hwsim.estimate(hwsim.workload("resnet50"), str(tmp_path / "my_npu.yaml"))
    assert costs.basis.name == "uncalibrated"
    assert 0.5e-3 < costs.time_s < 10e-3


def test_the_page_on_stacks_shows_the_errors_of_the_device_files_worst_first() -> None:
    shown = re.findall(r"^\| `\w+` \| \w+ \| .* \|$", _STACKS.read_text(encoding="utf-8"), re.MULTILINE)
    assert shown == held_out_lines(), "run: python -m benchmarks.accuracy --held-out"


def test_the_page_on_stacks_names_every_chip_without_a_held_out_figure() -> None:
    text = " ".join(_STACKS.read_text(encoding="utf-8").split())
    assert f"No figure at all was held out for {without_held_out()}." in text, (
        "run: python -m benchmarks.accuracy --held-out"
    )


def test_the_readme_counts_what_ships() -> None:
    text = _README.read_text(encoding="utf-8")
    counted = re.search(r"ships (\d+) chips .*?, (\d+) systems and (\d+) networks", text, re.DOTALL)
    assert counted is not None
    assert [int(n) for n in counted.groups()] == [len(list_devices()), len(list_systems()), _NETWORKS]


def test_the_page_on_accuracy_leads_to_a_page_for_each_family() -> None:
    text = _ACCURACY.read_text(encoding="utf-8")
    assert [page.name for page in _FAMILIES if f"](accuracy/{page.name}" not in text] == []


@pytest.mark.parametrize("page", [page for page in _FAMILIES if page != _STACKS], ids=lambda page: page.stem)
def test_pages_of_families_have_the_same_headings(page: Path) -> None:
    headings = re.findall(r"^## (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    assert headings == ["Calibrated on", "Held out", "Reached", "Misses", "Tried without gain"]


def test_the_page_on_benchmarks_names_every_script() -> None:
    text = (_TOP / "benchmarks" / "README.md").read_text(encoding="utf-8")
    scripts = sorted(path.name for path in (_TOP / "benchmarks").glob("*.py"))
    assert [name for name in scripts if f"`{name}`" not in text] == []


@pytest.mark.parametrize("page", _PAGES, ids=lambda page: page.name)
def test_links_lead_to_files_and_headings(page: Path) -> None:
    links = [link for link in _LINK.findall(page.read_text(encoding="utf-8")) if "://" not in link[0]]
    assert [link for link in links if not _leads_somewhere(page, *link)] == []


def _leads_somewhere(page: Path, link: str, heading: str) -> bool:
    """Whether a relative link leads to a file and, where it names one, to a heading of it."""
    target = page.parent / link if link else page
    return target.exists() and (not heading or heading in _headings(target))


def _headings(page: Path) -> set[str]:
    """Headings of a page as links name them: small letters, hyphens for blanks, no punctuation."""
    found = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in found}


def _keys(schema: Any) -> Iterator[str]:
    """Names of all properties of a JSON Schema."""
    if isinstance(schema, Mapping):
        yield from schema.get("properties", ())
        for part in schema.values():
            yield from _keys(part)
    elif isinstance(schema, list):
        for part in schema:
            yield from _keys(part)


def test_the_reference_of_files_names_every_key() -> None:
    text = _FILES.read_text(encoding="utf-8")
    constants = {name for kind in KINDS.values() for name in kind.constants}
    keys = {key for kind in SCHEMAS for key in _keys(json_schema(kind))} - constants
    assert sorted(key for key in keys if not re.search(rf"\b{key}\b", text)) == []


def test_the_reference_of_models_names_every_constant() -> None:
    text = _MODELS.read_text(encoding="utf-8")
    names = {name for kind in KINDS.values() for name in kind.constants if not name.startswith("decode_")}
    assert sorted(name for name in names if f"`{name}`" not in text) == []


def test_the_reference_of_commands_names_every_command_and_option() -> None:
    text = _CLI.read_text(encoding="utf-8")
    for command in app.registered_commands:
        assert command.name in text
    options = {word for line in _helps() for word in re.findall(r"(?<!\S)--[a-z-]+", line)}
    assert sorted(word for word in options if word not in text and word not in {"--device", "--output"}) == []


def _helps() -> Iterator[str]:
    """The lines of every command's help."""
    from typer.testing import CliRunner

    for command in app.registered_commands:
        yield from CliRunner().invoke(app, [str(command.name), "--help"]).output.splitlines()
