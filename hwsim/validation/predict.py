"""What hwsim predicts for measured rows, priced in tables: kernels of one device together, equal networks once."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache

from hwsim import flow
from hwsim.cost.pipeline import pipelined_s
from hwsim.cost.power import average_power_w
from hwsim.devices.base import KINDS, NOMINAL, price
from hwsim.devices.interconnect import exchange_factor, price_collectives
from hwsim.errors import HwsimError, InputError
from hwsim.graph.lowering import tables_of
from hwsim.graph.work import Collective, Form, Work
from hwsim.loading.device import load_device
from hwsim.specs.device import DeviceSpec
from hwsim.specs.parallel import ParallelSpec
from hwsim.specs.software import SoftwareSpec
from hwsim.specs.system import InterconnectSpec, SystemSpec, single
from hwsim.validation.arrays import array_cycles
from hwsim.validation.boards import board_of, run_on_board
from hwsim.validation.frameworks import closest_timings, compilation_s
from hwsim.validation.kernels import RECURRENT, as_clocked, kernel_name, kernel_work, recurrent_works
from hwsim.validation.language import chips_of
from hwsim.validation.matching import device_of, links_of, nearest_stack, sockets_of, stack_for
from hwsim.validation.measured import MeasuredFile, Row
from hwsim.validation.meter import metered
from hwsim.validation.networks import STREAMS, Plan, Planned, network_plan, planned, streamed
from hwsim.validation.serving import SERVING, engine_of, served, serving_stack
from hwsim.validation.sustained import SUSTAINED, sustained
from hwsim.validation.training import TRAINING, Division, gradients

__all__ = ["Prediction", "predict", "predict_on"]

_NETWORKS = ("network", "model_forward", TRAINING, "llm_prefill", "llm_generate_per_token")
_ARRAY = "systolic array"
_BENCHMARKS: Mapping[str, str] = {"openvinotoolkit/openvino": "openvino", "Tencent/ncnn": "ncnn"}
"""Ways of timing by the project that published the rows, where they do not say."""
_WITHOUT_MEMORY = ("machinelearning.apple.com/research/neural-engine-transformers",)
"""Sources whose energy is the chip's alone: reading the weights they state, once, takes more than they give."""


@dataclass(slots=True)
class Prediction:
    """One row of a file with what was predicted for it: {metric: value in SI units}, or the reason why nothing was.

    ``device`` and ``op`` are as the measured data call them, ``spec`` and ``basis`` what answered; ``residual`` is what
    a residual of the stack or of the links multiplied the formula's time by (1: the formula alone).
    """

    file: MeasuredFile
    row: Row
    device: str
    op: str
    dtype: str
    timing: str
    spec: str = ""
    basis: str = ""
    reason: str = ""
    residual: float = 1.0
    values: dict[str, float] = field(default_factory=dict)


def predict(
    files: Iterable[MeasuredFile],
    devices: Sequence[str] = (),
    *,
    advance: Callable[[int], object] | None = None,
) -> list[Prediction]:
    """Predictions for all rows of some files, in their order; what cannot be predicted carries its reason.

    Args:
        files: measured rows.
        devices: names of specs; rows of other devices are left out where some are given.
        advance: called with numbers of rows that are done.

    Raises:
        FileFormatError: a device file has faults.
    """
    done = advance or (lambda _: None)
    found = [_blank(file, row) for file in files for row in file.rows]
    if devices:
        wanted = {load_device(name).name for name in devices}
        found = [each for each in found if _spec_name(each) in wanted]
    kernels: dict[tuple[str, str], list[tuple[Prediction, Work]]] = {}
    for each in found:
        try:
            _assign(each, kernels)
        except HwsimError as error:
            each.reason = str(error).splitlines()[0]
        if each.values or each.reason:
            done(1)
    for (name, stack), rows in kernels.items():
        _price_kernels(load_device(name), stack, rows)
        done(len(rows))
    return found


def predict_on(file: MeasuredFile, device: str, stack: str) -> list[Prediction]:
    """Predictions for networks that ran on a device, named or given as a file, with one of its stacks.

    Raises:
        InputError: a row names no shipped workload, or the device has no such stack.
    """
    spec = load_device(device)
    basis = spec.stack(stack).basis
    found = [_blank(file, row) for row in file.rows]
    for each in found:
        each.spec, each.basis = spec.name, basis
        each.values = dict(_simulated(network_plan(each.row), device, stack))
    return found


def _blank(file: MeasuredFile, row: Row) -> Prediction:
    if "array_rows" in row.columns or {"R", "C", "K"} <= row.columns.keys():
        return Prediction(file, row, _ARRAY, row.text("dataflow") or "ws", "", "")
    network = not row.text("op") and bool(row.text("model")) and not {"M", "S"} & row.columns.keys()
    timing = row.text("timing") or ("diffusers" if {"task", "steps"} <= row.columns.keys() else _stated(row))
    timing = timing or _BENCHMARKS.get(row.text("source_repo"), "")
    op = "network" if network else kernel_name(row)
    return Prediction(file, row, row.text("device"), op, row.text("dtype"), timing)


