"""Deformable convolutions as gathers: without offsets, those of a plain convolution."""

from __future__ import annotations

import numpy as np

from hwsim.functional.run import run_reference
from hwsim.graph.graph import GraphBuilder
from hwsim.workloads.deformable import deformable_conv


def test_without_offsets_a_deformable_convolution_is_half_a_plain_one() -> None:
    """Nothing learned moves or masks (sigmoid of 0 is a half): the sum over a window of ones, halved."""
    b = GraphBuilder("g")
    graph = b.build([deformable_conv(b, b.input("x", (1, 2, 4, 5)), 1, name="dcn")])
    down, across = np.meshgrid(np.arange(4.0), np.arange(5.0), indexing="ij")
    values = {}
    for name, tensor in graph.tensors.items():
        if "grid" in name:
            values[name] = np.array([(down + i, across + j) for i in range(3) for j in range(3)])
        elif tensor.role in ("weight", "state"):
            ones = "next" in name or "one" in name or name.endswith("conv.weight")
            values[name] = np.full(tensor.shape, float(ones))
    x = np.arange(40.0).reshape(1, 2, 4, 5)
    y = run_reference(graph, values | {"x": x})[graph.outputs[0]]
    padded = np.pad(x[0].sum(0), 1)
    wanted = sum(padded[i : i + 4, j : j + 5] for i in range(3) for j in range(3)) / 2
    assert np.allclose(y[0, 0], wanted)
