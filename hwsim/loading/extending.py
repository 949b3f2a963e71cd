"""``extends:`` of device files: a chip as a difference from another, and what it may inherit.

A memory, a power section or the compute section keeps the parent's source; where the child changes values without
a source of its own, the inherited one says so. What belongs to one product alone is never inherited: its name,
title, aliases, note, die and datasheet. A stack fitted to the parent is at best a relative's to the child; its
residuals, which say where a library's kernels depart from the formulas, are only taken over where both name the same
die.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from hwsim.errors import InputError
from hwsim.loading import library
from hwsim.loading.carrying import carried_stacks
from hwsim.loading.document import Node, read_file
from hwsim.loading.faults import Faults
from hwsim.loading.merge import merged, with_values, without
from hwsim.loading.stacks import resolved_stacks

__all__ = ["MAX_CHAIN", "extended"]

MAX_CHAIN = 16
_OWN = ("schema", "name", "title", "aliases", "datasheet", "extends", "note", "die")


def extended(node: Node, path: Path, faults: Faults) -> tuple[Node, tuple[Path, ...]]:
    """The whole device that a file describes, and all files read for it; raises FileFormatError on a cycle."""
    chain = [(node, path)]
    while (parent := _parent(chain, faults)) is not None:
        chain.append(parent)
    whole = chain[-1][0]
    for child, _ in reversed(chain[:-1]):
        whole = _inherit(whole, child, faults)
    return resolved_stacks(whole, faults), tuple(file for _, file in chain)


def _parent(chain: list[tuple[Node, Path]], faults: Faults) -> tuple[Node, Path] | None:
    """What the last file of the chain extends; raises FileFormatError where that is nothing to build on."""
    node, path = chain[-1]
    name = node.child("extends")
    if not isinstance(node.value, dict) or name is None or not isinstance(name.value, str):
        return None
    found = path
    try:
        found = library.find_reference(library.DEVICE, name.value, path)
    except InputError as error:
        faults.add(name.place, "extends", str(error))
        faults.check()
    files = [file.resolve() for _, file in chain]
    if found.resolve() in files:
        names = " -> ".join([*(file.stem for _, file in chain), found.stem])
        faults.add(name.place, "extends", f"a cycle: {names}; let one of them stand alone")
    if len(chain) >= MAX_CHAIN:
        faults.add(name.place, "extends", f"more than {MAX_CHAIN} files in a chain; extend one nearer to the first")
    faults.check()
    read, noted = library.cached("document", found, lambda: (_document(found), (found,)))
    for fault in noted:
        faults.add(fault.place, fault.path, fault.message)
    return read, found


def _document(path: Path) -> tuple[Node, Faults]:
    """The document in a file that others extend, with its lesser faults; several children read it once."""
    faults = Faults()
    return read_file(path, faults), faults


def _inherit(parent: Node, child: Node, faults: Faults) -> Node:
    if not isinstance(parent.value, dict) or not isinstance(child.value, dict):
        return child
    kind, own = parent.child("kind"), child.child("kind")
    if kind is not None and own is not None and own.value != kind.value:
        faults.add(own.place, "kind", f"the device it extends is a {kind.value}; leave kind out, or do not extend it")
    named = parent.child("name")
    origin = str(named.value) if named is not None else "the device it extends"
    whole = merged(without(parent, _OWN), child)
    section = str(kind.value) if kind is not None else ""
    noted = {key: _noted(parent, child, whole, key, origin) for key in (section, "power") if whole.child(key)}
    noted |= {key: _noted_items(parent, child, whole, key, origin) for key in ("memory",) if whole.child(key)}
    noted |= {"software": _relatives(parent, child, whole, origin)} if parent.child("software") else {}
    return with_values(whole, noted)


def _noted(parent: Node, child: Node, whole: Node, part: str | int, origin: str) -> Node:
    """The section, its inherited source saying which values are not the parent's."""
    old, new, section = parent.child(part), child.child(part), whole.child(part)
    assert section is not None
    return _with_note(old, new, section, origin)


def _with_note(old: Node | None, new: Node | None, section: Node, origin: str) -> Node:
    if old is None or new is None or not isinstance(old.value, dict) or not isinstance(new.value, dict):
        return section
    changed = [key for key in new.value if key not in {"name", "source", "assumption"}]
    if not changed or "source" in new.value or "assumption" in new.value:
        return section
    note = f" (of {origin}; changed here: {', '.join(changed)})"
    texts = {key: section.child(key) for key in ("source", "assumption")}
    return with_values(
        section,
        {
            key: Node(text.value + note, text.place)
            for key, text in texts.items()
            if text and isinstance(text.value, str)
        },
    )


def _noted_items(parent: Node, child: Node, whole: Node, key: str, origin: str) -> Node:
    section, old, new = whole.child(key), dict(_items(parent.child(key))), dict(_items(child.child(key)))
    assert section is not None
    if not isinstance(section.value, list):
        return section
    items = [
        _with_note(old.get(item.name(at)), new.get(item.name(at)), item, origin)
        for at, item in enumerate(section.value)
    ]
    return Node(items, section.place)


def _items(node: Node | None) -> Iterator[tuple[str, Node]]:
    if node is not None and isinstance(node.value, list):
        yield from ((item.name(at), item) for at, item in enumerate(node.value))


def _relatives(parent: Node, child: Node, whole: Node, origin: str) -> Node:
    """The stacks; those of the parent lose what only a measurement of this chip could give."""
    software, old, new = whole.child("software"), parent.child("software"), child.child("software")
    dies = parent.child("die"), child.child("die")
    same_die = bool(dies[0] and dies[1] and dies[0].value == dies[1].value)
    assert software is not None
    assert old is not None
    if not isinstance(software.value, dict) or not isinstance(old.value, dict):
        return software
    stacks: dict[str, Node] = {}
    for name, stack in software.value.items():
        own = new.child(name) if new is not None else None
        given = own.value if own is not None and isinstance(own.value, dict) else {}
        if name in old.value and isinstance(stack.value, dict):
            stacks[name] = _as_relative(stack, given, origin, same_die=same_die)
    return with_values(software, carried_stacks(parent, child, whole, stacks))


def _as_relative(stack: Node, given: dict[str, Node], origin: str, *, same_die: bool) -> Node:
    kept = without(stack, {"validated", *(() if same_die else ("residual",))} - given.keys())
    values: dict[str, Node] = {}
    basis = stack.child("basis")
    if "basis" not in given and basis is not None and basis.value == "calibrated":
        values["basis"] = Node("family", basis.place)
    if not {"assumption", "fitted_to"} & given.keys() and stack.child("assumption") is None:
        changed = ", ".join(given)
        text = f"the constants of {origin}, a relative" + (f", except {changed}" if changed else "")
        values["assumption"] = Node(text, stack.place)
    return with_values(kept, values)
