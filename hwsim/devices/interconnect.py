"""What prices collectives: the links between devices, not any one device."""

from __future__ import annotations

import numpy as np

from hwsim.cost.link import collective_time_s, traffic_factor
from hwsim.devices.base import BOUNDS, Costs
from hwsim.graph.lowering import Table
from hwsim.graph.work import Collective
from hwsim.specs.system import InterconnectSpec

__all__ = ["price_collectives"]


def price_collectives(table: Table, links: InterconnectSpec, participants: int) -> Costs:
    """Costs of a table of collectives, shape (1, rows); a payload among more ranks than there are is capped.

    ``memory_j`` is the energy of the links: what each rank sends, times the ranks.
    """
    works = [w for w in table.works if isinstance(w, Collective)]
    time = np.array([[_time_s(w, links, participants) for w in works]])
    ranks = np.array([[float(min(w.participants, participants)) for w in works]])
    moved = np.array([[traffic_factor(w.pattern, min(w.participants, participants)) * w.bytes for w in works]])
    zero = np.zeros_like(time)
    return Costs(
        time_s=time,
        overhead_s=np.minimum(time, links.base_s),
        dispatch_s=zero,
        prologue_s=zero,
        dram_bytes=2.0 * moved,
        cache_bytes=zero,
        compute_j=zero,
        memory_j=ranks * moved * links.energy_j_per_byte,
        active_j=zero,
        flop=table.flop + zero,
        utilization=zero,
        bound=np.full(time.shape, BOUNDS.index("link"), dtype=np.int8),
    )


def _time_s(work: Collective, links: InterconnectSpec, participants: int) -> float:
    return collective_time_s(
        work.pattern,
        work.bytes,
        min(work.participants, participants),
        bandwidth_bytes_per_s=links.bandwidth_bytes_per_s,
        base_s=links.base_s,
        step_s=links.step_s,
        efficiency=links.efficiency,
        overlap=links.overlap,
    )
