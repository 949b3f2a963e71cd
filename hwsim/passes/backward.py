"""A training step: forward, loss, gradients, and the optimizer's update of every weight.

Weights are kept in fp32 and read as 16-bit copies where the graph's activations are 16 bits wide (Micikevicius et
al., Mixed Precision Training, 2018, section 3.1), so Adam costs 16 bytes a weight: itself, its copy and its gradient,
two moments. What the way back reads of the way forward stays in memory until then, unless it is computed again: from
square-root-many kept tensors (T. Chen et al., Training Deep Nets with Sublinear Memory Cost, 2016, section 3). Batch
norms take the statistics of the batch.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import hwsim.passes.gradients_by_kernel  # noqa: F401 - enters its rules
from hwsim.errors import InputError
from hwsim.graph.graph import Graph, Node, Phase
from hwsim.graph.tensor import AUTO, BITS, Tensor, TensorType
from hwsim.operators.adam import Adam
from hwsim.operators.add import Add
from hwsim.operators.batchnorm import BatchNorm
from hwsim.operators.batchnorm_train import BatchNormTrain
from hwsim.operators.cast import Cast
from hwsim.operators.cross_entropy import CrossEntropy
from hwsim.operators.cross_entropy_grad import CrossEntropyGrad
from hwsim.operators.mul import Mul
from hwsim.operators.reduce import ReduceAxes
from hwsim.operators.reshape import Reshape
from hwsim.operators.sgd import Sgd
from hwsim.operators.sub import Sub
from hwsim.passes.gradients import RULES, Flow, Rule
from hwsim.passes.registry import TRANSFORMS
from hwsim.passes.rewrite import Rewriter

__all__ = ["backward", "trained"]

_LOSSES = ("auto", "cross_entropy", "mse")
_OPTIMIZERS = ("adam", "sgd", "none")


@TRANSFORMS.register("backward")
def backward(
    graph: Graph,
    optimizer: str = "adam",
    loss: str = "auto",
    recompute: bool = False,
    master: bool = True,
    accumulate: bool = False,
    phase: str = "",
) -> Graph:
    """The graph of one training step; its outputs are ``loss``, then what every weight becomes.

    Args:
        graph: whose first output is trained.
        optimizer: ``adam``, ``sgd`` (with momentum) or ``none``, which makes the gradients of the weights outputs.
        loss: ``cross_entropy`` against a further input ``labels`` or ``mse`` against ``target``; ``auto`` takes the
            latter where the output has four axes or more, or the shape of an input, as denoisers have.
        recompute: whether activations are computed again on the way back instead of kept.
        master: whether weights are kept in fp32 beside 16-bit copies.
        accumulate: whether gradients are added to those of earlier steps, which nobody cleared.
        phase: which part of a graph of several phases is trained, once (a step of a denoiser, a prompt); what earlier
            phases make is given from outside.

    Raises:
        InputError: an unknown option or phase, integers as activations, or operators without a gradient (all at once).
    """
    for value, known, what in ((optimizer, _OPTIMIZERS, "optimizer"), (loss, _LOSSES, "loss")):
        if value not in known:
            raise InputError(f"backward: {what} is one of {', '.join(known)}, not '{value}'")
    graph = _alone(graph, phase)
    step = _Step(graph, master=master and optimizer != "none")
    step.forward()
    step.loss("mse" if loss == "mse" or (loss == "auto" and _is_denoiser(graph)) else "cross_entropy")
    step.back(segments=math.isqrt(len(graph.nodes)) if recompute else 1)
    step.update(optimizer, accumulate=accumulate)
    return step.finish()


def trained(graph: Graph) -> tuple[str, ...]:
    """Names of the weights that a training step updates: those whose gradients can be asked for."""
    return tuple(name for name, tensor in graph.tensors.items() if tensor.role == "weight")


def _alone(graph: Graph, name: str) -> Graph:
    """One phase of a graph, run once: what others make becomes an input, what others read an output."""
    names = [p.name for p in graph.phases]
    if name not in names and (name or len(names) != 1):
        listed = ", ".join(f"{p.name} x{p.repeat}" for p in graph.phases)
        wrong = f"has no phase '{name}'" if name else "runs in several phases"
        raise InputError(f"backward: {graph.name} {wrong} ({listed}); train one, e.g. 'backward:phase={names[-1]}'")
    phase = graph.phases[names.index(name) if name else 0]
    nodes = graph.nodes[phase.first : phase.last]
    made = {out for node in nodes for out in node.outputs}
    read = {n for node in graph.nodes[: phase.first] + graph.nodes[phase.last :] for n in node.inputs}
    ends = [n for n in graph.outputs if n in made] or [n for node in nodes for n in node.outputs if n in read]
    used = {n for node in nodes for n in (*node.inputs, *node.outputs)}
    tensors = {
        n: replace(t, step=(), role="input" if t.role == "activation" and n not in made else t.role)
        for n, t in graph.tensors.items()
        if n in used
    }
    outputs = tuple(ends) or (nodes[-1].outputs[0],)
    return replace(graph, nodes=nodes, tensors=tensors, phases=(Phase(phase.name, 0, len(nodes)),), outputs=outputs)


def _is_denoiser(graph: Graph) -> bool:
    shape = graph.tensors[graph.outputs[0]].shape
    inputs = [t.shape for t in graph.tensors.values() if t.role == "input"]
    return len(shape) > 3 or len(shape) < 2 or shape in inputs


def _rule_of(op: Any) -> Rule | None:
    return next((RULES[cls] for cls in type(op).__mro__ if cls in RULES), None)


class _Step:
    """The training step in the making."""

    def __init__(self, graph: Graph, *, master: bool) -> None:
        self.graph = graph
        self.new = Rewriter(graph)
        self._master = master
        self._needs = self._reached()
        self._refuse()
        self._seen: dict[str, Tensor] = {}
        self._grads: dict[str, list[Tensor]] = {}
        self._loss = ""
        self._ends: list[str] = []
        self._forward: list[Node] = []

    def _reached(self) -> set[str]:
        """Tensors that some weight has a part in."""
        reached = {name for name, tensor in self.graph.tensors.items() if tensor.role == "weight"}
        for node in self.graph.nodes:
            if any(name in reached for name in node.inputs):
                reached.update(node.outputs)
        return reached

    def _refuse(self) -> None:
        """Raise InputError listing the operators that nothing flows back through."""
        bad = {
            node.op.kind
            for node in self.graph.nodes
            if not isinstance(node.op, BatchNorm)
            and any(name in self._needs for name in node.inputs)
            and _rule_of(node.op) is None
        }
        if bad:
            raise InputError(f"backward: {self.graph.name} has operators without a gradient: {', '.join(sorted(bad))}")
        integers = [t.name for n, t in self.graph.tensors.items() if n in self._needs and "int" in t.type.format]
        if integers:
            raise InputError(
                f"backward: '{integers[0]}' is of integers, which have no gradient; train in fp32, bf16 or fp16"
            )

    def forward(self) -> None:
        """Copy the graph: weights read through their 16-bit copies, batch norms in training mode."""
        first = self.graph.nodes[0] if self.graph.nodes else None
        renamed: dict[str, str] = {}
        for name, tensor in self.graph.tensors.items():
            if tensor.role == "weight" and self._master and first is not None:
                copy = self._kept_wide(tensor, first)
                if copy is not None:
                    renamed[name] = copy
        for node in self.graph.nodes:
            op, inputs = node.op, node.inputs
            if isinstance(op, BatchNorm):
                op, inputs = BatchNormTrain(op.eps), inputs[:3]
            self._forward.append(replace(node, op=op, inputs=tuple(renamed.get(name, name) for name in inputs)))
            self.new.keep(self._forward[-1])
        self._needs |= set(renamed.values())

    def _kept_wide(self, weight: Tensor, like: Node) -> str | None:
        """Name of the 16-bit copy of a weight that is now fp32, if it is a matrix of fewer bits."""
        fmt = weight.type.format
        if fmt != AUTO and BITS[fmt] >= 32:
            return None
        wide = replace(weight, type=TensorType(weight.shape, "fp32", weight=True))
        self.new.tensors[weight.name] = wide
        if len(weight.shape) < 2:
            return None
        return self.new.add(Cast(fmt), [wide], f"{weight.name}.copy", like).name

    def loss(self, kind: str) -> None:
        """Add the loss and the gradient of the output."""
        end = self._forward[-1] if self._forward else None
        if end is None or self.graph.outputs[0] not in self._needs:
            raise InputError(f"backward: no weight has a part in '{self.graph.outputs[0]}', so nothing can be trained")
        y = self.new.tensors[self.graph.outputs[0]]
        if kind == "cross_entropy":
            labels = self._input("labels", TensorType(y.shape[:-1], "int32"))
            value = self.new.add(CrossEntropy(), [y, labels], "loss", end)
            dy = self.new.add(CrossEntropyGrad(), [y, labels], "loss.grad", end)
        else:
            target = self._input("target", TensorType(y.shape, y.type.format))
            off = self.new.add(Sub(), [y, target], "loss.difference", end)
            square = self.new.add(Mul(), [off, off], "loss.square", end)
            mean = self.new.add(ReduceAxes("mean", tuple(range(len(y.shape)))), [square], "loss.mean", end)
            value = self.new.add(Reshape((1,)), [mean], "loss", end)
            dy = self.new.add(Mul(2.0 / y.type.elements), [off], "loss.grad", end)
        self._loss = value.name
        self._grads[y.name] = [dy]

    def _input(self, name: str, kind: TensorType) -> Tensor:
        if name in self.new.tensors:
            raise InputError(f"backward: the graph has a tensor '{name}' already; rename it")
        self.new.tensors[name] = Tensor(name, kind, "input")
        return self.new.tensors[name]

    def back(self, segments: int) -> None:
        """Add the gradients, the last node first; in all segments but the last, after computing it again."""
        count = len(self._forward)
        size = -(-count // max(segments, 1))
        bounds = [(start, min(start + size, count)) for start in range(0, count, size)]
        for start, stop in reversed(bounds):
            self._seen = self._computed_again(start, stop) if stop < count else {}
            for node in reversed(self._forward[start:stop]):
                self._through(node)

    def _computed_again(self, start: int, stop: int) -> dict[str, Tensor]:
        """Nodes of a segment once more; what later segments read is at hand."""
        kept = {name for node in self._forward[stop:] for name in node.inputs} | set(self.graph.outputs)
        again: dict[str, Tensor] = {}
        for node in self._forward[start:stop]:
            if all(name in kept for name in node.outputs):
                continue
            inputs = [again.get(name, self.new.tensors[name]) for name in node.inputs]
            made = self.new.add_several(node.op, inputs, f"{node.name}.again", node)
            again.update({name: t for name, t in zip(node.outputs, made, strict=True) if name not in kept})
        return again

    def _through(self, node: Node) -> None:
        dys = tuple(self._gradient(name, node) for name in node.outputs)
        needs = tuple(name in self._needs for name in node.inputs)
        if not any(needs) or all(dy is None for dy in dys):
            return
        inputs, outputs = (tuple(self._value(n) for n in names) for names in (node.inputs, node.outputs))
        rule = _rule_of(node.op)
        assert rule is not None
        try:
            found = rule(Flow(self.new, node, inputs, outputs, dys, needs))
        except KeyError as error:
            raise InputError(f"backward: node '{node.name}': no gradient of {error.args[0]} is known") from None
        for name, gradient, needed in zip(node.inputs, found, needs, strict=True):
            if needed and gradient is not None:
                self._grads.setdefault(name, []).append(gradient)

    def _value(self, name: str) -> Tensor:
        return self._seen.get(name, self.new.tensors[name])

    def _gradient(self, name: str, like: Node) -> Tensor | None:
        """The sum of what came back to a tensor from all its readers."""
        parts = self._grads.get(name)
        if not parts:
            return None
        total = parts[0]
        for number, part in enumerate(parts[1:], start=1):
            total = self.new.add(Add(), [total, part], f"{name}.grad.sum{number}", like)
        self._grads[name] = [total]
        return total

    def update(self, optimizer: str, *, accumulate: bool) -> None:
        """Add the optimizer's step for every weight that something came back to."""
        like = self._forward[0]
        for name in trained(self.graph):
            gradient = self._gradient(self._copy_of(name), like)
            if gradient is None:
                continue
            weight = self.new.tensors[name]
            if accumulate:
                earlier = Tensor(f"{name}.earlier", gradient.type, "state")
                self.new.tensors[earlier.name] = earlier
                gradient = self.new.add(Add(), [gradient, earlier], f"{name}.accumulated", like)
            if optimizer == "none":
                self._ends.append(gradient.name)
                continue
            kept = ("mean", "variance") if optimizer == "adam" else ("velocity",)
            states = [self._state(f"{name}.{what}", weight) for what in kept]
            op = Adam() if optimizer == "adam" else Sgd()
            made = self.new.add_several(op, [weight, gradient, *states], f"{name}.update", like)
            self._ends.append(made[0].name)

    def _copy_of(self, weight: str) -> str:
        copy = f"{weight}.copy"
        return copy if copy in self.new.tensors else weight

    def _state(self, name: str, like: Tensor) -> Tensor:
        fmt = "fp32" if self._master else like.type.format
        made = Tensor(name, TensorType(like.shape, fmt), "state")
        self.new.tensors[name] = made
        return made

    def finish(self) -> Graph:
        """The graph without what nothing reads."""
        whole = self.new.finish()
        outputs = (self._loss, *self._ends)
        nodes = _wanted(whole.nodes, outputs)
        read = {name for node in nodes for name in (*node.inputs, *node.outputs)}
        tensors: Mapping[str, Tensor] = {n: t for n, t in whole.tensors.items() if n in read}
        return replace(
            whole,
            nodes=nodes,
            tensors=tensors,
            phases=(Phase("step", 0, len(nodes)),),
            outputs=outputs,
            name=f"{self.graph.name} training",
        )


def _wanted(nodes: Iterable[Node], outputs: Iterable[str]) -> tuple[Node, ...]:
    """The nodes that some output depends on, in their order."""
    wanted, kept = set(outputs), []
    for node in reversed(list(nodes)):
        if any(name in wanted for name in node.outputs):
            wanted.update(node.inputs)
            kept.append(node)
    return tuple(reversed(kept))
