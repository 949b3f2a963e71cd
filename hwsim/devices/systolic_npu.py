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
from typing import Annotated, ClassVar

import numpy as np

from hwsim.cost.systolic import DATAFLOWS
from hwsim.devices.base import KINDS, NOMINAL, Array, Costs, DeviceKind, OperatingPoint, common_params, settle
from hwsim.devices.params import every_format
from hwsim.devices.systolic_terms import (
    SystolicNpuParams,
    array_seconds,
    attention_terms,
    gemm_terms,
    shown_terms,
    vector_terms,
)
from hwsim.graph.lowering import Table, tables_of
from hwsim.graph.tensor import FORMATS
from hwsim.graph.work import Form, Work
from hwsim.specs.device import DeviceSpec
from hwsim.specs.fields import Choice, Count, Formats, Quantity, Ratio, Text
from hwsim.specs.software import SoftwareSpec

__all__ = ["SystolicNpu", "SystolicNpuParams", "SystolicNpuSection"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SystolicNpuSection:
    """``systolic_npu:`` of a device YAML.

    ``cores`` x ``arrays`` arrays of ``rows`` x ``cols`` cells; ``macs`` is multiply-accumulates per cell and
    clock by format (formats left out are not supported); ``vector`` operations per clock and core of the
    vector unit by format (a format left out runs as the next wider one given); ``special`` special-function
    results per clock and core. The scratchpad is the second entry of ``memory:``, ``accumulators`` the size of
    the partial-sum memory of one core. ``channel_tile``: input channels that a convolution is padded to at each
    window position (1: the window is flattened; else groups that fit one tile share it); images of at most
    ``image_channels`` channels are padded by rows of the window. A vector register holds ``register_rows`` x
    ``register_cols`` elements; tensors are padded to whole ones. ``weight_fifo``: weight tiles fetched ahead of a
    product (0: its first one is waited for). ``sparse_speedup``: how much structured sparsity of the weights can
    shorten a product. ``window`` and ``step``: the longest side and step of a window that the arrays take (0: any);
    ``host``: vector operations a second of a core of the host CPU, where a stack runs the others.
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
    weight_fifo: Annotated[int, Count("weight_fifo", 0)] = 0
    channel_tile: Annotated[int, Count("channel_tile")] = 1
    image_channels: Annotated[int, Count("image_channels", 0)] = 0
    register_rows: Annotated[int, Count("register_rows")] = 1
    register_cols: Annotated[int, Count("register_cols")] = 1
    sparse_speedup: Annotated[float, Ratio("sparse_speedup", 1.0, 16.0)] = 1.0
    window: Annotated[int, Count("window", 0)] = 0
    step: Annotated[int, Count("step", 0)] = 0
    host_op_per_s: Annotated[float, Quantity("host", "op/s", zero=True)] = 0.0
    source: Annotated[str, Text("source")] = ""
    assumption: Annotated[str, Text("assumption")] = ""


_RANGES: Mapping[str, tuple[float, float]] = MappingProxyType(
    {
        "compute": (0.0001, 2.0),
        "memory": (0.001, 2.0),
        "overlap": (0.1, 100.0),
        "feed": (0.001, 100.0),
        "keep": (0.0, 1000.0),
    }
    | {
        "weights_stay": (0.0, 1.0),
        "weights_held": (0.0, 1e12),
        "weights_cached": (0.0, 1.0),
        "whole_tiles": (0.0, 1.0),
        "chunk": (0.001, 1.0),
        "blocked": (0.0, 1.0),
        "vector": (0.0, 4.0),
        "epilogue": (0.001, 4.0),
        "layout": (0.0, 4.0),
        "widen": (0.0, 4.0),
        "tile_kv": (1.0, np.inf),
        "softmax": (0.001, 4.0),
        "wide": (0.0, 1e9),
        "host": (0.0, 1e6),
        "host_row": (0.0, 1e6),
    }
)
_COMMON = {"compute": 1.0, "memory": 0.8, "overlap": 2.0, "feed": 1.0, "keep": 0.0}
_SECONDS = ("launch", "decode_launch", "row_launch", "vector_launch", "element")
_ATTENTION = {"compute": 0.5, "memory": 0.8, "overlap": 2.0, "keep": 0.0, "tile_kv": 1.0, "softmax": 1.0}


class SystolicNpu(DeviceKind[SystolicNpuParams]):
    """Arrays, a scratchpad and a vector unit."""

    name: ClassVar[str] = "systolic_npu"
    section: ClassVar[type[SystolicNpuSection]] = SystolicNpuSection
    constants: ClassVar[Mapping[str, Ratio | Quantity]] = MappingProxyType(
        {name: Quantity(name, "s", zero=True) for name in _SECONDS}
        | {name: Ratio(name, low, high) for name, (low, high) in _RANGES.items()}
        | {f"decode_{name}": Ratio(f"decode_{name}", *_RANGES[name]) for name in _ATTENTION}
    )
    """``compute``, ``memory``, ``feed``: shares of the array's, DRAM's and the scratchpad's peak that are reached.
    ``overlap``: the exponent p. ``keep``: share of the scratchpad that holds tensors between operators (above one where
    compilers run chains of layers strip by strip, far above where frames stream through a pipeline); what fits does
    not pass DRAM. ``weights_stay``: share of the weights held for good, ``weights_held``: so many bytes of a graph's
    weights; ``weights_cached``: 1 where the scratchpad is a cache in which weights that all fit await their next
    use. ``whole_tiles``: share of the padding of weight tiles that is fetched. ``chunk``: share of
    the usable scratchpad that a resident chunk takes; ``blocked``: whether blocks of the output may stay (0: no).
    ``vector``: share of the vector unit's peak that grouped convolutions and products of one row reach there, if
    faster than on the array (0: none runs there), ``vector_launch`` what handing one over takes, ``row_launch`` what
    starting one of one row does (-1: ``launch``); ``epilogue``: share of
    that peak that fused element-wise work reaches. ``layout``: elements a second that the vector unit writes to bring
    images into the array's layout, as a share of its peak (0: the array reads them as they lie). ``widen``: integer
    weights a second that it turns into floats for the array, as such a share (0: that takes no time). ``wide``: rows of
    more elements are summed one by one, ``element`` seconds each (0: none is); element-wise kernels that have an
    ``element`` of their own take it for each result. ``host``: vector operations of the host CPU that a multiply-add
    of a convolution beyond the section's ``window`` and ``step`` takes there, ``host_row`` a row of such a window (both
    0: the arrays take any); ``host`` of a row-wise kernel: an element of it, if the stack leaves it there (0: not).
    ``tile_kv``: attention computes scores in pieces of so many columns, ``softmax``: share of the vector unit's peak
    that their softmax reaches beside the arrays; ``decode_...`` are the constants of attention of a single query."""
    defaults: ClassVar[Mapping[str, Mapping[str, float]]] = MappingProxyType(
        {
            Form.GEMM: _COMMON
            | {
                "compute": 0.8,
                "weights_stay": 0.0,
                "weights_held": 0.0,
                "weights_cached": 0.0,
                "whole_tiles": 0.0,
                "vector": 0.25,
            }
            | {"chunk": 1.0, "blocked": 1.0, "row_launch": -1.0, "vector_launch": 0.0, "epilogue": 1.0, "layout": 0.0}
            | {"widen": 0.0, "host": 0.0, "host_row": 0.0},
            Form.ATTENTION: _ATTENTION
            | {f"decode_{name}": v for name, v in _ATTENTION.items()}
            | {"decode_launch": -1.0},
            Form.MAP: _COMMON | {"element": 0.0},
            Form.REDUCE: _COMMON | {"wide": 0.0, "element": 0.0, "host": 0.0},
            Form.MOVE: _COMMON,
        }
    )

    def params(self, spec: DeviceSpec, stack: SoftwareSpec, at: OperatingPoint = NOMINAL) -> SystolicNpuParams:
        """Rates at the operating point; a device without a second memory has no scratchpad to keep tensors in."""
        core: SystolicNpuSection = spec.core
        pad = spec.memory[1] if len(spec.memory) > 1 else None
        one = np.ones((1, 1))
        clock = core.clock_hz * at.clock
        widened = {fmt: rate * core.cores * core.clock_hz for fmt, rate in every_format(core.vector).items()}
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
            weight_fifo=one * core.weight_fifo,
            channel_tile=one * core.channel_tile,
            image_channels=one * core.image_channels,
            register_rows=one * core.register_rows,
            register_cols=one * core.register_cols,
            sparse_speedup=one * core.sparse_speedup,
            window=one * (core.window or np.inf),
            step=one * (core.step or np.inf),
            host_op_per_s=one * max(core.host_op_per_s, 1e-3),
        )

    def misfits(self, spec: DeviceSpec) -> Mapping[tuple[str, ...], str]:
        """A host without a rate, to which a stack leaves work."""
        core: SystolicNpuSection = spec.core
        left = [
            f"{stack.name}.{family}"
            for stack in spec.software.values()
            for family, constants in stack.kernels.items()
            if max(constants.get("host", 0.0), constants.get("host_row", 0.0)) > 0.0
        ]
        if core.host_op_per_s > 0.0 or not left:
            return {}
        return {(self.name, "host"): f"is missing or 0, and software.{left[0]} leaves work to it; write '2 GOP/s', say"}

    def peaks(self, spec: DeviceSpec) -> Mapping[str, float]:
        """Derived: cores x arrays x rows x cols x MACs per cell x 2 x clock."""
        core: SystolicNpuSection = spec.core
        cells = core.cores * core.arrays * core.rows * core.cols
        return {fmt: 2.0 * cells * macs * core.clock_hz for fmt, macs in core.macs.items()}

    def price_gemm(self, table: Table, params: SystolicNpuParams) -> Costs:
        """Folds on the arrays against DRAM traffic through the scratchpad."""
        return settle(table, params, **gemm_terms(table, params))

    def price_attention(self, table: Table, params: SystolicNpuParams) -> Costs:
        """Two products a score, softmax on the vector unit, K and V from DRAM."""
        return settle(table, params, **attention_terms(table, params))

    def price_map(self, table: Table, params: SystolicNpuParams) -> Costs:
        """Vector operations against bytes."""
        return settle(table, params, **vector_terms(table, params), vector=True)

    def price_reduce(self, table: Table, params: SystolicNpuParams) -> Costs:
        """Vector operations against bytes; rows too long for the scratchpad are read once a pass."""
        return settle(table, params, **vector_terms(table, params), vector=True)

    def price_move(self, table: Table, params: SystolicNpuParams) -> Costs:
        """Bytes alone."""
        return settle(table, params, **vector_terms(table, params), vector=True)

    def explain(self, work: Work, params: SystolicNpuParams) -> Sequence[tuple[str, float, str]]:
        """Operations, bytes and the terms of the time."""
        (table,) = tables_of([work]).values()
        by_form = {Form.GEMM: gemm_terms, Form.ATTENTION: attention_terms}
        terms = by_form.get(table.form, vector_terms)(table, params)
        return shown_terms(table, params, terms, self.activity(table, params))

    def activity(self, table: Table, params: SystolicNpuParams) -> Mapping[str, Array]:
        """What the arrays do with stationary weights: streaming inputs, shifting weights in, waiting for weights."""
        if table.form is not Form.GEMM or params.dataflow != "ws":
            return {}
        return array_seconds(table, params)


KINDS.add(SystolicNpu.name, SystolicNpu())
