"""Named language models as workloads: the parameters that all of them take."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from hwsim.graph.graph import Graph
from hwsim.workloads.decoder import Decoder, Logits, Run, RunPhase, decoder_graph
from hwsim.workloads.registry import Published, workload

__all__ = ["LEAST", "Model", "define_models", "named"]

Model = tuple[str, str, Decoder, Published | None]
"""Title, source, shape and published counts, if there are any."""
LEAST: Mapping[str, float] = MappingProxyType({"past": 0})
"""Smallest values of parameters that need not be positive."""
_ARGUMENTS = """
Args:
    batch: Sequences at once.
    phase: prefill (read the prompt), decode (one token), or generate (both, token by token).
    prompt: Tokens read in prefill and generate.
    context: Tokens already cached in decode.
    tokens: Tokens made in generate, one decode step each.
    logits: Whether prefill scores the vocabulary for the last token or for all.
    past: Tokens already cached when a prefill begins, where a prompt is read in pieces.
"""


def define_models(module: str, models: Mapping[str, Model], kind: str = "") -> None:
    """Enter language models of a module as workloads; ``kind`` follows their title in the first line of their doc."""
    for name, (title, source, shape, published) in models.items():
        build = named(name, title, shape, kind)
        build.__module__ = module
        workload(title=title, source=source, item="token", published=published, minimum=LEAST)(build)


def named(name: str, title: str, shape: Decoder, kind: str = "") -> Callable[..., Graph]:
    """The function behind a named model."""

    def build(
        *,
        batch: int = 1,
        phase: RunPhase = "generate",
        prompt: int = 512,
        context: int = 512,
        tokens: int = 128,
        logits: Logits = "last",
        past: int = 0,
    ) -> Graph:
        run = Run(phase=phase, batch=batch, prompt=prompt, context=context, tokens=tokens, logits=logits, past=past)
        return decoder_graph(name, shape, run)

    build.__name__ = name
    build.__doc__ = f"Language model {title}{kind}.\n{_ARGUMENTS}"
    return build
