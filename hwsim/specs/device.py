"""A chip: its compute section, memories, power, datasheet peaks and software stacks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from html import escape
from typing import Annotated, Any

from hwsim.errors import InputError
from hwsim.graph.tensor import FORMATS
from hwsim.registry import known_names, unknown_name
from hwsim.specs import fields as _fields
from hwsim.specs.fields import Choice, Count, Formats, Key, Names, Quantity, Ratio, Text
from hwsim.specs.software import SoftwareSpec
from hwsim.units import format_quantity

__all__ = ["DatasheetSpec", "DeviceSpec", "MemorySpec", "PState", "PowerSpec"]


@dataclass(frozen=True, slots=True, kw_only=True)
class MemorySpec:
    """One memory level. The first of a device holds its tensors (DRAM, or the only SRAM); others are on chip.

    ``energy_j_per_byte`` is what a byte costs crossing this level; ``boundary`` says what the figure counts.
    A level of a unit that shares its system's DRAM has no ``capacity`` of its own.
    """

    name: Annotated[str, Text("name")]
    capacity_bytes: Annotated[float, Quantity("capacity", "bytes")] = 0.0
    bandwidth_bytes_per_s: Annotated[float, Quantity("bandwidth", "bytes/s")] = 0.0
    latency_s: Annotated[float, Quantity("latency", "s", zero=True)] = 0.0
    energy_j_per_byte: Annotated[float, Quantity("energy", "J/byte", zero=True)] = 0.0
    boundary: Annotated[str, Choice("boundary", ("array", "device", "phy"))] = "device"
    source: Annotated[str, Text("source")] = ""
    assumption: Annotated[str, Text("assumption")] = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PState:
    """One operating point: clock relative to the nominal one and supply voltage relative to the nominal one.

    ``aliases`` are what measured data call the chip when it runs there.
    """

    name: Annotated[str, Text("name")]
    clock: Annotated[float, Ratio("clock", 0.01, 4.0)]
    voltage: Annotated[float, Ratio("voltage", 0.1, 2.0)]
    aliases: Annotated[tuple[str, ...], Names("aliases")] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PowerSpec:
    """Where the watts go.

    ``idle_w`` is drawn all the time (leakage, refresh, clocks); ``active_w`` on top of it while the device
    works; the rest is dynamic: energy per operation by format (matrix unit; ``vector_energy_per_op_j`` for
    the vector unit) and per byte by memory level. ``tdp_w`` is the sustained limit: over ``window_s`` the
    average may not exceed it, so clocks fall along V(f) = ``voltage_floor`` + (1 - ``voltage_floor``) f
    (all relative to nominal). ``static_w`` is the leakage part of ``idle_w``, which scales with V.
    """

    tdp_w: Annotated[float, Quantity("tdp", "W")]
    idle_w: Annotated[float, Quantity("idle", "W", zero=True)]
    static_w: Annotated[float, Quantity("static", "W", zero=True)] = 0.0
    active_w: Annotated[float, Quantity("active", "W", zero=True)] = 0.0
    voltage_floor: Annotated[float, Ratio("voltage_floor", 0.0, 1.0)] = 0.6
    window_s: Annotated[float, Quantity("window", "s", zero=True)] = 0.02
    energy_per_op_j: Annotated[Mapping[str, float], Formats("energy_per_op", Quantity("", "J", zero=True), FORMATS)] = (
        field(default_factory=dict)
    )
    vector_energy_per_op_j: Annotated[
        Mapping[str, float], Formats("vector_energy_per_op", Quantity("", "J", zero=True), FORMATS)
    ] = field(default_factory=dict)
    p_states: Annotated[tuple[PState, ...], Key("p_states")] = ()
    source: Annotated[str, Text("source")] = ""
    assumption: Annotated[str, Text("assumption")] = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasheetSpec:
    """Peaks the vendor prints; derived peaks are tested against them."""

    peak_op_per_s: Annotated[Mapping[str, float], Formats("peak", Quantity("", "op/s"), FORMATS)] = field(
        default_factory=dict
    )
    source: Annotated[str, Text("source")] = ""
    assumption: Annotated[str, Text("assumption")] = ""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DeviceSpec:
    """A chip as its YAML describes it; ``core`` is the section of its kind (``simt_gpu: {...}``).

    ``die`` names the silicon ("GH100"), on whose products libraries choose the same kernels.
    """

    name: str
    title: str
    kind: str
    core: Any
    memory: tuple[MemorySpec, ...]
    power: PowerSpec
    datasheet: DatasheetSpec = field(default_factory=DatasheetSpec)
    software: Mapping[str, SoftwareSpec] = field(default_factory=dict)
    aliases: tuple[str, ...] = ()
    process: str = ""
    die: str = ""
    preferred_dtype: str = "fp16"
    supports: tuple[str, ...] = ()
    unsupported: tuple[str, ...] = ()
    queues: int = 1
    path: str = ""
    note: str = ""

    def __repr__(self) -> str:
        """One line; the fields have it whole."""
        return f"DeviceSpec({self.name}: {self.title}, {self.kind})"

    def _repr_html_(self) -> str:
        """A line for notebooks: main memory, power, stacks."""
        memory = self.main_memory
        rate = format_quantity(memory.bandwidth_bytes_per_s, "B/s")
        size = format_quantity(memory.capacity_bytes, "B")
        figures = f"{memory.name} {size} at {rate}, TDP {format_quantity(self.power.tdp_w, 'W')}"
        stacks = f"software: {', '.join(self.software)}"
        return f"<b>{escape(self.name)}</b>: {escape(self.title)} ({self.kind}); {figures}; {escape(stacks)}"

    @property
    def main_memory(self) -> MemorySpec:
        """The memory that holds tensors: the first in the file."""
        return self.memory[0]

    @property
    def default_software(self) -> SoftwareSpec:
        """The first stack of the file."""
        return next(iter(self.software.values()))

    def stack(self, name: str | None = None) -> SoftwareSpec:
        """The named software stack, or the default one; raises UnknownNameError."""
        if name is None:
            return self.default_software
        if name not in self.software:
            raise unknown_name(f"software stack of {self.name}", name, self.software)
        return self.software[name]

    def stack_listing(self, timing: str) -> SoftwareSpec | None:
        """The stack that lists a way of timing, or a measured name of the chip with that software; or None."""
        return next((stack for stack in self.software.values() if timing in stack.timing), None)

    def stack_for(self, weight_bytes: int) -> SoftwareSpec:
        """The stack that runs a graph with that many bytes of weights when none is asked for by name."""
        stack = self.default_software
        if stack.beyond and weight_bytes > stack.weights_limit_bytes:
            return self.stack(stack.beyond)
        return stack

    def memory_level(self, name: str) -> MemorySpec:
        """The memory of that name; raises UnknownNameError."""
        for level in self.memory:
            if level.name == name:
                return level
        raise unknown_name(f"memory of {self.name}", name, [m.name for m in self.memory])

    def evolve(self, changes: Mapping[str, object], name: str | None = None) -> DeviceSpec:
        """A hypothetical variant: fields set by their YAML paths, values with units as in the YAML.

        >>> # chip.evolve({"memory.hbm.bandwidth": "6 TB/s", "simt_gpu.sms": 160})

        Raises:
            InputError: no such field or a value that the YAML would refuse.
        """
        view = _DeviceView(kind=self.kind, core=self.core, memory=self.memory, power=self.power, queues=self.queues)
        for path, value in changes.items():
            head, _, rest = path.partition(".")
            if head == self.kind:
                if not rest:
                    raise InputError(f"{path}: names a section; write one of its fields after it")
                try:
                    core = _fields.evolve(view.core, {rest: value})
                except InputError as error:
                    raise InputError(f"{head}.{error}") from None
                view = _DeviceView(kind=view.kind, core=core, memory=view.memory, power=view.power, queues=view.queues)
            elif head in _fields.spec_fields(_DeviceView):
                view = _fields.evolve(view, {path: value})
            elif head in _fields.spec_fields(type(self.core)):
                raise InputError(f"{path}: a field of the chip's {self.kind}; write '{self.kind}.{path}'")
            else:
                known = known_names(head, (self.kind, *_fields.spec_fields(_DeviceView)))
                raise InputError(f"{path}: no field '{head}'{known}")
        return self._with(view, name)

    def _with(self, view: _DeviceView, name: str | None) -> DeviceSpec:
        from dataclasses import replace

        return replace(
            self,
            name=name or f"{self.name}*",
            core=view.core,
            memory=view.memory,
            power=view.power,
            queues=view.queues,
            note=f"a variant of {self.name}; software constants are those of {self.name}",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _DeviceView:
    """The parts of a device that a path can reach."""

    kind: str
    core: Any
    memory: Annotated[tuple[MemorySpec, ...], Key("memory")]
    power: Annotated[PowerSpec, Key("power")]
    queues: Annotated[int, Count("queues")]
