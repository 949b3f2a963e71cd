"""Several devices, the memory they share, and the links between them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from types import MappingProxyType
from typing import Annotated

from hwsim.registry import unknown_name
from hwsim.specs.device import DeviceSpec, MemorySpec
from hwsim.specs.fields import Choice, Quantity, Ratio, Text

__all__ = ["InterconnectSpec", "LinkSpec", "SystemSpec", "single"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkSpec:
    """A link between two devices, ``bandwidth`` in each direction; ``coherent`` links need no copy."""

    between: tuple[str, str]
    bandwidth_bytes_per_s: Annotated[float, Quantity("bandwidth", "bytes/s")]
    latency_s: Annotated[float, Quantity("latency", "s", zero=True)] = 0.0
    energy_j_per_byte: Annotated[float, Quantity("energy", "J/byte", zero=True)] = 0.0
    coherent: Annotated[bool, Choice("coherent")] = False
    source: Annotated[str, Text("source")] = ""
    assumption: Annotated[str, Text("assumption")] = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class InterconnectSpec:
    """What prices collectives: t = (t_alpha^p + t_beta^p)^(1/p), MODELS section 4.

    t_alpha = ``base_s`` + ``step_s`` steps; t_beta = traffic factor x bytes / (bandwidth x efficiency).
    """

    bandwidth_bytes_per_s: Annotated[float, Quantity("bandwidth", "bytes/s")]
    base_s: Annotated[float, Quantity("base", "s", zero=True)]
    step_s: Annotated[float, Quantity("step", "s", zero=True)]
    efficiency: Annotated[float, Ratio("efficiency", 0.01, 1.0)] = 0.8
    overlap: Annotated[float, Ratio("overlap", 0.1, 10.0)] = 0.55
    energy_j_per_byte: Annotated[float, Quantity("energy", "J/byte", zero=True)] = 0.0
    source: Annotated[str, Text("source")] = ""
    assumption: Annotated[str, Text("assumption")] = ""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SystemSpec:
    """Devices by their role (``npu``, ``gpu0`` ...), shared ``memory`` if any, links, an interconnect if any."""

    name: str
    title: str
    devices: Mapping[str, DeviceSpec]
    memory: MemorySpec | None = None
    links: tuple[LinkSpec, ...] = ()
    interconnect: InterconnectSpec | None = None
    path: str = ""

    def _repr_html_(self) -> str:
        """A line for notebooks: the devices by role."""
        roles = ", ".join(f"{role}: {device.name}" for role, device in self.devices.items())
        return f"<b>{escape(self.name)}</b>: {escape(self.title)}; {escape(roles)}"

    def device(self, role: str) -> DeviceSpec:
        """The device of that role; raises UnknownNameError."""
        if role not in self.devices:
            raise unknown_name(f"device of {self.name}", role, self.devices)
        return self.devices[role]


def single(device: DeviceSpec) -> SystemSpec:
    """A system of one device; its role is its own name."""
    return SystemSpec(
        name=device.name, title=device.title, devices=MappingProxyType({device.name: device}), path=device.path
    )
