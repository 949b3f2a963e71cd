"""The terms of a systolic NPU's prices: a product, attention, vector work; and what its arrays do meanwhile."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypedDict

import numpy as np
from numpy.typing import NDArray

from hwsim.cost.roofline import overlap_time_s
from hwsim.cost.scratchpad import (
    gemm_traffic_bytes,
    kept_share,
    overlapped_time_s,
    prefetched_time_s,
    reload_bytes,
    tile_count,
    usable_bytes,
)
from hwsim.cost.systolic import Dataflow, Geometry, array_activity, dealt_time_s, last_tile_cycles, packed_groups
from hwsim.cost.vector_unit import layout_elements, operations_time_s, passes_over_memory, register_fill
from hwsim.devices.base import Array, Params
from hwsim.graph.lowering import Table
from hwsim.graph.tensor import BITS, FORMATS
from hwsim.graph.work import Form

__all__ = [
    "SystolicNpuParams",
    "Terms",
    "array_seconds",
    "attention_terms",
    "gemm_terms",
    "shown_terms",
    "vector_terms",
]

_BYTES: Array = np.array([bits / 8.0 for bits in BITS.values()])
_INTEGER: NDArray[np.bool_] = np.array([name.startswith("int") for name in FORMATS])
_DECODE_ROWS = 1.0
_LEAST_RATE = 1e-30
_QUERY_ROWS = 128.0  # rows of queries a fused kernel keeps on chip (T. Dao, FlashAttention-2, 2023, section 3.3)


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
    weight_fifo: Array
    channel_tile: Array
    image_channels: Array
    register_rows: Array
    register_cols: Array
    sparse_speedup: Array
    window: Array
    step: Array
    host_op_per_s: Array

    def geometry(self, table: Table) -> Geometry:
        """The arrays as the rows of a table see them."""
        lanes = self.lanes[:, table.format[0]]
        return Geometry(self.units, self.rows, self.cols, lanes, self.dataflow, self.overlap_weights)


class Terms(TypedDict):
    """The terms of a kernel's time, columns of shape (chips, rows), as :func:`settle` takes them."""

    busy_s: Array
    compute_s: Array
    memory_s: Array
    launch_s: Array
    prologue_s: Array
    dram_bytes: Array
    cache_bytes: Array


def gemm_terms(table: Table, params: SystolicNpuParams) -> Terms:
    """Folds on the arrays, or thin work on the vector unit, against traffic through the scratchpad."""
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
    compute = np.where(_host_s(table, params) > 0.0, _host_s(table, params), compute)
    compute = np.maximum(compute, table.epilogue_flop / (vector_rate * constant(table, "epilogue")))
    compute = np.maximum(compute, _layout_s(table, params, vector_rate))
    compute = np.maximum(compute, _widening_s(table, params, vector_rate))
    usable, batch = usable_bytes(params.scratchpad_bytes, params.double_buffered), table.batch
    usable = np.where(params.scratchpad_bytes > 0, usable * constant(table, "chunk"), np.inf)
    each = gemm_traffic_bytes(a / batch, b / batch, 0.0, table.m, table.n, usable, blocked=constant(table, "blocked"))
    inputs = batch * each + table.epilogue_bytes
    weights, moved_in, moved_out = _beyond_chip(table, params, inputs, b, c)
    if params.dataflow == "ws":
        folds, held = np.ceil(k / params.rows), params.accumulator_bytes
        moved_in = moved_in + reload_bytes(table.m, table.n, folds, params.cols, b, held, usable, batch)
    cells = params.rows * params.cols * params.units * np.maximum(params.lanes[:, table.format[0]], 1.0)
    tiles = tile_count(moved_in, cells * _BYTES[table.b_format[0]])
    p, moved = constant(table, "overlap"), moved_in + moved_out
    busy, fill = overlapped_time_s(compute, moved_in / rate, moved_out / rate, tiles, overlap=p)
    ahead = prefetched_time_s(compute, moved / rate, _tail_s(table, params), overlap=p)
    fifo = (params.weight_fifo > 0) & (table.b_is_weight > 0) & ~aside
    return Terms(
        busy_s=np.where(fifo, ahead, busy),
        compute_s=compute,
        memory_s=moved / rate,
        launch_s=_launch_s(table, params) + np.where(aside, constant(table, "vector_launch"), 0.0),
        prologue_s=np.minimum(fill * np.maximum(1.0, params.weight_fifo), weights / rate),
        dram_bytes=moved,
        cache_bytes=inputs + c,
    )


