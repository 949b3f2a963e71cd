"""A document as a difference from another: what ``extends:`` and ``--set`` do, before anything is validated."""

from __future__ import annotations

from collections.abc import Iterable

from hwsim.errors import InputError
from hwsim.loading.document import Node, parse_value
from hwsim.registry import known_names

__all__ = ["apply_set", "merged", "set_at", "with_values", "without"]


def merged(parent: Node, child: Node) -> Node:
    """The parent with the child's values over it: mappings by key, lists of named items by name, others replaced."""
    if isinstance(parent.value, dict) and isinstance(child.value, dict):
        items = dict(parent.value)
        for key, value in child.value.items():
            items[key] = merged(items[key], value) if key in items else value
        return Node(items, child.place, {**parent.keys, **child.keys})
    if _named(parent) and _named(child):
        by_name = {item.value["name"].value: item for item in parent.value}
        for item in child.value:
            name = item.value["name"].value
            by_name[name] = merged(by_name[name], item) if name in by_name else item
        return Node(list(by_name.values()), child.place)
    return child


def _named(node: Node) -> bool:
    return isinstance(node.value, list) and all(
        isinstance(item.value, dict) and "name" in item.value and isinstance(item.value["name"].value, str)
        for item in node.value
    )


def without(node: Node, keys: Iterable[str]) -> Node:
    """The mapping without some of its keys."""
    gone = frozenset(keys)
    kept = {key: child for key, child in node.value.items() if key not in gone}
    return Node(kept, node.place, {key: place for key, place in node.keys.items() if key not in gone})


def with_values(node: Node, values: dict[str, Node]) -> Node:
    """The mapping with some keys added or replaced; new keys stand where the mapping does."""
    places = dict.fromkeys(values, node.place) | dict(node.keys)
    return Node({**node.value, **values}, node.place, places)


def apply_set(root: Node, assignment: str) -> Node:
    """The document with one value replaced as ``--set PATH=VALUE`` says.

    Raises:
        InputError: no ``=``, or no such list item on the way.
        FileFormatError: the value is not YAML.
    """
    path, equals, text = assignment.partition("=")
    if not equals or not path.strip():
        raise InputError(f"--set {assignment}: write PATH=VALUE, e.g. 'workload.batch=8'")
    return set_at(root, path.strip(), parse_value(text, f"--set {assignment}"))


def set_at(root: Node, path: str, value: Node) -> Node:
    """The document with the value at a dotted path replaced; mappings on the way are made where missing.

    Raises:
        InputError: the path leads through a list item that does not exist, or through a plain value.
    """
    return _set(root, path.split("."), path, value)


def _set(node: Node, parts: list[str], path: str, value: Node) -> Node:
    if not parts:
        return value
    head, rest = parts[0], parts[1:]
    if not all(parts):
        raise InputError(f"{path}: an empty part; write names with single dots between them")
    if isinstance(node.value, dict):
        # A key may itself hold dots (`gemm.int8`): the longest that exists wins.
        for cut in range(len(parts), 1, -1):
            if ".".join(parts[:cut]) in node.value:
                head, rest = ".".join(parts[:cut]), parts[cut:]
                break
        old = node.value.get(head, Node({}, value.place))
        child = _set(old, rest, path, value)
        return Node({**node.value, head: child}, node.place, {head: value.place, **node.keys})
    if isinstance(node.value, list):
        position = _position(node, head, path)
        items = list(node.value)
        items[position] = _set(items[position], rest, path, value)
        return Node(items, node.place)
    raise InputError(f"{path}: '{head}' is not part of a mapping or list; the value before it is a plain one")


def _position(node: Node, head: str, path: str) -> int:
    names = [_called(item, position) for position, item in enumerate(node.value)]
    if head in names:
        return names.index(head)
    if head.isdecimal() and int(head[:9]) < len(names):
        return int(head[:9])
    raise InputError(f"{path}: no item '{head}'{known_names(head, names)}")


def _called(item: Node, position: int) -> str:
    return item.value if isinstance(item.value, str) else item.name(position)
