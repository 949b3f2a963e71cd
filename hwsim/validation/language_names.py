"""What measured data call language models where no rule of spelling leads to the workload."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

__all__ = ["LANGUAGE_NAMES"]

LANGUAGE_NAMES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "codellama_34b": ("code_llama_34b",),
        "glm4_5": ("glm4_6", "glm4_7"),
        "granite3_1_8b": ("granite3_0_8b", "granite3_2_8b", "granite3_3_8b"),
        "llama2_7b": ("codellama_7b", "code_llama_7b", "vicuna_7b"),
        "llama2_13b": ("codellama_13b", "code_llama_13b", "vicuna_13b"),
        "llama3_70b": ("llama3_3_70b", "meta_llama3_70b"),
        "llama3_405b": ("llama3_1_405b",),
        "mistral_large_123b": ("mistral_large", "mistral_large_2", "mistral_large_2_123b"),
        "mistral_nemo_12b": ("mistral_nemo",),
        "mistral_small_24b": (
            *("mistral_small", "mistral_small_3", "mistral_small_3_24b", "mistral_small_3_1_24b"),
            *("mistral_small_3_2_24b", "devstral_small"),
        ),
        "phi3_5_mini": ("phi3_mini", "phi3_mini_3_8b"),
        "phi3_medium": ("phi3_14b", "phi3_medium_14b"),
        "phi4": ("phi4_14b",),
        "phi4_mini": ("phi4_mini_3_8b",),
        "qwen2_5_32b": ("qwq_32b",),
        "solar_10_7b": ("solar",),
    }
)
"""Names by workload, folded; models of one shape and other weights are one to a chip."""
