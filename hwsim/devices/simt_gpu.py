"""SIMT GPU: streaming multiprocessors with tensor cores, a shared L2 and DRAM.

Formulas of :mod:`hwsim.cost`: tiles, waves, split-K for products, query tiles and key splits for attention, streams and
rows for the rest. What a chip can do comes from ``simt_gpu:`` and ``memory:``, the kernels' part from ``software:``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Annotated, Any, ClassVar, TypeVar

import numpy as np
from numpy.typing import NDArray

from hwsim.cost import attention, norm, streaming, tiling
from hwsim.cost.cache import resident_share
from hwsim.devices.base import KINDS, NOMINAL, Array, Costs, DeviceKind, OperatingPoint, Params, common_params, settle
from hwsim.devices.simt_constants import COMMON, CONSTANTS, DEFAULTS, STREAM
from hwsim.devices.simt_convolution import or_winograd, padded_k
from hwsim.graph.lowering import Table, tables_of
from hwsim.graph.tensor import BITS, FORMAT_CODE, FORMATS
from hwsim.graph.work import Form, Work
from hwsim.specs.device import DeviceSpec
from hwsim.specs.fields import Count, Formats, Quantity, Ratio, Text
from hwsim.specs.software import SoftwareSpec

__all__ = ["SimtGpu", "SimtGpuSection", "SimtParams"]

_BYTES: Array = np.array([BITS[name] / 8.0 for name in FORMATS])
_INTEGER = np.array([name.startswith(("int", "bool")) for name in FORMATS])


@dataclass(frozen=True, slots=True, kw_only=True)
class SimtGpuSection:
    """``simt_gpu:`` of a device YAML.

    ``tensor`` and ``vector`` are operations (a fused multiply-add is two) per clock and SM by format;
    ``vector_clock`` is the clock the vector peak is quoted at when it differs from ``clock``;
    ``special`` are special-function results (exp, rsqrt ...) per clock and SM; ``l1_per_sm`` is what a multiprocessor
    caches of memory where that is not the memory it shares among threads (assumption: else as much as those may share).
    """

    sms: Annotated[int, Count("sms")]
    clock_hz: Annotated[float, Quantity("clock", "Hz")]
    vector_clock_hz: Annotated[float, Quantity("vector_clock", "Hz")] = 0.0
    warp_size: Annotated[int, Count("warp_size")] = 32
    max_warps_per_sm: Annotated[int, Count("max_warps_per_sm")] = 64
    max_blocks_per_sm: Annotated[int, Count("max_blocks_per_sm")] = 32
    registers_per_sm: Annotated[int, Count("registers_per_sm")] = 65536
    shared_memory_per_sm_bytes: Annotated[float, Quantity("shared_memory_per_sm", "bytes")] = 65536.0
    l1_per_sm_bytes: Annotated[float, Quantity("l1_per_sm", "bytes", zero=True)] = -1.0
    tensor: Annotated[Mapping[str, float], Formats("tensor", Ratio("", 0.0), FORMATS)] = field(default_factory=dict)
    vector: Annotated[Mapping[str, float], Formats("vector", Ratio("", 0.0), FORMATS)] = field(default_factory=dict)
    special: Annotated[float, Ratio("special", 0.0)] = 16.0
    source: Annotated[str, Text("source")] = ""
    assumption: Annotated[str, Text("assumption")] = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SimtParams(Params):
    """Numbers of SIMT chips, each (chips, 1); ``peak`` is that of the fastest unit for each format."""

    sms: Array
    cache_bytes: Array
    registers_per_sm: Array
    shared_bytes_per_sm: Array
    threads_per_sm: Array
    max_blocks_per_sm: Array
    near_bytes: Array
    special_per_s: Array


C = TypeVar("C")


def _constants(cls: type[C], table: Table, params: SimtParams, **given: Any) -> C:
    """A set of constants of the table's rows; a field ``wave_s`` is the YAML's ``wave``."""
    names = [f.name for f in fields(cls) if f.name not in given]  # type: ignore[arg-type]
    return cls(**given, **{name: params.kernels.column(table, name.removesuffix("_s")) for name in names})


class SimtGpu(DeviceKind[SimtParams]):
    """Streaming multiprocessors, tensor cores, L2, DRAM."""

    name: ClassVar[str] = "simt_gpu"
    section: ClassVar[type[SimtGpuSection]] = SimtGpuSection
    constants: ClassVar[Mapping[str, Ratio | Quantity]] = CONSTANTS
    defaults: ClassVar[Mapping[str, Mapping[str, float]]] = DEFAULTS

    def params(self, spec: DeviceSpec, stack: SoftwareSpec, at: OperatingPoint = NOMINAL) -> SimtParams:
        """Rates at the operating point; the second memory of the file is the cache."""
        core: SimtGpuSection = spec.core
        vector = {name: rate * core.sms * (core.vector_clock_hz or core.clock_hz) for name, rate in core.vector.items()}
        one = np.ones((1, 1))
        near = core.l1_per_sm_bytes if core.l1_per_sm_bytes >= 0.0 else core.shared_memory_per_sm_bytes
        return SimtParams(
            **common_params(spec, stack, at, peak=self.peaks(spec), vector_peak=vector, defaults=self.defaults),
            sms=one * core.sms,
            cache_bytes=one * (spec.memory[1].capacity_bytes if len(spec.memory) > 1 else 0.0),
            registers_per_sm=one * core.registers_per_sm,
            shared_bytes_per_sm=one * core.shared_memory_per_sm_bytes,
            threads_per_sm=one * core.max_warps_per_sm * core.warp_size,
            max_blocks_per_sm=one * core.max_blocks_per_sm,
            near_bytes=one * near,
            special_per_s=one * core.special * core.sms * core.clock_hz * at.clock,
        )

    def peaks(self, spec: DeviceSpec) -> Mapping[str, float]:
        """SMs x operations per clock and SM x clock of the faster of tensor and vector units."""
        core: SimtGpuSection = spec.core
        clock = core.vector_clock_hz or core.clock_hz
        tensor = {name: rate * core.sms * core.clock_hz for name, rate in core.tensor.items()}
        vector = {name: rate * core.sms * clock for name, rate in core.vector.items()}
        return {name: max(tensor.get(name, 0.0), vector.get(name, 0.0)) for name in FORMATS if name in tensor | vector}

    def price_gemm(self, table: Table, params: SimtParams) -> Costs:
        """Tiles on tensor cores; a convolution runs as Winograd's, or grouped directly, where that is faster.

        Activations wider than the format of the product are narrowed by a kernel of their own first.
        """
        problem, limits = _gemm_problem(table, params), _simt_limits(table, params)
        constants = _gemm_constants(table, params)
        tiled = tiling.tiled_gemm_time(problem, limits, constants)
        tiled = or_winograd(table, params.kernels, problem, limits, constants, tiled)
        fixed, kernel, compute, memory = tiled.fixed_s, tiled.kernel_s, tiled.compute_s, tiled.memory_s
        resident = tiling.gemm_resident_share(problem, limits, constants)
        if np.any(table.groups > 1):
            direct = _direct_time(table, params)
            better = (table.groups > 1) & (direct.time_s < tiled.time_s)
            fixed, kernel = np.where(better, direct.fixed_s, fixed), np.where(better, direct.kernel_s, kernel)
            compute, memory = np.where(better, direct.compute_s, compute), np.where(better, direct.memory_s, memory)
        wide = np.where(_narrowed_first(table), 1.0, 0.0)
        if np.any(wide):
            first = _narrowing_time(table, params)
            fixed, kernel = fixed + wide * first.fixed_s, kernel + wide * first.kernel_s
            memory = memory + wide * first.memory_s
        return settle(
            table,
            params,
            busy_s=kernel,
            compute_s=compute,
            memory_s=memory,
            launch_s=fixed,
            dram_bytes=tiling.gemm_bytes(problem) * (1.0 - resident),
            cache_bytes=tiling.tile_traffic_bytes(problem, tiled.tile),
        )

    def price_attention(self, table: Table, params: SimtParams) -> Costs:
        """A single query takes the decode kernel, which splits the keys; more take tiles of queries.

        A prompt of a single token takes tiles where the stack has ``lone_prompt`` at 1 (TensorRT-LLM; FlashAttention
        takes the decode kernel). Energy is that of whole tiles of ``tile`` queries and keys.
        """
        problem, limits = _attention_problem(table), _attention_limits(table, params)
        constants = _constants(attention.AttentionConstants, table, params)
        kernel = attention.attention_time(problem, limits, constants)
        alone = (table.causal > 0) & (table.seq_kv <= 1) & (params.kernels.column(table, "lone_prompt") > 0.0)
        if np.any(alone):
            works = tuple(replace(work, kernel="attention_prefill") for work in table.works)
            constants = _constants(attention.AttentionConstants, Table(table.form, works, table.index), params)
            kernel = attention.picked(attention.prefill_time(problem, limits, constants), kernel, alone)
        switched = attention.tiled_flop(problem, params.kernels.column(table, "tile"))
        return settle(
            table,
            params,
            busy_s=kernel.kernel_s,
            compute_s=kernel.compute_s,
            memory_s=kernel.memory_s,
            launch_s=kernel.fixed_s,
            dram_bytes=attention.attention_bytes(problem),
            switched=switched,
            instructions=switched / (4.0 * table.head_dim) * params.kernels.column(table, "instructions"),
        )

    def price_map(self, table: Table, params: SimtParams) -> Costs:
        """A stream; plain arithmetic and special functions run on separate units.

        A written byte takes ``write`` times as long as a read one.
        """
        plain = table.elements * table.flop_per_element / _vector_rate(table, params)
        special = table.elements * table.special_per_element / params.special_per_s
        moved = table.bytes_in + table.bytes_out
        slowdown = (table.bytes_in + params.kernels.column(table, "write") * table.bytes_out) / moved
        return self._streamed(table, params, np.maximum(plain, special), moved, slowdown)

    def price_move(self, table: Table, params: SimtParams) -> Costs:
        """A stream without arithmetic; what is not contiguous moves at the constant ``strided`` of that speed."""
        slowdown = np.where(table.contiguous > 0, 1.0, 1.0 / params.kernels.column(table, "strided"))
        return self._streamed(table, params, np.zeros((1, 1)), table.bytes_in + table.bytes_out, slowdown)

    def _streamed(
        self, table: Table, params: SimtParams, compute_s: Array, moved: Array, slowdown: Array | float = 1.0
    ) -> Costs:
        constants = _constants(streaming.StreamConstants, table, params)
        cols = table.cols if table.form is Form.MAP else 0.0
        limits = _stream_limits(params)
        kernel = streaming.stream_time(moved * slowdown, table.elements, compute_s, limits, constants, cols)
        resident = resident_share(moved, params.cache_bytes, constants.resident_all, constants.resident_none)
        return _settled(table, params, kernel, table.elements, moved * (1.0 - resident), moved)

    def price_reduce(self, table: Table, params: SimtParams) -> Costs:
        """Rows, a block each; long rows are read again."""
        moved = table.bytes_in + table.bytes_out
        own = table.bytes_in - table.shared_bytes
        problem = norm.RowProblem(
            rows=table.rows,
            cols=table.cols,
            read_bytes=own,
            moved_bytes=moved,
            rereads=table.passes - 1.0,
            shared_bytes=table.shared_bytes,
            element_bytes=_width(table, "format"),
        )
        elements = table.rows * table.cols
        plain = elements * table.flop_per_element / _vector_rate(table, params)
        special = elements * table.special_per_element / params.special_per_s
        constants = _constants(norm.RowConstants, table, params)
        limits = _stream_limits(params)
        kernel = norm.row_time(problem, np.maximum(plain, special), limits, constants)
        again = norm.again_bytes(problem, limits, constants)
        resident = resident_share(moved, params.cache_bytes, constants.resident_all, constants.resident_none)
        return _settled(table, params, kernel, elements, (moved + again) * (1.0 - resident), moved + again)

    def supports(self, table: Table, params: SimtParams) -> NDArray[np.bool_]:
        """Products and attention where some unit has the format; other work also in any integer format."""
        has = np.all(np.maximum(params.peak, params.vector_peak) > 0.0, axis=0)
        arithmetic = table.form in (Form.GEMM, Form.ATTENTION)
        able: NDArray[np.bool_] = np.logical_or(has, False if arithmetic else _INTEGER)[table.format[0]]
        return able

    def explain(self, work: Work, params: SimtParams) -> Sequence[tuple[str, float, str]]:
        """The problem, the constants it met, the terms and the sum."""
        (table,) = tables_of([work]).values()
        costs = self.price_form(table, params)
        terms: list[tuple[str, float, str]] = [
            ("operations", float(table.flop[0, 0]), "FLOP"),
            ("compulsory bytes", float((table.bytes_in + table.bytes_out)[0, 0]), "B"),
            ("DRAM bytes", float(costs.dram_bytes[0, 0]), "B"),
            ("DRAM bandwidth", float(params.dram_bytes_per_s[0, 0]), "B/s"),
        ]
        if table.form in (Form.GEMM, Form.ATTENTION):
            terms.append(("peak rate", float(params.rate(table)[0, 0]), "FLOP/s"))
        if table.form is Form.GEMM:
            terms.extend(_explain_tiles(table, params))
        for name in sorted(self.defaults[table.form]):
            unit = "s" if isinstance(CONSTANTS[name], Quantity) else "1"
            terms.append((f"constant {name}", float(params.kernels.column(table, name)[0, 0]), unit))
        terms.append(("overhead (dispatch + launch + second kernel)", float(costs.overhead_s[0, 0]), "s"))
        terms.append(("time", float(costs.time_s[0, 0]), "s"))
        return tuple(terms)


def _settled(
    table: Table, params: SimtParams, kernel: Any, elements: Array, dram_bytes: Array, cache_bytes: Array
) -> Costs:
    return settle(
        table,
        params,
        busy_s=kernel.kernel_s,
        compute_s=kernel.compute_s,
        memory_s=kernel.memory_s,
        launch_s=kernel.fixed_s,
        dram_bytes=dram_bytes,
        cache_bytes=cache_bytes,
        vector=True,
        instructions=params.kernels.column(table, "instructions") * elements,
    )


def _width(table: Table, name: str) -> Array:
    """Bytes an element of the operand's format."""
    width: Array = _BYTES[getattr(table, name)]
    return width