def _stated(row: Row) -> str:
    """The software that ``compute_unit`` names in brackets."""
    _, opened, inside = row.text("unit").partition("(")
    return inside.rstrip(")") if opened else ""


def _spec_name(each: Prediction) -> str:
    try:
        return device_of(each.row).name
    except HwsimError:
        return ""


def _assign(each: Prediction, kernels: dict[tuple[str, str], list[tuple[Prediction, Work]]]) -> None:
    """Predict a network or an array at once, put a kernel into the table of its device; raises HwsimError."""
    row = each.row
    if not row.figures:
        raise InputError("nothing measured in this row")
    if each.device == _ARRAY:
        each.spec, each.basis, each.values = _ARRAY, "exact", {"cycles": float(array_cycles(row))}
        return
    spec = device_of(row)
    if each.op in SERVING:
        common, basis = nearest_stack(spec, each.timing)
        stack = serving_stack(spec, common, engine_of(row))
        ranks = row.number("ngpus", 1)
        links = links_of(spec.name, "", ranks) if ranks > 1 else None
        each.spec, each.basis = spec.name, basis
        each.values = served(row, each.op, spec, stack, links[0] if links else None)
        return
    if each.op in RECURRENT:
        stack, basis = nearest_stack(spec, each.timing)
        each.spec, each.basis = spec.name, basis
        each.values = {"time": _together_s(spec, stack, recurrent_works(row))}
        return
    if each.op not in _NETWORKS:
        work = kernel_work(row)
        stack, basis = nearest_stack(spec, "" if isinstance(work, Collective) else each.timing)
        each.spec, each.basis = spec.name, basis
        kernels.setdefault((spec.name, stack.name), []).append((each, work))
        return
    _check_whole(row)
    named = stack_for(spec, each.timing, closest_timings(row)) if each.timing else spec.stack_listing(each.device)
    each.spec, each.basis = spec.name, (named or spec.default_software).basis
    each.values = _network_values(row, planned(row, each.timing), spec, named)


def _network_values(row: Row, what: Planned, spec: DeviceSpec, named: SoftwareSpec | None) -> dict[str, float]:
    """Time, power and energy; where chips hold the layers of a language model in turn, time alone."""
    stack, chips = named.name if named else None, chips_of(row)[1]
    if what.division is not None:
        return {"time": _divided_s(row, what.plans[0], what.division, spec, stack)}
    if chips == 1 and len(what.plans) == 1:
        apart = row.text("source_repo") in _WITHOUT_MEMORY
        threads = row.number("threads", 0) if spec.kind == "cpu" else 0
        found = dict(
            _simulated(what.plans[0], spec.name, stack, board=row.text("device"), memory=not apart, threads=threads)
        )
        if many := streamed(row, what.plans[0]):
            return {
                "time": found["time"],
                "throughput": STREAMS / _simulated(many, spec.name, stack)["time"] * sockets_of(row),
            }
        first_s = compilation_s(what.plans[0].graph(), spec, named) if named and what.compiled else 0.0
        return {**found, "time": found["time"] / what.tokens + what.compiled * first_s}
    if not what.layered:
        return dict(_simulated(what.plans[0], spec.name, stack, _ranks(row)))
    pieces = [_simulated(plan, spec.name, stack)["time"] for plan in what.plans]
    return {"time": pipelined_s(pieces, chips, together=what.together) / what.tokens}


def _divided_s(row: Row, plan: Plan, division: Division, spec: DeviceSpec, stack: str | None) -> float:
    """Seconds of a training step that several GPUs share: gradients are added up at its end, or pieces follow."""
    step_s = _simulated(plan, spec.name, stack)["time"]
    if division.kind == "pp":
        return pipelined_s([step_s] * division.pieces, division.degree)
    found = links_of(spec.name, row.text("device"), division.degree)
    if found is None:
        raise InputError(f"no system of {division.degree} x {spec.name} with an interconnect")
    return step_s + _exchanged_s(gradients(plan.graph().weight_bytes, division), *found)


def _check_whole(row: Row) -> None:
    """Raise InputError where a network was measured on units of several kinds."""
    counted = [row.text(f"layers_{unit}") for unit in ("npu", "gpu", "cpu")]
    if sum(count not in ("", "0", "0.0") for count in counted) > 1:
        raise InputError("runs on several units")


def _ranks(row: Row) -> ParallelSpec | None:
    """How a row's devices share the work; raises InputError where it does not say."""
    count = next((row.number(name) for name in ("num_gpus", "ngpus") if row.text(name)), 1)
    if count == 1:
        return None
    if not row.text("ulysses") or not row.text("ring"):
        raise InputError("spread over several devices, no word how")
    found = ParallelSpec(ulysses=row.number("ulysses"), ring=row.number("ring"))
    if found.ranks != count:
        raise InputError(f"{found.ulysses} x {found.ring} ranks on {count} devices are not simulated")
    return found


