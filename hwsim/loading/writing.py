"""Device files written by hwsim itself: checked before they replace anything, and written whole or not at all."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from hwsim.devices.base import KINDS
from hwsim.errors import InputError
from hwsim.loading.device import read_device
from hwsim.specs.device import DeviceSpec
from hwsim.specs.fields import Quantity
from hwsim.units import format_quantity

__all__ = ["check_output", "constants_section", "device_from", "device_text", "write_device"]


def check_output(path: Path, example: str) -> None:
    """Raise InputError where no device file can be written at a path; ask before the long work that leads to it."""
    if path.suffix != ".yaml" or not re.fullmatch(r"[a-z0-9_]+", path.stem):
        raise InputError(f"-o {path}: write a name of lower-case letters, digits and _, e.g. '{example}.yaml'")
    if not path.parent.is_dir():
        raise InputError(f"-o {path}: no folder '{path.parent}'; make it first, or write another path")
    if path.is_dir() or not os.access(path.parent, os.W_OK):
        raise InputError(f"-o {path}: cannot be written; name another file with -o")


def device_text(document: Mapping[str, Any]) -> str:
    """The YAML text of a device: keys in the order given, mappings of plain values on one line."""
    lines: list[str] = []
    for key, value in document.items():
        if isinstance(value, Mapping) and any(isinstance(part, Mapping) for part in value.values()):
            lines.append(f"{key}:")
            lines += [f"  {line}" for line in device_text(value).splitlines()]
        elif isinstance(value, list) and value and isinstance(value[0], Mapping):
            lines += [f"{key}:", *(f"  - {_flow(item)}" for item in value)]
        else:
            lines.append(f"{key}: {_flow(value)}")
    return "\n".join(lines) + "\n"


def _flow(value: Any) -> str:
    text = yaml.safe_dump(value, default_flow_style=True, sort_keys=False, width=10**6, allow_unicode=True)
    return text.removesuffix("\n").removesuffix("\n...")


def constants_section(spec: DeviceSpec, constants: Mapping[str, float]) -> dict[str, Any]:
    """A kernel family's constants as a stack of that device holds them: times with their unit."""
    markers = KINDS[spec.kind].constants
    return {
        name: format_quantity(value, "s") if isinstance(markers[name], Quantity) else value
        for name, value in constants.items()
    }


def device_from(document: Mapping[str, Any], file: str) -> DeviceSpec:
    """The device a document describes, as if it stood in a file of that name; raises FileFormatError."""
    with tempfile.TemporaryDirectory(prefix=".hwsim-") as folder:
        return _read(document, Path(folder) / file)


def write_device(document: Mapping[str, Any], path: Path) -> DeviceSpec:
    """Writes a device file and returns what it describes; an existing file is replaced only by a right one.

    Raises:
        FileFormatError: the document has faults; nothing was written.
        InputError: the file cannot be written.
    """
    try:
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=".hwsim-") as folder:
            draft = Path(folder) / path.name
            spec = _read(document, draft)
            draft.replace(path)
    except OSError as error:
        raise InputError(f"{path}: cannot be written: {error.strerror}; name another file with -o") from None
    return spec


def _read(document: Mapping[str, Any], path: Path) -> DeviceSpec:
    path.write_text(device_text(document), encoding="utf-8")
    spec, _ = read_device(path)
    return spec
