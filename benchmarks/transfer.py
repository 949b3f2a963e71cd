"""How far predictions are for a chip that was never measured: each chip with all its own constants taken away.

    python -m benchmarks.transfer [--data ../shared/ground_truth/gpu] [--only TEXT] [--update]

A chip keeps what its data sheet says and takes the constants of its nearest relative that was measured in the same
way: the speed of L2 in bytes a clock and SM, the clock that its power limit leaves to products, and where no host is
timed, launches and rows in clocks. All rows count, since none was fitted; residuals are left out. Errors in per cent:
with the chip's own constants (``own``), a relative's (``carried``), those but the chip's own ceiling of its matrix
units (``+ ceiling``), and its own host and launch time, which belong to the machine (``+ launch``); and that of the
geometric mean over all other chips (``mean of others``). Of collectives, the last two are the constants that all
other systems share (``fit_shared_links``): with a start of the system's own, which the time of one all-reduce gives,
and with the mean of all others' starts.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray
from pandas import DataFrame  # noqa: TID253 -- a script, not part of the package

from benchmarks import fit_shared_links
from benchmarks.accuracy import between
from benchmarks.fit_links import Family as LinkFamily
from benchmarks.fit_residuals import TRUTH, by_device, families
from hwsim.cost.carrying import (
    DRAWN,
    DRAWN_BY_MATRIX_UNITS,
    LIMITED,
    ON_CHIP,
    PRODUCTS,
    ChipFacts,
    carried,
    clock_share,
    memory_power_w,
    reached,
)
from hwsim.devices.base import KINDS
from hwsim.devices.interconnect import price_collectives
from hwsim.graph.lowering import tables_of
from hwsim.graph.work import Collective, Work
from hwsim.loading.device import load_device
from hwsim.loading.system import load_system
from hwsim.specs.device import DeviceSpec
from hwsim.specs.software import SoftwareSpec
from hwsim.specs.system import InterconnectSpec
from hwsim.validation.calibration import Family
from hwsim.validation.kernels import kernel_work
from hwsim.validation.measured import MeasuredFile, read_measured

Floats = NDArray[np.float64]
KERNELS = ("gemm", "attention", "vector", "conv_rnn")
RELATIVES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "a100_sxm_80gb": ("h100_sxm",),
        "h100_sxm": ("b200_sxm", "a100_sxm_80gb"),
        "b200_sxm": ("h100_sxm",),
        "l40s": ("a100_sxm_80gb", "h100_sxm"),
        "a100_pcie_40gb": ("v100_pcie",),
        "v100_pcie": ("a100_pcie_40gb", "t4"),
        "v100_sxm2": ("titan_xp",),
        "t4": ("v100_pcie", "v100_sxm2", "titan_xp"),
        "p100_pcie": ("v100_pcie",),
        "titan_xp": ("v100_sxm2", "t4"),
        "mi100": ("v100_pcie",),
        "vega_fe": ("titan_xp",),
    }
)
"""The nearest generation, first choice first: of the same maker where there is one, before or after."""
SAME_KERNELS: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "attention": {"a100_sxm_80gb": "l40s", "l40s": "a100_sxm_80gb"},
        "linear.fp8": {"h100_sxm": "l40s", "l40s": "h100_sxm"},
    }
)
"""What runs the same code on two chips, which tells more than their generations: FlashAttention-2; a scale found anew
for each row of activations, where B200's were known before."""
SYSTEMS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "a100": ("a100_x{}", "h100_x{}"),
        "h100": ("h100_x{}", "a100_x{}"),
        "b200": ("b200_x{}", "h100_x{}"),
    }
)
"""Systems measured with ``nccl_bench`` over NVLink, and their relatives."""
PROFILED: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "a100_dgx_x16": ("h100_dgx_x16", "a100_pair_x2"),
        "h100_dgx_x16": ("a100_dgx_x16", "a100_pair_x2"),
        "a100_pair_x2": ("h100_dgx_x16", "a100_dgx_x16"),
    }
)
"""Systems whose collectives were profiled in PyTorch, and the others, the nearest first."""
_CEILINGS, _STARTS = ("compute",), ("launch", "dispatch", "floor")


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """Errors in per cent of one chip and family: with its own constants, a relative's, those mended; of the mean."""

    what: str
    chip: str
    relative: str
    rows: int
    own: float
    carried: float
    bias: float
    ceiling: float
    launch: float
    mean: float


