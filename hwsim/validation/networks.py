"""A measured network as one of the shipped workloads: by its name, the size of its input, its precision."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from hwsim.errors import InputError
from hwsim.graph.graph import Graph
from hwsim.validation.frameworks import FUSED, framework_run
from hwsim.validation.hub_names import HUB, HUB_DECODERS
from hwsim.validation.language import language_run
from hwsim.validation.measured import Row
from hwsim.validation.names import EXPORTED, NAMESAKES, UNSAID, named_workload
from hwsim.validation.training import TRAINING, Division, division_of, training_passes
from hwsim.workloads import WORKLOADS

__all__ = ["STREAMS", "Plan", "Planned", "network_plan", "planned", "scheme_of", "streamed"]


@dataclass(frozen=True, slots=True)
class Plan:
    """A workload with its parameters; two equal plans cost the same."""

    workload: str
    parameters: tuple[tuple[str, object], ...]

    def graph(self) -> Graph:
        """The graph of one request."""
        return WORKLOADS[self.workload].build(**dict(self.parameters))


@dataclass(frozen=True, slots=True)
class Planned:
    """What a row measured: plans run one after another, ``together`` of them at once in a pipeline.

    The measured time is the ``tokens``-th part of theirs; ``layered``: several chips hold layers in turn;
    ``compiled``: how often a graph was compiled, on the average, in each of the runs that were timed; ``division``: how
    chips share a training step.
    """

    plans: tuple[Plan, ...]
    together: int = 0
    tokens: int = 1
    layered: bool = False
    compiled: float = 0.0
    division: Division | None = None


_FORMATS: Mapping[str, str] = MappingProxyType(
    {
        "": "auto",
        "bf16": "bf16",
        "bfloat16": "bf16",
        "float": "fp16",
        "fp16": "fp16",
        "f16": "fp16",
        "fp16 amp": "fp16",
        "fp16/w6": "fp16",
        "w6 palettized / fp16 act": "fp16",
        "fp16/fp32 (arch dependent)": "auto",
        "fp32": "fp32",
        "int8": "w8a8",
        "int8 (w8a8; some w4)": "w8a8",
        "w8a8": "w8a8",
        "int8/mixed": "w8a8",
        "w8a16": "w8a16",
        "w16a16": "w16a16",
        "w8a16_mixed_int16": "w8a16_int",
        "w8a16_mixed_fp16": "w8a16_int",
        "w4": "w4a16",
        "w4a16": "w4a16",
        **dict.fromkeys(("q4_0", "q4_1", "q4_k", "q4_k_s", "q4_k_m", "iq4_nl", "iq4_xs"), "w4a16"),
        **dict.fromkeys(("q4_k - small", "q4_k - medium"), "w4a16"),
        "q8_0": "w8a16",
        "mixed_precision": "fp16_mixed",
        "megatron_mixed?": "fp32",
        "tf32": "tf32",
        "fp8": "fp8_w8a8",
        "fp4": "nvfp4",
        "nvfp4": "nvfp4",
        "mxfp4": "w4a16",
    }
)
"""Schemes by the precision of measured data; phones run "float" networks in fp16, and so palettized weights
count; their NPUs run w8a16 in integers. What depends on the architecture is what its
device file prefers."""
STREAMS = 64
"""Requests that fill any chip, run as one batch: what many streams of a throughput benchmark come to."""
_MANY = "multi-stream"
_IMAGE = re.compile(r"(\d+)\s*x\s*(\d+)(?:\s*x\s*(?:[13]|48))?\b")
"""Height x width, with the channels behind: 1, 3, or those of the 16 frames of a clip side by side."""
_TENSOR = re.compile(r"\b1(?:, | ?x ?)[13](?:, | ?x ?)(\d+)(?:, | ?x ?)(\d+)\b")
_SQUARE = re.compile(r"^1 ?x ?3 ?x ?(\d+)$")
_SEQUENCE = re.compile(r"seq\s*=?\s*(\d+)")
_SIZES = ("height", "width", "frames", "steps", "seq")


def network_plan(row: Row) -> Plan:
    """The workload of a row that is one run of it; raises InputError where hwsim has none."""
    return planned(row).plans[0]


def planned(row: Row, timing: str = "") -> Planned:
    """The workload of a row with its parameters; raises InputError where hwsim has none."""
    run_in = framework_run(row)
    model, division = division_of(row.text("model").removesuffix(FUSED))
    name, folded = named_workload(run_in.model if run_in else model, _parameters(row))
    name = NAMESAKES.get((row.text("source_repo"), name), name)
    accepted = WORKLOADS[name].parameters
    given: dict[str, object] = {**_batch(row), "dtype": scheme_of(row)}
    if "phase" in accepted and "prompt" in accepted and "phase" not in UNSAID.get(folded, {}):
        run = language_run(row, timing)
        given |= UNSAID.get(folded, {})
        if row.text("source_repo") == HUB:
            given |= HUB_DECODERS.get(row.text("dtype").casefold(), {})
        if division is not None:
            given["batch"] = row.number("batch") // division.parts
        plans = tuple(_plan(name, given | dict(piece), row, division) for piece in run.pieces)
        return Planned(plans, run.together, run.tokens, run.layered, division=division)
    given |= _input(row.text("input")) | {key: row.number(key) for key in _SIZES if row.text(key)}
    if row.text("seq_q"):
        given["seq"] = row.number("seq_q")
    given |= UNSAID.get(folded, {})
    given |= EXPORTED.get((row.text("source_repo"), folded), {})
    return Planned((_plan(name, given, row),), compiled=run_in.compiled if run_in else 0.0)


def _plan(name: str, given: Mapping[str, object], row: Row, division: Division | None = None) -> Plan:
    accepted = WORKLOADS[name].parameters
    kept = {key: value for key, value in given.items() if key in accepted}
    if row.text("op") == TRAINING:
        kept |= {"pretraining": True} if "pretraining" in accepted else {}
        kept["passes"] = training_passes(name, division)
    return Plan(name, tuple(sorted(kept.items())))


def streamed(row: Row, plan: Plan) -> Plan | None:
    """The run that stands for many requests at once, where the row measured a throughput so; None elsewhere."""
    if row.text("batch") != _MANY or "batch" not in dict(plan.parameters):
        return None
    return Plan(plan.workload, tuple(sorted({**dict(plan.parameters), "batch": STREAMS}.items())))


def _parameters(row: Row) -> float | None:
    """Parameters of the network as the row states them."""
    try:
        return float(row.text("params_m")) * 1e6
    except ValueError:
        return None


def scheme_of(row: Row) -> str:
    """The scheme of formats that a row's precision means; raises InputError for one that is not known."""
    written = row.text("dtype").casefold()
    if written not in _FORMATS:
        raise InputError(f"precision '{written}' is not known")
    chosen = _FORMATS[written]
    return "w8a16_int" if chosen == "w8a16" and row.text("unit").startswith("NPU") else chosen


def _batch(row: Row) -> dict[str, object]:
    """The batch of a row; where many streams ran for the throughput, the latency is that of one request."""
    written = row.text("batch")
    if written == _MANY:
        return {"batch": 1}
    if written and not written.isdecimal():
        raise InputError(f"batch '{written}' is not a number: several requests at once are not simulated")
    return {"batch": int(written)} if written else {}


def _input(text: str) -> dict[str, object]:
    if found := _SEQUENCE.search(text):
        return {"seq": int(found[1])}
    if found := _SQUARE.search(text):
        return {"height": int(found[1]), "width": int(found[1])}
    if found := _TENSOR.search(text) or _IMAGE.search(text):
        return {"height": int(found[1]), "width": int(found[2])}
    return {}
