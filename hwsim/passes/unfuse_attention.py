"""Replace fused attention by the kernels an eager framework runs: product, scale, mask, softmax, product.

The scores then exist in memory, (batch, heads, seq_q, seq_kv) of them, and each kernel reads and writes them
(T. Dao et al., FlashAttention, 2022, algorithm 0). Grouped queries are a product with broadcast keys: keys and
values are viewed as (batch, kv_heads, 1, seq_kv, dim), not copied per query head. Attention that a model has head by
head stays: compilers run the three operators of one head strip by strip, and its scores never exist as a whole.
"""

from __future__ import annotations

import math

from hwsim.graph.graph import Graph, Node
from hwsim.graph.tensor import Tensor
from hwsim.operators.add import Add
from hwsim.operators.attention import Attention
from hwsim.operators.causal_mask import CausalMask
from hwsim.operators.matmul import Matmul
from hwsim.operators.mul import Mul
from hwsim.operators.reshape import Reshape
from hwsim.operators.softmax import Softmax
from hwsim.passes.registry import PASSES
from hwsim.passes.rewrite import Rewriter

__all__ = ["unfuse_attention"]


@PASSES.register("unfuse_attention")
def unfuse_attention(graph: Graph) -> Graph:
    """The graph with attention as separate kernels, named after it (``.scores``, ``.softmax`` ...)."""
    new = Rewriter(graph)
    for _, indices in new.phases():
        for index in indices:
            node = graph.nodes[index]
            if isinstance(node.op, Attention) and not node.op.head_by_head:
                _spell_out(new, node, node.op)
            else:
                new.keep(node)
    return new.finish()


def _spell_out(new: Rewriter, node: Node, attention: Attention) -> None:
    q, k, v, *biases = (new.tensors[name] for name in node.inputs)
    heads, seq_q, dim = q.shape[1:]
    kv_heads = k.shape[1]
    grouped = heads != kv_heads
    if grouped:
        shared = Reshape((0, 0, 1, -1, dim))
        q = new.add(Reshape((0, kv_heads, heads // kv_heads, -1, dim)), [q], f"{node.name}.q", node)
        k = new.add(shared, [k], f"{node.name}.k", node)
        v = new.add(shared, [v], f"{node.name}.v", node)
    scores = new.add(Matmul(transpose_b=True), [q, k], f"{node.name}.scores", node)
    scores = new.add(Mul(1 / math.sqrt(dim)), [scores], f"{node.name}.scale", node)
    for bias in biases:
        if grouped:
            scores = new.add(Reshape((0, heads, seq_q, -1)), [scores], f"{node.name}.all_heads", node)
        scores = new.add(Add(), [scores, bias], f"{node.name}.bias", node)
        if grouped:
            scores = new.add(Reshape((0, kv_heads, heads // kv_heads, seq_q, -1)), [scores], f"{node.name}.split", node)
    if attention.causal and seq_q > 1:
        scores = new.add(CausalMask(), [scores], f"{node.name}.mask", node)
    weights = new.add(Softmax(), [scores], f"{node.name}.softmax", node)
    _finish(new, node, weights, v, heads, grouped=grouped)


def _finish(new: Rewriter, node: Node, weights: Tensor, v: Tensor, heads: int, *, grouped: bool) -> None:
    (output,) = node.outputs
    if not grouped:
        new.add(Matmul(), [weights, v], f"{node.name}.values", node, output)
        return
    values = new.add(Matmul(), [weights, v], f"{node.name}.values", node)
    new.add(Reshape((0, heads, -1, v.shape[-1])), [values], f"{node.name}.heads", node, output)
