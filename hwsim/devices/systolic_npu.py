"""Systolic-array NPU: arrays of multiply-accumulate cells, a scratchpad, a vector unit, DRAM.

A matrix product takes ``launch + fill + (compute^p + transfer^p)^(1/p) + drain``: compute is the cycles of the slowest
array's share (folds, fill and drain of the array: :mod:`hwsim.cost.systolic`) or the time its operands take from
the scratchpad, transfer the bytes that pass DRAM (:mod:`hwsim.cost.scratchpad`). Element-wise and row-wise work runs
on the vector unit. The ceilings and p belong to the software stack.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Annotated, ClassVar, TypedDict

import numpy as np
from numpy.typing import NDArray

from hwsim.cost.roofline import overlap_time_s
from hwsim.cost.scratchpad import (
    gemm_traffic_bytes,
    kept_share,
    overlapped_time_s,
    reload_bytes,
    tile_count,
    usable_bytes,
)
from hwsim.cost.systolic import DATAFLOWS, Dataflow, Geometry, dealt_time_s
from hwsim.cost.vector_unit import operations_time_s, passes_over_memory
from hwsim.devices.base import KINDS, NOMINAL, Array, Costs, DeviceKind, OperatingPoint, Params, common_params, settle
from hwsim.graph.lowering import Table, tables_of
from hwsim.graph.tensor import BITS, FORMATS
from hwsim.graph.work import Form, Work
from hwsim.specs.device import DeviceSpec
from hwsim.specs.fields import Choice, Count, Formats, Quantity, Ratio, Text
from hwsim.specs.software import SoftwareSpec

__all__ = ["SystolicNpu", "SystolicNpuParams", "SystolicNpuSection"]

_BYTES: Array = np.array([BITS[name] / 8.0 for name in FORMATS])
_DECODE_ROWS = 1.0
_LEAST_RATE = 1e-30
_QUERY_ROWS = 128.0  # rows of queries a fused kernel keeps on chip (T. Dao, FlashAttention-2, 2023, section 3.3)


@dataclass(frozen=True, slots=True, kw_only=True)
class SystolicNpuSection:
    """``systolic_npu:`` of a device YAML.

    ``cores`` x ``arrays`` arrays of ``rows`` x ``cols`` cells; ``macs`` is multiply-accumulates per cell and
    clock by format (formats left out are not supported); ``vector`` operations per clock and core of the
    vector unit by format (a format left out runs as the next wider one given); ``special`` special-function
    results per clock and core. The scratchpad is the second entry of ``memory:``, ``accumulators`` the size of
    the partial-sum memory of one core. ``channel_tile``: input channels that a convolution is padded to at each
    window position (1: the window is flattened). ``sparse_speedup``: how much structured sparsity of the
    weights can shorten a product.
    """

    rows: Annotated[int, Count("rows")]
    cols: Annotated[int, Count("cols")]
    clock_hz: Annotated[float, Quantity("clock", "Hz")]
    cores: Annotated[int, Count("cores")] = 1
    arrays: Annotated[int, Count("arrays")] = 1
    dataflow: Annotated[str, Choice("dataflow", ("os", "ws", "is"))] = "ws"
    overlap_weights: Annotated[bool, Choice("overlap_weights")] = True
    double_buffered: Annotated[bool, Choice("double_buffered")] = True
    macs: Annotated[Mapping[str, float], Formats("macs", Ratio("", 0.0), FORMATS)] = field(default_factory=dict)
    vector: Annotated[Mapping[str, float], Formats("vector", Ratio("", 0.0), FORMATS)] = field(default_factory=dict)
    special: Annotated[float, Ratio("special", 0.0)] = 16.0
    accumulators_bytes: Annotated[float, Quantity("accumulators", "bytes")] = 262144.0
    channel_tile: Annotated[int, Count("channel_tile")] = 1
    sparse_speedup: Annotated[float, Ratio("sparse_speedup", 1.0, 16.0)] = 1.0
    source: Annotated[str, Text("source")] = ""
    assumption: Annotated[str, Text("assumption")] = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SystolicNpuParams(Params):
    """Numbers of one or many NPUs, (chips, 1) unless said; ``lanes`` are MACs per cell and clock, (chips, formats)."""

    dataflow: Dataflow
    overlap_weights: bool
    double_buffered: bool
    rows: Array
    cols: Array
    units: Array
    lanes: Array
    clock_hz: Array
    special_per_s: Array
    scratchpad_bytes: Array
    scratchpad_bytes_per_s: Array
    accumulator_bytes: Array
    channel_tile: Array
    sparse_speedup: Array

    def geometry(self, table: Table) -> Geometry:
        """The arrays as the rows of a table see them."""
        lanes = self.lanes[:, table.format[0]]
        return Geometry(self.units, self.rows, self.cols, lanes, self.dataflow, self.overlap_weights)


class _Terms(TypedDict):
    """The terms of a kernel's time, columns of shape (chips, rows), as :func:`settle` takes them."""

    busy_s: Array
    compute_s: Array
    memory_s: Array
    launch_s: Array
    prologue_s: Array
    dram_bytes: Array
    cache_bytes: Array


