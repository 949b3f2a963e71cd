"""A measured network as one of the shipped workloads: by its name, the size of its input, its precision."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from hwsim.errors import InputError
from hwsim.graph.graph import Graph
from hwsim.validation.measured import Row
from hwsim.workloads import WORKLOADS

__all__ = ["Plan", "network_plan"]


@dataclass(frozen=True, slots=True)
class Plan:
    """A workload with its parameters; two equal plans cost the same."""

    workload: str
    parameters: tuple[tuple[str, object], ...]

    def graph(self) -> Graph:
        """The graph of one request."""
        return WORKLOADS[self.workload].build(**dict(self.parameters))


_NAMES: Mapping[str, str] = MappingProxyType(
    {
        "bert_base_uncased_hf": "bert_base",
        "bert_base_cased": "bert_base",
        "cogvideox_1_5_5b": "cogvideox1_5_5b",
        "cogvideox1_5_5b": "cogvideox1_5_5b",
        "flux_1_dev": "flux_dev",
        "hunyuandit_v1_2_diffusers": "hunyuan_dit",
        "hunyuanvideo": "hunyuan_video",
        "inception_v1": "googlenet",
        "llama3_8b_decode": "llama3_8b",
        "llama3_8b_prefill": "llama3_8b",
        "llama_3_1_8b_instruct": "llama3_8b",
        "llama_3_1_70b": "llama3_70b",
        "llama_3_70b": "llama3_70b",
        "llama_3_8b": "llama3_8b",
        "mobilenet_v2_1_0": "mobilenet_v2",
        "mobilenetv1_100": "mobilenet_v1",
        "mobilenetv2_100": "mobilenet_v2",
        "mobilenetv2_12": "mobilenet_v2",
        "mobilenetv3_large_100": "mobilenet_v3_large",
        "mobilenetv3_small_100": "mobilenet_v3_small",
        "pixart_sigma_xl_2_1024_ms": "pixart_sigma",
        "regnety_004": "regnet_y_400mf",
        "regnety_400m": "regnet_y_400mf",
        "regnety_008": "regnet_y_800mf",
        "resnet50_v1": "resnet50",
        "resnet50_v2_7": "resnet50",
        "resnet_50": "resnet50",
        "resnet_v1_18": "resnet18",
        "resnet_v1_34": "resnet34",
        "resnet_v1_50": "resnet50",
        "resnext50": "resnext50_32x4d",
        "sana1_5_1_6b_1024px_diffusers": "sana_1_6b",
        "sana1_5_4_8b_1024px_diffusers": "sana_4_8b",
        "shufflenet_v2": "shufflenet_v2_x1_0",
        "squeezenet": "squeezenet1_1",
        "squeezenet_v1_1": "squeezenet1_1",
        "stable_diffusion_3_5_large": "sd3_5_large",
        "stable_diffusion_3_5_medium": "sd3_5_medium",
        "vit": "vit_b_16",
        "vit_base_patch16_224": "vit_b_16",
        "vit_large_patch16_224": "vit_l_16",
        "vit_small_patch16_224": "vit_s_16",
        "wan2_1_t2v_14b_diffusers": "wan2_1_t2v_14b",
        "wan2_1_t2v_1_3b_diffusers": "wan2_1_t2v_1_3b",
        "wideresnet50": "wide_resnet50_2",
        "yolov8_det": "yolov8n",
    }
)
"""Names of measured data that are not those of the workloads themselves, all folded."""
_UNSAID: Mapping[str, Mapping[str, object]] = MappingProxyType({"bert_base_uncased_hf": {"seq": 384}})
"""Parameters of networks whose rows do not state them: quic/ai-hub-models exports BERT for 384 tokens."""
_FORMATS: Mapping[str, str] = MappingProxyType(
    {
        "": "auto",
        "bf16": "bf16",
        "bfloat16": "bf16",
        "float": "fp16",
        "fp16": "fp16",
        "f16": "fp16",
        "fp16 amp": "fp16",
        "fp32": "fp32",
        "int8": "w8a8",
        "int8 (w8a8; some w4)": "w8a8",
        "w8a8": "w8a8",
        "w8a16": "w8a16",
        "w4a16": "w4a16",
        "q4_k_m": "w4a16",
        "mixed_precision": "fp16_mixed",
        "tf32": "tf32",
        "fp8": "fp8_w8a8",
        "fp4": "nvfp4",
    }
)
"""Schemes by the precision of measured data; phones run "float" networks in fp16."""
_IMAGE = re.compile(r"(\d+)\s*x\s*(\d+)(?:\s*x\s*3)?\b")
_TENSOR = re.compile(r"\[1, 3, (\d+), (\d+)\]")
_SEQUENCE = re.compile(r"seq\s*=?\s*(\d+)")
_PROMPT = re.compile(r"(\d+)-token prompt(?: / (\d+) generated)?")
_SIZES = ("height", "width", "frames", "steps", "seq")


def network_plan(row: Row) -> Plan:
    """The workload of a row with its parameters; raises InputError where hwsim has none."""
    name, own = _workload(row.text("model"))
    accepted = WORKLOADS[name].parameters
    given: dict[str, object] = {**own, **_batch(row), "dtype": _dtype(row)}
    if row.text("op") in _LLM or "prompt" in accepted:
        given |= _language(row)
    else:
        given |= _input(row.text("input")) | {key: row.number(key) for key in _SIZES if row.text(key)}
    return Plan(name, tuple(sorted((key, value) for key, value in given.items() if key in accepted)))


def _workload(model: str) -> tuple[str, Mapping[str, object]]:
    """The workload that measured data call by that name, and the parameters that go without saying."""
    folded = re.sub(r"[^a-z0-9]+", "_", model.rpartition("/")[2].casefold()).strip("_")
    name = _NAMES.get(folded, folded)
    if name not in WORKLOADS:
        raise InputError(f"no workload for '{model}'")
    return name, _UNSAID.get(folded, {})


def _dtype(row: Row) -> str:
    written = row.text("dtype").casefold()
    if written not in _FORMATS:
        raise InputError(f"precision '{written}' is not known")
    return _FORMATS[written]


def _batch(row: Row) -> dict[str, object]:
    written = row.text("batch")
    if written and not written.isdecimal():
        raise InputError(f"batch '{written}' is not a number: several requests at once are not simulated")
    return {"batch": int(written)} if written else {}


def _input(text: str) -> dict[str, object]:
    if found := _SEQUENCE.search(text):
        return {"seq": int(found[1])}
    if found := _TENSOR.search(text) or _IMAGE.search(text):
        return {"height": int(found[1]), "width": int(found[2])}
    return {}


_LLM = ("llm_prefill", "llm_generate_per_token")


def _language(row: Row) -> dict[str, object]:
    """One step of a language model: a prompt read, or one token halfway through those that are written."""
    op, model = row.text("op"), row.text("model")
    if op == "llm_prefill":
        return {"phase": "prefill", "prompt": row.number("seq_q")}
    if op == "llm_generate_per_token":
        return {"phase": "decode", "context": row.number("seq_kv")}
    found = _PROMPT.search(row.text("input"))
    if op or found is None:
        raise InputError(f"'{op or row.text('input')}' of a language model: scheduling and batching are not simulated")
    prompt, made = int(found[1]), int(found[2] or 0)
    if "prefill" in model:
        return {"phase": "prefill", "prompt": prompt}
    return {"phase": "decode", "context": prompt + made // 2}
