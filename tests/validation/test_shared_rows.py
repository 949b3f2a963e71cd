"""One set of constants of softmax and layer norm for several chips."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.carry import COPIES, HOSTS, ROWS, constants
from benchmarks.fit_shared_rows import KERNELS, START, Rows, decoded, encoded, fit, on, stream_share
from hwsim.devices.simt_constants import DEFAULTS
from hwsim.graph.lowering import tables_of
from hwsim.graph.work import Form, Reduce
from hwsim.loading.device import load_device


def rows(chip: str, kernel: str) -> Rows:
    """Rows whose time follows from what is shared and 30 us of a host."""
    sizes = [(count, cols) for count in (4096, 20000) for cols in (520, 1100, 2048, 3000, 4096, 9000)]
    works = [
        Reduce(
            kernel=kernel, rows=count, cols=cols, passes=2, flop_per_element=4, special_per_element=1,
            bytes_in=4 * count * cols, bytes_out=4 * count * cols, format="fp32",
        )
        for count, cols in sizes
    ]  # fmt: skip
    (table,) = tables_of(works).values()
    found = Rows(
        chip=chip, kernel=kernel, table=table, stack=load_device(chip).software["eager"],
        measured_s=np.ones(len(works)), held=np.zeros(len(works), dtype=bool),
    )  # fmt: skip
    return replace(found, measured_s=found.kernel_s(on(chip, kernel, ROWS)) + 30e-6)


def test_the_host_of_rows_is_found_again() -> None:
    each = rows("t4", "softmax")
    host_s, error = each.hosted(on("t4", "softmax", ROWS))
    assert host_s == pytest.approx(30e-6)
    assert error < 1e-9


def test_a_place_stands_for_what_is_shared() -> None:
    assert decoded(encoded(ROWS)) == pytest.approx(dict(ROWS), rel=0.02)


@pytest.mark.slow
def test_the_search_comes_nearer_to_what_is_shared() -> None:
    given = [rows(chip, kernel) for chip in ("a100_pcie_40gb", "t4") for kernel in KERNELS]
    found = fit(given, evaluations=60)
    errors = [
        np.mean([each.hosted(on(each.chip, each.kernel, shared))[1] for each in given]) for shared in (START, found)
    ]
    assert errors[1] < 0.8 * errors[0]


@pytest.mark.parametrize("chip", HOSTS["softmax"])
def test_the_measured_chips_have_what_they_share(chip: str) -> None:
    kernels = load_device(chip).software["eager"].kernels
    for kernel, hosts in HOSTS.items():
        own = kernels.get(f"{kernel}.fp32", kernels.get(kernel, {}))
        wanted = {name: value for name, value in on(chip, kernel, ROWS).items() if name in own}
        assert {name: own[name] for name in wanted} == pytest.approx(wanted, rel=0.01)
        assert own["dispatch"] == pytest.approx(hosts[chip])


def test_what_rows_do_in_caches_is_what_the_kind_has() -> None:
    shared = on("t4", "softmax", ROWS)
    names = ("near", "near_all", "near_none", "flight_all", "flight_none")
    assert {name: shared[name] for name in names} == pytest.approx({n: DEFAULTS[Form.REDUCE][n] for n in names})


def test_a_chip_without_measurements_has_the_steps_in_its_own_clocks() -> None:
    given = {("h100_sxm", "eager"), ("l4", "eager")}
    copies = {copy.chip: dict(constants(copy)) for copy in COPIES if (copy.chip, copy.stack) in given}
    core = {chip: load_device(chip).core for chip in copies}
    steps = [
        families["softmax.fp32"]["step"] * (core[chip].vector_clock_hz or core[chip].clock_hz)
        for chip, families in copies.items()
    ]
    assert steps == pytest.approx([ROWS["softmax.clocks"]] * 2)
    assert copies["l4"]["softmax.fp32"]["memory"] < copies["h100_sxm"]["softmax.fp32"]["memory"]
    assert stream_share("a100_pcie_40gb") == pytest.approx(copies["h100_sxm"]["softmax.fp32"]["memory"])
