"""Post-training quantization: numbers that enter matrix products are rounded to narrow grids.

Weights get a scale an output channel (int8, fp8), or one a group (int4: 32 elements; fp4: 16); activations one scale
a tensor, from the ranges that calibration saw. What both sides of a product have fixed scales for is written as Q and
DQ nodes around it (ONNX's QDQ form), which ``fuse_quantized`` turns into products on integers. Weight-only schemes
and groups round values in place. Source: Nagel et al., A White Paper on Neural Network Quantization, 2021, sections 2
and 3.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import replace

import numpy as np

from hwsim.graph.graph import Graph, Node
from hwsim.graph.operator import Array, Operator
from hwsim.graph.tensor import BITS, Scheme, Tensor
from hwsim.graph.tensor import scheme as scheme_of
from hwsim.operators.conv1d import Conv1d
from hwsim.operators.conv2d import Conv2d
from hwsim.operators.conv3d import Conv3d
from hwsim.operators.conv_transpose import ConvTranspose2d
from hwsim.operators.dequantize_linear import DequantizeLinear
from hwsim.operators.fake_quantize import FakeQuantize
from hwsim.operators.gemm import Gemm
from hwsim.operators.grid import Grid
from hwsim.operators.linear import Linear
from hwsim.operators.matmul import Matmul
from hwsim.operators.quantize_linear import QuantizeLinear
from hwsim.operators.sparsify import Sparsify
from hwsim.passes.registry import TRANSFORMS
from hwsim.passes.rewrite import Rewriter, users

__all__ = ["PRODUCTS", "Ranges", "channel_axis", "grids_of", "quantize", "quantized_products"]

Ranges = Mapping[str, tuple[Array, Array]]
"""Least and greatest value of each tensor, one each, or one each an output channel of a weight."""

PRODUCTS = (Conv1d, Conv2d, Conv3d, ConvTranspose2d, Gemm, Linear, Matmul)
_DRAWN = 4.0
"""Without calibration: standard deviations that a tensor's grid reaches; 1 in 16,000 normal values exceeds it."""


def grids_of(chosen: Scheme) -> tuple[Grid | None, Grid | None]:
    """(grid of weights, grid of activations) that a scheme rounds products' operands to; None where it does not.

    >>> grids_of(scheme_of("w4a16"))[0].group
    32
    """
    fixed = {
        "int8": (Grid(axis=0), Grid(symmetric=False)),
        "fp8": (Grid(format="fp8", axis=0), Grid(format="fp8")),
        "int4": (Grid(format="int4", axis=0, group=32), Grid(format="int4", symmetric=False)),
        "fp4": (Grid(format="fp4", axis=0, group=16), Grid(format="fp4", group=16)),
        "tf32": (Grid(format="tf32", scaled=False), Grid(format="tf32", scaled=False)),
    }
    weight = fixed.get(chosen.weight, (None, None))[0]
    return weight, fixed.get(chosen.matrix, (None, None))[1]


def channel_axis(op: Operator) -> int:
    """The axis of a product's right operand along which its output channels lie."""
    if isinstance(op, Gemm | Matmul):
        return -2 if op.transpose_b else -1
    return 1 if isinstance(op, ConvTranspose2d) else 0


@TRANSFORMS.register("quantize")
def quantize(graph: Graph, scheme: str = "w8a8", ranges: Ranges | None = None, fake: bool = False) -> Graph:
    """The graph with the operands of its products on the grids of a precision scheme.

    Args:
        graph: with formats 'auto' or wide.
        scheme: a name of SCHEMES, e.g. ``w8a8``, ``w8a16``, ``w4a16``, ``fp8_w8a8``, ``nvfp4``.
        fake: whether values are rounded without leaving their format, as in training that knows of the rounding.
        ranges: from calibration; tensors not in it get the range of values that references draw.

    Raises:
        UnknownNameError: no such scheme.
    """
    return quantized_products(graph, scheme, ranges or {}, {node.name for node in graph.nodes}, fake=fake)


def quantized_products(
    graph: Graph, name: str, ranges: Ranges, chosen: Collection[str], *, fake: bool = False
) -> Graph:
    """The graph with the products of those names quantized."""
    weight, activation = grids_of(scheme_of(name))
    if weight is None and activation is None:
        return graph
    work = _Quantizer(graph, weight, activation, ranges, chosen, fake=fake)
    for phase, indices in work.new.phases():
        work.begin(phase.name)
        for index in indices:
            work.take(graph.nodes[index])
    return work.new.finish()


