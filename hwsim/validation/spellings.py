"""How measured data spell the name of a network: rules that whole families follow, and endings that say no network."""

from __future__ import annotations

import re
from collections.abc import Iterator

__all__ = ["spellings"]

_RULES = (
    (
        re.compile(r"^(whisper_\w+?)(?:_en|_v2|_quantized)?_(?:hf)?whisper[a-z]*?(encoder|decoder)[a-z]*$"),
        r"\1_\2",
    ),
    (re.compile(r"resnet_v1_(\d+)"), r"resnet\1"),
    (re.compile(r"regnet_?([xy])_(\d)"), r"regnet_\1_\2"),
    (re.compile(r"yolo_?v?11"), "yolo11"),
    (re.compile(r"^(yolo\w*\d)([nsmblx])?_det$"), r"\1\2"),
    (re.compile(r"^(yolo(?:v8|11|v10))(_seg|_pose|_obb)?$"), r"\1n\2"),
    (re.compile(r"^meta_llama"), "llama"),
    (re.compile(r"^deepseek_r1_distill_llama_(\d)"), r"llama3_\1"),
    (re.compile(r"^(?:deepseek_r1_distill_qwen|qwen2|qwen2_5_coder|qwen2_coder)_(?=\d+(?:_\d)?b)"), "qwen2_5_"),
    (re.compile(r"^(llama|gemma|phi|falcon|granite|glm)_v?([2-4])_"), r"\1\2_"),
    (re.compile(r"^phi_4$"), "phi4"),
)
"""How families write their members."""
_ENDINGS = re.compile(
    r"_(\d+_steps|postprocess|nms_core|bbox_decoding_only|decode|prefill|(perf|low_power)_point"
    r"|quantized|instruct|chat|it|hf|thinking|fp8|nvfp4|mxfp4|bf16|awq|gptq|gguf|fp4|v0_\d|\d+k|0\d[0-3]\d|2\d(?:0\d|1[0-2]))$"
)
"""What follows a name: a way of export, a phase, an operating point, how a language model was tuned and stored."""


def spellings(model: str) -> Iterator[str]:
    """Folded forms of what measured data call a network, the whole name first, then ever less of it.

    What stands before a ``/`` comes last: an owner, or the id of a model before a title (``yolov7/Yolo-v7``).

    >>> "qwen2_5_14b" in spellings("Qwen/Qwen2.5-14B-Instruct decode")
    True
    """
    for text in dict.fromkeys((model, model.rpartition("/")[2], model.partition("/")[0])):
        bare = re.sub(r"[^a-z0-9]+", "_", text.casefold()).strip("_")
        yield bare
        while (shorter := _ENDINGS.sub("", bare)) != bare:
            bare = shorter
            yield bare
        for rule, replacement in _RULES:
            bare = rule.sub(replacement, bare)
        yield bare
