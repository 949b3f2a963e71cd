"""Constants that a SIMT chip inherits through ``extends:``, in its own clocks, multiprocessors and watts.

Only what the chip's file leaves to its parent is carried: a constant that stands in the file is as written. What a host
takes, shares of the memory's rate and habits of the software stay as they are, and so does what a stack rests on that
was calibrated on the chip itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from hwsim.cost.carrying import (
    CLOCKS,
    CLOCKS_ON_CHIP,
    DRAWN,
    DRAWN_BY_MATRIX_UNITS,
    LIMITED,
    ON_CHIP,
    PRODUCTS,
    ChipFacts,
    carried,
    clock_share,
    memory_power_w,
    reached,
)
from hwsim.errors import UnitError
from hwsim.loading.document import Node
from hwsim.loading.merge import with_values
from hwsim.units import parse_quantity

__all__ = ["carried_stacks"]

_KIND = "simt_gpu"


@dataclass(frozen=True, slots=True)
class _Chip:
    """What can be read of a device's document."""

    facts: ChipFacts
    peaks: Mapping[str, float]
    matrix: frozenset[str]
    preferred: str

    def peak(self, family: str) -> float:
        """Operations a second in the format of a kernel family."""
        return self.peaks.get(self.format(family), 0.0)

    def drawn(self, family: str) -> float:
        """Share of its limit that the chip draws in the best products of that format."""
        return DRAWN_BY_MATRIX_UNITS if self.format(family) in self.matrix else DRAWN

    def format(self, family: str) -> str:
        """The format of a kernel family: its own or the preferred one."""
        return _format(family) or self.preferred


def carried_stacks(parent: Node, child: Node, whole: Node, stacks: Mapping[str, Node]) -> dict[str, Node]:
    """The stacks of a chip, its inherited constants carried over from its parent.

    Args:
        parent: the device that is extended, complete.
        child: what the chip's own file says.
        whole: the parent with that over it.
        stacks: those of ``whole`` that the parent has too.
    """
    kind = whole.child("kind")
    if kind is None or kind.value != _KIND:
        return dict(stacks)
    theirs, mine = _chip(parent), _chip(whole)
    if theirs is None or mine is None or (theirs.facts, theirs.peaks) == (mine.facts, mine.peaks):
        return dict(stacks)
    best, given, settled = _best(parent), child.child("software"), _settled(child, stacks)
    found = {}
    for name, stack in stacks.items():
        own = given.child(name) if given is not None else None
        found[name] = stack if name in settled else _carried(stack, own, theirs, mine, best)
    return found


def _settled(child: Node, stacks: Mapping[str, Node]) -> set[str]:
    """The stacks that were calibrated on the chip, and those that they extend."""
    given = child.child("software")
    found: set[str] = set()
    waiting = [
        name
        for name, stack in (given.value.items() if given is not None and isinstance(given.value, dict) else ())
        if _text(stack, "basis") == "calibrated"
    ]
    while waiting:
        name = waiting.pop()
        if name not in found and given is not None:
            found.add(name)
            waiting += [
                base for base in (_text(given.child(name), "extends"), _text(stacks.get(name), "extends")) if base
            ]
    return found


def _carried(stack: Node, own: Node | None, theirs: _Chip, mine: _Chip, best: Mapping[str, float]) -> Node:
    if not isinstance(stack.value, dict):
        return stack
    timing = stack.child("timing")
    listed = timing.value if timing is not None and isinstance(timing.value, list) else []
    on_chip = any(mode.value in ON_CHIP for mode in listed if isinstance(mode.value, str))
    families = {}
    for family, constants in stack.value.items():
        if not isinstance(constants.value, dict) or family == "validated":
            continue
        written = own.child(family) if own is not None else None
        kept = written.value if written is not None and isinstance(written.value, dict) else {}
        inherited = {name: value for name, value in constants.value.items() if name not in kept}
        changed = _changed(family, inherited, theirs, mine, best, on_chip=on_chip)
        if changed:
            families[family] = with_values(constants, changed)
    return with_values(stack, families) if families else stack


