"""Switch-XL: what its parts weigh, and which tokens its experts see."""

from __future__ import annotations

import pytest

from hwsim.graph.lowering import lower
from hwsim.graph.work import Gemm
from hwsim.workloads import WORKLOADS


def test_half_of_the_layers_have_four_experts() -> None:
    """Attention is 4 x 1024 x 4096 (twice in the decoder), an MLP 2 x 1024 x 16,384, or four of them and a router."""
    attention, mlp, norm = 4 * 1024 * 4096, 2 * 1024 * 16_384, 1024
    mlps = 2 * 12 * (mlp + 4 * mlp + 4 * 1024)
    norms = (24 * 2 + 1 + 24 * 3 + 1) * norm
    expected = 32_128 * 1024 + 3 * 24 * attention + mlps + norms + 2 * 32 * 32
    assert WORKLOADS["switch_xl4"].build(seq=64).parameters == expected


@pytest.mark.parametrize(("seq", "room"), [(512, 64), (128, 32)])
def test_an_expert_takes_as_many_tokens_as_it_has_room_for(seq: int, room: int) -> None:
    works = [
        w for w in lower(WORKLOADS["switch_xl4"].build(batch=2, seq=seq, dtype="fp32")).works if isinstance(w, Gemm)
    ]
    assert {w.m * w.batch for w in works if w.n == 16_384} == {2 * seq, 2 * room}