def _host_s(table: Table, params: SystolicNpuParams) -> Array:
    """Seconds of a convolution whose window is longer than the arrays take, or steps further; 0 for all others.

    A loop over each row of the window, started anew for each.
    assumption: a step beyond the window is a dilation, which is not bounded by ``step``.
    """
    side = np.maximum(table.kh, table.kw)
    beyond = (side > params.window) | ((table.stride > params.step) & (table.stride <= side))
    constant = params.kernels.column
    operations = table.macs * (constant(table, "host") + constant(table, "host_row") / np.maximum(table.kw, 1.0))
    seconds = operations / params.host_op_per_s
    elsewhere: Array = np.where(beyond, seconds, 0.0)
    return elsewhere


def _launch_s(table: Table, params: SystolicNpuParams) -> Array:
    """Seconds that starting a product takes; one of a single row may have a figure of its own."""
    launch, own = params.kernels.column(table, "launch"), params.kernels.column(table, "row_launch")
    seconds: Array = np.where((table.m <= 1) & (own >= 0.0), own, launch)
    return seconds


def _layout_s(table: Table, params: SystolicNpuParams, vector_rate: Array) -> Array:
    """Seconds in which the vector unit brings an image into the array's layout; see :func:`layout_elements`.

    assumption: pointwise convolutions of colours come before that, on the image as it lies.
    """
    share = params.kernels.column(table, "layout")
    colours = table.channels * table.groups
    image = (colours > 0) & (colours <= params.image_channels) & (table.kh * table.kw > 1)
    pixels = table.a_elements / np.maximum(colours, 1.0)
    elements = layout_elements(pixels, params.channel_tile, table.batch * table.m, table.k)
    seconds: Array = np.where(image & (share > 0.0), elements / np.maximum(vector_rate * share, _LEAST_RATE), 0.0)
    return seconds


def _widening_s(table: Table, params: SystolicNpuParams, vector_rate: Array) -> Array:
    """Seconds in which the vector unit turns integer weights into the floats that the arrays multiply."""
    share = params.kernels.column(table, "widen")
    mixed = (table.b_is_weight > 0) & _INTEGER[table.b_format] & ~_INTEGER[table.format]
    seconds: Array = np.where(
        mixed & (share > 0.0), table.b_elements / np.maximum(vector_rate * share, _LEAST_RATE), 0.0
    )
    return seconds


def _tail_s(table: Table, params: SystolicNpuParams) -> Array:
    """Seconds of the last tile of weights after it has come."""
    cycles = last_tile_cycles(_tile_steps(table, params), params.rows, params.cols)
    seconds: Array = cycles / (params.clock_hz * params.kernels.column(table, "compute"))
    return seconds


def _is_ahead(table: Table, params: SystolicNpuParams) -> bool:
    """Whether the weights of a table's first row are fetched ahead on the first chip."""
    weights = table.form is Form.GEMM and bool(table.b_is_weight[0, 0])
    return weights and bool(params.weight_fifo[0, 0] > 0)


def _tile_steps(table: Table, params: SystolicNpuParams) -> Array:
    """Cycles in which inputs stream past one tile of weights."""
    steps: Array = table.m * np.maximum(1.0, 1.0 / params.lanes[:, table.format[0]])
    return steps


