"""How long one step of a language model takes: its graph priced at a few sizes, and lines between them.

A step reads pieces of prompts and writes a token for each of some requests. What treats every token alone (products,
norms, exchanges between ranks) depends on how many tokens there are in all; attention on whose they are. Both parts
are priced at sizes that double, of graphs of one and two layers, since all layers are equal:
t(layers) = t(1) + (layers - 1) (t(2) - t(1)).
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from hwsim import flow
from hwsim.cost.power import average_power_w, capped_blend, voltage
from hwsim.devices.base import KINDS, NOMINAL, Costs, OperatingPoint, price
from hwsim.devices.interconnect import price_collectives
from hwsim.devices.pricing import CLOCKS
from hwsim.graph.lowering import lower, tables_of
from hwsim.graph.tensor import BITS
from hwsim.graph.work import Attention, Collective, Form, Gemm, Move, Work
from hwsim.operators.expert_linear import ExpertLinear
from hwsim.specs.device import DeviceSpec
from hwsim.specs.software import SoftwareSpec
from hwsim.specs.system import InterconnectSpec
from hwsim.workloads.decoder import Decoder, Run, decoder_graph

__all__ = ["Deployment", "ModelTimes", "Steady", "SteadyStep", "seconds_of", "steady_step"]

Floats = NDArray[np.float64]

_PS = 1e12
_WRITTEN = tuple(2**i for i in range(9))
"""Tokens at which steps that only write are priced; longer ones are priced as a prompt that is read."""
_READ = tuple(2**i for i in range(9, 16))
_BATCHES = tuple(2**i for i in range(13))
_CONTEXTS = tuple(2**i for i in range(5, 18))
_PROMPTS = tuple(round(2 ** (i / 2)) for i in range(10, 35))


@dataclass(frozen=True, kw_only=True)
class Deployment:
    """A model on some equal devices: the shape whole, ``ranks`` that share each layer, their links, a number format.

    ``spread``: devices among which experts are spread; each has all else, for its share of the requests.
    ``cache_format``: of keys and values (none given: that of the activations).
    """

    shape: Decoder
    device: DeviceSpec
    stack: SoftwareSpec
    ranks: int = 1
    spread: int = 1
    links: InterconnectSpec | None = None
    dtype: str = "auto"
    cache_format: str = ""

    @property
    def devices(self) -> int:
        """How many devices there are."""
        return self.ranks * self.spread

    @cached_property
    def share(self) -> Decoder:
        """What one device holds."""
        return replace(self.shape, joined=self.shape.gated).divided(self.ranks).spread_over(self.spread)

    def parts(self, phase: str, batch: int, tokens: int) -> tuple[Counter[Work], int]:
        """Work of one rank in a step and how often, and the bytes of its weights; ``tokens``: read, or cached."""
        key = phase, batch, tokens
        if key not in self._known:
            self._known[key] = self._parts(*key)
        return self._known[key]

    @cached_property
    def _known(self) -> dict[tuple[str, int, int], tuple[Counter[Work], int]]:
        return {}

    def _parts(self, phase: str, batch: int, tokens: int) -> tuple[Counter[Work], int]:
        share = self.share
        if phase == "decode":
            batch = max(1, round(batch / self.spread))
        else:
            tokens = max(1, round(tokens / self.spread))
        if share.layout:
            return self._rows(share, phase, batch, tokens)
        period, plain = (1, share.plain) if share.plain or not share.between else (2, 0)
        one, first = self._rows(replace(share, layers=plain + period), phase, batch, tokens)
        two, second = self._rows(replace(share, layers=plain + 2 * period), phase, batch, tokens)
        more = (self.shape.layers - plain) // period - 1
        weights = first + more * (second - first)
        total: Counter[Work] = Counter()
        for work in two:
            total[_among(work, weights)] += one[work] + more * (two[work] - one[work])
        return total, weights

    def _rows(self, shape: Decoder, phase: str, batch: int, tokens: int) -> tuple[Counter[Work], int]:
        """Work of a whole graph and how often, and the bytes of its weights."""
        run = Run(
            phase="decode" if phase == "decode" else "prefill",
            batch=batch,
            prompt=tokens,
            context=tokens,
            tokens=1,
            logits="last",
        )
        graph = decoder_graph("step", shape, run)
        if self.dtype != "auto":
            graph = graph.with_scheme(self.dtype)
        ready, _ = flow.prepare(graph, [self.device], [self.stack])
        lowered = lower(ready)
        rows: Counter[Work] = Counter()
        for work, times in zip(lowered.works, lowered.count().tolist(), strict=True):
            rows[self._kept(work if shape.layout else _apart(work))] += times
        return rows, ready.weight_bytes

    def _kept(self, work: Work) -> Work:
        """The same with the caches in their format."""
        if isinstance(work, Attention) and self.cache_format:
            return replace(work, kv_format=self.cache_format)
        return work


def _apart(work: Work) -> Work:
    """The same whatever other weights there are in the graph."""
    return replace(work, cycled_bytes=0) if isinstance(work, Gemm) and work.b_is_weight else work


def _among(work: Work, weight_bytes: int) -> Work:
    return replace(work, cycled_bytes=weight_bytes) if isinstance(work, Gemm) and work.b_is_weight else work


class ModelTimes:
    """Step times of a deployment; see :class:`hwsim.engine.serving.StepTimes`.

    Steps that only write replay a captured graph; in those that read, the host issues every kernel, and they last as
    long as either needs. The stack's ``request`` is what the engine does between two steps, ``sequence`` what it does
    for each token written.
    """

    def __init__(self, deployment: Deployment) -> None:
        self.deployment = deployment
        self.between_ps = round(deployment.stack.request_s * _PS)
        self.each_ps = round(deployment.stack.sequence_s * _PS)
        self._rows: dict[int, list[float]] = {}

    @cached_property
    def weight_bytes(self) -> int:
        """Weights of one rank."""
        return self.deployment.parts("decode", 1, 1)[1]

    @cached_property
    def cached_bytes(self) -> int:
        """Keys and values of one token in the cache of one rank."""
        share = self.deployment.share
        attention = self._attention("decode")[0]
        return math.ceil(share.kept * BITS[attention.kv_format] / 8)

    def step_ps(self, pieces: Sequence[tuple[int, int]], writing: int, cached: int) -> int:
        """A step that reads pieces (tokens before, tokens read) and writes a token for each of some requests."""
        tokens = writing + sum(size for _, size in pieces)
        total = self._alone[min(tokens, len(self._alone) - 1)]
        if writing:
            total += round(self._writing(writing, cached / writing))
        if pieces:
            total += round(self._start_ps + sum(self._read(past + size) - self._read(past) for past, size in pieces))
            total = max(total, self.issuing_ps)
        return total + self.between_ps + writing * self.each_ps

    @cached_property
    def issuing_ps(self) -> int:
        """Picoseconds in which the host issues all kernels of a step, one by one."""
        rows = self.deployment.parts("prefill", 1, _READ[0])[0]
        return round(_PS * float(_priced(self.deployment, [rows]).host_s[0]))

    @cached_property
    def _alone(self) -> list[int]:
        """Picoseconds of what treats each token alone, by the number of tokens; never less for more."""
        sizes = [*_WRITTEN, *_READ]
        points = [self.deployment.parts("decode", n, 1)[0] for n in _WRITTEN]
        points += [self.deployment.parts("prefill", 1, n)[0] for n in _READ]
        alone: list[dict[Work, int]] = [
            {w: n for w, n in rows.items() if not isinstance(w, Attention)} for rows in points
        ]
        seconds = np.maximum.accumulate(np.array(seconds_of(self.deployment, alone)))
        return [int(v) for v in np.rint(np.interp(np.arange(_READ[-1] + 1), sizes, seconds) * _PS).tolist()]

    def _attention(self, phase: str) -> tuple[Attention, int]:
        rows = self.deployment.parts(phase, 1, 16)[0]
        return next((w, n) for w, n in rows.items() if isinstance(w, Attention))

    @cached_property
    def _written(self) -> Floats:
        """Picoseconds of attention of requests that write, (batches, contexts)."""
        work, layers = self._attention("decode")
        rows = [replace(work, batch=b, seq_kv=c) for b in _BATCHES for c in _CONTEXTS]
        seconds = np.array(seconds_of(self.deployment, [{row: layers} for row in rows]))
        return seconds.reshape(len(_BATCHES), len(_CONTEXTS)) * _PS

    def _writing(self, batch: int, context: float) -> float:
        batch = -(-batch // self.deployment.spread)
        row = self._rows.get(batch)
        if row is None:
            table = self._written
            row = [float(np.interp(batch, _BATCHES, table[:, i])) for i in range(len(_CONTEXTS))]
            self._rows[batch] = row
        return _between(_CONTEXTS, row, context)

    @cached_property
    def _read_curve(self) -> tuple[float, list[float]]:
        """Picoseconds of attention of a prompt: what all share, and what each adds by its length."""
        work, layers = self._attention("prefill")
        counts = (1, 4)
        rows = [replace(work, batch=b, seq_q=n, seq_kv=n) for b in counts for n in _PROMPTS]
        seconds = np.array(seconds_of(self.deployment, [{row: layers} for row in rows])).reshape(2, -1) * _PS
        each = np.maximum.accumulate(np.maximum((seconds[1] - seconds[0]) / 3, 0.0))
        start = float(np.clip(seconds[0] - each, 0.0, None)[: len(_PROMPTS) // 2].mean())
        return start, [0.0, *each.tolist()]

    @property
    def _start_ps(self) -> float:
        return self._read_curve[0]

    def _read(self, tokens: int) -> float:
        return _between(_FROM_NOTHING, self._read_curve[1], tokens)


_FROM_NOTHING = (0, *_PROMPTS)


def _between(places: Sequence[int], values: Sequence[float], at: float) -> float:
    """The line between two neighbours, the last one prolonged."""
    right = min(max(bisect_right(places, at), 1), len(places) - 1)
    left = right - 1
    share = (at - places[left]) / (places[right] - places[left])
    return values[left] + share * (values[right] - values[left])


def seconds_of(deployment: Deployment, points: Sequence[Mapping[Work, int]]) -> list[float]:
    """Seconds that one rank's device takes for each set of work, without the host's part."""
    return [float(s) for s in _priced(deployment, points).device_s]


@dataclass(frozen=True, slots=True, kw_only=True)
class Steady:
    """A load that stays the same: requests that write, tokens in the cache of each, prompts that come in a step.

    ``prompts`` is a mean; how many come in one step is Poisson distributed. ``prompt``: tokens of one.
    """

    batch: int
    context: int
    prompts: float = 0.0
    prompt: int = 1


@dataclass(frozen=True, slots=True)
class SteadyStep:
    """Seconds of a step that only writes and of all on average, and average power of all devices in W."""

    write_s: float
    mean_s: float
    power_w: float


def _drawn(deployment: Deployment, batch: int) -> Counter[Work]:
    """What drawing a token from each row of logits moves; every rank draws for all requests."""
    entries = deployment.shape.vocab * batch
    moved = round(deployment.stack.draw_bytes * entries)
    if not moved:
        return Counter()
    half = moved // 2
    draw = Move(kernel="move", elements=entries, bytes_in=moved - half, bytes_out=half, contiguous=True, format="fp32")
    return Counter([draw])


def _experts(works: Mapping[Work, int]) -> Counter[Work]:
    """The part of some work that experts do."""
    return Counter({work: times for work, times in works.items() if work.kernel == ExpertLinear.kind})


def steady_step(deployment: Deployment, load: Steady) -> SteadyStep:
    """Steps under a load that stays, long enough for the power limit.

    A prompt adds what the second of two does, and makes the host issue all kernels of its step. Where experts are
    spread, one rank reads a prompt and all wait, but its experts' part is shared among all. Clocks stay up between
    steps and while tokens are drawn, so the active floor is paid throughout.
    """
    power = deployment.device.power
    points = [deployment.parts("decode", load.batch, load.context)[0] + _drawn(deployment, load.batch)]
    points += [deployment.parts("prefill", 1, n * load.prompt * deployment.spread)[0] for n in (1, 2)]
    points += [_experts(point) for point in points[1:]]
    between_s = deployment.stack.request_s + load.batch * deployment.stack.sequence_s
    none = math.exp(-load.prompts)
    each = load.prompts / (1.0 - none) / deployment.spread if load.prompts else 0.0  # of a rank, in steps that read
    found: list[tuple[float, float, float]] = []
    for clock in CLOCKS:
        at = OperatingPoint(clock, float(voltage(clock, power.voltage_floor)))
        costs = _priced(deployment, points, at)
        write_s, issue_s = float(costs.device_s[0]), float(costs.host_s[1])
        read_s, read_j = (float(column[2] - column[1]) for column in (costs.device_s, costs.energy_j))
        shared_s = float(costs.device_s[4] - costs.device_s[3])
        reading_s = max(1.0, each) * (read_s - shared_s) + each * shared_s
        mean_s = none * write_s + (1.0 - none) * max(write_s + reading_s, issue_s)
        idle_s = between_s + max(0.0, mean_s - write_s - load.prompts / deployment.spread * read_s)
        floor_j = idle_s * power.active_w * at.clock * at.voltage**2
        energy_j = float(costs.energy_j[0]) + load.prompts / deployment.spread * read_j + floor_j
        found.append((energy_j, mean_s + between_s, write_s + between_s))
        if average_power_w(*found[-1][:2], power.idle_w) <= power.tdp_w:
            break
    energy, mean, write = (np.array(column) for column in zip(*found, strict=True))
    fast, slow, share = capped_blend(energy, mean, power.idle_w, power.tdp_w)
    energy_j, mean_s, write_s = (float(v[fast] + share * (v[slow] - v[fast])) for v in (energy, mean, write))
    watts = deployment.devices * float(average_power_w(energy_j, mean_s, power.idle_w))
    return SteadyStep(write_s, mean_s, watts)


@dataclass(frozen=True, slots=True)
class _Sums:
    """Seconds of the device and the host, and dynamic energy of one rank, of sets of work."""

    device_s: Floats
    host_s: Floats
    energy_j: Floats


def _priced(deployment: Deployment, points: Sequence[Mapping[Work, int]], at: OperatingPoint = NOMINAL) -> _Sums:
    """What sets of work cost one rank; all of them are priced in one table a form."""
    spec = deployment.device
    kind = KINDS[spec.kind]
    params = kind.params(spec, deployment.stack, at)
    works = list(dict.fromkeys(work for point in points for work in point))
    place = {work: i for i, work in enumerate(works)}
    times = np.zeros((len(points), len(works)))
    for row, point in enumerate(points):
        times[row, [place[work] for work in point]] = list(point.values())
    found = np.zeros((3, len(works)))
    inside = [w for w in works if not isinstance(w, Collective)]
    parts: list[tuple[Sequence[Work], Costs, int]] = [(inside, price(kind, inside, params, spec.name), 1)]
    exchanged = [w for w in works if isinstance(w, Collective)]
    if exchanged and deployment.links is not None:
        table = tables_of(exchanged)[Form.COLLECTIVE]
        parts.append(
            (exchanged, price_collectives(table, deployment.links, deployment.devices, params), deployment.ranks)
        )
    for rows, costs, sharing in parts:
        columns = [place[work] for work in rows]
        energy = costs.compute_j + costs.active_j + costs.memory_j / sharing
        found[:, columns] = (costs.time_s - costs.dispatch_s)[0], costs.dispatch_s[0], energy[0]
    return _Sums(*(times @ column for column in found))
