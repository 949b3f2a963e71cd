"""SANA 1.5, 1.6 B and 4.8 B (Xie et al. 2025): Gemma 2, linear attention on 32 times smaller latents, DC-AE."""

from __future__ import annotations

from hwsim.graph.graph import Graph, GraphBuilder
from hwsim.graph.tensor import Tensor
from hwsim.operators.reshape import Reshape
from hwsim.operators.transpose import Transpose
from hwsim.workloads.dc_autoencoder import dc_decoder, gated_conv_mlp, linear_attention
from hwsim.workloads.dit import (
    TIME_FEATURES,
    embedded_vector,
    final_layer,
    gated_residual,
    heads_attention,
    modulated_norm,
    patches,
    table_modulation,
    unpatched,
)
from hwsim.workloads.layers import activation, add, linear, rms_norm
from hwsim.workloads.registry import workload
from hwsim.workloads.sampling import (
    Guidance,
    PipelineBuilder,
    check_multiple,
    denoise,
    finish,
    for_both_prompts,
    text_phase,
)
from hwsim.workloads.text_encoders import GEMMA_2_2B, language_encoder, token_ids

__all__ = ["sana_1_6b", "sana_4_8b"]

_WIDTH = 2240
_HEADS = 70
_CROSS_HEADS = 20
_HIDDEN = 5600
_CHANNELS = 32
_TEXT_TOKENS = 300


@workload(
    title="SANA 1.5, 1.6 B",
    source="Xie et al. 2025, SANA and SANA 1.5; config.json of Efficient-Large-Model/SANA1.5_1.6B_1024px_diffusers",
    item="image",
)
def sana_1_6b(
    *, batch: int = 1, height: int = 1024, width: int = 1024, steps: int = 20, guidance: bool = True
) -> Graph:
    """Text to image: 20 blocks of width 2240; 1024 x 1024 pixels are 1,024 tokens.

    The instruction that the pipeline puts before the prompt is not counted among Gemma's 300 tokens.

    Args:
        batch: images.
        height: pixels, a multiple of 32.
        width: pixels, a multiple of 32.
        steps: denoising steps.
        guidance: classifier-free guidance, one transformer call a step on twice the batch.
    """
    return _pipeline("sana_1_6b", 20, batch, (height, width), steps, guidance=guidance)


@workload(
    title="SANA 1.5, 4.8 B",
    source="Xie et al. 2025, SANA 1.5; config.json of Efficient-Large-Model/SANA1.5_4.8B_1024px_diffusers",
    item="image",
)
def sana_4_8b(
    *, batch: int = 1, height: int = 1024, width: int = 1024, steps: int = 20, guidance: bool = True
) -> Graph:
    """Text to image: 60 blocks of width 2240; the rest as in the model of 1.6 B.

    Args:
        batch: images.
        height: pixels, a multiple of 32.
        width: pixels, a multiple of 32.
        steps: denoising steps.
        guidance: classifier-free guidance, one transformer call a step on twice the batch.
    """
    return _pipeline("sana_4_8b", 60, batch, (height, width), steps, guidance=guidance)