def _narrowed_first(table: Table) -> NDArray[np.bool_]:
    """Which products have activations wider than the format they are multiplied in."""
    return np.logical_and(_width(table, "a_format") > _width(table, "compute_format"), table.b_is_weight > 0)


def _width_of_a(table: Table) -> Array:
    """Bytes an element of A as the product reads it."""
    return np.where(_narrowed_first(table), _width(table, "compute_format"), _width(table, "a_format"))


def _vector_rate(table: Table, params: SimtParams) -> Array:
    """Vector operations per second; formats the vector units lack (fp8, integers) are widened to fp32 first."""
    own = params.vector_rate(table)
    return np.where(own > 0.0, own, params.vector_peak[:, FORMAT_CODE["fp32"], None])


def _stream_limits(params: SimtParams) -> streaming.StreamLimits:
    return streaming.StreamLimits(
        sms=params.sms,
        bandwidth_bytes_per_s=params.dram_bytes_per_s,
        cache_bytes=params.cache_bytes,
        threads_per_sm=params.threads_per_sm,
        near_bytes=params.near_bytes,
    )


def _simt_limits(table: Table, params: SimtParams) -> tiling.SimtLimits:
    return tiling.SimtLimits(
        sms=params.sms,
        flop_per_s=params.rate(table) * params.kernels.column(table, "rate"),
        bandwidth_bytes_per_s=params.dram_bytes_per_s,
        cache_bytes=params.cache_bytes,
        registers_per_sm=params.registers_per_sm,
        shared_bytes_per_sm=params.shared_bytes_per_sm,
        threads_per_sm=params.threads_per_sm,
        max_blocks_per_sm=params.max_blocks_per_sm,
    )


