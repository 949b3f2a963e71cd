"""The GPU kind on a toy chip worked by hand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace

import numpy as np
import pytest

from hwsim.devices.base import KINDS, price, stack_params
from hwsim.devices.simt_constants import CONSTANTS
from hwsim.devices.simt_gpu import SimtGpu
from hwsim.errors import InputError, UnsupportedError
from hwsim.graph.work import Map, Work
from hwsim.specs.device import DeviceSpec
from hwsim.specs.software import ResidualSpec, SoftwareSpec
from tests.devices.toy_gpu import IDEAL, attention, costs_of, move, product, rows, stream, time_of, toy

EVERYTHING: tuple[Work, ...] = (
    product(1, 4096, 4096),
    product(2560, 1280, 512),
    product(64, 9, 9, fmt="fp32", groups=32, batch=32, channels=1, kh=3, kw=3),
    attention(512, 512, causal=True),
    attention(1, 5000, kernel="attention_decode", kv_heads=2),
    stream(10**6),
    rows(1000, 3000),
    move(10**6, contiguous=False),
)


def test_a_perfect_product_runs_at_the_derived_peak():
    """Ten 256x128 tiles, k = 8192: 2 x 2560 x 128 x 8192 FLOP at 10 TFLOP/s, longer than its 45.8 MB at 100 GB/s."""
    chip = toy().evolve({"memory.hbm.bandwidth": "10 TB/s"})
    costs = costs_of(product(2560, 128, 8192), chip)
    assert costs.time_s[0, 0] == pytest.approx(2 * 2560 * 128 * 8192 / 1e13)
    assert costs.utilization[0, 0] == pytest.approx(1.0)
    assert costs.bound[0, 0] == 0


def test_peaks_are_units_times_operations_times_clock_of_the_faster_unit():
    assert SimtGpu().peaks(toy()) == {"fp16": 1e13, "fp32": 1e12, "int8": 2e13}


def test_a_vector_clock_of_its_own_sets_the_vector_peak():
    chip = toy().evolve({"simt_gpu.vector_clock": "2 GHz"})
    assert SimtGpu().peaks(chip)["fp32"] == 2e12
    assert SimtGpu().peaks(chip)["fp16"] == 1e13


def test_vector_units_pad_k_to_a_sector_and_matrix_units_to_32_elements():
    """With k = 33, fp32 (vector units) takes five slabs of 8 as with 40, fp16 (matrix units) two of 32 as with 64."""
    chip = toy().evolve({"memory.hbm.bandwidth": "1000 TB/s"})
    narrow, wide = ([time_of(product(2560, 1280, k, fmt), chip) for k in (33, 40, 64)] for fmt in ("fp32", "fp16"))
    assert narrow[0] == pytest.approx(narrow[1], rel=1e-3)
    assert narrow[2] > 1.5 * narrow[0]
    assert wide[0] == pytest.approx(wide[2], rel=1e-3)


def test_a_thin_product_is_bound_by_reading_its_weights():
    costs = costs_of(product(1, 4096, 4096))
    assert costs.time_s[0, 0] == pytest.approx(2 * (4096**2 + 2 * 4096) / 1e11)
    assert costs.bound[0, 0] == 1
    assert costs.dram_bytes[0, 0] == 2 * (4096**2 + 2 * 4096)


def test_the_launch_comes_on_top_and_bounds_a_tiny_kernel():
    costs = costs_of(product(16, 64, 32), toy(launch_s=1e-3))
    assert costs.overhead_s[0, 0] == 1e-3
    assert costs.bound[0, 0] == 2


def test_a_family_may_carry_its_own_launch_and_dispatch():
    kernels = {**IDEAL, "linear": {"launch": 2e-3, "dispatch": 5e-3}}
    costs = costs_of(product(16, 64, 32), toy(launch_s=1e-3, kernels=kernels))
    assert costs.overhead_s[0, 0] == 7e-3
    assert costs.dispatch_s[0, 0] == 5e-3


def test_constants_of_a_format_win_over_those_of_the_form():
    kernels = {**IDEAL, "gemm.int8": {"compute": 0.5}}
    chip = toy(kernels=kernels).evolve({"memory.hbm.bandwidth": "100 TB/s"})
    half, whole = time_of(product(2560, 128, 8192, fmt="int8"), chip), time_of(product(2560, 128, 8192), chip)
    assert half == pytest.approx(whole), "twice the rate at half the ceiling"


def test_weights_in_a_narrower_format_are_read_faster():
    full, quarter = (time_of(product(1, 4096, 4096, b_format=f)) for f in ("fp16", "int4"))
    assert quarter == pytest.approx((4096**2 * 4.5 / 8 + 4 * 4096) / 1e11)
    assert full > 3.5 * quarter


def test_activations_wider_than_the_product_are_narrowed_first():
    kernels = {**IDEAL, "gemm": {**IDEAL["gemm"], "quantize": 1e-3, "quantize_col": 0.0}}
    work = product(640, 64, 64, fmt="int8")
    narrow, wide = (time_of(w, toy(kernels=kernels)) for w in (work, replace(work, a_format="fp16")))
    activations = 640 * 64
    assert wide - narrow == pytest.approx(1e-3 + 3 * activations / 1e11)


def test_only_weights_are_taken_to_be_cycled_through_the_cache():
    kernels = {**IDEAL, "gemm": {**IDEAL["gemm"], "weight_copies": 1000.0, "cache_speedup": 4.0}}
    chip = toy(kernels=kernels, l2=1e8)
    weight, activation = (time_of(product(1, 2048, 2048, b_is_weight=cycled), chip) for cycled in (True, False))
    assert weight == pytest.approx(4 * activation)


def test_weights_of_a_network_larger_than_the_cache_come_from_dram():
    """8.4 MB of weights in a cache of 100 MB stay there alone, but not as part of a network of 1 GB."""
    kernels = {**IDEAL, "gemm": {**IDEAL["gemm"], "weight_copies": 1.0, "cache_speedup": 4.0}}
    chip = toy(kernels=kernels, l2=1e8)
    alone, part = (costs_of(product(1, 2048, 2048, cycled_bytes=size), chip) for size in (0, 10**9))
    assert part.time_s[0, 0] == pytest.approx(4 * alone.time_s[0, 0], rel=0.01)
    assert (alone.dram_bytes[0, 0], part.dram_bytes[0, 0]) == (0, pytest.approx(2 * 2048 * 2048))


def test_a_product_of_one_row_streams_its_matrix_though_nobody_fitted_a_kernel_for_it():
    """8.4 MB at the default 80 % of 100 GB/s; tiles would pad one row to sixteen and starve."""
    kernels = {"gemm": {"saturation": 1e-9, "cache_speedup": 1.0}}
    costs = costs_of(product(1, 2048, 2048), toy(launch_s=3e-6, kernels=kernels))
    assert costs.time_s[0, 0] == pytest.approx(3e-6 + (2 * 2048 * 2048 + 2 * 2 * 2048) / 0.8e11)


def test_a_depthwise_convolution_takes_no_matrix_vector_kernel():
    work = product(49, 1, 9, groups=512, batch=512, channels=1, kh=3, kw=3, a_elements=512 * 49, b_elements=512 * 9)
    with_one = {**IDEAL, "gemm": {**IDEAL["gemm"], "gemv": 1e-9}}
    assert time_of(work, toy(launch_s=1e-6, kernels=with_one)) == time_of(work, toy(launch_s=1e-6))


def test_a_depthwise_convolution_does_not_pay_for_padding_to_tiles():
    """32 groups of 10,000 outputs of a 3x3 window: 5.76 MFLOP at 1 TFLOP/s, or 1.28 MB at 100 GB/s: 12.8 us."""
    work = product(10000, 1, 9, groups=32, batch=32, channels=1, kh=3, kw=3, a_elements=320000, b_elements=288)
    assert time_of(work) == pytest.approx((640000 + 576 + 640000) / 1e11)


def test_an_element_wise_kernel_takes_its_bytes_over_the_bandwidth():
    assert time_of(stream(10**6)) == pytest.approx(6e6 / 1e11)


def test_special_functions_have_a_rate_of_their_own():
    """10 million exponentials at 100 G/s."""
    assert time_of(stream(10**7, special=100)) == pytest.approx(100 * 10**7 / 1e11)


def test_a_working_set_in_l2_moves_at_its_speed_and_not_over_dram():
    kernels = {**IDEAL, "map": {**IDEAL["map"], "cache_speedup": 3.0, "resident_all": 0.5}}
    costs = costs_of(stream(10**6), toy(kernels=kernels, l2=1e8))
    assert costs.time_s[0, 0] == pytest.approx(2e6 / 1e11)
    assert costs.dram_bytes[0, 0] == 0
    assert costs.cache_bytes[0, 0] == 6e6


def test_long_rows_of_a_softmax_are_read_twice():
    kernels = {**IDEAL, "softmax": {"extra_pass": 1.0}}
    short, long = (time_of(rows(10**6 // cols, cols), toy(kernels=kernels)) for cols in (1000, 2000))
    assert long == pytest.approx(1.5 * short)
    once = time_of(rows(500, 2000, passes=1), toy(kernels=kernels))
    assert once == pytest.approx(short)


def test_a_strided_copy_moves_at_its_share_of_the_bandwidth():
    assert time_of(move(10**6, contiguous=False)) == pytest.approx(2 * time_of(move(10**6, contiguous=True)))


def test_one_query_reads_all_keys_and_values_and_splits_them():
    work = attention(1, 10**5, kernel="attention_decode", kv_heads=1)
    assert time_of(work) == pytest.approx(float(work.bytes_in + work.bytes_out) / 1e11, rel=0.01)


def test_a_causal_mask_saves_nearly_half_the_energy_of_the_operations():
    full, masked = (costs_of(attention(4096, 4096, causal=causal)).compute_j[0, 0] for causal in (False, True))
    assert masked == pytest.approx(full * (4096 - 4095 / 2) / 4096)


def test_energy_is_operations_bytes_and_the_active_floor():
    """2 x 2560 x 128 x 1024 operations at 1 pJ; bytes at 10 pJ (DRAM) and 1 pJ (L2); 5 W over the time."""
    costs = costs_of(product(2560, 128, 1024))
    assert costs.compute_j[0, 0] == pytest.approx(2 * 2560 * 128 * 1024 * 1e-12)
    moved = 2 * (2560 * 1024 + 1024 * 128 + 2560 * 128)
    assert costs.memory_j[0, 0] >= moved * 1e-11
    assert costs.active_j[0, 0] == pytest.approx(5.0 * costs.time_s[0, 0])


def test_instructions_beside_useful_operations_cost_a_multiply_add_in_fp32_each():
    """1 pJ an fp16 operation is known, so 2 pJ or more an fp32 one; 10 instructions an element, 20 a score of 128."""
    chip = replace(toy(), power=replace(toy().power, vector_energy_per_op_j={"fp32": 3e-12}))
    busy = {**IDEAL, "map": {**IDEAL["map"], "instructions": 10.0}, "attention": {"instructions": 20.0}}
    busy_chip = replace(chip, software={"only": SoftwareSpec(name="only", kernels=busy)})

    def extra(work: Work) -> float:
        found = [float(costs_of(work, spec).compute_j[0, 0]) for spec in (busy_chip, chip)]
        return found[0] - found[1]

    assert extra(stream(10**6)) == pytest.approx(10 * 10**6 * 2 * 3e-12)
    assert extra(attention(512, 512)) == pytest.approx(20 * 10 * 512 * 512 * 2 * 3e-12, rel=0.05)


def test_attention_pays_for_whole_tiles_in_operations_and_scores_but_not_in_time():
    """One query and key of ten heads take as much as 128 of both; 1 pJ an operation, 20 multiply-adds a score."""
    whole = {**IDEAL, "attention": {**IDEAL["attention"], "tile": 128.0, "instructions": 20.0}}
    chip = replace(toy(), software={"only": SoftwareSpec(name="only", kernels=whole)})
    one, all_of_it = (costs_of(attention(size, size), chip) for size in (2, 128))
    assert one.compute_j[0, 0] == pytest.approx(all_of_it.compute_j[0, 0])
    assert one.time_s[0, 0] == costs_of(attention(2, 2)).time_s[0, 0]
    assert one.flop[0, 0] < all_of_it.flop[0, 0]


def test_half_the_clock_doubles_compute_time_but_not_memory_time():
    chip = toy().evolve({"memory.hbm.bandwidth": "10 TB/s"})
    work = product(2560, 128, 8192)
    assert time_of(work, chip, clock=0.5) == pytest.approx(2 * time_of(work, chip))
    assert time_of(stream(10**6), clock=0.5) == pytest.approx(time_of(stream(10**6)))


def test_a_lower_voltage_costs_less_energy_an_operation():
    full, low = (costs_of(product(2560, 128, 1024), voltage=v).compute_j[0, 0] for v in (1.0, 0.5))
    assert low == pytest.approx(full / 4)


def test_a_format_the_chip_lacks_is_refused_by_name():
    with pytest.raises(UnsupportedError, match="linear in fp8"):
        costs_of(product(16, 16, 16, fmt="fp8"))


def test_integers_may_be_moved_on_a_chip_that_cannot_multiply_them():
    work = replace(move(1000, contiguous=True), format="int64")
    assert time_of(work) > 0


def test_a_thousand_chips_in_one_call_equal_a_thousand_calls():
    kind = KINDS["simt_gpu"]
    sizes = np.random.default_rng(0).integers(1, 200, 1000)
    chips = [toy().evolve({"simt_gpu.sms": int(sms), "memory.hbm.bandwidth": f"{sms} GB/s"}) for sms in sizes]
    each = [kind.params(chip, chip.stack()) for chip in chips]
    together = price(kind, EVERYTHING, stack_params(each), "chips")
    for index in range(0, 1000, 50):
        alone = price(kind, EVERYTHING, each[index], "chip")
        for item in fields(alone):
            np.testing.assert_allclose(
                getattr(together, item.name)[index], getattr(alone, item.name)[0], rtol=1e-12, err_msg=item.name
            )


@pytest.mark.parametrize("work", EVERYTHING, ids=lambda work: work.kernel)
def test_every_cost_is_finite_and_time_covers_its_overhead(work):
    costs = costs_of(work, toy(launch_s=2e-6, kernels={}, l2=4e7))
    for item in fields(costs):
        assert np.all(np.isfinite(getattr(costs, item.name))), item.name
    assert np.all(costs.time_s >= costs.overhead_s)
    assert np.all((costs.utilization >= 0) & (costs.utilization <= 1))


@pytest.mark.parametrize("work", EVERYTHING, ids=lambda work: work.kernel)
def test_an_explanation_ends_with_the_price(work):
    spec = toy(launch_s=1e-6)
    kind = KINDS["simt_gpu"]
    terms = kind.explain(work, kind.params(spec, spec.stack()))
    assert terms[-1] == ("time", time_of(work, spec), "s")
    assert all(np.isfinite(value) or name == "constant gemv" for name, value, _ in terms)


def test_every_constant_with_a_default_can_be_written_in_a_file():
    kind = SimtGpu()
    written = {name for values in kind.defaults.values() for name in values}
    assert written == set(kind.constants) - {"launch", "dispatch"}


# residuals

DOUBLED = ResidualSpec(of=("linear.fp16",), over=("m",), low=(64.0,), high=(1024.0,), knots=(2,), weights=(0.5, 0.5))


def corrected(*residuals: ResidualSpec, kernels: Mapping[str, Mapping[str, float]] = IDEAL) -> DeviceSpec:
    spec = toy(launch_s=1e-6, kernels=kernels)
    stack = replace(spec.default_software, residuals=residuals)
    return replace(spec, software={"only": stack})


def seconds(spec: DeviceSpec, *works: Work) -> list[float]:
    kind = SimtGpu()
    return price(kind, works, kind.params(spec, spec.default_software)).time_s[0].tolist()


def test_a_residual_multiplies_the_whole_time_of_its_kernels_within_its_sizes() -> None:
    """Overheads too; in another format, of another kernel or beyond the sizes the formula stands alone."""
    works = [product(256, 8, 64), product(256, 8, 64, kernel="matmul"), product(2**20, 8, 64)]
    plain, fixed = seconds(toy(launch_s=1e-6), *works), seconds(corrected(DOUBLED), *works)
    assert fixed == [pytest.approx(plain[0] * np.exp(0.5)), plain[1], plain[2]]


def test_no_residual_lets_a_kernel_beat_the_peak() -> None:
    faster = replace(DOUBLED, weights=(-1.0, -1.0))
    work = product(1024, 1024, 4096)
    (time,) = seconds(corrected(faster), work)
    assert time == pytest.approx(work.flop / 10e12)


def test_constants_of_a_narrower_family_shut_out_the_residual_of_a_wider_one() -> None:
    wide, work = replace(DOUBLED, of=("gemm",)), product(256, 8, 64)
    own = {**IDEAL, "linear.fp16": IDEAL["gemm"]}
    assert seconds(corrected(wide), work)[0] == pytest.approx(seconds(corrected(), work)[0] * np.exp(0.5))
    assert seconds(corrected(wide, kernels=own), work) == seconds(corrected(kernels=own), work)


def test_a_residual_over_sizes_that_a_form_lacks_leaves_it_alone() -> None:
    rows = replace(DOUBLED, of=("linear", "reduce"), over=("rows",))
    work = product(256, 8, 64)
    assert seconds(corrected(rows), work) == seconds(corrected(), work)


def test_chips_with_and_without_a_residual_are_priced_in_one_call() -> None:
    kind, specs = SimtGpu(), [corrected(DOUBLED), corrected(), corrected(DOUBLED)]
    works = [product(256, 8, 64), product(100, 8, 64, kernel="matmul"), stream(1000)]
    params = [kind.params(spec, spec.default_software) for spec in specs]
    together = price(kind, works, stack_params(params)).time_s
    assert together.tolist() == [price(kind, works, one).time_s[0].tolist() for one in params]


def test_a_written_byte_may_take_longer_than_a_read_one() -> None:
    """2 GB read and 1 GB written at 100 GB/s: 30 ms, or 35 ms where a written byte counts one and a half."""
    spec = toy(kernels={**IDEAL, "map": {**IDEAL["map"], "write": 1.5}})
    work = Map(
        kernel="add", elements=250_000_000, flop_per_element=0, special_per_element=0, bytes_in=2_000_000_000,
        bytes_out=1_000_000_000, format="fp32",
    )  # fmt: skip
    kind = KINDS["simt_gpu"]
    plain, slow = (price(kind, [work], kind.params(s, s.default_software)) for s in (toy(), spec))
    assert plain.time_s.item() == pytest.approx(0.030)
    assert slow.time_s.item() == pytest.approx(0.035)
    assert slow.dram_bytes.item() == plain.dram_bytes.item()


def test_a_prompt_of_one_token_takes_the_kernel_that_the_stack_runs_prompts_with():
    """A tile of queries takes 7 s to begin, a decode block 1 s; the second of many keys is no prompt."""
    prefill, decode = {**IDEAL["attention"], "block": 7.0}, {**IDEAL["attention"], "block": 1.0}
    prompt = attention(1, 1, kernel="attention_decode", causal=True)
    later = attention(1, 2, kernel="attention_decode", causal=True)
    for lone, seconds in ((0.0, 1.0), (1.0, 7.0)):
        families = {"attention_prefill": prefill, "attention_decode": {**decode, "lone_prompt": lone}}
        taken = [costs_of(work, toy(kernels={**IDEAL, **families})).time_s[0, 0] for work in (prompt, later)]
        assert taken == pytest.approx([seconds, 1.0], rel=0.01)


def test_attention_to_a_ranks_keys_is_that_of_a_prompt_where_the_stack_says_nothing_else() -> None:
    """A tile of queries takes 7 s to begin; with a constant of its own for a rank's keys 2 s."""
    own = {"attention_prefill": {**IDEAL["attention"], "block": 7.0}}
    work = attention(64, 64, kernel="attention_part")
    for more, seconds in (({}, 7.0), ({"attention_part": {"block": 2.0}}, 2.0)):
        assert costs_of(work, toy(kernels={**IDEAL, **own, **more})).time_s[0, 0] == pytest.approx(seconds, rel=0.01)


