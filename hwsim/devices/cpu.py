"""CPU: cores with SIMD, fused multiply-add ports and matrix units, cache levels, DRAM.

A kernel takes ``launch + before + (compute^p + transfer^p)^(1/p)``: compute at the peak of SIMD or matrix units, less
for vectors and cores that are not full (:mod:`hwsim.cost.cpu`); transfer at the bandwidth of the nearest level that
holds the working set; before that, where the stack says so, weights are read and brought into the kernel's layout, and
pages of large buffers cleared.
The ceilings and p belong to the software stack.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from types import MappingProxyType
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from hwsim.cost.cpu import (
    blocked_traffic_bytes,
    column_traffic_bytes,
    fresh_pages,
    layout_copies,
    level_bandwidth_bytes_per_s,
    parallel_share,
    thread_speedup,
    tiled_multiplications,
    vector_fill,
)
from hwsim.cost.roofline import overlap_time_s
from hwsim.devices.base import KINDS, NOMINAL, Array, Costs, DeviceKind, OperatingPoint, Params, common_params, settle
from hwsim.devices.cpu_section import CpuSection, simd_peaks
from hwsim.devices.params import every_format
from hwsim.graph.lowering import Table, tables_of
from hwsim.graph.tensor import BITS, FORMATS
from hwsim.graph.work import Form, Work
from hwsim.specs.device import DeviceSpec
from hwsim.specs.fields import Quantity, Ratio
from hwsim.specs.software import SoftwareSpec

__all__ = ["Cpu", "CpuParams", "CpuSection"]

_BYTES: Array = np.array([BITS[name] / 8.0 for name in FORMATS])
_LEVELS = 3
# Outputs of a block that one core computes, each way (K. Goto and R. van de Geijn, 2008: mc x nc panels).
_BLOCK = 64.0
# Operations an exponential costs as a polynomial of degree six with range reduction (J.-M. Muller, "Elementary
# functions", 3rd edition, 2016, chapter 11).
_SPECIAL_FLOP = 10.0
# Channels below which tiles of 4 x 4 outputs are not worth their transforms, and how much larger 3 x 3 weights are once
# transformed for them (6 x 6 places).
_TILED_CHANNELS = 16
_TILED_WEIGHTS = 4.0
_LEAST_RATE = 1e-30


@dataclass(frozen=True, slots=True, kw_only=True)
class CpuParams(Params):
    """Numbers of one or many CPUs; caches as (chips, levels), nearest the cores first, empty levels of no capacity."""

    cores: Array
    threads: Array
    clock_hz: Array
    in_order: Array
    simd_bits: Array
    cache_bytes: Array
    cache_bytes_per_s: Array


@dataclass(frozen=True, slots=True, kw_only=True)
class _Terms:
    """The terms of a kernel's time, columns of shape (chips, rows); ``busy_s`` holds ``before_s`` too."""

    busy_s: Array
    before_s: Array
    compute_s: Array
    transfer_s: Array
    launch_s: Array
    dram_bytes: Array
    cache_bytes: Array

    def settled(self, table: Table, params: CpuParams, *, vector: bool = False) -> Costs:
        """Full cost columns; weights and pages before the rest count as transfer."""
        return settle(
            table,
            params,
            busy_s=self.busy_s,
            compute_s=self.compute_s,
            memory_s=self.transfer_s + self.before_s,
            launch_s=self.launch_s,
            dram_bytes=self.dram_bytes,
            cache_bytes=self.cache_bytes,
            vector=vector,
        )


_RANGES: Mapping[str, tuple[float, float]] = MappingProxyType(
    {"compute": (1e-5, 2.0), "memory": (1e-5, 10.0), "overlap": (0.1, 100.0), "keep": (0.0, 4.0), "serial": (0.0, 1.0)}
    | {"columns": (0.0, 1.0), "packed": (0.0, 1.0), "apart": (0.0, 1.0), "relaid": (0.0, 1.0)}
    | {"small": (0.0, 1e9), "split": (0.0, 1.0), "winograd": (0.0, 2.0), "apiece": (0.0, 1.0)}
    | {"cycles": (0.0, 1e9), "stored": (0.1, 1.0)}
)
_COMMON = {"compute": 0.7, "memory": 0.7, "overlap": 3.0, "keep": 0.5, "serial": 0.0}
_COMMON |= dict.fromkeys(("columns", "packed", "apart", "relaid", "small", "split", "setup", "page"), 0.0)
_COMMON |= dict.fromkeys(("winograd", "apiece", "sync", "cycles"), 0.0) | {"stored": 1.0}


