"""Values for the inputs of a graph, drawn at random."""

from __future__ import annotations

import numpy as np

from hwsim.graph.graph import Graph


def drawn_inputs(graph: Graph, seed: int = 0) -> dict[str, np.ndarray]:
    """Normal values, and 0 to 2 where integers are asked for."""
    generator = np.random.default_rng(seed)
    found: dict[str, np.ndarray] = {}
    for tensor in graph.tensors.values():
        if tensor.role == "input":
            drawn = generator.standard_normal(tensor.shape)
            found[tensor.name] = generator.integers(0, 3, tensor.shape) if "int" in tensor.type.format else drawn
    return found
