"""The systolic-array kind on toy chips worked by hand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from types import MappingProxyType

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwsim.devices.base import KINDS, Costs, OperatingPoint, price, stack_params
from hwsim.devices.systolic_npu import SystolicNpuParams, SystolicNpuSection
from hwsim.errors import InputError, UnsupportedError
from hwsim.graph.work import Attention, Gemm, Map, Move, Reduce, Work
from hwsim.specs.device import DeviceSpec, MemorySpec, PowerSpec
from hwsim.specs.software import SoftwareSpec
from tests.devices.works import attention_of, gemm_of, map_of, one_of_each, reduce_of

NPU = KINDS["systolic_npu"]
PERFECT = {"compute": 1.0, "memory": 1.0, "overlap": 100.0}


def _chip(
    section: SystolicNpuSection | None = None,
    bandwidth: float = 1e15,
    kernels: Mapping[str, Mapping[str, float]] | None = None,
) -> DeviceSpec:
    """One 4x4 array at 1 Hz, plenty of memory and bandwidth unless said, 1 J an operation and a byte."""
    default = dict.fromkeys(("gemm", "attention", "map", "reduce", "move"), PERFECT)
    default["gemm"] = PERFECT | {"vector": 0.0}
    stack = SoftwareSpec(name="toy", kernels=MappingProxyType(default | dict(kernels or {})), launch_s=0.0)
    return DeviceSpec(
        name="toy",
        title="Toy",
        kind="systolic_npu",
        core=section or _section(),
        memory=(
            MemorySpec(name="dram", capacity_bytes=1e12, bandwidth_bytes_per_s=bandwidth, energy_j_per_byte=1.0),
            MemorySpec(name="pad", capacity_bytes=1e9),
        ),
        power=PowerSpec(tdp_w=100.0, idle_w=1.0, energy_per_op_j={"int8": 1.0}),
        software={"toy": stack},
    )


def _section(**changes: object) -> SystolicNpuSection:
    toy = SystolicNpuSection(
        rows=4, cols=4, clock_hz=1.0, macs={"int8": 1.0}, vector={"int8": 8.0}, special=1.0, accumulators_bytes=1e9
    )
    return replace(toy, **changes)  # type: ignore[arg-type]


def _gemm(m: int = 4, n: int = 4, k: int = 4, **changes: object) -> Gemm:
    return gemm_of(m, n, k, "int8", **changes)


def _params(spec: DeviceSpec) -> SystolicNpuParams:
    return NPU.params(spec, spec.default_software)  # type: ignore[no-any-return]


def _price(work: Work, spec: DeviceSpec | None = None) -> Costs:
    return price(NPU, [work], _params(spec or _chip()))


def _time_s(work: Work, spec: DeviceSpec | None = None) -> float:
    return float(_price(work, spec).time_s[0, 0])


def test_peak_is_two_operations_a_cell_and_clock() -> None:
    assert NPU.peaks(_chip(_section(cores=2, arrays=3))) == {"int8": 2 * 3 * 16 * 2}


def test_one_output_stationary_fold_takes_its_cycles() -> None:
    """4x4 array, k = 4, weights not overlapped: 4 + 4 + 4 - 2 cycles at 1 Hz."""
    assert _time_s(_gemm(), _chip(_section(dataflow="os", overlap_weights=False))) == pytest.approx(10.0)


def test_overlapped_weights_shorten_two_folds() -> None:
    """K = 8, ws: apart 2 (2*4 + 4 + 8 - 2) = 36 cycles; overlapped 7 + 8 + (6 + 8) = 29."""
    apart, overlapped = (_time_s(_gemm(8, 4, 8), _chip(_section(overlap_weights=o))) for o in (False, True))
    assert (apart, overlapped) == (pytest.approx(36.0), pytest.approx(29.0))


def test_a_slow_memory_sets_the_time_of_a_thin_product() -> None:
    """1 x 64 x 64 at one byte a second: 64 + 4096 + 64 bytes."""
    costs = _price(_gemm(1, 64, 64), _chip(bandwidth=1.0))
    assert float(costs.dram_bytes[0, 0]) == 4224
    assert float(costs.time_s[0, 0]) == pytest.approx(4224, rel=0.01)
    assert int(costs.bound[0, 0]) == 1


def test_whole_weight_tiles_are_fetched_where_the_stack_does_so() -> None:
    """A 5 x 5 weight on a 4 x 4 array is four tiles of 16 bytes; A and C add 5 each."""
    whole = _chip(kernels={"gemm": PERFECT | {"whole_tiles": 1.0}})
    assert float(_price(_gemm(1, 5, 5, b_is_weight=True), whole).dram_bytes[0, 0]) == 64 + 10


def test_tensors_kept_on_chip_do_not_pass_dram() -> None:
    """Only the 16 bytes of weights do."""
    keeping = _chip(kernels={"gemm": PERFECT | {"keep": 1.0}})
    assert float(_price(_gemm(b_is_weight=True), keeping).dram_bytes[0, 0]) == 16


def test_weights_that_stay_do_not_pass_dram() -> None:
    staying = _chip(kernels={"gemm": PERFECT | {"keep": 1.0, "weights_stay": 1.0}})
    assert float(_price(_gemm(b_is_weight=True), staying).dram_bytes[0, 0]) == 0


def test_accumulators_too_small_load_the_weights_again() -> None:
    """64 rows, room for 16 x 4 sums: four pieces, three more loads of 8 x 4 weights (no scratchpad holds them)."""
    small = _chip(_section(accumulators_bytes=256.0))
    small = replace(small, memory=(small.memory[0], MemorySpec(name="pad", capacity_bytes=32.0)))
    large = replace(small, core=_section())
    extra = float(_price(_gemm(64, 4, 8), small).dram_bytes[0, 0] - _price(_gemm(64, 4, 8), large).dram_bytes[0, 0])
    assert extra == 3 * 32


def test_only_the_first_tile_of_weights_may_load_ahead() -> None:
    """Activations come from the predecessor; of 64 x 64 weights the first 4 x 4 tile is 16 bytes at one a second."""
    slow = _chip(bandwidth=1.0)
    ahead = [float(_price(_gemm(1, 64, 64, b_is_weight=w), slow).prologue_s[0, 0]) for w in (False, True)]
    assert ahead == [0.0, pytest.approx(16.0, rel=0.02)]


def test_shallow_channels_are_padded_to_the_channel_tile() -> None:
    """3 channels x 9 positions: k = 27, or 9 x 4 = 36 on a tile of four."""
    conv = _gemm(4, 4, 27, channels=3, kh=3, kw=3)
    flat, tiled = (_time_s(conv, _chip(_section(dataflow="os", channel_tile=tile))) for tile in (1, 4))
    assert tiled - flat == pytest.approx(9.0)


def test_an_image_is_laid_out_by_the_vector_unit_before_its_first_convolution() -> None:
    """25 pixels padded to 4 channels, 9 windows of 27: 343 elements, one a second. Wider inputs are not."""
    layout = _chip(_section(channel_tile=4, image_channels=3), kernels={"gemm": PERFECT | {"layout": 0.125}})
    image = _gemm(9, 4, 27, channels=3, kh=3, kw=3, a_elements=75)
    wide = _gemm(9, 4, 36, channels=4, kh=3, kw=3, a_elements=100)
    assert _time_s(image, layout) == pytest.approx(343.0)
    assert _time_s(_gemm(25, 3, 3, channels=3, a_elements=75), layout) < 343.0  # colours, where they lie
    assert _time_s(wide, layout) == pytest.approx(_time_s(wide, _chip(_section(channel_tile=4))))


def test_integer_weights_are_widened_for_arrays_of_floats() -> None:
    """4,096 weights at an eighth of 8 operations a second; those that come as floats, and activations, are not."""
    formats = {"int8": 1.0, "fp16": 1000.0}
    chip = _chip(
        _section(macs=formats, vector={"fp16": 8.0}), kernels={"gemm": PERFECT | {"vector": 0.0, "widen": 0.125}}
    )
    product = _gemm(1, 64, 64, a_format="fp16", compute_format="fp16", out_format="fp16", b_is_weight=True)
    assert _time_s(product, chip) == pytest.approx(4096.0, rel=1e-3)
    assert _time_s(replace(product, b_format="fp16"), chip) < 1000.0
    assert _time_s(replace(product, b_is_weight=False), chip) < 1000.0
    assert _time_s(_gemm(1, 64, 64, b_is_weight=True), chip) < 4000.0


def test_what_is_fused_behind_a_product_runs_on_the_vector_unit_beside_it() -> None:
    """4,000 operations at half of 8 a second."""
    chip = _chip(kernels={"gemm": PERFECT | {"vector": 0.0, "epilogue": 0.5}})
    assert _time_s(_gemm(epilogue_flop=4000), chip) == pytest.approx(1000.0)


def test_structured_sparsity_halves_the_window() -> None:
    dense, sparse = _gemm(4, 4, 64), _gemm(4, 4, 64, b_density=0.5)
    chip = _chip(_section(dataflow="os", sparse_speedup=2.0))
    assert _time_s(dense, chip) - _time_s(sparse, chip) == pytest.approx(32.0)


def test_a_convolution_on_the_vector_unit_fetches_no_weight_tiles() -> None:
    """Nine weights a group at 1 B/s; the array would fetch 12 x 4 of them for each of the 16 groups: 768 s."""
    whole = _chip(bandwidth=1.0, kernels={"gemm": PERFECT | {"whole_tiles": 1.0, "vector": 1.0, "keep": 1.0}})
    work = _gemm(
        m=100, n=1, k=9, batch=16, groups=16, a_elements=1600, b_elements=144, kh=3, kw=3, channels=1, b_is_weight=True
    )
    costs = _price(work, whole)
    assert costs.dram_bytes[0, 0] == 144
    assert costs.time_s[0, 0] == pytest.approx(2 * 14400 / 8, rel=0.01)


def test_the_vector_unit_takes_no_more_than_the_scratchpad_gives() -> None:
    """A hundred rows of eight once through a port of 10 B/s, though the unit could compute them in no time."""
    spec = _chip(_section(vector={"int8": 1e9}), kernels={"gemm": PERFECT | {"vector": 1.0, "keep": 1.0}})
    pad = replace(spec.memory[1], bandwidth_bytes_per_s=10.0)
    work = _gemm(m=100, n=1, k=8)
    assert _time_s(work, replace(spec, memory=(spec.memory[0], pad))) == pytest.approx((800 + 8 + 100) / 10)


def test_a_depthwise_convolution_runs_on_the_vector_unit_when_faster() -> None:
    """64 groups of 16 x 1 x 9: 18,432 operations at 8 a second and a ceiling of one."""
    work = _gemm(16, 1, 9, batch=64, groups=64, channels=1, kh=3, kw=3, a_elements=1024, b_elements=576)
    vector = _time_s(work, _chip(_section(vector={"int8": 64.0}), kernels={"gemm": PERFECT | {"vector": 1.0}}))
    assert vector == pytest.approx(2 * 64 * 16 * 9 / 64)
    assert _time_s(work, _chip(kernels={"gemm": PERFECT | {"vector": 0.0}})) > vector


def test_a_single_row_may_be_faster_on_the_vector_unit() -> None:
    """1 x 64 x 64 fills one row in four of the array; the vector unit does 8,192 operations at 512 a second."""
    chip = _chip(_section(vector={"int8": 512.0}), kernels={"gemm": PERFECT | {"vector": 1.0}})
    assert _time_s(_gemm(1, 64, 64), chip) == pytest.approx(16.0)


def test_a_product_of_one_row_may_start_sooner() -> None:
    slow = PERFECT | {"vector": 0.0, "launch": 100.0}
    chips = [_chip(kernels={"gemm": constants}) for constants in (slow, slow | {"row_launch": 1.0})]
    for rows, saved in ((1, 99.0), (2, 0.0)):
        before, after = (_time_s(_gemm(m=rows), chip) for chip in chips)
        assert before - after == pytest.approx(saved)


def test_wide_rows_are_summed_one_element_at_a_time() -> None:
    chip = _chip(kernels={"reduce": PERFECT | {"wide": 9.0, "element": 2.0}})
    sizes = {"rows": 4, "passes": 1, "flop_per_element": 1, "special_per_element": 0, "bytes_in": 36, "bytes_out": 4}
    narrow, wide = (Reduce(kernel="pooling", cols=cols, format="int8", **sizes) for cols in (9, 25))
    assert _time_s(narrow, chip) == pytest.approx(36 / 8)
    assert _time_s(wide, chip) == pytest.approx(2.0 * 4 * 25)


def test_two_cores_halve_a_product_that_divides() -> None:
    one, two = (_time_s(_gemm(64, 64, 64), _chip(_section(cores=c, dataflow="os"))) for c in (1, 2))
    assert one / two == pytest.approx(2.0, rel=0.01)


def test_element_wise_work_is_operations_over_the_vector_rate() -> None:
    """80 plain operations at 8 a second and 5 special ones at one."""
    work = map_of("x", 5, (5, 5), "int8", flop=16, special=1)
    assert _time_s(work) == pytest.approx(15.0)


def test_rows_beyond_the_scratchpad_are_read_once_a_pass() -> None:
    spec = _chip(bandwidth=1.0)
    short = replace(spec, memory=(spec.memory[0], MemorySpec(name="pad", capacity_bytes=10.0)))
    work = reduce_of("softmax", 2, 100, 200, "int8", passes=3, flop=0)
    assert [float(_price(work, s).dram_bytes[0, 0]) for s in (spec, short)] == [400, 800]


def test_a_move_is_bytes_over_bandwidth() -> None:
    work = Move(kernel="copy", elements=50, bytes_in=50, bytes_out=50, contiguous=True, format="fp32")
    assert _time_s(work, _chip(bandwidth=10.0)) == pytest.approx(10.0)


def _attention(seq_q: int, seq_kv: int, causal: bool = False) -> Attention:
    return attention_of(seq_q, seq_kv, "int8", causal=causal)


def test_an_element_wise_kernel_may_run_element_by_element() -> None:
    """Four divisions of 1,000 s each; any other kernel of as many elements takes the vector unit's time."""
    work = map_of("div", 4, (16, 8), "int8")
    spec = _chip(kernels={"map": PERFECT, "div": PERFECT | {"element": 1000.0}})
    assert _time_s(work, spec) == pytest.approx(4000, rel=1e-2)
    assert _time_s(replace(work, kernel="mul"), spec) < 400


