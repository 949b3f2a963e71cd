"""Fit what serving engines and their kernels take beyond those of `cuda_graph`, and show the errors.

    python -m benchmarks.fit_serving [--data ../shared/ground_truth] [--rounds 2]

Pairs of time to the first token and between tokens are put aside by groups of (model, devices, device, engine)
(`fit_gpu.held_out`). One constant after another is multiplied by a few factors, and the best is kept: of each engine
the host's `request`, `sequence` and `dispatch`, of each chip `one_shot` of an all-reduce and `quantize` of narrow
products, and the clients' pause. What is minimised is the mean |log(predicted / measured)| between tokens, plus 0.35
times that to the first token, each at most 0.7, so that rows nobody understands do not decide. Another start ends a few
tenths of a per cent away; SGLang's share of memory was among the constants when those that ship were found.
"""

from __future__ import annotations

import argparse
import copy
import math
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np

from benchmarks.fit_gpu import held_out
from hwsim.engine.serving import Batching, Request, serve
from hwsim.graph.tensor import SCHEMES
from hwsim.loading.device import load_device
from hwsim.loading.system import load_system
from hwsim.validation import serving
from hwsim.validation.matching import device_of
from hwsim.validation.measured import Row, read_measured
from hwsim.validation.names import named_workload
from hwsim.validation.networks import scheme_of
from hwsim.validation.step_times import Deployment, ModelTimes
from hwsim.workloads.llama import MODELS

Constants = dict[str, float]
Pair = tuple[Row, float, float]

_SYSTEMS = {"h100_sxm": "h100_x", "b200_sxm": "b200_x"}
_ENGINES = ("", "vllm", "trtllm", "sglang")
_FACTORS = ((0.4, 0.7, 1.4, 2.5), (0.8, 1.25), (0.9, 1.1))
_FIRST_TOKEN, _MOST = 0.35, 0.7


def start() -> Constants:
    """Where the search begins: orders of magnitude."""
    found = {f"{name} {engine}": 0.0 for name in ("request", "sequence", "dispatch") for engine in _ENGINES}
    for engine in _ENGINES:
        found |= {f"request {engine}": 5e-4, f"sequence {engine}": 1e-5, f"dispatch {engine}": 3e-5}
    chips = {"one_shot": 7e-6, "quantize": 1e-6}
    return found | {f"{name} {chip}": value for name, value in chips.items() for chip in _SYSTEMS} | {"pause": 0.02}


def pairs(folder: Path) -> list[Pair]:
    """Rows of the file with both measured times in seconds."""
    file = read_measured(folder / "gpu" / "model_dev.csv")
    assert file is not None
    first = [row for row in file.rows if row.text("op") == "serve_ttft"]
    each = [row for row in file.rows if row.text("op") == "serve_tpot"]
    return [(a, a.figures["latency_us"], b.figures["latency_us"]) for a, b in zip(first, each, strict=True)]


@cache
def table(chip: str, name: str, ranks: int, dtype: str, cached: str, one_shot: float, quantize: float) -> ModelTimes:
    """Steps without any host time, and the host's at a microsecond a kernel."""
    spec = load_device(chip)
    stack = spec.stack("serving")
    kernels = {family: dict(constants) for family, constants in stack.kernels.items()}
    kernels["collective"]["one_shot"] = one_shot
    for family in ("gemm.fp8", "gemm.fp4"):
        kernels.setdefault(family, {})["quantize"] = quantize
    stack = replace(stack, kernels=kernels, request_s=0.0, sequence_s=0.0, dispatch_s=1e-6)
    links = load_system(f"{_SYSTEMS[chip]}{ranks}").interconnect if ranks > 1 else None
    shape = MODELS[name][2]
    return ModelTimes(
        Deployment(shape=shape, device=spec, stack=stack, ranks=ranks, links=links, dtype=dtype, cache_format=cached)
    )


