"""What every kind of device must answer, and the columns it answers with.

A kind is a set of pure functions over tables: problem columns have shape (1, rows), stacked parameters
(chips, 1) or (chips, formats), costs (chips, rows).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Generic

import numpy as np
from numpy.typing import NDArray

from hwsim.devices.params import (
    NOMINAL,
    Array,
    KernelConstants,
    OperatingPoint,
    P,
    Params,
    by_format,
    common_params,
    part_of,
    stack_params,
)
from hwsim.errors import UnsupportedError
from hwsim.graph.graph import Graph
from hwsim.graph.lowering import Table, tables_of
from hwsim.graph.tensor import FORMAT_CODE, FORMATS
from hwsim.graph.work import Form, Work
from hwsim.registry import Registry
from hwsim.specs.device import DeviceSpec
from hwsim.specs.fields import Quantity, Ratio
from hwsim.specs.software import SoftwareSpec

__all__ = [
    "BOUNDS",
    "KINDS",
    "NOMINAL",
    "Array",
    "CostColumns",
    "Costs",
    "DeviceKind",
    "KernelConstants",
    "OperatingPoint",
    "P",
    "Params",
    "by_format",
    "common_params",
    "gathered",
    "part_of",
    "price",
    "price_tables",
    "settle",
    "stack_params",
    "supported",
]

BOUNDS: tuple[str, ...] = ("compute", "memory", "overhead", "link")
"""What sets an operator's time; ``Costs.bound`` holds indices into it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CostColumns:
    """What work costs alone, a column for each term.

    ``time_s`` is the time alone, all overheads included; ``overhead_s`` the part of it that neither compute nor
    bandwidth explains (dispatch, launch, fill); ``dispatch_s`` the part of that spent on the host, which an
    eager framework hides behind earlier long kernels (constant ``dispatch`` of a kernel family);
    ``prologue_s`` is the part of ``time_s`` that may hide under the predecessor (cold fill).
    ``dram_bytes`` cross the main memory, ``cache_bytes`` the on-chip level in front of it.
    ``compute_j``, ``memory_j`` are dynamic energy, ``active_j`` the active floor times the device's own time.
    ``utilization`` is useful operations over peak x time; ``bound`` an index into :data:`BOUNDS`.
    """

    time_s: Array
    overhead_s: Array
    dispatch_s: Array
    prologue_s: Array
    dram_bytes: Array
    cache_bytes: Array
    compute_j: Array
    memory_j: Array
    active_j: Array
    flop: Array
    utilization: Array
    bound: NDArray[np.int8]

    @property
    def energy_j(self) -> Array:
        """Dynamic energy and the active floor; idle power is added by the report."""
        return self.compute_j + self.memory_j + self.active_j


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs(CostColumns):
    """What devices charge for rows of Work; every column has shape (chips, rows)."""

    def take(self, rows: NDArray[np.int64]) -> Costs:
        """The same columns for those rows, in that order."""
        return Costs(**{f.name: getattr(self, f.name)[:, rows] for f in fields(self)})

    def chip(self, index: int) -> Costs:
        """The columns of one chip, shape (1, rows)."""
        return Costs(**{f.name: getattr(self, f.name)[index : index + 1] for f in fields(self)})


