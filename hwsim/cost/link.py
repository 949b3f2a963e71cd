"""Transfers and collectives over links.

Point to point follows Hockney (latency + bytes / bandwidth). Collectives follow the ring algorithms'
steps and traffic (Thakur, Rabenseifner, Gropp, "Optimization of collective communication operations in
MPICH", 2005) with a soft crossover from latency to bandwidth: t = (t_alpha^p + t_beta^p)^(1/p), which on
measured NCCL runs errs by 8-13 % where plain alpha-beta errs by 12-27 %. Copying a rank's own part beside what it
receives, the direct exchange of an all-to-all and the sum inside a switch (NVIDIA, "NVLink SHARP") bring that to
8-10 % (``benchmarks/fit_links.py``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = [
    "LinkConstants",
    "NetworkConstants",
    "collective_time_s",
    "network_time_s",
    "ring_all_reduce_s",
    "steps_of",
    "traffic_factor",
    "transfer_time_s",
]

Floats = NDArray[np.float64]
_ONE_ROUND = ("all_gather", "reduce_scatter", "all_to_all")


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkConstants:
    """How collectives drive the links of one machine.

    ``bandwidth_bytes_per_s`` is one rank's, per direction, of which ``efficiency`` is reached. ``base_s``: fixed
    start-up; ``step_s``: start-up of each round of the ring; ``peer_s``: of each further peer in an all-to-all, whose
    messages start together. ``overlap``: the exponent p, large for a sharp crossover, below 1 for a slow one.
    ``own``, ``own_exchange``: cost of a byte of a rank's own part, which it copies, against a byte at the full
    bandwidth; the latter in an all-to-all. ``switch_s``, ``switch_efficiency``: start-up and reachable bandwidth of an
    all-reduce that the switch sums up; 0 where it cannot.
    """

    bandwidth_bytes_per_s: float
    base_s: float = 0.0
    step_s: float = 0.0
    peer_s: float = 0.0
    efficiency: float = 1.0
    overlap: float = 1.0
    own: float = 0.0
    own_exchange: float = 0.0
    switch_s: float = 0.0
    switch_efficiency: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkConstants:
    """The network between machines: ``bandwidth_bytes_per_s`` of a port, which ``ranks_per_port`` ranks share."""

    bandwidth_bytes_per_s: float
    ranks_per_port: int = 1
    base_s: float = 0.0
    step_s: float = 0.0
    efficiency: float = 1.0
    overlap: float = 1.0


def transfer_time_s(size_bytes: ArrayLike, latency_s: ArrayLike, bandwidth_bytes_per_s: ArrayLike) -> NDArray[Any]:
    """Hockney: latency + bytes / bandwidth.

    >>> float(transfer_time_s(1e9, 1e-6, 1e9))
    1.000001
    """
    time: NDArray[Any] = np.asarray(latency_s) + np.asarray(size_bytes) / np.asarray(bandwidth_bytes_per_s)
    return time


def steps_of(pattern: str, participants: int) -> int:
    """Rounds of the ring algorithm: 2(p-1) for an all-reduce, p-1 for its halves, 1 for a send.

    >>> steps_of("all_reduce", 4)
    6
    """
    if participants < 2:
        return 0
    if pattern == "all_reduce":
        return 2 * (participants - 1)
    return participants - 1 if pattern in _ONE_ROUND else 1


def traffic_factor(pattern: str, participants: int) -> float:
    """Bytes each rank sends over bytes of its result: 2(p-1)/p for an all-reduce, (p-1)/p for its halves.

    >>> traffic_factor("all_reduce", 4)
    1.5
    """
    if participants < 2:
        return 0.0
    share = (participants - 1) / participants
    if pattern == "all_reduce":
        return 2.0 * share
    return share if pattern in _ONE_ROUND else 1.0


def collective_time_s(pattern: str, size_bytes: ArrayLike, participants: int, links: LinkConstants) -> Floats:
    """Seconds of collectives within one machine; nothing for a single participant or no bytes.

    Args:
        pattern: all_reduce, all_gather, reduce_scatter, all_to_all or send.
        size_bytes: full result buffer of one rank.
        participants: ranks.
        links: what they run on.

    >>> ring = LinkConstants(bandwidth_bytes_per_s=1e9, step_s=1e-3)
    >>> float(collective_time_s("all_reduce", 1e9, 2, ring))
    1.002
    """
    size = np.asarray(size_bytes, dtype=np.float64)
    if participants < 2:
        return np.zeros_like(size)
    exchange = pattern == "all_to_all"
    rounds = 1 if exchange else steps_of(pattern, participants)
    alpha = links.base_s + links.step_s * rounds + (links.peer_s * (participants - 2) if exchange else 0.0)
    full = size / links.bandwidth_bytes_per_s
    share = {"all_reduce": 1.0, "send": 0.0}.get(pattern, 1.0 / participants)
    own = share * (links.own_exchange if exchange else links.own)
    beta = (traffic_factor(pattern, participants) / links.efficiency + own) * full
    time = _crossed(alpha, beta, links.overlap)
    if pattern == "all_reduce" and participants > 2 and links.switch_efficiency > 0.0:
        time = np.minimum(time, links.switch_s + full / links.switch_efficiency)
    return np.where(size > 0.0, time, 0.0)


def network_time_s(
    pattern: str, size_bytes: ArrayLike, participants: int, per_node: int, network: NetworkConstants
) -> Floats:
    """Seconds that the network between machines of ``per_node`` ranks takes for a collective over all of them.

    A ring's bytes leave each machine once for every rank's share, whatever their number inside; in an all-to-all every
    rank sends to all ranks elsewhere. A machine's ports carry them together.

    >>> wire = NetworkConstants(bandwidth_bytes_per_s=1e9, ranks_per_port=2)
    >>> float(network_time_s("all_reduce", 1e9, 8, 4, wire))
    0.875
    """
    size = np.asarray(size_bytes, dtype=np.float64)
    nodes = -(-participants // per_node)
    if nodes < 2:
        return np.zeros_like(size)
    ports = -(-per_node // network.ranks_per_port)
    leaving = traffic_factor(pattern, participants)
    if pattern == "all_to_all":
        leaving = per_node * (participants - per_node) / participants
    rounds = 1 if pattern == "all_to_all" else steps_of(pattern, nodes)
    beta = leaving * size / (network.bandwidth_bytes_per_s * ports * network.efficiency)
    return np.where(size > 0.0, _crossed(network.base_s + network.step_s * rounds, beta, network.overlap), 0.0)


def _crossed(alpha: float, beta: Floats, overlap: float) -> Floats:
    """(alpha^p + beta^p)^(1/p), of which either may be 0."""
    top = np.maximum(np.maximum(alpha, beta), 1e-30)
    return np.asarray(top * ((alpha / top) ** overlap + (beta / top) ** overlap) ** (1.0 / overlap))


def ring_all_reduce_s(size_bytes: float, participants: int, latency_s: float, bandwidth_bytes_per_s: float) -> float:
    """Textbook ring: 2(p-1) steps of size/p bytes each.

    >>> ring_all_reduce_s(8e9, 4, 0.0, 1e9)
    12.0
    """
    if participants < 2:
        return 0.0
    steps = steps_of("all_reduce", participants)
    return steps * (latency_s + size_bytes / participants / bandwidth_bytes_per_s)
