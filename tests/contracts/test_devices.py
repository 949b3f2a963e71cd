"""Every shipped device and system file, found by looking into the folder: a new chip is tested without a list."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pytest

from hwsim.devices.base import KINDS, Costs, price, supported
from hwsim.devices.ideal import IdealSection
from hwsim.graph.lowering import lower, tables_of
from hwsim.graph.tensor import FORMATS, scheme
from hwsim.graph.work import Attention, Gemm, Map, Move, Reduce, Work, size_bytes
from hwsim.loading.device import load_device
from hwsim.loading.library import find_by_alias
from hwsim.loading.system import load_system
from hwsim.ops import layernorm
from hwsim.specs.device import DeviceSpec
from hwsim.specs.software import SoftwareSpec

LIBRARY = Path(__file__).resolve().parents[2] / "device_specs"
DEVICES = sorted(path.stem for path in LIBRARY.glob("*.yaml"))
SYSTEMS = sorted(path.stem for path in (LIBRARY / "systems").glob("*.yaml"))
PROMISED_DEVICES = """
h100_sxm h200_sxm b200_sxm a100_sxm_80gb a100_sxm_40gb a100_pcie_40gb v100_sxm2 v100_pcie t4 l4 l40s a40 rtx_3090
rtx_4090 p100_pcie mi100 mi210 mi300x jetson_agx_orin adreno_750 hexagon_v75 ascend_310p ascend_910b apple_m1_gpu
apple_m1_ane tpu_v1 tpu_v4 tpu_v5e edge_tpu rk3588_npu kryo_8gen3 xeon_8480 ideal
"""
PROMISED_SYSTEMS = "snapdragon_8_gen_3 h100_x1 h100_x2 h100_x4 h100_x8 b200_x1 b200_x2 b200_x4 b200_x8"
PROMISED_SYSTEMS += " a100_x2 a100_x4 a100_x8 h200_x2 h200_x4 h200_x8 l40s_x2 l40s_x4 l40s_x8"

every_device = pytest.mark.parametrize("name", DEVICES)
every_system = pytest.mark.parametrize("name", SYSTEMS)


def device(name: str) -> DeviceSpec:
    return load_device(name)


def works(spec: DeviceSpec) -> tuple[Work, ...]:
    """A small product, element-wise sum, softmax and copy in the chip's preferred format."""
    chosen = scheme(spec.preferred_dtype)
    stored, matrix = chosen.activation, chosen.matrix
    count = 512 * 512
    held = size_bytes(count, stored)
    return (
        Gemm(
            kernel="matmul", batch=1, m=512, n=512, k=512, a_elements=count, b_elements=count, a_format=stored,
            b_format=chosen.weight, compute_format=matrix, accumulator_format="fp32", out_format=stored,
        ),
        Map(
            kernel="add", elements=count, flop_per_element=1, special_per_element=0, bytes_in=2 * held, bytes_out=held,
            format=stored,
        ),
        Reduce(
            kernel="softmax", rows=512, cols=512, passes=1, flop_per_element=4, special_per_element=1, bytes_in=held,
            bytes_out=held, format=stored,
        ),
        Move(kernel="copy", elements=count, bytes_in=held, bytes_out=held, contiguous=True, format=stored),
    )  # fmt: skip


def large_works(spec: DeviceSpec) -> tuple[Work, ...]:
    """A product of 8192 and, where the chip has such a kernel, causal attention of 16384 tokens and of a lone query."""
    (product, *_) = works(spec)
    assert isinstance(product, Gemm)
    side = 8192
    size = {"m": side, "n": side, "k": side, "a_elements": side * side, "b_elements": side * side}
    stored = product.a_format
    rows: list[Work] = [replace(product, **size)]
    for kernel, queries in (("attention_prefill", 16384), ("attention_decode", 1)):
        rows.append(
            Attention(
                kernel=kernel, batch=1, heads=32, kv_heads=8, seq_q=queries, seq_kv=16384, head_dim=128, causal=True,
                format=stored, kv_format=stored, out_format=stored,
            )
        )  # fmt: skip
    kind = KINDS[spec.kind]
    masks = [supported(kind, spec, tables_of([row]), kind.params(spec, spec.default_software))[0] for row in rows]
    return tuple(row for row, able in zip(rows, masks, strict=True) if able)