def settle(
    table: Table,
    params: Params,
    *,
    busy_s: Array,
    compute_s: Array,
    memory_s: Array,
    launch_s: Array,
    dram_bytes: Array,
    cache_bytes: Array | None = None,
    vector: bool = False,
    switched: Array | None = None,
    instructions: Array | float = 0.0,
    prologue_s: Array | None = None,
) -> Costs:
    """Full cost columns from the terms of a kernel's time, all of which a residual of the stack stretches or shrinks.

    Args:
        table: the rows priced.
        params: the chips.
        busy_s: time after overheads (compute and memory combined by the kind's own rule).
        compute_s: the compute term alone.
        memory_s: the memory term alone.
        launch_s: overhead on the device before the work starts (host dispatch is added from the constants).
        dram_bytes: bytes that cross the main memory.
        cache_bytes: bytes that cross the on-chip level in front of it (default: the same).
        vector: whether the vector unit did the work.
        switched: operations that cost energy, padding included (default: the useful ones).
        instructions: of lanes beside useful operations (addresses, moves), a multiply-add in fp32 each in energy.
        prologue_s: the part of the time that may hide under the predecessor.
    """
    flop = table.flop + np.zeros_like(busy_s)
    dispatch_s = params.kernels.column(table, "dispatch")
    overhead_s, time = launch_s + dispatch_s, launch_s + dispatch_s + busy_s
    peak = params.vector_rate(table) if vector else params.rate(table)
    zero = np.zeros_like(time)
    prologue_s = zero if prologue_s is None else prologue_s
    with np.errstate(divide="ignore", invalid="ignore"):
        used = np.clip(np.nan_to_num(np.where(peak > 0, flop / (peak * time), 0.0)), 0.0, 1.0)
    correction = params.kernels.correction(table)
    if correction is not None:
        factor = np.maximum(correction, used)  # no kernel beats the units' peak
        parts = (time, overhead_s, dispatch_s, compute_s, memory_s, prologue_s)
        time, overhead_s, dispatch_s, compute_s, memory_s, prologue_s = (part * factor for part in parts)
    bound = np.where(overhead_s > np.maximum(compute_s, memory_s), 2, compute_s < memory_s).astype(np.int8)
    dram, cache = dram_bytes + zero, (dram_bytes if cache_bytes is None else cache_bytes) + zero
    return Costs(
        time_s=time,
        overhead_s=overhead_s + zero,
        dispatch_s=dispatch_s + zero,
        prologue_s=prologue_s + zero,
        dram_bytes=dram,
        cache_bytes=cache,
        compute_j=_compute_j(table, params, vector, flop if switched is None else switched, instructions),
        memory_j=dram * params.dram_j_per_byte + cache * params.cache_j_per_byte,
        active_j=(time - dispatch_s) * params.active_w,
        flop=flop,
        utilization=used if correction is None else used / factor,
        bound=bound,
    )


def _compute_j(table: Table, params: Params, vector: bool, switched: Array, instructions: Array | float) -> Array:
    """Energy of the operations and, at a multiply-add in fp32 each, of the instructions beside them."""
    op_j = (params.vector_op_j if vector else params.op_j)[:, table.format[0]]
    joules: Array = switched * op_j + 2.0 * instructions * params.vector_op_j[:, FORMAT_CODE["fp32"], None]
    return joules


class DeviceKind(ABC, Generic[P]):
    """A kind of device: pure functions from tables of Work and parameters to costs."""

    name: ClassVar[str]
    section: ClassVar[type[Any]]
    """The dataclass of the YAML section that carries the kind's name."""
    constants: ClassVar[Mapping[str, Ratio | Quantity]]
    """Software constants the kind reads, by name."""
    defaults: ClassVar[Mapping[str, Mapping[str, float]]]
    """Values of the constants (except ``launch`` and ``dispatch``) by form, for families a stack does not mention."""

    @abstractmethod
    def params(self, spec: DeviceSpec, stack: SoftwareSpec, at: OperatingPoint = NOMINAL) -> P:
        """The numbers the price functions need, for one chip."""

    @abstractmethod
    def peaks(self, spec: DeviceSpec) -> Mapping[str, float]:
        """Derived peak operations per second by number format: units x operations per clock x clock."""

    @abstractmethod
    def price_gemm(self, table: Table, params: P) -> Costs:
        """Matrix products and convolutions."""

    @abstractmethod
    def price_attention(self, table: Table, params: P) -> Costs:
        """Fused attention."""

    @abstractmethod
    def price_map(self, table: Table, params: P) -> Costs:
        """Element-wise work."""

    @abstractmethod
    def price_reduce(self, table: Table, params: P) -> Costs:
        """Row-wise work."""

    @abstractmethod
    def price_move(self, table: Table, params: P) -> Costs:
        """Copies, gathers and casts."""

    def supports(self, table: Table, params: P) -> NDArray[np.bool_]:
        """Which rows every chip can run, (rows,): products in the matrix unit's formats, moves in any format.

        All other work runs in the formats of the vector unit.
        """
        if table.form is Form.MOVE:
            return np.ones(len(table), dtype=np.bool_)
        matrix = table.form in (Form.GEMM, Form.ATTENTION)
        rate = params.rate(table) if matrix else params.vector_rate(table)
        return np.asarray((rate > 0.0).all(axis=0), dtype=np.bool_)

    def misfits(self, spec: DeviceSpec) -> Mapping[tuple[str, ...], str]:
        """Keys of a device whose values do not go with others of it, with what to write; by default none."""
        return {}

    @abstractmethod
    def explain(self, work: Work, params: P) -> Sequence[tuple[str, float, str]]:
        """The terms behind one row's price on the first chip: (term, value, unit), in the order of the formula."""

    def of_graph(self, params: P, tables: Mapping[Form, Table], counts: Array, graph: Graph) -> P:
        """The numbers for operators that run as parts of a whole graph, where those of a kind share the chip.

        Args:
            params: of :meth:`params`.
            tables: all rows of the graph.
            counts: how often each row occurs, (rows,).
            graph: the graph itself.
        """
        return params

    def activity(self, table: Table, params: P) -> Mapping[str, Array]:
        """Seconds of each row's time by what the unit does in them, (chips, rows); kinds that cannot say give none."""
        return {}

    def price_form(self, table: Table, params: P) -> Costs:
        """The price function of the table's form; raises UnsupportedError for a Collective, which links price."""
        match table.form:
            case Form.GEMM:
                return self.price_gemm(table, params)
            case Form.ATTENTION:
                return self.price_attention(table, params)
            case Form.MAP:
                return self.price_map(table, params)
            case Form.REDUCE:
                return self.price_reduce(table, params)
            case Form.MOVE:
                return self.price_move(table, params)
            case Form.COLLECTIVE:
                kernels = ", ".join(sorted({w.kernel for w in table.works}))
                raise UnsupportedError(f"{kernels}: a collective needs a system with an interconnect, not one device")


