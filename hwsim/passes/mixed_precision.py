"""Narrow numbers for a share of the weights: the largest products are quantized, the first and the last one last.

Those two see the input and make the output, and are the ones most hurt by rounding (Nagel et al., A White Paper on
Neural Network Quantization, 2021, section 3.4).
"""

from __future__ import annotations

import math

from hwsim.errors import InputError
from hwsim.graph.graph import Graph, Node
from hwsim.graph.tensor import scheme as scheme_of
from hwsim.passes.quantize import PRODUCTS, Ranges, grids_of, quantized_products
from hwsim.passes.registry import TRANSFORMS

__all__ = ["mixed_precision"]


@TRANSFORMS.register("mixed_precision")
def mixed_precision(graph: Graph, scheme: str = "w8a16", share: float = 0.6, ranges: Ranges | None = None) -> Graph:
    """The graph with products quantized until their weights are at least ``share`` of all weights of products.

    Args:
        graph: with formats 'auto' or wide.
        scheme: what the chosen products run in.
        share: of weights, from 0 to 1.
        ranges: from calibration, as :func:`~hwsim.passes.quantize.quantize` takes them.

    Raises:
        UnknownNameError: no such scheme.
        InputError: a share outside 0 to 1, or a scheme that narrows no weight.
    """
    if not 0 <= share <= 1:
        raise InputError(f"mixed_precision: share is from 0 to 1, not {share:g}")
    if grids_of(scheme_of(scheme))[0] is None:
        raise InputError(f"mixed_precision: {scheme} narrows no weights; write w8a16, say")
    products = [node for node in graph.nodes if isinstance(node.op, PRODUCTS) and _weight_elements(graph, node)]
    total = sum(_weight_elements(graph, node) for node in products)
    last_of_all = {products[0].name, products[-1].name} if products else set()
    order = sorted(products, key=lambda node: (node.name in last_of_all, -_weight_elements(graph, node)))
    chosen: list[str] = []
    done = 0
    for node in order:
        if done >= math.floor(share * total + 0.5):
            break
        chosen.append(node.name)
        done += _weight_elements(graph, node)
    return quantized_products(graph, scheme, ranges or {}, chosen)


def _weight_elements(graph: Graph, node: Node) -> int:
    tensor = graph.tensors[node.inputs[1]]
    return tensor.type.elements if tensor.role == "weight" else 0