@cache
def _simulated(
    plan: Plan,
    device: str,
    stack: str | None,
    parallel: ParallelSpec | None = None,
    board: str = "",
    memory: bool = True,
    threads: int = 0,
) -> Mapping[str, float]:
    """Seconds of a request, average power, and energy of an item, without the DRAM's where ``memory`` is off.

    Without a stack the one that suits the graph; ``threads`` of a CPU are those of its file unless given.
    """
    graph = plan.graph()
    spec = load_device(device)
    system = single(replace(spec, core=replace(spec.core, threads=threads)) if threads else spec)
    whole = board_of(board, device) if board else None
    if parallel is not None:
        links = links_of(device, "", parallel.ranks)
        if links is None:
            raise InputError(f"no system of {parallel.ranks} x {device} with an interconnect")
        system = links[0]
    if whole is not None:
        result = run_on_board(graph, whole)
    else:
        result = flow.simulate(graph, system, software=stack, parallel=parallel, limited=False)
    energy_j = result.energy_j
    if not memory:
        read_bytes = sum(r.repeats * float(r.columns.dram_bytes.sum()) for r in result.records)
        energy_j -= read_bytes * load_device(device).main_memory.energy_j_per_byte
    power_w = energy_j / result.latency_s if result.latency_s > 0 else 0.0
    return {"time": result.latency_s, "power": power_w, "energy": energy_j / max(1, graph.items)}


def _together_s(spec: DeviceSpec, stack: SoftwareSpec, works: Mapping[Work, int]) -> float:
    """Time of kernels that run one after another, each as often as given; raises InputError for one it cannot run."""
    kind = KINDS[spec.kind]
    params = kind.params(spec, stack, NOMINAL)
    for form, table in tables_of(list(works)).items():
        if not kind.supports(table, params).all():
            raise InputError(f"{spec.name} does not run every {form.value} of this layer in its format")
    seconds = price(kind, list(works), params, spec.name).time_s[0]
    return sum(float(s) * times for s, times in zip(seconds, works.values(), strict=True))


def _price_kernels(spec: DeviceSpec, name: str, rows: Sequence[tuple[Prediction, Work]]) -> None:
    """Fill in the predictions of kernels that one stack of one device runs."""
    stack = spec.stack(name)
    kind = KINDS[spec.kind]
    able: list[tuple[Prediction, Work]] = []
    params = kind.params(spec, stack, NOMINAL)
    masks = {form: kind.supports(table, params) for form, table in tables_of([w for _, w in rows]).items()}
    place = dict.fromkeys(masks, 0)
    for each, work in rows:
        index, place[work.form] = place[work.form], place[work.form] + 1
        if isinstance(work, Collective):
            _price_collective(spec, each, work)
        elif masks[work.form][index]:
            able.append((each, work))
        else:
            each.reason = f"{spec.name} does not run {work.kernel} in {work.format}"
    if not able:
        return
    works = [work for _, work in able]
    time = price(kind, works, params, spec.name).time_s[0]
    for table in tables_of(works).values():
        factors = params.kernels.correction(table)
        for at, factor in zip(table.index, () if factors is None else factors[0].tolist(), strict=False):
            able[at][0].residual = factor
    for (each, _), seconds in zip(able, time.tolist(), strict=True):
        each.values = {"time": as_clocked(seconds, each.timing)}
    repeated = [(each, work) for each, work in able if each.timing == SUSTAINED]
    long = [pair for pair in able if pair[0].timing != SUSTAINED and pair[0].values["time"] > spec.power.window_s]
    if repeated:
        _fill_in(repeated, *metered(spec, stack, [work for _, work in repeated]))
    if long:
        seconds, joules = sustained(spec, stack, [work for _, work in long])
        _fill_in(long, seconds, average_power_w(joules, seconds, spec.power.idle_w))


def _fill_in(rows: Sequence[tuple[Prediction, Work]], seconds: Iterable[float], watts: Iterable[float]) -> None:
    for (each, _), time, power in zip(rows, seconds, watts, strict=True):
        each.values = {"time": float(time), "power": float(power), "energy": float(power) * float(time)}


def _price_collective(spec: DeviceSpec, each: Prediction, work: Collective) -> None:
    found = links_of(spec.name, each.device, work.participants)
    if found is None:
        each.reason = f"no system of {work.participants} x {spec.name} with an interconnect"
        return
    system, links = found
    per_node = _ranks_per_node(each.row)
    if per_node < min(work.participants, links.node):
        if links.network is None:
            each.reason = f"{system.name} has no network between machines"
            return
        links = replace(links, node=per_node)
    each.values = {"time": _exchanged_s(work, system, links)}
    each.residual = float(exchange_factor(tables_of([work])[Form.COLLECTIVE], links, len(system.devices))[0, 0])


def _exchanged_s(work: Collective, system: SystemSpec, links: InterconnectSpec) -> float:
    table = tables_of([work])[Form.COLLECTIVE]
    return float(price_collectives(table, links, len(system.devices)).time_s[0, 0])


def _ranks_per_node(row: Row) -> int:
    """How many ranks a row says share a machine: ``devices_per_node=2`` in its column ``model``."""
    name, _, count = row.text("model").partition("=")
    return int(count) if name == "devices_per_node" and count.isdecimal() else sys.maxsize
