"""Language models as graphs of fixed shapes, as they are exported for phones' NPUs: caches, and what stays 8 bits wide.

Such a graph owns no memory between steps: caches come in as inputs, and each step joins its keys and values behind
them before attention reads the whole. Quantized to four bits, it keeps the weights of the last product in eight, and
with integer activations its caches too (quic/ai-hub-models, models/_shared/llama3/model_adaptations.py,
``SHALlamaAttention``, and models/_shared/llm/_utils.py, ``_set_lm_head_to_8b``, ``_tie_quantizers_for_kv_cache``).
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from hwsim.graph.graph import Graph, Node
from hwsim.graph.operator import Operator
from hwsim.operators.append import Append
from hwsim.operators.linear import Linear
from hwsim.passes.registry import PASSES
from hwsim.passes.rewrite import with_operators

__all__ = ["int8_caches", "int8_head", "joined_caches"]


@PASSES.register("joined_caches")
def joined_caches(graph: Graph) -> Graph:
    """The graph with every cache copied as it grows; values are kept."""
    return with_operators(graph, _copied)


def _copied(node: Node) -> Operator:
    return replace(node.op, copied=True) if isinstance(node.op, Append) else node.op


@PASSES.register("int8_caches")
def int8_caches(graph: Graph) -> Graph:
    """The graph with caches of keys and values, and what they grow to, in int8."""
    grown = [node for node in graph.nodes if isinstance(node.op, Append)]
    return _in_int8(graph, {name for node in grown for name in (node.inputs[0], *node.outputs)})


@PASSES.register("int8_head")
def int8_head(graph: Graph) -> Graph:
    """The graph with the weights of its last linear layer in int8."""
    layers = [node for node in graph.nodes if isinstance(node.op, Linear)]
    return _in_int8(graph, {node.inputs[1] for node in layers[-1:]})


def _in_int8(graph: Graph, names: Collection[str]) -> Graph:
    narrowed = {
        name: replace(graph.tensors[name], type=replace(graph.tensors[name].type, format="int8")) for name in names
    }
    return replace(graph, tensors={**graph.tensors, **narrowed})
