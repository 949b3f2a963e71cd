"""Names to things."""

from __future__ import annotations

import pytest

from hwsim.errors import InputError, UnknownNameError
from hwsim.registry import Registry, known_names, suggest, unknown_name


@pytest.fixture
def shapes() -> Registry[int]:
    made: Registry[int] = Registry("shape")
    made.add("square", 4)
    made.add("triangle", 3)
    return made


def test_a_name_gives_what_was_registered_in_order(shapes: Registry[int]) -> None:
    assert dict(shapes) == {"square": 4, "triangle": 3}
    assert list(shapes) == ["square", "triangle"]


def test_a_name_registers_once(shapes: Registry[int]) -> None:
    with pytest.raises(InputError, match="shape 'square' is registered twice"):
        shapes.add("square", 5)


def test_the_decorator_registers_and_returns_the_thing() -> None:
    made: Registry[type] = Registry("kind")

    @made.register("a")
    class A: ...

    assert made["a"] is A


def test_an_unknown_name_gets_the_nearest_one(shapes: Registry[int]) -> None:
    with pytest.raises(UnknownNameError) as caught:
        shapes["squre"]
    assert str(caught.value) == "no shape named 'squre'; did you mean 'square'?"


def test_a_name_like_none_of_the_known_gets_them_all(shapes: Registry[int]) -> None:
    with pytest.raises(UnknownNameError, match="known: square, triangle"):
        shapes["xyz"]


def test_membership_raises_nothing(shapes: Registry[int]) -> None:
    assert "square" in shapes
    assert "squre" not in shapes


def test_suggestions_ignore_case() -> None:
    assert suggest("RESNET50", ["resnet50"]) == "; did you mean 'resnet50'?"


def test_long_lists_and_long_names_are_cut() -> None:
    assert str(unknown_name("thing", "q" * 10_000, [])) == f"no thing named '{'q' * 80}'; known: none"
    assert known_names("zz", [f"a{i}" for i in range(100)]).endswith("a39, ...")