def test_the_softmax_of_scores_takes_its_share_of_the_vector_unit() -> None:
    """A tenth of the share, ten times the time, where it outlasts the products."""
    slow, slower = (_chip(kernels={"attention": PERFECT | {"softmax": share}}) for share in (0.01, 0.001))
    assert _time_s(_attention(512, 512), slower) == pytest.approx(10 * _time_s(_attention(512, 512), slow), rel=1e-3)


def test_a_causal_mask_saves_about_half_of_a_long_attention() -> None:
    spec = _chip(_section(special=1e9, vector={"int8": 1e9}))
    full, half = (_time_s(_attention(4096, 4096, causal), spec) for causal in (False, True))
    assert full / half == pytest.approx(2.0, rel=0.05)


def test_scores_come_in_whole_pieces() -> None:
    """With pieces of 1,024 columns 1,025 cost as much as 2,048."""
    pieces = _chip(kernels={"attention": PERFECT | {"tile_kv": 1024.0}})
    assert _time_s(_attention(128, 1025), pieces) == pytest.approx(_time_s(_attention(128, 2048), pieces), rel=1e-3)


def test_decode_has_its_own_constants() -> None:
    own = _chip(kernels={"attention": PERFECT | {"launch": 1.0, "decode_launch": 500.0}})
    assert _time_s(_attention(1, 64), own) > 500
    assert float(_price(_attention(2, 64), own).overhead_s[0, 0]) == 1.0


