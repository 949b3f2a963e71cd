"""Kernels that run long enough for the power cap: the clock falls until their average power is the cap."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hwsim.cost.power import capped_blend, voltage
from hwsim.devices.base import KINDS, OperatingPoint, price
from hwsim.graph.work import Work
from hwsim.specs.device import DeviceSpec
from hwsim.specs.software import SoftwareSpec

__all__ = ["SUSTAINED", "sustained"]

Floats = NDArray[np.float64]

SUSTAINED = "cuda_graph_sustained_power"
"""The timing of rows that were measured over a second or so, at the power cap."""
_CLOCKS = tuple(1.0 - 0.05 * step for step in range(15))


def sustained(spec: DeviceSpec, stack: SoftwareSpec, works: Sequence[Work]) -> tuple[Floats, Floats]:
    """Seconds and joules (idle power not included) of kernels each repeated by itself, shape (works,)."""
    kind = KINDS[spec.kind]
    times, energies = [], []
    for clock in _CLOCKS:
        at = OperatingPoint(clock, float(voltage(clock, spec.power.voltage_floor)))
        costs = price(kind, works, kind.params(spec, stack, at), spec.name)
        times.append(costs.time_s[0])
        energies.append(costs.energy_j[0])
    time, energy = np.array(times), np.array(energies)
    found = np.empty((2, len(works)))
    for column in range(len(works)):
        fast, slow, share = capped_blend(energy[:, column], time[:, column], spec.power.idle_w, spec.power.tdp_w)
        for into, table in zip(found, (time, energy), strict=True):
            into[column] = table[fast, column] + share * (table[slow, column] - table[fast, column])
    return found[0], found[1]