_RANGES: Mapping[str, tuple[float, float]] = MappingProxyType(
    {
        "compute": (0.001, 2.0),
        "memory": (0.001, 2.0),
        "overlap": (0.1, 100.0),
        "feed": (0.001, 100.0),
        "keep": (0.0, 4.0),
    }
    | {"weights_stay": (0.0, 1.0), "whole_tiles": (0.0, 1.0), "vector": (0.0, 4.0), "tile_kv": (1.0, np.inf)}
)
_COMMON = {"compute": 1.0, "memory": 0.8, "overlap": 2.0, "feed": 1.0, "keep": 0.0}
_ATTENTION = {"compute": 0.5, "memory": 0.8, "overlap": 2.0, "keep": 0.0, "tile_kv": 1.0}


class SystolicNpu(DeviceKind[SystolicNpuParams]):
    """Arrays, a scratchpad and a vector unit."""

    name: ClassVar[str] = "systolic_npu"
    section: ClassVar[type[SystolicNpuSection]] = SystolicNpuSection
    constants: ClassVar[Mapping[str, Ratio | Quantity]] = MappingProxyType(
        {"launch": Quantity("launch", "s", zero=True), "decode_launch": Quantity("decode_launch", "s", zero=True)}
        | {name: Ratio(name, low, high) for name, (low, high) in _RANGES.items()}
        | {f"decode_{name}": Ratio(f"decode_{name}", *_RANGES[name]) for name in _ATTENTION}
    )
    """``compute``, ``memory``, ``feed``: shares of the array's, DRAM's and the scratchpad's peak that are reached.
    ``overlap``: the exponent p. ``keep``: share of the scratchpad that holds tensors between operators (above one where
    compilers run chains of layers strip by strip); what fits does not pass DRAM. ``weights_stay``: share of the weights
    held on chip for good. ``whole_tiles``: share of the padding of weight tiles that is fetched. ``vector``: share of
    the vector unit's peak that grouped convolutions and products of one row reach there, if faster than on the array
    (0: none runs there). ``tile_kv``: attention computes scores in pieces of that many columns;
    ``decode_...`` are the constants of attention of a single query."""
    defaults: ClassVar[Mapping[str, Mapping[str, float]]] = MappingProxyType(
        {
            Form.GEMM: _COMMON | {"compute": 0.8, "weights_stay": 0.0, "whole_tiles": 0.0, "vector": 0.25},
            Form.ATTENTION: _ATTENTION
            | {f"decode_{name}": v for name, v in _ATTENTION.items()}
            | {"decode_launch": -1.0},
            Form.MAP: _COMMON,
            Form.REDUCE: _COMMON,
            Form.MOVE: _COMMON,
        }
    )

    def params(self, spec: DeviceSpec, stack: SoftwareSpec, at: OperatingPoint = NOMINAL) -> SystolicNpuParams:
        """Rates at the operating point; a device without a second memory has no scratchpad to keep tensors in."""
        core: SystolicNpuSection = spec.core
        pad = spec.memory[1] if len(spec.memory) > 1 else None
        one = np.ones((1, 1))
        clock = core.clock_hz * at.clock
        widened = {fmt: rate * core.cores * core.clock_hz for fmt, rate in _widened(core.vector).items()}
        (dataflow,) = (flow for flow in DATAFLOWS if flow == core.dataflow)
        return SystolicNpuParams(
            **common_params(spec, stack, at, peak=self.peaks(spec), vector_peak=widened, defaults=self.defaults),
            dataflow=dataflow,
            overlap_weights=core.overlap_weights,
            double_buffered=core.double_buffered,
            rows=one * core.rows,
            cols=one * core.cols,
            units=one * core.cores * core.arrays,
            lanes=np.array([[float(core.macs.get(name, 0.0)) for name in FORMATS]]),
            clock_hz=one * clock,
            special_per_s=one * max(core.special, 1e-3) * core.cores * clock,
            scratchpad_bytes=one * (pad.capacity_bytes if pad else 0.0),
            scratchpad_bytes_per_s=one * ((pad.bandwidth_bytes_per_s if pad else 0.0) or np.inf) * at.clock,
            accumulator_bytes=one * core.accumulators_bytes,
            channel_tile=one * core.channel_tile,
            sparse_speedup=one * core.sparse_speedup,
        )

    def peaks(self, spec: DeviceSpec) -> Mapping[str, float]:
        """Derived: cores x arrays x rows x cols x MACs per cell x 2 x clock."""
        core: SystolicNpuSection = spec.core
        cells = core.cores * core.arrays * core.rows * core.cols
        return {fmt: 2.0 * cells * macs * core.clock_hz for fmt, macs in core.macs.items()}

    def price_gemm(self, table: Table, params: SystolicNpuParams) -> Costs:
        """Folds on the arrays against DRAM traffic through the scratchpad."""
        return settle(table, params, **_gemm_terms(table, params))

    def price_attention(self, table: Table, params: SystolicNpuParams) -> Costs:
        """Two products a score, softmax on the vector unit, K and V from DRAM."""
        return settle(table, params, **_attention_terms(table, params))

    def price_map(self, table: Table, params: SystolicNpuParams) -> Costs:
        """Vector operations against bytes."""
        return settle(table, params, **_vector_terms(table, params), vector=True)

    def price_reduce(self, table: Table, params: SystolicNpuParams) -> Costs:
        """Vector operations against bytes; rows too long for the scratchpad are read once a pass."""
        return settle(table, params, **_vector_terms(table, params), vector=True)

    def price_move(self, table: Table, params: SystolicNpuParams) -> Costs:
        """Bytes alone."""
        return settle(table, params, **_vector_terms(table, params), vector=True)

    def supports(self, table: Table, params: SystolicNpuParams) -> NDArray[np.bool_]:
        """Products in the array's formats, vector work in the vector unit's, moves in any; on every chip."""
        if table.form is Form.MOVE:
            return np.ones(len(table), dtype=np.bool_)
        matrix = table.form in (Form.GEMM, Form.ATTENTION)
        rate = params.rate(table) if matrix else params.vector_rate(table)
        return np.asarray((rate > 0.0).all(axis=0), dtype=np.bool_)

    def explain(self, work: Work, params: SystolicNpuParams) -> Sequence[tuple[str, float, str]]:
        """Operations, bytes and the terms of the time."""
        (table,) = tables_of([work]).values()
        matrix = table.form in (Form.GEMM, Form.ATTENTION)
        by_form = {Form.GEMM: _gemm_terms, Form.ATTENTION: _attention_terms}
        terms = by_form.get(table.form, _vector_terms)(table, params)
        rate = params.rate(table) if matrix else params.vector_rate(table)
        shown: list[tuple[str, Array, str]] = [
            ("operations", table.flop, "FLOP"),
            ("peak of the arrays" if matrix else "peak of the vector unit", rate, "FLOP/s"),
            ("compute: the slowest unit's share, at the ceiling of its kernel", terms["compute_s"], "s"),
            ("bytes through DRAM", terms["dram_bytes"], "B"),
            ("DRAM bandwidth", params.dram_bytes_per_s, "B/s"),
            ("share of the bandwidth reached", params.kernels.column(table, "memory"), ""),
            ("transfer = bytes / (bandwidth x share)", terms["memory_s"], "s"),
            ("overlap exponent p", params.kernels.column(table, "overlap"), ""),
            ("launch", terms["launch_s"], "s"),
            ("time = launch + (compute^p + transfer^p)^(1/p)", terms["launch_s"] + terms["busy_s"], "s"),
        ]
        return [(label, float(column[0, 0]), unit) for label, column, unit in shown]