def test_a_format_the_array_lacks_is_refused_with_what_it_has() -> None:
    with pytest.raises(UnsupportedError, match=r"matmul in fp16; its formats are int8"):
        _price(_gemm(compute_format="fp16", a_format="fp16", b_format="fp16"), _chip(_section(vector={"int8": 1.0})))


def test_a_narrow_format_runs_as_the_next_wider_one_on_the_vector_unit() -> None:
    work = Map(
        kernel="relu", elements=64, flop_per_element=1, special_per_element=0, bytes_in=64, bytes_out=64, format="int8"
    )
    assert _time_s(work, _chip(_section(vector={"fp16": 8.0}))) == _time_s(work)


def test_half_the_clock_doubles_compute_and_leaves_memory() -> None:
    spec = _chip()
    slow = NPU.params(spec, spec.default_software, OperatingPoint(clock=0.5))
    assert float(price(NPU, [_gemm(64, 64, 64)], slow).time_s[0, 0]) == pytest.approx(2 * _time_s(_gemm(64, 64, 64)))


def test_chips_of_different_dataflow_cannot_share_a_call() -> None:
    with pytest.raises(InputError, match="dataflow"):
        stack_params([_params(_chip(_section(dataflow=flow))) for flow in ("os", "ws")])


def _mixed_works() -> list[Work]:
    return [
        _gemm(17, 33, 65),
        _gemm(1, 4096, 4096, b_is_weight=True),
        _gemm(16, 1, 9, batch=64, groups=64, channels=1, kh=3, kw=3),
        _attention(100, 300, causal=True),
        _attention(1, 3000),
        *one_of_each("int8"),
    ]


