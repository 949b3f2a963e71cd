"""Norms, modulation and rotary embedding as eager diffusers modules run them: kernels, formats, values."""

from __future__ import annotations

import numpy as np

from hwsim.functional.run import run_reference
from hwsim.graph.graph import Graph, GraphBuilder
from hwsim.graph.lowering import lower
from hwsim.graph.tensor import Tensor
from hwsim.operators.layernorm import LayerNorm
from hwsim.operators.rmsnorm import RmsNorm
from hwsim.operators.rope import Rope
from hwsim.operators.scale_shift import ScaleShift
from hwsim.passes import PASSES

spell_out = PASSES["spell_out"]


def _modulated(*, wide: bool) -> Graph:
    b = GraphBuilder("g")
    normed = b.add(LayerNorm(wide=wide), b.input("x", (1, 4, 8)))
    return b.build([b.add(ScaleShift(), normed, b.input("scale", (1, 1, 8)), b.input("shift", (1, 1, 8)))])


def _root() -> Graph:
    b = GraphBuilder("g")
    return b.build([b.add(RmsNorm(), b.input("x", (4, 8)), b.weight("gamma", (8,)))])


def _kernels(graph: Graph) -> list[tuple[str, str]]:
    lowered = lower(graph)
    works = [lowered.works[i] for i in lowered.row_ids.tolist()]
    return [(w.kernel, w.format) for w in works]


def test_a_root_mean_square_norm_is_seven_kernels_in_fp32_and_gamma() -> None:
    kernels = _kernels(spell_out(_root().with_scheme("bf16")))
    wide = ["cast", "mul", "reduce", "add", "pow_scalar", "mul"]
    assert kernels == [(name, "fp32") for name in wide] + [("cast", "bf16"), ("mul", "bf16")]


def test_modulation_is_a_product_and_a_sum_over_the_activation() -> None:
    kernels = _kernels(spell_out(_modulated(wide=False).with_scheme("bf16")))
    assert kernels == [("layernorm", "bf16"), ("add", "bf16"), ("mul", "bf16"), ("add", "bf16")]


def test_a_norm_that_says_so_runs_wide_with_the_modulation_behind_it() -> None:
    kernels = _kernels(spell_out(_modulated(wide=True).with_scheme("bf16")))
    assert [kernel for kernel, fmt in kernels if fmt == "fp32"] == ["cast", "layernorm", "mul", "add"]
    assert kernels[-1] == ("cast", "bf16")


def test_rotary_embedding_runs_wide() -> None:
    b = GraphBuilder("g")
    graph = spell_out(b.build([b.add(Rope(), b.input("x", (1, 2, 4, 8)))]).with_scheme("bf16"))
    assert _kernels(graph) == [("cast", "fp32"), ("rope", "fp32"), ("cast", "bf16")]


def test_values_are_kept() -> None:
    rng = np.random.default_rng(0)
    for graph in (_root(), _modulated(wide=True), _modulated(wide=False)):
        inputs = {n: rng.normal(size=t.shape) for n, t in graph.tensors.items() if t.role == "input"}
        (expected,), (found,) = (list(run_reference(g, inputs).values()) for g in (graph, spell_out(graph)))
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_what_is_wide_already_needs_no_casts() -> None:
    def tensor(b: GraphBuilder) -> Tensor:
        return b.add(RmsNorm(), b.input("x", (4, 8)))

    b = GraphBuilder("g")
    graph = spell_out(b.build([tensor(b)]).with_scheme("fp32"))
    assert [kernel for kernel, _ in _kernels(graph)] == ["mul", "reduce", "add", "pow_scalar", "mul"]