def array_seconds(table: Table, params: SystolicNpuParams) -> Mapping[str, Array]:
    """Seconds, (chips, rows), in which arrays stream inputs past weights, shift weights in and wait for them.

    What is left of an operator's time is launch, fill and drain. Arrays of one chip share the tiles.
    """
    constant = params.kernels.column
    k = _window_length(table, params)
    _, b, _, padding = _operand_bytes(table, params, k, constant(table, "whole_tiles"))
    dot = np.maximum(1.0, params.lanes[:, table.format[0]])
    tiles = np.ceil(k / dot / params.rows) * np.ceil(table.n / params.cols) * table.batch / params.units
    clock = params.clock_hz * constant(table, "compute")
    streamed = (b + padding) * (1.0 - _held_share(table, params)) * (table.b_is_weight > 0)
    load = streamed / (params.dram_bytes_per_s * constant(table, "memory")) / tiles * clock
    thin = (table.groups > 1) | (np.minimum(table.m, table.n) <= 1)
    count = np.where(thin & (constant(table, "vector") > 0), 0.0, tiles) / clock
    names = ("array active", "weight shift", "weight stall")
    cycles = array_activity(_tile_steps(table, params), params.rows, load)
    return {name: count * part for name, part in zip(names, cycles, strict=True)}


def shown_terms(
    table: Table, params: SystolicNpuParams, terms: Terms, activity: Mapping[str, Array]
) -> Sequence[tuple[str, float, str]]:
    """The terms of one row on the first chip, in the order of the formula: (term, value, unit)."""
    matrix = table.form in (Form.GEMM, Form.ATTENTION)
    rate = params.rate(table) if matrix else params.vector_rate(table)
    tail = _tail_s(table, params) if _is_ahead(table, params) else np.zeros((1, 1))
    form = "((compute - last)^p + transfer^p)^(1/p) + last" if tail.any() else "(compute^p + transfer^p)^(1/p)"
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
        *([("last tile, computed on after it has come", tail, "s")] if tail.any() else []),
        *[(f"{name}, part of the time", seconds, "s") for name, seconds in activity.items()],
        (f"time = launch + {form}", terms["launch_s"] + terms["busy_s"], "s"),
    ]
    return [(label, float(column[0, 0]), unit) for label, column, unit in shown]


def attention_terms(table: Table, params: SystolicNpuParams) -> Terms:
    """Two products a score in blocks of queries, or their softmax, against K and V."""

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
    compute = np.maximum(first + second, softmax / constant("softmax"))
    total = table.bytes_in + table.bytes_out
    moved = total * (1.0 - kept_share(total, constant("keep") * params.scratchpad_bytes))
    memory = moved / (params.dram_bytes_per_s * constant("memory"))
    busy = overlap_time_s(compute, memory, constant("overlap"))
    launch = params.kernels.column(table, "launch")
    own = params.kernels.column(table, "decode_launch")
    launch = np.where((table.seq_q <= _DECODE_ROWS) & (own >= 0.0), own, launch)
    return Terms(
        busy_s=busy,
        compute_s=compute,
        memory_s=memory,
        launch_s=launch,
        prologue_s=np.zeros_like(busy),
        dram_bytes=moved,
        cache_bytes=total,
    )


def _window_length(table: Table, params: SystolicNpuParams) -> Array:
    """Summed length with input channels padded to the channel tile and skipped weights left out.

    Images, of at most ``image_channels`` channels, are padded by rows of the window instead.
    """
    channels, tile = np.maximum(table.channels, 1.0), params.channel_tile
    positions = np.maximum(1.0, table.k / channels)
    padded = np.ceil(channels / tile) * tile * positions
    by_rows = np.ceil(channels * table.kw / tile) * tile * positions / table.kw
    padded = np.where(channels <= params.image_channels, by_rows, padded)
    k = np.where(table.channels > 0, padded, table.k)
    kept = np.maximum(table.b_density, 1.0 / params.sparse_speedup)
    length: Array = np.ceil(k * kept)
    return length


