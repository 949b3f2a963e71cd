"""Further open-weight language models, found by name but not listed: one row of sizes each.

Shapes and counts are those of the released config.json and model cards of the makers, from memory, checked by the
counts of parameters. Windows of attention, soft caps and factors of embeddings are left out: none has products.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

from hwsim.workloads.decoder import Decoder
from hwsim.workloads.language_models import LEAST, Model, named
from hwsim.workloads.latent import Latent
from hwsim.workloads.registry import Published, Workload, define

__all__ = ["FAMILIES", "OPEN_MODELS", "OpenModels"]


def _plain(
    layers: int,
    width: int,
    heads: int,
    kv_heads: int,
    hidden: int,
    vocab: int,
    head_dim: int = 0,
    *,
    tied: bool = False,
) -> Decoder:
    """A shape of Llama's kind."""
    return Decoder(
        layers=layers,
        width=width,
        heads=heads,
        kv_heads=kv_heads,
        hidden=hidden,
        vocab=vocab,
        head_dim=head_dim,
        tied=tied,
    )


def _qwen2(
    layers: int, width: int, heads: int, kv_heads: int, hidden: int, vocab: int, *, tied: bool = False
) -> Decoder:
    return replace(_plain(layers, width, heads, kv_heads, hidden, vocab, tied=tied), qkv_bias=True, theta=1e6)


def _qwen3(layers: int, width: int, heads: int, hidden: int) -> Decoder:
    return replace(_plain(layers, width, heads, 8, hidden, 151_936, 128, tied=True), head_norm=True, theta=1e6)


def _gemma(
    layers: int, width: int, heads: int, kv_heads: int, hidden: int, vocab: int, head_dim: int, *, head_norm: bool
) -> Decoder:
    """Gemma 2 and 3: norms on both sides of attention and MLP."""
    shape = _plain(layers, width, heads, kv_heads, hidden, vocab, head_dim, tied=True)
    return replace(shape, post_norm=True, gate="gelu", head_norm=head_norm)