def _gemm_terms(table: Table, params: SystolicNpuParams) -> _Terms:
    constant = params.kernels.column
    k = _window_length(table, params)
    a, b, c, padding = _operand_bytes(table, params, k, constant(table, "whole_tiles"))
    vector_rate = np.maximum(params.vector_rate(table), _LEAST_RATE)
    rate = params.dram_bytes_per_s * constant(table, "memory")
    compute = _array_time_s(table, params, k, a, b + padding)
    apart = 2.0 * table.macs / np.maximum(constant(table, "vector") * vector_rate, _LEAST_RATE)
    apart = np.maximum(apart, (a + b + c) / (params.scratchpad_bytes_per_s * constant(table, "feed")))
    thin = (table.groups > 1) | (np.minimum(table.m, table.n) <= 1)
    loose = b + np.where(table.groups > 1, 0.0, padding)
    aside = thin & (np.maximum(apart, loose / rate) < np.maximum(compute, (b + padding) / rate))
    compute, b = np.where(aside, apart, compute), np.where(aside, loose, b + padding)
    compute = np.maximum(compute, table.epilogue_flop / vector_rate)
    usable, batch = usable_bytes(params.scratchpad_bytes, params.double_buffered), table.batch
    usable = np.where(params.scratchpad_bytes > 0, usable, np.inf)
    inputs = batch * gemm_traffic_bytes(a / batch, b / batch, 0.0, table.m, table.n, usable) + table.epilogue_bytes
    weights, moved_in, moved_out = _beyond_chip(table, params, inputs, b, c)
    if params.dataflow == "ws":
        folds, held = np.ceil(k / params.rows), params.accumulator_bytes
        moved_in = moved_in + reload_bytes(table.m, table.n, folds, params.cols, b, held, usable, batch)
    cells = params.rows * params.cols * params.units * np.maximum(params.lanes[:, table.format[0]], 1.0)
    tiles = tile_count(moved_in, cells * _BYTES[table.b_format[0]])
    busy, fill = overlapped_time_s(
        compute, moved_in / rate, moved_out / rate, tiles, overlap=constant(table, "overlap")
    )
    moved = moved_in + moved_out
    return _Terms(
        busy_s=busy,
        compute_s=compute,
        memory_s=moved / rate,
        launch_s=constant(table, "launch"),
        prologue_s=np.minimum(fill, weights / rate),
        dram_bytes=moved,
        cache_bytes=inputs + c,
    )


