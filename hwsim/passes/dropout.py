"""Drop activations at random, as transformers do while they are trained (Srivastava et al., Dropout, 2014).

Masks are inputs: what a kernel draws, it writes once and reads again on the way back, so a stored mask moves as many
bytes. They hold 0 or 1; that what stays grows by the share that went is left to the weights.
"""

from __future__ import annotations

from hwsim.graph.graph import Graph, Node
from hwsim.graph.tensor import Tensor, TensorType
from hwsim.operators.add import Add
from hwsim.operators.linear import Linear
from hwsim.operators.matmul import Matmul
from hwsim.operators.mul import Mul
from hwsim.operators.softmax import Softmax
from hwsim.passes.registry import TRANSFORMS
from hwsim.passes.rewrite import Rewriter, users

__all__ = ["dropout"]


@TRANSFORMS.register("dropout")
def dropout(graph: Graph, attention: bool = True) -> Graph:
    """The graph with dropout of what each block adds to the residual stream, and of attention's weights.

    Args:
        graph: with attention as separate kernels (``unfuse_attention``) where its weights are to be dropped.
        attention: whether they are.
    """
    read_by = users(graph)
    new = Rewriter(graph)
    renamed: dict[str, str] = {}
    for _, indices in new.phases():
        for index in indices:
            node = graph.nodes[index]
            new.keep(node, renamed)
            readers = [graph.nodes[i] for i in read_by.get(node.outputs[0], []) if i >= 0]
            if _ends_block(graph, node, readers) or (attention and _weighs(node, readers)):
                renamed[node.outputs[0]] = _dropped(new, node).name
    return new.finish()


def _ends_block(graph: Graph, node: Node, readers: list[Node]) -> bool:
    """Whether a linear layer's result is added to another activation of its shape."""
    if not isinstance(node.op, Linear) or len(readers) != 1 or not isinstance(readers[0].op, Add):
        return False
    others = [graph.tensors[name] for name in readers[0].inputs if name != node.outputs[0]]
    return [t.shape for t in others if t.role == "activation"] == [graph.tensors[node.outputs[0]].shape]


def _weighs(node: Node, readers: list[Node]) -> bool:
    """Whether a softmax makes the weights of values."""
    return isinstance(node.op, Softmax) and any(isinstance(reader.op, Matmul) for reader in readers)


def _dropped(new: Rewriter, node: Node) -> Tensor:
    kept = new.tensors[node.outputs[0]]
    mask = Tensor(f"{node.name}.mask", TensorType(kept.shape, "bool"), "input")
    new.tensors[mask.name] = mask
    return new.add(Mul(), [kept, mask], f"{node.name}.dropped", node)
