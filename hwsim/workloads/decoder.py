"""Decoder-only language models: reading a prompt, and making tokens one by one with a KV cache.

One description (:class:`Decoder`) covers GPT-2 (learned positions, layer norm, plain MLP, tied embeddings) and the
Llama family (rotary positions, RMS norm, gated MLP, grouped queries). The phases of a run:

- ``prefill`` reads ``prompt`` tokens at once, behind ``past`` cached ones, and leaves their keys and values;
- ``decode`` makes one token when ``context`` tokens are cached, so it attends to context + 1;
- ``generate`` is a prefill, then ``tokens`` decode steps; the cache grows by one at each.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from hwsim.errors import InputError
from hwsim.graph.graph import Graph, GraphBuilder
from hwsim.graph.operator import Operator
from hwsim.graph.tensor import Tensor
from hwsim.operators.all_reduce import AllReduce
from hwsim.operators.append import Append
from hwsim.operators.attention import Attention
from hwsim.operators.embedding import Embedding
from hwsim.operators.gelu_mul import GeluMul
from hwsim.operators.layernorm import LayerNorm
from hwsim.operators.linear import Linear
from hwsim.operators.relu import Relu
from hwsim.operators.rmsnorm import RmsNorm
from hwsim.operators.rope import Rope
from hwsim.operators.silu_mul import SiluMul
from hwsim.operators.slice import Slice
from hwsim.operators.split import Split
from hwsim.operators.split_view import SplitView
from hwsim.workloads import layers
from hwsim.workloads.decoder_shape import Decoder, Logits, Run, RunPhase
from hwsim.workloads.latent import latent_attention, latent_weights
from hwsim.workloads.mixture import mixture, mixture_weights
from hwsim.workloads.state_space import state_space, state_space_weights

__all__ = ["Decoder", "Logits", "Run", "RunPhase", "decoder_graph"]

_Operands = tuple[Tensor, ...]
_HEAD_NORMS = ("q_norm", "k_norm")


@dataclass(frozen=True, slots=True)
class _Pass:
    """One use of the model on ``seq`` tokens a sequence, behind those in ``caches`` (if any)."""

    seq: int
    ids: Tensor
    positions: Tensor | None
    caches: tuple[_Operands, ...] = ()
    all_logits: bool = True
    kept: list[Tensor] = field(default_factory=list)


class _Model:
    """A decoder's weights, declared once and used by all phases."""

    def __init__(self, b: GraphBuilder, shape: Decoder) -> None:
        self.b = b
        self.shape = shape
        self.gate: Operator = SiluMul() if shape.gate == "silu" else GeluMul()
        self.split = SplitView if shape.joined else Split
        self.norm: Operator = RmsNorm() if shape.norm == "rms" else LayerNorm()
        self.embedding = b.weight("embedding.weight", (shape.vocab, shape.width))
        self.positions = b.weight("positions.weight", (shape.positions, shape.width)) if shape.positions else None
        names = [f"layers.{i}" for i in range(shape.layers)]
        if shape.layout:
            self.blocks = [self._declare_alone(*each) for each in zip(names, shape.layout, strict=True)]
        else:
            self.blocks = [self._declare_block(name, i) for i, name in enumerate(names)]
        self.final_norm = self._norm("norm")
        self.head = self.embedding if shape.tied else b.weight("head.weight", (shape.vocab, shape.width))

    def _declare_block(self, name: str, place: int) -> Mapping[str, _Operands]:
        s = self.shape
        with self.b.scope(name):
            found = {"norm1": self._norm("norm1")} | self._declare_attention()
            found["norm2"] = self._norm("norm2")
            if s.post_norm:
                found |= {key: self._norm(key) for key in ("post_norm1", "post_norm2")}
            if s.mixed(place):
                sizes = {"width": s.width, "hidden": s.hidden, "experts": s.experts, "spread": s.spread}
                found |= mixture_weights(self.b, **sizes)
            if s.mlp(place):
                found |= self._declare_mlp(s.mlp(place))
        return found

    def _declare_attention(self) -> dict[str, _Operands]:
        s = self.shape
        q, kv = s.heads * s.dim, s.kv_heads * s.dim
        qkv_bias = s.bias if s.qkv_bias is None else s.qkv_bias
        packs = {"qkv": q + 2 * kv} if s.packed or s.joined else {"q": q, "k": kv, "v": kv}
        found: dict[str, _Operands] = {}
        if s.latent is not None:
            found |= latent_weights(self.b, s.latent, width=s.width, heads=s.heads)
            packs, q = {}, s.heads * s.latent.value
        found |= {key: self._linear(key, size, s.width, qkv_bias) for key, size in packs.items()}
        if s.head_norm:
            found |= {key: layers.norm_weights(self.b, s.dim, shift=False, name=key) for key in _HEAD_NORMS}
        return found | {"out": self._linear("out", s.width, q, s.bias)}

    def _declare_alone(self, name: str, letter: str) -> Mapping[str, _Operands]:
        """A layer of a layout: what its letter stands for, without the rest of a block."""
        s = self.shape
        with self.b.scope(name):
            norm = {"norm1": self._norm("norm1")}
            if letter == "-":
                return norm | self._declare_mlp(s.hidden)
            if letter == "M":
                assert s.mixer is not None
                return norm | state_space_weights(self.b, s.mixer, width=s.width)
            return norm | self._declare_attention()

    def _declare_mlp(self, hidden: int) -> dict[str, _Operands]:
        s = self.shape
        names = (
            {"gate_up": 2 * hidden} if s.joined else {key: hidden for key in ("gate", "up") if s.gated or key == "up"}
        )
        found = {key: self._linear(key, size, s.width, s.bias) for key, size in names.items()}
        return found | {"down": self._linear("down", s.width, hidden, s.bias)}

    def _linear(self, name: str, n: int, k: int, bias: bool) -> _Operands:
        return layers.linear_weights(self.b, n, k, bias=bias, name=name)

    def _norm(self, name: str) -> _Operands:
        return layers.norm_weights(self.b, self.shape.width, shift=self.shape.norm == "layer", name=name)

    def run(self, use: _Pass) -> Tensor:
        """Logits (batch, seq or 1, vocab); keys and values of a pass without caches are left in ``use.kept``."""
        b = self.b
        x = self._summed(b.add(Embedding(), use.ids, self.embedding, name="embedding"), "embedding_sum")
        if self.positions is not None:
            assert use.positions is not None
            x = layers.add(b, x, b.add(Embedding(), use.positions, self.positions, name="positions"))
        for place, weights in enumerate(self.blocks):
            with b.scope(f"layers.{place}"):
                if self.shape.layout:
                    x = layers.add(b, x, self._alone(weights, x, use, place))
                    continue
                y = self._attention(weights, b.add(self.norm, x, *weights["norm1"], name="norm1"), use, place)
                x = layers.add(b, x, self._after(weights, y, "post_norm1"), name="add1")
                y = self._mlp(weights, b.add(self.norm, x, *weights["norm2"], name="norm2"), place)
                x = layers.add(b, x, self._after(weights, y, "post_norm2"), name="add2")
        x = b.add(self.norm, x, *self.final_norm, name="norm")
        if not use.all_logits and use.seq > 1:
            x = b.add(Slice(1, use.seq - 1, use.seq), x, name="last")
        return b.add(Linear(), x, self.head, name="head")

    def _alone(self, weights: Mapping[str, _Operands], x: Tensor, use: _Pass, place: int) -> Tensor:
        """What a layer of a layout adds."""
        x = self.b.add(self.norm, x, *weights["norm1"], name="norm1")
        letter = self.shape.layout[place]
        if letter == "-":
            return self._summed(self._dense(weights, x, self.shape.hidden), "down_sum")
        if letter == "*":
            return self._attention(weights, x, use, place)
        assert self.shape.mixer is not None
        y, kept = state_space(self.b, self.shape.mixer, weights, x, use.caches[place] if use.caches else ())
        use.kept.extend(kept)
        return self._summed(y, "mixer_sum")

    def _after(self, weights: Mapping[str, _Operands], y: Tensor, name: str) -> Tensor:
        return self.b.add(self.norm, y, *weights[name], name=name) if self.shape.post_norm else y

    def _attention(self, weights: Mapping[str, _Operands], x: Tensor, use: _Pass, place: int) -> Tensor:
        b, s = self.b, self.shape
        if s.latent is not None:
            cache = use.caches[place][0] if use.caches else None
            y, kept = latent_attention(
                b,
                s.latent,
                weights,
                x,
                heads=s.heads,
                rope=Rope(theta=s.theta),
                positions=use.positions,
                cache=cache,
            )
            use.kept.append(kept)
            return self._summed(b.add(Linear(), y, *weights["out"], name="out"), "out_sum")
        if s.packed or s.joined:
            sizes = (s.heads * s.dim, s.kv_heads * s.dim, s.kv_heads * s.dim)
            parts = b.add_all(self.split(-1, sizes), b.add(Linear(), x, *weights["qkv"], name="qkv"), name="split")
        else:
            parts = tuple(b.add(Linear(), x, *weights[key], name=key) for key in ("q", "k", "v"))
        q = layers.split_heads(b, parts[0], s.heads, name="q_heads")
        k = layers.split_heads(b, parts[1], s.kv_heads, name="k_heads")
        v = layers.split_heads(b, parts[2], s.kv_heads, name="v_heads")
        if s.head_norm:
            q, k = (
                b.add(RmsNorm(), q, *weights["q_norm"], name="q_norm"),
                b.add(RmsNorm(), k, *weights["k_norm"], name="k_norm"),
            )
        if s.rotary and not s.positions:
            turns = () if use.positions is None else (use.positions,)
            rope = Rope(theta=s.theta)
            q, k = b.add(rope, q, *turns, name="q_rope"), b.add(rope, k, *turns, name="k_rope")
        if use.caches:
            k = b.add(Append(2), use.caches[place][0], k, name="k_cache")
            v = b.add(Append(2), use.caches[place][1], v, name="v_cache")
        use.kept.extend((k, v))
        y = b.add(Attention(causal=not use.caches or use.seq > 1), q, k, v, name="attention")
        return self._summed(b.add(Linear(), layers.merge_heads(b, y), *weights["out"], name="out"), "out_sum")

    def _mlp(self, weights: Mapping[str, _Operands], x: Tensor, place: int) -> Tensor:
        s, parts = self.shape, []
        if s.mixed(place):
            parts.append(mixture(self.b, weights, x, chosen=s.chosen, spread=s.spread))
        if s.mlp(place):
            parts.append(self._dense(weights, x, s.mlp(place)))
        y = parts[0] if len(parts) == 1 else layers.add(self.b, parts[0], parts[1], name="experts_and_shared")
        return self._summed(y, "down_sum")

    def _dense(self, weights: Mapping[str, _Operands], x: Tensor, hidden: int) -> Tensor:
        b, s = self.b, self.shape
        if s.joined:
            both = b.add(Linear(), x, *weights["gate_up"], name="gate_up")
            y = b.add(self.gate, *b.add_all(self.split(-1, (hidden, hidden)), both, name="halves"))
        elif s.gated:
            up = b.add(Linear(), x, *weights["up"], name="up")
            y = b.add(self.gate, b.add(Linear(), x, *weights["gate"], name="gate"), up)
        elif s.act == "relu2":
            y = b.add(Relu(), b.add(Linear(), x, *weights["up"], name="up"), name="relu")
            y = layers.multiply(b, y, y, name="square")
        else:
            y = layers.activation(b, b.add(Linear(), x, *weights["up"], name="up"), s.act)
        return b.add(Linear(), y, *weights["down"], name="down")

    def _summed(self, x: Tensor, name: str) -> Tensor:
        """A rank's part of a sum, completed by the other ranks."""
        return x if self.shape.ranks == 1 else self.b.add(AllReduce(self.shape.ranks), x, name=name)


