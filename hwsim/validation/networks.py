"""A measured network as one of the shipped workloads: by its name, the size of its input, its precision."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from hwsim.errors import InputError
from hwsim.graph.graph import Graph
from hwsim.validation.measured import Row
from hwsim.validation.names import UNSAID, named_workload
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
        "int8/mixed": "w8a8",
        "w8a16": "w8a16",
        "w8a16_mixed_int16": "w8a16",
        "w8a16_mixed_fp16": "w8a16",
        "w4": "w4a16",
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
_TENSOR = re.compile(r"\b1(?:, | ?x ?)[13](?:, | ?x ?)(\d+)(?:, | ?x ?)(\d+)\b")
_SEQUENCE = re.compile(r"seq\s*=?\s*(\d+)")
_PROMPT = re.compile(r"(\d+)-token prompt(?: / (\d+) generated)?")
_SIZES = ("height", "width", "frames", "steps", "seq")


def network_plan(row: Row) -> Plan:
    """The workload of a row with its parameters; raises InputError where hwsim has none."""
    name, folded = named_workload(row.text("model"), _parameters(row))
    accepted = WORKLOADS[name].parameters
    given: dict[str, object] = {**_batch(row), "dtype": _dtype(row)}
    if row.text("op") in _LLM or "prompt" in accepted:
        given |= _language(row)
    else:
        given |= _input(row.text("input")) | {key: row.number(key) for key in _SIZES if row.text(key)}
    given |= UNSAID.get(folded, {})
    return Plan(name, tuple(sorted((key, value) for key, value in given.items() if key in accepted)))


def _parameters(row: Row) -> float | None:
    """Parameters of the network as the row states them."""
    try:
        return float(row.text("params_m")) * 1e6
    except ValueError:
        return None


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
