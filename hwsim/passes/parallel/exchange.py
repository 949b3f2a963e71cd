"""Attention over tokens that are divided: heads for tokens (Ulysses), keys and values in a ring, or both.

Ranks are numbered ring x ulysses: ``ulysses`` neighbours exchange heads, ranks ``ulysses`` apart form a ring (Fang and
Zhao, USP: A Unified Sequence Parallelism Approach, 2024, section 3).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby

from hwsim.graph.graph import Node
from hwsim.graph.tensor import Tensor
from hwsim.operators.all_to_all import AllToAll
from hwsim.operators.attention_merge import AttentionMerge
from hwsim.operators.attention_part import AttentionPart
from hwsim.operators.cast import Cast
from hwsim.operators.concat import Concat
from hwsim.operators.logaddexp import LogAddExp
from hwsim.operators.pack_queries import PackQueries
from hwsim.operators.reshape import Reshape
from hwsim.operators.send import Send
from hwsim.operators.shard import Shard
from hwsim.operators.transpose import Transpose
from hwsim.passes.parallel.sharding import Divided, Sharding

__all__ = ["divided_attention"]

_Run = tuple[int, bool]
"""How many tokens a rank holds of a stretch of segments, and whether they are its part of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Setting:
    """What all steps of one attention share."""

    to: Divided
    node: Node
    ulysses: int
    ring: int
    beside: bool
    runs: tuple[_Run, ...]

    def add(self, op: object, inputs: list[Tensor], name: str) -> Tensor:
        return self.to.new.add(op, inputs, f"{self.node.name}.{name}", self.node)  # type: ignore[arg-type]

    def split(self, x: Tensor, lengths: list[int], name: str) -> list[Tensor]:
        return self.to.split(x, 2, lengths, f"{self.node.name}.{name}", self.node)

    def joined(self, parts: list[Tensor], name: str) -> Tensor:
        return parts[0] if len(parts) == 1 else self.add(Concat(2), parts, name)


def divided_attention(
    to: Divided,
    node: Node,
    queries: Sharding,
    keys: Sharding,
    ulysses: int,
    ring: int,
    *,
    beside: bool = True,
    cached: bool = False,
) -> None:
    """Add attention of q, k, v (batch, heads, seq, dim), divided along the sequence: queries so, keys and values so.

    What every rank holds whole of the queries is exchanged like their own parts, and so computed by each rank of a
    group; of keys and values only the heads are cut (xDiT, ``attn_layer.py``, joint tensors).
    ``beside``: keys and values of the ring travel while the ranks compute; ``cached``: they pass through a cache first.
    """
    lengths = zip(keys.lengths(to.ranks), keys.segments, strict=True)
    stretches = groupby(lengths, key=lambda pair: pair[1][1])
    runs = tuple((sum(length for length, _ in group), cut) for cut, group in stretches)
    at = _Setting(to=to, node=node, ulysses=ulysses, ring=ring, beside=beside, runs=runs)
    q = _heads_out(at, to.tensor(node.inputs[0]), "q", PackQueries)
    k, v = (_all_tokens(at, to.tensor(name), part) for name, part in zip(node.inputs[1:], "kv", strict=True))
    if cached:
        k, v = _cached(at, k, v)
    to.put_as(_heads_in(at, _in_ring(at, q, k, v), "out"), node.outputs[0], queries)


def _all_tokens(at: _Setting, x: Tensor, part: str) -> Tensor:
    """(batch, own heads, tokens of all ranks of the group, dim) from (batch, heads, own tokens, dim)."""
    lengths = [length for length, _ in at.runs]
    pieces = at.to.parts_of(x, 2, lengths) or at.split(x, lengths, part)
    spread = []
    for place, (piece, (_, cut)) in enumerate(zip(pieces, at.runs, strict=True)):
        name = f"{part}{place}"
        whole = piece if at.ulysses == 1 or cut else at.add(Shard(1, at.ulysses), [piece], f"{name}.heads")
        spread.append(_heads_out(at, piece, name) if cut else whole)
    return at.joined(spread, f"{part}.joined")


