"""HunyuanVideo: Llama and CLIP, 20 double and 40 single blocks over all frames (Kong et al. 2024), causal video VAE."""

from __future__ import annotations

from functools import partial

from hwsim.graph.graph import Graph, GraphBuilder
from hwsim.graph.tensor import Tensor
from hwsim.operators.add import Add
from hwsim.operators.concat import Concat
from hwsim.operators.reduce import ReduceAxes
from hwsim.operators.rope import Rope
from hwsim.operators.slice import Slice
from hwsim.operators.split import Split
from hwsim.workloads.dit import (
    TIME_FEATURES,
    embedded_vector,
    final_layer,
    gated_residual,
    modulation,
    unpatched_video,
    video_patches,
)
from hwsim.workloads.hunyuan_video_vae import hunyuan_video_decoder, hunyuan_video_pieces
from hwsim.workloads.layers import attention, layer_norm, linear, mlp
from hwsim.workloads.mmdit import Joint, double_block, rope_on_image, single_block
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
from hwsim.workloads.text_encoders import (
    CLIP_L,
    CLIP_TOKENS,
    LLAMA_3_8B,
    clip_encoder,
    clip_pooled,
    language_encoder,
    token_ids,
)

__all__ = ["hunyuan_video"]

_WIDTH = 3072
_HEADS = 24
_DOUBLE = 20
_SINGLE = 40
_REFINERS = 2
_CHANNELS = 16
_PATCH = (1, 2, 2)
_TEMPLATE_TOKENS = 95
_TEXT_TOKENS = 256
_ROPE = Rope(theta=256.0, interleaved=True)


@workload(
    title="HunyuanVideo",
    source="Kong et al. 2024, HunyuanVideo; config.json of hunyuanvideo-community/HunyuanVideo",
    item="video",
)
def hunyuan_video(
    *,
    batch: int = 1,
    height: int = 720,
    width: int = 1280,
    frames: int = 129,
    steps: int = 50,
    guidance: bool = False,
) -> Graph:
    """Text to video with a transformer of 13 B parameters: full attention over 118,800 + 256 tokens at 129 x 720p.

    Args:
        batch: videos.
        height: pixels, a multiple of 16.
        width: pixels, a multiple of 16.
        frames: a multiple of 4 plus 1.
        steps: denoising steps.
        guidance: true classifier-free guidance, a second transformer call a step; off, as guidance is distilled.
    """
    check_multiple(16, height=height, width=width)
    times = latent_frames(frames)
    mode = Guidance.PASSES if guidance else Guidance.NONE
    b = PipelineBuilder("hunyuan_video")
    text_phase(b, mode)
    context, pooled = _encoded(b, batch)
    latents = b.state("latents", (batch, _CHANNELS, times, height // 8, width // 8))
    scalars = b.input("time_features", (batch, TIME_FEATURES)), b.input("guidance_features", (batch, TIME_FEATURES))

    def network(x: Tensor) -> Tensor:
        return _transformer(b, x, context, pooled, scalars)

    latents = denoise(b, latents, network, steps=steps, guidance=mode)
    pieces, times_each = hunyuan_video_pieces(times)
    b.phase("vae_decode", repeat=pieces)
    video = hunyuan_video_decoder(b, b.add(Slice(2, 0, times_each), latents, name="piece"))
    tokens = times * height * width // 256
    info = {"tokens": tokens, "text_tokens": _TEXT_TOKENS, "frames": frames}
    return finish(b, video, item="video", steps=steps, guidance=mode, info=info)


def _encoded(b: GraphBuilder, batch: int) -> tuple[Tensor, Tensor]:
    """Llama's features of the prompt (batch, 256, 4096), its template cut off, and CLIP's pooled ones (batch, 768)."""
    seq = _TEMPLATE_TOKENS + _TEXT_TOKENS
    features = language_encoder(b, token_ids(b, batch, seq, "llama"), LLAMA_3_8B, "llama")
    context = b.add(Slice(1, _TEMPLATE_TOKENS, seq), features, name="prompt_features")
    clip = clip_encoder(b, token_ids(b, batch, CLIP_TOKENS, "clip"), CLIP_L)
    return context, clip_pooled(b, clip, projected=False)


def _transformer(b: GraphBuilder, x: Tensor, context: Tensor, pooled: Tensor, scalars: tuple[Tensor, Tensor]) -> Tensor:
    with b.scope("transformer"):
        vector = embedded_vector(b, scalars[0], _WIDTH)
        vector = b.add(Add(), vector, embedded_vector(b, pooled, _WIDTH, name="text_embed"))
        vector = b.add(Add(), vector, embedded_vector(b, scalars[1], _WIDTH, name="guidance_embed"), name="vector")
        image = video_patches(b, x, _WIDTH, _PATCH)
        text = _refined(b, context, scalars[0])
        joint = Joint(heads=_HEADS, image_rope=_ROPE)
        for index in range(_DOUBLE):
            with b.scope(f"double{index}"):
                image, text = double_block(b, image, text, vector, joint)
        sizes = (image.shape[1], text.shape[1])
        turn = partial(_turn, b, sizes[0])
        for index in range(_SINGLE):
            with b.scope(f"single{index}"):
                tokens = single_block(b, b.add(Concat(1), image, text, name="tokens"), vector, _HEADS, turn)
                image, text = b.add_all(Split(1, sizes), tokens, name="sides")
        scale, shift = modulation(b, vector, _WIDTH, 2, "modulation_out")
        y = final_layer(b, image, scale, shift, _CHANNELS * 4)
        _, *size = x.shape
        return unpatched_video(b, y, (size[0], size[1], size[2], size[3]), _PATCH)


def _turn(b: GraphBuilder, tokens: int, x: Tensor, name: str) -> Tensor:
    return rope_on_image(b, x, tokens, _ROPE, name)


def _refined(b: GraphBuilder, context: Tensor, time_features: Tensor) -> Tensor:
    """Text tokens (batch, 256, 3072) after two bidirectional blocks modulated by time and mean text."""
    with b.scope("refiner"):
        mean = b.add(ReduceAxes("mean", (1,)), context, name="mean")
        vector = b.add(
            Add(),
            embedded_vector(b, time_features, _WIDTH),
            embedded_vector(b, mean, _WIDTH, name="text_embed"),
            name="vector",
        )
        x = linear(b, context, _WIDTH, name="proj_in")
        for index in range(_REFINERS):
            with b.scope(f"block{index}"):
                y = attention(b, layer_norm(b, x, "norm1"), _HEADS)
                gate, gate2 = modulation(b, vector, _WIDTH, 2)
                x = gated_residual(b, x, y, gate, "attended")
                x = gated_residual(b, x, mlp(b, layer_norm(b, x, "norm2"), 4 * _WIDTH, act="silu"), gate2, "out")
        return x