class _Quantizer:
    """The new graph in the making; a tensor that several products read is rounded once a phase."""

    def __init__(
        self,
        graph: Graph,
        weight: Grid | None,
        activation: Grid | None,
        ranges: Ranges,
        chosen: Collection[str],
        *,
        fake: bool,
    ) -> None:
        self.graph = graph
        self.new = Rewriter(graph)
        self._weight, self._activation = weight, activation
        self._ranges, self._chosen, self._fake = ranges, chosen, fake
        self._readers = users(graph)
        self._done: dict[tuple[str, Grid], str] = {}
        self._phase = ""

    def begin(self, phase: str) -> None:
        """What another phase rounded is not there yet."""
        self._done.clear()
        self._phase = f".{phase}" if len(self.graph.phases) > 1 else ""

    def take(self, node: Node) -> None:
        """Copy a node; the operands of a chosen product are rounded before it."""
        if not isinstance(node.op, PRODUCTS) or node.name not in self._chosen:
            self.new.keep(node)
            return
        renamed = {}
        for place, name in enumerate(node.inputs[:2]):
            tensor = self.new.tensors[name]
            own = self._is_weight(tensor, node, place)
            if own:
                grid = self._weight and replace(self._weight, axis=channel_axis(node.op) % len(tensor.shape))
            else:
                grid = self._activation
                if grid is not None and place == 1:
                    grid = replace(grid, symmetric=True)
            if grid is not None:
                renamed[name] = self._rounded(self._narrow(tensor, grid) if own else tensor, grid, node)
        self.new.keep(node, renamed)

    def _is_weight(self, tensor: Tensor, node: Node, place: int) -> bool:
        """Whether a tensor is a product's weight and nothing but: what others read too (tied embeddings) stays wide."""
        maker = self.graph.producer.get(tensor.name)
        sparse = maker is not None and isinstance(self.graph.nodes[maker].op, Sparsify)
        if place != 1 or not (tensor.role == "weight" or (sparse and tensor.type.weight)):
            return False
        readers = [self.graph.nodes[i] for i in self._readers[tensor.name] if i >= 0]
        return all(
            isinstance(r.op, PRODUCTS)
            and r.inputs[1] == tensor.name
            and r.inputs.count(tensor.name) == 1
            and channel_axis(r.op) == channel_axis(node.op)
            and r.name in self._chosen
            for r in readers
        )

    def _rounded(self, tensor: Tensor, grid: Grid, like: Node) -> str:
        """Name of the tensor's values on the grid, made if this is the first to ask."""
        key = (tensor.name, grid)
        if key not in self._done:
            name = f"{tensor.name}{self._phase}"
            if any(old == tensor.name for old, _ in self._done):
                name += f".{len(self._done)}"
            self._done[key] = self._nodes(tensor, grid, name, like).name
        return self._done[key]

    def _nodes(self, tensor: Tensor, grid: Grid, name: str, like: Node) -> Tensor:
        by_values = bool(grid.group) or not grid.scaled or self._activation is None or self._activation.group
        if by_values:
            return self.new.add(FakeQuantize(grid), [tensor], f"{name}.rounded", like)
        fixed = grid.fixed(*self._range(tensor, grid))
        if self._fake:
            return self.new.add(FakeQuantize(fixed), [tensor], f"{name}.rounded", like)
        wide = self.graph.tensors[tensor.name].type.format
        numbers = self.new.add(QuantizeLinear(fixed), [tensor], f"{name}.quantized", like)
        return self.new.add(DequantizeLinear(fixed, wide), [numbers], f"{name}.dequantized", like)

    def _narrow(self, tensor: Tensor, grid: Grid) -> Tensor:
        """The weight, stored in the grid's format from now on (in its own where that is not a format of tensors)."""
        if grid.stored not in BITS or not grid.scaled or self._fake:
            return tensor
        maker = self.graph.producer.get(tensor.name)
        behind = self.graph.nodes[maker].inputs[0] if maker is not None else tensor.name
        for name in (behind, tensor.name):
            old = self.new.tensors[name]
            self.new.tensors[name] = replace(old, type=replace(old.type, format=grid.stored))
        return self.new.tensors[tensor.name]

    def _range(self, tensor: Tensor, grid: Grid) -> tuple[Array, Array]:
        """Least and greatest values, one each or one each an index of the grid's axis."""
        channels = 1 if grid.axis is None else tensor.shape[grid.axis]
        if tensor.name in self._ranges:
            low, high = (np.broadcast_to(np.ravel(edge), (channels,)) for edge in self._ranges[tensor.name])
            return low, high
        spread = 1.0 if tensor.role != "weight" else 1 / math.sqrt(max(math.prod(tensor.shape[1:]), 1))
        edge = np.full(channels, _DRAWN * spread)
        return -edge, edge
