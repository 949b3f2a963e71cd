"""Cycle counts of systolic arrays: worked by hand, against SCALE-Sim's own, and as properties."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwsim.cost import systolic
from hwsim.cost.systolic import DATAFLOWS, systolic_cycles
from hwsim.errors import InputError

SHARED = Path(__file__).resolve().parents[2].parent / "shared" / "ground_truth" / "npu"
sizes = st.integers(1, 3000)
sides = st.integers(1, 256)
dataflows = st.sampled_from(DATAFLOWS)


def _rows(name: str) -> list[dict[str, str]]:
    path = SHARED / name
    if not path.exists():
        pytest.skip(f"{name} is not beside the repository")
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_four_by_four_output_stationary_takes_ten_cycles() -> None:
    """Rows + cols + k - 2 = 4 + 4 + 4 - 2: the RTL takes 10 (scalesim-project/SCALE-Sim#125)."""
    assert systolic_cycles(m=4, n=4, k=4, rows=4, cols=4, dataflow="os") == 10


def test_weight_stationary_fold_loads_its_weights_first() -> None:
    """One fold on a 4x4 array with 10 rows of inputs: 2*4 + 4 + 10 - 2 = 20."""
    assert systolic_cycles(m=10, n=4, k=4, rows=4, cols=4, dataflow="ws") == 20


def test_input_stationary_swaps_the_roles_of_m_and_n() -> None:
    assert systolic_cycles(m=10, n=4, k=4, rows=4, cols=4, dataflow="ws") == systolic_cycles(
        m=4, n=10, k=4, rows=4, cols=4, dataflow="is"
    )


def test_a_partial_fold_costs_a_full_fold() -> None:
    assert systolic_cycles(m=5, n=4, k=4, rows=4, cols=4, dataflow="os") == 20


def test_two_pipelined_folds_hide_the_second_preload() -> None:
    """256x256 array, k = 512 is two folds of 256 inputs: 511 + 256 + (510 + 256) = 1533."""
    assert systolic_cycles(m=256, n=256, k=512, rows=256, cols=256, dataflow="ws", pipelined=True) == 1533


def test_few_inputs_wait_for_the_next_weights() -> None:
    """With 8 rows of inputs a 256-row array issues a fold every 256 cycles: 511 + 256 + (510 + 8)."""
    assert systolic_cycles(m=8, n=256, k=512, rows=256, cols=256, dataflow="ws", pipelined=True) == 511 + 256 + 518


def test_every_scalesim_row_is_the_printed_count_plus_one() -> None:
    """The tool prints the zero-based last cycle (SCALE-Sim#125)."""
    rows = _rows("scalesim_cycles.csv")
    wrong = [
        row
        for row in rows
        if systolic_cycles(
            m=int(row["gemm_M"]),
            n=int(row["gemm_N"]),
            k=int(row["gemm_K"]),
            rows=int(row["array_rows"]),
            cols=int(row["array_cols"]),
            dataflow=row["dataflow"],
        )
        != int(row["compute_cycles"]) + 1
    ]
    assert len(rows) > 1000
    assert wrong == []


def test_the_column_form_gives_every_scalesim_row_at_once() -> None:
    rows = _rows("scalesim_cycles.csv")
    for dataflow in DATAFLOWS:
        chosen = [row for row in rows if row["dataflow"] == dataflow]
        m, n, k, r, c, printed = (
            np.array([float(row[key]) for row in chosen])
            for key in ("gemm_M", "gemm_N", "gemm_K", "array_rows", "array_cols", "compute_cycles")
        )
        assert np.array_equal(systolic.non_overlapped_cycles(m, n, k, r, c, dataflow), printed + 1)


def test_every_scalesim_mapping_efficiency_is_met() -> None:
    for row in _rows("scalesim_cycles.csv"):
        m, n, k, r, c = (float(row[key]) for key in ("gemm_M", "gemm_N", "gemm_K", "array_rows", "array_cols"))
        flow = next(name for name in DATAFLOWS if name == row["dataflow"])
        assert 100 * float(systolic.mapping_efficiency(m, n, k, r, c, flow)) == pytest.approx(
            float(row["mapping_eff_pct"]), abs=1e-6
        )


def test_every_scalesim_sparsity_row_is_the_printed_count_plus_one() -> None:
    for row in _rows("scalesim_sparsity.csv"):
        m, n, k, r, c = (int(row[key]) for key in ("M", "N", "K", "R", "C"))
        printed = int(row["reported_total_cycles"])
        if row["mode"] == "rowwise":
            k = int(systolic.rowwise_sparse_k(k, int(row["block"])))
        pair = (int(row["n"]), int(row["m"])) if row["mode"] == "layerwise" else None
        assert systolic_cycles(m=m, n=n, k=k, rows=r, cols=c, dataflow="ws", sparsity=pair) == printed + 1


def test_two_of_four_weights_halve_k() -> None:
    assert systolic_cycles(m=9, n=16, k=64, rows=16, cols=16, dataflow="ws", sparsity=(2, 4)) == systolic_cycles(
        m=9, n=16, k=32, rows=16, cols=16, dataflow="ws"
    )


def test_a_row_wise_block_leaves_about_half() -> None:
    """200 in blocks of 8: ceil(200 / 16) * 8 = 104."""
    assert float(systolic.rowwise_sparse_k(200, 8)) == 104


def test_mapping_efficiency_is_one_when_everything_divides() -> None:
    assert float(systolic.mapping_efficiency(64, 32, 100, 16, 16, "os")) == 1.0


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"m": 0}, "m is 0"),
        ({"k": 2.5}, "k is 2.5"),
        ({"rows": True}, "rows is True"),
        ({"dataflow": "rs"}, "one of os, ws, is"),
        ({"sparsity": (3, 2)}, "3 of every 2"),
        ({"sparsity": 2}, "write \\(n, m\\)"),
    ],
)
def test_wrong_input_is_named(change: dict[str, object], says: str) -> None:
    good: dict[str, object] = {"m": 4, "n": 4, "k": 4, "rows": 4, "cols": 4, "dataflow": "os"}
    with pytest.raises(InputError, match=says):
        systolic_cycles(**(good | change))  # type: ignore[arg-type]


