"""Wan 2.1 text to video: umT5, a transformer with cross-attention (Wan Team 2025), causal video VAE."""

from __future__ import annotations

from dataclasses import dataclass

from hwsim.graph.graph import Graph, GraphBuilder
from hwsim.graph.tensor import Tensor
from hwsim.operators.reshape import Reshape
from hwsim.operators.rope import Rope
from hwsim.operators.slice import Slice
from hwsim.workloads.dit import (
    TIME_FEATURES,
    embedded_vector,
    final_layer,
    gated_residual,
    heads_attention,
    modulated_norm,
    table_modulation,
    unpatched_video,
    video_patches,
)
from hwsim.workloads.layers import activation, add, layer_norm, linear, mlp, rms_norm
from hwsim.workloads.registry import workload
from hwsim.workloads.sampling import (
    Guidance,
    PipelineBuilder,
    check_multiple,
    denoise,
    finish,
    latent_frames,
    text_phase,
)
from hwsim.workloads.text_encoders import UMT5_XXL, t5_encoder, token_ids
from hwsim.workloads.wan_vae import wan_decoder

__all__ = ["wan2_1_t2v_1_3b", "wan2_1_t2v_14b"]

_CHANNELS = 16
_PATCH = (1, 2, 2)
_TEXT_TOKENS = 512
_ROPE = Rope(interleaved=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Config:
    """config.json of the transformer; heads have 128 features."""

    layers: int
    heads: int
    hidden: int

    @property
    def width(self) -> int:
        return 128 * self.heads


_SMALL = _Config(layers=30, heads=12, hidden=8960)
_LARGE = _Config(layers=40, heads=40, hidden=13824)


@workload(
    title="Wan 2.1 text to video, 1.3 B",
    source="Wan Team 2025, Wan: Open Large-Scale Video Generative Models; config.json of Wan-AI/Wan2.1-T2V-1.3B",
    item="video",
)
def wan2_1_t2v_1_3b(
    *,
    batch: int = 1,
    height: int = 480,
    width: int = 832,
    frames: int = 81,
    steps: int = 50,
    guidance: bool = True,
) -> Graph:
    """Text to video: 30 blocks of width 1536; 81 frames of 480 x 832 are 32,760 tokens.

    Args:
        batch: videos.
        height: pixels, a multiple of 16.
        width: pixels, a multiple of 16.
        frames: a multiple of 4 plus 1.
        steps: denoising steps.
        guidance: classifier-free guidance, two transformer calls a step.
    """
    return _pipeline("wan2_1_t2v_1_3b", _SMALL, batch, (frames, height, width), steps, guidance=guidance)


@workload(
    title="Wan 2.1 text to video, 14 B",
    source="Wan Team 2025, Wan: Open Large-Scale Video Generative Models; config.json of Wan-AI/Wan2.1-T2V-14B",
    item="video",
)
def wan2_1_t2v_14b(
    *,
    batch: int = 1,
    height: int = 480,
    width: int = 832,
    frames: int = 81,
    steps: int = 50,
    guidance: bool = True,
) -> Graph:
    """Text to video: 40 blocks of width 5120.

    Args:
        batch: videos.
        height: pixels, a multiple of 16.
        width: pixels, a multiple of 16.
        frames: a multiple of 4 plus 1.
        steps: denoising steps.
        guidance: classifier-free guidance, two transformer calls a step.
    """
    return _pipeline("wan2_1_t2v_14b", _LARGE, batch, (frames, height, width), steps, guidance=guidance)


def _pipeline(
    name: str, config: _Config, batch: int, size: tuple[int, int, int], steps: int, *, guidance: bool
) -> Graph:
    frames, height, width = size
    check_multiple(16, height=height, width=width)
    times = latent_frames(frames)
    mode = Guidance.PASSES if guidance else Guidance.NONE
    b = PipelineBuilder(name)
    text_phase(b, mode)
    context = t5_encoder(b, token_ids(b, batch, _TEXT_TOKENS, "umt5"), UMT5_XXL, "umt5")
    latents = b.state("latents", (batch, _CHANNELS, times, height // 8, width // 8))
    time = b.input("time_features", (batch, TIME_FEATURES))

    def network(x: Tensor) -> Tensor:
        return _transformer(b, x, context, time, config)

    latents = denoise(b, latents, network, steps=steps, guidance=mode)
    b.phase("vae_decode", repeat=times)
    video = wan_decoder(b, b.add(Slice(2, 0, 1), latents, name="latent_frame"))
    tokens = times * height * width // 256
    info = {"tokens": tokens, "text_tokens": _TEXT_TOKENS, "divided_text_tokens": _TEXT_TOKENS, "frames": frames}
    return finish(b, video, item="video", steps=steps, guidance=mode, info=info)


def _transformer(b: GraphBuilder, x: Tensor, context: Tensor, time_features: Tensor, config: _Config) -> Tensor:
    batch, width = x.shape[0], config.width
    with b.scope("transformer"):
        tokens = video_patches(b, x, width, _PATCH)
        vector = embedded_vector(b, time_features, width)
        shared = linear(b, activation(b, vector, "silu"), 6 * width, name="shared_modulation")
        shared = b.add(Reshape((batch, 6, width)), shared, name="shared_parts")
        text = embedded_vector(b, context, width, act="gelu_tanh", name="text_embed")
        for index in range(config.layers):
            with b.scope(f"block{index}"):
                tokens = _block(b, tokens, text, shared, config)
        vector = b.add(Reshape((batch, 1, width)), vector, name="vector_view")
        shift, scale = table_modulation(b, vector, 2, "scale_shift_table_out")
        y = final_layer(b, tokens, scale, shift, 4 * _CHANNELS, wide=True)
        _, channels, times, rows, cols = x.shape
        return unpatched_video(b, y, (channels, times, rows, cols), _PATCH)


def _block(b: GraphBuilder, x: Tensor, text: Tensor, shared: Tensor, config: _Config) -> Tensor:
    shift, scale, gate, shift2, scale2, gate2 = table_modulation(b, shared, 6)
    y = modulated_norm(b, x, scale, shift, "norm1", wide=True)
    x = gated_residual(b, x, _attention(b, y, y, config, _ROPE, "self"), gate, "attended")
    read = _attention(b, layer_norm(b, x, "norm2", wide=True), text, config, None, "cross")
    x = add(b, x, read, name="read")
    y = mlp(b, modulated_norm(b, x, scale2, shift2, "norm3", wide=True), config.hidden, act="gelu_tanh")
    return gated_residual(b, x, y, gate2, "out")


def _attention(b: GraphBuilder, x: Tensor, source: Tensor, config: _Config, rope: Rope | None, name: str) -> Tensor:
    """Attention whose q and k are normalised over all heads at once."""
    with b.scope(name):
        q = rms_norm(b, linear(b, x, config.width, name="q"), "q_norm")
        k = rms_norm(b, linear(b, source, config.width, name="k"), "k_norm")
        v = linear(b, source, config.width, name="v")
        return linear(b, heads_attention(b, q, k, v, config.heads, rope), config.width, name="out")