@pytest.mark.slow
def test_a_thousand_chips_in_one_call_equal_a_thousand_calls() -> None:
    rng = np.random.default_rng(0)
    chips = []
    for _ in range(1000):
        side, cores, clock = int(rng.integers(2, 300)), int(rng.integers(1, 30)), float(rng.uniform(1e8, 2e9))
        section = _section(
            rows=side, cols=side, cores=cores, clock_hz=clock, accumulators_bytes=float(rng.integers(1, 9)) * 1e4
        )
        chips.append(_params(_chip(section, bandwidth=float(rng.uniform(1e9, 1e12)))))
    together = price(NPU, _mixed_works(), stack_params(chips))
    for index, chip in enumerate(chips):
        alone, mine = price(NPU, _mixed_works(), chip), together.chip(index)
        assert all(np.array_equal(getattr(alone, f.name), getattr(mine, f.name)) for f in fields(Costs)), index


@settings(max_examples=40, deadline=None)
@given(m=st.integers(1, 5000), n=st.integers(1, 5000), k=st.integers(1, 5000), cores=st.integers(1, 32))
def test_no_product_beats_the_peak_or_the_bandwidth(m: int, n: int, k: int, cores: int) -> None:
    spec = _chip(_section(cores=cores, rows=16, cols=16), bandwidth=100.0)
    time = _time_s(_gemm(m, n, k), spec)
    assert time >= 2 * m * n * k / NPU.peaks(spec)["int8"] * (1 - 1e-12)
    assert time >= (m * k + k * n + m * n) / 100.0 * (1 - 1e-12)


