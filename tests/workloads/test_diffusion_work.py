"""MACs of one denoising step against closed forms written down from the papers, and against measured speed."""

from __future__ import annotations

from functools import cache
from itertools import pairwise

import pytest

from hwsim.graph.graph import Graph
from hwsim.graph.lowering import Lowered, lower
from hwsim.graph.work import Form
from hwsim.workloads import workload


@cache
def graph_of(name: str, **params: int | bool) -> Graph:
    return workload(name, dtype="bf16", **params)


@cache
def lowered(name: str) -> Lowered:
    return lower(graph_of(name))


def macs(name: str, phase: str, forms: tuple[Form, ...] = tuple(Form)) -> int:
    """MACs of one repeat of a phase."""
    work = lowered(name)
    (found,) = [p for p in work.graph.phases if p.name == phase]
    rows = work.row_ids[work.row_start[found.first] : work.row_start[found.last]]
    return sum(work.works[row].macs for row in rows if work.works[row].form in forms)


def double(d: int, s: int, t: int) -> int:
    """A double block: projections, joint attention, outputs, feed-forward, two modulations of six vectors."""
    return (3 + 1 + 8) * d * d * (s + t) + 2 * (s + t) ** 2 * d + 2 * 6 * d * d


def single(d: int, n: int) -> int:
    """A single block: projections and 4 d hidden in, 5 d out, attention, three vectors."""
    return (3 + 4 + 5) * d * d * n + 2 * n * n * d + 3 * d * d


def embedded(d: int, *widths: int) -> int:
    """Vectors of those widths through two linear layers to d."""
    return sum(w * d + d * d for w in widths)


def sd3(d: int, layers: int, twice: int, s: int, t: int) -> int:
    ends = 9 * d * d * t + (6 - 2) * d * d  # the last block leaves out the text's output, feed-forward and four vectors
    more = 4 * d * d * s + 2 * s * s * d + 3 * d * d
    edges = 64 * s * d + 4096 * t * d + embedded(d, 256, 2048) + 2 * d * d + 64 * s * d
    return layers * double(d, s, t) - ends + twice * more + edges


def flux(s: int, t: int) -> int:
    d = 3072
    edges = 64 * s * d + 4096 * t * d + embedded(d, 256, 256, 768) + 2 * d * d + 64 * s * d
    return 19 * double(d, s, t) + 38 * single(d, s + t) + edges


def hunyuan_video(s: int, t: int) -> int:
    d = 3072
    refiner = 4096 * t * d + embedded(d, 256, 4096) + 2 * (12 * d * d * t + 2 * t * t * d + 2 * d * d)
    edges = 64 * s * d + embedded(d, 256, 256, 768) + 2 * d * d + 64 * s * d
    return 20 * double(d, s, t) + 40 * single(d, s + t) + refiner + edges


def cross_attending(d: int, hidden: int, s: int, t: int, text: int) -> int:
    """Self-attention, cross-attention to t tokens of that width, feed-forward."""
    self_attention = 4 * d * d * s + 2 * s * s * d
    return self_attention + 2 * d * d * s + 2 * text * d * t + 2 * s * t * d + 2 * d * hidden * s


def wan(d: int, layers: int, hidden: int, s: int) -> int:
    edges = 64 * s * d + 512 * (4096 + d) * d + embedded(d, 256) + 6 * d * d + 64 * s * d
    return layers * cross_attending(d, hidden, s, 512, d) + edges


def pixart(s: int) -> int:
    d = 1152
    edges = 16 * s * d + 300 * (4096 + d) * d + embedded(d, 256) + 6 * d * d + 32 * s * d
    return 28 * cross_attending(d, 4 * d, s, 300, d) + edges


def hunyuan_dit(s: int) -> int:
    d = 1408
    pooler = 2048**2 * (1 + 2 * 257) + 2 * 257 * 2048 + 2048 * 1024
    text = 256 * (2048 * 8192 + 8192 * 1024) + pooler + 1024 * 4 * d + 4 * d * d
    edges = 16 * s * d + text + embedded(d, 256) + 2 * d * d + 32 * s * d
    return 40 * (cross_attending(d, 6144, s, 77 + 256, 1024) + d * d) + 19 * 2 * d * d * s + edges


def sana(s: int, layers: int = 20) -> int:
    d, hidden, t = 2240, 5600, 300
    linear_attention = 4 * d * d * s + 70 * 2 * (33 * 32 * s)
    cross = 2 * d * d * (s + t) + 2 * s * t * d
    feed_forward = s * (d * 2 * hidden + 9 * 2 * hidden + hidden * d)
    edges = 32 * s * d + t * (2304 + d) * d + embedded(d, 256) + 6 * d * d + 32 * s * d
    return layers * (linear_attention + cross + feed_forward) + edges