@pytest.mark.parametrize(
    ("l1", "bytes_"), [({}, 2e5), ({"l1_per_sm_bytes": 2.4e4}, 2.4e4), ({"l1_per_sm_bytes": 0.0}, 0)]
)
def test_l1_is_the_shared_memory_where_nothing_else_is_said(l1, bytes_):
    spec = toy()
    spec = replace(spec, core=replace(spec.core, **l1))
    kind = KINDS["simt_gpu"]
    assert kind.params(spec, spec.stack()).near_bytes.item() == bytes_


KNOWN = {**IDEAL["reduce"], "threads": 512.0, "knee": 1024.0, "extra_pass": 2.0, "staged": 0.0, "row": 0.0, "col": 0.0}


@pytest.mark.parametrize(
    ("near", "caches", "passes"), [(6.6e4, {}, 0), (0.0, {}, 2), (0.0, {"flight_all": 1e9, "flight_none": 2e9}, 0)]
)
def test_rows_of_known_blocks_are_read_again_as_far_as_no_cache_has_them(near, caches, passes):
    """Four rows of 4,096 bytes in the 2,048 threads of a multiprocessor; 1,000 of them, with 8,192 bytes for all."""
    kernels = {**IDEAL, "reduce": {**KNOWN, "near_all": 0.25, "near_none": 0.26, "resident_all": 0.0, **caches}}
    spec = toy(kernels=kernels)
    spec = replace(spec, core=replace(spec.core, l1_per_sm_bytes=near))
    work = replace(rows(1000, 2048), bytes_in=4_096_000 + 8192, shared_bytes=8192)
    assert costs_of(work, spec).dram_bytes.item() == pytest.approx(2 * 4_096_000 + 8192 + passes * 4_096_000, abs=10)


@pytest.mark.parametrize(("name", "value"), [("least_tile", 129), ("near", 1.5)])
def test_a_tile_beyond_the_largest_and_a_share_beyond_the_whole_are_refused(name, value):
    with pytest.raises(InputError, match="write a number from 0 to"):
        CONSTANTS[name].parse(value)
