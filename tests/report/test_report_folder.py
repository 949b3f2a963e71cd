"""The report folder, its page and its pictures."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from hwsim.errors import InputError
from hwsim.report.energies import plot_energies, plot_energy
from hwsim.report.folder import write_folder
from hwsim.report.plots import new_axes, picture
from hwsim.report.result import Result
from hwsim.report.roofline import plot_roofline, plot_rooflines, points
from hwsim.report.timeline import plot_timeline, plot_timelines

FILES = ["energy.png", "ops.csv", "report.html", "result.json", "roofline.png", "timeline.png", "trace.json"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, product: Result, decoding: Result) -> Path:
    return write_folder([product, decoding], tmp_path_factory.mktemp("report") / "new" / "deep", title="a < b & c")


def test_the_folder_holds_its_files_and_nothing_else(folder: Path) -> None:
    assert sorted(path.name for path in folder.iterdir()) == FILES


def test_the_pictures_are_pictures(folder: Path) -> None:
    for name in ("energy.png", "roofline.png", "timeline.png"):
        assert (folder / name).read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"


def test_a_name_of_any_length_leaves_room_for_the_picture(product: Result) -> None:
    """What matplotlib says where labels leave no room for the axes is an error here."""
    named = replace(
        product, system=replace(product.system, name="y" * 300), graph=replace(product.graph, name="n" * 500)
    )
    for plot in (plot_energies, plot_rooflines, plot_timelines):
        axes = plot([named])
        assert picture(axes)[:4] == b"\x89PNG"
        assert axes.get_position().width > 0.2


def test_the_trace_is_what_perfetto_reads(folder: Path) -> None:
    events = json.loads((folder / "trace.json").read_text(encoding="utf-8"))["traceEvents"]
    slices = [event for event in events if event["ph"] == "X"]
    assert {event["pid"] for event in slices} == {1, 2}
    assert all(event["ts"] >= 0 and event["dur"] >= 0 for event in slices)
    counters = {event["name"] for event in events if event["ph"] == "C"}
    assert any("in use" in name for name in counters)
    assert any("power" in name for name in counters)


def test_ops_has_a_row_a_span_and_names_its_run(folder: Path, product: Result, decoding: Result) -> None:
    with (folder / "ops.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(product.columns["op"]) + len(decoding.columns["op"])
    assert rows[0]["system"] == "toy"


class Balanced(HTMLParser):
    """Notes tags that are left open or closed twice."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.texts: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in {"meta", "img", "br"}:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def test_the_page_is_whole_escaped_and_needs_nothing_from_outside(folder: Path) -> None:
    text = (folder / "report.html").read_text(encoding="utf-8")
    page = Balanced()
    page.feed(text)
    assert page.open == []
    assert "a < b & c" in page.texts
    assert "operator-level" in text
    assert not re.search(r"(src|href)=\"(?!data:)", text)
    assert "<script" not in text


def test_the_same_runs_give_the_same_files(folder: Path, tmp_path: Path, product: Result, decoding: Result) -> None:
    again = write_folder([product, decoding], tmp_path, title="a < b & c")
    for name in FILES:
        assert (again / name).read_bytes() == (folder / name).read_bytes(), name


def test_a_folder_that_is_a_file_is_refused(tmp_path: Path, product: Result) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(InputError, match="cannot be written to: File exists; give another place"):
        write_folder([product], tmp_path / "file", title="t")


def test_a_run_writes_its_page_and_its_trace(tmp_path: Path, product: Result) -> None:
    product.to_html(tmp_path / "page.html")
    product.to_perfetto(tmp_path / "trace.json")
    assert "matmul on toy" in (tmp_path / "page.html").read_text(encoding="utf-8")
    assert json.loads((tmp_path / "trace.json").read_text(encoding="utf-8"))["traceEvents"]


def test_a_timeline_has_a_lane_a_device_and_names_phases(decoding: Result) -> None:
    ax = plot_timeline(decoding)
    assert [tick.get_text() for tick in ax.get_yticklabels()] == ["toy"]
    named = " ".join([*(text.get_text() for text in ax.texts), ax.get_title(loc="right")])
    assert "prefill" in named
    assert "decode x8" in named
    assert "toy" in ax.get_title(loc="left")


def test_a_roofline_shows_every_kind_of_point_under_its_roof(product: Result) -> None:
    """2 GFLOP over 6 MB is 333 FLOP/B; at 1 TFLOP/s it touches the roof."""
    (point,) = points(product)
    assert (point.intensity_flop_per_byte, point.flop_per_s) == (333.0, 1e12)
    ax = plot_roofline(product)
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")
    assert "FLOP per byte" in ax.get_xlabel()


def test_energies_are_drawn_by_cause(product: Result) -> None:
    ax = plot_energy(product)
    widths = [patch.get_width() for patch in ax.patches]
    assert sum(widths) == pytest.approx(product.energy_j)


@pytest.mark.slow
def test_plots_of_several_runs(product: Result, phone: Result) -> None:
    for draw in (plot_timelines, plot_rooflines, plot_energies):
        assert picture(draw([product, phone]))[:4] == b"\x89PNG"


@pytest.mark.parametrize("draw", [plot_timeline, plot_roofline, plot_energy])
def test_a_plot_draws_on_the_axes_given(product: Result, draw: Callable[..., object]) -> None:
    ax = new_axes()
    assert draw(product, ax) is ax
