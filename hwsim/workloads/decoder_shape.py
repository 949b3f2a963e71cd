"""The shape of a decoder-only language model, and what is asked of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from hwsim.errors import InputError
from hwsim.workloads.latent import Latent
from hwsim.workloads.state_space import StateSpace

__all__ = ["Decoder", "Logits", "Run", "RunPhase"]

RunPhase = Literal["prefill", "decode", "generate"]
Logits = Literal["last", "all"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Decoder:
    """Shape of a decoder-only model.

    ``positions`` is the number of learned position embeddings (0: rotary). ``packed`` computes q, k and v in one
    product; ``joined`` both that and gate and up, their pieces read where they lie, as serving engines do. ``act`` is
    the activation of a plain MLP. ``qkv_bias`` follows ``bias`` unless given; ``head_dim`` is width / heads unless
    given. ``head_norm`` norms each head of q and k before it is rotated, ``post_norm`` what attention and MLP give
    before it is added, ``gate`` is the activation of a gated MLP. ``ranks``: how many devices hold a share of
    each layer, of which this shape is one (see :meth:`divided`).

    With ``experts``, each token's MLP is that of ``chosen`` experts of ``hidden`` features, by a router's scores, and
    of one of ``shared`` features that all tokens have; ``spread``: how many devices hold ``experts`` each. Where
    ``between`` is given, every other layer, the first to begin with, has a plain MLP of so many features instead; or,
    where ``plain`` is, the first so many layers. ``latent``: attention by cached latent vectors, its sizes.

    With a ``layout``, each layer is one thing alone: attention (``*``), an MLP (``-``) or a state-space layer (``M``)
    of the sizes ``mixer``. ``rotary``: whether positions turn queries and keys.
    """

    layers: int
    width: int
    heads: int
    kv_heads: int
    hidden: int
    vocab: int
    head_dim: int = 0
    gated: bool = True
    norm: Literal["rms", "layer"] = "rms"
    bias: bool = False
    qkv_bias: bool | None = None
    packed: bool = False
    joined: bool = False
    head_norm: bool = False
    post_norm: bool = False
    gate: Literal["silu", "gelu"] = "silu"
    positions: int = 0
    theta: float = 10000.0
    tied: bool = False
    act: str = "gelu_new"
    ranks: int = 1
    experts: int = 0
    chosen: int = 0
    shared: int = 0
    spread: int = 1
    between: int = 0
    plain: int = 0
    latent: Latent | None = None
    layout: str = ""
    mixer: StateSpace | None = None
    rotary: bool = True

    def __post_init__(self) -> None:
        if not self.head_dim and self.width % self.heads:
            raise InputError(f"parameter 'heads' must divide 'width' {self.width}, which {self.heads} does not")
        if self.layout and len(self.layout) != self.layers:
            raise InputError(f"a layout of {len(self.layout)} letters for {self.layers} layers")
        if self.heads % self.kv_heads:
            raise InputError(f"parameter 'kv_heads' must divide 'heads' {self.heads}, which {self.kv_heads} does not")

    @property
    def dim(self) -> int:
        """Features of one head."""
        return self.head_dim or self.width // self.heads

    def mixed(self, place: int) -> bool:
        """Whether the layer at that place has experts."""
        if self.plain:
            return self.experts > 0 and place >= self.plain
        return self.experts > 0 and (not self.between or place % 2 == 1)

    @property
    def kept(self) -> int:
        """Elements that a token leaves in the caches of all layers."""
        attending = self.layout.count("*") if self.layout else self.layers
        return attending * (2 * self.kv_heads * self.dim if self.latent is None else self.latent.kept)

    def mlp(self, place: int) -> int:
        """Hidden features of the MLP that all tokens have in the layer at that place (0: experts alone)."""
        return self.shared if self.mixed(place) else self.between or self.hidden

    def divided(self, ranks: int) -> Decoder:
        """One rank's share under tensor parallelism: heads, hidden features and vocabulary divided, sums exchanged.

        Shoeybi et al., "Megatron-LM: Training Multi-Billion Parameter Language Models Using Model Parallelism", 2019,
        section 3: an all-reduce behind the embedding, attention and MLP; each rank scores its part of the vocabulary.
        Fewer heads of keys than ranks are copied.

        Raises:
            InputError: heads or hidden features cannot be divided so.
        """
        if self.heads % ranks or self.hidden % ranks:
            raise InputError(f"{self.heads} heads and {self.hidden} hidden features cannot be divided among {ranks}")
        return replace(
            self,
            heads=self.heads // ranks,
            kv_heads=max(1, self.kv_heads // ranks),
            hidden=self.hidden // ranks,
            shared=self.shared // ranks,
            between=self.between // ranks,
            vocab=-(-self.vocab // ranks),
            head_dim=self.dim,
            mixer=self.mixer
            and replace(self.mixer, heads=self.mixer.heads // ranks, groups=max(1, self.mixer.groups // ranks)),
            ranks=self.ranks * ranks,
        )

    def spread_over(self, ranks: int) -> Decoder:
        """One rank's share under expert parallelism: its experts, and all of what else there is, for its requests.

        Lepikhin et al., "GShard", 2020, section 3: tokens go to the ranks of their experts and come back.

        Raises:
            InputError: experts cannot be divided so.
        """
        if self.experts % ranks:
            raise InputError(f"{self.experts} experts cannot be divided among {ranks}")
        return replace(self, experts=self.experts // ranks, spread=self.spread * ranks)


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What is asked of a model; ``logits`` says for which tokens of the prompt the vocabulary is scored.

    ``past``: tokens that are cached when a prefill begins, where a prompt is read in pieces.
    """

    phase: RunPhase
    batch: int
    prompt: int
    context: int
    tokens: int
    logits: Logits
    past: int = 0
