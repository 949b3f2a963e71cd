"""Which values a network's tensors take on sample inputs: the ranges that quantization scales its grids to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from hwsim.errors import InputError
from hwsim.functional.run import run_reference
from hwsim.graph.graph import Graph
from hwsim.graph.operator import Array
from hwsim.graph.tensor import Tensor
from hwsim.passes.quantize import PRODUCTS, channel_axis

__all__ = ["METHODS", "calibrated"]

METHODS = ("minmax", "percentile")


def calibrated(
    graph: Graph,
    samples: Sequence[Mapping[str, Array]],
    *,
    method: str = "minmax",
    percentile: float = 99.99,
    seed: int = 0,
) -> dict[str, tuple[Array, Array]]:
    """(least, greatest) values of what the graph's products multiply, by name: one each, of a weight one a channel.

    ``samples`` are inputs to run it on, one after another; a range covers that of every sample.

    ``minmax`` takes the extremes; ``percentile`` cuts off what lies beyond that per cent of an activation's values on
    either side, so that few outliers do not coarsen the grid of all others (Wu et al., Integer Quantization for Deep
    Learning Inference, 2020, section 4.3). Weights always keep their extremes.

    Raises:
        InputError: an unknown method, or a percentile that is not between 50 and 100.
    """
    if method not in METHODS:
        raise InputError(f"calibration: write one of {', '.join(METHODS)}, not '{method}'")
    if not 50 < percentile <= 100:
        raise InputError(f"calibration: percentile must be above 50 and at most 100, not {percentile:g}")
    cut = percentile if method == "percentile" else 100.0
    wanted = _operands(graph)
    ranges: dict[str, tuple[Array, Array]] = {}

    def watch(tensor: Tensor, values: Array) -> None:
        if tensor.name not in wanted or values.dtype.kind != "f":
            return
        axis = wanted[tensor.name] if tensor.role == "weight" else None
        if axis is not None:
            rows = np.moveaxis(values, axis, 0).reshape(values.shape[axis], -1)
            low, high = rows.min(axis=1), rows.max(axis=1)
        elif cut < 100:
            low, high = np.percentile(values, [100 - cut, cut]).astype(np.float32)[:, None]
        else:
            low, high = values.min().reshape(1), values.max().reshape(1)
        before = ranges.get(tensor.name, (low, high))
        ranges[tensor.name] = (np.minimum(low, before[0]), np.maximum(high, before[1]))

    for inputs in samples:
        run_reference(graph, inputs, seed, watch)
    return ranges


def _operands(graph: Graph) -> dict[str, int | None]:
    """Tensors that products multiply, with the channel axis of those on the right."""
    found: dict[str, int | None] = {}
    for node in graph.nodes:
        if isinstance(node.op, PRODUCTS):
            found.setdefault(node.inputs[0], None)
            found.setdefault(node.inputs[1], channel_axis(node.op))
    return found
