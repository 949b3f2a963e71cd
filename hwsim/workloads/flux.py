"""FLUX.1 [dev]: CLIP and T5, 19 double and 38 single blocks, guidance distilled into the weights."""

from __future__ import annotations

from hwsim.graph.graph import Graph, GraphBuilder
from hwsim.graph.tensor import Tensor
from hwsim.operators.add import Add
from hwsim.operators.concat import Concat
from hwsim.operators.reshape import Reshape
from hwsim.operators.rope import Rope
from hwsim.operators.slice import Slice
from hwsim.operators.transpose import Transpose
from hwsim.workloads.dit import TIME_FEATURES, embedded_vector, final_layer, modulation, unpatched
from hwsim.workloads.layers import linear
from hwsim.workloads.mmdit import Joint, double_block, single_block
from hwsim.workloads.registry import workload
from hwsim.workloads.sampling import Guidance, PipelineBuilder, check_multiple, denoise, finish, text_phase
from hwsim.workloads.text_encoders import (
    CLIP_L,
    CLIP_TOKENS,
    T5_XXL,
    clip_encoder,
    clip_pooled,
    t5_encoder,
    token_ids,
)
from hwsim.workloads.vae import vae_decoder

__all__ = ["flux_dev"]

_WIDTH = 3072
_HEADS = 24
_DOUBLE = 19
_SINGLE = 38
_CHANNELS = 16
_PATCH = 2
_T5_TOKENS = 512
_ROPE = Rope(interleaved=True)


@workload(
    title="FLUX.1 [dev]",
    source="model card and config.json of black-forest-labs/FLUX.1-dev",
    item="image",
)
def flux_dev(
    *, batch: int = 1, height: int = 1024, width: int = 1024, steps: int = 50, guidance: bool = False
) -> Graph:
    """Text to image with a transformer of 12 B parameters.

    Args:
        batch: images.
        height: pixels, a multiple of 16.
        width: pixels, a multiple of 16.
        steps: denoising steps.
        guidance: true classifier-free guidance, a second transformer call a step; off, as guidance is distilled.
    """
    check_multiple(16, height=height, width=width)
    mode = Guidance.PASSES if guidance else Guidance.NONE
    b = PipelineBuilder("flux_dev")
    text_phase(b, mode)
    clip = clip_encoder(b, token_ids(b, batch, CLIP_TOKENS, "clip"), CLIP_L)
    pooled = clip_pooled(b, clip, projected=False)
    context = t5_encoder(b, token_ids(b, batch, _T5_TOKENS, "t5"), T5_XXL)
    latents = b.state("latents", (batch, _CHANNELS, height // 8, width // 8))
    scalars = b.input("time_features", (batch, TIME_FEATURES)), b.input("guidance_features", (batch, TIME_FEATURES))

    def network(x: Tensor) -> Tensor:
        return _transformer(b, x, context, pooled, scalars)

    latents = denoise(b, latents, network, steps=steps, guidance=mode)
    b.phase("vae_decode")
    images = vae_decoder(b, latents, post_quant=False)
    info = {"tokens": height * width // 256, "text_tokens": _T5_TOKENS}
    return finish(b, images, item="image", steps=steps, guidance=mode, info=info)


def _transformer(b: GraphBuilder, x: Tensor, context: Tensor, pooled: Tensor, scalars: tuple[Tensor, Tensor]) -> Tensor:
    rows, cols = x.shape[2:]
    with b.scope("transformer"):
        vector = embedded_vector(b, scalars[0], _WIDTH)
        vector = b.add(Add(), vector, embedded_vector(b, scalars[1], _WIDTH, name="guidance_embed"))
        vector = b.add(Add(), vector, embedded_vector(b, pooled, _WIDTH, name="text_embed"), name="vector")
        image = linear(b, _packed(b, x), _WIDTH, name="image_embed")
        text = linear(b, context, _WIDTH, name="context_embed")
        joint = Joint(heads=_HEADS, text_first=True, rope=_ROPE)
        for index in range(_DOUBLE):
            with b.scope(f"double{index}"):
                image, text = double_block(b, image, text, vector, joint)
        tokens = b.add(Concat(1), text, image, name="tokens")
        for index in range(_SINGLE):
            with b.scope(f"single{index}"):
                tokens = single_block(b, tokens, vector, _HEADS, lambda t, n: b.add(_ROPE, t, name=f"{n}_rope"))
        image = b.add(Slice(1, text.shape[1], tokens.shape[1]), tokens, name="image_tokens")
        scale, shift = modulation(b, vector, _WIDTH, 2, "modulation_out")
        y = final_layer(b, image, scale, shift, _PATCH**2 * _CHANNELS)
        return unpatched(b, y, _CHANNELS, rows, cols, _PATCH)


def _packed(b: GraphBuilder, x: Tensor) -> Tensor:
    """(batch, tokens, 64): each patch of 2 x 2 latents as one token."""
    batch, channels, rows, cols = x.shape
    y = b.add(Reshape((batch, channels, rows // _PATCH, _PATCH, cols // _PATCH, _PATCH)), x, name="grid")
    y = b.add(Transpose((0, 2, 4, 1, 3, 5)), y, name="patches")
    return b.add(Reshape((batch, rows * cols // _PATCH**2, channels * _PATCH**2)), y, name="packed")
