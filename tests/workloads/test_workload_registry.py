"""Workloads by name, and what they refuse."""

from __future__ import annotations

import subprocess
import sys
from typing import Literal

import pytest

from hwsim.errors import InputError, UnknownNameError
from hwsim.graph.graph import Graph, GraphBuilder
from hwsim.operators.relu import Relu
from hwsim.workloads import WORKLOADS, workload
from hwsim.workloads.library import ALIASES, MODULE_OF
from hwsim.workloads.registry import Library, Parameter, sources


def test_every_module_defines_the_names_the_library_promises() -> None:
    assert [name for name in MODULE_OF if WORKLOADS[name].name != name] == []


def test_no_module_defines_a_name_the_library_does_not_list() -> None:
    for name in MODULE_OF:
        assert WORKLOADS[name]
    listed = set(MODULE_OF)
    assert {name for name in WORKLOADS if WORKLOADS[name].function.__module__ in set(MODULE_OF.values())} == listed


def test_an_alias_names_the_same_workload_and_is_not_listed_twice() -> None:
    assert WORKLOADS["mobilenet_v3"] is WORKLOADS["mobilenet_v3_large"]
    assert "mobilenet_v3" in WORKLOADS
    assert not set(ALIASES) & set(WORKLOADS)


def test_listing_the_names_imports_no_workload() -> None:
    code = (
        "import sys; from hwsim.workloads import WORKLOADS; list(WORKLOADS); "
        "assert 'hwsim.workloads.resnet' not in sys.modules and 'hwsim.operators' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_an_unknown_workload_suggests_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="no workload named 'resnet5O'; did you mean 'resnet50'"):
        workload("resnet5O")


def test_an_unknown_parameter_suggests_the_nearest_and_lists_them_all() -> None:
    with pytest.raises(
        UnknownNameError, match=r"'resnet50' has no parameter 'bacth'; did you mean 'batch'.*height \(224"
    ):
        workload("resnet50", bacth=8)


@pytest.mark.parametrize("value", ["8", 8.0, None, True, [8]])
def test_a_value_of_the_wrong_type_names_the_parameter(value: object) -> None:
    with pytest.raises(InputError, match="parameter 'batch': write a whole number such as 1, not"):
        workload("resnet50", batch=value)


@pytest.mark.parametrize("batch", [0, -3])
def test_a_batch_below_one_is_refused(batch: int) -> None:
    with pytest.raises(InputError, match=f"parameter 'batch' must be at least 1, not {batch}"):
        workload("resnet50", batch=batch)


def test_a_value_above_the_maximum_is_refused() -> None:
    with pytest.raises(InputError, match="parameter 'seq' must be at most 512, not 513"):
        workload("bert_base", seq=513)


def test_a_choice_that_does_not_exist_suggests_the_nearest() -> None:
    with pytest.raises(InputError, match="write one of prefill, decode, generate, not 'decod'; did you mean 'decode'"):
        workload("gpt2", phase="decod")


def test_an_unknown_dtype_is_refused() -> None:
    with pytest.raises(InputError, match=r"parameter 'dtype': write one of auto.*not 'fp17'"):
        workload("mlp", dtype="fp17")


def test_dtype_resolves_the_formats_and_auto_leaves_them_open() -> None:
    assert workload("mlp").is_auto
    assert workload("mlp", dtype="w4a16").tensors["linear0.weight"].type.format == "int4"


def test_an_assignment_of_the_command_line_becomes_a_typed_value() -> None:
    assert WORKLOADS["resnet50"].parse_parameter(" batch = 8 ") == ("batch", 8)
    assert WORKLOADS["llm"].parse_parameters(["phase=decode", "tied=yes"]) == {"phase": "decode", "tied": True}


@pytest.mark.parametrize("text", ["batch=eight", "batch=8.5", "batch="])
def test_an_assignment_that_is_no_whole_number_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="parameter 'batch': write a whole number"):
        WORKLOADS["resnet50"].parse_parameter(text)


def test_an_assignment_without_equals_sign_says_how_to_write_it() -> None:
    with pytest.raises(InputError, match=r"write NAME=VALUE, e\.g\. 'batch=8', not 'batch'"):
        WORKLOADS["resnet50"].parse_parameter("batch")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "much"])
def test_a_number_must_be_finite(value: object) -> None:
    with pytest.raises(InputError, match="parameter 'guidance': write a number"):
        Parameter(name="guidance", type=float, default=7.5, minimum=0.0).check(value)


def test_a_whole_number_serves_where_a_number_is_wanted() -> None:
    assert Parameter(name="guidance", type=float, default=7.5).check(7) == 7.0


def test_parameters_are_read_from_the_function_and_its_docstring() -> None:
    batch = WORKLOADS["resnet50"].parameters["batch"]
    assert (batch.type, batch.default, batch.minimum, batch.doc) == (int, 1, 1.0, "Images at once.")
    assert WORKLOADS["gpt2"].parameters["phase"].choices == ("prefill", "decode", "generate")


def test_every_parameter_of_every_workload_is_documented_and_its_default_valid() -> None:
    for name in MODULE_OF:
        for parameter in WORKLOADS[name].parameters.values():
            assert parameter.doc, f"{name}.{parameter.name}"
            assert parameter.check(parameter.default) == parameter.default


def test_a_second_workload_of_one_name_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    from hwsim.workloads import registry

    monkeypatch.setattr(registry, "WORKLOADS", Library({}, {"other": "mine"}))

    def mine(*, size: int = 4, mode: Literal["a", "b"] = "a") -> Graph:
        b = GraphBuilder(f"mine_{mode}")
        return b.build([b.add(Relu(), b.input("x", (size,)))])

    enter = registry.workload(title="Mine", source="this test", item="thing")
    enter(mine)
    assert registry.WORKLOADS["other"].build(size=2).item == "thing"
    with pytest.raises(InputError, match="workload 'mine' is registered twice"):
        enter(mine)


@pytest.mark.slow
def test_networks_can_be_built_where_python_left_docstrings_out() -> None:
    code = "from hwsim.workloads import workload; print(workload('zero_dce').macs)"
    found = subprocess.run([sys.executable, "-OO", "-c", code], check=True, capture_output=True, text=True)
    assert float(found.stdout) > 1e9


@pytest.mark.parametrize(
    ("doc", "before", "found"),
    [
        ("Nets.\n\nSources: A 2020;\nB 2021. Layers as released.\n", "Layers", "A 2020; B 2021."),
        ("Nets. Sources: A 2020.\n", "", "A 2020."),
        ("Nets.", "", ""),
        (None, "", ""),
    ],
)
def test_sources_of_a_module_are_one_line(doc: str | None, before: str, found: str) -> None:
    assert sources(doc, before) == found
