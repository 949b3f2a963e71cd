"""Spans as columns."""

from __future__ import annotations

import pytest

from hwsim.report.result import Result
from hwsim.report.spans import SPAN_COLUMNS, span_columns


def test_every_repeat_is_listed_below_the_limit(decoding: Result) -> None:
    columns = span_columns(decoding.records, ["toy"])
    assert set(columns) == set(SPAN_COLUMNS)
    assert set(columns["repeats"]) == {1}
    assert sorted({n for n, phase in zip(columns["repeat"], columns["phase"], strict=True) if phase == "decode"}) == [
        *range(8)
    ]


def test_above_the_limit_an_operator_of_a_phase_is_listed_once(decoding: Result) -> None:
    columns = span_columns(decoding.records, ["toy"], limit=10)
    names = [(p, op) for p, op in zip(columns["phase"], columns["op"], strict=True)]
    assert len(names) == len(set(names))
    assert {n for n, phase in zip(columns["repeats"], columns["phase"], strict=True) if phase == "decode"} == {8}


@pytest.mark.parametrize("figure", ["energy_j", "flop", "bytes"])
def test_listing_once_keeps_the_sums_even_where_work_grows(decoding: Result, figure: str) -> None:
    full, short = (span_columns(decoding.records, ["toy"], limit) for limit in (10**9, 10))
    sums = [sum(v * n for v, n in zip(c[figure], c["repeats"], strict=True)) for c in (full, short)]
    assert sums[1] == pytest.approx(sums[0], rel=1e-9)