class Cpu(DeviceKind[CpuParams]):
    """Cores, caches, DRAM."""

    name: ClassVar[str] = "cpu"
    section: ClassVar[type[CpuSection]] = CpuSection
    constants: ClassVar[Mapping[str, Ratio | Quantity]] = MappingProxyType(
        {name: Quantity(name, "s", zero=True) for name in ("launch", "setup", "page", "sync")}
        | {name: Ratio(name, low, high) for name, (low, high) in _RANGES.items()}
    )
    """``compute`` and ``memory``: shares of the units' and the memory's peak that are reached. ``overlap``: the
    exponent p. ``keep``: share of each cache that holds tensors between operators. ``serial``: Amdahl's share that
    does not thread. ``columns``: 1 where a convolution lays out its windows as columns first (im2col).
    ``packed``: 1 where a product copies its operands into panels first, which matrix-vector products do not.
    ``apart``: 1 where stored weights arrive before a product computes, from the level that holds those of the network.
    ``relaid``: 1 where a convolution brings its weights into the layout of its kernel in every run; ``setup``: what
    it takes to start one beyond a launch. Neither holds for an image's convolution of one place over at most ``small``
    inputs, which runs as a product. ``split``: 1 where reductions of few rows are cut along them. ``page``: the time to
    clear a page of a buffer too large to be kept.
    ``winograd``: the share of ``compute`` that tiles of outputs reach in 3 x 3 convolutions of stride 1, where that is
    faster (0: never). ``cycles``: clocks of a core that a kernel takes to start, beside ``launch``. ``apiece``: what
    each further group of a convolution takes of a start (1: it is a kernel of its own). ``sync``: what each further
    thread adds to a kernel's start and end. ``stored``: bytes of stored weights over those of the graph's format."""
    defaults: ClassVar[Mapping[str, Mapping[str, float]]] = MappingProxyType(
        {
            Form.GEMM: _COMMON,
            Form.ATTENTION: _COMMON | {"compute": 0.4},
            Form.MAP: _COMMON,
            Form.REDUCE: _COMMON,
            Form.MOVE: _COMMON,
        }
    )

    def params(self, spec: DeviceSpec, stack: SoftwareSpec, at: OperatingPoint = NOMINAL) -> CpuParams:
        """Peaks of SIMD and matrix units, caches nearest the cores first."""
        core: CpuSection = spec.core
        simd, peaks = every_format(simd_peaks(core)), every_format(dict(self.peaks(spec)))
        one = np.ones((1, 1))
        caches = [(level.capacity_bytes, level.bandwidth_bytes_per_s or np.inf) for level in spec.memory[:0:-1]]
        share = core.used_cores / core.cores
        caches[: core.private] = [(size * share, rate * share) for size, rate in caches[: core.private]]
        caches = (caches + [(0.0, np.inf)] * _LEVELS)[:_LEVELS]
        common = common_params(spec, stack, at, peak=peaks, vector_peak=simd, defaults=self.defaults)
        reached = core.used_cores * (core.core_bandwidth_bytes_per_s or np.inf)
        return CpuParams(
            **common | {"dram_bytes_per_s": np.minimum(common["dram_bytes_per_s"], reached)},
            cores=one * core.used_cores,
            threads=one * (core.threads or core.cores),
            clock_hz=one * core.clock_hz * at.clock,
            in_order=one * core.in_order,
            simd_bits=one * core.simd_bits,
            cache_bytes=np.array([[size for size, _ in caches]]),
            cache_bytes_per_s=np.array([[rate for _, rate in caches]]) * at.clock,
        )

    def peaks(self, spec: DeviceSpec) -> Mapping[str, float]:
        """The matrix unit's rate where there is one, else the SIMD units'."""
        core: CpuSection = spec.core
        clock = core.matrix_clock_hz or core.clock_hz
        matrix = {fmt: core.used_cores * clock * rate for fmt, rate in core.matrix.items()}
        return simd_peaks(core) | matrix

    def price_gemm(self, table: Table, params: CpuParams) -> Costs:
        """Blocked products on full or partly full vectors and cores."""
        return _gemm_terms(table, params).settled(table, params)

    def price_attention(self, table: Table, params: CpuParams) -> Costs:
        """Both products and the softmax, heads and query blocks dealt to cores."""
        return _attention_terms(table, params).settled(table, params)

    def price_map(self, table: Table, params: CpuParams) -> Costs:
        """Vector operations against bytes."""
        return _vector_terms(table, params).settled(table, params, vector=True)

    def price_reduce(self, table: Table, params: CpuParams) -> Costs:
        """Vector operations against bytes; a row stays in the nearest cache between passes."""
        return _vector_terms(table, params).settled(table, params, vector=True)

    def price_move(self, table: Table, params: CpuParams) -> Costs:
        """Bytes alone."""
        return _vector_terms(table, params).settled(table, params, vector=True)

    def explain(self, work: Work, params: CpuParams) -> Sequence[tuple[str, float, str]]:
        """Operations, bytes and the terms of the time."""
        (table,) = tables_of([work]).values()
        by_form = {Form.GEMM: _gemm_terms, Form.ATTENTION: _attention_terms}
        terms = by_form.get(table.form, _vector_terms)(table, params)
        rate = params.rate(table) if table.form in by_form else params.vector_rate(table)
        shown: list[tuple[str, Array, str]] = [
            ("operations", table.flop, "FLOP"),
            ("peak of the cores", rate, "FLOP/s"),
            ("compute: operations / (peak x ceiling x full vectors x full cores)", terms.compute_s, "s"),
            ("bytes through DRAM", terms.dram_bytes, "B"),
            ("bytes from the nearest level that holds them", terms.cache_bytes, "B"),
            ("DRAM bandwidth", params.dram_bytes_per_s, "B/s"),
            ("transfer", terms.transfer_s, "s"),
            ("before: weights read and laid out, pages cleared", terms.before_s, "s"),
            ("overlap exponent p", params.kernels.column(table, "overlap"), ""),
            ("launch", terms.launch_s, "s"),
            ("time = launch + before + (compute^p + transfer^p)^(1/p)", terms.launch_s + terms.busy_s, "s"),
        ]
        return [(label, float(column[0, 0]), unit) for label, column, unit in shown]


