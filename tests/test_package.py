"""What the project promises as a whole: its version, its files, its wheel, its frame."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import hwsim

LIBRARIES = ("device_specs", "scenarios", "sweeps")
LATE = ("matplotlib", "pandas", "scipy")  # heavy, so imported only where they are used
MACHINE_PATH = re.compile(r"(?<![\w.])/(?:home|root|work|farm|Users)/|/tmp/\w|--(?:extra-)?index-url|--trusted[-]host")
CONFLICT = re.compile(r"^(?:<{7} |>{7} )", re.MULTILINE)
TEXT = {"", ".cfg", ".ipynb", ".md", ".py", ".sh", ".toml", ".yaml", ".yml"}


def sources(repository: Path) -> Iterator[Path]:
    """Every Python file that ships."""
    yield from sorted((repository / "hwsim").rglob("*.py"))


@cache
def calls_and_functions(repository: Path) -> tuple[tuple[str, ast.Call | ast.FunctionDef | ast.AsyncFunctionDef], ...]:
    """Every call and every function of the package, with its file."""
    return tuple(
        (str(path.relative_to(repository)), node)
        for path in sources(repository)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call | ast.FunctionDef | ast.AsyncFunctionDef)
    )


def written_texts(repository: Path) -> Iterator[Path]:
    """Every text file that a person wrote: the package, its libraries, its tests and its frame."""
    folders = ("hwsim", *LIBRARIES, "tests", "benchmarks", "notebooks", "docs", ".ci")
    candidates = [p for folder in folders for p in (repository / folder).rglob("*")] + list(repository.iterdir())
    for path in sorted(candidates):
        if path.is_file() and path.suffix in TEXT and path.name != ".git" and "__pycache__" not in path.parts:
            yield path


def pyproject(repository: Path) -> dict[str, object]:
    return tomllib.loads((repository / "pyproject.toml").read_text(encoding="utf-8"))


def test_the_version_is_the_one_in_pyproject(repository: Path) -> None:
    project = pyproject(repository)["project"]
    assert isinstance(project, dict)
    assert hwsim.__version__ == project["version"]


def test_the_changelog_has_an_entry_for_this_version(repository: Path) -> None:
    assert f"## [{hwsim.__version__}]" in (repository / "CHANGELOG.md").read_text(encoding="utf-8")


def test_the_package_says_that_it_is_typed(repository: Path) -> None:
    assert (repository / "hwsim" / "py.typed").is_file()


def test_every_make_command_in_the_documents_exists(repository: Path) -> None:
    targets = set(re.findall(r"^([a-z]+):", (repository / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    for name in ("README.md", "CONTRIBUTING.md"):
        text = (repository / name).read_text(encoding="utf-8")
        code = "\n".join(re.findall(r"```.*?```|`[^`\n]+`", text, re.DOTALL))
        named = set(re.findall(r"\bmake ([a-z]+)", code))
        assert named, name
        assert named <= targets, f"{name} names {sorted(named - targets)}"


def test_the_readme_shows_the_demo_and_the_tests(repository: Path) -> None:
    text = (repository / "README.md").read_text(encoding="utf-8")
    assert "make demo" in text
    assert "make test" in text


def test_no_source_file_is_longer_than_400_lines(repository: Path) -> None:
    lengths = {str(path.relative_to(repository)): path.read_text(encoding="utf-8") for path in sources(repository)}
    assert {name: n for name, text in lengths.items() if (n := len(text.splitlines())) > 400} == {}


@pytest.mark.slow
def test_no_function_is_longer_than_60_lines(repository: Path) -> None:
    long = [
        f"{file}:{node.lineno} {node.name} ({lines})"
        for file, node in calls_and_functions(repository)
        if not isinstance(node, ast.Call) and (lines := (node.end_lineno or node.lineno) - node.lineno + 1) > 60
    ]
    assert long == []


@pytest.mark.slow
def test_only_the_command_line_prints(repository: Path) -> None:
    printing = [
        f"{file}:{node.lineno}"
        for file, node in calls_and_functions(repository)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    ]
    assert [place for place in printing if not place.startswith("hwsim/cli")] == []


def test_no_file_names_a_folder_of_one_machine_or_a_package_index(repository: Path) -> None:
    found = [
        f"{path.relative_to(repository)}: {match.group()}"
        for path in written_texts(repository)
        if (match := MACHINE_PATH.search(path.read_text(encoding="utf-8", errors="replace")))
    ]
    assert found == []


def test_no_file_holds_two_versions_of_a_line(repository: Path) -> None:
    found = [
        str(path.relative_to(repository))
        for path in written_texts(repository)
        if CONFLICT.search(path.read_text(encoding="utf-8", errors="replace"))
    ]
    assert found == []


def test_importing_hwsim_leaves_heavy_packages_alone(repository: Path) -> None:
    code = f"import sys, hwsim; print([m for m in {LATE!r} if m in sys.modules])"
    run = subprocess.run([sys.executable, "-c", code], cwd=repository, capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


@pytest.mark.slow
def test_the_wheel_carries_the_package_and_its_libraries(repository: Path, tmp_path: Path) -> None:
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path), str(repository)]
    run = subprocess.run(build, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr + run.stdout
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    assert {"hwsim/__init__.py", "hwsim/py.typed"} <= names
    for library in LIBRARIES:
        shipped = {n.removeprefix("hwsim/_library/") for n in names if n.startswith(f"hwsim/_library/{library}/")}
        here = {p.relative_to(repository).as_posix() for p in (repository / library).rglob("*.yaml")}
        assert here, library
        assert here <= shipped
    assert not any(n.startswith(("tests/", "device_specs/", "scenarios/", "sweeps/")) for n in names)