def priced(spec: DeviceSpec, rows: Sequence[Work], stack: SoftwareSpec | None = None) -> Costs:
    kind = KINDS[spec.kind]
    return price(kind, rows, kind.params(spec, stack or spec.default_software), spec.name)


@cache
def peaks(name: str) -> dict[str, float]:
    spec = device(name)
    return dict(KINDS[spec.kind].peaks(spec))


def lower_bound(spec: DeviceSpec) -> DeviceSpec:
    """The ideal device with the chip's fastest rate for each format and its fastest memory."""
    kind = KINDS[spec.kind]
    params = kind.params(spec, spec.default_software)
    rates = np.maximum(params.peak, params.vector_peak)[0]
    widest = max(level.bandwidth_bytes_per_s for level in spec.memory)
    known = MappingProxyType({fmt: float(rate) for fmt, rate in zip(FORMATS, rates, strict=True) if rate > 0})
    return replace(
        device("ideal"),
        core=IdealSection(peak_op_per_s=known, assumption="those of the chip"),
        memory=(replace(spec.main_memory, bandwidth_bytes_per_s=widest),),
    )


class TestDevices:
    def test_every_promised_device_is_shipped(self) -> None:
        assert set(PROMISED_DEVICES.split()) <= set(DEVICES)

    @every_device
    def test_it_loads_under_the_name_of_its_file(self, name: str) -> None:
        assert device(name).name == name

    @every_device
    def test_its_derived_peaks_are_those_of_the_datasheet(self, name: str) -> None:
        printed = device(name).datasheet.peak_op_per_s
        derived = {fmt: peaks(name).get(fmt, 0.0) for fmt in printed}
        assert derived == {fmt: pytest.approx(rate, rel=0.03) for fmt, rate in printed.items()}

    @every_device
    def test_every_section_says_where_its_figures_are_from(self, name: str) -> None:
        spec = device(name)
        sections = [spec.core, *spec.memory, spec.power]
        sections += [spec.datasheet] if spec.datasheet.peak_op_per_s else []
        assert all(section.source or section.assumption for section in sections)
        assert all(stack.fitted_to or stack.assumption for stack in spec.software.values())

    @every_device
    def test_its_memories_have_sizes_and_widen_towards_the_units(self, name: str) -> None:
        levels = device(name).memory
        assert all(level.capacity_bytes > 0 and level.bandwidth_bytes_per_s > 0 for level in levels)
        assert all(level.energy_j_per_byte > 0 for level in levels)
        widths = [level.bandwidth_bytes_per_s for level in levels]
        assert widths == sorted(widths)

    @every_device
    def test_it_has_an_on_chip_level_unless_it_is_ideal(self, name: str) -> None:
        spec = device(name)
        assert spec.kind == "ideal" or len(spec.memory) >= 2

    @every_device
    def test_its_floors_stay_below_its_limit(self, name: str) -> None:
        power = device(name).power
        assert power.static_w <= power.idle_w <= power.idle_w + power.active_w < power.tdp_w

    @every_device
    def test_full_work_draws_the_order_of_its_limit(self, name: str) -> None:
        """Floors plus matrix unit and main memory at their peaks: a third of the limit to four times it."""
        spec = device(name)
        power = spec.power
        drawn = max(power.energy_per_op_j.get(fmt, 0.0) * rate for fmt, rate in peaks(name).items() if rate < 1e18)
        memory = spec.main_memory.bandwidth_bytes_per_s * spec.main_memory.energy_j_per_byte
        assert 0.33 <= (power.idle_w + power.active_w + drawn + memory) / power.tdp_w <= 4.0

    @every_device
    def test_a_slower_operating_point_needs_no_more_voltage(self, name: str) -> None:
        states = sorted(device(name).power.p_states, key=lambda state: state.clock)
        assert all(state.clock <= 1.0 for state in states)
        assert [s.voltage for s in states] == sorted(s.voltage for s in states)

    @every_device
    def test_it_prices_every_small_work(self, name: str) -> None:
        spec = device(name)
        for stack in spec.software.values():
            costs = priced(spec, works(spec), stack)
            for column in (costs.time_s, costs.energy_j):
                assert np.all(np.isfinite(column))
                assert np.all(column > 0)

    @every_device
    def test_a_wider_memory_never_makes_a_copy_longer(self, name: str) -> None:
        spec = device(name)
        stored = scheme(spec.preferred_dtype).activation
        copies = [
            Move(kernel="copy", elements=size, bytes_in=size, bytes_out=size, contiguous=True, format=stored)
            for size in (4096, 1 << 20, 1 << 26, 1 << 30)
        ]
        main = spec.main_memory
        wider = spec.evolve({f"memory.{main.name}.bandwidth": f"{2 * main.bandwidth_bytes_per_s:.6g} B/s"})
        assert np.all(priced(wider, copies).time_s <= priced(spec, copies).time_s)

    @every_device
    def test_a_norm_of_few_rows_never_takes_longer_than_one_of_more(self, name: str) -> None:
        """Each row brings its own bytes; scale and shift, which all of them need, weigh most where there is one."""
        spec = device(name)
        stored = scheme(spec.preferred_dtype).activation
        rows = [
            lowered
            for count in (1, 4, 16, 64, 256, 1024)
            for lowered in lower(layernorm(count, 1024, dtype=stored)).works
        ]
        times = priced(spec, rows).time_s[0]
        assert np.all(np.diff(times) >= -1e-9 * times[:-1])

    @every_device
    def test_the_ideal_device_is_never_slower(self, name: str) -> None:
        spec = device(name)
        rows = (*works(spec), *large_works(spec))
        bound = priced(lower_bound(spec), rows).time_s
        for stack in spec.software.values():
            costs = priced(spec, rows, stack)
            # A card may clock above its data sheet, which a stack says as a `rate` above 1.
            boost = max((family.get("rate", 1.0) for family in stack.kernels.values()), default=1.0)
            assert np.all(bound <= costs.time_s * boost * (1 + 1e-9)), stack.name
            assert spec.kind == "ideal" or boost > 1.0 or np.all(costs.utilization < 1.0), stack.name

    @every_device
    def test_its_stacks_claim_no_more_than_they_show(self, name: str) -> None:
        for stack in device(name).software.values():
            if stack.basis == "calibrated":
                assert stack.fitted_to
            if stack.basis == "uncalibrated":
                assert not stack.validated
            if stack.validated:
                assert stack.fitted_to
                assert all(0 < error < 100 for error in stack.validated.values())

    @pytest.mark.slow
    def test_measured_data_find_the_device_by_each_of_its_names(self) -> None:
        claims = [(alias, name) for name in DEVICES for alias in device(name).aliases]
        assert [(alias, find_by_alias(alias)) for alias, _ in claims] == claims

    def test_the_chips_of_the_gpu_measurements_are_known(self, shared_dir: Path) -> None:
        """Chips measured there that the library does not describe are named, so that a new one is noticed."""
        left_out = {"RTX-PRO-6000-Server", "Intel-Arc-Pro-B60", "P4", "P100-SXM2", "GTX-1080Ti", "TitanXp"}
        left_out |= {"TitanX-Pascal", "TitanX-Maxwell", "M40", "MI25", "VegaFE", "XeonPhi-7250-KNL"}
        with (shared_dir / "ground_truth" / "gpu" / "devices.csv").open(encoding="utf-8") as file:
            chips = {row["device"] for row in csv.DictReader(file)}
        owners = {find_by_alias(chip) for chip in chips - left_out}
        assert len(owners) == len(chips - left_out)


class TestSystems:
    def test_every_promised_system_is_shipped(self) -> None:
        assert set(PROMISED_SYSTEMS.split()) <= set(SYSTEMS)

    @every_system
    def test_it_loads_under_the_name_of_its_file(self, name: str) -> None:
        assert load_system(LIBRARY / "systems" / f"{name}.yaml").name == name

    @every_system
    def test_every_pair_of_its_devices_is_linked(self, name: str) -> None:
        system = load_system(name)
        count = len(system.devices)
        assert len({frozenset(link.between) for link in system.links}) == count * (count - 1) // 2

    @every_system
    def test_a_unit_reaches_no_more_than_the_memory_it_shares(self, name: str) -> None:
        system = load_system(name)
        if system.memory is None:
            kinds = {spec.kind for spec in system.devices.values()}  # boards copy over the link between two kinds
            assert name[-1] == "1" or system.interconnect is not None or len(kinds) > 1
            return
        ports = [spec.main_memory.bandwidth_bytes_per_s for spec in system.devices.values()]
        assert max(ports) <= system.memory.bandwidth_bytes_per_s