def _pipeline(name: str, layers: int, batch: int, size: tuple[int, int], steps: int, *, guidance: bool) -> Graph:
    height, width = size
    check_multiple(32, height=height, width=width)
    mode = Guidance.BATCH if guidance else Guidance.NONE
    b = PipelineBuilder(name)
    text_phase(b, mode)
    encoded = language_encoder(b, token_ids(b, batch, _TEXT_TOKENS, "gemma"), GEMMA_2_2B, "gemma")
    context = for_both_prompts(b, encoded, mode)
    latents = b.state("latents", (batch, _CHANNELS, height // 32, width // 32))
    time = b.input("time_features", (context.shape[0], TIME_FEATURES))

    def network(x: Tensor) -> Tensor:
        return _transformer(b, x, context, time, layers)

    latents = denoise(b, latents, network, steps=steps, guidance=mode)
    b.phase("vae_decode")
    images = dc_decoder(b, latents)
    info = {"tokens": height * width // 1024, "text_tokens": _TEXT_TOKENS}
    return finish(b, images, item="image", steps=steps, guidance=mode, info=info)


def _transformer(b: GraphBuilder, x: Tensor, context: Tensor, time_features: Tensor, layers: int) -> Tensor:
    batch, _, rows, cols = x.shape
    with b.scope("transformer"):
        tokens = patches(b, x, _WIDTH, 1)
        vector = embedded_vector(b, time_features, _WIDTH)
        shared = linear(b, activation(b, vector, "silu"), 6 * _WIDTH, name="shared_modulation")
        shared = b.add(Reshape((batch, 6, _WIDTH)), shared, name="shared_parts")
        text = embedded_vector(b, context, _WIDTH, act="gelu_tanh", name="caption_projection")
        text = rms_norm(b, text, "caption_norm")
        for index in range(layers):
            with b.scope(f"block{index}"):
                tokens = _block(b, tokens, text, shared, (rows, cols))
        vector = b.add(Reshape((batch, 1, _WIDTH)), vector, name="vector_view")
        shift, scale = table_modulation(b, vector, 2, "scale_shift_table_out")
        return unpatched(b, final_layer(b, tokens, scale, shift, _CHANNELS), _CHANNELS, rows, cols, 1)


def _block(b: GraphBuilder, x: Tensor, text: Tensor, shared: Tensor, grid: tuple[int, int]) -> Tensor:
    batch, tokens, width = x.shape
    shift, scale, gate, shift2, scale2, gate2 = table_modulation(b, shared, 6)
    y = _self_attention(b, modulated_norm(b, x, scale, shift, "norm1"))
    x = gated_residual(b, x, y, gate, "attended")
    x = add(b, x, _cross_attention(b, x, text), name="read")
    y = modulated_norm(b, x, scale2, shift2, "norm2")
    y = b.add(Reshape((batch, *grid, width)), y, name="grid")
    y = gated_conv_mlp(b, b.add(Transpose((0, 3, 1, 2)), y, name="channels_first"), _HIDDEN)
    y = b.add(Transpose((0, 2, 1)), b.add(Reshape((batch, width, tokens)), y, name="pixels"), name="channels_last")
    return gated_residual(b, x, y, gate2, "out")


def _normed_projections(b: GraphBuilder, x: Tensor, source: Tensor, *, bias: bool) -> tuple[Tensor, Tensor, Tensor]:
    """q, k, v (batch, seq, width), q and k normalised over all heads at once."""
    q = rms_norm(b, linear(b, x, _WIDTH, bias=bias, name="q"), "q_norm")
    k = rms_norm(b, linear(b, source, _WIDTH, bias=bias, name="k"), "k_norm")
    return q, k, linear(b, source, _WIDTH, bias=bias, name="v")


def _self_attention(b: GraphBuilder, x: Tensor) -> Tensor:
    """Linear attention of 70 heads of 32 features."""
    batch, tokens, _ = x.shape
    with b.scope("self"):
        heads = []
        for part, name in zip(_normed_projections(b, x, x, bias=False), "qkv", strict=True):
            y = b.add(Transpose((0, 2, 1)), part, name=f"{name}_features_first")
            heads.append(b.add(Reshape((batch, _HEADS, _WIDTH // _HEADS, tokens)), y, name=f"{name}_heads"))
        y = linear_attention(b, *heads)
        y = b.add(Transpose((0, 2, 1)), b.add(Reshape((batch, _WIDTH, tokens)), y, name="features"), name="merge")
        return linear(b, y, _WIDTH, name="out")


def _cross_attention(b: GraphBuilder, x: Tensor, text: Tensor) -> Tensor:
    with b.scope("cross"):
        q, k, v = _normed_projections(b, x, text, bias=True)
        return linear(b, heads_attention(b, q, k, v, _CROSS_HEADS), _WIDTH, name="out")
