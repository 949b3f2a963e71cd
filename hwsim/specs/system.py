"""Several devices, the memory they share, and the links between them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from html import escape
from types import MappingProxyType
from typing import Annotated

from hwsim.graph.work import PATTERNS
from hwsim.registry import unknown_name
from hwsim.specs.device import DeviceSpec, MemorySpec
from hwsim.specs.fields import Choice, Count, Formats, Key, Quantity, Ratio, Text
from hwsim.specs.software import ResidualSpec

__all__ = [
    "EagerSpec",
    "ExchangeSpec",
    "InterconnectSpec",
    "LineSpec",
    "LinkSpec",
    "NetworkSpec",
    "SystemSpec",
    "single",
]


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
class NetworkSpec:
    """The network between the machines of a system; ``bandwidth`` is a port's, which ``ranks_per_port`` ranks share.

    ``sum`` and ``sum_efficiency`` take the place of ``base`` and ``efficiency`` in an all-reduce, ``long_efficiency``
    that of ``efficiency`` for the bytes of a message beyond 4 MiB. ``residuals`` are factors on these times.
    """

    bandwidth_bytes_per_s: Annotated[float, Quantity("bandwidth", "bytes/s")]
    ranks_per_port: Annotated[int, Count("ranks_per_port")] = 1
    base_s: Annotated[float, Quantity("base", "s", zero=True)]
    step_s: Annotated[float, Quantity("step", "s", zero=True)] = 0.0
    efficiency: Annotated[float, Ratio("efficiency", 0.01, 1.0)] = 0.8
    overlap: Annotated[float, Ratio("overlap", 0.1, 10.0)] = 1.0
    sum_s: Annotated[float, Quantity("sum", "s", zero=True)] = 0.0
    sum_efficiency: Annotated[float, Ratio("sum_efficiency", 0.0, 1.0)] = 0.0
    long_efficiency: Annotated[float, Ratio("long_efficiency", 0.0, 1.0)] = 0.0
    residuals: Annotated[tuple[ResidualSpec, ...], Key("residual")] = ()
    source: Annotated[str, Text("source")] = ""
    assumption: Annotated[str, Text("assumption")] = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class EagerSpec:
    """How small collectives run, :class:`hwsim.cost.link.EagerConstants`, and the bandwidths by which NCCL chooses."""

    base_s: Annotated[float, Quantity("base", "s", zero=True)]
    step_s: Annotated[float, Quantity("step", "s", zero=True)]
    widen: Annotated[float, Ratio("widen", 0.0)] = 0.0
    efficiency: Annotated[float, Ratio("efficiency", 0.001, 1.0)]
    own: Annotated[float, Ratio("own", 0.0)] = 0.0
    planned_eager_bytes_per_s: Annotated[float, Quantity("planned_eager", "bytes/s")]
    planned_bulk_bytes_per_s: Annotated[float, Quantity("planned_bulk", "bytes/s")]
    over: Annotated[str, Choice("over", ("nvlink", "pcie"))] = "nvlink"


@dataclass(frozen=True, slots=True, kw_only=True)
class LineSpec:
    """How ring collectives of middling size run over NVLink, :class:`hwsim.cost.link.LineConstants`."""

    base_s: Annotated[float, Quantity("base", "s", zero=True)]
    step_s: Annotated[float, Quantity("step", "s", zero=True)]
    efficiency: Annotated[float, Ratio("efficiency", 0.001, 1.0)]


@dataclass(frozen=True, slots=True, kw_only=True)
class ExchangeSpec:
    """How messages between pairs run, :class:`hwsim.cost.link.ExchangeConstants`."""

    base_s: Annotated[float, Quantity("base", "s", zero=True)]
    jump_s: Annotated[float, Quantity("jump", "s", zero=True)] = 0.0
    peer_s: Annotated[float, Quantity("peer", "s", zero=True)] = 0.0
    efficiency: Annotated[float, Ratio("efficiency", 0.001, 1.0)] = 0.8
    channel_bytes_per_s: Annotated[float, Quantity("channel", "bytes/s", zero=True)] = 0.0
    own: Annotated[float, Ratio("own", 0.0)] = 0.0
    overlap: Annotated[float, Ratio("overlap", 0.1, 10.0)] = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class InterconnectSpec:
    """What prices collectives: t = (t_alpha^p + t_beta^p)^(1/p), :class:`hwsim.cost.link.LinkConstants`.

    A file gives ``base`` and ``step``, or ``like`` nvlink: constants that are left out are then those which carry
    between NVLink systems, with ``start`` for a call (:mod:`hwsim.loading.links`). ``node`` devices are one machine
    (all of them where left out); ``network`` joins machines. ``residuals`` are smooth factors that measurements of
    these links add to the formula, over ``bytes`` and ``participants``, for patterns inside a machine. ``validated``
    are mean errors in percent on runs that were not fitted.
    """

    bandwidth_bytes_per_s: Annotated[float, Quantity("bandwidth", "bytes/s")]
    like: Annotated[str, Choice("like", ("nvlink",))] = ""
    start_s: Annotated[float, Quantity("start", "s")] = 0.0
    base_s: Annotated[float, Quantity("base", "s", zero=True)] = 0.0
    step_s: Annotated[float, Quantity("step", "s", zero=True)] = 0.0
    efficiency: Annotated[float, Ratio("efficiency", 0.001, 1.0)] = 0.8
    overlap: Annotated[float, Ratio("overlap", 0.1, 10.0)] = 0.55
    own: Annotated[float, Ratio("own", 0.0)] = 0.0
    eager: Annotated[EagerSpec | None, Key("eager")] = None
    lines: Annotated[LineSpec | None, Key("lines")] = None
    exchange: Annotated[ExchangeSpec | None, Key("exchange")] = None
    switch_s: Annotated[float, Quantity("switch", "s", zero=True)] = 0.0
    switch_efficiency: Annotated[float, Ratio("switch_efficiency", 0.0, 1.0)] = 0.0
    meeting_s: Annotated[float, Quantity("meeting", "s", zero=True)] = 0.0
    pair_s: Annotated[float, Quantity("pair", "s", zero=True)] = 0.0
    pair_bytes: Annotated[float, Quantity("pair_from", "bytes")] = 1.0
    energy_j_per_byte: Annotated[float, Quantity("energy", "J/byte", zero=True)] = 0.0
    node: Annotated[int, Count("node")] = 1024
    network: Annotated[NetworkSpec | None, Key("network")] = None
    residuals: Annotated[tuple[ResidualSpec, ...], Key("residual")] = ()
    validated: Annotated[Mapping[str, float], Formats("validated", Ratio("", 0.0), PATTERNS, "collective")] = field(
        default_factory=dict
    )
    fitted_to: Annotated[str, Text("fitted_to")] = ""
    source: Annotated[str, Text("source")] = ""
    assumption: Annotated[str, Text("assumption")] = ""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SystemSpec:
    """Devices by their role (``npu``, ``gpu0`` ...), shared ``memory`` if any, links, an interconnect if any.

    ``aliases`` are names of the whole system in measured data.
    """

    name: str
    title: str
    aliases: tuple[str, ...] = ()
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
