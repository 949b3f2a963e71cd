"""A mixture of experts: a router chooses some of many gated MLPs for each token and adds up what they give.

Shazeer et al., "Outrageously Large Neural Networks: The Sparsely-Gated Mixture-of-Experts Layer", 2017, section 2, with
the experts of today's language models: SiLU-gated, gate and up in one product (Jiang et al., "Mixtral of Experts",
2024, section 2.1).
"""

from __future__ import annotations

from collections.abc import Mapping

from hwsim.graph.graph import GraphBuilder
from hwsim.graph.tensor import Tensor
from hwsim.operators.all_to_all import AllToAll
from hwsim.operators.expand import Expand
from hwsim.operators.expert_linear import ExpertLinear
from hwsim.operators.linear import Linear
from hwsim.operators.mul import Mul
from hwsim.operators.reduce import ReduceAxes
from hwsim.operators.reshape import Reshape
from hwsim.operators.silu_mul import SiluMul
from hwsim.operators.softmax import Softmax
from hwsim.operators.split_view import SplitView
from hwsim.operators.topk import TopK

__all__ = ["mixture", "mixture_weights"]


def mixture_weights(
    b: GraphBuilder, *, width: int, hidden: int, experts: int, spread: int
) -> dict[str, tuple[Tensor, ...]]:
    """The router's weight over all experts, and those of the ``experts`` that this rank holds of ``spread`` as many."""
    with b.scope("experts"):
        return {
            "router": (b.weight("router", (experts * spread, width)),),
            "experts_gate_up": (b.weight("gate_up", (experts, 2 * hidden, width)),),
            "experts_down": (b.weight("down", (experts, width, hidden)),),
        }


def mixture(
    b: GraphBuilder, weights: Mapping[str, tuple[Tensor, ...]], x: Tensor, *, chosen: int, spread: int
) -> Tensor:
    """(batch, seq, width): the sum of the chosen experts' answers, weighed by the router.

    Where experts are spread over ranks, tokens travel to those of their experts and back: two all-to-alls.
    """
    batch, seq, width = x.shape
    tokens = batch * seq
    gate_up, down = weights["experts_gate_up"][0], weights["experts_down"][0]
    hidden = down.shape[2]
    with b.scope("experts"):
        rows = b.add(Reshape((tokens, width)), x, name="rows")
        scores = b.add(Softmax(), b.add(Linear(), rows, *weights["router"], name="router"), name="scores")
        gates, ids = b.add_all(TopK(chosen), scores, name="choice")
        y = b.add(Expand((tokens, chosen, width)), b.add(Reshape((tokens, 1, width)), rows, name="row"), name="copies")
        if spread > 1:
            y = b.add(AllToAll(spread), y, name="dispatch")
        y = b.add(ExpertLinear(spread), y, ids, gate_up, name="gate_up")
        y = b.add(SiluMul(), *b.add_all(SplitView(-1, (hidden, hidden)), y, name="halves"), name="act")
        y = b.add(ExpertLinear(spread), y, ids, down, name="down")
        if spread > 1:
            y = b.add(AllToAll(spread), y, name="combine")
        y = b.add(Mul(), y, b.add(Reshape((tokens, chosen, 1)), gates, name="gates"), name="weighed")
        return b.add(Reshape((batch, seq, width)), b.add(ReduceAxes("sum", (1,)), y, name="sum"), name="joined")
