"""Dataflow NPU: a network lies over the clusters of the chip as a pipeline, a stage a layer; frames stream through.

An operator's time is the part of the chip it needs, in chip-seconds: work / rate of the whole chip. The sum over a
graph is the time from one frame to the next of a balanced pipeline. What holds only for the whole graph (the slowest
stage, what comes and goes with a frame, whether all layers fit at once) is told to the prices by
:meth:`DataflowNpu.of_graph`. The formulas are in :mod:`hwsim.cost.dataflow`. An operator priced on its own has the
chip to itself.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Annotated, ClassVar

import numpy as np
from numpy.typing import NDArray

from hwsim.cost.dataflow import frame_time_s, layer_macs, padded_length, rows_awaited, tiled, units_needed
from hwsim.devices.base import KINDS, NOMINAL, Array, Costs, DeviceKind, OperatingPoint, Params, common_params, settle
from hwsim.devices.params import every_format
from hwsim.graph.graph import Graph
from hwsim.graph.lowering import Table, tables_of
from hwsim.graph.tensor import BITS, FORMATS
from hwsim.graph.work import Form, Work
from hwsim.specs.device import DeviceSpec
from hwsim.specs.fields import Count, Formats, Quantity, Ratio, Text
from hwsim.specs.software import SoftwareSpec

__all__ = ["DataflowNpu", "DataflowNpuParams", "DataflowNpuSection", "StageTerms", "frame_edges", "stage_terms"]

_BYTES: Array = np.array([bits / 8.0 for bits in BITS.values()])
_LEAST_RATE = 1e-30
_WIDEST_BYTES = 2.0
"""No format of such chips is wider: indices of labels, too, leave as 16 bits at most (assumption)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DataflowNpuSection:
    """``dataflow_npu:`` of a device YAML.

    ``clusters`` of ``macs`` multiply-accumulates and ``vector`` operations a clock each, by format (formats without
    ``macs`` are not supported; without ``vector`` they run as the next wider one). A stage writes ``outputs`` elements
    a clock at most. Input channels come in groups of ``channel_tile``, output channels in groups of ``output_tile``.
    The second entry of ``memory:`` is the SRAM of all clusters, which holds the weights; the first, host memory or
    DRAM, is where contexts that do not fit are loaded from. ``usable``: share of the clusters that a context may take.
    Frames and what is found in them pass over the ``link``, one after the other; the host starts one each ``frame`` at
    most.
    """

    clusters: Annotated[int, Count("clusters")]
    clock_hz: Annotated[float, Quantity("clock", "Hz")]
    macs: Annotated[Mapping[str, float], Formats("macs", Ratio("", 0.0), FORMATS)] = field(default_factory=dict)
    vector: Annotated[Mapping[str, float], Formats("vector", Ratio("", 0.0), FORMATS)] = field(default_factory=dict)
    outputs: Annotated[float, Ratio("outputs", 0.1)] = 8.0
    channel_tile: Annotated[int, Count("channel_tile")] = 1
    output_tile: Annotated[int, Count("output_tile")] = 1
    usable: Annotated[float, Ratio("usable", 0.01, 1.0)] = 1.0
    link_bytes_per_s: Annotated[float, Quantity("link", "bytes/s")] = math.inf
    frame_s: Annotated[float, Quantity("frame", "s", zero=True)] = 0.0
    source: Annotated[str, Text("source")] = ""
    assumption: Annotated[str, Text("assumption")] = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DataflowNpuParams(Params):
    """Numbers of one or many chips, (chips, 1).

    Of the graph: ``frames`` in a request, ``stretch`` (how much longer its slowest stage makes the balanced time),
    ``contexts`` (how many times the chip it needs; the layers are swapped above one), ``awaited`` (frames that the
    layers of a context wait for one after another).
    """

    clusters: Array
    clock_hz: Array
    outputs: Array
    channel_tile: Array
    output_tile: Array
    usable: Array
    link_bytes_per_s: Array
    frame_s: Array
    sram_bytes: Array
    sram_bytes_per_s: Array
    frames: Array
    stretch: Array
    contexts: Array
    awaited: Array

    @property
    def swapped(self) -> NDArray[np.bool_]:
        """Whether the graph is too large for the chip."""
        return np.asarray(self.contexts > 1.0)


