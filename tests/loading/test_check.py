# ruff: noqa: E501 - a message is quoted whole, on one line
"""Files of any kind: their faults, their schemas, files to start from, and that nothing else ever escapes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from hwsim.errors import InputError, UnknownNameError
from hwsim.loading.check import check_file
from hwsim.loading.schema import SCHEMAS, json_schema
from hwsim.loading.starter import starter_text

KINDS = tuple(SCHEMAS)
REPOSITORY = Path(__file__).resolve().parents[2]
SHIPPED = sorted(p for folder in ("device_specs", "scenarios", "sweeps") for p in (REPOSITORY / folder).rglob("*.yaml"))


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_every_shipped_file_is_right(path: Path) -> None:
    assert check_file(path) == ()


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_every_shipped_file_fits_its_schema(path: Path) -> None:
    data = yaml.load(
        path.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader
    )
    kind = data["schema"].split("/")[1]
    assert [error.message for error in Draft202012Validator(schema_of(kind)).iter_errors(data)] == []


SCHEMA_CACHE: dict[str, Any] = {}


def schema_of(kind: str) -> Any:
    if kind not in SCHEMA_CACHE:
        SCHEMA_CACHE[kind] = json_schema(kind)
    return SCHEMA_CACHE[kind]


@pytest.mark.parametrize("kind", KINDS)
def test_a_starter_file_is_right_as_it_stands(write, kind: str) -> None:
    assert check_file(write(f"mine_{kind}.yaml", starter_text(kind, f"mine_{kind}"))) == ()


@pytest.mark.parametrize("kind", KINDS)
def test_a_starter_file_explains_itself(kind: str) -> None:
    assert starter_text(kind, "mine").count("#") >= 3


@pytest.mark.parametrize("name", ["../x", "a/b", "", "a b", ".x", "x" * 100])
def test_a_starter_needs_a_plain_name(name: str) -> None:
    with pytest.raises(InputError, match="a name is letters, digits"):
        starter_text("device", name)


@pytest.mark.parametrize("ask", [lambda kind: starter_text(kind, "x"), json_schema])
def test_an_unknown_kind_gets_the_nearest(ask: Any) -> None:
    with pytest.raises(UnknownNameError, match="no kind of file named 'devise'; did you mean 'device'"):
        ask("devise")


@pytest.mark.parametrize("kind", KINDS)
def test_a_schema_is_valid_json_schema(kind: str) -> None:
    made = schema_of(kind)
    Draft202012Validator.check_schema(made)
    assert json.loads(json.dumps(made)) == made


@pytest.mark.parametrize("kind", KINDS)
def test_a_starter_file_fits_its_schema_and_an_unknown_key_does_not(kind: str) -> None:
    data = yaml.safe_load(starter_text(kind, "mine"))
    validator = Draft202012Validator(schema_of(kind))
    assert validator.is_valid(data)
    assert not validator.is_valid(data | {"sofware": 1})


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("name: x", "x.yaml:1:1: schema: is missing; write one of hwsim/device/v1, hwsim/system/v1, hwsim/scenario/v1, hwsim/sweep/v1"),
        ("schema: hwsim/devise/v1", "x.yaml:1:9: schema: write one of hwsim/device/v1, hwsim/system/v1, hwsim/scenario/v1, hwsim/sweep/v1, not 'hwsim/devise/v1'; did you mean 'hwsim/device/v1'?"),
        ("schema: hwsim/device/v9", "x.yaml:1:9: schema: write one of hwsim/device/v1, hwsim/system/v1, hwsim/scenario/v1, hwsim/sweep/v1, not 'hwsim/device/v9'; did you mean 'hwsim/device/v1'?"),
        ("schema: 1", "hwsim/sweep/v1, not 1"),
        ("- a", "x.yaml:1:1: a file is a mapping, 'key: value' lines, not a list"),
        ("hello", "x.yaml:1:1: a file is a mapping, 'key: value' lines, not 'hello'"),
        ("a: [", "x.yaml:2:1: not YAML: "),
        ("", "x.yaml:1:1: the file is empty; begin with 'schema: hwsim/device/v1', say"),
    ],
)  # fmt: skip
def test_a_file_of_no_kind_is_told_the_four(write, text: str, fault: str) -> None:
    write("x.yaml", text + "\n" if text else "")
    (line,) = check_file("x.yaml")
    assert fault in line


def test_a_missing_file_and_a_folder_are_faults_too(write) -> None:
    write("device_specs/x.yaml", "a: 1")
    assert check_file("nowhere.yaml") == ("nowhere.yaml: no such file",)
    assert check_file("device_specs") == ("device_specs: is a folder; name a .yaml file in it",)


def test_a_right_file_has_no_faults(write) -> None:
    write("device_specs/other.yaml", "a: 1")
    assert check_file("device_specs/toy.yaml") == ()


# Whatever a person writes in a file, the answer is a list of faults, never another exception.

ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-5, 5),
    st.floats(),
    st.sampled_from(["", "x", "..", "../x", "toy", "5 us", "-1 W", "nan", "all", "h100_sxm", "\0", "é", "a.b"]),
    st.lists(st.integers(0, 2), max_size=2),
    st.lists(st.dictionaries(st.sampled_from(["name", "x"]), st.sampled_from(["a", "b", 1])), max_size=2),
    st.dictionaries(
        st.sampled_from(["name", "use", "kind", "x", "set", "extends", "from"]), st.integers(0, 2), max_size=2
    ),
)


def spots(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [path] if path else []
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return found + [spot for key, child in inner for spot in spots(child, (*path, key))]


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data())
def test_no_value_anywhere_escapes_as_another_exception(tmp_path_factory, kind: str, data: st.DataObject) -> None:
    document = yaml.safe_load(starter_text(kind, "mine"))
    for _ in range(data.draw(st.integers(1, 3))):
        *path, last = data.draw(st.sampled_from(spots(document)))
        holder = document
        for key in path:
            holder = holder[key]
        holder[last] = data.draw(ODD)
        if not spots(document):
            break
    path = tmp_path_factory.getbasetemp() / "mine.yaml"
    path.write_text(yaml.safe_dump(document, allow_unicode=True), encoding="utf-8")
    for line in check_file(path):
        assert "mine.yaml" in line
        assert "Traceback" not in line
