"""Run products of fp32 weights on the tensor cores, as libraries for Ampere and later do unless told otherwise.

cuDNN's convolutions in PyTorch (``torch.backends.cudnn.allow_tf32``, on by default) and all layers of TensorRT
(``BuilderFlag.TF32``, set by default) round the operands of fp32 products to TF32. Tensors stay fp32.
"""

from __future__ import annotations

from dataclasses import replace

from hwsim.graph.graph import Graph
from hwsim.passes.registry import PASSES

__all__ = ["tf32_products"]


@PASSES.register("tf32_products")
def tf32_products(graph: Graph) -> Graph:
    """The graph with its products of fp32 weights in TF32; other formats, and other operators, as they were."""
    if graph.scheme is None or graph.scheme.matrix != "fp32":
        return graph
    return replace(graph, scheme=replace(graph.scheme, matrix="tf32"))