def _levels(table: Table, params: CpuParams, working_set: Array) -> tuple[Array, NDArray[np.bool_]]:
    """Bandwidth of the nearest level that holds a working set, and whether a cache does."""
    keep = params.kernels.column(table, "keep")
    sizes = [keep * params.cache_bytes[:, [level]] for level in range(_LEVELS)]
    rates = [params.cache_bytes_per_s[:, [level]] for level in range(_LEVELS)]
    bandwidth = level_bandwidth_bytes_per_s(working_set, [*sizes, np.inf], [*rates, params.dram_bytes_per_s])
    return bandwidth, np.maximum.reduce([working_set <= size for size in sizes])


def _finished(table: Table, params: CpuParams, compute: Array, moved: Array) -> _Terms:
    """The terms of a kernel that computes for so long and moves so many bytes."""
    constant = params.kernels.column
    bandwidth, held = _levels(table, params, moved)
    memory = moved / (bandwidth * constant(table, "memory"))
    overlap = np.where(params.in_order > 0.0, 1.0, constant(table, "overlap"))
    cleared = constant(table, "page") * fresh_pages(table.bytes_out)
    return _Terms(
        busy_s=overlap_time_s(compute, memory, overlap) + cleared,
        before_s=cleared + np.zeros_like(compute),
        compute_s=compute,
        transfer_s=memory,
        launch_s=_start_s(table, params),
        dram_bytes=np.where(held, 0.0, moved),
        cache_bytes=moved + np.zeros_like(compute),
    )


def _start_s(table: Table, params: CpuParams) -> Array:
    """What a kernel takes beside its work: handing it out, and threads that meet at its end."""
    constant = params.kernels.column
    found: Array = constant(table, "launch") + constant(table, "cycles") / params.clock_hz
    return found + constant(table, "sync") * (params.threads - 1.0)


def _with_weights(table: Table, params: CpuParams, terms: _Terms, read: Array, places: Array) -> _Terms:
    """The terms of a product that reads stored weights of so many bytes first, and lays those of a convolution out."""
    constant = params.kernels.column
    weights = table.b_is_weight * table.b_elements * _BYTES[table.b_format[0]] * table.b_storage
    one_image = (table.m == table.out_h * table.out_w) & (table.groups == 1) & (places == 1)
    inputs = table.channels * table.m * table.stride**2
    own = (table.channels > 0) & ~(one_image & (inputs <= constant(table, "small")))
    bandwidth, held = _levels(table, params, np.maximum(weights, table.cycled_bytes))
    copies = own * constant(table, "relaid") * layout_copies(places)
    before = read / (bandwidth * constant(table, "memory")) + copies * (
        weights / bandwidth + constant(table, "page") * fresh_pages(weights)
    )
    return replace(
        terms,
        busy_s=terms.busy_s + before,
        before_s=terms.before_s + before,
        launch_s=terms.launch_s + own * constant(table, "setup"),
        dram_bytes=terms.dram_bytes + np.where(held, 0.0, read),
        cache_bytes=terms.cache_bytes + read + 2.0 * copies * weights,
    )


def _threaded(table: Table, params: CpuParams, pieces: Array, rate: Array) -> Array:
    """Operations per second of all cores on so many indivisible pieces, at the kernel's ceiling."""
    constant = params.kernels.column
    speedup = thread_speedup(params.cores, constant(table, "serial")) / params.cores
    full: Array = rate * constant(table, "compute") * parallel_share(pieces, params.cores) * speedup
    return np.maximum(full, _LEAST_RATE)


