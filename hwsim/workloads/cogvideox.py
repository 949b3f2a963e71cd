"""CogVideoX: T5, a transformer over text and video tokens together (Yang et al. 2025), causal video VAE."""

from __future__ import annotations

from dataclasses import dataclass

from hwsim.graph.graph import Graph, GraphBuilder
from hwsim.graph.tensor import Tensor
from hwsim.operators.add import Add
from hwsim.operators.attention import Attention
from hwsim.operators.concat import Concat
from hwsim.operators.layernorm import LayerNorm
from hwsim.operators.reshape import Reshape
from hwsim.operators.rope import Rope
from hwsim.operators.scale_shift import ScaleShift
from hwsim.operators.slice import Slice
from hwsim.operators.split import Split
from hwsim.operators.transpose import Transpose
from hwsim.workloads.cogvideox_vae import cogvideox_decoder, cogvideox_pieces
from hwsim.workloads.dit import embedded_vector, gated_residual, modulation, unpatched_video
from hwsim.workloads.layers import (
    conv,
    layer_norm,
    linear,
    merge_heads,
    mlp,
    norm_weights,
    split_heads,
)
from hwsim.workloads.registry import workload
from hwsim.workloads.sampling import (
    Guidance,
    PipelineBuilder,
    check_multiple,
    denoise,
    finish,
    for_both_prompts,
    latent_frames,
    text_phase,
)
from hwsim.workloads.text_encoders import T5_XXL, t5_encoder, token_ids

__all__ = ["cogvideox1_5_5b", "cogvideox_2b"]

