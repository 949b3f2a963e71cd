"""What the page of a device says about its software stacks."""

from __future__ import annotations

import io

from rich.console import Console

import hwsim
from hwsim.report.catalogue import device_page


def printed(device: str) -> str:
    """The page as text, wide enough that nothing wraps."""
    out = io.StringIO()
    console = Console(file=out, width=400)
    for table in device_page(hwsim.load_device(device)):
        console.print(table)
    return out.getvalue()


def test_a_page_names_what_a_run_and_a_sequence_take_beside_launches() -> None:
    page = printed("h100_sxm")
    (line,) = (text for text in page.splitlines() if text.strip().startswith("serving_vllm"))
    assert "700 us a run, 26 us a sequence" in line


def test_families_with_one_error_stand_together() -> None:
    assert "gemm, map, reduce, move 3.9 %" in printed("jetson_orin_nano")


def test_a_chip_without_such_times_has_no_empty_column() -> None:
    assert "besides" not in printed("ideal")
