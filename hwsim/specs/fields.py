"""Markers that tie a spec's field to its YAML key and unit.

A spec is a frozen dataclass whose fields are declared once, e.g.

    clock_hz: Annotated[float, Quantity("clock", "Hz")]

The loading package derives its strict YAML models and the JSON Schema from these markers;
``evolve`` uses them to set single fields by their YAML path.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import Any, cast, get_args, get_type_hints

from hwsim.errors import InputError, UnitError
from hwsim.registry import known_names, suggest
from hwsim.units import DIMENSIONS, parse_quantity, shown

__all__ = [
    "Choice",
    "Count",
    "Formats",
    "Key",
    "Marker",
    "Names",
    "Numbers",
    "Quantity",
    "Ratio",
    "SpecField",
    "Text",
    "evolve",
    "spec_fields",
]


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number with a unit; zero is refused unless ``zero`` says otherwise."""

    key: str
    dimension: str
    zero: bool = False

    def parse(self, raw: object) -> float:
        """SI value; raises UnitError."""
        return parse_quantity(raw, self.dimension, exclusive=not self.zero)

    def schema(self) -> dict[str, Any]:
        """JSON Schema of the YAML value."""
        return {"type": "string", "examples": [DIMENSIONS[self.dimension][2]]}


@dataclass(frozen=True, slots=True)
class Count:
    """A whole number of at least ``minimum``."""

    key: str
    minimum: int = 1

    def parse(self, raw: object) -> int:
        """The number; raises InputError."""
        if isinstance(raw, bool) or not isinstance(raw, int) or raw < self.minimum:
            raise InputError(f"write a whole number of at least {self.minimum}, not {shown(raw)}")
        return raw

    def schema(self) -> dict[str, Any]:
        """JSON Schema of the YAML value."""
        return {"type": "integer", "minimum": self.minimum}


@dataclass(frozen=True, slots=True)
class Ratio:
    """A plain number between ``low`` and ``high``."""

    key: str
    low: float = 0.0
    high: float = math.inf

    def parse(self, raw: object) -> float:
        """The number; raises InputError."""
        plain = isinstance(raw, int | float) and not isinstance(raw, bool)
        if not plain or not math.isfinite(raw) or not self.low <= raw <= self.high:  # type: ignore[operator, arg-type]
            wanted = f"from {self.low:g} to {self.high:g}" if math.isfinite(self.high) else f"of at least {self.low:g}"
            raise InputError(f"write a number {wanted}, not {shown(raw)}")
        return float(raw)  # type: ignore[arg-type]

    def schema(self) -> dict[str, Any]:
        """JSON Schema of the YAML value."""
        bounds = {"minimum": self.low} | ({"maximum": self.high} if math.isfinite(self.high) else {})
        return {"type": "number"} | bounds


@dataclass(frozen=True, slots=True)
class Text:
    """Free text."""

    key: str

    def parse(self, raw: object) -> str:
        """The text; raises InputError."""
        if not isinstance(raw, str) or not raw.strip():
            raise InputError(f"write some text, not {shown(raw)}")
        return raw

    def schema(self) -> dict[str, Any]:
        """JSON Schema of the YAML value."""
        return {"type": "string"}


@dataclass(frozen=True, slots=True)
class Choice:
    """One of a few words, or a boolean when the words are empty."""

    key: str
    words: tuple[str, ...] = ()

    def parse(self, raw: object) -> Any:
        """The word; raises InputError."""
        if not self.words:
            if not isinstance(raw, bool):
                raise InputError(f"write true or false, not {shown(raw)}")
            return raw
        if not isinstance(raw, str) or raw not in self.words:
            hint = suggest(raw[:60], self.words) if isinstance(raw, str) else ""
            raise InputError(f"write one of {', '.join(self.words)}, not {shown(raw)}{hint}")
        return raw

    def schema(self) -> dict[str, Any]:
        """JSON Schema of the YAML value."""
        return {"enum": list(self.words)} if self.words else {"type": "boolean"}


@dataclass(frozen=True, slots=True)
class Formats:
    """A mapping from number formats, or other names, to values of one marker, e.g. operations a clock."""

    key: str
    of: Quantity | Count | Ratio
    names: tuple[str, ...] = ()
    what: str = "number format"

    def parse(self, raw: object) -> Mapping[str, float]:
        """The mapping; raises InputError."""
        if not isinstance(raw, Mapping):
            raise InputError(f"write a mapping from names to values, not {shown(raw)}")
        return MappingProxyType({self.parse_name(name): self.of.parse(value) for name, value in raw.items()})

    def parse_name(self, name: object) -> str:
        """A name of the mapping; raises InputError."""
        if not isinstance(name, str) or (self.names and name not in self.names):
            raise InputError(f"no {self.what} {shown(name)}{known_names(str(name), self.names)}")
        return name

    def schema(self) -> dict[str, Any]:
        """JSON Schema of the YAML value."""
        names = {"propertyNames": {"enum": list(self.names)}} if self.names else {}
        return {"type": "object", "additionalProperties": self.of.schema()} | names


@dataclass(frozen=True, slots=True)
class Names:
    """A list of names, each at most once; only of ``words`` if there are any."""

    key: str
    words: tuple[str, ...] = ()

    def parse(self, raw: object) -> tuple[str, ...]:
        """The names; raises InputError."""
        if not isinstance(raw, list | tuple):
            raise InputError(f"write a list of names, e.g. '[a, b]', not {shown(raw)}")
        seen: set[str] = set()
        for name in raw:
            if not isinstance(name, str) or not name.strip():
                raise InputError(f"write a list of names, each a text, not {shown(name)}")
            if self.words and name not in self.words:
                raise InputError(f"no {shown(name)} here{known_names(name, self.words)}")
            if name in seen:
                raise InputError(f"{shown(name)} stands twice; keep one")
            seen.add(name)
        return tuple(raw)

    def schema(self) -> dict[str, Any]:
        """JSON Schema of the YAML value."""
        item: dict[str, Any] = {"enum": list(self.words)} if self.words else {"type": "string"}
        return {"type": "array", "items": item, "uniqueItems": True}


