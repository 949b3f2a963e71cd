"""Casts within the loops of a compiler: read or written in the format that is asked for, without a kernel of their own.

TorchInductor converts where a loop loads and stores (J. Ansel et al., PyTorch 2, ASPLOS 2024, section 4). It drops
pairs of casts that meet, so that an activation which reads its argument twice reads the fp32 values of the batch
normalisation before it; as more than four tensors went into those, they are what is stored where several kernels read
the activation (torch/_inductor: fx_passes/joint_graph.py, pointless_convert; config.py, realize_reads_threshold).
"""

from __future__ import annotations

from dataclasses import replace

from hwsim.graph.graph import Graph, Node
from hwsim.graph.tensor import TensorType
from hwsim.operators.batchnorm import BatchNorm
from hwsim.operators.cast import Cast
from hwsim.operators.gelu import Gelu
from hwsim.operators.hardswish import HardSwish
from hwsim.operators.silu import Silu
from hwsim.passes.loop_layouts import CALLS, VIEWS
from hwsim.passes.registry import PASSES
from hwsim.passes.rewrite import Rewriter, users

__all__ = ["loop_formats"]

_TWICE = (Gelu, HardSwish, Silu)
"""Activations whose formulas read their argument twice."""


@PASSES.register("loop_formats")
def loop_formats(graph: Graph) -> Graph:
    """The graph with casts left only where a library reads what a library made, or as second outputs of loops."""
    work = _Formats(graph)
    new = work.new
    for _, indices in new.phases():
        for index in indices:
            work.take(graph.nodes[index])
    return new.finish()


class _Formats:
    """The graph in the making, and what dropped casts are read as instead."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.new = Rewriter(graph)
        self._read_by = users(graph)
        self._renamed: dict[str, str] = {}
        self._cast: dict[tuple[str, str], str] = {}

    def take(self, node: Node) -> None:
        """Keep a node, or drop a cast."""
        if isinstance(node.op, Cast):
            self._take_cast(node, node.op)
            return
        self.new.keep(node, self._renamed)
        if isinstance(node.op, VIEWS):
            self._like_input(node)
        elif isinstance(node.op, _TWICE) and self._kept_wide(node):
            self._type(node.outputs[0], "fp32")

    def _take_cast(self, node: Node, op: Cast) -> None:
        name, made = self._renamed.get(node.inputs[0], node.inputs[0]), node.outputs[0]
        before, after = self.new.tensors[name].type.format, self.graph.tensors[made].type.format
        if after in (before, "fp32") or (name, after) in self._cast:
            self._renamed[made] = self._cast.get((name, after), name)
        elif self._from_a_loop(node.inputs[0]):
            if self._all_cast(node.inputs[0], after):
                self._retype(name, after)
                self._renamed[made] = name
            else:
                self._keep_cast(replace(node, op=replace(op, within=True)), name, after)
        else:
            self._keep_cast(node, name, after)

    def _keep_cast(self, node: Node, name: str, fmt: str) -> None:
        self.new.keep(node, self._renamed)
        self._cast[name, fmt] = node.outputs[0]

    def _from_a_loop(self, name: str) -> bool:
        while (maker := self.graph.producer.get(name)) is not None:
            op = self.graph.nodes[maker].op
            if not isinstance(op, (*VIEWS, Cast)):
                return not isinstance(op, CALLS)
            name = self.graph.nodes[maker].inputs[0]
        return False

    def _all_cast(self, name: str, fmt: str) -> bool:
        """Whether nothing reads x, or what x is a view of, but casts to that format."""
        readers = self._read_by.get(name, [])
        if not all(
            index >= 0
            and isinstance(self.graph.nodes[index].op, Cast)
            and self.graph.tensors[self.graph.nodes[index].outputs[0]].type.format == fmt
            for index in readers
        ):
            return False
        maker = self.graph.producer.get(name)
        while maker is not None and isinstance(self.graph.nodes[maker].op, VIEWS):
            name = self.graph.nodes[maker].inputs[0]
            if len(self._read_by.get(name, [])) > 1:
                return False
            maker = self.graph.producer.get(name)
        return True

    def _retype(self, name: str, fmt: str) -> None:
        """Another format for x and what it is a view of."""
        self._type(name, fmt)
        maker = self.graph.producer.get(name)
        while maker is not None and isinstance(self.graph.nodes[maker].op, VIEWS):
            name = self._renamed.get(self.graph.nodes[maker].inputs[0], self.graph.nodes[maker].inputs[0])
            self._type(name, fmt)
            maker = self.graph.producer.get(name)

    def _type(self, name: str, fmt: str) -> None:
        tensor = self.new.tensors[name]
        self.new.tensors[name] = replace(tensor, type=TensorType(tensor.shape, fmt, tensor.type.weight))

    def _like_input(self, node: Node) -> None:
        """A view has the format of what it shows."""
        name = self._renamed.get(node.inputs[0], node.inputs[0])
        for made in node.outputs:
            self._type(made, self.new.tensors[name].type.format)

    def _kept_wide(self, node: Node) -> bool:
        """Whether several loops and nothing else read an activation of a batch normalisation made for it alone."""
        maker = self.graph.producer.get(node.inputs[0])
        if maker is None or not isinstance(self.graph.nodes[maker].op, BatchNorm):
            return False
        readers = self._read_by.get(node.outputs[0], [])
        loops = [index for index in readers if index >= 0 and not isinstance(self.graph.nodes[index].op, CALLS)]
        return len(readers) == len(loops) > 1 and len(self._read_by.get(node.inputs[0], [])) == 1
