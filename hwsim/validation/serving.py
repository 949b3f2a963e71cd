"""Serving benchmarks: time to the first token, between tokens, and energy a token, under continuous batching.

Rows say how many requests are under way (``batch``), how long prompts (``seq_q``) and whole sequences (``seq_kv``)
are, on how many devices and with which engine. Steps are priced (:mod:`hwsim.validation.step_times`), requests are
replayed (:mod:`hwsim.engine.serving`). ``serve_decode_itl`` rows give the mean number of requests that write at once:
theirs is the time of one step halfway through the answers.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from types import MappingProxyType

import numpy as np

from hwsim.engine.serving import Batching, Request, serve
from hwsim.errors import InputError
from hwsim.graph.tensor import SCHEMES
from hwsim.loading.device import load_device
from hwsim.loading.system import load_system
from hwsim.specs.device import DeviceSpec
from hwsim.specs.software import SoftwareSpec
from hwsim.specs.system import SystemSpec
from hwsim.validation.measured import Row
from hwsim.validation.names import named_workload
from hwsim.validation.networks import scheme_of
from hwsim.validation.step_times import Deployment, ModelTimes, Steady, steady_step
from hwsim.workloads.llama import MODELS
from hwsim.workloads.moe import MIXTURES
from hwsim.workloads.nemotron import HYBRIDS
from hwsim.workloads.open_models import OPEN_MODELS

__all__ = ["SERVING", "engine_of", "served", "serving_group", "serving_stack"]

SERVING = ("serve_ttft", "serve_tpot", "serve_decode_itl")
"""The operators of measured data that are serving benchmarks."""
_MODEL = re.compile(r"(?P<name>\S+)(?: task=(?P<task>\S+))?(?: tp=(?P<tp>\d+))?(?: ep=(?P<ep>\d+))?(?: arch=\S+)?$")
_NAME = re.compile(r"[a-z]+")
_DECODERS = {**MODELS, **MIXTURES, **HYBRIDS, **OPEN_MODELS}
PROMPTS: Mapping[str, int] = MappingProxyType({"lm-arena-chat": 270, "gpqa": 250, "sourcegraph-fim": 1800})
"""Mean tokens of a prompt by task. assumption: rows do not say; 270 explains by how much mean steps (batch x energy /
power) of dense models on H100 are longer than median ones, 1,800 that of the fitted groups that complete code (8 %)."""
_PASSES = ("split_views", "strided_attention")
"""What engines do to a graph on any device: attention is fused and reads strides, whatever frameworks do there."""
_ROUNDS = 10
"""Requests a client sends. assumption: the benchmark clients of vLLM and NVIDIA send ten times the concurrency."""
_PAUSE_S = 0.02
"""From the last token of a request to the arrival of its client's next. Fitted with the engines' constants."""
_SHORTEST = 0.8
"""Where no engine is named. assumption: lengths drawn evenly from 80 to 100 % of those stated, as InferenceMAX does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """How a serving engine forms steps (see :class:`hwsim.engine.serving.Batching`), and what its cache gets.

    ``memory``: share of a device's memory for weights and cache; ``narrow``: the cache is in fp8 where products run in
    fp8 or fp4; ``drawn``: the lengths of requests are drawn at random.
    """

    budget: int
    chunked: bool = False
    mixed: bool = True
    memory: float = 0.9
    narrow: bool = True
    drawn: bool = False


ENGINES: Mapping[str, Engine] = MappingProxyType(
    {
        "vllm": Engine(budget=1, narrow=False),
        "trtllm": Engine(budget=1),
        "sglang": Engine(budget=8192, chunked=True, mixed=False, memory=0.84),
        "": Engine(budget=8192, chunked=True, drawn=True),
    }
)
"""By the first word of the column ``stack``.

Budgets: SGLang reads prompts before all else, 8,192 tokens a step (chunked_prefill_size; its scheduler). assumption:
the others read one prompt a step, beside those that write. Their limits on tokens are not in the data; times to the
first token of 3 to 5 prompts at 8 to 64 clients leave no room for more. Memory: the defaults of vLLM
(gpu_memory_utilization) and TensorRT-LLM (free_gpu_memory_fraction).
"""


def engine_of(row: Row) -> str:
    """The name of a row's engine, without its version; empty where none is named."""
    named = _NAME.match(row.text("stack").casefold())
    return {"tensorrt": "trtllm"}.get(named[0], named[0]) if named else ""


def serving_group(row: Row) -> tuple[str, str, str, str]:
    """(model, devices, device, engine with version) of a row: groups that constants are fitted to, or none of it."""
    return row.text("model"), str(row.number("ngpus", 1)), row.text("device"), row.text("stack") or "-"


@dataclass(frozen=True, slots=True)
class _Case:
    """A deployment by its names; equal ones are priced once. ``system``: of which it takes ranks x spread devices."""

    workload: str
    device: str
    stack: str
    engine: str
    system: str
    ranks: int
    spread: int
    dtype: str