def _attention_limits(table: Table, params: SimtParams) -> attention.AttentionLimits:
    return attention.AttentionLimits(
        sms=params.sms,
        flop_per_s=params.rate(table),
        bandwidth_bytes_per_s=params.dram_bytes_per_s,
        cache_bytes=params.cache_bytes,
        shared_bytes_per_sm=params.shared_bytes_per_sm,
    )


def _gemm_problem(table: Table, params: SimtParams) -> tiling.GemmProblem:
    copies = params.kernels.column(table, "weight_copies")
    vector = params.vector_rate(table) >= params.rate(table)
    return tiling.GemmProblem(
        m=table.m,
        n=table.n,
        k=padded_k(table, params.kernels),
        batch=table.batch,
        a_bytes=table.a_elements * _width_of_a(table),
        b_bytes=table.b_elements * _width(table, "b_format") * table.b_storage,
        c_bytes=table.bytes_out,
        extra_bytes=table.epilogue_bytes,
        b_copies=np.where(table.b_is_weight > 0, copies, 1.0),
        cycled_bytes=table.cycled_bytes,
        k_tile=np.where(vector, tiling.VECTOR_K_BYTES / _width(table, "compute_format"), float(tiling.K_TILE)),
    )


def _gemm_constants(table: Table, params: SimtParams) -> tiling.GemmConstants:
    """Constants of the table's products; a grouped convolution is no matrix-vector product, however narrow a group."""
    gemv, launch = (params.kernels.column(table, name) for name in ("gemv", "launch"))
    gemv = np.where(table.groups > 1, np.inf, np.where(gemv < 0.0, launch, gemv))
    return _constants(tiling.GemmConstants, table, params, gemv_s=gemv)