def cogvideox(d: int, layers: int, patch: int, s: int) -> int:
    t = 226
    n = s + t
    block = 12 * d * d * n + 2 * n * n * d + 2 * 512 * 6 * d
    return layers * block + patch * s * d + 4096 * t * d + (d + 512) * 512 + 512 * 2 * d + patch * s * d


STEP = {
    # name: MACs of one evaluation for one item, evaluations a step
    "sd3_5_medium": (sd3(1536, 24, 13, 4096, 333), 2),
    "sd3_5_large": (sd3(2432, 38, 0, 4096, 333), 2),
    "flux_dev": (flux(4096, 512), 1),
    "sana_1_6b": (sana(1024), 2),
    "sana_4_8b": (sana(1024, 60), 2),
    "pixart_sigma": (pixart(4096), 2),
    "hunyuan_dit": (hunyuan_dit(4096), 2),
    "wan2_1_t2v_1_3b": (wan(1536, 30, 8960, 32_760), 2),
    "wan2_1_t2v_14b": (wan(5120, 40, 13824, 32_760), 2),
    "hunyuan_video": (hunyuan_video(118_800, 256), 1),
    "cogvideox_2b": (cogvideox(1920, 30, 64, 17_550), 2),
    "cogvideox1_5_5b": (cogvideox(3072, 42, 128, 11 * 48 * 85), 2),
}


@pytest.mark.parametrize("name", STEP)
@pytest.mark.slow
def test_a_denoising_step_has_the_macs_of_its_closed_form(name: str) -> None:
    evaluation, evaluations = STEP[name]
    assert macs(name, "denoise") == evaluations * evaluation


def test_the_layers_of_the_unet_have_the_published_macs() -> None:
    """338.7 G for 64 x 64 latents (Kim et al. 2024, BK-SDM, Table 1), products inside attention not counted."""
    assert macs("stable_diffusion_1_5", "denoise", (Form.GEMM,)) / 2 == pytest.approx(338.7e9, rel=0.005)


def test_the_attention_of_the_unet_has_the_macs_of_its_sixteen_blocks() -> None:
    """Two products of pixels with pixels and with 77 tokens: five blocks at three sizes, one in the middle."""
    blocks = [(5, 4096, 320), (5, 1024, 640), (5, 256, 1280), (1, 64, 1280)]
    closed = sum(count * 2 * s * (s + 77) * d for count, s, d in blocks)
    assert macs("stable_diffusion_1_5", "denoise", (Form.ATTENTION,)) == 2 * closed


def test_the_image_decoder_has_the_macs_of_its_convolutions() -> None:
    """512 x 512 pixels: 3x3 convolutions level by level, a middle with one head of 512."""

    def block(pixels: int, cin: int, cout: int) -> int:
        return pixels * (9 * cin * cout + 9 * cout * cout + (cin * cout if cin != cout else 0))

    p = 64 * 64
    middle = 2 * block(p, 512, 512) + p * 4 * 512**2 + 2 * p * p * 512
    levels = 3 * block(p, 512, 512) + 4 * p * 9 * 512**2
    levels += 3 * block(4 * p, 512, 512) + 16 * p * 9 * 512**2
    levels += block(16 * p, 512, 256) + 2 * block(16 * p, 256, 256) + 64 * p * 9 * 256**2
    levels += block(64 * p, 256, 128) + 2 * block(64 * p, 128, 128)
    edges = p * 16 + p * 9 * 4 * 512 + 64 * p * 9 * 128 * 3
    assert macs("stable_diffusion_1_5", "vae_decode") == middle + levels + edges


def chain(positions: int, channels: list[int], beside: int = 0) -> int:
    """ResNet blocks through those channels: two windows of 27, a shortcut where channels change.

    ``beside`` MACs a channel and norm go into scales and shifts.
    """
    total = 0
    for cin, cout in pairwise(channels):
        total += 27 * (cin + cout) * cout + (cin * cout if cin != cout else 0) + beside * (cin + cout)
    return positions * total


