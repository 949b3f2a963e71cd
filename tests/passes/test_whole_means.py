"""Averages over whole images as means: which are, and that values are kept."""

from __future__ import annotations

import numpy as np

from hwsim.functional.run import run_reference
from hwsim.graph.graph import GraphBuilder
from hwsim.operators.pooling import Pool
from hwsim.passes import PASSES
from hwsim.workloads import layers


def test_only_averages_over_the_whole_image_become_means() -> None:
    b = GraphBuilder("g")
    x = b.input("x", (1, 2, 4, 6))
    cases = (("average", (4, 6)), ("max", (4, 6)), ("average", (2, 3)))
    means = [layers.pool(b, x, mode, size, name=f"{mode}{size[0]}") for mode, size in cases]
    padded = b.add(Pool("average", (4, 6), (4, 6), (1, 1)), x, name="padded")
    graph = b.build([*means, padded])
    new = PASSES["whole_means"](graph)
    assert [node.op.kind for node in new.nodes] == ["reduce", "pooling", "pooling", "pooling"]
    given = {"x": np.random.default_rng(0).standard_normal((1, 2, 4, 6))}
    before, after = run_reference(graph, given), run_reference(new, given)
    assert all(np.allclose(before[name], after[name]) for name in graph.outputs)