def _attention_terms(table: Table, params: SystolicNpuParams) -> _Terms:
    def constant(name: str) -> Array:
        prefill = params.kernels.column(table, name)
        return np.where(table.seq_q <= _DECODE_ROWS, params.kernels.column(table, f"decode_{name}"), prefill)

    group = table.heads / table.kv_heads
    piece = constant("tile_kv")
    whole = np.ceil(table.seq_kv / piece) * piece
    scores = np.where((table.causal > 0) & (table.seq_q > 1), (table.seq_kv + piece) / 2.0, whole)
    # One query shares its keys between the heads of a group; many queries are dealt out in blocks of rows.
    single, blocks = table.seq_q <= _DECODE_ROWS, np.ceil(table.seq_q / _QUERY_ROWS)
    m = np.where(single, group * table.seq_q, np.minimum(table.seq_q, _QUERY_ROWS))
    batch = table.batch * np.where(single, table.kv_heads, table.heads * blocks)
    clock = params.clock_hz
    first = dealt_time_s(m, scores, table.head_dim, batch, params.geometry(table), clock * constant("compute"))
    second = dealt_time_s(m, table.head_dim, scores, batch, params.geometry(table), clock * constant("compute"))
    count = batch * m * scores
    softmax = operations_time_s(5.0 * count, count, params.vector_rate(table), params.special_per_s)
    compute = np.maximum(first + second, softmax)
    total = table.bytes_in + table.bytes_out
    moved = total * (1.0 - kept_share(total, constant("keep") * params.scratchpad_bytes))
    memory = moved / (params.dram_bytes_per_s * constant("memory"))
    busy = overlap_time_s(compute, memory, constant("overlap"))
    launch = params.kernels.column(table, "launch")
    own = params.kernels.column(table, "decode_launch")
    launch = np.where((table.seq_q <= _DECODE_ROWS) & (own >= 0.0), own, launch)
    return _Terms(
        busy_s=busy,
        compute_s=compute,
        memory_s=memory,
        launch_s=launch,
        prologue_s=np.zeros_like(busy),
        dram_bytes=moved,
        cache_bytes=total,
    )


