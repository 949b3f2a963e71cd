"""Tables for the terminal."""

from __future__ import annotations

import io

import pytest
from rich.console import Console
from rich.table import Table

import hwsim
from hwsim.report.result import Result
from hwsim.report.tables import (
    bottleneck_table,
    comparison_table,
    key_values,
    operators_table,
    plain_table,
    results_table,
)
from hwsim.specs.device import DeviceSpec


def rendered(table: Table, width: int = 140) -> str:
    console = Console(file=io.StringIO(), width=width)
    with console.capture() as captured:
        console.print(table)
    return captured.get()


def test_a_narrow_terminal_leaves_out_the_optional_columns_and_says_so() -> None:
    heads = ("name", "wide", "figure")
    table = plain_table("", heads, [("a", "w" * 60, "1 s")], ("figure",), optional=("wide",))
    assert "wide" in rendered(table, 80).splitlines()[1]
    narrow = rendered(table, 30)
    assert "1 s" in narrow
    assert "www" not in narrow
    assert "also shows: wide" in " ".join(narrow.split())


@pytest.mark.parametrize("width", [40, 60, 80, 100, 140])
def test_no_line_is_wider_than_the_terminal(product: Result, decoding: Result, width: int) -> None:
    for table in (results_table("Runs", [product, decoding]), bottleneck_table([product, decoding])):
        lines = rendered(table, width).splitlines()
        assert max(len(line) for line in lines) <= width
        assert "2 ms" in "\n".join(lines)


def test_numbers_are_right_aligned() -> None:
    lines = rendered(plain_table("", ("n", "v"), [("a", "1 s"), ("b", "100 s")], ("v",))).splitlines()
    ends = {len(line.rstrip()) for line in lines if line.rstrip().endswith("s")}
    assert len(ends) == 1


def test_results_show_latency_with_its_band_and_units(product: Result) -> None:
    shown = rendered(results_table("", [product]))
    for text in ("2 ms", "50 %", "500 runs/s", "12.05 mJ", "6.02 W", "compute: matmul", "6 MB", "yes"):
        assert text in shown


def test_variants_get_a_column_only_where_there_are_some(product: Result) -> None:
    from dataclasses import replace

    assert "variant" not in rendered(results_table("", [product]))
    assert "variant" in rendered(results_table("", [replace(product, variant="int8")]))


def test_bottlenecks_of_one_run_name_it_in_the_title(product: Result, decoding: Result) -> None:
    assert "Where the time goes on toy" in rendered(bottleneck_table([product]))
    assert "system" in rendered(bottleneck_table([product, decoding]))


def test_operators_are_listed_in_graph_order(toy: DeviceSpec) -> None:
    graph = hwsim.workload("mlp", dtype="fp16")
    shown = rendered(operators_table(hwsim.estimate(graph, toy)))
    names = [node.name for node in graph.nodes]
    places = [shown.index(f" {name} ") for name in names if f" {name} " in shown]
    assert len(places) >= 4
    assert places == sorted(places)


def test_a_comparison_has_a_row_a_device(toy: DeviceSpec) -> None:
    found = hwsim.compare(hwsim.ops.matmul(m=8, n=8, k=8, dtype="fp16"), [toy, "ideal"])
    shown = rendered(comparison_table("m", found.columns))
    assert "toy" in shown
    assert "ideal" in shown


def test_names_and_values_stand_beside_each_other() -> None:
    assert "a" in rendered(key_values("t", [("a", "1 s")]))