def _gemm_terms(table: Table, params: CpuParams) -> _Terms:
    constant = params.kernels.column
    lanes = params.simd_bits / (8.0 * _BYTES[table.format[0]])
    pieces = table.batch * np.ceil(table.m / _BLOCK) * np.ceil(table.n / _BLOCK)
    # A thin product is cut along its long side; a group of one column is vectorized over rows (depthwise).
    fill = np.maximum(vector_fill(table.n, lanes), vector_fill(table.m, lanes))
    rate = _threaded(table, params, np.maximum(pieces, table.batch), params.rate(table)) * fill
    found = _product_terms(table, params, table.flop / rate, 1.0)
    tiled = constant(table, "winograd") * _tiles(table)
    if tiled.any():
        images = table.m / np.maximum(table.out_h * table.out_w, 1.0)
        flop = 2.0 * images * tiled_multiplications(table.out_h, table.out_w, table.channels, table.n)
        compute = np.where(tiled > 0.0, flop / (rate * np.maximum(tiled, _LEAST_RATE)), np.inf)
        found = _faster(found, _product_terms(table, params, compute, _TILED_WEIGHTS))
    kernels = np.where(table.channels > 1, 1.0 + constant(table, "apiece") * (table.groups - 1.0), 1.0)
    return replace(found, launch_s=found.launch_s * kernels)


def _faster(one: _Terms, other: _Terms) -> _Terms:
    """The terms of the faster of two ways to compute the same, row by row."""
    better = other.busy_s < one.busy_s
    return _Terms(
        **{each.name: np.where(better, getattr(other, each.name), getattr(one, each.name)) for each in fields(one)}
    )


def _tiles(table: Table) -> NDArray[np.bool_]:
    """Convolutions that may be computed over tiles of outputs: 3 x 3, dense, with channels enough for vectors."""
    window = (table.kh == 3) & (table.kw == 3) & (table.stride == 1) & (table.out_h > 0)
    wide = (table.channels >= _TILED_CHANNELS) & (table.n >= _TILED_CHANNELS)
    return np.asarray(window & wide & (table.groups == 1), dtype=np.bool_)


def _product_terms(table: Table, params: CpuParams, compute: Array, weights: float) -> _Terms:
    """The terms of a product that computes for so long, with weights of so many times their size."""
    batch = table.batch
    a = table.a_elements * _BYTES[table.a_format[0]] + table.epilogue_bytes
    stored = np.where(table.b_is_weight > 0, weights * params.kernels.column(table, "stored"), 1.0)
    b = stored * table.b_elements * _BYTES[table.b_format[0]] * table.b_storage
    cache = params.cache_bytes.max(axis=1, keepdims=True)
    element = _BYTES[table.a_format[0]]
    moved = batch * blocked_traffic_bytes(
        a / batch, b / batch, table.bytes_out / batch, table.m, table.n, np.maximum(cache, 1.0), element
    )
    packed = params.kernels.column(table, "packed") * ((table.m > 1) & (table.n > 1))
    moved = moved + packed * 2.0 * (a + b)  # written and read once more (Goto and van de Geijn, 2008, section 4)
    columns = params.kernels.column(table, "columns")
    places = np.where(table.channels > 0, table.k / np.maximum(table.channels, 1.0), 1.0)
    moved = moved + columns * batch * column_traffic_bytes(table.m, table.k, places, element)
    apart = params.kernels.column(table, "apart") * table.b_is_weight * b
    return _with_weights(table, params, _finished(table, params, compute, moved - apart), apart, places)


def _attention_terms(table: Table, params: CpuParams) -> _Terms:
    pieces = table.batch * table.heads * np.ceil(table.seq_q / _BLOCK)
    masked = np.where((table.causal > 0) & (table.seq_q > 1), 0.5, 1.0)
    scores = masked * table.batch * table.heads * table.seq_q * table.seq_kv
    products = 4.0 * scores * table.head_dim / _threaded(table, params, pieces, params.rate(table))
    softmax = (4.0 + _SPECIAL_FLOP) * scores / _threaded(table, params, pieces, params.vector_rate(table))
    return _finished(table, params, products + softmax, table.bytes_in + table.bytes_out)


def _vector_terms(table: Table, params: CpuParams) -> _Terms:
    moved = table.bytes_in + table.bytes_out
    if table.form is Form.MOVE:
        return _finished(table, params, np.zeros((len(params.cores), len(table))), moved)
    count = table.elements if table.form is Form.MAP else table.rows * table.cols
    pieces = np.ceil(count / 1024.0)
    if table.form is Form.REDUCE:
        pieces = np.maximum(table.rows, params.kernels.column(table, "split") * pieces)
    work = count * (table.flop_per_element + _SPECIAL_FLOP * table.special_per_element)
    return _finished(table, params, work / _threaded(table, params, pieces, params.vector_rate(table)), moved)


KINDS.add(Cpu.name, Cpu())
