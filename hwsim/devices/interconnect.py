"""What prices collectives: the links between devices, not any one device."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace
from functools import cache
from typing import Any

import numpy as np

from hwsim.cost.link import (
    EagerConstants,
    ExchangeConstants,
    LineConstants,
    LinkConstants,
    NetworkConstants,
    collective_time_s,
    network_time_s,
    traffic_factor,
)
from hwsim.cost.residual import Lattice, lattice_of, log_residual
from hwsim.devices.base import BOUNDS, Array, Costs
from hwsim.devices.params import Params
from hwsim.graph.lowering import Table
from hwsim.graph.work import Collective, Form
from hwsim.specs.software import ResidualSpec
from hwsim.specs.system import InterconnectSpec

__all__ = ["exchange_factor", "price_collectives"]


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


def exchange_factor(table: Table, links: InterconnectSpec, participants: int) -> Array:
    """What residuals of the links multiply the formula's time of each row by, (1, rows): 1 for the formula alone."""
    works = [w for w in table.works if isinstance(w, Collective)]
    ranks = [min(w.participants, participants) for w in works]
    network = links.network and replace(links.network, residuals=())
    alone = _times_s(works, ranks, replace(links, residuals=(), network=network))
    return np.where(alone > 0.0, _times_s(works, ranks, links) / np.maximum(alone, 1e-30), 1.0)


def _times_s(works: Sequence[Collective], ranks: Sequence[int], links: InterconnectSpec) -> Array:
    """Seconds of each, (1, rows): that of the slower of the links inside a machine and the network between machines."""
    inside = LinkConstants(
        **_shared(links, LinkConstants, "eager", "lines", "exchange"),
        eager=EagerConstants(**_shared(links.eager, EagerConstants)) if links.eager else None,
        lines=LineConstants(**_shared(links.lines, LineConstants)) if links.lines else None,
        exchange=ExchangeConstants(**_shared(links.exchange, ExchangeConstants)) if links.exchange else None,
    )
    time = [
        float(collective_time_s(work.pattern, work.bytes, min(count, links.node), inside))
        * _factor(links.residuals, work, min(count, links.node))
        for work, count in zip(works, ranks, strict=True)
    ]
    if links.network is None:
        return np.array([time])
    network = NetworkConstants(**_shared(links.network, NetworkConstants))
    between = [
        float(network_time_s(work.pattern, work.bytes, count, links.node, network))
        * _factor(links.network.residuals, work, count)
        for work, count in zip(works, ranks, strict=True)
    ]
    return np.maximum([time], [between])


def _factor(residuals: Sequence[ResidualSpec], work: Collective, ranks: int) -> float:
    """What measurements of the pattern add to its formula, 1 far from all of them."""
    found = next((residual for residual in residuals if work.pattern in residual.of), None)
    if found is None or work.bytes < 1:
        return 1.0
    sizes = {"bytes": np.array([float(work.bytes)]), "participants": np.array([float(ranks)])}
    return float(np.exp(log_residual(_lattice(found), [sizes[name] for name in found.over])[0]))


@cache
def _lattice(residual: ResidualSpec) -> Lattice:
    return lattice_of(residual.low, residual.high, residual.knots, residual.weights)


def _shared(spec: object, constants: type, *without: str) -> dict[str, Any]:
    """The fields of a section that the formulas' constants of the same names need."""
    return {f.name: getattr(spec, f.name) for f in fields(constants) if f.name not in without}
