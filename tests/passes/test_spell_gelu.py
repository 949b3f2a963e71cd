"""GELU as GPT-2's code writes it: eight kernels, the same values."""

from __future__ import annotations

import numpy as np

from hwsim.functional.run import run_reference
from hwsim.graph.graph import Graph, GraphBuilder
from hwsim.graph.lowering import lower
from hwsim.graph.work import Map
from hwsim.operators.gelu import Gelu
from hwsim.passes import PASSES


def _activated(*, written_out: bool) -> Graph:
    b = GraphBuilder("g")
    return b.build([b.add(Gelu(approximate=True, written_out=written_out), b.input("x", (8, 16)))], dtype="fp32")


def test_eight_kernels_read_or_write_eighteen_tensors() -> None:
    """Six functions of one tensor and two of two tensors, 128 numbers of 4 bytes each."""
    lowered = lower(PASSES["spell_gelu"](_activated(written_out=True)))
    works = [lowered.works[row] for row in lowered.row_ids]
    assert len(works) == 8
    assert sum(work.bytes_in + work.bytes_out for work in works if isinstance(work, Map)) == 18 * 512


def test_a_function_of_the_library_stays_one_kernel() -> None:
    graph = _activated(written_out=False)
    assert PASSES["spell_gelu"](graph).nodes == graph.nodes


def test_values_stay() -> None:
    graph = _activated(written_out=True)
    given = {"x": np.random.default_rng(5).standard_normal((8, 16))}
    before, after = (list(run_reference(each, given).values())[-1] for each in (graph, PASSES["spell_gelu"](graph)))
    assert np.allclose(before, after, rtol=1e-5, atol=1e-6)