@dataclass(frozen=True, slots=True)
class StageTerms:
    """Columns of a table, (chips, rows): what its layers ask of the pipeline.

    ``balanced_s`` are chip-seconds, ``share`` is the part of the chip a layer needs whatever its rate, ``awaited`` the
    part of a frame that must be there before it begins.
    """

    balanced_s: Array
    share: Array
    weight_bytes: Array
    written: Array
    awaited: Array


_GEMM = {"compute": 0.5, "depth": 1.0, "depthwise": 0.01, "clusters": 0.0, "memory": 1.0, "swap": 0.0}
_GEMM |= {"fill": 0.0, "wait": 0.0}
_OTHER = {
    "compute": 0.5,
    "clusters": 0.0,
    "row": 0.0,
    "stage": 0.0,
    "swap": 0.0,
    "fill": 0.0,
    "wait": 0.0,
    "whole": 0.0,
}
_MOVE = _OTHER | {"compute": 1.0}


class DataflowNpu(DeviceKind[DataflowNpuParams]):
    """Clusters that hold the layers of a network side by side."""

    name: ClassVar[str] = "dataflow_npu"
    section: ClassVar[type[DataflowNpuSection]] = DataflowNpuSection
    constants: ClassVar[Mapping[str, Ratio | Quantity]] = MappingProxyType(
        {name: Quantity(name, "s", zero=True) for name in ("launch", "swap", "row", "stage")}
        | {
            "compute": Ratio("compute", 0.001, 2.0),
            "depth": Ratio("depth", 0.0, 1e6),
            "depthwise": Ratio("depthwise", 1e-4, 1.0),
            "clusters": Ratio("clusters", 0.0, 100.0),
            "memory": Ratio("memory", 0.001, 4.0),
            "fill": Ratio("fill", 0.0, 100.0),
            "wait": Ratio("wait", 0.0, 100.0),
            "whole": Ratio("whole", 0.0, 1.0),
        }
    )
    """``compute``: share of the peak that layers reach (copies: of the SRAM's bandwidth); ``depth``: least
    multiply-accumulates an output takes; ``depthwise``: the share where each output reads one channel. ``row``: time of
    a cluster for each row, or window, that is reduced; ``stage``: time of a cluster for each element that a stage reads
    on its own, however much of the chip is free. ``clusters``: what a layer takes of the clusters at least,
    besides its weights. Where a network is loaded in parts: ``memory``, bytes of weights loaded a second over the
    bandwidth (above one where some are stored in four bits), ``swap``, the pause in which a cluster is set up,
    ``fill``, frames in which the pipeline of a context fills, and ``wait``, what is added for each frame that its
    layers wait for one after another; ``whole``: share of a frame that a reduction must have read before it begins."""
    defaults: ClassVar[Mapping[str, Mapping[str, float]]] = MappingProxyType(
        {Form.GEMM: _GEMM, Form.ATTENTION: _OTHER, Form.MAP: _OTHER, Form.REDUCE: _OTHER, Form.MOVE: _MOVE}
    )

    def params(self, spec: DeviceSpec, stack: SoftwareSpec, at: OperatingPoint = NOMINAL) -> DataflowNpuParams:
        """Rates at the operating point, for operators that have the chip to themselves."""
        core: DataflowNpuSection = spec.core
        one = np.ones((1, 1))
        sram = spec.memory[1] if len(spec.memory) > 1 else spec.memory[0]
        rate = core.clusters * core.clock_hz
        vector = {fmt: lanes * rate for fmt, lanes in every_format(core.vector).items()}
        return DataflowNpuParams(
            **common_params(spec, stack, at, peak=self.peaks(spec), vector_peak=vector, defaults=self.defaults),
            clusters=one * core.clusters,
            clock_hz=one * core.clock_hz * at.clock,
            outputs=one * core.outputs,
            channel_tile=one * core.channel_tile,
            output_tile=one * core.output_tile,
            usable=one * core.usable,
            link_bytes_per_s=one * core.link_bytes_per_s,
            frame_s=one * core.frame_s,
            sram_bytes=one * sram.capacity_bytes,
            sram_bytes_per_s=one * (sram.bandwidth_bytes_per_s or np.inf) * at.clock,
            frames=one,
            stretch=one,
            contexts=0.0 * one,
            awaited=0.0 * one,
        )

    def peaks(self, spec: DeviceSpec) -> Mapping[str, float]:
        """Derived: clusters x MACs a clock x 2 x clock."""
        core: DataflowNpuSection = spec.core
        return {fmt: 2.0 * core.clusters * macs * core.clock_hz for fmt, macs in core.macs.items()}

    def of_graph(
        self, params: DataflowNpuParams, tables: Mapping[Form, Table], counts: Array, graph: Graph
    ) -> DataflowNpuParams:
        """The balance of a whole graph: its slowest stage, its frames, how many times the chip all its layers need."""
        total = contexts = awaited = np.zeros_like(params.clusters)
        edge_bytes, slowest = frame_edges(graph, params.output_tile)
        for form, table in tables.items():
            if form is Form.COLLECTIVE:
                continue
            terms, times = stage_terms(table, params), counts[table.index][None, :]
            total = total + (np.where(np.isfinite(terms.balanced_s), terms.balanced_s, 0.0) * times).sum(
                1, keepdims=True
            )
            contexts = contexts + (terms.share * times).sum(axis=1, keepdims=True)
            awaited = awaited + (terms.awaited * times).sum(axis=1, keepdims=True)
            slowest = np.maximum(slowest, (terms.written * (times > 0)).max(axis=1, keepdims=True))
        stage_s = slowest / (params.outputs * params.clock_hz)
        frame_s = frame_time_s(frame_time_s(total, stage_s), edge_bytes / params.link_bytes_per_s)
        frame_s = frame_time_s(frame_s, params.frame_s * max(1, graph.items))
        stretch = np.where(total > 0, frame_s / np.maximum(total, _LEAST_RATE), 1.0)
        frames = np.full_like(total, max(1, graph.items))
        awaited = awaited / np.maximum(contexts, 1.0)
        return replace(params, frames=frames, stretch=stretch, contexts=contexts, awaited=awaited)

    def _price(self, table: Table, params: DataflowNpuParams) -> Costs:
        terms = stage_terms(table, params)
        constant = params.kernels.column
        swapped = params.swapped
        stage_s = terms.balanced_s * params.stretch
        filled = constant(table, "fill") + constant(table, "wait") * params.awaited
        filled_s = np.where(swapped, terms.balanced_s / params.frames * filled, 0.0)
        loaded = np.where(swapped, terms.weight_bytes, 0.0)
        rate = params.dram_bytes_per_s * (constant(table, "memory") if table.form is Form.GEMM else 1.0)
        pause_s = np.where(swapped, constant(table, "swap") * terms.share * params.clusters * params.usable, 0.0)
        return settle(
            table,
            params,
            busy_s=stage_s + filled_s + loaded / rate,
            compute_s=stage_s + filled_s,
            memory_s=loaded / rate,
            launch_s=constant(table, "launch") + pause_s,
            dram_bytes=loaded,
            cache_bytes=table.bytes_in + table.bytes_out + np.zeros_like(stage_s),
            vector=table.form not in (Form.GEMM, Form.ATTENTION),
        )

    def price_gemm(self, table: Table, params: DataflowNpuParams) -> Costs:
        """The layer's part of the chip, and what loading it takes where the network is swapped."""
        return self._price(table, params)

    def price_attention(self, table: Table, params: DataflowNpuParams) -> Costs:
        """Both products; compilers of such chips know no fused kernel, so stacks unfuse it before."""
        return self._price(table, params)

    def price_map(self, table: Table, params: DataflowNpuParams) -> Costs:
        """Operations of the vector lanes."""
        return self._price(table, params)

    def price_reduce(self, table: Table, params: DataflowNpuParams) -> Costs:
        """Operations of the vector lanes, and a time for each row where the stack says so."""
        return self._price(table, params)

    def price_move(self, table: Table, params: DataflowNpuParams) -> Costs:
        """Bytes through the SRAM."""
        return self._price(table, params)

    def explain(self, work: Work, params: DataflowNpuParams) -> Sequence[tuple[str, float, str]]:
        """The layer's part of the chip, and what the whole graph adds to it."""
        (table,) = tables_of([work]).values()
        terms, costs = stage_terms(table, params), self.price_form(table, params)
        matrix = table.form in (Form.GEMM, Form.ATTENTION)
        shown: list[tuple[str, Array, str]] = [
            ("operations", table.flop + 0.0, "FLOP"),
            ("peak of all clusters", params.rate(table) if matrix else params.vector_rate(table), "FLOP/s"),
            ("time of its part in a balanced pipeline, in chip-seconds", terms.balanced_s, "s"),
            ("stretched by the slowest stage of the graph", params.stretch, ""),
            ("share of the chip it takes at least", terms.share, ""),
            ("chips that the whole graph needs (swapped above 1)", params.contexts, ""),
            ("weights loaded", costs.dram_bytes, "B"),
            ("pause for swapping, its share", costs.overhead_s, "s"),
            ("time", costs.time_s, "s"),
        ]
        return [(label, float(np.ravel(column)[0]), unit) for label, column, unit in shown]