@cache
def replayed(
    key: tuple[object, ...], clients: int, prompt: int, output: int, pause: float, *host: float
) -> list[float]:
    """Mean seconds to the first token and between tokens; none where a request does not fit."""
    *case, engine_name = key
    engine = serving.ENGINES[str(engine_name)]
    times = copy.copy(table(*case))  # type: ignore[arg-type]
    request, sequence, dispatch = host
    times.between_ps, times.each_ps = round(request * 1e12), round(sequence * 1e12)
    times.__dict__["issuing_ps"] = round(table(*case).issuing_ps * dispatch / 1e-6)  # type: ignore[arg-type]
    capacity = times.deployment.device.main_memory.capacity_bytes
    slots = math.floor((engine.memory * capacity - times.weight_bytes) / times.cached_bytes)
    requests = [Request(prompt, output)] * (clients * 10)
    if engine.drawn:
        draw = np.random.default_rng(0)
        sizes = [draw.integers(math.ceil(0.8 * n), n + 1, len(requests)).tolist() for n in (prompt, output)]
        requests = [Request(p, o) for p, o in zip(*sizes, strict=True)]
    batching = Batching(budget=engine.budget, chunked=engine.chunked, mixed=engine.mixed, slots=slots, ahead=True)
    found = serve(clients, requests, batching, times, pause_ps=round(pause * 1e12))
    return [
        float(np.mean([f.first_token_ps for f in found])) / 1e12,
        float(np.mean([f.per_token_ps for f in found])) / 1e12,
    ]


def logs(constants: Constants, chosen: list[Pair]) -> np.ndarray:
    """log(predicted / measured) to the first token and between tokens, (2, rows)."""
    found = []
    for row, *measured in chosen:
        spec, engine, ranks = device_of(row), serving.engine_of(row), row.number("ngpus")
        dtype = scheme_of(row)
        dtype = spec.preferred_dtype if dtype == "auto" else dtype
        narrow = SCHEMES[dtype].matrix in ("fp8", "fp4")
        cached = "fp8" if narrow and serving.ENGINES[engine].narrow else ""
        one_shot = constants[f"one_shot {spec.name}"] if ranks > 1 else 0.0
        quantize = constants[f"quantize {spec.name}"] if narrow else 0.0
        key = (spec.name, named_workload(row.text("model"))[0], ranks, dtype, cached, one_shot, quantize, engine)
        host = [constants[f"{name} {engine}"] for name in ("request", "sequence", "dispatch")]
        prompt = row.number("seq_q")
        times = replayed(key, row.number("batch"), prompt, row.number("seq_kv") - prompt, constants["pause"], *host)
        found.append(np.log(np.array(times) / measured))
    return np.array(found).T


def loss(constants: Constants, chosen: list[Pair]) -> float:
    """What the search minimises."""
    first, each = np.minimum(np.abs(logs(constants, chosen)), _MOST).mean(axis=1)
    return float(each + _FIRST_TOKEN * first)


def main() -> None:
    """Search, and print constants and errors."""
    top = Path(__file__).resolve().parents[1]
    parser = argparse.ArgumentParser(description="Constants of serving engines.")
    parser.add_argument("--data", type=Path, default=top.parent / "shared" / "ground_truth")
    parser.add_argument("--rounds", type=int, default=2)
    given = parser.parse_args()
    rows = pairs(given.data)
    fitted = [pair for pair in rows if not held_out(serving.serving_group(pair[0]))]
    constants = start()
    best = loss(constants, fitted)
    for factors in _FACTORS[: given.rounds]:
        for name in constants:
            for value in (*(constants[name] * factor for factor in factors), *((0.0,) if "quantize" in name else ())):
                tried = constants | {name: value}
                if (here := loss(tried, fitted)) < best - 1e-4:
                    best, constants = here, tried
            print(f"{name or 'unnamed'}: {constants[name]:.3g} s, loss {best:.4f}", flush=True)
    for what, chosen in (("fitted", fitted), ("held out", [pair for pair in rows if pair not in fitted])):
        first, each = 100.0 * np.abs(np.exp(logs(constants, chosen)) - 1.0).mean(axis=1)
        print(f"{what}, {len(chosen)} pairs: between tokens {each:.1f} %, to the first {first:.1f} %")


if __name__ == "__main__":
    main()