def _cached(at: _Setting, k: Tensor, v: Tensor) -> list[Tensor]:
    """Keys and values joined for xDiT's cache and copied out of it (``cache_manager.py``, ``ring_flash_attn.py``)."""
    dim = k.shape[-1]
    both = at.add(Concat(-1), [k, v], "kv.cached")
    return at.to.split(both, 3, [dim, dim], f"{at.node.name}.kv", at.node)


def _heads_out(at: _Setting, x: Tensor, name: str, pack: type[Transpose] = Transpose) -> Tensor:
    """Heads cut among the ranks of a group, tokens gathered from them: packed, exchanged, unpacked.

    A group of one packs and unpacks as well (yunchang, ``all_to_all.py``).
    """
    ranks, (batch, heads, tokens, dim) = at.ulysses, x.shape
    y = at.add(Reshape((batch, ranks, heads // ranks, tokens, dim)), [x], f"{name}.grouped")
    y = at.add(pack((1, 0, 2, 3, 4), copied=True), [y], f"{name}.packed")
    y = at.add(AllToAll(ranks), [y], f"{name}.exchange") if ranks > 1 else y
    y = at.add(Transpose((1, 2, 0, 3, 4), copied=True), [y], f"{name}.unpacked")
    return at.add(Reshape((batch, heads // ranks, ranks * tokens, dim)), [y], f"{name}.view")


def _heads_in(at: _Setting, y: Tensor, name: str) -> Tensor:
    ranks, (batch, heads, tokens, dim) = at.ulysses, y.shape
    x = at.add(Reshape((batch, heads, ranks, tokens // ranks, dim)), [y], f"{name}.grouped")
    x = at.add(Transpose((2, 0, 1, 3, 4), copied=True), [x], f"{name}.packed")
    x = at.add(AllToAll(ranks), [x], f"{name}.exchange") if ranks > 1 else x
    x = at.add(Transpose((1, 0, 2, 3, 4), copied=True), [x], f"{name}.unpacked")
    return at.add(Reshape((batch, ranks * heads, tokens // ranks, dim)), [x], f"{name}.view")


def _in_ring(at: _Setting, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Attention to one rank's keys after another, each sent on while it is used; results kept in fp32 and joined.

    What every rank holds whole is seen in the first step only. Source: Liu, Zaharia, Abbeel, 2023, section 3.
    """
    first = (k, v)
    moving = first if all(cut for _, cut in at.runs) else (_cut_only(at, k, "k"), _cut_only(at, v, "v"))
    y = total = None
    for step in range(at.ring):
        keys = moving if step else first
        if step + 1 < at.ring:
            send = Send(at.ring, at.ulysses, beside=at.beside)
            k_next = at.add(send, [moving[0]], f"k.send{step}")
            moving = (k_next, at.add(send, [moving[1]], f"v.send{step}"))
        names = [f"{at.node.name}.{part}{step}" for part in ("part", "sum")]
        part, here = at.to.new.add_all(AttentionPart(), [q, *keys], names, f"{at.node.name}.step{step}", at.node)
        if y is None or total is None:
            y, total = at.add(Cast("fp32"), [part], "wide"), at.add(Cast("fp32"), [here], "wide_sum")
            continue
        y = at.add(AttentionMerge(), [y, part, total, here], f"merged{step}")
        total = at.add(LogAddExp(), [total, here], f"total{step}")
    assert y is not None
    return at.add(Cast(q.type.format), [y], "narrow")


def _cut_only(at: _Setting, x: Tensor, part: str) -> Tensor:
    pieces = at.split(x, [length * (at.ulysses if cut else 1) for length, cut in at.runs], f"{part}.moving")
    return at.joined([p for p, (_, cut) in zip(pieces, at.runs, strict=True) if cut], f"{part}.ring")
