"""Strict YAML: what is read, and the one clear message for everything that is not."""

from __future__ import annotations

import time
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwsim.errors import FileFormatError, InputError
from hwsim.loading.document import MAX_BYTES, MAX_DEPTH, parse_value, read_file, read_text
from hwsim.loading.faults import Faults


def data(text: str) -> Any:
    faults = Faults()
    node = read_text(text, "x.yaml", faults)
    faults.check()
    return node.plain()


def refused(text: str) -> list[str]:
    with pytest.raises(FileFormatError) as caught:
        data(text)
    return str(caught.value).splitlines()


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e9", 1e9),
        ("12:30", "12:30"),
        ("yes", "yes"),
        ("off", "off"),
        ("true", True),
        ("false", False),
        ("~", None),
        ("null", None),
        ("", None),
        ("010", 10),
        ("0x1F", 31),
        ("0o17", "0o17"),
        ("-5", -5),
        ("+.5", 0.5),
        ("1_000", "1_000"),
        ("'1'", "1"),
        ("2001-12-14", "2001-12-14"),
        ("3 TB/s", "3 TB/s"),
        ("|\n  1", "1"),
    ],
)
def test_scalars_are_read_as_people_mean_them(text: str, value: object) -> None:
    (read,) = data(f"k: {text}").values()
    assert read == value
    assert type(read) is type(value)


def test_an_alias_stands_for_what_its_anchor_holds() -> None:
    assert data("a: &x [1, 2]\nb: *x") == {"a": [1, 2], "b": [1, 2]}


def test_a_byte_order_mark_of_utf8_is_skipped(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_bytes(b"\xef\xbb\xbfa: 1")
    assert read_file(path, Faults()).plain() == {"a": 1}


def test_every_value_knows_its_line_and_column_and_a_path_with_names() -> None:
    node = read_text("memory:\n  - {name: hbm, bandwidth: 1}\n", "x.yaml", Faults())
    place, path = node.locate(("memory", 0, "bandwidth"))
    assert (str(place), path) == ("x.yaml:2:28", "memory.hbm.bandwidth")
    place, path = node.locate(("memory", 0, "bandwidth"), key=True)
    assert str(place) == "x.yaml:2:17"


def test_what_is_missing_stands_where_it_should_be_added() -> None:
    node = read_text("memory:\n  - {name: hbm}\n", "x.yaml", Faults())
    place, path = node.locate(("memory", 0, "bandwidth"))
    assert (str(place), path) == ("x.yaml:2:5", "memory.hbm.bandwidth")


BOMB = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"a{i}: &a{i} [{','.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 10)
)

BAD_TEXTS = {
    "a: 1\nb: 2\na: 3": "x.yaml:3:1: key 'a' stands twice, first in line 1; keep one",
    "a: {b: 1, b: 2}": "x.yaml:1:11: a: key 'b' stands twice, first in line 1; keep one",
    "1: a": 'x.yaml:1:1: the key 1 is not text; write it in quotes: "1"',
    "true: a": 'x.yaml:1:1: the key true is not text; write it in quotes: "true"',
    "? [a]\n: b": "x.yaml:1:3: the key a list is not text; write text",
    "a: &x {b: 1}\nc: {<<: *x}": "x.yaml:2:5: c: merge key '<<' is not read; write the keys out, or use extends:",
    "a: !!python/object:os.system x": (
        "x.yaml:1:4: a: tag 'tag:yaml.org,2002:python/object:os.system'; write the value without it"
    ),
    "a: !mine {}": "x.yaml:1:4: a: tag '!mine'; write the value without it",
    "a: .nan": "x.yaml:1:4: a: '.nan' is not a finite number; write a finite one or leave it out",
    "a: [1, -.inf]": "x.yaml:1:8: a.1: '-.inf' is not a finite number; write a finite one or leave it out",
    "a: 1e999": "x.yaml:1:4: a: '1e999' is not a finite number; write a finite one or leave it out",
    "a: 1\n---\nb: 1": "x.yaml:2:1: a second document begins here; write one document in a file",
    "": "x.yaml:1:1: the file is empty; begin with 'schema: hwsim/device/v1', say",
    "# nothing\n": "x.yaml:1:1: the file is empty; begin with 'schema: hwsim/device/v1', say",
    "a:\n\tb: 1": "x.yaml:2:1: a tab; indent with spaces",
    "a: 'x": (
        "x.yaml:1:6: not YAML: found unexpected end of stream; look for a missing quote, bracket, space or indentation"
    ),
    "a: b: c": (
        "x.yaml:1:5: not YAML: mapping values are not allowed in this context; "
        "look for a missing quote, bracket, space or indentation"
    ),
    "a: \x07": "x.yaml:1:4: character U+0007 is not allowed; delete it",
    "a: 1\nb: \0": "x.yaml:2:4: a NUL character; is this a text file?",
    "a: &x [*x]": "x.yaml:1:8: a.0: alias '*x' stands inside its own anchor; write the value out",
    "a: *y": "x.yaml:1:4: a: alias '*y' has no anchor '&y' before it",
    BOMB: "x.yaml:5:38: a4.7: more than 100000 values, aliases expanded; write a smaller file",
    "- a\n" * 1_000_000: "x.yaml:100000:3: 99999: more than 100000 values, aliases expanded; write a smaller file",
    "{a: " * 100_000: f"x.yaml:1:254: {'.'.join('a' * 63)}: nested more than 64 levels deep; write it flatter",
}


