"""Mixed precision: how much memory a share saves, which products are chosen, what is refused."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from hwsim.errors import InputError
from hwsim.functional.run import run_reference
from hwsim.graph.graph import Graph, GraphBuilder
from hwsim.operators.linear import Linear
from hwsim.passes.mixed_precision import mixed_precision


def _layers(*widths: int) -> Graph:
    b = GraphBuilder("g")
    x = b.input("x", (2, widths[0]))
    for i, (k, n) in enumerate(pairwise(widths)):
        x = b.add(Linear(), x, b.weight(f"w{i}", (n, k)))
    return b.build([x])


@pytest.mark.parametrize(("share", "saved"), [(0.0, 0.0), (0.6, 0.3), (1.0, 0.5)])
def test_sixty_per_cent_in_int8_save_thirty_per_cent_of_fp16(share: float, saved: float) -> None:
    graph = _layers(*([64] * 11))
    mixed = mixed_precision(graph, "w8a16", share).with_scheme("fp16")
    assert 1 - mixed.weight_bytes / graph.with_scheme("fp16").weight_bytes == pytest.approx(saved, abs=1e-12)


def test_the_first_and_the_last_product_are_narrowed_last() -> None:
    mixed = mixed_precision(_layers(96, 64, 32, 16, 128), "w8a16", 0.19)
    assert [n for n, t in mixed.tensors.items() if t.role == "weight" and t.type.format == "int8"] == ["w1"]


def test_less_narrow_weights_mean_less_noise() -> None:
    graph = _layers(64, 256, 128, 32)
    x = {t.name: np.random.default_rng(0).standard_normal(t.shape) for t in graph.tensors.values() if t.role == "input"}
    (exact,) = run_reference(graph, x).values()
    noise = [
        np.abs(next(iter(run_reference(mixed_precision(graph, "w4a16", share), x).values())) - exact).mean()
        for share in (0.0, 0.5, 1.0)
    ]
    assert noise[0] == 0
    assert 0 < noise[1] < noise[2]


def test_what_cannot_be_asked_for_is_refused() -> None:
    with pytest.raises(InputError, match="share is from 0 to 1, not 2"):
        mixed_precision(_layers(4, 4), share=2)
    with pytest.raises(InputError, match="fp16 narrows no weights"):
        mixed_precision(_layers(4, 4), "fp16")
