"""Llama and models of its family: rotary positions, RMS norm, gated MLP, grouped queries."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

from hwsim.graph.graph import Graph
from hwsim.workloads.decoder import Decoder, Logits, Run, RunPhase, decoder_graph
from hwsim.workloads.language_models import LEAST, Model, define_models
from hwsim.workloads.registry import Published, Value, workload

__all__ = ["MODELS", "llm"]

_AT_2048: Mapping[str, Value] = {"phase": "prefill", "prompt": 2048, "logits": "all"}
_COUNTED = "operator counts of the transformers model at 2048 tokens, attention products in full"
_CARD = "parameters of the released checkpoint"

_QWEN3_8B = Decoder(
    layers=36,
    width=4096,
    heads=32,
    kv_heads=8,
    hidden=12_288,
    vocab=151_936,
    head_dim=128,
    head_norm=True,
    theta=1e6,
)
_QWEN3 = "Qwen Team 2025, Qwen3 Technical Report, Table 1; released config.json"
_GEMMA = "Gemma Team 2025, Gemma 3 Technical Report, Table 1; released config.json (without its attention window)"
_GEMMA3_12B = Decoder(
    layers=48,
    width=3840,
    heads=16,
    kv_heads=8,
    hidden=15_360,
    vocab=262_208,
    head_dim=256,
    head_norm=True,
    post_norm=True,
    gate="gelu",
    tied=True,
    theta=1e6,
)
_LLAMA3_8B = Decoder(layers=32, width=4096, heads=32, kv_heads=8, hidden=14_336, vocab=128_256, theta=500_000.0)

MODELS: Mapping[str, Model] = MappingProxyType(
    {
        "llama2_7b": (
            "Llama 2 7B",
            "Touvron et al. 2023, Llama 2: Open Foundation and Fine-Tuned Chat Models; released config.json",
            Decoder(layers=32, width=4096, heads=32, kv_heads=32, hidden=11_008, vocab=32_000),
            Published(parameters=6_738_415_616, macs=14_630.8e9, at=_AT_2048, source=_COUNTED),
        ),
        "llama2_13b": (
            "Llama 2 13B",
            "Touvron et al. 2023, Llama 2: Open Foundation and Fine-Tuned Chat Models; released config.json",
            Decoder(layers=40, width=5120, heads=40, kv_heads=40, hidden=13_824, vocab=32_000),
            Published(parameters=13_015_864_320, source=_CARD),
        ),
        "llama2_70b": (
            "Llama 2 70B",
            "Touvron et al. 2023, Llama 2: Open Foundation and Fine-Tuned Chat Models; released config.json",
            Decoder(layers=80, width=8192, heads=64, kv_heads=8, hidden=28_672, vocab=32_000),
            Published(parameters=68_976_648_192, source=_CARD),
        ),
        "llama3_8b": (
            "Llama 3 8B",
            "Grattafiori et al. 2024, The Llama 3 Herd of Models, Table 3; released config.json",
            _LLAMA3_8B,
            Published(parameters=8_030_261_248, macs=16_469.1e9, at=_AT_2048, source=_COUNTED),
        ),
        "llama3_70b": (
            "Llama 3 70B",
            "Grattafiori et al. 2024, The Llama 3 Herd of Models, Table 3; released config.json",
            replace(_LLAMA3_8B, layers=80, width=8192, heads=64, hidden=28_672),
            Published(parameters=70_553_706_496, source=_CARD),
        ),
        "llama3_405b": (
            "Llama 3.1 405B",
            "Grattafiori et al. 2024, The Llama 3 Herd of Models, Table 3; released config.json",
            replace(_LLAMA3_8B, layers=126, width=16_384, heads=128, hidden=53_248),
            Published(parameters=405_853_388_800, source=_CARD),
        ),
        "llama3_2_1b": (
            "Llama 3.2 1B",
            "Meta 2024, Llama 3.2 model card; released config.json",
            replace(_LLAMA3_8B, layers=16, width=2048, hidden=8192, tied=True),
            Published(parameters=1_235_814_400, source=_CARD),
        ),
        "llama3_2_3b": (
            "Llama 3.2 3B",
            "Meta 2024, Llama 3.2 model card; released config.json",
            replace(_LLAMA3_8B, layers=28, width=3072, heads=24, hidden=8192, tied=True),
            Published(parameters=3_212_749_824, source=_CARD),
        ),
        "mistral_7b": (
            "Mistral 7B v0.3",
            "Jiang et al. 2023, Mistral 7B, Table 1; config.json of version 0.3 (without its attention window)",
            replace(_LLAMA3_8B, vocab=32_768, theta=1_000_000.0),
            Published(parameters=7_248_023_552, source=_CARD),
        ),
        "phi3_5_mini": (
            "Phi-3.5-mini",
            "Abdin et al. 2024, Phi-3 Technical Report, section 2; released config.json",
            Decoder(layers=32, width=3072, heads=32, kv_heads=32, hidden=8192, vocab=32_064),
            Published(parameters=3_821_079_552, source=_CARD),
        ),
        "qwen2_5_1_5b": (
            "Qwen2.5 1.5B",
            "Qwen Team 2024, Qwen2.5 Technical Report, Table 1; released config.json",
            Decoder(
                layers=28,
                width=1536,
                heads=12,
                kv_heads=2,
                hidden=8960,
                vocab=151_936,
                qkv_bias=True,
                tied=True,
                theta=1e6,
            ),
            Published(parameters=1_543_714_304, source=_CARD),
        ),
        "qwen2_5_7b": (
            "Qwen2.5 7B",
            "Qwen Team 2024, Qwen2.5 Technical Report, Table 1; released config.json",
            Decoder(
                layers=28, width=3584, heads=28, kv_heads=4, hidden=18_944, vocab=152_064, qkv_bias=True, theta=1e6
            ),
            Published(parameters=7_615_616_512, source=_CARD),
        ),
        "qwen3_8b": ("Qwen3 8B", _QWEN3, _QWEN3_8B, Published(parameters=8_190_735_360, source=_CARD)),
        "qwen3_14b": (
            "Qwen3 14B",
            _QWEN3,
            replace(_QWEN3_8B, layers=40, width=5120, heads=40, hidden=17_408),
            Published(parameters=14_768_307_200, source=_CARD),
        ),
        "qwen3_32b": (
            "Qwen3 32B",
            _QWEN3,
            replace(_QWEN3_8B, layers=64, width=5120, heads=64, hidden=25_600),
            Published(parameters=32_762_123_264, source=_CARD),
        ),
        "gemma3_12b": (
            "Gemma 3 12B",
            _GEMMA,
            _GEMMA3_12B,
            Published(parameters=11_771_000_000, source="Table 1 of the report, without the vision encoder"),
        ),
        "gemma3_27b": (
            "Gemma 3 27B",
            _GEMMA,
            replace(_GEMMA3_12B, layers=62, width=5376, heads=32, kv_heads=16, hidden=21_504, head_dim=128),
            Published(parameters=27_016_000_000, source="Table 1 of the report, without the vision encoder"),
        ),
        "tinyllama_1_1b": (
            "TinyLlama 1.1B",
            "Zhang et al. 2024, TinyLlama: An Open-Source Small Language Model, Table 1",
            Decoder(layers=22, width=2048, heads=32, kv_heads=4, hidden=5632, vocab=32_000),
            Published(parameters=1_100_048_384, source=_CARD),
        ),
    }
)
"""Title, source, shape and published counts of each named model."""

define_models(__name__, MODELS)


@workload(
    title="Llama-like language model of any size",
    source="Touvron et al. 2023, LLaMA: Open and Efficient Foundation Language Models, section 2",
    item="token",
    minimum=LEAST,
    maximum={"layers": 10_000},
)
def llm(
    *,
    batch: int = 1,
    phase: RunPhase = "generate",
    prompt: int = 512,
    context: int = 512,
    tokens: int = 128,
    logits: Logits = "last",
    past: int = 0,
    layers: int = 32,
    width: int = 4096,
    heads: int = 32,
    kv_heads: int = 8,
    hidden: int = 14_336,
    vocab: int = 128_256,
    qkv_bias: bool = False,
    tied: bool = False,
) -> Graph:
    """Decoder with rotary positions, RMS norm, gated MLP and grouped queries; the defaults are Llama 3 8B.

    Args:
        batch: Sequences at once.
        phase: prefill (read the prompt), decode (one token), or generate (both, token by token).
        prompt: Tokens read in prefill and generate.
        context: Tokens already cached in decode.
        tokens: Tokens made in generate, one decode step each.
        logits: Whether prefill scores the vocabulary for the last token or for all.
        past: Tokens already cached when a prefill begins, where a prompt is read in pieces.
        layers: Decoder layers.
        width: Features of a token.
        heads: Query heads, a divisor of width.
        kv_heads: Heads of keys and values, a divisor of heads.
        hidden: Features inside the MLP.
        vocab: Tokens of the vocabulary.
        qkv_bias: Whether the projections to q, k and v have a bias.
        tied: Whether the last layer shares the embedding's weights.
    """
    shape = Decoder(
        layers=layers,
        width=width,
        heads=heads,
        kv_heads=kv_heads,
        hidden=hidden,
        vocab=vocab,
        qkv_bias=qkv_bias,
        tied=tied,
    )
    run = Run(phase=phase, batch=batch, prompt=prompt, context=context, tokens=tokens, logits=logits, past=past)
    return decoder_graph("llm", shape, run)
