"""What prices collectives: the links between devices, not any one device."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import Any

import numpy as np

from hwsim.cost.link import (
    EagerConstants,
    ExchangeConstants,
    LinkConstants,
    NetworkConstants,
    collective_time_s,
    network_time_s,
    traffic_factor,
)
from hwsim.devices.base import BOUNDS, Array, Costs
from hwsim.devices.params import Params
from hwsim.graph.lowering import Table
from hwsim.graph.work import Collective, Form
from hwsim.specs.system import InterconnectSpec

__all__ = ["price_collectives"]


def price_collectives(table: Table, links: InterconnectSpec, participants: int, params: Params | None = None) -> Costs:
    """Costs of a table of collectives, shape (1, rows); a payload among more ranks than there are is capped.

    ``memory_j`` is the energy of the links: what each rank sends, times the ranks. ``params`` are those of the device
    whose host issues them and which stays active meanwhile; without it, the links' part alone. Where its software stack
    has them, ``floor`` is what a call takes beyond, ``memory`` the share of the links' speed that the stack reaches,
    ``active`` the share of the device's active power that an exchange draws, which keeps few of its units busy,
    ``one_shot`` the start-up of an all-reduce in which every rank reads all others' whole vectors in one kernel, which
    serving engines use where it is the faster one (vLLM, custom_all_reduce.cuh; TensorRT-LLM, customAllReduceKernels).
    """
    works = [w for w in table.works if isinstance(w, Collective)]
    ranks = np.array([[float(min(w.participants, participants)) for w in works]])
    time = _times_s(works, [int(count) for count in ranks[0]], links)
    if params is not None and "memory" in params.kernels.defaults[Form.COLLECTIVE]:
        time = params.kernels.column(table, "floor") + time / params.kernels.column(table, "memory")
    if params is not None and "one_shot" in params.kernels.defaults[Form.COLLECTIVE]:
        time = _one_shot(table, works, ranks, links, params, time)
    moved = np.array([[traffic_factor(w.pattern, min(w.participants, participants)) * w.bytes for w in works]])
    zero = np.zeros_like(time)
    dispatch = zero if params is None else params.kernels.column(table, "dispatch") + zero
    return Costs(
        time_s=time + dispatch,
        overhead_s=np.minimum(time, (links.eager or links).base_s) + dispatch,
        dispatch_s=dispatch,
        prologue_s=zero,
        dram_bytes=2.0 * moved,
        cache_bytes=zero,
        compute_j=zero,
        memory_j=ranks * moved * links.energy_j_per_byte,
        active_j=zero if params is None else time * params.active_w * _active(table, params),
        flop=table.flop + zero,
        utilization=zero,
        bound=np.full(time.shape, BOUNDS.index("link"), dtype=np.int8),
    )


def _active(table: Table, params: Params) -> Array | float:
    known = "active" in params.kernels.defaults[Form.COLLECTIVE]
    return params.kernels.column(table, "active") if known else 1.0


def _one_shot(
    table: Table, works: Sequence[Collective], ranks: Array, links: InterconnectSpec, params: Params, time: Array
) -> Array:
    """The times, or those of the one-shot kernel for all-reduces within a machine that it ends sooner."""
    start = params.kernels.column(table, "one_shot")
    size = np.array([[float(w.bytes) for w in works]])
    direct = start + (ranks - 1.0) * size / (links.bandwidth_bytes_per_s * links.efficiency)
    able = np.array([[w.pattern == "all_reduce" for w in works]]) & (ranks <= links.node) & (start > 0.0)
    return np.where(able & (direct < time), direct, time)


def _times_s(works: Sequence[Collective], ranks: Sequence[int], links: InterconnectSpec) -> Array:
    """Seconds of each, (1, rows): that of the slower of the links inside a machine and the network between machines."""
    inside = LinkConstants(
        **_shared(links, LinkConstants, "eager", "exchange"),
        eager=EagerConstants(**_shared(links.eager, EagerConstants)) if links.eager else None,
        exchange=ExchangeConstants(**_shared(links.exchange, ExchangeConstants)) if links.exchange else None,
    )
    time = [
        float(collective_time_s(work.pattern, work.bytes, min(count, links.node), inside))
        for work, count in zip(works, ranks, strict=True)
    ]
    if links.network is None:
        return np.array([time])
    network = NetworkConstants(**_shared(links.network, NetworkConstants))
    between = [
        float(network_time_s(work.pattern, work.bytes, count, links.node, network))
        for work, count in zip(works, ranks, strict=True)
    ]
    return np.maximum([time], [between])


def _shared(spec: object, constants: type, *without: str) -> dict[str, Any]:
    """The fields of a section that the formulas' constants of the same names need."""
    return {f.name: getattr(spec, f.name) for f in fields(constants) if f.name not in without}