KINDS: Registry[DeviceKind[Any]] = Registry("kind of device")
"""Every kind of device by name."""


def supported(kind: DeviceKind[P], spec: DeviceSpec, tables: Mapping[Form, Table], params: P) -> NDArray[np.bool_]:
    """Which rows a device can run, its YAML's ``unsupported`` list included; no collective. Shape (rows,)."""
    mask = np.zeros(sum(len(table) for table in tables.values()), dtype=np.bool_)
    refused, allowed = set(spec.unsupported), set(spec.supports)
    for form, table in tables.items():
        if form is Form.COLLECTIVE:
            continue
        named = [{kernel, str(form)} for kernel, _ in table.keys]
        welcome = np.array([not (names & refused) and (not allowed or bool(names & allowed)) for names in named])
        mask[table.index] = kind.supports(table, params) & welcome[table.key]
    return mask


def price(kind: DeviceKind[P], works: Sequence[Work], params: P, name: str = "the device") -> Costs:
    """Costs of rows of Work on one or many chips, columns in the order of ``works``.

    Raises:
        UnsupportedError: some rows the device cannot run; all of them are named.
    """
    return price_tables(kind, tables_of(works), params, name)


def price_tables(kind: DeviceKind[P], tables: Mapping[Form, Table], params: P, name: str = "the device") -> Costs:
    """Costs of the rows of some tables, columns in the order of their ``index``; see :func:`price`.

    Raises UnsupportedError for rows that the device cannot run, naming them.
    """
    for table in tables.values():
        if table.form is not Form.COLLECTIVE:
            mask = kind.supports(table, params)
            if not mask.all():
                raise UnsupportedError(_refusal(table, mask, params, name))
    rows = sum(len(table) for table in tables.values())
    return gathered(rows, ((table, kind.price_form(table, params)) for table in tables.values()))


def gathered(rows: int, parts: Iterable[tuple[Table, Costs]]) -> Costs:
    """The costs of some tables as columns of all rows; rows in no table take infinite time and nothing else."""
    columns: dict[str, Any] = {}
    for table, costs in parts:
        for item in fields(Costs):
            part = getattr(costs, item.name)
            if item.name not in columns:
                fill = np.inf if item.name == "time_s" else 0
                columns[item.name] = np.full((len(part), rows), fill, dtype=part.dtype)
            columns[item.name][:, table.index] = part
    if not columns:
        columns = {
            f.name: np.zeros((1, rows), dtype=np.int8 if f.name == "bound" else np.float64) for f in fields(Costs)
        }
        columns["time_s"] += np.inf
    return Costs(**columns)


def _refusal(table: Table, mask: NDArray[np.bool_], params: Params, name: str) -> str:
    missing = sorted({f"{w.kernel} in {w.format}" for w, ok in zip(table.works, mask, strict=True) if not ok})
    matrix = table.form in (Form.GEMM, Form.ATTENTION)
    rates = params.peak[0] if matrix else np.maximum(params.peak[0], params.vector_peak[0])
    has = [fmt for fmt, rate in zip(FORMATS, rates, strict=True) if rate > 0]
    return f"{name} cannot run {', '.join(missing[:6])}; its formats are {', '.join(has)}"
