"""The pass: the denoiser divided by tokens, the text encoders on every rank, the image or video decoder on one."""

from __future__ import annotations

from dataclasses import replace

from hwsim.errors import InputError
from hwsim.graph.graph import Graph, Node, Phase
from hwsim.graph.tensor import TensorType
from hwsim.operators.all_reduce import AllReduce
from hwsim.operators.attention import Attention
from hwsim.operators.collectives import Segments
from hwsim.operators.concat import Concat
from hwsim.operators.conv2d import Conv2d
from hwsim.operators.halo import Halo
from hwsim.passes.parallel.exchange import divided_attention
from hwsim.passes.parallel.linear import LinearAttention, divided_linear_attention, linear_attentions
from hwsim.passes.parallel.rules import planned
from hwsim.passes.parallel.sharding import Divided, Sharding
from hwsim.passes.rewrite import users

__all__ = ["sequence_parallel"]

_DENOISE, _DECODE = "denoise", "vae_decode"


def sequence_parallel(graph: Graph, *, ulysses: int = 1, ring: int = 1, beside: bool = True) -> Graph:
    """One rank's share of a diffusion pipeline on ulysses x ring ranks.

    Text that joins the image in attention is cut too, except for the few tokens that the ranks do not divide, which
    every rank holds (xDiT's code leaves all of it whole then; Stable Diffusion 3.5, the one measured model with such
    text, ran as if it were cut: 7 % against 17 %). Text that is only read is whole, except where the pipeline says so
    by its number of ``divided_text_tokens``. ``cached_keys`` says that keys and values pass through xDiT's cache. Text
    encoders run on every rank and the decoder on rank 0 alone, as in xDiT (Fang et al. 2024, section 4).

    Args:
        graph: a pipeline with a phase ``denoise`` and its number of ``tokens``.
        ulysses: ranks that exchange heads for tokens (Jacobs et al., DeepSpeed Ulysses, 2023).
        ring: ranks that pass keys and values around (Liu, Zaharia, Abbeel, Ring Attention, 2023).
        beside: whether keys and values travel while the ranks compute.

    Raises:
        InputError: not such a pipeline, or the ranks do not divide its tokens or heads.
    """
    for name, value in (("ulysses", ulysses), ("ring", ring)):
        if value < 1:
            raise InputError(f"parallel.{name}: write a whole number of at least 1, not {value}")
    ranks = ulysses * ring
    if ranks == 1:
        return graph
    if "tokens" not in graph.info or not any(phase.name == _DENOISE for phase in graph.phases):
        raise InputError(f"parallel: {graph.name} has no denoiser whose tokens could be divided; leave 'parallel' out")
    _check_divisible(graph, ulysses, ranks)
    done = _Pass(graph, ulysses, ring, beside=beside).run()
    spread = {_DENOISE: ranks, _DECODE: 1}
    return replace(done, phases=tuple(replace(p, ranks=spread.get(p.name, ranks)) for p in done.phases))


def _check_divisible(graph: Graph, ulysses: int, ranks: int) -> None:
    tokens = int(graph.info["tokens"])
    if tokens % ranks:
        raise InputError(f"parallel: {ranks} ranks do not divide the {tokens} tokens of {graph.name}")
    for phase in (p for p in graph.phases if p.name == _DENOISE):
        for node in graph.nodes[phase.first : phase.last]:
            if not isinstance(node.op, Attention):
                continue
            q, k = (graph.tensors[name].shape for name in node.inputs[:2])
            if q[2] == k[2] >= tokens and q[1] % ulysses:
                raise InputError(
                    f"parallel.ulysses: {ulysses} ranks do not divide the {q[1]} heads of {graph.name}; "
                    f"write a divisor of {q[1]} and use 'ring' for the rest"
                )


