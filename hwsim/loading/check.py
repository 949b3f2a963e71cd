"""Is a file right? All its faults, whatever its kind."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from hwsim.errors import FileFormatError, InputError
from hwsim.loading.device import read_device
from hwsim.loading.document import read_file
from hwsim.loading.faults import Faults
from hwsim.loading.scenario import read_scenario
from hwsim.loading.schema import SCHEMAS
from hwsim.loading.sweep import read_sweep
from hwsim.loading.system import read_system
from hwsim.registry import suggest
from hwsim.units import shown

__all__ = ["check_file", "kind_of"]

_READERS: dict[str, Callable[[Path], Any]] = {
    "device": read_device,
    "system": read_system,
    "scenario": read_scenario,
    "sweep": read_sweep,
}


def kind_of(path: Path) -> str:
    """Which of device, system, scenario and sweep a file says it is.

    Raises:
        FileFormatError: it does not say, or says something else; or it cannot be read as YAML.
        InputError: there is no such file.
    """
    faults = Faults()
    node = read_file(path, faults)
    written = node.child("schema")
    kinds = {text: kind for kind, text in SCHEMAS.items()}
    if written is not None and isinstance(written.value, str) and written.value in kinds:
        return kinds[written.value]
    wanted = f"write one of {', '.join(kinds)}"
    if not isinstance(node.value, dict):
        faults.add(node.place, "", f"a file is a mapping, 'key: value' lines, not {shown(node.plain())}")
    elif written is None:
        faults.add(node.place, "schema", f"is missing; {wanted}")
    else:
        hint = suggest(str(written.value)[:60], kinds)
        faults.add(written.place, "schema", f"{wanted}, not {shown(written.plain())}{hint}")
    faults.check()
    raise AssertionError("unreachable: a fault was just added")


def check_file(path: str | Path) -> tuple[str, ...]:
    """What is wrong with a file, one text a fault, ``file:line:column: path: message``; empty if nothing is."""
    try:
        _READERS[kind_of(Path(path))](Path(path))
    except FileFormatError as error:
        return tuple(str(error).splitlines())
    except InputError as error:
        return (str(error),)
    return ()
