"""Language models with learned positions: GPT-2, GPT-3 as published, OPT."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

from hwsim.workloads.decoder import Decoder
from hwsim.workloads.language_models import Model, define_models
from hwsim.workloads.registry import Published

__all__ = ["MODELS"]

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

_RADFORD = "Radford et al. 2019, Language Models are Unsupervised Multitask Learners, Table 2; layers as released"
_BROWN = "Brown et al. 2020, Language Models are Few-Shot Learners, Table 2.1; layers as in GPT-2"
_ZHANG = "Zhang et al. 2022, OPT: Open Pre-trained Transformer Language Models, Table 1; released config.json"
_OPT = replace(_SMALL, vocab=50_272, positions=2050, packed=False, act="relu")
_CARD = "parameters of the released checkpoint"

MODELS: Mapping[str, Model] = MappingProxyType(
    {
        "gpt2": (
            "GPT-2 small",
            _RADFORD,
            _SMALL,
            Published(
                parameters=124_439_808,
                macs=145.82e9,
                at={"phase": "prefill", "prompt": 1024, "logits": "all"},
                source="operator counts of the transformers model at 1024 tokens, attention products in full",
            ),
        ),
        "gpt2_medium": (
            "GPT-2 medium",
            _RADFORD,
            replace(_SMALL, layers=24, width=1024, heads=16, kv_heads=16, hidden=4096),
            Published(parameters=354_823_168, source=_CARD),
        ),
        "gpt2_large": (
            "GPT-2 large",
            _RADFORD,
            replace(_SMALL, layers=36, width=1280, heads=20, kv_heads=20, hidden=5120),
            Published(parameters=774_030_080, source=_CARD),
        ),
        "gpt2_xl": (
            "GPT-2 XL",
            _RADFORD,
            replace(_SMALL, layers=48, width=1600, heads=25, kv_heads=25, hidden=6400),
            Published(parameters=1_557_611_200, source=_CARD),
        ),
        "gpt3_xl": (
            "GPT-3 XL with 24 whole heads",
            f"{_BROWN}; 24 layers of 24 heads of 128, so 3072 wide (NeuSight), where the table prints 2048",
            replace(_SMALL, layers=24, width=3072, heads=24, kv_heads=24, hidden=12_288, positions=2048),
            None,
        ),
        "gpt3_2_7b": (
            "GPT-3 2.7B",
            _BROWN,
            replace(_SMALL, layers=32, width=2560, heads=32, kv_heads=32, hidden=10_240, positions=2048),
            None,
        ),
        "opt_125m": ("OPT-125M", _ZHANG, _OPT, Published(parameters=125_239_296, source=_CARD)),
        "opt_1_3b": (
            "OPT-1.3B",
            _ZHANG,
            replace(_OPT, layers=24, width=2048, heads=32, kv_heads=32, hidden=8192),
            Published(parameters=1_315_758_080, source=_CARD),
        ),
        "opt_2_7b": (
            "OPT-2.7B",
            _ZHANG,
            replace(_OPT, layers=32, width=2560, heads=32, kv_heads=32, hidden=10_240),
            Published(parameters=2_651_596_800, source=_CARD),
        ),
        "opt_6_7b": (
            "OPT-6.7B",
            _ZHANG,
            replace(_OPT, layers=32, width=4096, heads=32, kv_heads=32, hidden=16_384),
            Published(parameters=6_658_473_984, source=_CARD),
        ),
        "opt_13b": (
            "OPT-13B",
            _ZHANG,
            replace(_OPT, layers=40, width=5120, heads=40, kv_heads=40, hidden=20_480),
            Published(parameters=12_853_473_280, source=_CARD),
        ),
    }
)
"""Title, source, shape and published counts of each model."""

define_models(__name__, MODELS, " with learned positions and tied embeddings")