def seconds(family: Family, chip: str, stack: SoftwareSpec) -> Floats:
    """What a stack's kernels would take on a chip."""
    spec = load_device(chip)
    kind = KINDS[spec.kind]
    (table,) = tables_of(family.works).values()
    found: Floats = kind.price_form(table, kind.params(spec, stack)).time_s[0]
    return found


def _measured(path: Path) -> MeasuredFile:
    file = read_measured(path, strict=True)
    assert file is not None
    return file


def _error(predicted: Floats, measured: Floats) -> float:
    return float(100.0 * np.abs(predicted / measured - 1.0).mean())


def lent(stack: SoftwareSpec, relative: str, chip: str, fmt: str = "", drawn: float | None = None) -> SoftwareSpec:
    """A relative's constants on a chip, as a device file inherits them (:mod:`hwsim.cost.carrying`).

    ``fmt`` is that of kernel families which name none, ``drawn`` the share of its limit that the relative drew in its
    best products (default: the rule's).
    """
    theirs, mine = load_device(relative), load_device(chip)
    chips, peaks = [facts(spec) for spec in (mine, theirs)], [KINDS[spec.kind].peaks(spec) for spec in (mine, theirs)]
    on_chip = bool(ON_CHIP & set(stack.timing))
    kernels = {}
    for family, given in stack.kernels.items():
        form, _, own = family.partition(".")
        key = own or fmt or theirs.preferred_dtype
        found = {name: carried(name, value, chips[0], chips[1], on_chip=on_chip) for name, value in given.items()}
        if "compute" in found and form in LIMITED:
            ceiling, both = _reached(given), (peaks[0].get(key, 0.0), peaks[1].get(key, 0.0))
            best, share = max(ceiling, _best(theirs, key)), drawn or _drawn(theirs, key)
            found["compute"] *= clock_share(chips[0], chips[1], both, ceiling, best, share)
        kernels[family] = found
    return replace(stack, kernels=MappingProxyType(kernels), residuals=())


def _best(spec: DeviceSpec, fmt: str) -> float:
    """The largest share of the peak that a device's products reach in a format, or in any where none names it."""
    families = [item for stack in spec.software.values() for item in stack.kernels.items()]
    for names in ({f"{name}.{fmt}" for name in PRODUCTS}, set(PRODUCTS)):
        found = [_reached(given) for name, given in families if name in names and "compute" in given]
        if found:
            return max(found)
    return 0.0


def _reached(given: Mapping[str, float]) -> float:
    return reached(given["compute"], given.get("starve", 0.0))


def _drawn(spec: DeviceSpec, fmt: str) -> float:
    """Share of its limit that a device draws in its best products of a format."""
    matrix = spec.core.tensor.get(fmt, 0.0) * spec.core.clock_hz
    on_vector_units = spec.core.vector.get(fmt, 0.0) * (spec.core.vector_clock_hz or spec.core.clock_hz) >= matrix
    return DRAWN if on_vector_units else DRAWN_BY_MATRIX_UNITS


def facts(spec: DeviceSpec) -> ChipFacts:
    """What a device file says of the chip that constants are carried by."""
    return ChipFacts(
        sms=spec.core.sms,
        clock_hz=float(spec.core.vector_clock_hz or spec.core.clock_hz),
        matrix_clock_hz=spec.core.clock_hz,
        bandwidth_bytes_per_s=spec.main_memory.bandwidth_bytes_per_s,
        tdp_w=spec.power.tdp_w,
        idle_w=spec.power.idle_w,
        voltage_floor=spec.power.voltage_floor,
        process=spec.process,
        memory_w=memory_power_w(
            spec.main_memory.name, spec.main_memory.bandwidth_bytes_per_s, spec.main_memory.energy_j_per_byte
        ),
    )


def _mended(stack: SoftwareSpec, own: SoftwareSpec, work: Work, names: tuple[str, ...]) -> SoftwareSpec:
    """The stack with some constants of the kernel as another has them."""

    def given(of: SoftwareSpec, name: str) -> float | None:
        order = (f"{work.kernel}.{work.format}", work.kernel, f"{work.form}.{work.format}", str(work.form))
        return next((of.kernels[key][name] for key in order if name in of.kernels.get(key, {})), None)

    label = f"{work.kernel}.{work.format}"
    changed = {name: value for name in names if (value := given(own, name)) is not None}
    return replace(
        stack, kernels=MappingProxyType({**stack.kernels, label: {**stack.kernels.get(label, {}), **changed}})
    )