def wan_piece(p: int) -> int:
    """One latent frame of p positions: 1, 2, 4, 4 frames of p, 4 p, 16 p, 64 p positions, 3 of 64 p at the end."""
    entry = p * (16 * 16 + 27 * 16 * 384) + chain(p, [384] * 3) + p * 4 * 384**2 + 2 * p * p * 384
    coarse = chain(p, [384] * 4) + p * 3 * 384 * 768 + 2 * 4 * p * 9 * 384 * 192
    middle = chain(2 * 4 * p, [192, 384, 384, 384]) + 2 * 4 * p * 3 * 384 * 768 + 4 * 16 * p * 9 * 384 * 192
    fine = chain(4 * 16 * p, [192] * 4) + 4 * 64 * p * 9 * 192 * 96
    return entry + coarse + middle + fine + chain(4 * 64 * p, [96] * 4) + 4 * 64 * p * 27 * 96 * 3


def cogvideox_piece(p: int) -> int:
    """Two latent frames of p positions; 2 x 16 MACs a channel scale and shift after each norm."""
    n0, n1, n2, n3 = 2 * p, 4 * 4 * p, 8 * 16 * p, 8 * 64 * p
    blocks = chain(n0, [512] * 7, 32) + chain(n1, [512, *[256] * 4], 32) + chain(n2, [256] * 5, 32)
    blocks += chain(n3, [256, *[128] * 4], 32)
    ups = n1 * 9 * 512**2 + (n2 + n3) * 9 * 256**2
    return n0 * 27 * 16 * 512 + blocks + ups + n3 * (32 * 128 + 27 * 128 * 3)


def hunyuan_video_piece(p: int) -> int:
    """Five latent frames of p positions: 5, 5, 9, 17 frames; attention over all positions of all five."""
    n0, n1, n2, n3 = 5 * p, 5 * 4 * p, 9 * 16 * p, 17 * 64 * p
    entry = n0 * (16 * 16 + 27 * 16 * 512) + chain(n0, [512] * 3) + n0 * 4 * 512**2 + 2 * n0 * n0 * 512
    blocks = chain(n0, [512] * 4) + chain(n1, [512] * 4) + chain(n2, [512, *[256] * 3]) + chain(n3, [256, *[128] * 3])
    return entry + blocks + (n1 + n2) * 27 * 512**2 + n3 * 27 * (256**2 + 128 * 3)


PIECE = {
    "wan2_1_t2v_1_3b": wan_piece(60 * 104),
    "cogvideox_2b": cogvideox_piece(60 * 90),
    "cogvideox1_5_5b": cogvideox_piece(96 * 170),
    "hunyuan_video": hunyuan_video_piece(90 * 160),
}


@pytest.mark.parametrize("name", PIECE)
def test_a_piece_of_a_clip_is_decoded_with_the_macs_of_its_closed_form(name: str) -> None:
    assert macs(name, "vae_decode") == PIECE[name]


def test_t5_reads_a_prompt_with_the_macs_of_its_closed_form() -> None:
    d, s = 4096, 300
    layer = 4 * d * d * s + 2 * s * s * d + 3 * d * 10240 * s
    assert macs("pixart_sigma", "text_encoder") == 24 * layer


TOKENS = {
    ("wan2_1_t2v_1_3b", ()): 32_760,
    ("wan2_1_t2v_14b", (("height", 720), ("width", 1280))): 75_600,
    ("hunyuan_video", ()): 118_800,
    ("cogvideox_2b", ()): 17_550,
    ("cogvideox1_5_5b", ()): 44_880,
    ("sana_1_6b", ()): 1024,
    ("flux_dev", ()): 4096,
}


@pytest.mark.parametrize(("name", "params"), TOKENS)
def test_a_clip_or_image_is_that_many_tokens(name: str, params: tuple[tuple[str, int], ...]) -> None:
    assert graph_of(name, **dict(params)).info["tokens"] == TOKENS[name, params]


MEASURED = {
    # seconds on one H100 SXM5, one item, default size and steps, diffusers: ML.ENERGY leaderboard, revision 0cd52da
    "wan2_1_t2v_1_3b": (95.36, 280, 360),
    "cogvideox_2b": (43.02, 250, 360),
    "sd3_5_large": (6.558, 230, 360),
    "pixart_sigma": (1.131, 200, 360),
    "hunyuan_dit": (8.375, 140, 360),
    "sana_1_6b": (0.7925, 120, 360),
}


@pytest.mark.parametrize("name", MEASURED)
def test_measured_time_means_a_plausible_rate_of_useful_work(name: str) -> None:
    """TFLOP/s of matrix work; small kernels, norms and rotary positions cost the image models more of their time."""
    seconds, least, most = MEASURED[name]
    assert least < 2 * graph_of(name).macs / seconds / 1e12 < most
