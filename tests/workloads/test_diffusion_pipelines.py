"""Phases, guidance and sizes of the diffusion pipelines; what their builder adds to GraphBuilder."""

from __future__ import annotations

from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwsim.errors import GraphError, InputError
from hwsim.graph.graph import Graph
from hwsim.workloads import workload
from hwsim.workloads.hunyuan_video_vae import hunyuan_video_pieces
from hwsim.workloads.sampling import PipelineBuilder, check_multiple, latent_frames

IMAGES = {
    "stable_diffusion_1_5": (512, 50, 64),
    "stable_diffusion_2_base": (512, 50, 64),
    "sd3_5_medium": (1024, 40, 16),
    "sd3_5_large": (1024, 28, 16),
    "flux_dev": (1024, 50, 16),
    "sana_1_6b": (1024, 20, 32),
    "sana_4_8b": (1024, 20, 32),
    "pixart_sigma": (1024, 20, 16),
    "hunyuan_dit": (1024, 50, 16),
}
VIDEOS = ["wan2_1_t2v_1_3b", "wan2_1_t2v_14b", "hunyuan_video", "cogvideox_2b", "cogvideox1_5_5b"]
DISTILLED = ["flux_dev", "hunyuan_video"]
SMALL = {"height": 64, "width": 64, "frames": 9, "steps": 3}


@cache
def small(name: str, **params: int | bool) -> Graph:
    sizes = SMALL if name in VIDEOS else {key: SMALL[key] for key in ("height", "width", "steps")}
    return workload(name, **{**sizes, **params})


def denoised_at_once(graph: Graph) -> int:
    """Rows of the batch that the denoiser's first convolution or product sees."""
    (phase,) = [p for p in graph.phases if p.name == "denoise"]
    nodes = graph.nodes[phase.first : phase.last]
    first = next(n for n in nodes if n.op.kind in ("conv2d", "conv3d", "linear"))
    return graph.tensors[first.inputs[0]].shape[0]


@pytest.mark.parametrize("name", [*IMAGES, *VIDEOS])
def test_a_pipeline_encodes_denoises_every_step_and_decodes(name: str) -> None:
    graph = small(name)
    assert [p.name for p in graph.phases] == ["text_encoder", "denoise", "vae_decode"]
    encoded = 1 if name in DISTILLED else 2
    assert [p.repeat for p in graph.phases][:2] == [encoded, 3]


@pytest.mark.parametrize("name", IMAGES)
def test_an_image_comes_out_at_the_size_asked_for(name: str) -> None:
    graph = small(name, batch=2, height=128)
    assert graph.tensors[graph.outputs[0]].shape == (2, 3, 128, 64)
    assert (graph.items, graph.item) == (2, "image")


@pytest.mark.parametrize("name", IMAGES)
def test_defaults_are_the_size_and_steps_of_the_model_card(name: str) -> None:
    size, steps, _ = IMAGES[name]
    graph = workload(name)
    assert graph.tensors[graph.outputs[0]].shape == (1, 3, size, size)
    assert graph.info["steps"] == steps


@pytest.mark.parametrize("name", VIDEOS)
def test_pieces_of_a_clip_come_out_at_the_size_asked_for(name: str) -> None:
    graph = small(name, height=96)
    batch, channels, frames, height, width = graph.tensors[graph.outputs[0]].shape
    assert (batch, channels, height, width) == (1, 3, 96, 64)
    assert graph.item == "video"
    assert frames * graph.phases[2].repeat >= 8


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted({*IMAGES, *VIDEOS} - set(DISTILLED)))
def test_without_guidance_the_denoiser_does_half_the_work(name: str) -> None:
    """Equal weights, twice the evaluations: in one call on twice the batch, or (Wan) in two calls."""
    guided, free = small(name), small(name, guidance=False)
    assert guided.parameters == free.parameters
    assert guided.info["evaluations"] == 2 * free.info["evaluations"]
    rows = denoised_at_once(guided), denoised_at_once(free)
    nodes = [sum(n.op.kind == "attention" for n in g.nodes) for g in (guided, free)]
    if name.startswith("wan"):
        assert rows == (1, 1)
        assert nodes[0] - nodes[1] == 2 * (40 if name.endswith("14b") else 30)
    else:
        assert rows == (2, 1)
        assert nodes[0] == nodes[1]


@pytest.mark.parametrize("name", DISTILLED)
def test_a_distilled_model_evaluates_once_a_step_unless_asked_for_true_guidance(name: str) -> None:
    plain, guided = small(name), small(name, guidance=True)
    assert (plain.info["evaluations"], guided.info["evaluations"]) == (3, 6)
    assert plain.parameters == guided.parameters


@pytest.mark.parametrize("name", [*IMAGES, *VIDEOS])
@pytest.mark.parametrize("side", ["height", "width"])
def test_a_size_off_the_grid_names_the_parameter_and_a_size_that_fits(name: str, side: str) -> None:
    grid = IMAGES[name][2] if name in IMAGES else 16
    with pytest.raises(InputError, match=rf"'{side}' must be a multiple of {grid} .*: \d+, not 500"):
        workload(name, **{side: 500})


@pytest.mark.parametrize("name", VIDEOS)
def test_a_wrong_number_of_frames_names_the_parameter_and_the_nearest_that_fits(name: str) -> None:
    with pytest.raises(InputError, match="'frames' must be a multiple of 4 plus 1: 49, not 50"):
        workload(name, frames=50)


def test_an_image_beyond_the_position_table_is_refused_by_name() -> None:
    with pytest.raises(InputError, match="'height' must be at most 3072"):
        workload("sd3_5_large", height=3088)


@given(st.integers(1, 5000))
def test_the_size_suggested_is_accepted(size: int) -> None:
    try:
        check_multiple(16, height=size)
    except InputError as error:
        check_multiple(16, height=int(str(error).rpartition(": ")[2].split(",")[0]))


@given(st.integers(1, 500))
def test_latent_frames_hold_all_frames(frames: int) -> None:
    try:
        assert 4 * (latent_frames(frames) - 1) + 1 == frames
    except InputError as error:
        latent_frames(int(str(error).rpartition(": ")[2].split(",")[0]))


@given(st.integers(1, 200))
def test_pieces_of_a_clip_cover_it(times: int) -> None:
    pieces, each = hunyuan_video_pieces(times)
    assert (pieces - 1) * 3 < times <= max(3 * pieces, each)


def test_a_weight_asked_for_twice_is_one_weight() -> None:
    b = PipelineBuilder("toy")
    with b.scope("network"):
        assert b.weight("w", (2, 3)) is b.weight("w", (2, 3))


def test_a_weight_of_two_shapes_is_refused() -> None:
    b = PipelineBuilder("toy")
    b.weight("w", (2, 3))
    with pytest.raises(GraphError, match=r"weight 'w' is \[2, 3\], so it cannot be \[3, 2\]"):
        b.weight("w", (3, 2))


def test_a_weight_cannot_take_the_name_of_an_input() -> None:
    b = PipelineBuilder("toy")
    b.input("w", (2, 3))
    with pytest.raises(GraphError, match="two tensors are named 'w'"):
        b.weight("w", (2, 3))