def test_the_parts_of_an_explanation_make_the_time() -> None:
    spec = _chip(bandwidth=100.0)
    terms = NPU.explain(_gemm(64, 64, 64), _params(spec))
    assert terms[-1][1] == pytest.approx(_time_s(_gemm(64, 64, 64), spec))


def _fifo(tiles: int, bandwidth: float) -> DeviceSpec:
    """Activations stay on chip, so that weights alone pass DRAM."""
    return _chip(
        _section(weight_fifo=tiles), bandwidth=bandwidth, kernels={"gemm": PERFECT | {"vector": 0.0, "keep": 1.0}}
    )


def test_weights_fetched_ahead_leave_the_last_tile_alone() -> None:
    """16 tiles of 16 bytes at 1 B/s, then 4 + 8 + 4 + 4 - 2 cycles of the last; without a FIFO it overlaps."""
    work = _gemm(8, 16, 16, b_is_weight=True)
    assert _time_s(work, _fifo(4, 1.0)) == pytest.approx(256 + 18, rel=1e-3)
    assert _time_s(work, _fifo(0, 1.0)) == pytest.approx(256, rel=1e-3)


def test_weights_fetched_ahead_do_not_delay_an_array_that_is_busy() -> None:
    """100 inputs a tile of 16 bytes at 1 B/s: 7 + 15 x 100 + 106 cycles, the first 16 seconds of loading hidden."""
    work = _gemm(100, 16, 16, b_is_weight=True)
    assert _time_s(work, _fifo(4, 1.0)) == pytest.approx(1613, rel=1e-3)
    assert _time_s(work, _fifo(0, 1.0)) == pytest.approx(1613 + 16, rel=1e-2)


def test_the_terms_of_a_product_fetched_ahead_make_its_time() -> None:
    spec = _fifo(4, 1.0)
    work = _gemm(8, 16, 16, b_is_weight=True)
    terms = {name: value for name, value, _ in NPU.explain(work, _params(spec))}
    assert terms["last tile, computed on after it has come"] == 18
    assert terms["array active, part of the time"] == 16 * 8
    assert terms["weight shift, part of the time"] == 16 * 4
    assert terms["weight stall, part of the time"] == 16 * 4
    assert terms["time = launch + ((compute - last)^p + transfer^p)^(1/p) + last"] == pytest.approx(274, rel=1e-3)