def _attention_problem(table: Table) -> attention.AttentionProblem:
    names = ("batch", "heads", "kv_heads", "seq_q", "seq_kv", "head_dim", "causal", "bias_bytes")
    return attention.AttentionProblem(
        **{name: getattr(table, name) for name in names},
        q_width=_width(table, "format"),
        kv_width=_width(table, "kv_format"),
        out_width=_width(table, "out_format"),
    )


def _direct_time(table: Table, params: SimtParams) -> Any:
    """A direct convolution on the vector units: every byte once, the arithmetic at the ceiling ``direct``."""
    compute = 2.0 * table.macs / _vector_rate(table, params)
    constants = _constants(
        streaming.StreamConstants,
        table,
        params,
        compute=params.kernels.column(table, "direct"),
        saturation=STREAM["saturation"],
        row_s=0.0,
        col_s=0.0,
    )
    outputs = table.batch * table.m * table.n
    return streaming.stream_time(table.bytes_in + table.bytes_out, outputs, compute, _stream_limits(params), constants)


def _narrowing_time(table: Table, params: SimtParams) -> Any:
    """The kernel that narrows activations before a product in a narrower format."""
    own = {"launch_s": "quantize", "row_s": "quantize_row", "col_s": "quantize_col"} | {name: name for name in COMMON}
    constants = norm.RowConstants(**{field: params.kernels.column(table, name) for field, name in own.items()})
    read, written = (table.a_elements * _width(table, name) for name in ("a_format", "compute_format"))
    return norm.narrowing_time(table.m * table.batch, table.k, read, written, _stream_limits(params), constants)


def _explain_tiles(table: Table, params: SimtParams) -> list[tuple[str, float, str]]:
    constants = _gemm_constants(table, params)
    found = tiling.tiled_gemm_time(_gemm_problem(table, params), _simt_limits(table, params), constants)
    tile, split = int(found.tile[0, 0]), int(found.split[0, 0])
    terms = [("compute term", float(found.compute_s[0, 0]), "s"), ("memory term", float(found.memory_s[0, 0]), "s")]
    if tile < 0:
        return [("matrix-vector kernel", 1.0, "1"), *terms]
    tile_m, tile_n = tiling.TILES[tile]
    blocks = float((np.ceil(table.m / tile_m) * np.ceil(table.n / tile_n) * table.batch)[0, 0]) * split
    waves = float(np.ceil(blocks / params.sms[0, 0]))
    sizes = {"tile m": tile_m, "tile n": tile_n, "split of k": split, "blocks": blocks, "waves": waves}
    return [*((name, float(value), "1") for name, value in sizes.items()), *terms]


KINDS.add(SimtGpu.name, SimtGpu())
