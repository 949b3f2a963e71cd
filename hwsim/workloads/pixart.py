"""PixArt-Sigma: T5, a transformer of 0.6 B parameters with cross-attention, AutoencoderKL of SDXL."""

from __future__ import annotations

from hwsim.graph.graph import Graph, GraphBuilder
from hwsim.graph.tensor import Tensor
from hwsim.operators.add import Add
from hwsim.operators.reshape import Reshape
from hwsim.operators.slice import Slice
from hwsim.workloads.dit import (
    TIME_FEATURES,
    embedded_vector,
    final_layer,
    gated_residual,
    modulated_norm,
    patches,
    table_modulation,
    unpatched,
)
from hwsim.workloads.layers import activation, add, attention, linear, mlp
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
from hwsim.workloads.text_encoders import T5_XXL, t5_encoder, token_ids
from hwsim.workloads.vae import vae_decoder

__all__ = ["pixart_sigma"]

_WIDTH = 1152
_HEADS = 16
_LAYERS = 28
_CHANNELS = 4
_PATCH = 2
_TEXT_TOKENS = 300


@workload(
    title="PixArt-Sigma XL/2",
    source="Chen et al. 2024, PixArt-Sigma; config.json of PixArt-alpha/PixArt-Sigma-XL-2-1024-MS",
    item="image",
)
def pixart_sigma(
    *, batch: int = 1, height: int = 1024, width: int = 1024, steps: int = 20, guidance: bool = True
) -> Graph:
    """Text to image: 28 blocks of width 1152 that attend to the image and to 300 tokens of T5.

    Args:
        batch: images.
        height: pixels, a multiple of 16.
        width: pixels, a multiple of 16.
        steps: denoising steps.
        guidance: classifier-free guidance, one transformer call a step on twice the batch.
    """
    check_multiple(16, height=height, width=width)
    mode = Guidance.BATCH if guidance else Guidance.NONE
    b = PipelineBuilder("pixart_sigma")
    text_phase(b, mode)
    context = for_both_prompts(b, t5_encoder(b, token_ids(b, batch, _TEXT_TOKENS, "t5"), T5_XXL), mode)
    latents = b.state("latents", (batch, _CHANNELS, height // 8, width // 8))
    time = b.input("time_features", (context.shape[0], TIME_FEATURES))
    positions = b.state("positions", (1, height * width // 256, _WIDTH))

    def network(x: Tensor) -> Tensor:
        return _transformer(b, x, context, time, positions)

    latents = denoise(b, latents, network, steps=steps, guidance=mode)
    b.phase("vae_decode")
    images = vae_decoder(b, latents, post_quant=True)
    info = {"tokens": height * width // 256, "text_tokens": _TEXT_TOKENS, "cached_keys": 1}
    return finish(b, images, item="image", steps=steps, guidance=mode, info=info)


def _transformer(b: GraphBuilder, x: Tensor, context: Tensor, time_features: Tensor, positions: Tensor) -> Tensor:
    batch, _, rows, cols = x.shape
    with b.scope("transformer"):
        tokens = b.add(Add(), patches(b, x, _WIDTH, _PATCH), positions, name="positioned")
        vector = embedded_vector(b, time_features, _WIDTH)
        shared = linear(b, activation(b, vector, "silu"), 6 * _WIDTH, name="shared_modulation")
        shared = b.add(Reshape((batch, 6, _WIDTH)), shared, name="shared_parts")
        text = embedded_vector(b, context, _WIDTH, act="gelu_tanh", name="caption_projection")
        for index in range(_LAYERS):
            with b.scope(f"block{index}"):
                tokens = _block(b, tokens, text, shared)
        vector = b.add(Reshape((batch, 1, _WIDTH)), vector, name="vector_view")
        shift, scale = table_modulation(b, vector, 2, "scale_shift_table_out")
        y = final_layer(b, tokens, scale, shift, _PATCH**2 * 2 * _CHANNELS)
        y = unpatched(b, y, 2 * _CHANNELS, rows, cols, _PATCH)
        return b.add(Slice(1, 0, _CHANNELS), y, name="mean")


def _block(b: GraphBuilder, x: Tensor, text: Tensor, shared: Tensor) -> Tensor:
    shift, scale, gate, shift2, scale2, gate2 = table_modulation(b, shared, 6)
    y = attention(b, modulated_norm(b, x, scale, shift, "norm1"), _HEADS, name="self")
    x = gated_residual(b, x, y, gate, "attended")
    x = add(b, x, attention(b, x, _HEADS, context=text, name="cross"), name="read")
    y = mlp(b, modulated_norm(b, x, scale2, shift2, "norm2"), 4 * _WIDTH, act="gelu_tanh")
    return gated_residual(b, x, y, gate2, "out")
