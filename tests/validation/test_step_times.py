"""Step times of a served model against the graph priced whole, and what more ranks and tokens do to them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hwsim import flow
from hwsim.loading.device import load_device
from hwsim.loading.system import load_system
from hwsim.validation.step_times import Deployment, ModelTimes, Steady, steady_step
from hwsim.workloads.decoder import Decoder, Run, decoder_graph
from hwsim.workloads.moe import MIXTURES
from hwsim.workloads.state_space import StateSpace

SMALL = Decoder(layers=5, width=1024, heads=8, kv_heads=8, hidden=4096, vocab=32_000, joined=True)
CHIP = load_device("h100_sxm")
STACK = replace(CHIP.stack("serving"), dispatch_s=0.0, request_s=0.0, sequence_s=0.0)


def _times(**changes: object) -> ModelTimes:
    given: dict[str, object] = {"shape": SMALL, "device": CHIP, "stack": STACK, "dtype": "bf16"} | changes
    return ModelTimes(Deployment(**given))  # type: ignore[arg-type]


def _whole_s(run: Run) -> float:
    chip = replace(CHIP, software={"serving": STACK})
    return flow.estimate(decoder_graph("whole", SMALL, run).with_scheme("bf16"), chip).time_s


@pytest.mark.parametrize("batch", [1, 32])
def test_a_step_that_writes_takes_what_the_whole_graph_does(batch: int) -> None:
    run = Run(phase="decode", batch=batch, prompt=1, context=512, tokens=1, logits="last")
    assert _times().step_ps((), batch, batch * 512) == pytest.approx(_whole_s(run) * 1e12, rel=0.01)


def test_a_step_that_reads_takes_what_the_whole_graph_does() -> None:
    run = Run(phase="prefill", batch=1, prompt=2048, context=1, tokens=1, logits="last")
    assert _times().step_ps([(0, 2048)], 0, 0) == pytest.approx(_whole_s(run) * 1e12, rel=0.03)


def test_the_second_half_of_a_prompt_attends_to_the_first() -> None:
    times = _times()
    first, second = times.step_ps([(0, 4096)], 0, 0), times.step_ps([(4096, 4096)], 0, 0)
    assert second > 1.1 * first
    assert times.step_ps([(0, 8192)], 0, 0) < first + second


def test_weights_and_cache_are_shared_among_ranks() -> None:
    links = load_system("h100_x4").interconnect
    one, four = _times(), _times(ranks=4, links=links)
    assert one.cached_bytes == 2 * 5 * 1024 * 2
    assert four.cached_bytes == one.cached_bytes // 4
    layers = 5 * (4 * 1024**2 + 3 * 1024 * 4096)
    assert one.weight_bytes == 2 * (layers + 2 * 32_000 * 1024 + 11 * 1024)
    assert four.weight_bytes < one.weight_bytes / 2
    narrow = _times(cache_format="fp8")
    assert narrow.cached_bytes == one.cached_bytes // 2


def test_layers_that_differ_are_priced_as_a_whole_and_cache_only_where_they_attend() -> None:
    mixer = StateSpace(heads=16, dim=64, state=64, groups=2)
    shape = replace(SMALL, layout="M-*M-", mixer=mixer, gated=False, act="relu2", joined=False)
    times = _times(shape=shape)
    assert times.cached_bytes == 2 * 8 * 128 * 2
    run = Run(phase="decode", batch=32, prompt=1, context=512, tokens=1, logits="last")
    graph = decoder_graph("whole", shape, run).with_scheme("bf16")
    whole_s = flow.estimate(graph, replace(CHIP, software={"serving": STACK})).time_s
    assert times.step_ps((), 32, 32 * 512) == pytest.approx(whole_s * 1e12, rel=0.01)


def test_the_host_issues_kernels_of_steps_that_read() -> None:
    """21 kernels of a layer and 4 around them at 1 ms each hide a short prompt, not a long one."""
    slow = _times(stack=replace(STACK, dispatch_s=1e-3))
    assert slow.step_ps([(0, 128)], 0, 0) == slow.step_ps([(0, 256)], 0, 0) == slow.issuing_ps
    assert 60e9 < slow.issuing_ps < 110e9
    assert slow.step_ps((), 8, 800) == _times().step_ps((), 8, 800)


def test_each_step_and_each_token_cost_the_host() -> None:
    busy = _times(stack=replace(STACK, request_s=1e-3, sequence_s=2e-5))
    assert busy.step_ps((), 8, 800) - _times().step_ps((), 8, 800) == 1_000_000_000 + 8 * 20_000_000


def test_more_tokens_never_take_less() -> None:
    times = _times()
    writing = [times.step_ps((), n, n * 700) for n in range(1, 300, 7)]
    cached = [times.step_ps((), 16, n) for n in range(16, 200_000, 3000)]
    reading = [times.step_ps([(0, n)], 0, 0) for n in range(1, 9000, 97)]
    for found in (writing, cached, reading):
        assert found == sorted(found)


def test_long_runs_stay_within_the_power_limit_and_above_idle() -> None:
    deployment = Deployment(shape=SMALL, device=CHIP, stack=STACK, dtype="bf16")
    step = steady_step(deployment, Steady(batch=256, context=1024))
    assert CHIP.power.idle_w + CHIP.power.active_w < step.power_w <= CHIP.power.tdp_w * 1.0001
    assert step.mean_s == pytest.approx(step.write_s)
    assert step.write_s >= _times().step_ps((), 256, 256 * 1024) * 0.98e-12


def test_prompts_lengthen_the_mean_step_and_cost_energy() -> None:
    deployment = Deployment(shape=SMALL, device=CHIP, stack=STACK, dtype="bf16")
    none, rare, often = (
        steady_step(deployment, Steady(batch=64, context=1024, prompts=prompts, prompt=512)) for prompts in (0, 0.3, 3)
    )
    assert none.write_s == pytest.approx(rare.write_s, rel=0.02)
    assert none.mean_s < rare.mean_s < often.mean_s
    assert none.power_w < rare.power_w < often.power_w


def test_drawing_a_token_moves_all_logits_of_every_request() -> None:
    """256 x 32,000 entries of 1,000 B at 0.74 of 3.35 TB/s: 3.3 ms and its energy a step."""
    greedy, drawn = (
        steady_step(
            Deployment(shape=SMALL, device=CHIP, stack=replace(STACK, draw_bytes=each), dtype="bf16"),
            Steady(batch=256, context=1024),
        )
        for each in (0.0, 1000.0)
    )
    assert drawn.write_s - greedy.write_s == pytest.approx(256 * 32_000 * 1000 / (0.742 * 3.35e12), rel=0.05)
    assert (
        drawn.power_w * drawn.mean_s > greedy.power_w * greedy.mean_s + 256 * 32e6 * CHIP.main_memory.energy_j_per_byte
    )


def test_experts_spread_over_ranks_share_a_prompt_that_one_of_them_reads() -> None:
    """Of prompts that come one by one, all ranks' experts read a quarter each; ten a rank leave nobody idle."""
    shape, links = MIXTURES["qwen3_30b_a3b"][2], load_system("h100_x4").interconnect
    deployment = Deployment(shape=shape, device=CHIP, stack=STACK, dtype="bf16", links=links, spread=4)
    rare, often = (
        steady_step(deployment, Steady(batch=64, context=1024, prompts=prompts, prompt=2048))
        for prompts in (0.01, 40.0)
    )
    one_s, ten_s = (rare.mean_s - rare.write_s) / 0.01, (often.mean_s - often.write_s) / 10
    assert 0.5 < one_s / ten_s < 0.9