def decoder_graph(name: str, shape: Decoder, run: Run) -> Graph:
    """The graph of that run; raises InputError when the tokens exceed the learned positions."""
    read = run.past + run.prompt
    last = read + run.tokens if run.phase == "generate" else 1 + run.context if run.phase == "decode" else read
    if run.past and run.phase == "generate":
        raise InputError("parameter 'past' is for phase=prefill: a prompt read in pieces is one run a piece")
    if shape.positions and last > shape.positions:
        raise InputError(f"workload '{name}' has {shape.positions} positions, but this run needs {last}")
    b = GraphBuilder(name)
    model = _Model(b, shape)
    outputs: list[Tensor] = []
    if run.phase != "decode":
        b.phase("prefill")
        outputs += _prefill(b, model, run)
    if run.phase != "prefill":
        b.phase("decode", repeat=run.tokens if run.phase == "generate" else 1)
        outputs.append(_decode(b, model, run))
    made = {"prefill": run.prompt, "decode": 1, "generate": run.tokens}[run.phase]
    return b.build(outputs, items=run.batch * made, item="token", info=_info(run))


def _prefill(b: GraphBuilder, model: _Model, run: Run) -> list[Tensor]:
    """Logits and, if nothing follows, the keys and values that are kept."""
    caches = _caches(b, model, run.batch, run.past, ()) if run.past else ()
    with b.scope("prefill"):
        ids = b.input("prompt_ids", (run.batch, run.prompt), "int64")
        positions = b.input("prompt_positions", (1, run.prompt), "int64") if model.shape.positions else None
        use = _Pass(run.prompt, ids, positions, caches, all_logits=run.logits == "all")
        logits = model.run(use)
    return [logits, *use.kept] if run.phase == "prefill" else [logits]