def _operand_bytes(table: Table, params: SystolicNpuParams, k: Array, whole: Array) -> tuple[Array, ...]:
    """Bytes behind A, B and C, and those fetched with B where the stack fetches stationary weights in whole tiles."""
    a = table.a_elements * _BYTES[table.a_format[0]]
    element = _BYTES[table.b_format[0]]
    compressed = table.b_storage < 1.0  # comes as a stream, not in whole tiles
    share = np.where(compressed, table.b_storage, np.maximum(table.b_density, 1.0 / params.sparse_speedup))
    b = table.b_elements * element * share
    tiles = np.ceil(k / params.rows) * np.ceil(table.n / params.cols) * table.batch
    padding = np.maximum(tiles * params.rows * params.cols * element - b, 0.0) * whole * table.b_is_weight * ~compressed
    return a, b, table.bytes_out + np.zeros_like(b), padding


def _array_time_s(table: Table, params: SystolicNpuParams, k: Array, a: Array, b: Array) -> Array:
    """Seconds of the slowest array's share: its cycles, or its operands' way from the scratchpad."""
    constant = params.kernels.column
    together = packed_groups(table.groups, np.maximum(table.channels, 1.0), params.channel_tile)
    batch = np.ceil(table.batch / together)
    return dealt_time_s(
        table.m,
        table.n * together,
        k,
        batch,
        params.geometry(table),
        params.clock_hz * constant(table, "compute"),
        a / (batch * table.m),
        b / (table.batch * table.n),
        params.scratchpad_bytes_per_s * constant(table, "feed") / params.units,
    )


def _beyond_chip(table: Table, params: SystolicNpuParams, inputs: Array, b: Array, c: Array) -> tuple[Array, ...]:
    """(weights, all loads, stores) that pass DRAM; what stays on chip does not."""
    keep = params.kernels.column(table, "keep") * params.scratchpad_bytes
    weights = np.where(table.b_is_weight > 0, b, 0.0)
    others = np.maximum(inputs - weights, 0.0)
    resident = kept_share(others + c, keep)
    again = params.kernels.column(table, "weights_cached")
    if np.any(again):
        again = again * kept_share(others + c + np.maximum(weights, table.cycled_bytes), keep)
    streamed = weights * (1.0 - _held_share(table, params)) * (1.0 - again)
    return streamed, streamed + others * (1.0 - resident), c * (1.0 - resident)


def _held_share(table: Table, params: SystolicNpuParams) -> Array:
    """Share of a product's weights that never leaves the chip: so many bytes of all the graph has, or a set share."""
    held = params.kernels.column(table, "weights_held")
    if not np.any(held):
        return params.kernels.column(table, "weights_stay")
    part = np.minimum(1.0, held / np.maximum(table.cycled_bytes, 1.0))
    share: Array = np.maximum(part, params.kernels.column(table, "weights_stay"))
    return share


def vector_terms(table: Table, params: SystolicNpuParams) -> Terms:
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
        wide = (constant(table, "wide") > 0.0) & (table.cols > constant(table, "wide"))
        compute = np.where(wide, elements * constant(table, "element"), compute)
        host = constant(table, "host")
        compute = np.where(host > 0.0, elements * host / params.host_op_per_s, compute)
    fill: Array | float = 1.0
    if table.form is Form.MAP:
        fill = register_fill(table.elements, table.longest, params.register_rows, params.register_cols)
        compute = np.maximum(compute / fill, elements * constant(table, "element"))
    total = (table.bytes_in + table.bytes_out) / fill
    near = total / (params.scratchpad_bytes_per_s * constant(table, "feed"))
    resident = kept_share(total, constant(table, "keep") * params.scratchpad_bytes)
    moved = (total + again) * (1.0 - resident)
    memory = moved / (params.dram_bytes_per_s * constant(table, "memory"))
    busy = overlap_time_s(np.maximum(compute, near), memory, constant(table, "overlap"))
    return Terms(
        busy_s=busy,
        compute_s=compute,
        memory_s=memory,
        launch_s=constant(table, "launch"),
        prologue_s=np.zeros_like(busy),
        dram_bytes=moved,
        cache_bytes=total + np.zeros_like(busy),
    )
