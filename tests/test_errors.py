"""The exception tree."""

from __future__ import annotations

import inspect

import pytest

import hwsim.errors as module
from hwsim.errors import HwsimError

ALL = [getattr(module, name) for name in module.__all__]


@pytest.mark.parametrize("error", ALL)
def test_every_error_is_an_hwsim_error(error: type[HwsimError]) -> None:
    assert issubclass(error, HwsimError)


@pytest.mark.parametrize("error", ALL)
def test_an_error_survives_being_rebuilt_from_its_arguments(error: type[HwsimError]) -> None:
    made = error("where: what; the fix")
    assert str(type(made)(*made.args)) == "where: what; the fix"


def test_every_exception_of_the_module_is_public_and_drawn_in_the_tree() -> None:
    found = {name for name, item in inspect.getmembers(module, inspect.isclass) if issubclass(item, HwsimError)}
    assert found == set(module.__all__)
    assert module.__doc__ is not None
    assert all(name in module.__doc__ for name in found)