def stage_terms(table: Table, params: DataflowNpuParams) -> StageTerms:
    """What the rows of a table ask of a pipeline's stages."""
    constant = params.kernels.column
    zero = np.zeros((len(params.clusters), len(table)))
    weights, written, awaited = zero, zero, zero
    if table.form is Form.GEMM:
        balanced, weights, written = _product_terms(table, params)
        window = rows_awaited(table.kh, table.out_h * table.stride)
        awaited = zero + np.where(table.b_is_weight > 0, window, 1.0)
    elif table.form is Form.ATTENTION:
        balanced = table.flop / np.maximum(params.rate(table) * constant(table, "compute"), _LEAST_RATE)
        balanced = np.maximum(balanced, (table.bytes_in + table.bytes_out) / params.sram_bytes_per_s)
    else:
        balanced = (table.bytes_in + table.bytes_out) / params.sram_bytes_per_s
        if table.form is Form.MOVE:
            balanced = balanced / constant(table, "compute")
        else:
            elements = table.elements if table.form is Form.MAP else table.rows * table.cols
            each = np.maximum(1.0, table.flop_per_element + table.special_per_element)
            rate = np.maximum(params.vector_rate(table) * constant(table, "compute"), _LEAST_RATE)
            balanced = np.maximum(balanced, elements * each / rate)
        written = zero + (table.rows * table.cols if table.form is Form.REDUCE else table.elements)
        if table.form is Form.REDUCE:
            balanced = balanced + table.rows * constant(table, "row") / params.clusters
            written = written * constant(table, "stage") / params.clusters * params.outputs * params.clock_hz
            awaited = zero + constant(table, "whole")
    units = units_needed(weights, params.sram_bytes / params.clusters, constant(table, "clusters"))
    share = units / (params.clusters * params.usable)
    return StageTerms(balanced + zero, share + zero, weights + zero, written + zero, awaited)


