"""The ideal device: a roofline without overheads, the lower bound of every other.

t = max(flop / peak, bytes / bandwidth) with compulsory bytes only: Williams, Waterman, Patterson,
"Roofline: an insightful visual performance model", CACM 2009. An infinite peak or bandwidth is left out
of the YAML.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Annotated, ClassVar

import numpy as np
from numpy.typing import NDArray

from hwsim.devices.base import KINDS, NOMINAL, Array, Costs, DeviceKind, OperatingPoint, Params, common_params, settle
from hwsim.graph.lowering import Table, tables_of
from hwsim.graph.tensor import FORMATS
from hwsim.graph.work import Form, Work
from hwsim.specs.device import DeviceSpec
from hwsim.specs.fields import Formats, Quantity, Ratio, Text
from hwsim.specs.software import SoftwareSpec

__all__ = ["Ideal", "IdealSection"]


@dataclass(frozen=True, slots=True, kw_only=True)
class IdealSection:
    """``ideal: {peak: {fp16: 1 PFLOP/s}}``; formats left out are infinitely fast."""

    peak_op_per_s: Annotated[Mapping[str, float], Formats("peak", Quantity("", "op/s"), FORMATS)] = field(
        default_factory=dict
    )
    source: Annotated[str, Text("source")] = ""
    assumption: Annotated[str, Text("assumption")] = ""


class Ideal(DeviceKind[Params]):
    """A roofline, alone."""

    name: ClassVar[str] = "ideal"
    section: ClassVar[type[IdealSection]] = IdealSection
    constants: ClassVar[Mapping[str, Ratio | Quantity]] = MappingProxyType({})
    defaults: ClassVar[Mapping[str, Mapping[str, float]]] = MappingProxyType({form: {} for form in Form})

    def params(self, spec: DeviceSpec, stack: SoftwareSpec, at: OperatingPoint = NOMINAL) -> Params:
        """Peaks and bandwidth; a bandwidth of zero in the spec means infinite."""
        peaks = self.peaks(spec)
        common = common_params(spec, stack, at, peak=peaks, vector_peak=peaks, defaults=self.defaults)
        if spec.main_memory.bandwidth_bytes_per_s == 0.0:
            common["dram_bytes_per_s"] = np.full((1, 1), np.inf)
        return Params(**common)

    def peaks(self, spec: DeviceSpec) -> Mapping[str, float]:
        """As given; infinite for formats left out."""
        given = spec.core.peak_op_per_s
        return {name: given.get(name, float("inf")) for name in FORMATS}

    def _price(self, table: Table, params: Params) -> Costs:
        moved = table.bytes_in + table.bytes_out
        compute = table.flop / params.rate(table)
        memory = moved / params.dram_bytes_per_s
        zero: Array = np.zeros_like(memory)
        return settle(
            table,
            params,
            busy_s=np.maximum(compute, memory),
            compute_s=compute,
            memory_s=memory,
            launch_s=zero,
            dram_bytes=moved,
        )

    def price_gemm(self, table: Table, params: Params) -> Costs:
        """max(flop / peak, bytes / bandwidth)."""
        return self._price(table, params)

    def price_attention(self, table: Table, params: Params) -> Costs:
        """max(flop / peak, bytes / bandwidth)."""
        return self._price(table, params)

    def price_map(self, table: Table, params: Params) -> Costs:
        """max(flop / peak, bytes / bandwidth)."""
        return self._price(table, params)

    def price_reduce(self, table: Table, params: Params) -> Costs:
        """max(flop / peak, bytes / bandwidth)."""
        return self._price(table, params)

    def price_move(self, table: Table, params: Params) -> Costs:
        """max(flop / peak, bytes / bandwidth)."""
        return self._price(table, params)

    def supports(self, table: Table, params: Params) -> NDArray[np.bool_]:
        """Everything."""
        return np.ones(len(table), dtype=np.bool_)

    def explain(self, work: Work, params: Params) -> Sequence[tuple[str, float, str]]:
        """Both roofs and the larger."""
        (table,) = tables_of([work]).values()
        costs = self._price(table, params)
        return (
            ("operations", float(table.flop[0, 0]), "FLOP"),
            ("peak", float(params.rate(table)[0, 0]), "FLOP/s"),
            ("bytes moved", float(costs.dram_bytes[0, 0]), "B"),
            ("bandwidth", float(params.dram_bytes_per_s[0, 0]), "B/s"),
            ("time = max(operations / peak, bytes / bandwidth)", float(costs.time_s[0, 0]), "s"),
        )


KINDS.add(Ideal.name, Ideal())
