"""Continuous batching, with step times that can be added up by hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwsim.engine.serving import Batching, Request, Served, serve
from hwsim.errors import InputError

ONE_AT_A_TIME = Batching(budget=1, chunked=False, mixed=True, slots=1000)


@dataclass(frozen=True)
class Steps:
    """Every step takes ``base``, and so much more for each token read, request that writes, and cached token."""

    base: int = 10
    read: int = 0
    write: int = 0
    cached: int = 0

    def step_ps(self, pieces: Sequence[tuple[int, int]], writing: int, cached: int) -> int:
        return self.base + self.read * sum(size for _, size in pieces) + self.write * writing + self.cached * cached


def _seen(found: Sequence[Served]) -> list[tuple[int, int, int]]:
    return [(each.arrived_ps, each.first_ps, each.last_ps) for each in found]


def test_a_prompt_is_read_beside_requests_that_write() -> None:
    """Steps end at 10 (reads a), 20 (reads b, writes a), 30 (writes both: a has 3 tokens), 40 (b has 3)."""
    found = serve(2, [Request(4, 3)] * 2, ONE_AT_A_TIME, Steps())
    assert _seen(found) == [(0, 10, 30), (0, 20, 40)]
    assert [each.first_token_ps for each in found] == [10, 20]
    assert [each.per_token_ps for each in found] == [10.0, 10.0]


def test_where_reading_goes_first_writing_waits_for_it() -> None:
    """Steps end at 10 (reads a), 20 (reads b), 30 and 40 (write both)."""
    batching = replace(ONE_AT_A_TIME, mixed=False)
    assert _seen(serve(2, [Request(4, 3)] * 2, batching, Steps())) == [(0, 10, 40), (0, 20, 40)]


def test_a_prompt_longer_than_the_budget_is_read_in_pieces() -> None:
    """a: 4 of 6 tokens until 10, 2 more and 2 of b until 20; b's last 4 until 30 while a writes."""
    batching = Batching(budget=4, chunked=True, mixed=True, slots=1000)
    assert _seen(serve(2, [Request(6, 2)] * 2, batching, Steps())) == [(0, 20, 30), (0, 30, 40)]


def test_prompts_share_a_step_within_the_budget_when_whole() -> None:
    batching = Batching(budget=8, chunked=False, mixed=True, slots=1000)
    assert _seen(serve(3, [Request(4, 1)] * 3, batching, Steps())) == [(0, 10, 10), (0, 10, 10), (0, 20, 20)]


def test_whoever_does_not_fit_into_the_cache_waits_until_another_leaves() -> None:
    batching = replace(ONE_AT_A_TIME, slots=7)
    assert _seen(serve(2, [Request(4, 3)] * 2, batching, Steps())) == [(0, 10, 30), (0, 40, 60)]


def test_a_client_asks_again_after_a_pause() -> None:
    assert _seen(serve(1, [Request(4, 2)] * 2, ONE_AT_A_TIME, Steps(), pause_ps=5)) == [(0, 10, 20), (25, 35, 45)]


def test_a_step_formed_ahead_does_not_know_who_came_meanwhile() -> None:
    """The second writes from 20 on. The first's client asks again at 12, before the step that ends at 20 does."""
    requests = [Request(4, 1), Request(4, 6), Request(4, 1)]
    now = serve(2, requests, ONE_AT_A_TIME, Steps(), pause_ps=2)
    ahead = serve(2, requests, replace(ONE_AT_A_TIME, ahead=True), Steps(), pause_ps=2)
    assert _seen(now)[2] == (12, 30, 30)
    assert _seen(ahead)[2] == (12, 40, 40)


def test_steps_that_only_write_are_taken_together_at_the_time_of_the_middle_one() -> None:
    """Prompt 10; three steps with 10, 11 and 12 cached tokens: 110 + 111 + 112 = 333."""
    steps = Steps(base=100, cached=1)
    assert _seen(serve(1, [Request(10, 4)], ONE_AT_A_TIME, steps)) == [(0, 100, 433)]


def test_what_can_never_be_answered_is_refused() -> None:
    with pytest.raises(InputError, match="do not fit into a cache of 1,000 tokens"):
        serve(1, [Request(900, 101)], ONE_AT_A_TIME, Steps())
    with pytest.raises(InputError, match="at least one token"):
        serve(1, [Request(0, 5)], ONE_AT_A_TIME, Steps())


def test_nobody_asks_nothing() -> None:
    assert serve(3, [], ONE_AT_A_TIME, Steps()) == []


@settings(max_examples=50)
@given(
    clients=st.integers(1, 6),
    sizes=st.lists(st.tuples(st.integers(1, 9), st.integers(1, 9)), max_size=14),
    budget=st.integers(1, 12),
    chunked=st.booleans(),
    mixed=st.booleans(),
    ahead=st.booleans(),
    pause=st.integers(0, 30),
)
def test_every_request_is_answered_and_clients_have_one_each(
    clients: int, sizes: list[tuple[int, int]], budget: int, chunked: bool, mixed: bool, ahead: bool, pause: int
) -> None:
    batching = Batching(budget=budget, chunked=chunked, mixed=mixed, slots=30, ahead=ahead)
    requests = [Request(*each) for each in sizes]
    steps = Steps(base=7, read=3, write=1)
    found = serve(clients, requests, batching, steps, pause_ps=pause)
    assert [each.output for each in found] == [each.output for each in requests]
    for each, request in zip(found, requests, strict=True):
        assert each.first_ps >= each.arrived_ps + 7 + 3 * request.prompt
        assert each.last_ps >= each.first_ps + 8 * (request.output - 1)
    for each in found:
        assert sum(other.arrived_ps <= each.arrived_ps < other.last_ps for other in found) <= clients
    alone = 7 * sum(r.prompt + r.output for r in requests) + 4 * sum(r.prompt * 3 + r.output for r in requests)
    assert max((each.last_ps for each in found), default=0) <= alone + pause * len(requests)
    assert found == serve(clients, requests, batching, steps, pause_ps=pause)


def test_more_clients_wait_longer_for_the_first_token_and_between_tokens() -> None:
    steps = Steps(base=100, read=20, write=2)
    means = []
    for clients in (1, 2, 4, 8, 16):
        found = serve(clients, [Request(50, 20)] * (10 * clients), ONE_AT_A_TIME, steps)
        totals = sum(f.first_token_ps for f in found), sum(f.per_token_ps for f in found)
        means.append([total / len(found) for total in totals])
    first, each = zip(*means, strict=True)
    assert list(first) == sorted(first)
    assert list(each) == sorted(each)
    assert first[-1] > 3 * first[0]
