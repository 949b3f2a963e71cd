"""Several devices under their roles."""

from __future__ import annotations

import pytest

from hwsim.errors import UnknownNameError
from hwsim.specs.device import DeviceSpec
from hwsim.specs.system import single


def test_a_single_device_plays_the_role_of_its_name(chip: DeviceSpec) -> None:
    alone = single(chip)
    assert (alone.name, list(alone.devices), alone.links, alone.memory) == ("toychip", ["toychip"], (), None)
    assert alone.device("toychip") is chip


def test_an_unknown_role_gets_the_nearest(chip: DeviceSpec) -> None:
    with pytest.raises(UnknownNameError, match="no device of toychip named 'toychop'; did you mean 'toychip'"):
        single(chip).device("toychop")