def measured_kernels(folder: Path, only: str = "") -> dict[tuple[str, str], dict[str, Family]]:
    """{(stack, kernel): {chip: rows}} of GPUs, where more than one chip was measured so."""
    found: dict[tuple[str, str], dict[str, Family]] = {}
    for name in KERNELS:
        for chip, file in by_device(_measured(folder / f"{name}_dev.csv")).items():
            if load_device(chip).kind == "simt_gpu":
                for family in families(file, chip):
                    found.setdefault((family.stack.name, family.name), {})[chip] = family
    return {key: chips for key, chips in found.items() if len(chips) > 1 and only in " ".join((*key, *chips))}


def kernel_lines(folder: Path, only: str = "") -> Iterator[Line]:
    """A line for each kernel family and chip that has a relative measured in the same way."""
    for (measured_by, name), chips in sorted(measured_kernels(folder, only).items()):
        for chip, family in chips.items():
            same = (
                other for kernel, of in SAME_KERNELS.items() if name.startswith(kernel) for other in (of.get(chip),)
            )
            nearest = (*(other for other in same if other), *RELATIVES.get(chip, ()))
            relative = next((other for other in nearest if other in chips), None)
            if relative is None:
                continue
            work, measured = family.works[0], family.measured_s
            plain = {other: replace(chips[other].stack, residuals=()) for other in chips}
            borrowed = lent(chips[relative].stack, relative, chip, work.format)
            relatives = seconds(family, chip, borrowed)
            ceiling = _mended(borrowed, plain[chip], work, _CEILINGS)
            launch = _mended(ceiling, plain[chip], work, _STARTS)
            others = (lent(chips[other].stack, other, chip, work.format) for other in chips if other != chip)
            logs = [np.log(seconds(family, chip, stack)) for stack in others]
            yield Line(
                what=f"{measured_by}, {name}",
                chip=chip,
                relative=relative,
                rows=len(measured),
                own=_error(seconds(family, chip, plain[chip]), measured),
                carried=_error(relatives, measured),
                bias=float(100.0 * (relatives / measured - 1.0).mean()),
                ceiling=_error(seconds(family, chip, ceiling), measured),
                launch=_error(seconds(family, chip, launch), measured),
                mean=_error(np.exp(np.mean(logs, axis=0)), measured),
            )


def collective_lines(folder: Path) -> Iterator[Line]:
    """A line for each chip whose collectives were measured with NCCL's benchmark, over links of a relative's kind."""
    rows = [row for row in _measured(folder / "comm_dev.csv").rows if row.text("timing") == "nccl_bench"]
    known = fit_shared_links.measured(folder)
    for name, (own, other) in SYSTEMS.items():
        found: dict[str, list[Floats]] = {"own": [], "carried": [], "measured": []}
        for row in (row for row in rows if row.text("device") == known[name][0].device):
            work = kernel_work(row)
            assert isinstance(work, Collective)
            table = tables_of([work])[work.form]
            links = [load_system(each.format(work.participants)).interconnect for each in (own, other)]
            assert links[0] is not None
            mine = replace(links[0], residuals=())
            for key, link in (("own", mine), ("carried", _lent_links(links[1], mine))):
                found[key].append(price_collectives(table, link, work.participants).time_s[0])
            found["measured"].append(np.array([row.figures["latency_us"]]))
        priced, others, measured = (np.concatenate(found[key]) for key in ("own", "carried", "measured"))
        error, bias = _error(others, measured), float(100.0 * (others / measured - 1.0).mean())
        started, mean = _shared(name, known)
        yield Line(
            what="nccl_bench, collectives", chip=own.format(8), relative=other.format(8), rows=len(measured),
            own=_error(priced, measured), carried=error, bias=bias, ceiling=error, launch=started, mean=mean,
        )  # fmt: skip