_CHANNELS = 16
_TEXT_TOKENS = 226
_TIME_WIDTH = 512
_HEAD_DIM = 64
_ROPE = Rope(interleaved=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Config:
    """config.json of the transformer; ``patch_frames`` latent frames make one token, ``rotary`` turns q and k."""

    layers: int
    heads: int
    patch_frames: int
    rotary: bool

    @property
    def width(self) -> int:
        return _HEAD_DIM * self.heads

    @property
    def patch(self) -> tuple[int, int, int]:
        return (self.patch_frames, 2, 2)


_CONFIG_2B = _Config(layers=30, heads=30, patch_frames=1, rotary=False)
_CONFIG_1_5 = _Config(layers=42, heads=48, patch_frames=2, rotary=True)


@workload(
    title="CogVideoX 2B",
    source="Yang et al. 2025, CogVideoX; config.json of zai-org/CogVideoX-2b",
    item="video",
)
def cogvideox_2b(
    *,
    batch: int = 1,
    height: int = 480,
    width: int = 720,
    frames: int = 49,
    steps: int = 50,
    guidance: bool = True,
) -> Graph:
    """Text to video: 30 blocks of width 1920; 49 frames of 480 x 720 are 17,550 tokens beside 226 of text.

    Args:
        batch: videos.
        height: pixels, a multiple of 16.
        width: pixels, a multiple of 16.
        frames: a multiple of 4 plus 1.
        steps: denoising steps.
        guidance: classifier-free guidance, one transformer call a step on twice the batch.
    """
    return _pipeline("cogvideox_2b", _CONFIG_2B, batch, (frames, height, width), steps, guidance=guidance)


@workload(
    title="CogVideoX 1.5 5B",
    source="Yang et al. 2025, CogVideoX; config.json of zai-org/CogVideoX1.5-5B",
    item="video",
)
def cogvideox1_5_5b(
    *,
    batch: int = 1,
    height: int = 768,
    width: int = 1360,
    frames: int = 81,
    steps: int = 50,
    guidance: bool = True,
) -> Graph:
    """Text to video: 42 blocks of width 3072; a token is two latent frames of 2 x 2, an odd clip gets one more.

    Args:
        batch: videos.
        height: pixels, a multiple of 16.
        width: pixels, a multiple of 16.
        frames: a multiple of 4 plus 1.
        steps: denoising steps.
        guidance: classifier-free guidance, one transformer call a step on twice the batch.
    """
    return _pipeline("cogvideox1_5_5b", _CONFIG_1_5, batch, (frames, height, width), steps, guidance=guidance)


def _pipeline(
    name: str, config: _Config, batch: int, size: tuple[int, int, int], steps: int, *, guidance: bool
) -> Graph:
    frames, height, width = size
    check_multiple(16, height=height, width=width)
    wanted = latent_frames(frames)
    times = wanted + -wanted % config.patch_frames
    mode = Guidance.BATCH if guidance else Guidance.NONE
    b = PipelineBuilder(name)
    text_phase(b, mode)
    context = for_both_prompts(b, t5_encoder(b, token_ids(b, batch, _TEXT_TOKENS, "t5"), T5_XXL), mode)
    latents = b.state("latents", (batch, _CHANNELS, times, height // 8, width // 8))
    tokens = times * height * width // (256 * config.patch_frames)
    time = b.input("time_features", (context.shape[0], config.width))
    positions = None if config.rotary else b.state("positions", (1, _TEXT_TOKENS + tokens, config.width))

    def network(x: Tensor) -> Tensor:
        return _transformer(b, x, context, time, positions, config)

    latents = denoise(b, latents, network, steps=steps, guidance=mode)
    pieces, times_each = cogvideox_pieces(wanted)
    b.phase("vae_decode", repeat=pieces)
    video = cogvideox_decoder(b, b.add(Slice(2, 0, times_each), latents, name="piece"))
    info = {"tokens": tokens, "text_tokens": _TEXT_TOKENS, "frames": frames}
    return finish(b, video, item="video", steps=steps, guidance=mode, info=info)


def _transformer(
    b: GraphBuilder, x: Tensor, context: Tensor, time_features: Tensor, positions: Tensor | None, config: _Config
) -> Tensor:
    with b.scope("transformer"):
        vector = embedded_vector(b, time_features, _TIME_WIDTH)
        text = linear(b, context, config.width, name="text_embed")
        tokens = b.add(Concat(1), text, _embedded(b, x, config), name="tokens")
        if positions is not None:
            tokens = b.add(Add(), tokens, positions, name="positioned")
        sizes = (context.shape[1], tokens.shape[1] - context.shape[1])
        text, video = b.add_all(Split(1, sizes), tokens, name="sides")
        for index in range(config.layers):
            with b.scope(f"block{index}"):
                text, video = _block(b, text, video, vector, config)
        shift, scale = modulation(b, vector, config.width, 2, "modulation_out")
        y = layer_norm(b, layer_norm(b, video, "norm_final"), "norm_out")
        y = b.add(ScaleShift(), y, scale, shift, name="norm_out_modulated")
        y = linear(b, y, 4 * config.patch_frames * _CHANNELS, name="proj_out")
        _, channels, times, rows, cols = x.shape
        return unpatched_video(b, y, (channels, times, rows, cols), config.patch)


def _embedded(b: GraphBuilder, x: Tensor, config: _Config) -> Tensor:
    """Video tokens (batch, tokens, width): a 2x2 convolution of every frame, or a product with patches in time too."""
    batch, channels, times, rows, cols = x.shape
    if config.patch_frames == 1:
        y = b.add(Transpose((0, 2, 1, 3, 4)), x, name="frames_first")
        y = b.add(Reshape((batch * times, channels, rows, cols)), y, name="images")
        y = conv(b, y, config.width, 2, stride=2, padding=0, name="patch_embed")
        y = b.add(Reshape((batch, times, config.width, rows * cols // 4)), y, name="patch_grid")
        y = b.add(Transpose((0, 1, 3, 2)), y, name="channels_last")
        return b.add(Reshape((batch, -1, config.width)), y, name="patch_tokens")
    depth = config.patch_frames
    grid = (batch, channels, times // depth, depth, rows // 2, 2, cols // 2, 2)
    y = b.add(Transpose((0, 2, 4, 6, 1, 3, 5, 7)), b.add(Reshape(grid), x, name="grid_in"), name="patches")
    y = b.add(Reshape((batch, -1, 4 * depth * channels)), y, name="patch_tokens")
    return linear(b, y, config.width, name="patch_embed")


def _block(b: GraphBuilder, text: Tensor, video: Tensor, vector: Tensor, config: _Config) -> tuple[Tensor, Tensor]:
    """Attention and feed-forward over text and video joined; expert norms modulate either side (CogVideoX, Fig. 3)."""
    sizes = (text.shape[1], video.shape[1])
    for part in ("attention", "mlp"):
        normed_text, normed_video, text_gate, video_gate = _expert_norm(b, text, video, vector, f"{part}_norm")
        joint = b.add(Concat(1), normed_text, normed_video, name=f"{part}_in")
        if part == "attention":
            joint = _attention(b, joint, sizes, config)
        else:
            joint = mlp(b, joint, 4 * config.width, act="gelu_tanh")
        text_out, video_out = b.add_all(Split(1, sizes), joint, name=f"{part}_sides")
        video = gated_residual(b, video, video_out, video_gate, f"{part}_video")
        text = gated_residual(b, text, text_out, text_gate, f"{part}_text")
    return text, video


def _expert_norm(
    b: GraphBuilder, text: Tensor, video: Tensor, vector: Tensor, name: str
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Both sides through one norm, each with its own scale and shift; then the gates of text and video."""
    shift, scale, gate, text_shift, text_scale, text_gate = modulation(
        b, vector, video.shape[-1], 6, f"{name}_modulation"
    )
    weights = norm_weights(b, video.shape[-1], name=name)
    normed_video = b.add(LayerNorm(), video, *weights, name=f"{name}_video")
    normed_text = b.add(LayerNorm(), text, *weights, name=f"{name}_text")
    normed_video = b.add(ScaleShift(), normed_video, scale, shift, name=f"{name}_video_modulated")
    normed_text = b.add(ScaleShift(), normed_text, text_scale, text_shift, name=f"{name}_text_modulated")
    return normed_text, normed_video, text_gate, gate


def _attention(b: GraphBuilder, x: Tensor, sizes: tuple[int, int], config: _Config) -> Tensor:
    """Attention with layer-normalised heads; rotary positions turn the video's q and k only."""
    with b.scope("attention"):
        q, k, v = (
            split_heads(b, linear(b, x, config.width, name=part), config.heads, name=f"{part}_heads")
            for part in ("q", "k", "v")
        )
        q, k = layer_norm(b, q, "q_norm"), layer_norm(b, k, "k_norm")
        if config.rotary:
            q, k = _turned(b, q, sizes, "q"), _turned(b, k, sizes, "k")
        y = merge_heads(b, b.add(Attention(), q, k, v, name="attention"))
        return linear(b, y, config.width, name="out")


def _turned(b: GraphBuilder, x: Tensor, sizes: tuple[int, int], name: str) -> Tensor:
    """X (batch, heads, seq, dim) with all but the text's first tokens turned."""
    text, video = b.add_all(Split(2, sizes), x, name=f"{name}_sides")
    return b.add(Concat(2), text, b.add(_ROPE, video, name=f"{name}_rope"), name=f"{name}_joint")