class _Pass:
    """The rewrite under way."""

    def __init__(self, graph: Graph, ulysses: int, ring: int, *, beside: bool) -> None:
        self.graph = graph
        self.beside = beside
        self.ulysses, self.ring = ulysses, ring
        self.to = Divided(graph, ulysses * ring)
        self.sizes: dict[int, Segments] = {}
        self.readers = users(graph)

    def run(self) -> Graph:
        for phase, indices in self.to.new.phases():
            self.to.begin()
            self.sizes = self._cut_sizes(phase) if phase.name == _DENOISE else {}
            if phase.name == _DENOISE:
                self._denoiser(phase)
            else:
                for index in indices:
                    self._node(self.graph.nodes[index])
            self._close(phase)
        return self.to.finish()

    def _denoiser(self, phase: Phase) -> None:
        """Add the nodes of the denoiser, those of a linear attention together where its last one stands."""
        found = list(linear_attentions(self.graph, phase, self.readers))
        inside: dict[int, LinearAttention] = {index: each for each in found for index in each.nodes}
        for index in range(phase.first, phase.last):
            attention = inside.get(index)
            if attention is None:
                self._node(self.graph.nodes[index])
            elif index == attention.last and not self._linear_attention(attention):
                for member in sorted(attention.nodes):
                    self._node(self.graph.nodes[member])

    def _linear_attention(self, attention: LinearAttention) -> bool:
        return divided_linear_attention(self.to, attention, self.ulysses, self.ring, beside=self.beside)

    def _cut_sizes(self, phase: Phase) -> dict[int, Segments]:
        """How numbers of tokens are cut where they first appear: the image's, and those of text that is cut too."""
        tokens = int(self.graph.info["tokens"])
        joined = {tokens, int(self.graph.info.get("divided_text_tokens", tokens))}
        for node in self.graph.nodes[phase.first : phase.last]:
            if isinstance(node.op, Concat):
                axis = node.op.axis % len(self._type(node.outputs[0]).shape)
                parts = [self._type(name).shape[axis] for name in node.inputs]
                joined |= {part for part in parts if tokens in parts}
        return {part: _cut(part, self.to.ranks) for part in sorted(joined) if part >= self.to.ranks}

    def _type(self, name: str) -> TensorType:
        return self.graph.tensors[name].type

    def _node(self, node: Node) -> None:
        held = [self.to.sharding(name) for name in node.inputs]
        if not any(held):
            self.to.keep(node)
            self._start(node)
            return
        if isinstance(node.op, Attention) and self._attention(node, node.op):
            return
        if isinstance(node.op, Conv2d) and self._convolution(node, node.op):
            return
        inputs = [self._type(name) for name in node.inputs]
        outputs = [self._type(name) for name in node.outputs]
        plan = planned(node.op, inputs, held, outputs, self.to.ranks)
        if plan is None:
            whole = [self.to.held_as(name, None, node) for name in node.inputs]
            self.to.put(node, node.op, whole, [None] * len(outputs))
            return
        needed = [self.to.held_as(name, need, node) for name, need in zip(node.inputs, plan.needs, strict=True)]
        if plan.partial:
            part = self.to.new.add(plan.op, needed, f"{node.name}.partial", node)
            self.to.put(node, AllReduce(self.to.ranks), [part], plan.outputs)
        else:
            self.to.put(node, plan.op, needed, plan.outputs)

    def _start(self, node: Node) -> None:
        """Cut tokens (batch, tokens, width) where they first appear."""
        for name in node.outputs:
            shape = self._type(name).shape
            if len(shape) == 3 and shape[1] in self.sizes:
                wanted = Sharding(1, self.sizes[shape[1]])
                self.to.put_as(self.to.held_as(name, wanted, node), name, wanted)

    def _attention(self, node: Node, op: Attention) -> bool:
        """Add attention whose queries are divided; False where it must run on the whole."""
        q, k, v = (self.to.sharding(name) for name in node.inputs)
        if q is None or q.axis != 2 or op.causal:
            return False
        if k is None and v is None:
            self.to.put(node, op, [self.to.tensor(name) for name in node.inputs], [q])
            return True
        if k is None or k != v or k.axis != q.axis:
            return False
        cached = self.graph.info.get("cached_keys", 0) > 0
        divided_attention(self.to, node, q, k, self.ulysses, self.ring, beside=self.beside, cached=cached)
        return True

    def _convolution(self, node: Node, op: Conv2d) -> bool:
        """Add a convolution that keeps the size of an image of which each rank has some rows."""
        s = self.to.sharding(node.inputs[0])
        reach = self._type(node.inputs[1]).shape[2] // 2
        same = op.stride == (1, 1) and op.dilation == (1, 1) and op.padding[0] == reach and len(op.padding) == 2
        if s is None or s.axis != 2 or len(s.segments) > 1 or not same or not reach:
            return False
        x = self.to.new.add(
            Halo(self.to.ranks, rows=reach), [self.to.tensor(node.inputs[0])], f"{node.name}.halo", node
        )
        weights = [self.to.tensor(name) for name in node.inputs[1:]]
        self.to.put(node, replace(op, padding=(0, op.padding[1])), [x, *weights], [s])
        return True

    def _close(self, phase: Phase) -> None:
        """Gather what is divided and outlives its phase."""
        later = {name for node in self.graph.nodes[phase.last :] for name in node.inputs} | set(self.graph.outputs)
        for node in self.graph.nodes[phase.first : phase.last]:
            for name in node.outputs:
                if name in later and self.to.sharding(name) is not None:
                    self.to.make_whole(name, self.graph.nodes[phase.last - 1])


def _cut(length: int, ranks: int) -> Segments:
    """As much of a length as the ranks divide, and what is left, whole.

    >>> _cut(333, 8), _cut(512, 8)
    (((328, True), (5, False)), ((512, True),))
    """
    left = length % ranks
    return ((length - left, True), (left, False)) if left else ((length, True),)