_GLM_AIR = replace(
    _plain(46, 4096, 96, 8, 1408, 151_552, 128),
    qkv_bias=True,
    experts=128,
    chosen=8,
    shared=1408,
    plain=1,
    between=10_944,
)
_KIMI_LATENT = Latent(query=1536, cached=512, plain=128, turned=64, value=128)
_ROWS: tuple[tuple[str, str, str, Decoder, float], ...] = (
    # name, title, source, shape, parameters
    ("llama_7b", "LLaMA 7B", "Touvron et al. 2023, Table 2", _plain(32, 4096, 32, 32, 11_008, 32_000), 6.738e9),
    ("llama_13b", "LLaMA 13B", "Touvron et al. 2023, Table 2", _plain(40, 5120, 40, 40, 13_824, 32_000), 13.016e9),
    ("llama_30b", "LLaMA 30B", "Touvron et al. 2023, Table 2", _plain(60, 6656, 52, 52, 17_920, 32_000), 32.529e9),
    ("llama_65b", "LLaMA 65B", "Touvron et al. 2023, Table 2", _plain(80, 8192, 64, 64, 22_016, 32_000), 65.286e9),
    ("codellama_34b", "Code Llama 34B", "Roziere et al. 2023", _plain(48, 8192, 64, 8, 22_016, 32_000), 33.74e9),
    ("qwen2_5_0_5b", "Qwen2.5 0.5B", "Qwen2.5 Report", _qwen2(24, 896, 14, 2, 4864, 151_936, tied=True), 0.494e9),
    ("qwen2_5_3b", "Qwen2.5 3B", "Qwen2.5 Report", _qwen2(36, 2048, 16, 2, 11_008, 151_936, tied=True), 3.086e9),
    ("qwen2_5_14b", "Qwen2.5 14B", "Qwen2.5 Report", _qwen2(48, 5120, 40, 8, 13_824, 152_064), 14.770e9),
    ("qwen2_5_32b", "Qwen2.5 32B", "Qwen2.5 Report", _qwen2(64, 5120, 40, 8, 27_648, 152_064), 32.764e9),
    ("qwen2_5_72b", "Qwen2.5 72B", "Qwen2.5 Report", _qwen2(80, 8192, 64, 8, 29_568, 152_064), 72.706e9),
    ("qwen3_0_6b", "Qwen3 0.6B", "Qwen3 Report, Table 1", _qwen3(28, 1024, 16, 3072), 0.596e9),
    ("qwen3_1_7b", "Qwen3 1.7B", "Qwen3 Report, Table 1", _qwen3(28, 2048, 16, 6144), 1.721e9),
    ("qwen3_4b", "Qwen3 4B", "Qwen3 Report, Table 1", _qwen3(36, 2560, 32, 9728), 4.022e9),
    ("gemma2_2b", "Gemma 2 2B", "Gemma 2", _gemma(26, 2304, 8, 4, 9216, 256_000, 256, head_norm=False), 2.614e9),
    ("gemma2_9b", "Gemma 2 9B", "Gemma 2", _gemma(42, 3584, 16, 8, 14_336, 256_000, 256, head_norm=False), 9.242e9),
    ("gemma2_27b", "Gemma 2 27B", "Gemma 2", _gemma(46, 4608, 32, 16, 36_864, 256_000, 128, head_norm=False), 27.227e9),
    ("gemma3_270m", "Gemma 3 270M", "Gemma 3", _gemma(18, 640, 4, 1, 2048, 262_144, 256, head_norm=True), 0.268e9),
    ("gemma3_1b", "Gemma 3 1B", "Gemma 3", _gemma(26, 1152, 4, 1, 6912, 262_144, 256, head_norm=True), 1.0e9),
    ("gemma3_4b", "Gemma 3 4B", "Gemma 3", _gemma(34, 2560, 8, 4, 10_240, 262_208, 256, head_norm=True), 3.880e9),
    ("phi3_medium", "Phi-3-medium", "Phi-3 Report", _plain(40, 5120, 40, 10, 17_920, 32_064), 13.960e9),
    ("phi4", "Phi-4", "Phi-4 Report", _plain(40, 5120, 40, 10, 17_920, 100_352), 14.66e9),
    ("phi4_mini", "Phi-4-mini", "Phi-4-Mini Report", _plain(32, 3072, 24, 8, 8192, 200_064, tied=True), 3.836e9),
    ("mistral_nemo_12b", "Mistral Nemo 12B", "Mistral AI", _plain(40, 5120, 32, 8, 14_336, 131_072, 128), 12.248e9),
    ("mistral_small_24b", "Mistral Small 24B", "Mistral AI", _plain(40, 5120, 32, 8, 32_768, 131_072, 128), 23.572e9),
    ("mistral_large_123b", "Mistral Large 2", "Mistral AI", _plain(88, 12_288, 96, 8, 28_672, 32_768), 122.610e9),
    ("ministral_8b", "Ministral 8B", "Mistral AI", _plain(36, 4096, 32, 8, 12_288, 131_072, 128), 8.020e9),
    ("solar_10_7b", "SOLAR 10.7B", "Kim et al. 2023, SOLAR", _plain(48, 4096, 32, 8, 14_336, 32_000), 10.732e9),
    ("yi_6b", "Yi 6B", "01.AI 2024, Yi, Table 1", _plain(32, 4096, 32, 4, 11_008, 64_000), 6.061e9),
    ("yi_34b", "Yi 34B", "01.AI 2024, Yi, Table 1", _plain(60, 7168, 56, 8, 20_480, 64_000), 34.389e9),
    ("smollm2_135m", "SmolLM2 135M", "Hugging Face", _plain(30, 576, 9, 3, 1536, 49_152, tied=True), 0.1345e9),
    ("smollm2_360m", "SmolLM2 360M", "Hugging Face", _plain(32, 960, 15, 5, 2560, 49_152, tied=True), 0.3618e9),
    ("smollm2_1_7b", "SmolLM2 1.7B", "Hugging Face", _plain(24, 2048, 32, 32, 8192, 49_152, tied=True), 1.711e9),
    ("granite3_1_8b", "Granite 3.1 8B", "IBM", _plain(40, 4096, 32, 8, 12_800, 49_155, tied=True), 8.171e9),
    ("falcon3_7b", "Falcon 3 7B", "TII", _plain(28, 3072, 12, 4, 23_040, 131_072, 256), 7.456e9),
    ("falcon3_10b", "Falcon 3 10B", "TII", _plain(40, 3072, 12, 4, 23_040, 131_072, 256), 10.306e9),
    ("internlm2_5_7b", "InternLM2.5 7B", "Shanghai AI Lab", _plain(32, 4096, 32, 8, 14_336, 92_544), 7.738e9),
    ("deepseek_67b", "DeepSeek LLM 67B", "DeepSeek LLM, Table 2", _plain(95, 8192, 64, 8, 22_016, 102_400), 67.425e9),
    (
        *("phi3_5_moe", "Phi-3.5-MoE", "Phi-3 Report"),
        replace(_plain(32, 4096, 32, 8, 6400, 32_064), experts=16, chosen=2),
        41.87e9,
    ),
    ("glm4_5_air", "GLM-4.5-Air", "GLM-4.5, Table 1", _GLM_AIR, 106.85e9),
    (
        *("glm4_5", "GLM-4.5", "GLM-4.5, Table 1"),
        replace(
            _GLM_AIR,
            layers=92, width=5120, hidden=1536, shared=1536, experts=160, plain=3, between=12_288, head_norm=True,
        ),
        352.8e9,
    ),
    (
        *("kimi_k2", "Kimi K2", "Kimi Team 2025, Kimi K2, Table 2"),
        replace(
            _plain(61, 7168, 64, 64, 2048, 163_840, 192),
            latent=_KIMI_LATENT, experts=384, chosen=8, shared=2048, plain=1, between=18_432,
        ),
        1_026e9,
    ),
    (
        *("minimax_m2", "MiniMax-M2", "MiniMax 2025, model card"),
        replace(_plain(62, 3072, 48, 8, 1536, 200_064, 128), experts=256, chosen=8),
        229e9,
    ),
)  # fmt: skip
OPEN_MODELS: Mapping[str, Model] = MappingProxyType(
    {
        name: (
            title,
            f"{source}; released config.json, from memory",
            shape,
            Published(parameters=int(parameters), tolerance=0.002, source="model card or count of the checkpoint"),
        )
        for name, title, source, shape, parameters in _ROWS
    }
)
"""Title, source, shape and published counts of each named model."""


@dataclass(frozen=True, slots=True)
class OpenModels:
    """The models of :data:`OPEN_MODELS` as a family: found by name."""

    name: str = "open models"
    title: str = "language model"
    source: str = "released config.json of the makers"
    examples: Sequence[str] = tuple(OPEN_MODELS)

    def entry(self, name: str) -> Workload | None:
        """The model of that name as a workload, or None if there is none."""
        if name not in OPEN_MODELS:
            return None
        title, source, shape, published = OPEN_MODELS[name]
        build = named(name, title, shape)
        return define(build, title=title, source=source, item="token", published=published, minimum=LEAST, maximum={})


FAMILIES = (OpenModels(),)
