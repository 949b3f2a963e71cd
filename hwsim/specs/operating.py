"""A chip held at one of its operating points: the spec of the chip that it then is."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hwsim.cost.power import leakage_w
from hwsim.registry import unknown_name
from hwsim.specs.device import DatasheetSpec, DeviceSpec, MemorySpec, PowerSpec, PState
from hwsim.specs.fields import Quantity, spec_fields

__all__ = ["at_state"]


def at_state(spec: DeviceSpec, name: str) -> DeviceSpec:
    """The chip at the P-state of that name, called ``chip@state``.

    Frequencies of the compute section and bandwidths of on-chip memories follow the clock (f), dynamic energies V^2,
    the active floor V^2 f, leakage V; memories off the chip, the rest of the idle power and what software takes on the
    host stay (Horowitz, Indermaur, Gonzalez, "Low-power digital design", 1994; Butts, Sohi, "A static power model for
    architects", 2000, eq. 1). Peaks of the data sheet, which are nominal, are left out.

    Raises:
        UnknownNameError: the chip has no such P-state.
    """
    states = {state.name: state for state in spec.power.p_states}
    if name not in states:
        raise unknown_name(f"P-state of {spec.name}", name, states)
    state = states[name]
    return replace(
        spec,
        name=f"{spec.name}@{name}",
        core=_core(spec.core, state),
        memory=tuple(_memory(level, place, state) for place, level in enumerate(spec.memory)),
        power=_power(spec.power, state),
        datasheet=DatasheetSpec(),
        aliases=state.aliases,
        note=f"{spec.name} at {state.clock:g} of its clock and {state.voltage:g} of its voltage",
    )


def _core(core: Any, state: PState) -> Any:
    clocks = [
        field.name
        for field in spec_fields(type(core)).values()
        if isinstance(field.marker, Quantity) and field.marker.dimension == "Hz"
    ]
    return replace(core, **{clock: getattr(core, clock) * state.clock for clock in clocks})


def _memory(level: MemorySpec, place: int, state: PState) -> MemorySpec:
    """All levels but the first are on the chip, and so is a first one of which the array alone counts."""
    if place == 0 and level.boundary != "array":
        return level
    return replace(
        level,
        bandwidth_bytes_per_s=level.bandwidth_bytes_per_s * state.clock,
        latency_s=level.latency_s / state.clock,
        energy_j_per_byte=level.energy_j_per_byte * state.voltage**2,
    )


def _power(power: PowerSpec, state: PState) -> PowerSpec:
    squared = state.voltage**2
    return replace(
        power,
        idle_w=power.idle_w - power.static_w + leakage_w(power.static_w, state.voltage),
        static_w=leakage_w(power.static_w, state.voltage),
        active_w=power.active_w * squared * state.clock,
        energy_per_op_j={name: joules * squared for name, joules in power.energy_per_op_j.items()},
        vector_energy_per_op_j={name: joules * squared for name, joules in power.vector_energy_per_op_j.items()},
        p_states=(),
    )
