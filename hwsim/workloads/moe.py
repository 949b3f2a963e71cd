"""Language models whose MLPs are mixtures of experts: DeepSeek-V3, Mixtral, Qwen3, Llama 4, gpt-oss."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

from hwsim.workloads.decoder import Decoder
from hwsim.workloads.language_models import Model, define_models
from hwsim.workloads.latent import Latent
from hwsim.workloads.registry import Published

__all__ = ["MIXTURES"]

_QWEN3_30B = Decoder(
    layers=48,
    width=2048,
    heads=32,
    kv_heads=4,
    hidden=768,
    vocab=151_936,
    head_dim=128,
    head_norm=True,
    theta=1e6,
    experts=128,
    chosen=8,
)
_QWEN3 = "Qwen Team 2025, Qwen3 Technical Report, Table 2; released config.json"
_LLAMA4 = "Meta 2025, Llama 4 model card; released config.json (the text model; attention in pieces not modelled)"
_SCOUT = Decoder(
    layers=48,
    width=5120,
    heads=40,
    kv_heads=8,
    hidden=8192,
    vocab=202_048,
    head_dim=128,
    theta=500_000.0,
    experts=16,
    chosen=1,
    shared=8192,
)
_CHECKPOINT = "parameters of the released checkpoint"
_MIXTRAL = Decoder(
    layers=32, width=4096, heads=32, kv_heads=8, hidden=14_336, vocab=32_000, theta=1e6, experts=8, chosen=2
)
_GPT_OSS_20B = Decoder(
    layers=24,
    width=2880,
    heads=64,
    kv_heads=8,
    hidden=2880,
    vocab=201_088,
    head_dim=64,
    qkv_bias=True,
    theta=150_000.0,
    experts=32,
    chosen=4,
)
_GPT_OSS = "OpenAI 2025, gpt-oss-120b and gpt-oss-20b model card, Table 1 (windows and biases of experts left out)"

MIXTURES: Mapping[str, Model] = MappingProxyType(
    {
        "qwen3_30b_a3b": (
            "Qwen3 30B-A3B",
            _QWEN3,
            _QWEN3_30B,
            Published(parameters=30_532_122_624, source=_CHECKPOINT),
        ),
        "qwen3_235b_a22b": (
            "Qwen3 235B-A22B",
            _QWEN3,
            replace(_QWEN3_30B, layers=94, width=4096, heads=64, hidden=1536),
            Published(parameters=235_093_634_560, source=_CHECKPOINT),
        ),
        "qwen3_coder_480b_a35b": (
            "Qwen3-Coder 480B-A35B",
            "Qwen Team 2025, model card of Qwen3-Coder-480B-A35B-Instruct; released config.json",
            replace(_QWEN3_30B, layers=62, width=6144, heads=96, kv_heads=8, hidden=2560, experts=160),
            Published(parameters=480_000_000_000, source="model card: 480B", tolerance=0.005),
        ),
        "deepseek_v3": (
            "DeepSeek-V3",
            "DeepSeek-AI 2024, DeepSeek-V3 Technical Report, section 4.2 (without the layer that predicts two tokens)",
            Decoder(
                layers=61,
                width=7168,
                heads=128,
                kv_heads=128,
                hidden=2048,
                vocab=129_280,
                head_dim=192,
                latent=Latent(query=1536, cached=512, plain=128, turned=64, value=128),
                experts=256,
                chosen=8,
                shared=2048,
                plain=3,
                between=18_432,
            ),
            Published(parameters=671_026_404_352, source=_CHECKPOINT),
        ),
        "mixtral_8x7b": (
            "Mixtral 8x7B",
            "Jiang et al. 2024, Mixtral of Experts, Table 1",
            _MIXTRAL,
            Published(parameters=46_702_792_704, source=_CHECKPOINT),
        ),
        "mixtral_8x22b": (
            "Mixtral 8x22B",
            "Mistral AI 2024, model card of Mixtral-8x22B; released config.json",
            replace(_MIXTRAL, layers=56, width=6144, heads=48, hidden=16_384),
            Published(parameters=140_620_634_112, source=_CHECKPOINT),
        ),
        "gpt_oss_20b": (
            "gpt-oss-20b",
            _GPT_OSS,
            _GPT_OSS_20B,
            Published(parameters=20_900_000_000, source="model card, Table 1: 20.9B", tolerance=0.005),
        ),
        "gpt_oss_120b": (
            "gpt-oss-120b",
            _GPT_OSS,
            replace(_GPT_OSS_20B, layers=36, experts=128),
            Published(parameters=116_800_000_000, source="model card, Table 1: 116.8B", tolerance=0.005),
        ),
        "llama4_scout": (
            "Llama 4 Scout",
            _LLAMA4,
            _SCOUT,
            Published(parameters=109_000_000_000, source="model card: 109B, vision encoder included", tolerance=0.02),
        ),
        "llama4_maverick": (
            "Llama 4 Maverick",
            _LLAMA4,
            replace(_SCOUT, experts=128, between=16_384),
            Published(parameters=400_000_000_000, source="model card: 400B, vision encoder included"),
        ),
    }
)
"""Title, source, shape and published counts of each named model."""

define_models(__name__, MIXTURES)