def _decode(b: GraphBuilder, model: _Model, run: Run) -> Tensor:
    """Logits of one step; in a generation the caches grow by one token a repeat."""
    grows = run.phase == "generate"
    cached = run.past + run.prompt if grows else run.context
    caches = _caches(b, model, run.batch, cached, (0, 0, 1, 0) if grows else ())
    with b.scope("decode"):
        ids, positions = b.input("ids", (run.batch, 1), "int64"), b.input("positions", (1, 1), "int64")
        return model.run(_Pass(1, ids, positions, caches))


def _caches(b: GraphBuilder, model: _Model, batch: int, cached: int, step: tuple[int, ...]) -> tuple[_Operands, ...]:
    """What each layer keeps of earlier tokens: keys and values, latent vectors both grow from, or a state."""
    with b.scope("cache"):
        return tuple(_kept(b, model.shape, i, (batch, cached), step) for i in range(model.shape.layers))


def _kept(b: GraphBuilder, s: Decoder, place: int, sizes: tuple[int, int], step: tuple[int, ...]) -> _Operands:
    batch, cached = sizes
    name = f"layers.{place}"
    letter = s.layout[place] if s.layout else "*"
    if letter == "-":
        return ()
    if letter == "M":
        m = s.mixer
        assert m is not None
        window = b.state(f"{name}.conv", (batch, m.mixed, m.window - 1))
        return window, b.state(f"{name}.ssm", (batch, m.heads, m.dim, m.state), "fp32")
    if s.latent is not None:
        return (b.state(f"{name}.latent", (batch, 1, cached, s.latent.kept), step=step),)
    size = (batch, s.kv_heads, cached, s.dim)
    return b.state(f"{name}.k", size, step=step), b.state(f"{name}.v", size, step=step)


def _info(run: Run) -> dict[str, float]:
    """Tokens of each sequence by kind, for time to first token and tokens per second."""
    info: dict[str, float] = {"batch": run.batch}
    if run.phase == "decode":
        return info | {"context_tokens": run.context, "generated_tokens": 1}
    info["prompt_tokens"] = run.prompt
    return info | {"generated_tokens": run.tokens} if run.phase == "generate" else info