@dataclass(frozen=True, slots=True)
class Numbers:
    """A list of plain numbers between ``low`` and ``high``, whole ones if ``whole``."""

    key: str
    low: float = -math.inf
    high: float = math.inf
    whole: bool = False

    def parse(self, raw: object) -> tuple[Any, ...]:
        """The numbers; raises InputError."""
        if not isinstance(raw, list | tuple):
            raise InputError(f"write a list of numbers, e.g. '[1, 2]', not {shown(raw)}")
        return tuple(self._number(value) for value in raw)

    def _number(self, raw: object) -> float | int:
        plain = isinstance(raw, int | float) and not isinstance(raw, bool)
        if plain and math.isfinite(raw) and self.low <= raw <= self.high:  # type: ignore[operator, arg-type]
            if not self.whole:
                return float(raw)  # type: ignore[arg-type]
            if isinstance(raw, int):
                return raw
        what = "whole numbers" if self.whole else "numbers"
        raise InputError(f"write {what} from {self.low:g} to {self.high:g} in the list, not {shown(raw)}")

    def schema(self) -> dict[str, Any]:
        """JSON Schema of the YAML value."""
        bounds = {"minimum": self.low, "maximum": self.high}
        finite = {name: bound for name, bound in bounds.items() if math.isfinite(bound)}
        return {"type": "array", "items": {"type": "integer" if self.whole else "number"} | finite}


@dataclass(frozen=True, slots=True)
class Key:
    """A nested spec, or a tuple of specs that have names, under that YAML key."""

    key: str


Marker = Quantity | Count | Ratio | Text | Choice | Formats | Names | Numbers | Key


@dataclass(frozen=True, slots=True)
class SpecField:
    """One declared field of a spec: attribute name, YAML key, marker, nested spec type, default."""

    name: str
    marker: Marker
    type: Any
    required: bool
    default: Any

    @property
    def key(self) -> str:
        """The YAML key."""
        return self.marker.key


def spec_fields(spec: type[Any]) -> Mapping[str, SpecField]:
    """The marked fields of a spec class by YAML key."""
    return _spec_fields(cast("Any", spec))


@cache
def _spec_fields(spec: Any) -> Mapping[str, SpecField]:
    hints = get_type_hints(spec, include_extras=True)
    found: dict[str, SpecField] = {}
    for item in dataclasses.fields(spec):
        for extra in getattr(hints[item.name], "__metadata__", ()):
            if isinstance(extra, Marker):
                required = item.default is dataclasses.MISSING and item.default_factory is dataclasses.MISSING
                default = None if required or item.default is dataclasses.MISSING else item.default
                found[extra.key] = SpecField(item.name, extra, get_args(hints[item.name])[0], required, default)
    return MappingProxyType(found)


def evolve(spec: Any, changes: Mapping[str, object]) -> Any:
    """A copy of a spec with fields set by their YAML paths, e.g. ``{"memory.hbm.bandwidth": "6 TB/s"}``.

    Values are written as in the YAML: quantities with units. Items of lists go by their names.

    Raises:
        InputError: no such field (the nearest one is named) or a value the YAML would refuse.
    """
    for path, value in changes.items():
        spec = _set(spec, path.split("."), value, path)
    return spec


def _set(spec: Any, keys: list[str], value: object, path: str) -> Any:
    if not dataclasses.is_dataclass(spec) or isinstance(spec, type):
        raise InputError(f"{path}: '{keys[0]}' has no parts of its own")
    known = spec_fields(type(spec))
    head, rest = keys[0], keys[1:]
    field = known.get(head)
    if field is None:
        raise InputError(f"{path}: no field '{head}'{known_names(head, known)}")
    old = getattr(spec, field.name)
    if isinstance(field.marker, Key):
        if not rest:
            raise InputError(f"{path}: names a section; write one of its fields, e.g. '{path}.{_first(old)}'")
        new = _set_item(old, rest, value, path) if isinstance(old, tuple) else _set(old, rest, value, path)
    elif isinstance(field.marker, Formats) and rest:
        new = MappingProxyType({**(old or {}), **_parsed(field.marker, {rest[0]: value}, path)})
    elif rest:
        raise InputError(f"{path}: '{head}' has no parts of its own")
    else:
        new = _parsed(field.marker, value, path)
    return dataclasses.replace(spec, **{field.name: new})


def _first(old: Any) -> str:
    if isinstance(old, tuple):
        return old[0].name if old else "NAME"
    return next(iter(spec_fields(old.__class__)), "FIELD")


def _set_item(items: tuple[Any, ...], keys: list[str], value: object, path: str) -> tuple[Any, ...]:
    names = [item.name for item in items]
    if keys[0] not in names:
        raise InputError(f"{path}: no item named '{keys[0]}'{known_names(keys[0], names)}")
    if len(keys) == 1:
        raise InputError(f"{path}: names an item; write one of its fields after it")
    return tuple(_set(i, keys[1:], value, path) if i.name == keys[0] else i for i in items)


def _parsed(marker: Any, value: object, path: str) -> Any:
    try:
        return marker.parse(value)
    except (InputError, UnitError) as error:
        raise InputError(f"{path}: {error}") from None
