"""YAML text to a tree of plain values that know their line and column.

Stricter than YAML, and closer to its version 1.2: only ``true`` and ``false`` are booleans, ``1e9`` is a number,
``12:30`` is text. Duplicate keys, keys that are not text, tags, merge keys and second documents are faults. Events
are read one by one, so the limits on size, depth and expanded aliases hold before any of it takes memory.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import yaml

from hwsim.errors import InputError
from hwsim.loading.faults import Faults, Place
from hwsim.units import shown

__all__ = ["MAX_BYTES", "MAX_DEPTH", "MAX_NODES", "Keys", "Node", "parse_value", "read_file", "read_text"]

MAX_BYTES = 5_000_000
MAX_NODES = 100_000
MAX_DEPTH = 64
_TOO_DEEP = f"nested more than {MAX_DEPTH} levels deep; write it flatter"

Keys = tuple[str | int, ...]
"""The way from the top of a document to a value: keys of mappings and positions in lists."""

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_NO_KEYS: Mapping[str, Place] = MappingProxyType({})
_WORDS: Mapping[str, Any] = MappingProxyType({"true": True, "false": False, "null": None, "~": None, "": None})
_INT = re.compile(r"[-+]?[0-9]{1,40}|0x[0-9a-fA-F]{1,30}")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_SCHEMA = re.compile(r"hwsim/(device|system|scenario|sweep)/v1")
_NOT_FINITE = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")


@dataclass(frozen=True, slots=True)
class Node:
    """A value of a document: a ``dict`` or ``list`` of nodes, or a text, number, boolean or None.

    ``keys`` gives the places of a mapping's keys; ``size`` and ``height`` count the nodes below, aliases expanded.
    """

    value: Any
    place: Place
    keys: Mapping[str, Place] = field(default_factory=lambda: _NO_KEYS)
    size: int = 1
    height: int = 1

    def plain(self) -> Any:
        """The value as ordinary Python data."""
        if isinstance(self.value, dict):
            return {key: child.plain() for key, child in self.value.items()}
        if isinstance(self.value, list):
            return [child.plain() for child in self.value]
        return self.value

    def locate(self, keys: Keys, *, key: bool = False) -> tuple[Place, str]:
        """Where the value at ``keys`` stands (or its ``key``), and its dotted path, list items by their names.

        For a value that is missing, the place of what should hold it.
        """
        node, place, path = self, self.place, []
        for depth, part in enumerate(keys):
            child = node.child(part)
            if child is None:
                path += [str(rest) for rest in keys[depth:]]
                return node.place, ".".join(path)
            place = node.keys[str(part)] if key and isinstance(node.value, dict) else child.place
            path.append(str(part) if isinstance(part, str) else child.name(part))
            node = child
        return place, ".".join(path)

    def child(self, part: str | int) -> Node | None:
        """The node under a key or at a position, if there is one."""
        if isinstance(self.value, dict):
            found: Node | None = self.value.get(part)
            return found
        if isinstance(self.value, list) and isinstance(part, int) and part < len(self.value):
            item: Node = self.value[part]
            return item
        return None

    def name(self, position: int) -> str:
        """How a path calls this list item: its ``name``, else its position."""
        named = self.value.get("name") if isinstance(self.value, dict) else None
        return named.value if named is not None and isinstance(named.value, str) else str(position)


def read_file(path: Path, faults: Faults, schema: str = "") -> Node:
    """The document in a file; lesser faults are collected, those that leave no document raise.

    Raises:
        FileFormatError: the file is empty, too big, not UTF-8, not YAML ..., or of another kind than ``schema`` says.
        InputError: there is no such file, or it is a folder.
    """
    file = str(path)
    try:
        if path.is_dir():
            raise InputError(f"{file}: is a folder; name a .yaml file in it")
        if not path.is_file():
            raise InputError(f"{file}: no such file")
        with path.open("rb") as stream:
            raw = stream.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        raise InputError(
            f"{shown(file)}: cannot be read: {error.__class__.__name__}; check its name and rights"
        ) from None
    node = read_text(_decoded(raw, file, faults), file, faults)
    written = node.child("schema")
    if schema and written is not None and (own := _kind(written.value)) and own != (wanted := _kind(schema)):
        faults.add(written.place, "schema", f"this file describes a {own}; name one that describes a {wanted}")
        faults.check()
    return node


def _kind(schema: object) -> str:
    """The word between 'hwsim/' and '/v1', or nothing."""
    found = _SCHEMA.fullmatch(schema) if isinstance(schema, str) else None
    return found[1] if found else ""


def _decoded(raw: bytes, file: str, faults: Faults) -> str:
    if len(raw) > MAX_BYTES:
        faults.add(Place(file), "", f"is larger than {MAX_BYTES // 1_000_000} MB; write a smaller file")
        faults.check()
    if raw[:2] in {b"\xff\xfe", b"\xfe\xff"}:
        faults.add(Place(file, 1, 1), "", "the text is UTF-16; save the file as UTF-8")
        faults.check()
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = error.object[: error.start].decode("utf-8-sig", "replace")
        faults.add(_after(before, file), "", f"byte 0x{error.object[error.start]:02x} is not UTF-8; save it as UTF-8")
        faults.check()
        raise


def _after(before: str, file: str) -> Place:
    return Place(file, before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1)


def read_text(text: str, file: str, faults: Faults) -> Node:
    """The document in a text; raises FileFormatError as :func:`read_file` does."""
    if "\0" in text:
        faults.add(_after(text[: text.index("\0")], file), "", "a NUL character; is this a text file?")
        faults.check()
    builder = _Builder(file, faults)
    try:
        for event in yaml.parse(text, Loader=_LOADER):
            builder.take(event)
    except yaml.reader.ReaderError as error:
        _unreadable(error, text, file, faults)
    except yaml.MarkedYAMLError as error:
        _not_yaml(error, text, file, faults)
    if builder.root is None:
        faults.add(Place(file, 1, 1), "", "the file is empty; begin with 'schema: hwsim/device/v1', say")
        faults.check()
    assert builder.root is not None
    return builder.root


def _unreadable(error: yaml.reader.ReaderError, text: str, file: str, faults: Faults) -> None:
    found = re.search(r"[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", text)
    place = _after(text[: found.start()], file) if found else Place(file)
    what = f"character U+{ord(found[0]):04X} is not allowed" if found else str(error.reason)
    faults.add(place, "", f"{what}; delete it")
    faults.check()


def _not_yaml(error: yaml.MarkedYAMLError, text: str, file: str, faults: Faults) -> None:
    mark = error.problem_mark or error.context_mark
    place = Place(file, mark.line + 1, mark.column + 1) if mark else Place(file)
    lines = text.splitlines()
    line = lines[mark.line] if mark and mark.line < len(lines) else ""
    if mark and "\t" in line[: mark.column + 1]:
        message = "a tab; indent with spaces"
    elif error.problem and "nesting" in error.problem:  # libyaml 0.2.6 and later stop by themselves, a line ahead of us
        message = _TOO_DEEP
    else:
        message = f"not YAML: {error.problem or error.context}; look for a missing quote, bracket, space or indentation"
    faults.add(place, "", message)
    faults.check()


@dataclass(slots=True)
class _Open:
    """A mapping or list that is being read."""

    place: Place
    anchor: str | None
    items: dict[str, Node] | list[Node]
    keys: dict[str, Place] = field(default_factory=dict)
    key: str | None = None
    key_place: Place | None = None
    waiting: bool = False
    size: int = 1
    height: int = 0


class _Builder:
    """Events to nodes."""

    def __init__(self, file: str, faults: Faults) -> None:
        self.file, self.faults = file, faults
        self.root: Node | None = None
        self._stack: list[_Open] = []
        self._anchors: dict[str, Node] = {}
        self._documents = 0
        self._total = 0

    def take(self, event: Any) -> None:
        """Read one event."""
        place = Place(self.file, event.start_mark.line + 1, event.start_mark.column + 1)
        match event:
            case yaml.DocumentStartEvent():
                self._documents += 1
                if self._documents > 1:
                    self._stop(place, "a second document begins here; write one document in a file")
            case yaml.ScalarEvent():
                self._refuse_tag(event, place)
                self._count(place, 1, 1)
                self._put(Node(self._scalar(event, place), place), event.anchor)
            case yaml.MappingStartEvent() | yaml.SequenceStartEvent():
                self._refuse_tag(event, place)
                self._count(place, 1, 1)
                self._stack.append(_Open(place, event.anchor, {} if isinstance(event, yaml.MappingStartEvent) else []))
            case yaml.MappingEndEvent() | yaml.SequenceEndEvent():
                done = self._stack.pop()
                self._put(Node(done.items, done.place, done.keys, done.size, done.height + 1), done.anchor)
            case yaml.AliasEvent():
                node = self._aliased(str(event.anchor), place)
                self._count(place, node.size, node.height)
                self._put(Node(node.value, place, node.keys, node.size, node.height), None)
            case _:
                pass  # the beginning and the end of the stream and of documents

    def _stop(self, place: Place, message: str) -> None:
        self.faults.add(place, self._path(), message)
        self.faults.check()

    def _refuse_tag(self, event: Any, place: Place) -> None:
        if event.tag is not None:
            self.faults.add(place, self._path(), f"tag {shown(event.tag)}; write the value without it")

    def _count(self, place: Place, size: int, height: int) -> None:
        self._total += size
        if self._total > MAX_NODES:
            self._stop(place, f"more than {MAX_NODES} values, aliases expanded; write a smaller file")
        if len(self._stack) + height > MAX_DEPTH:
            self._stop(place, _TOO_DEEP)

    def _aliased(self, anchor: str, place: Place) -> Node:
        if any(frame.anchor == anchor for frame in self._stack):
            self._stop(place, f"alias '*{anchor}' stands inside its own anchor; write the value out")
        if anchor not in self._anchors:
            self._stop(place, f"alias '*{anchor}' has no anchor '&{anchor}' before it")
        return self._anchors[anchor]

    def _put(self, node: Node, anchor: str | None) -> None:
        if anchor is not None:
            self._anchors[anchor] = node
        if not self._stack:
            self.root = node
            return
        frame = self._stack[-1]
        if isinstance(frame.items, list):
            frame.items.append(node)
        elif not frame.waiting:
            self._key(frame, node)
            return
        else:
            if frame.key is not None and frame.key_place is not None:
                frame.items[frame.key] = node
                frame.keys[frame.key] = frame.key_place
            frame.waiting, frame.key = False, None
        frame.size += node.size
        frame.height = max(frame.height, node.height)

    def _key(self, frame: _Open, node: Node) -> None:
        frame.waiting, frame.key, frame.key_place = True, None, node.place
        key = node.value
        if not isinstance(key, str):
            hint = f'; write it in quotes: "{shown(key)}"' if isinstance(key, int | float) else "; write text"
            self.faults.add(node.place, self._path(), f"the key {shown(key)} is not text{hint}")
        elif key == "<<":
            self.faults.add(node.place, self._path(), "merge key '<<' is not read; write the keys out, or use extends:")
        elif key in frame.items:
            first = frame.keys[key].line
            self.faults.add(node.place, self._path(), f"key {shown(key)} stands twice, first in line {first}; keep one")
        else:
            frame.key = key

    def _path(self) -> str:
        parts = []
        for frame in self._stack:
            if isinstance(frame.items, list):
                parts.append(str(len(frame.items)))
            elif frame.key is not None:
                parts.append(frame.key)
        return ".".join(parts)

    def _scalar(self, event: Any, place: Place) -> Any:
        text: str = event.value
        if not event.implicit[0]:
            return text
        if text in _WORDS:
            return _WORDS[text]
        if _INT.fullmatch(text):
            return int(text, 16) if text.startswith("0x") else int(text)
        if _FLOAT.fullmatch(text):
            number = float(text)
            if math.isfinite(number):
                return number
        elif not _NOT_FINITE.fullmatch(text):
            return text
        self.faults.add(
            place, self._path(), f"{shown(text)} is not a finite number; write a finite one or leave it out"
        )
        return 0.0


def parse_value(text: str, option: str) -> Node:
    """A value typed on the command line, read as it would be in a file: ``8``, ``fp16``, ``[1, 2]``, ``5 us``.

    Raises:
        FileFormatError: the text is not one YAML value.
    """
    faults = Faults()
    if not text.strip():
        return Node("", Place(option))
    node = read_text(text, option, faults)
    faults.check()
    return _moved(node, Place(option))


def _moved(node: Node, place: Place) -> Node:
    if isinstance(node.value, dict):
        moved: Any = {key: _moved(child, place) for key, child in node.value.items()}
    elif isinstance(node.value, list):
        moved = [_moved(child, place) for child in node.value]
    else:
        moved = node.value
    return Node(moved, place, dict.fromkeys(node.keys, place), node.size, node.height)


def walk(node: Node, keys: Keys = ()) -> Iterator[tuple[Keys, Node]]:
    """Every node of a document with its keys, top first."""
    yield keys, node
    if isinstance(node.value, dict):
        for key, child in node.value.items():
            yield from walk(child, (*keys, key))
    elif isinstance(node.value, list):
        for position, child in enumerate(node.value):
            yield from walk(child, (*keys, position))
