"""Stable Diffusion 3.5, medium and large: three text encoders, MMDiT (Esser et al. 2024), AutoencoderKL."""

from __future__ import annotations

from dataclasses import dataclass

from hwsim.graph.graph import Graph, GraphBuilder
from hwsim.graph.tensor import Tensor
from hwsim.operators.add import Add
from hwsim.operators.concat import Concat
from hwsim.operators.pad import Pad
from hwsim.operators.reshape import Reshape
from hwsim.operators.slice import Slice
from hwsim.workloads.dit import TIME_FEATURES, embedded_vector, final_layer, modulation, patches, unpatched
from hwsim.workloads.layers import linear
from hwsim.workloads.mmdit import Joint, double_block
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
from hwsim.workloads.text_encoders import (
    CLIP_G,
    CLIP_L,
    CLIP_TOKENS,
    T5_XXL,
    clip_encoder,
    clip_pooled,
    t5_encoder,
    token_ids,
)
from hwsim.workloads.vae import vae_decoder

__all__ = ["sd3_5_large", "sd3_5_medium"]

_CHANNELS = 16
_PATCH = 2
_T5_TOKENS = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class _Config:
    """config.json of the transformer: ``twice`` blocks attend to the image twice, ``positions`` is its table's side."""

    heads: int
    layers: int
    twice: int
    positions: int

    @property
    def width(self) -> int:
        return 64 * self.heads


_MEDIUM = _Config(heads=24, layers=24, twice=13, positions=384)
_LARGE = _Config(heads=38, layers=38, twice=0, positions=192)


@workload(
    title="Stable Diffusion 3.5 medium",
    source="model card stabilityai/stable-diffusion-3.5-medium; Esser et al. 2024, Scaling Rectified Flow Transformers",
    item="image",
    maximum={"height": 6144, "width": 6144},
)
def sd3_5_medium(
    *, batch: int = 1, height: int = 1024, width: int = 1024, steps: int = 40, guidance: bool = True
) -> Graph:
    """Text to image with a transformer of 2.5 B parameters: 24 joint blocks of width 1536.

    Args:
        batch: images.
        height: pixels, a multiple of 16.
        width: pixels, a multiple of 16.
        steps: denoising steps.
        guidance: classifier-free guidance, one transformer call a step on twice the batch.
    """
    return _pipeline("sd3_5_medium", _MEDIUM, batch, (height, width), steps, guidance=guidance)


@workload(
    title="Stable Diffusion 3.5 large",
    source="model card stabilityai/stable-diffusion-3.5-large; Esser et al. 2024, Scaling Rectified Flow Transformers",
    item="image",
    maximum={"height": 3072, "width": 3072},
)
def sd3_5_large(
    *, batch: int = 1, height: int = 1024, width: int = 1024, steps: int = 28, guidance: bool = True
) -> Graph:
    """Text to image with a transformer of 8.1 B parameters: 38 joint blocks of width 2432.

    Args:
        batch: images.
        height: pixels, a multiple of 16.
        width: pixels, a multiple of 16.
        steps: denoising steps.
        guidance: classifier-free guidance, one transformer call a step on twice the batch.
    """
    return _pipeline("sd3_5_large", _LARGE, batch, (height, width), steps, guidance=guidance)


def _pipeline(name: str, config: _Config, batch: int, size: tuple[int, int], steps: int, *, guidance: bool) -> Graph:
    check_multiple(16, height=size[0], width=size[1])
    mode = Guidance.BATCH if guidance else Guidance.NONE
    b = PipelineBuilder(name)
    text_phase(b, mode)
    context, pooled = _encoded(b, batch, mode)
    rows, cols = size[0] // 8, size[1] // 8
    latents = b.state("latents", (batch, _CHANNELS, rows, cols))
    time = b.input("time_features", (pooled.shape[0], TIME_FEATURES))

    def network(x: Tensor) -> Tensor:
        return _transformer(b, x, context, pooled, time, config)

    latents = denoise(b, latents, network, steps=steps, guidance=mode)
    b.phase("vae_decode")
    images = vae_decoder(b, latents, post_quant=False)
    info = {"tokens": rows * cols // _PATCH**2, "text_tokens": context.shape[1], "cached_keys": 1}
    return finish(b, images, item="image", steps=steps, guidance=mode, info=info)


def _encoded(b: GraphBuilder, batch: int, mode: Guidance) -> tuple[Tensor, Tensor]:
    """Text features (batch, 77 + 256, 4096) and pooled features (batch, 2048) (Esser et al. 2024, Fig. 2a)."""
    small = clip_encoder(b, token_ids(b, batch, CLIP_TOKENS, "clip_l"), CLIP_L, "clip_l")
    large = clip_encoder(b, token_ids(b, batch, CLIP_TOKENS, "clip_g"), CLIP_G, "clip_g")
    pooled = b.add(
        Concat(-1),
        clip_pooled(b, small, projected=True, name="clip_l"),
        clip_pooled(b, large, projected=True, name="clip_g"),
        name="pooled",
    )
    t5 = t5_encoder(b, token_ids(b, batch, _T5_TOKENS, "t5"), T5_XXL)
    both = b.add(Concat(-1), small, large, name="clip_features")
    room = t5.shape[-1] - both.shape[-1]
    both = b.add(Pad(((0, 0), (0, 0), (0, room))), both, name="clip_padded")
    context = b.add(Concat(1), both, t5, name="text")
    return for_both_prompts(b, context, mode), for_both_prompts(b, pooled, mode)


def _transformer(
    b: GraphBuilder, x: Tensor, context: Tensor, pooled: Tensor, time_features: Tensor, config: _Config
) -> Tensor:
    rows, cols, width = x.shape[2], x.shape[3], config.width
    with b.scope("transformer"):
        vector = b.add(
            Add(),
            embedded_vector(b, time_features, width),
            embedded_vector(b, pooled, width, name="text_embed"),
            name="vector",
        )
        image = b.add(Add(), patches(b, x, width, _PATCH), _positions(b, rows, cols, config), name="positioned")
        text = linear(b, context, width, name="context_embed")
        for index in range(config.layers):
            with b.scope(f"block{index}"):
                image, text = double_block(
                    b,
                    image,
                    text,
                    vector,
                    Joint(heads=config.heads),
                    last=index == config.layers - 1,
                    second_attention=index < config.twice,
                )
        scale, shift = modulation(b, vector, width, 2, "modulation_out")
        y = final_layer(b, image, scale, shift, _PATCH**2 * _CHANNELS)
        return unpatched(b, y, _CHANNELS, rows, cols, _PATCH)


def _positions(b: GraphBuilder, rows: int, cols: int, config: _Config) -> Tensor:
    """(1, tokens, width) cut from the middle of the stored table of sinusoids."""
    side = config.positions
    high, wide = rows // _PATCH, cols // _PATCH
    table = b.weight("positions", (1, side, side, config.width))
    top, left = (side - high) // 2, (side - wide) // 2
    y = b.add(Slice(1, top, top + high), table, name="positions_rows")
    y = b.add(Slice(2, left, left + wide), y, name="positions_used")
    return b.add(Reshape((1, high * wide, config.width)), y, name="positions_view")