def _widened(vector: Mapping[str, float]) -> dict[str, float]:
    """Vector rates of all formats: one that is not given runs as the narrowest given one at least as wide."""
    rates = dict(vector)
    for name in FORMATS:
        wider = [other for other in vector if BITS[other] >= BITS[name]]
        if name not in rates and wider:
            rates[name] = vector[min(wider, key=lambda other: (BITS[other], other))]
    return rates


def _window_length(table: Table, params: SystolicNpuParams) -> Array:
    """Summed length with input channels padded to the channel tile and skipped weights left out."""
    channels = np.maximum(table.channels, 1.0)
    padded = np.ceil(channels / params.channel_tile) * params.channel_tile * np.maximum(1.0, table.k / channels)
    k = np.where(table.channels > 0, padded, table.k)
    kept = np.maximum(table.b_density, 1.0 / params.sparse_speedup)
    length: Array = np.ceil(k * kept)
    return length


def _operand_bytes(table: Table, params: SystolicNpuParams, k: Array, whole: Array) -> tuple[Array, ...]:
    """Bytes behind A, B and C, and those fetched with B where the stack fetches stationary weights in whole tiles."""
    a = table.a_elements * _BYTES[table.a_format[0]]
    element = _BYTES[table.b_format[0]]
    b = table.b_elements * element * np.maximum(table.b_density, 1.0 / params.sparse_speedup)
    tiles = np.ceil(k / params.rows) * np.ceil(table.n / params.cols) * table.batch
    padding = np.maximum(tiles * params.rows * params.cols * element - b, 0.0) * whole * table.b_is_weight
    return a, b, table.bytes_out + np.zeros_like(b), padding


def _array_time_s(table: Table, params: SystolicNpuParams, k: Array, a: Array, b: Array) -> Array:
    """Seconds of the slowest array's share: its cycles, or its operands' way from the scratchpad."""
    constant = params.kernels.column
    return dealt_time_s(
        table.m,
        table.n,
        k,
        table.batch,
        params.geometry(table),
        params.clock_hz * constant(table, "compute"),
        a / (table.batch * table.m),
        b / (table.batch * table.n),
        params.scratchpad_bytes_per_s * constant(table, "feed") / params.units,
    )


def _beyond_chip(table: Table, params: SystolicNpuParams, inputs: Array, b: Array, c: Array) -> tuple[Array, ...]:
    """(weights, all loads, stores) that pass DRAM; what stays on chip does not."""
    keep = params.kernels.column(table, "keep") * params.scratchpad_bytes
    weights = np.where(table.b_is_weight > 0, b, 0.0)
    others = np.maximum(inputs - weights, 0.0)
    resident = kept_share(others + c, keep)
    streamed = weights * (1.0 - params.kernels.column(table, "weights_stay"))
    return streamed, streamed + others * (1.0 - resident), c * (1.0 - resident)


def _vector_terms(table: Table, params: SystolicNpuParams) -> _Terms:
    """Vector work, or a move, which has no operations."""
    constant = params.kernels.column
    again = compute = np.zeros((1, 1))
    if table.form is not Form.MOVE:
        elements = table.elements if table.form is Form.MAP else table.rows * table.cols
        rate = np.maximum(params.vector_rate(table), _LEAST_RATE)
        plain, special = elements * table.flop_per_element, elements * table.special_per_element
        compute = operations_time_s(plain, special, rate, params.special_per_s) / constant(table, "compute")
    if table.form is Form.REDUCE:
        usable = usable_bytes(params.scratchpad_bytes, params.double_buffered)
        passes = passes_over_memory(table.passes, table.bytes_in / table.rows, params.units, usable)
        again = (passes - 1.0) * table.bytes_in
    total = table.bytes_in + table.bytes_out
    near = total / (params.scratchpad_bytes_per_s * constant(table, "feed"))
    resident = kept_share(total, constant(table, "keep") * params.scratchpad_bytes)
    moved = (total + again) * (1.0 - resident)
    memory = moved / (params.dram_bytes_per_s * constant(table, "memory"))
    busy = overlap_time_s(np.maximum(compute, near), memory, constant(table, "overlap"))
    return _Terms(
        busy_s=busy,
        compute_s=compute,
        memory_s=memory,
        launch_s=constant(table, "launch"),
        prologue_s=np.zeros_like(busy),
        dram_bytes=moved,
        cache_bytes=total + np.zeros_like(busy),
    )


KINDS.add(SystolicNpu.name, SystolicNpu())
