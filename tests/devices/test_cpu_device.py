"""The CPU kind on toy chips worked by hand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from types import MappingProxyType

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwsim.devices.base import KINDS, Costs, price, stack_params
from hwsim.devices.cpu import CpuParams, CpuSection
from hwsim.graph.work import Attention, Gemm, Map, Move, Reduce, Work
from hwsim.specs.device import DeviceSpec, MemorySpec, PowerSpec
from hwsim.specs.software import SoftwareSpec
from tests.devices.works import attention_of, gemm_of, one_of_each, reduce_of

CPU = KINDS["cpu"]
PERFECT = {"compute": 1.0, "memory": 1.0, "overlap": 100.0, "keep": 1.0}


def _section(**changes: object) -> CpuSection:
    return replace(CpuSection(cores=1, clock_hz=1.0, simd_bits=512), **changes)  # type: ignore[arg-type]


def _chip(
    section: CpuSection | None = None,
    bandwidth: float = 1e15,
    kernels: Mapping[str, Mapping[str, float]] | None = None,
    cache: float = 1.0,
) -> DeviceSpec:
    """One core at 1 Hz with one 512-bit port (32 fp32 operations a second), plenty of bandwidth unless said."""
    default = dict.fromkeys(("gemm", "attention", "map", "reduce", "move"), PERFECT)
    return DeviceSpec(
        name="toy",
        title="Toy",
        kind="cpu",
        core=section or _section(),
        memory=(
            MemorySpec(name="dram", capacity_bytes=1e12, bandwidth_bytes_per_s=bandwidth),
            MemorySpec(name="l3", capacity_bytes=cache, bandwidth_bytes_per_s=10 * bandwidth),
        ),
        power=PowerSpec(tdp_w=100.0, idle_w=1.0, energy_per_op_j={"fp32": 1.0}),
        software={"toy": SoftwareSpec(name="toy", kernels=MappingProxyType(default | dict(kernels or {})))},
    )


def _params(spec: DeviceSpec) -> CpuParams:
    return CPU.params(spec, spec.default_software)  # type: ignore[no-any-return]


def _gemm(m: int, n: int, k: int, fmt: str = "fp32") -> Gemm:
    return gemm_of(m, n, k, fmt, accumulator_format="fp32")


def _time_s(work: Work, spec: DeviceSpec | None = None) -> float:
    return float(price(CPU, [work], _params(spec or _chip())).time_s[0, 0])


def test_simd_peak_is_ports_times_lanes_times_two() -> None:
    peaks = CPU.peaks(_chip(_section(cores=4, fma_ports=2, dot={"int8": 1.0})))
    assert peaks == {"fp32": 4 * 2 * 16 * 2, "fp64": 4 * 2 * 8 * 2, "int8": 4 * 2 * 64 * 2}


def test_a_matrix_unit_replaces_simd_in_its_formats() -> None:
    peaks = CPU.peaks(_chip(_section(matrix={"bf16": 1024.0}, matrix_clock_hz=0.5)))
    assert peaks["bf16"] == 512.0
    assert peaks["fp32"] == 32.0


def test_fewer_threads_use_fewer_cores() -> None:
    assert CPU.peaks(_chip(_section(cores=8, threads=2)))["fp32"] == 64.0


def test_a_square_product_runs_at_the_peak() -> None:
    """2 x 64^3 operations at 32 a second."""
    assert _time_s(_gemm(64, 64, 64)) == pytest.approx(16384.0)


def test_half_full_vectors_take_twice_as_long() -> None:
    """Eight rows and columns on sixteen lanes."""
    assert _time_s(_gemm(8, 8, 64)) == pytest.approx(2 * 2 * 8 * 8 * 64 / 32)


def test_three_blocks_on_two_cores_take_two_rounds() -> None:
    two = _chip(_section(cores=2))
    assert _time_s(_gemm(192, 64, 64), two) == pytest.approx(_time_s(_gemm(256, 64, 64), two))


def test_a_format_without_its_own_rate_runs_as_the_next_wider_one() -> None:
    assert _time_s(_gemm(64, 64, 64, "bf16")) == pytest.approx(_time_s(_gemm(64, 64, 64)))


def test_a_working_set_in_cache_moves_at_cache_speed() -> None:
    """100 bytes at 10 a second, or at 1 a second when the cache is smaller."""
    work = Move(kernel="copy", elements=50, bytes_in=50, bytes_out=50, contiguous=True, format="int8")
    inside, outside = _chip(bandwidth=1.0, cache=100.0), _chip(bandwidth=1.0, cache=99.0)
    assert (_time_s(work, inside), _time_s(work, outside)) == (pytest.approx(10.0), pytest.approx(100.0))
    assert float(price(CPU, [work], _params(inside)).dram_bytes[0, 0]) == 0


def test_an_exponential_costs_ten_operations() -> None:
    work = Map(
        kernel="exp", elements=32, flop_per_element=0, special_per_element=1, bytes_in=1, bytes_out=1, format="fp32"
    )
    assert _time_s(work) == pytest.approx(10.0)


def test_packing_moves_both_operands_twice_more() -> None:
    """A and B of 64 x 64 in fp32 are 16,384 B each: 65,536 s more at a byte a second."""
    spec = _chip(bandwidth=1.0, kernels={"gemm": PERFECT | {"packed": 1.0}})
    more = _time_s(_gemm(64, 64, 64), spec) - _time_s(_gemm(64, 64, 64), _chip(bandwidth=1.0))
    assert more == pytest.approx(65536.0, rel=0.01)


def test_a_matrix_vector_product_packs_nothing() -> None:
    spec = _chip(bandwidth=1.0, kernels={"gemm": PERFECT | {"packed": 1.0}})
    assert _time_s(_gemm(1, 64, 64), spec) == pytest.approx(_time_s(_gemm(1, 64, 64), _chip(bandwidth=1.0)))


def test_columns_of_a_convolution_are_written_and_read() -> None:
    """A 3 x 3 window of 4 channels at 64 positions: 2 x 64 x 36 x 4 bytes beside the operands; none for 1 x 1."""
    spec = _chip(bandwidth=1.0, kernels={"gemm": PERFECT | {"columns": 1.0}})
    three = replace(_gemm(64, 8, 36), kh=3, kw=3, channels=4)
    one = replace(_gemm(64, 8, 36), channels=36)
    assert _time_s(three, spec) - _time_s(three, _chip(bandwidth=1.0)) == pytest.approx(2 * 64 * 36 * 4, rel=0.01)
    assert _time_s(one, spec) == pytest.approx(_time_s(one, _chip(bandwidth=1.0)))


def _weighted(**changes: int) -> Gemm:
    """64 x 64 x 64 with weights of 16,384 bytes."""
    return replace(_gemm(64, 64, 64), b_is_weight=True, **changes)  # type: ignore[arg-type]


def _extra_s(work: Gemm, constants: Mapping[str, float], cache: float = 1.0) -> float:
    """What a constant of products adds at a byte a second from DRAM and ten from the cache."""
    plain = _chip(bandwidth=1.0, cache=cache)
    return _time_s(work, _chip(bandwidth=1.0, cache=cache, kernels={"gemm": PERFECT | constants})) - _time_s(
        work, plain
    )


def _windowed(groups: int = 1) -> Gemm:
    """A 3 x 3 convolution of 16 channels to 16 over 8 x 8 places, in so many groups."""
    work = replace(_gemm(64, 16, 144), kh=3, kw=3, channels=16, out_h=8, out_w=8, b_is_weight=True)
    return replace(work, groups=groups, batch=groups)


def test_tiles_of_outputs_take_a_quarter_of_the_multiplications() -> None:
    tiled = _chip(kernels={"gemm": PERFECT | {"winograd": 1.0}})
    assert _time_s(_windowed(), tiled) == pytest.approx(_time_s(_windowed()) / 4)


def test_a_strided_convolution_is_never_tiled() -> None:
    tiled, strided = _chip(kernels={"gemm": PERFECT | {"winograd": 1.0}}), replace(_windowed(), stride=2)
    assert _time_s(strided, tiled) == _time_s(strided)


def test_each_further_thread_is_met_and_each_further_group_started() -> None:
    """Two clocks to start and three seconds for each of three further threads, twice as much with a second group."""
    constants = {"gemm": PERFECT | {"cycles": 2.0, "sync": 3.0, "apiece": 1.0}}
    four = _section(cores=4)
    for groups in (1, 2):
        more = _time_s(_windowed(groups), _chip(four, kernels=constants)) - _time_s(_windowed(groups), _chip(four))
        assert more == pytest.approx(11.0 * groups)


def test_fewer_threads_have_less_of_private_caches_and_of_memory() -> None:
    spec = _chip(_section(cores=4, threads=1, private=1, core_bandwidth_bytes_per_s=3.0), bandwidth=10.0, cache=100.0)
    params = _params(spec)
    assert (params.cache_bytes[0, 0], params.cache_bytes_per_s[0, 0]) == (25.0, 25.0)
    assert params.dram_bytes_per_s[0, 0] == 3.0


def test_a_core_in_order_computes_and_moves_one_after_the_other() -> None:
    work = Map(
        kernel="exp", elements=32, flop_per_element=0, special_per_element=1, bytes_in=5, bytes_out=5, format="fp32"
    )
    assert _time_s(work, _chip(_section(in_order=True), bandwidth=1.0)) == pytest.approx(20.0)


def test_weights_stored_in_half_the_bytes_arrive_in_half_the_time() -> None:
    assert _extra_s(_weighted(), {"apart": 1.0, "stored": 0.5}, cache=50_000.0) == pytest.approx(819.2, rel=0.01)


def test_weights_that_arrive_apart_hide_nothing() -> None:
    """16,384 B at ten a second from the cache, then the 16,384 s of computing, under which all were hidden before."""
    assert _extra_s(_weighted(), {"apart": 1.0}, cache=50_000.0) == pytest.approx(1638.4, rel=0.01)
    assert _extra_s(_gemm(64, 64, 64), {"apart": 1.0}, cache=50_000.0) == 0.0


def test_weights_of_a_network_that_a_cache_cannot_hold_come_from_memory() -> None:
    """All 49,152 bytes lie in the cache, unless other weights passed since: 16,384 at one instead of ten a second."""
    apart = _chip(bandwidth=1.0, cache=50_000.0, kernels={"gemm": PERFECT | {"apart": 1.0}})
    more = _time_s(_weighted(cycled_bytes=60_000), apart) - _time_s(_weighted(), apart)
    assert more == pytest.approx(16384.0 * 0.9)


@pytest.mark.parametrize(("kernel", "copies"), [(1, 1), (3, 2)])
def test_weights_of_a_convolution_are_laid_out_once_or_twice(kernel: int, copies: int) -> None:
    """Into the kernel's blocks; those of more than one place into channels last before."""
    window = _weighted(kh=kernel, kw=kernel, channels=64 // kernel**2, out_h=8, out_w=8)
    window = replace(window, k=window.channels * kernel**2)
    assert _extra_s(window, {"relaid": 1.0}) == pytest.approx(copies * 16384.0, rel=0.01)
    assert _extra_s(_weighted(), {"relaid": 1.0}) == 0.0


def test_a_small_convolution_of_one_image_runs_as_a_product() -> None:
    """8 x 8 places of 64 channels are 4,096 inputs; two images of 4 x 8 places are no single image."""
    constants = {"setup": 100.0, "relaid": 1.0, "small": 4096.0}
    one = _weighted(channels=64, out_h=8, out_w=8)
    assert _extra_s(one, constants) == 0.0
    assert _extra_s(replace(one, out_h=4), constants) > 100.0
    assert _extra_s(one, constants | {"small": 4095.0}) > 100.0
    assert _extra_s(_weighted(), constants) == 0.0


def test_pages_of_a_buffer_above_32_mib_are_cleared() -> None:
    """8,193 pages at two seconds each."""
    size = 8193 * 4096
    spec = _chip(kernels={"move": PERFECT | {"page": 2.0}})
    large = Move(kernel="copy", elements=1, bytes_in=0, bytes_out=size, contiguous=True, format="int8")
    assert _time_s(large, spec) - _time_s(large) == pytest.approx(2 * 8193.0)
    assert _time_s(replace(large, bytes_out=size - 4096), spec) == _time_s(replace(large, bytes_out=size - 4096))


def test_pages_of_weights_are_cleared_at_each_copy() -> None:
    constants = {"relaid": 1.0, "page": 2.0}
    large = _weighted(channels=16, kh=2, kw=2, b_elements=9 * 2**20)
    per_byte = _extra_s(large, {"relaid": 1.0})
    assert _extra_s(large, constants) - per_byte == pytest.approx(2 * 2 * 9 * 1024)


def test_a_reduction_of_few_rows_is_cut_along_them_where_the_stack_does() -> None:
    row = _mean(rows=1, cols=4096)
    whole = _chip(_section(cores=4))
    cut = _chip(_section(cores=4), kernels={"reduce": PERFECT | {"split": 1.0}})
    assert _time_s(row, whole) == pytest.approx(4 * _time_s(row, cut))


def _mean(rows: int, cols: int) -> Reduce:
    return reduce_of("mean", rows, cols, 0, "fp32")


def test_serial_work_keeps_one_core_busy() -> None:
    serial = _chip(_section(cores=4), kernels={"gemm": PERFECT | {"serial": 1.0}})
    assert _time_s(_gemm(256, 256, 64), serial) == pytest.approx(_time_s(_gemm(256, 256, 64)))


def _attention(causal: bool) -> Attention:
    return attention_of(256, 256, "fp32", causal=causal)


def test_a_causal_mask_halves_attention() -> None:
    assert _time_s(_attention(False)) == pytest.approx(2 * _time_s(_attention(True)))


def test_the_parts_of_an_explanation_make_the_time() -> None:
    spec = _chip(bandwidth=10.0)
    assert CPU.explain(_gemm(9, 9, 9), _params(spec))[-1][1] == pytest.approx(_time_s(_gemm(9, 9, 9), spec))


def test_an_explanation_shows_what_passes_before_a_product() -> None:
    """16,384 B of weights at ten a second from the cache, and no transfer of theirs."""
    spec = _chip(bandwidth=1.0, cache=50_000.0, kernels={"gemm": PERFECT | {"apart": 1.0}})
    terms = {name.partition(":")[0]: value for name, value, _ in CPU.explain(_weighted(), _params(spec))}
    assert (terms["before"], terms["transfer"]) == (pytest.approx(1638.4), pytest.approx(3276.8))


@pytest.mark.slow
def test_a_thousand_chips_in_one_call_equal_a_thousand_calls() -> None:
    rng = np.random.default_rng(0)
    works: list[Work] = [_gemm(17, 33, 65), _gemm(1, 4096, 4096), _attention(True), *one_of_each("fp32")]
    chips = []
    for _ in range(1000):
        section = _section(cores=int(rng.integers(1, 64)), clock_hz=float(rng.uniform(1e9, 4e9)))
        chips.append(
            _params(_chip(section, bandwidth=float(rng.uniform(1e9, 1e12)), cache=float(rng.uniform(1e2, 1e8))))
        )
    together = price(CPU, works, stack_params(chips))
    for index, chip in enumerate(chips):
        alone, mine = price(CPU, works, chip), together.chip(index)
        assert all(np.array_equal(getattr(alone, f.name), getattr(mine, f.name)) for f in fields(Costs)), index


@settings(max_examples=40, deadline=None)
@given(m=st.integers(1, 3000), n=st.integers(1, 3000), k=st.integers(1, 3000), cores=st.integers(1, 64))
def test_no_product_beats_the_peak(m: int, n: int, k: int, cores: int) -> None:
    spec = _chip(_section(cores=cores))
    assert _time_s(_gemm(m, n, k), spec) >= 2 * m * n * k / CPU.peaks(spec)["fp32"] * (1 - 1e-12)
