"""GPT-2 (Radford et al. 2019, Language Models are Unsupervised Multitask Learners, Table 2)."""

from __future__ import annotations

from hwsim.graph.graph import Graph
from hwsim.workloads.decoder import Decoder, Logits, Run, RunPhase, decoder_graph
from hwsim.workloads.registry import Published, workload

__all__ = ["gpt2"]

_SMALL = Decoder(
    layers=12,
    width=768,
    heads=12,
    kv_heads=12,
    hidden=3072,
    vocab=50_257,
    gated=False,
    norm="layer",
    bias=True,
    packed=True,
    positions=1024,
    tied=True,
)


@workload(
    title="GPT-2 small",
    source="Radford et al. 2019, Language Models are Unsupervised Multitask Learners, Table 2; layers as released",
    item="token",
    published=Published(
        parameters=124_439_808,
        macs=145.82e9,
        at={"phase": "prefill", "prompt": 1024, "logits": "all"},
        source="operator counts of the transformers model at 1024 tokens, attention products in full",
    ),
)
def gpt2(
    *,
    batch: int = 1,
    phase: RunPhase = "generate",
    prompt: int = 512,
    context: int = 512,
    tokens: int = 128,
    logits: Logits = "last",
) -> Graph:
    """Language model of 12 layers with learned positions and tied embeddings.

    Args:
        batch: Sequences at once.
        phase: prefill (read the prompt), decode (one token), or generate (both, token by token).
        prompt: Tokens read in prefill and generate.
        context: Tokens already cached in decode.
        tokens: Tokens made in generate, one decode step each.
        logits: Whether prefill scores the vocabulary for the last token or for all.
    """
    run = Run(phase=phase, batch=batch, prompt=prompt, context=context, tokens=tokens, logits=logits)
    return decoder_graph("gpt2", _SMALL, run)
