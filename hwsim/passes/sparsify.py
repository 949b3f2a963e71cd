"""Sparse weights: the least elements of every product's weight become zero, and what is left is stored by a layout.

Whether a device also skips the multiplications is the device's matter (``sparse_speedup``); the bytes behind a sparse
weight shrink on all.
"""

from __future__ import annotations

from dataclasses import replace

from hwsim.errors import InputError
from hwsim.graph.graph import Graph
from hwsim.graph.storage import Storage
from hwsim.graph.tensor import Tensor
from hwsim.operators.sparsify import Sparsify
from hwsim.passes.quantize import PRODUCTS
from hwsim.passes.registry import TRANSFORMS
from hwsim.passes.rewrite import Rewriter, users

__all__ = ["sparsify"]


@TRANSFORMS.register("sparsify")
def sparsify(graph: Graph, pattern: str = "unstructured", sparsity: float = 0.5, layout: str = "") -> Graph:
    """The graph with the weights of its products sparse.

    Args:
        graph: any.
        pattern: ``unstructured`` (single elements), ``block:B`` (B elements along a row go together), or ``N:M`` (N of
            each M stay, e.g. ``2:4``; the sparsity follows from it).
        sparsity: share of zeros.
        layout: how the rest is stored: ``bitmask``, ``csr``, or ``dense`` (zeros too); for N:M always with places.

    Raises:
        InputError: no such pattern or layout, or a sparsity that is not from 0 to below 1.
    """
    storage = _storage(pattern, sparsity, layout)
    read_by = users(graph)
    chosen = {
        name
        for name, tensor in graph.tensors.items()
        if tensor.role == "weight" and len(tensor.shape) > 1 and _only_multiplied(graph, tensor, read_by)
    }
    new = Rewriter(graph)
    made: dict[str, str] = {}
    for _, indices in new.phases():
        for index in indices:
            node = graph.nodes[index]
            for name in node.inputs:
                if name in chosen and name not in made:
                    tensor = new.tensors[name]
                    new.tensors[name] = replace(tensor, type=replace(tensor.type, storage=storage))
                    made[name] = new.add(Sparsify(storage), [new.tensors[name]], f"{name}.sparse", node).name
            new.keep(node, made)
    return new.finish()


def _storage(pattern: str, sparsity: float, layout: str) -> Storage:
    name, _, size = pattern.partition(":")
    if name.isdigit() and size.isdigit() and 0 < int(name) <= int(size):
        if layout not in ("", "n:m"):
            raise InputError(f"sparsify: the pattern {pattern} is stored with places; leave out 'layout'")
        keep, of = int(name), int(size)
        return Storage(layout="n:m", density=keep / of, keep=keep, of=of)
    block = int(size) if name == "block" and size.isdigit() and int(size) > 0 else 1 if pattern == "unstructured" else 0
    if not block:
        raise InputError(
            f"sparsify: a pattern is 'unstructured', 'block:B' such as block:8, or N:M such as 2:4, not '{pattern}'"
        )
    if not 0 <= sparsity < 1:
        raise InputError(f"sparsify: sparsity is a share from 0 to below 1, not {sparsity:g}")
    return Storage(layout=layout or "bitmask", density=1.0 - sparsity, block=block)


def _only_multiplied(graph: Graph, tensor: Tensor, read_by: dict[str, list[int]]) -> bool:
    """Whether nothing but products reads a weight, on their right side."""
    readers = [graph.nodes[i] for i in read_by.get(tensor.name, []) if i >= 0]
    return bool(readers) and all(isinstance(r.op, PRODUCTS) and r.inputs[1] == tensor.name for r in readers)