def _product_terms(table: Table, params: DataflowNpuParams) -> tuple[Array, Array, Array]:
    """Chip-seconds, bytes of weights, elements written."""
    constant = params.kernels.column
    peak = np.maximum(params.rate(table) / 2.0, _LEAST_RATE)
    length = padded_length(table.k, table.channels, params.channel_tile)
    outputs = table.batch * table.m * tiled(table.n, params.output_tile)
    dense = layer_macs(outputs, length, constant(table, "depth")) / (peak * constant(table, "compute"))
    depthwise = (table.groups > 1) & (table.channels <= 1)
    alone = table.macs / (peak * constant(table, "depthwise"))
    stored = table.b_elements * _BYTES[table.b_format[0]] * table.b_storage
    weights = np.where(table.b_is_weight > 0, stored, 0.0)
    written = np.where(depthwise, table.batch * table.m * table.n, outputs)
    return np.where(depthwise, alone, dense), weights, written


def frame_edges(graph: Graph, tile: Array) -> tuple[float, Array]:
    """Bytes that come and go with all frames of a graph; elements of its largest output in whole tiles of channels."""
    inputs = [tensor.type for tensor in graph.tensors.values() if tensor.role == "input"]
    outputs = [graph.tensors[name].type for name in graph.outputs]
    size = sum(each.elements * min(_WIDEST_BYTES, BITS[each.format] / 8.0) for each in (*inputs, *outputs))
    largest = np.zeros_like(tile)
    for each in outputs:
        channels = each.shape[1] if len(each.shape) > 2 else 1
        padded = tiled(channels, tile) if len(each.shape) > 2 else 1.0
        largest = np.maximum(largest, each.elements / max(1, channels) * padded)
    return size, largest


KINDS.add(DataflowNpu.name, DataflowNpu())
