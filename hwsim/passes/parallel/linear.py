"""Linear attention over tokens that are divided: heads for tokens, then keys and values in a ring, as in xDiT.

A sum over tokens could be completed by an all-reduce of a few numbers a head. Frameworks treat linear attention as they
treat the other kind, though: queries, keys, values and results are exchanged for heads, and keys and values go round a
ring, at each step of which they are multiplied with each other and with the queries (xDiT, ``ring_flash_attn.py``, its
function for Sana).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from hwsim.graph.graph import Graph, Node, Phase
from hwsim.graph.operator import Operator
from hwsim.graph.tensor import Tensor
from hwsim.operators.add import Add
from hwsim.operators.all_to_all import AllToAll
from hwsim.operators.cast import Cast
from hwsim.operators.div import Div
from hwsim.operators.matmul import Matmul
from hwsim.operators.pack_queries import PackQueries
from hwsim.operators.pad import Pad
from hwsim.operators.relu import Relu
from hwsim.operators.reshape import Reshape
from hwsim.operators.send import Send
from hwsim.operators.slice import Slice
from hwsim.operators.transpose import Transpose
from hwsim.passes.parallel.sharding import Divided

__all__ = ["LinearAttention", "divided_linear_attention", "linear_attentions"]

_BEFORE = (Cast, Relu, Pad)
_AFTER = (Slice, Div, Cast)


@dataclass(frozen=True, slots=True, kw_only=True)
class LinearAttention:
    """(v k^T) q of tensors (batch, heads, dim, tokens), with what is done to each before and to the result after.

    ``sources``: tensors q, k and v start from; ``before``: nodes from there to the products; ``result``: what leaves.
    """

    nodes: frozenset[int]
    last: int
    sources: tuple[str, str, str]
    before: tuple[tuple[Node, ...], tuple[Node, ...], tuple[Node, ...]]
    sums: Node
    product: Node
    after: tuple[Node, ...]
    result: str


def linear_attentions(graph: Graph, phase: Phase, readers: Mapping[str, Sequence[int]]) -> Iterator[LinearAttention]:
    """Every linear attention of a phase; ``readers``: indices of the nodes that read each tensor."""
    for index in range(phase.first, phase.last):
        sums = graph.nodes[index]
        used = readers.get(sums.outputs[0], ())
        if not isinstance(sums.op, Matmul) or not sums.op.transpose_b or len(used) != 1 or used[0] < 0:
            continue
        product = graph.nodes[used[0]]
        if not isinstance(product.op, Matmul) or product.op.transpose_b or product.inputs[0] != sums.outputs[0]:
            continue
        found = _around(graph, index, used[0], readers)
        if found is not None:
            yield found


def _around(graph: Graph, sums: int, product: int, readers: Mapping[str, Sequence[int]]) -> LinearAttention | None:
    """The attention around its two products; None where it is not of that form."""
    v, k = graph.nodes[sums].inputs
    q = graph.nodes[product].inputs[1]
    members = {sums, product}
    sources, before = [], []
    for name in (q, k, v):
        source, chain = _chain(graph, name, readers)
        sources.append(source)
        before.append(tuple(graph.nodes[i] for i in chain))
        members.update(chain)
    made, after = {graph.nodes[product].outputs[0]}, []
    for index in range(product + 1, min(product + 8, len(graph.nodes))):
        node = graph.nodes[index]
        if isinstance(node.op, _AFTER) and all(name in made for name in node.inputs):
            made.update(node.outputs)
            after.append(index)
    members.update(after)
    leaving = [name for name in made if any(i not in members for i in readers.get(name, ()))]
    if len(leaving) != 1 or len({graph.tensors[name].shape for name in (*sources, leaving[0])}) != 1:
        return None
    return LinearAttention(
        nodes=frozenset(members),
        last=max(members),
        sources=(sources[0], sources[1], sources[2]),
        before=(before[0], before[1], before[2]),
        sums=graph.nodes[sums],
        product=graph.nodes[product],
        after=tuple(graph.nodes[i] for i in after),
        result=leaving[0],
    )


def _chain(graph: Graph, name: str, readers: Mapping[str, Sequence[int]]) -> tuple[str, list[int]]:
    """The tensor from which casts, ReLUs and pads lead to one that nobody else reads, and those nodes in order."""
    chain: list[int] = []
    while len(readers.get(name, ())) == 1 and name in graph.producer:
        index = graph.producer[name]
        if not isinstance(graph.nodes[index].op, _BEFORE):
            break
        chain.insert(0, index)
        name = graph.nodes[index].inputs[0]
    return name, chain


def divided_linear_attention(to: Divided, at: LinearAttention, ulysses: int, ring: int, *, beside: bool) -> bool:
    """Add the attention of tensors divided along the tokens; False where it must be done in another way.

    ``beside``: keys and values of the ring travel while the ranks compute.
    """
    shardings = {to.sharding(name) for name in at.sources}
    sharding = shardings.pop()
    heads, tokens = to.tensor(at.sources[0]).shape[1], 3
    if shardings or sharding is None or sharding.axis != tokens or len(sharding.segments) > 1 or heads % ulysses:
        return False
    q, k, v = (
        _all_tokens(to, to.tensor(name), ulysses, at.sums, part) for name, part in zip(at.sources, "qkv", strict=True)
    )
    q = _applied(to, q, at.before[0], "")
    (k_first, k_then), (v_first, v_then) = (_at_cast(chain) for chain in at.before[1:])
    k, v = _applied(to, k, k_first, ""), _applied(to, v, v_first, "")
    y: Tensor | None = None
    for step in range(ring):
        here = (k, v)
        if step + 1 < ring:
            send = Send(ring, ulysses, beside=beside)
            k, v = (to.new.add(send, [x], f"{at.sums.name}.{p}_send{step}", at.sums) for x, p in ((k, "k"), (v, "v")))
        keys, values = _applied(to, here[0], k_then, f"{step}"), _applied(to, here[1], v_then, f"{step}")
        mixed = to.new.add(at.sums.op, [values, keys], f"{at.sums.name}.step{step}", at.sums)
        part = to.new.add(at.product.op, [mixed, q], f"{at.product.name}.step{step}", at.product)
        y = part if y is None else to.new.add(Add(), [y, part], f"{at.product.name}.sum{step}", at.product)
    assert y is not None
    known = {at.product.outputs[0]: y}
    for node in at.after:
        inputs = [known[name] for name in node.inputs]
        known[node.outputs[0]] = to.new.add(_resolved(to, node), inputs, f"{node.name}.local", node)
    to.put_as(_all_heads(to, known[at.result], ulysses, at.product), at.result, sharding)
    return True


def _applied(to: Divided, x: Tensor, chain: Sequence[Node], label: str) -> Tensor:
    for node in chain:
        x = to.new.add(_resolved(to, node), [x], f"{node.name}.local{label}", node)
    return x


def _resolved(to: Divided, node: Node) -> Operator:
    """The operator, a cast to the format that its result has in the old graph."""
    if not isinstance(node.op, Cast):
        return node.op
    return replace(node.op, format=to.new.graph.tensors[node.outputs[0]].type.format)


def _at_cast(chain: Sequence[Node]) -> tuple[Sequence[Node], Sequence[Node]]:
    """What is done before the first cast, as it is the narrow tensor that travels, and the rest."""
    place = next((i for i, node in enumerate(chain) if isinstance(node.op, Cast)), len(chain))
    return chain[:place], chain[place:]


def _all_tokens(to: Divided, x: Tensor, ranks: int, like: Node, part: str) -> Tensor:
    """(batch, own heads, dim, tokens of the group) from (batch, heads, dim, own tokens)."""
    name, (batch, heads, dim, tokens) = f"{like.name}.{part}", x.shape
    y = to.new.add(Reshape((batch, ranks, heads // ranks, dim, tokens)), [x], f"{name}.grouped", like)
    pack = PackQueries if part == "q" else Transpose
    y = to.new.add(pack((1, 0, 2, 3, 4), copied=True), [y], f"{name}.packed", like)
    y = to.new.add(AllToAll(ranks), [y], f"{name}.exchange", like) if ranks > 1 else y
    y = to.new.add(Transpose((1, 2, 3, 0, 4), copied=True), [y], f"{name}.unpacked", like)
    return to.new.add(Reshape((batch, heads // ranks, dim, ranks * tokens)), [y], f"{name}.view", like)


def _all_heads(to: Divided, y: Tensor, ranks: int, like: Node) -> Tensor:
    """The reverse: (batch, heads, dim, own tokens)."""
    name, (batch, heads, dim, tokens) = f"{like.name}.out", y.shape
    x = to.new.add(Reshape((batch, heads, dim, ranks, tokens // ranks)), [y], f"{name}.grouped", like)
    x = to.new.add(Transpose((3, 0, 1, 2, 4), copied=True), [x], f"{name}.packed", like)
    x = to.new.add(AllToAll(ranks), [x], f"{name}.exchange", like) if ranks > 1 else x
    x = to.new.add(Transpose((1, 0, 2, 3, 4), copied=True), [x], f"{name}.unpacked", like)
    return to.new.add(Reshape((batch, ranks * heads, dim, tokens // ranks)), [x], f"{name}.view", like)
