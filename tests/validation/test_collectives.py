"""Measured collectives against predictions, on rows that no constant of an interconnect was fitted to."""

from __future__ import annotations

import zlib

import numpy as np
import pytest

from hwsim.loading.system import load_system
from hwsim.validation.measured import read_measured
from hwsim.validation.predict import predict

pytestmark = pytest.mark.validation

IDENTITY = ("device", "op", "dtype", "timing", "ngpus", "bytes", "model")
OPS = {
    "all_reduce": "all_reduce",
    "all_gather": "all_gather",
    "reduce_scatter": "reduce_scatter",
    "alltoall": "all_to_all",
}


@pytest.mark.parametrize(
    ("measured", "system", "ranks"),
    [
        ("A100-SXM4-80GB", "a100_x8", (2, 4, 8)),
        ("H100-SXM5-80GB", "h100_x8", (2, 4, 8)),
        ("B200-SXM", "b200_x8", (2, 4, 8)),
        ("L40S", "l40s_x2", (2,)),
        ("L40S", "l40s_x4", (4,)),
        ("L40S", "l40s_x8", (8,)),
    ],
)
@pytest.mark.slow
def test_an_interconnect_is_as_accurate_on_held_out_runs_as_its_file_says(shared_dir, measured, system, ranks):
    file = read_measured(shared_dir / "ground_truth" / "gpu" / "comm_dev.csv")
    assert file is not None
    validated = load_system(system).interconnect.validated
    errors: dict[str, list[float]] = {}
    for each in predict([file]):
        row = each.row
        held = zlib.crc32(",".join(row.columns[name] for name in IDENTITY).encode()) % 10 < 3
        if held and row.text("device") == measured and row.number("ngpus") in ranks:
            error = 100.0 * abs(each.values["time"] / row.figures["latency_us"] - 1.0)
            errors.setdefault(OPS[row.text("op")], []).append(error)
    assert errors.keys() == validated.keys()
    for pattern, found in errors.items():
        assert np.mean(found) <= validated[pattern] * 1.05 + 0.5, pattern
