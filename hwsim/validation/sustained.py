"""Kernels that run long enough for the power cap: the clock falls until their average power is the cap."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hwsim.cost.power import capped_blend, voltage
from hwsim.devices.base import KINDS, OperatingPoint, price
from hwsim.devices.pricing import CLOCKS
from hwsim.graph.work import Gemm, Work, size_bytes
from hwsim.specs.device import DeviceSpec
from hwsim.specs.software import SoftwareSpec

__all__ = ["SUSTAINED", "sustained"]

Floats = NDArray[np.float64]

SUSTAINED = "cuda_graph_sustained_power"
"""The timing of rows that were measured over a second or so, at the power cap."""
_SWITCHING = 0.25
"""Share of a read's energy that weights take in those benchmarks, which allocate but do not fill them: what memory held
before is partly zeros, and equal bits switch few wires. Chosen on seven in ten of B200's products (by CRC-32)."""


def sustained(
    spec: DeviceSpec, stack: SoftwareSpec, works: Sequence[Work], unfilled: Sequence[bool] = ()
) -> tuple[Floats, Floats]:
    """Seconds and joules (idle power not included) of kernels each repeated by itself, shape (works,).

    Args:
        spec: the device.
        stack: its software.
        works: the kernels.
        unfilled: which products read weights that nobody filled (default: none).
    """
    kind = KINDS[spec.kind]
    blank = unfilled or [False] * len(works)
    calm = np.array([_stored_bytes(work) if one else 0.0 for work, one in zip(works, blank, strict=True)])
    times, energies = [], []
    for clock in CLOCKS:
        at = OperatingPoint(clock, float(voltage(clock, spec.power.voltage_floor)))
        params = kind.params(spec, stack, at)
        costs = price(kind, works, params, spec.name)
        saved_j = (1.0 - _SWITCHING) * np.minimum(calm, costs.dram_bytes[0]) * params.dram_j_per_byte[0]
        times.append(costs.time_s[0])
        energies.append(costs.energy_j[0] - saved_j)
    time, energy = np.array(times), np.array(energies)
    found = np.empty((2, len(works)))
    for column in range(len(works)):
        fast, slow, share = capped_blend(energy[:, column], time[:, column], spec.power.idle_w, spec.power.tdp_w)
        for into, table in zip(found, (time, energy), strict=True):
            into[column] = table[fast, column] + share * (table[slow, column] - table[fast, column])
    return found[0], found[1]


def _stored_bytes(work: Work) -> float:
    """Bytes of a product's weights."""
    return float(size_bytes(work.b_elements, work.b_format)) if isinstance(work, Gemm) else 0.0