def profiled_lines(folder: Path) -> Iterator[Line]:
    """A line for each system whose collectives were profiled, inside machines and between them."""
    rows = [row for row in _measured(folder / "comm_dev.csv").rows if row.text("timing") == "profiler_kernel"]
    for name, others in PROFILED.items():
        system = load_system(name)
        works: list[tuple[Collective, int]] = []
        measured: list[float] = []
        for row in rows:
            work = kernel_work(row)
            assert isinstance(work, Collective)
            if row.text("device") in system.aliases and work.participants <= len(system.devices):
                works.append((work, int(row.text("model").partition("=")[2])))
                measured.append(row.figures["latency_us"])
        own = _plain(system.interconnect)
        carried = [_exchanged_s(_lent_links(_plain(load_system(other).interconnect), own), works) for other in others]
        true = np.array(measured)
        error = _error(carried[0], true)
        yield Line(
            what="profiler, collectives", chip=name, relative=others[0], rows=len(true),
            own=_error(_exchanged_s(own, works), true), carried=error,
            bias=float(100.0 * (carried[0] / true - 1.0).mean()), ceiling=error, launch=error,
            mean=_error(np.exp(np.mean(np.log(carried), axis=0)), true),
        )  # fmt: skip


def _plain(links: InterconnectSpec | None) -> InterconnectSpec:
    """Links without residuals."""
    assert links is not None
    return replace(links, residuals=(), network=links.network and replace(links.network, residuals=()))


def _exchanged_s(links: InterconnectSpec, works: Sequence[tuple[Collective, int]]) -> Floats:
    """Seconds of collectives, each with the ranks that share a machine."""
    found = [
        price_collectives(
            tables_of([work])[work.form], replace(links, node=min(node, links.node)), work.participants
        ).time_s[0, 0]
        for work, node in works
    ]
    return np.array(found)


def _shared(name: str, known: Mapping[str, tuple[LinkFamily, DataFrame]]) -> tuple[float, float]:
    """Errors of a system from what the others share: with a start of its own, and with the mean of theirs."""
    family, rows = known[name]
    others = fit_shared_links.fit_shared({other: pair for other, pair in known.items() if other != name})
    starts = (others.start_s(family, rows), others.mean_start_s)
    own, mean = (float(np.abs(others.errors(family, rows, start)).mean()) for start in starts)
    return own, mean


def _lent_links(relative: InterconnectSpec | None, own: InterconnectSpec) -> InterconnectSpec:
    """A relative's constants on a system's own links; what NCCL plans with follows from the links."""
    assert relative is not None
    found = replace(relative, bandwidth_bytes_per_s=own.bandwidth_bytes_per_s, residuals=())
    if found.network is not None and own.network is not None:  # that long messages leave slower is one network's alone
        wire = {name: getattr(own.network, name) for name in ("bandwidth_bytes_per_s", "ranks_per_port")}
        found = replace(found, node=own.node, network=replace(found.network, **wire, long_efficiency=0.0))
    if found.eager is None or own.eager is None:
        return found
    planned = ("planned_eager_bytes_per_s", "planned_bulk_bytes_per_s")
    return replace(found, eager=replace(found.eager, **{name: getattr(own.eager, name) for name in planned}))


def shown(lines: Iterable[Line]) -> Iterator[str]:
    """Lines of the table of docs/accuracy/never_measured.md."""
    yield "| kernels | chip, relative | rows | own | carried | bias | + ceiling | + launch | mean of others |"
    yield "|---|---|---|---|---|---|---|---|---|"
    for line in lines:
        errors = (line.own, line.carried, line.bias, line.ceiling, line.launch, line.mean)
        figures = " | ".join(f"{error:+.0f}" if error is line.bias else f"{error:.1f}" for error in errors)
        yield f"| {line.what} | `{line.chip}` from `{line.relative}` | {line.rows} | {figures} |"


def main() -> None:
    """Print the table as Markdown, or write it into the page."""
    parser = argparse.ArgumentParser(description="Errors on chips whose own calibration is taken away.")
    parser.add_argument("--data", type=Path, default=TRUTH)
    parser.add_argument(
        "--only", default="", help="kernel families whose stack, name or chips contain this; collectives"
    )
    parser.add_argument("--update", action="store_true", help="write into docs/accuracy/never_measured.md")
    given = parser.parse_args()
    lines = list(kernel_lines(given.data, given.only))
    lines += [*collective_lines(given.data), *profiled_lines(given.data)] if given.only in "collectives" else []
    table = list(shown(lines))
    print("\n".join(table))
    if given.update and not given.only:
        between(Path(__file__).resolve().parents[1] / "docs" / "accuracy" / "never_measured.md", "transfer", table)


if __name__ == "__main__":
    main()
