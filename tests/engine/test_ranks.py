"""Ranks that do the same at the same time: one is replayed, all are accounted for."""

from __future__ import annotations

import math

import pytest

from hwsim import flow
from hwsim.errors import InputError
from hwsim.graph.graph import Graph
from hwsim.loading.system import load_system
from hwsim.operators.rope import Rope
from hwsim.report.result import Result
from hwsim.specs.parallel import ParallelSpec
from hwsim.workloads.dit import final_layer, modulation, patches, unpatched
from hwsim.workloads.layers import attention, linear
from hwsim.workloads.sampling import Guidance, PipelineBuilder, denoise, finish

WIDTH, SIDE = 512, 64


def pipeline() -> Graph:
    """A block over 4,096 tokens in three phases."""
    b = PipelineBuilder("toy")
    b.phase("text_encoder")
    vector = linear(b, b.input("text", (1, WIDTH)), WIDTH, name="encoder")

    def network(x):
        tokens = attention(b, patches(b, x, WIDTH, 1), 8, rope=Rope())
        shift, scale = modulation(b, vector, WIDTH, 2)
        return unpatched(b, final_layer(b, tokens, scale, shift, 4), 4, SIDE, SIDE, 1)

    y = denoise(b, b.input("latents", (1, 4, SIDE, SIDE)), network, steps=5, guidance=Guidance.NONE)
    b.phase("vae_decode")
    with b.scope("vae"):
        y = linear(b, y, 4 * SIDE, name="decoder")
    return finish(b, y, item="image", steps=5, guidance=Guidance.NONE, info={"tokens": SIDE * SIDE})


def run(ulysses: int, ring: int) -> Result:
    spread = ParallelSpec(ulysses=ulysses, ring=ring)
    return flow.simulate(pipeline(), load_system(f"h100_x{spread.ranks}"), parallel=spread)


@pytest.mark.parametrize(("ulysses", "ring"), [(4, 1), (1, 4), (2, 2)])
def test_every_rank_is_busy_and_accounted_for_alike(ulysses: int, ring: int) -> None:
    result = run(ulysses, ring)
    busy = [use["busy"] for use in result.utilization.values()]
    assert min(busy[1:]) == max(busy[1:]) <= busy[0], "rank 0 decodes alone"
    assert min(busy) > 0.5
    per_device = list(result.device_energy_j.values())
    assert per_device[1] == pytest.approx(per_device[3], rel=1e-9)
    assert math.isclose(result.energy_j, sum(per_device) + result.energy_breakdown_j["link"], rel_tol=1e-9)


def test_the_decoder_runs_on_the_first_rank_while_the_others_idle() -> None:
    columns = run(4, 1).columns
    ran = {d for d, phase in zip(columns["device"], columns["phase"], strict=True) if phase == "vae_decode"}
    assert ran == {"gpu0"}


def test_keys_travel_over_links_while_the_ranks_compute() -> None:
    """Three hops of keys and values for each of 4 ranks and 5 steps, 1,024 tokens of 512 features in bf16 each."""
    result = run(1, 4)
    (record,) = (r for r in result.records if r.phase == "denoise")
    assert len(record.transfers) == 4 * 3 * 2
    assert {size for _, size, *_ in record.transfers} == {1024 * 512 * 2}
    names = [result.links[link][0] for link, *_ in record.transfers[:1]]
    assert names == ["gpu1->gpu0"]
    part = next(i for i, name in enumerate(record.names) if name.endswith(".step0"))
    sends = [(start, end) for _, _, start, end, _ in record.transfers]
    assert any(start < record.end_ps[part] and end > record.start_ps[part] for start, end in sends)


def test_dependencies_stay_inside_a_rank() -> None:
    (record,) = (r for r in run(1, 4).records if r.phase == "denoise")
    assert record.edges is not None
    tasks, crossing = len(record.names), len(record.transfers)
    owner = [a * 4 // tasks if a < tasks else (a - tasks) * 4 // crossing for a in record.edges.reshape(-1).tolist()]
    half = len(owner) // 2
    assert owner[:half] == owner[half:]
    assert set(owner) == {0, 1, 2, 3}


def test_more_ranks_than_devices_are_refused() -> None:
    with pytest.raises(InputError, match="8 ranks need 8 devices"):
        flow.simulate(pipeline(), load_system("h100_x4"), parallel=ParallelSpec(ulysses=8))