def _changed(
    family: str, given: Mapping[str, Node], theirs: _Chip, mine: _Chip, best: Mapping[str, float], *, on_chip: bool
) -> dict[str, Node]:
    """The constants that are others on the chip, as a file would have them."""
    found = {}
    for name, node in given.items():
        value: float | str | None = None
        if name in (*CLOCKS, *CLOCKS_ON_CHIP):
            try:
                seconds = parse_quantity(node.value, "s")
            except UnitError:  # a fault that is noted where the document is checked
                continue
            value = f"{carried(name, seconds, mine.facts, theirs.facts, on_chip=on_chip):.12g} s"
        elif isinstance(node.value, int | float) and not isinstance(node.value, bool):
            value = carried(name, node.value, mine.facts, theirs.facts)
            if name == "compute" and family.partition(".")[0] in LIMITED:
                peaks, top = (
                    (mine.peak(family), theirs.peak(family)),
                    best.get(_format(family), best.get("", 0.0)),
                )
                here = _reached(given)
                value *= clock_share(mine.facts, theirs.facts, peaks, here, max(here, top), theirs.drawn(family))
        if value is not None:
            found[name] = Node(value, node.place)
    return found


def _reached(constants: Mapping[str, Node]) -> float:
    """Share of the peak that a family's largest tiles reach."""
    compute, starve = (constants[name].value if name in constants else 0.0 for name in ("compute", "starve"))
    return reached(*(float(value) if isinstance(value, int | float) else 0.0 for value in (compute, starve)))


def _format(family: str) -> str:
    return family.partition(".")[2]


def _best(device: Node) -> dict[str, float]:
    """The largest share of the peak that any of a device's products reach, by format; "" for families without one."""
    found: dict[str, float] = {}
    software = device.child("software")
    for stack in software.value.values() if software is not None and isinstance(software.value, dict) else ():
        for family, constants in stack.value.items() if isinstance(stack.value, dict) else ():
            if family.partition(".")[0] in PRODUCTS and isinstance(constants.value, dict):
                key = _format(family)
                found[key] = max(found.get(key, 0.0), _reached(constants.value))
    return found


def _chip(device: Node) -> _Chip | None:
    """What a device's document says of the chip, or None where something is missing or no quantity."""
    section, power, memory = device.child(_KIND), device.child("power"), device.child("memory")
    main = memory.child(0) if memory is not None else None
    if section is None or power is None or main is None:
        return None
    try:
        tensor_clock = parse_quantity(_value(section, "clock"), "Hz", exclusive=True)
        fast = section.child("vector_clock")
        clock = parse_quantity(fast.value, "Hz", exclusive=True) if fast is not None else tensor_clock
        floor = power.child("voltage_floor")
        bandwidth = parse_quantity(_value(main, "bandwidth"), "bytes/s", exclusive=True)
        energy = parse_quantity(_value(main, "energy"), "J/byte") if main.child("energy") is not None else 0.0
        facts = ChipFacts(
            sms=_number(_value(section, "sms")),
            clock_hz=clock,
            matrix_clock_hz=tensor_clock,
            bandwidth_bytes_per_s=bandwidth,
            tdp_w=parse_quantity(_value(power, "tdp"), "W"),
            idle_w=parse_quantity(_value(power, "idle"), "W"),
            voltage_floor=_number(floor.value) if floor is not None else 0.6,
            process=_text(device, "process"),
            memory_w=memory_power_w(_text(main, "name"), bandwidth, energy),
        )
    except (UnitError, ValueError):
        return None  # the faults are noted where the document is checked
    peaks: dict[str, float] = {}
    matrix = set()
    for unit, hertz in (("vector", clock), ("tensor", tensor_clock)):
        rates = section.child(unit)
        for name, rate in rates.value.items() if rates is not None and isinstance(rates.value, dict) else ():
            if isinstance(rate.value, int | float):
                peak = rate.value * facts.sms * hertz
                if unit == "tensor" and peak > peaks.get(name, 0.0):
                    matrix.add(name)
                peaks[name] = max(peaks.get(name, 0.0), peak)
    return _Chip(facts, peaks, frozenset(matrix), _text(device, "preferred_dtype"))


def _value(node: Node, key: str) -> object:
    found = node.child(key)
    return found.value if found is not None else None


def _text(node: Node | None, key: str) -> str:
    found = node.child(key) if node is not None else None
    return found.value if found is not None and isinstance(found.value, str) else ""


def _number(value: object) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0.0 <= value < 1e18:
        raise ValueError(value)
    return float(value)