def serving_stack(spec: DeviceSpec, base: SoftwareSpec, engine: str) -> SoftwareSpec:
    """The stack of an engine where the device has one (``serving_vllm``), else what all engines have in common."""
    return spec.software.get(f"{base.name}_{engine}", base)


def served(row: Row, op: str, spec: DeviceSpec, stack: SoftwareSpec, system: SystemSpec | None) -> dict[str, float]:
    """Seconds to the first token or between tokens; power and energy too where steps are alike.

    Raises:
        InputError: a model that hwsim does not have, an unknown engine, or requests that do not fit.
    """
    found = _MODEL.match(row.text("model"))
    name = named_workload(found["name"] if found else row.text("model"))[0]
    if name not in _DECODERS:
        raise InputError(f"no decoder of '{name}' to serve")
    engine = engine_of(row)
    if engine not in ENGINES:
        raise InputError(f"how the engine '{engine}' forms its steps is not known")
    ranks = row.number("ngpus", 1)
    if ranks > 1 and system is None:
        raise InputError(f"no system of {ranks} x {spec.name} with an interconnect")
    shared = system.name if system is not None and ranks > 1 else ""
    spread = int(found["ep"] or 1) if found else 1
    if ranks % spread:
        raise InputError(f"experts among {spread} ranks on {ranks} devices")
    tensor = ranks // spread
    times = _times(_Case(name, spec.name, stack.name, engine, shared, tensor, spread, scheme_of(row)))
    if op == "serve_decode_itl":
        task = (found["task"] or "") if found else ""
        return _written(times.deployment, _mean(row, "batch"), _mean(row, "seq_kv"), task)
    clients, prompt = row.number("batch"), row.number("seq_q")
    first_s, each_s = _replayed(times, ENGINES[engine], clients, prompt, row.number("seq_kv") - prompt)
    return {"time": first_s if op == "serve_ttft" else each_s}


def _mean(row: Row, name: str) -> float:
    """A mean above 0 of a column; raises InputError where there is none."""
    try:
        value = float(row.text(name))
    except ValueError:
        value = math.nan
    if not 0.0 < value < math.inf:
        raise InputError(f"no number above 0 in column '{name}'")
    return value


def _written(deployment: Deployment, batch: float, tokens: float, task: str) -> dict[str, float]:
    """Seconds of a step that only writes, power of all devices, energy of a token.

    Rows give medians, and engines read prompts together: most steps only write. assumption: half of the tokens a
    request ends with are cached on average, and as many prompts come as requests end.
    """
    load = Steady(
        batch=max(1, round(batch)),
        context=max(1, round(tokens / 2)),
        prompts=batch / tokens if task in PROMPTS else 0.0,
        prompt=PROMPTS.get(task, 1),
    )
    step = steady_step(deployment, load)
    return {"time": step.write_s, "power": step.power_w, "energy": step.power_w * step.mean_s / batch}


@cache
def _times(case: _Case) -> ModelTimes:
    spec = load_device(case.device)
    dtype = spec.preferred_dtype if case.dtype == "auto" else case.dtype
    narrow = ENGINES[case.engine].narrow and SCHEMES[dtype].matrix in ("fp8", "fp4")
    return ModelTimes(
        Deployment(
            shape=_DECODERS[case.workload][2],
            device=spec,
            stack=replace(spec.stack(case.stack), passes=_PASSES),
            ranks=case.ranks,
            spread=case.spread,
            links=load_system(case.system).interconnect if case.system else None,
            dtype=dtype,
            cache_format="fp8" if narrow else "",
        )
    )


@cache
def _replayed(times: ModelTimes, engine: Engine, clients: int, prompt: int, output: int) -> tuple[float, float]:
    """Mean seconds to the first token and between tokens; raises InputError where a request does not fit."""
    capacity = times.deployment.device.main_memory.capacity_bytes
    slots = max(0, math.floor((engine.memory * capacity - times.weight_bytes) / times.cached_bytes))
    requests = [Request(prompt, output)] * (clients * _ROUNDS)
    if engine.drawn:
        draw = np.random.default_rng(0)
        sizes = [draw.integers(math.ceil(_SHORTEST * n), n + 1, len(requests)).tolist() for n in (prompt, output)]
        requests = [Request(p, o) for p, o in zip(*sizes, strict=True)]
    batching = Batching(budget=engine.budget, chunked=engine.chunked, mixed=engine.mixed, slots=slots, ahead=True)
    found = serve(clients, requests, batching, times, pause_ps=round(_PAUSE_S * 1e12))
    first_ps = math.fsum(each.first_token_ps for each in found) / len(found)
    each_ps = math.fsum(each.per_token_ps for each in found) / len(found)
    return first_ps * 1e-12, each_ps * 1e-12