@pytest.mark.parametrize("text", BAD_TEXTS, ids=lambda text: repr(text[:24]))
def test_what_is_not_strict_yaml_gets_one_clear_message_in_under_a_second(text: str) -> None:
    began = time.process_time()
    assert refused(text) == [BAD_TEXTS[text]]
    assert time.process_time() - began < 1.0


def test_a_list_nested_a_million_deep_gets_one_clear_message_whatever_the_version_of_libyaml() -> None:
    """Some versions refuse by themselves what others hand on; both name line 1 and say the same."""
    began = time.process_time()
    (message,) = refused("[" * 1_000_000)
    assert message.startswith("x.yaml:1:")
    assert message.endswith(": nested more than 64 levels deep; write it flatter")
    assert time.process_time() - began < 1.0


def test_all_faults_are_listed_in_the_order_of_the_file() -> None:
    assert [line.split(": ")[0] for line in refused("b: .nan\na: 1\na: 2\nc: !t 1")] == [
        "x.yaml:1:4",
        "x.yaml:3:1",
        "x.yaml:4:4",
    ]


def test_of_very_many_faults_two_hundred_are_listed() -> None:
    lines = refused("\n".join("k: 1" for _ in range(5000)))
    assert len(lines) == 201
    assert lines[-1].startswith("... and ")


def test_a_chain_of_aliases_cannot_nest_deeper_than_a_text_could() -> None:
    text = "a0: &a0 [1]\n" + "".join(f"a{i}: &a{i} [*a{i - 1}]\n" for i in range(1, 200))
    assert "nested more than" in refused(text)[0]


@pytest.mark.parametrize(
    "text",
    [BOMB, "[" * 1_000_000, pytest.param("- a\n" * 1_000_000, marks=pytest.mark.slow), "x: " + "a" * (MAX_BYTES - 10)],
)
def test_no_text_makes_memory_grow(text: str) -> None:
    """A bomb of 10^10 values would be 80 GB; the tree of the most values allowed stays under 100 MB."""
    tracemalloc.start()
    try:
        data(text)
    except FileFormatError:
        pass
    finally:
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert peak < 100_000_000


def message_of(path: Path) -> str:
    with pytest.raises(InputError) as caught:
        read_file(path, Faults())
    return str(caught.value)


def test_a_file_that_is_not_utf8_is_named_with_the_place_of_the_byte(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_bytes(b"a: 1\nb: caf\xe9\n")
    assert message_of(path) == f"{path}:2:7: byte 0xe9 is not UTF-8; save it as UTF-8"


def test_a_file_in_utf16_is_recognized(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_bytes("a: 1".encode("utf-16"))
    assert message_of(path) == f"{path}:1:1: the text is UTF-16; save the file as UTF-8"


def test_a_folder_is_not_a_file(tmp_path: Path) -> None:
    assert message_of(tmp_path) == f"{tmp_path}: is a folder; name a .yaml file in it"


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    assert message_of(tmp_path / "x.yaml") == f"{tmp_path / 'x.yaml'}: no such file"


def test_a_name_that_no_file_can_have_is_refused() -> None:
    assert "cannot be read" in message_of(Path("x" * 5000))


def test_a_huge_file_is_refused_without_being_read(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    with path.open("wb") as stream:
        stream.truncate(2 * 2**30)
    tracemalloc.start()
    assert message_of(path) == f"{path}: is larger than 5 MB; write a smaller file"
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 3 * MAX_BYTES


@pytest.mark.parametrize(
    ("text", "value"),
    [("8", 8), ("fp16", "fp16"), ("5 us", "5 us"), ("[1, 2]", [1, 2]), ("{a: 1}", {"a": 1}), ("", "")],
)
def test_a_value_of_the_command_line_is_read_as_in_a_file(text: str, value: object) -> None:
    node = parse_value(text, "--set a")
    assert node.plain() == value
    assert str(node.place) == "--set a"


@given(st.text(max_size=200))
def test_any_text_is_read_or_refused_with_a_place(text: str) -> None:
    faults = Faults()
    try:
        read_text(text, "x.yaml", faults)
    except FileFormatError:
        assert all(fault.place.file == "x.yaml" for fault in faults)
        assert len(faults) > 0


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**9), 10**9) | st.from_regex(r"[a-z]{1,8}", fullmatch=True),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.from_regex(r"k[a-z]{0,5}", fullmatch=True), inner),
    max_leaves=20,
)


@given(PLAIN)
def test_what_another_writer_of_yaml_writes_is_read_back(value: Any) -> None:
    import yaml

    assert data(yaml.safe_dump({"top": value}, default_flow_style=None)) == {"top": value}


def test_the_deepest_text_allowed_is_read() -> None:
    depth = MAX_DEPTH - 1
    assert data("[" * depth + "]" * depth) is not None
