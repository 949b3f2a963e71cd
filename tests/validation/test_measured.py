"""Measured files: known columns, units, and every fault with its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from hwsim.errors import FileFormatError, InputError
from hwsim.validation.measured import files_below, read_measured


def rows_of(tmp_path: Path, text: str):
    path = tmp_path / "data.csv"
    path.write_text(text, encoding="utf-8")
    found = read_measured(path)
    assert found is not None
    return found.rows


@pytest.mark.parametrize(
    ("column", "written", "si"),
    [
        ("latency_us", "250", 250e-6),
        ("latency_ms", "0.25", 0.25e-3),
        ("latency_s", "2", 2.0),
        ("measured_us", "1", 1e-6),
        ("power_w", "70", 70.0),
        ("average_power_w", "70", 70.0),
        ("energy_mj", "5", 5e-3),
        ("energy_j", "5", 5.0),
        ("energy_j_per_item", "5", 5.0),
        ("compute_cycles", "41", 41.0),
    ],
)
def test_a_column_names_its_unit(tmp_path: Path, column: str, written: str, si: float) -> None:
    (row,) = rows_of(tmp_path, f"device,op,{column}\nT4,relu,{written}\n")
    assert row.figures == {column: pytest.approx(si)}


def test_chip_and_precision_are_other_names_of_device_and_dtype(tmp_path: Path) -> None:
    (row,) = rows_of(tmp_path, "chip,model,precision,latency_ms\nT4,resnet50,fp16,1\n")
    assert (row.text("device"), row.text("dtype"), row.line) == ("T4", "fp16", 2)


def test_a_row_without_a_figure_is_kept_so_that_it_can_be_counted(tmp_path: Path) -> None:
    (row,) = rows_of(tmp_path, "device,op,latency_us\nT4,relu,\n")
    assert not row.figures


def test_a_whole_number_is_asked_for_by_either_case(tmp_path: Path) -> None:
    (row,) = rows_of(tmp_path, "device,op,M,k,latency_us\nT4,relu,8,2.5,1\n")
    assert row.number("m") == 8
    assert row.number("n", 7) == 7
    with pytest.raises(InputError, match="no whole number in column 'k'"):
        row.number("k")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "data.csv:1: the file is empty"),
        (
            "device,op,latencyus\nT4,relu,1\n",
            "no column of measurements.*did you mean 'latency_us'",
        ),
        ("a,latency_us\n1,2\n", "no columns that say what ran on what; write 'device' and 'op'"),
        ("device,op,latency_us\nT4,relu,fast\n", "data.csv:2: latency_us: write a number above 0, not 'fast'"),
        ("device,op,latency_us\nT4,relu,0\n", "data.csv:2: latency_us: write a number above 0, not '0'"),
        ("device,op,latency_us\nT4,relu,nan\n", "data.csv:2: latency_us: write a number above 0"),
        ("device,op,latency_us\nT4,relu\n", "data.csv:2: 2 values under 3 column names"),
        ('device,op,latency_us\n"T4,relu,1\n', "data.csv: not a CSV file: "),
        (
            "device;op;latency_us\nT4;relu;1\n",
            "data.csv:1: the columns are separated by semicolons; save the file with",
        ),
        ("device\top\tlatency_us\nT4\trelu\t1\n", "data.csv:1: the columns are separated by tabs"),
        ("device,op,latency_us,device\nT4,relu,1,L4\n", "data.csv:1: column 'device' stands twice; keep one"),
    ],
)
def test_a_faulty_file_is_refused_with_its_line(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(FileFormatError, match=says):
        rows_of(tmp_path, text)


def test_all_faulty_lines_are_listed_at_once(tmp_path: Path) -> None:
    with pytest.raises(FileFormatError) as raised:
        rows_of(tmp_path, "device,op,latency_us\nT4,relu,x\nT4,relu,1\nT4,relu,-1\n")
    assert [line.split(":")[1] for line in str(raised.value).splitlines()] == ["2", "4"]


def test_what_is_not_utf8_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    path.write_bytes("device,op,latency_us\nT\xe9,relu,1\n".encode("latin-1"))
    with pytest.raises(FileFormatError, match="byte 0xe9 is not UTF-8"):
        read_measured(path)
    path.write_text("device,op,latency_us\nT4,relu,1\n", encoding="utf-16")
    with pytest.raises(FileFormatError, match="the text is UTF-16; save the file as UTF-8"):
        read_measured(path)


def test_a_folder_stands_for_the_files_below_it(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    for name in ("b/two.csv", "one.csv", "notes.txt"):
        (tmp_path / name).write_text("x", encoding="utf-8")
    assert [path.name for path in files_below(tmp_path)] == ["two.csv", "one.csv"]
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"no \.csv file in this folder"):
        files_below(tmp_path / "empty")
    with pytest.raises(InputError, match="no such file or folder of measurements"):
        files_below(tmp_path / "nowhere")


def test_other_tables_of_a_folder_are_left_out(tmp_path: Path) -> None:
    path = tmp_path / "chips.csv"
    path.write_text("chip,sms\nT4,40\n", encoding="utf-8")
    assert read_measured(path, strict=False) is None
