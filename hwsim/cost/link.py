"""Transfers and collectives over links.

Point to point follows Hockney (latency + bytes / bandwidth). Collectives follow the ring algorithms'
steps and traffic (Thakur, Rabenseifner, Gropp, "Optimization of collective communication operations in
MPICH", 2005) with a soft crossover from latency to bandwidth: t = (t_alpha^p + t_beta^p)^(1/p).

NCCL has three ways to pass a message on. *Eager* (its LL) sends a flag beside every word: a step starts quickly, half
the bandwidth is lost. *Lines* (its LL128, over NVLink only) sends a flag with every line of 128 bytes: 15/16 of the
bandwidth, a start between the others'. *Bulk* (its Simple) writes whole buffers and signals them: the full bandwidth,
a costly start. Which one runs is decided by NCCL's own model of them, ``src/graph/tuning.cc``, whose constants are
public; it switches where that model says, not where measured times cross, and measured times jump there by up to two.
Separate constants for each way, that rule, the copy of a rank's own part and the sum inside a switch (NVIDIA, "NVLink
SHARP") bring held-out errors on NVLink to 4-7 %, where one crossover reaches 8-9 and plain alpha-beta 12-27
(``benchmarks/fit_links.py``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = [
    "EagerConstants",
    "ExchangeConstants",
    "LineConstants",
    "LinkConstants",
    "NetworkConstants",
    "channels_of",
    "collective_time_s",
    "network_time_s",
    "ring_all_reduce_s",
    "steps_of",
    "traffic_factor",
    "transfer_time_s",
]

Floats = NDArray[np.float64]
_ONE_ROUND = ("all_gather", "reduce_scatter", "all_to_all")
_PLANNED_S = (6.6e-6, 14.0e-6, 8.4e-6)
_PLANNED_STEP_S = {"nvlink": (0.6e-6, 1.9e-6, 3.4e-6), "pcie": (1.0e-6, 2.5e-6, 5.7e-6)}
_PLANNED_LINES = 0.92  # of the bulk bandwidth
_EAGER_WIDENS = (1024.0, 16384.0)  # bytes a rank: one channel, then all of them; from NCCL's thresholds for threads
_EXCHANGE_JUMPS = (8192.0, 65536.0)  # bytes a peer; NCCL's limit for eager messages between pairs is 16 KiB a channel
_EAGER_OVERLAP = 1.5  # fitted to A100, H100 and B200 together
_BUFFER = 4 * 2.0**20  # bytes; NCCL's default NCCL_BUFFSIZE
_CHANNELS = 32.0  # that NCCL gives to messages between pairs over NVLink switches
_PART = 16 * 2.0**20  # bytes of a channel, above which a message is spread over twice as many
_MEETING = 8.0  # a rank that came early does not work faster: nearly the larger of the two


@dataclass(frozen=True, slots=True, kw_only=True)
class EagerConstants:
    """How small ring collectives run.

    ``base_s``, ``step_s``: start-up and that of each round. ``widen``: by which share both grow between 1 and 16 KiB a
    rank, as more and more channels take part. ``efficiency``, ``own``: as in :class:`LinkConstants`. NCCL's choice
    between the two ways assumes the bandwidths ``planned_eager`` and ``planned_bulk``, in bytes/s, and start-ups of
    rounds ``over`` nvlink or pcie.
    """

    base_s: float
    step_s: float
    efficiency: float
    planned_eager_bytes_per_s: float
    planned_bulk_bytes_per_s: float
    over: str = "nvlink"
    widen: float = 0.0
    own: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class LineConstants:
    """How ring collectives of middling size run over NVLink, fields as in :class:`LinkConstants`."""

    base_s: float
    step_s: float
    efficiency: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ExchangeConstants:
    """How messages between pairs run, alone or as an all-to-all.

    ``base_s``: start-up; ``jump_s``: added between 8 and 64 KiB a peer, where eager messages end; ``peer_s``: for each
    further peer, whose messages start together. ``channel_bytes_per_s``: what one channel carries, of which a message
    to a single peer gets few in large groups; 0 where that is not known. The others as in :class:`LinkConstants`.
    """

    base_s: float
    efficiency: float = 1.0
    channel_bytes_per_s: float = 0.0
    jump_s: float = 0.0
    peer_s: float = 0.0
    own: float = 0.0
    overlap: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkConstants:
    """How collectives drive the links of one machine.

    ``bandwidth_bytes_per_s`` is one rank's, per direction, of which ``efficiency`` is reached. ``base_s``: fixed
    start-up; ``step_s``: start-up of each round of the ring. ``overlap``: the exponent p, large for a sharp crossover,
    below 1 for a slow one. ``own``: cost of a byte of a rank's own part, which it copies, against a byte at the full
    bandwidth. ``eager``: constants of small messages, without which the above hold for all, ``lines``: of those of
    middling size; ``exchange``: of messages between pairs, which otherwise cost a round of the ring. ``switch_s``,
    ``switch_efficiency``: start-up and reachable bandwidth of an all-reduce that the switch sums up; 0 where it cannot.
    ``meeting_s``: what an all-reduce of more than two ranks takes at least, because they wait for the last; ``pair_s``:
    that of two ranks, for ``pair_bytes`` and more.
    """

    bandwidth_bytes_per_s: float
    base_s: float = 0.0
    step_s: float = 0.0
    efficiency: float = 1.0
    overlap: float = 1.0
    own: float = 0.0
    eager: EagerConstants | None = None
    lines: LineConstants | None = None
    exchange: ExchangeConstants | None = None
    switch_s: float = 0.0
    switch_efficiency: float = 0.0
    meeting_s: float = 0.0
    pair_s: float = 0.0
    pair_bytes: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkConstants:
    """The network between machines: ``bandwidth_bytes_per_s`` of a port, which ``ranks_per_port`` ranks share.

    ``sum_s``, ``sum_efficiency``: start-up and share of the bandwidth in an all-reduce, where they differ;
    ``long_efficiency``: that share for the bytes of a message that no longer fit NCCL's buffer of 4 MiB, where it
    differs: the buffer takes its fill at the full speed, what follows waits for the other side to empty it.
    """

    bandwidth_bytes_per_s: float
    ranks_per_port: int = 1
    base_s: float = 0.0
    step_s: float = 0.0
    efficiency: float = 1.0
    overlap: float = 1.0
    sum_s: float = 0.0
    sum_efficiency: float = 0.0
    long_efficiency: float = 0.0


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
    if pattern in ("all_to_all", "send") and links.exchange is not None:
        time = _exchange_s(pattern, size, participants, links, links.exchange)
    elif links.eager is None:
        time = _bulk_s(pattern, size, participants, links)
    else:
        ways = [_eager_s(pattern, size, participants, links, links.eager)]
        ways += [_lines_s(pattern, size, participants, links, links.lines)] if links.lines else []
        ways += [_bulk_s(pattern, size, participants, links)]
        planned = _planned_s(pattern, size, participants, links.eager, lines=links.lines is not None)
        time = np.take_along_axis(np.stack(ways), np.argmin(planned, axis=0)[None], axis=0)[0]
    if pattern == "all_reduce" and participants > 2:
        if links.switch_efficiency > 0.0:
            full = size / links.bandwidth_bytes_per_s
            time = np.minimum(time, links.switch_s + full / links.switch_efficiency)
        time = _crossed(links.meeting_s, time, _MEETING)
    elif pattern == "all_reduce":
        time = np.where(size >= links.pair_bytes, _crossed(links.pair_s, time, _MEETING), time)
    return np.where(size > 0.0, time, 0.0)


def _bulk_s(pattern: str, size: Floats, ranks: int, links: LinkConstants) -> Floats:
    """Whole buffers passed round the ring; every rank copies its own part, except of a message to somebody else."""
    rounds = 1 if pattern == "all_to_all" else steps_of(pattern, ranks)
    own = 0.0 if pattern == "send" else links.own / ranks
    factor = traffic_factor(pattern, ranks) / links.efficiency + own
    return _crossed(links.base_s + links.step_s * rounds, factor * size / links.bandwidth_bytes_per_s, links.overlap)


def _eager_s(pattern: str, size: Floats, ranks: int, links: LinkConstants, eager: EagerConstants) -> Floats:
    """Words with flags passed round the ring."""
    alpha = eager.base_s + eager.step_s * steps_of(pattern, ranks)
    factor = traffic_factor(pattern, ranks) / eager.efficiency + eager.own / ranks
    wide = 1.0 + eager.widen * _between(size / ranks, *_EAGER_WIDENS)
    return _crossed(alpha * wide, factor * size / links.bandwidth_bytes_per_s, _EAGER_OVERLAP)


def _lines_s(pattern: str, size: Floats, ranks: int, links: LinkConstants, lines: LineConstants) -> Floats:
    """Lines of 128 bytes passed round the ring; every rank copies its own part."""
    alpha = lines.base_s + lines.step_s * steps_of(pattern, ranks)
    factor = traffic_factor(pattern, ranks) / lines.efficiency + links.own / ranks
    return np.asarray(alpha + factor * size / links.bandwidth_bytes_per_s)


def _exchange_s(pattern: str, size: Floats, ranks: int, links: LinkConstants, known: ExchangeConstants) -> Floats:
    """Messages to one peer, or to all at once."""
    peers, own = (1, 0.0) if pattern == "send" else (ranks, known.own / ranks)
    alpha = known.base_s + known.jump_s * _between(size / peers, *_EXCHANGE_JUMPS) + known.peer_s * max(0, peers - 2)
    beta = (traffic_factor(pattern, ranks) / known.efficiency + own) * size / links.bandwidth_bytes_per_s
    if pattern == "send" and known.channel_bytes_per_s > 0.0:
        beta = np.maximum(beta, size / (channels_of(size, ranks) * known.channel_bytes_per_s))
    return _crossed(alpha, beta, known.overlap)


def channels_of(size_bytes: ArrayLike, participants: int) -> Floats:
    """Channels that NCCL gives to a message to one peer in a group of some ranks.

    All 32 are shared out among the ranks, whether they get messages or not; they double while more than 16 MiB fall to
    one. Source: NCCL 2.27, ``src/enqueue.cc``, scheduleP2pTasksToPlan and addP2pToPlan.

    >>> channels_of([1e6, 1e8], 8).tolist(), channels_of([1e6, 1e8], 2).tolist()
    ([4.0, 8.0], [16.0, 16.0])
    """
    size = np.asarray(size_bytes, dtype=np.float64)
    fewest = 2.0 ** np.floor(np.log2(max(1.0, _CHANNELS / participants)))
    doublings = np.ceil(np.log2(np.maximum(size / (fewest * _PART), 1.0)))
    return np.asarray(np.minimum(fewest * 2.0**doublings, _CHANNELS))


def _planned_s(pattern: str, size: Floats, ranks: int, eager: EagerConstants, *, lines: bool) -> Floats:
    """What NCCL thinks that eager messages, lines (where it has them) and bulk take, (ways, ...); it takes the least.

    Its model of a ring is latency + bytes / bandwidth. Source: NCCL 2.27, ``src/graph/tuning.cc``, baseLatencies and
    hwLatencies of rings (LL, LL128, Simple), bandwidths of rings times ranks / steps.
    """
    steps = max(1, steps_of(pattern, ranks))
    per_step = size * steps / ranks
    bulk = eager.planned_bulk_bytes_per_s
    known = [
        base_s + step_s * steps + per_step / rate
        for base_s, step_s, rate in zip(
            _PLANNED_S,
            _PLANNED_STEP_S[eager.over],
            (eager.planned_eager_bytes_per_s, _PLANNED_LINES * bulk, bulk),
            strict=True,
        )
    ]
    return np.stack(known if lines else [known[0], known[2]])


def _between(size: Floats, low: float, high: float) -> Floats:
    """0 up to ``low``, 1 from ``high`` on, and linear in the logarithm between."""
    return np.asarray(np.clip(np.log(np.maximum(size, low) / low) / np.log(high / low), 0.0, 1.0))


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
    base_s, efficiency = network.base_s, network.efficiency
    if pattern == "all_reduce" and network.sum_efficiency > 0.0:
        base_s, efficiency = network.sum_s, network.sum_efficiency
    long = np.maximum(size - _BUFFER, 0.0) if network.long_efficiency > 0.0 else np.zeros_like(size)
    slowed = (size - long) / efficiency + long / (network.long_efficiency or 1.0)
    beta = leaving * slowed / (network.bandwidth_bytes_per_s * ports)
    return np.where(size > 0.0, _crossed(base_s + network.step_s * rounds, beta, network.overlap), 0.0)


def _crossed(alpha: float | Floats, beta: Floats, overlap: float) -> Floats:
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