@settings(max_examples=60, deadline=None)
@given(m=sizes, n=sizes, k=sizes, rows=sides, cols=sides, dataflow=dataflows, pipelined=st.booleans())
def test_column_and_scalar_forms_agree(
    m: int, n: int, k: int, rows: int, cols: int, dataflow: str, pipelined: bool
) -> None:
    flow = next(name for name in DATAFLOWS if name == dataflow)
    columns = systolic.pipelined_cycles if pipelined else systolic.non_overlapped_cycles
    exact = systolic_cycles(m=m, n=n, k=k, rows=rows, cols=cols, dataflow=dataflow, pipelined=pipelined)
    assert int(columns(m, n, k, rows, cols, flow)) == exact


@settings(max_examples=60, deadline=None)
@given(m=sizes, n=sizes, k=sizes, rows=sides, cols=sides, dataflow=dataflows)
def test_no_array_beats_one_mac_a_pe_and_cycle(m: int, n: int, k: int, rows: int, cols: int, dataflow: str) -> None:
    cycles = systolic_cycles(m=m, n=n, k=k, rows=rows, cols=cols, dataflow=dataflow)
    assert cycles * rows * cols >= m * n * k


def _dealt_cycles(
    m: int, n: int, k: int, side: int, arrays: int, lanes: float, flow: systolic.Dataflow, batch: int = 1
) -> float:
    geometry = systolic.Geometry(arrays, side, side, lanes, flow)
    return float(systolic.dealt_time_s(m, n, k, batch, geometry, clock_hz=1.0))


@settings(max_examples=40, deadline=None)
@given(m=sizes, n=sizes, k=sizes, side=st.integers(2, 128), arrays=st.integers(1, 16), batch=st.integers(1, 40))
def test_more_arrays_stay_within_their_combined_peak(
    m: int, n: int, k: int, side: int, arrays: int, batch: int
) -> None:
    one = _dealt_cycles(m, n, k, side, 1, 1, "ws", batch)
    many = _dealt_cycles(m, n, k, side, arrays, 1, "ws", batch)
    assert many <= one
    assert many * arrays * side * side >= m * n * k * batch


def test_four_arrays_share_four_columns_of_folds() -> None:
    """512 output columns on four 128-wide arrays: each has one, as a single array with 128 columns."""
    assert _dealt_cycles(128, 512, 128, 128, 4, 1, "ws") <= systolic_cycles(
        m=128, n=128, k=128, rows=128, cols=128, dataflow="ws", pipelined=True
    )


def test_sixteen_lanes_sum_sixteen_pairs_a_cycle() -> None:
    """A 16x16x16 cube does k = 1024 in 64 steps."""
    assert _dealt_cycles(16, 16, 1024, 16, 1, 16, "os") == 64 + 16 + 16 - 2


def test_half_a_lane_takes_two_cycles_a_pair() -> None:
    assert _dealt_cycles(64, 64, 64, 16, 1, 0.5, "ws") == 2 * _dealt_cycles(64, 64, 64, 16, 1, 1, "ws")


def test_a_narrow_port_starves_the_array() -> None:
    """16 x 16 outputs, k = 100: 16 rows of 100 bytes and 16 columns of 100 bytes through one byte a second."""
    geometry = systolic.Geometry(1, 16, 16, 1, "os")
    assert float(systolic.dealt_time_s(16, 16, 100, 1, geometry, 1.0, 100, 100, 1.0)) == 3200


def test_nine_products_on_four_arrays_take_three_turns() -> None:
    shares = list(systolic.array_shares(10, 10, 9, 4))
    assert [float(in_turn) for _, _, in_turn in shares] == [3.0]


def test_a_cube_drains_as_fast_as_it_multiplies() -> None:
    """Two folds of k = 64 on a 16x16x16 cube: sixteen rows leave a cycle, so the second issues after 4: 4 + 34."""
    assert _dealt_cycles(32, 16, 64, 16, 1, 16, "os") == 38


def test_a_tile_that_comes_late_is_waited_for_then_shifted_then_used() -> None:
    """MLP0 of TPU v1: 200 inputs a tile, 256 cycles of shift, a tile every 1,349 cycles."""
    active, shift, stall = (float(x) for x in systolic.array_activity(200, 256, 1349))
    assert (active, shift, stall) == (200, 256, 893)


def test_many_inputs_hide_the_shift_and_the_load() -> None:
    """CNN0 of TPU v1: 2,888 places a tile."""
    assert [float(x) for x in systolic.array_activity(2888, 256, 1349)] == [2888, 0, 0]


def test_few_inputs_leave_a_part_of_the_shift_exposed() -> None:
    assert [float(x) for x in systolic.array_activity(100, 256, 0)] == [100, 156, 0]
