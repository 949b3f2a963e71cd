"""Continuous batching: requests of a closed loop of clients, replayed step by step as a serving engine runs them.

A step makes one token for every request that writes, and reads prompts of those that wait (Yu et al., "Orca: A
Distributed Serving System for Transformer-Based Generative Models", OSDI 2022, section 3.1: scheduling at the level of
iterations). Events are arrivals, ends of steps that read, and ends of requests; steps between two events that only
write are taken together. Times are integer picoseconds.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from hwsim.errors import InputError

__all__ = ["Batching", "Request", "Served", "StepTimes", "serve"]


@dataclass(frozen=True, slots=True)
class Request:
    """Tokens of a prompt, and tokens made for it."""

    prompt: int
    output: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Batching:
    """How an engine forms its steps.

    ``budget``: tokens of prompts a step reads at most. ``chunked``: a prompt may be read in pieces; else it is read
    whole, alone if it exceeds the budget. ``mixed``: writing goes on in steps that read; else it waits until no prompt
    does. ``slots``: tokens that the key-value cache holds; a request is admitted when its last token will fit.
    ``ahead``: the host forms a step while the one before runs, so whoever arrives meanwhile waits for the next.
    """

    budget: int
    chunked: bool
    mixed: bool
    slots: int
    ahead: bool = False


@dataclass(frozen=True, slots=True)
class Served:
    """When a request arrived, when its first and last token were ready, and how many it got."""

    arrived_ps: int
    first_ps: int
    last_ps: int
    output: int

    @property
    def first_token_ps(self) -> int:
        """From arrival to the first token."""
        return self.first_ps - self.arrived_ps

    @property
    def per_token_ps(self) -> float:
        """Mean time between two tokens; of a single token, nothing."""
        return (self.last_ps - self.first_ps) / max(1, self.output - 1)


class StepTimes(Protocol):
    """How long a step takes."""

    def step_ps(self, pieces: Sequence[tuple[int, int]], writing: int, cached: int) -> int:
        """A step that reads pieces of prompts (tokens before, tokens read) and writes a token for some requests.

        Args:
            pieces: of the prompts read.
            writing: requests that get a token.
            cached: tokens in the caches of those, all together.
        """


class _Engine:
    """The state of a replay: who waits, who reads, who writes."""

    def __init__(self, clients: int, requests: Sequence[Request], batching: Batching, pause_ps: int) -> None:
        self.batching = batching
        self.requests = requests
        self.pause_ps = pause_ps
        self.now = 0
        self.formed = 0  # when the step that comes next is formed
        self.free = batching.slots
        self.arrivals = [(0, i) for i in range(min(clients, len(requests)))]
        self.next = len(self.arrivals)
        self.arrived = [0] * len(requests)
        self.first = [0] * len(requests)
        self.waiting: deque[int] = deque()
        self.reading: deque[list[int]] = deque()  # [request, tokens read]
        self.steps = 0
        self.ends: list[tuple[int, int]] = []  # (step after which it ends, request)
        self.cached = 0
        self.done: dict[int, Served] = {}

    def arrive(self) -> None:
        """Whoever has come when the next step is formed waits."""
        while self.arrivals and self.arrivals[0][0] <= self.formed:
            time, i = heapq.heappop(self.arrivals)
            self.arrived[i] = time
            self.waiting.append(i)

    def pieces(self) -> list[tuple[int, int, int]]:
        """(request, tokens before, tokens read) of the next step, by arrival; admits whom the cache has room for."""
        found: list[tuple[int, int, int]] = []
        left = self.batching.budget
        for i, past in self.reading:
            if left <= 0:
                break
            size = min(left, self.requests[i].prompt - past)
            found.append((i, past, size))
            left -= size
        while self.waiting and left > 0:
            request = self.requests[self.waiting[0]]
            if request.prompt + request.output > self.free:
                break
            if not self.batching.chunked and found and request.prompt > left:
                break
            size = min(left, request.prompt) if self.batching.chunked else request.prompt
            i = self.waiting.popleft()
            self.free -= request.prompt + request.output
            self.reading.append([i, 0])
            found.append((i, 0, size))
            left -= size
        return found

    def read(self, found: Sequence[tuple[int, int, int]]) -> None:
        """What a step has read at its end: whole prompts give a first token."""
        for i, past, size in found:
            request = self.requests[i]
            if past + size < request.prompt:
                self.reading[0][1] = past + size
                continue
            self.reading.popleft()
            self.first[i] = self.now
            self.cached += request.prompt
            heapq.heappush(self.ends, (self.steps + request.output - 1, i))

    def write(self, steps: int) -> None:
        """So many tokens more for each that writes."""
        self.cached += steps * len(self.ends)
        self.steps += steps

    def leave(self) -> None:
        """Whoever has all tokens leaves; their clients ask again."""
        while self.ends and self.ends[0][0] <= self.steps:
            _, i = heapq.heappop(self.ends)
            request = self.requests[i]
            self.cached -= request.prompt + request.output - 1
            self.free += request.prompt + request.output
            self.done[i] = Served(self.arrived[i], self.first[i], self.now, request.output)
            if self.next < len(self.requests):
                heapq.heappush(self.arrivals, (self.now + self.pause_ps, self.next))
                self.next += 1


def serve(
    clients: int, requests: Sequence[Request], batching: Batching, times: StepTimes, *, pause_ps: int = 0
) -> list[Served]:
    """Requests in the order in which clients send them, each when it has the answer to its last; all start at once.

    Args:
        clients: how many requests are under way at most.
        requests: all that are sent.
        batching: how steps are formed.
        times: how long they take.
        pause_ps: from the last token of a request to the arrival of its client's next.

    Raises:
        InputError: a request that the cache cannot hold, or no token asked for.
    """
    for request in requests:
        if request.prompt + request.output > batching.slots:
            raise InputError(
                f"{request.prompt} + {request.output} tokens do not fit into a cache of {batching.slots:,} tokens"
            )
        if request.prompt < 1 or request.output < 1:
            raise InputError("a request has at least one token in its prompt and one in its answer")
    state = _Engine(clients, requests, batching, pause_ps)
    while len(state.done) < len(requests):
        state.arrive()
        found = state.pieces()
        if found:
            writing = len(state.ends) if batching.mixed else 0
            state.formed = state.now
            state.now += times.step_ps([(past, size) for _, past, size in found], writing, state.cached)
            if writing:
                state.write(1)
            state.read(found)
        elif state.ends:
            _write(state, times)
        else:
            state.now = state.formed = state.arrivals[0][0]
        if not batching.ahead:
            state.formed = state.now
        state.leave()
    return [state.done[i] for i in range(len(requests))]


def _write(state: _Engine, times: StepTimes) -> None:
    """Steps that only write, until a request ends or one arrives; each takes what the middle one does."""
    steps, writing = state.ends[0][0] - state.steps, len(state.ends)
    if state.arrivals:
        once = times.step_ps((), writing, state.cached)
        steps = max(1, min(steps, -(-(state.arrivals[0][0] - state.formed) // once)))
    mean = times.step_ps((), writing, state.cached + writing * (steps - 1) // 2)
    state.now += steps * mean
    state.formed = state.now - mean
    state.write(steps)
