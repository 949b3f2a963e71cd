"""Copies that an eager framework makes without being asked: expanded tensors that change shape, masks out of line."""

from __future__ import annotations

import math
from dataclasses import replace

from hwsim.graph.graph import Graph, Node
from hwsim.operators.add import Add
from hwsim.operators.attention import Attention
from hwsim.operators.expand import Expand
from hwsim.operators.linear import Linear
from hwsim.operators.pad import Pad
from hwsim.operators.reshape import Reshape
from hwsim.operators.slice_view import SliceView
from hwsim.operators.strided_view import StridedView
from hwsim.operators.transpose import Transpose
from hwsim.passes.registry import PASSES
from hwsim.passes.rewrite import Rewriter, users

__all__ = ["expanded_copies", "padded_scores", "turned_products"]

_ALIGNED = 16
"""Elements of a row of scores that memory-efficient attention wants (PyTorch 2.4, sdp_utils and attention.cu)."""


@PASSES.register("expanded_copies")
def expanded_copies(graph: Graph) -> Graph:
    """The graph with a copy where a reshape joins an axis that was expanded with another: strides cannot say that."""
    new = Rewriter(graph)
    for _, indices in new.phases():
        for index in indices:
            node = graph.nodes[index]
            if isinstance(node.op, Reshape) and _joins_expanded(graph, node):
                x = new.tensors[node.inputs[0]]
                op = Transpose(tuple(range(len(x.shape))), copied=True)
                copy = new.add(op, [x], f"{node.name}.copy", node)
                new.tensors[copy.name] = replace(new.tensors[copy.name], type=x.type)
                node = replace(node, inputs=(copy.name,))
            new.keep(node)
    return new.finish()


def _joins_expanded(graph: Graph, node: Node) -> bool:
    maker = graph.producer.get(node.inputs[0])
    if maker is None or not isinstance(graph.nodes[maker].op, Expand):
        return False
    before, after = (graph.tensors[name].shape for name in (graph.nodes[maker].inputs[0], node.inputs[0]))
    before = (1,) * (len(after) - len(before)) + tuple(before)
    expanded = [b == 1 < a for b, a in zip(before, after, strict=True)]
    shape, at = graph.tensors[node.outputs[0]].shape, 0
    for size in shape:
        group: list[int] = []
        while at < len(after) and math.prod(after[i] for i in group) < size:
            group.append(at)
            at += 1
        long = [i for i in group if after[i] > 1]
        if len(long) > 1 and any(expanded[i] for i in long):
            return True
    return False


@PASSES.register("padded_scores")
def padded_scores(graph: Graph) -> Graph:
    """The graph with masks of fused attention copied into rows of a multiple of 16, of which it reads part."""
    new = Rewriter(graph)
    for _, indices in new.phases():
        for index in indices:
            node = graph.nodes[index]
            cols = graph.tensors[node.inputs[3]].shape[-1] if len(node.inputs) > 3 else 0
            if isinstance(node.op, Attention) and cols % _ALIGNED:
                scores = new.tensors[node.inputs[3]]
                pads = ((0, 0),) * (len(scores.shape) - 1) + ((0, -cols % _ALIGNED),)
                padded = new.add(Pad(pads), [scores], f"{node.name}.padded_scores", node)
                view = new.add(SliceView(len(scores.shape) - 1, 0, cols), [padded], f"{node.name}.scores_read", node)
                node = replace(node, inputs=(*node.inputs[:3], view.name))
            new.keep(node)
    return new.finish()


@PASSES.register("turned_products")
def turned_products(graph: Graph) -> Graph:
    """The graph with biases of linear layers on permuted operands added by kernels of their own.

    PyTorch runs these as batched products, which read matrices turned and add nothing (aten, LinearAlgebra.cpp, linear
    and should_fold; under mixed precision weights are copies that ask for no gradient).
    """
    read_by = users(graph)
    new = Rewriter(graph)
    for _, indices in new.phases():
        for index in indices:
            node = graph.nodes[index]
            if isinstance(node.op, Transpose) and tuple(node.op.perm) == (0, 2, 1):
                readers = read_by.get(node.outputs[0], [])
                if readers and all(r >= 0 and isinstance(graph.nodes[r].op, Linear) for r in readers):
                    node = replace(node, op=StridedView(node.op.perm))
            elif isinstance(node.op, Linear) and len(node.inputs) > 2 and _is_turned(graph, node):
                x, weight, bias = (new.tensors[name] for name in node.inputs)
                y = new.add(node.op, [x, weight], f"{node.name}.unbiased", node)
                new.add(Add(), [y, bias], f"{node.name}.plus_bias", node, node.outputs[0])
                continue
            new.keep(node)
    return new.finish()


def _is_turned(graph: Graph, node: Node) -> bool:
    maker = graph.producer.get(node.inputs[0])
    return maker is not None and isinstance(graph.nodes[maker].op, Transpose)
