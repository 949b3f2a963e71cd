"""Stable Diffusion 1.5 and 2: CLIP, a U-Net on 8 times smaller latents, AutoencoderKL."""

from __future__ import annotations

from hwsim.graph.graph import Graph
from hwsim.graph.tensor import Tensor
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
from hwsim.workloads.text_encoders import CLIP_H, CLIP_L, CLIP_TOKENS, Clip, clip_encoder, token_ids
from hwsim.workloads.unet import UNET_1, UNET_2, Attending, unet
from hwsim.workloads.vae import vae_decoder

__all__ = ["stable_diffusion_1_5", "stable_diffusion_2_base"]


@workload(
    title="Stable Diffusion 1.5",
    source="Rombach et al. 2022, High-Resolution Image Synthesis with Latent Diffusion Models; model card v1-5",
    item="image",
)
def stable_diffusion_1_5(
    *, batch: int = 1, height: int = 512, width: int = 512, steps: int = 50, guidance: bool = True
) -> Graph:
    """Text to image: 123 M parameters of CLIP text, 860 M of U-Net, 49.5 M of decoder.

    Args:
        batch: images.
        height: pixels, a multiple of 64 (the U-Net halves the latents three times).
        width: pixels, a multiple of 64.
        steps: denoising steps.
        guidance: classifier-free guidance, one U-Net call a step on twice the batch.
    """
    return _pipeline("stable_diffusion_1_5", CLIP_L, UNET_1, batch, height, width, steps, guidance)


@workload(
    title="Stable Diffusion 2 base",
    source="Rombach et al. 2022, High-Resolution Image Synthesis with Latent Diffusion Models; model card v2-base",
    item="image",
)
def stable_diffusion_2_base(
    *, batch: int = 1, height: int = 512, width: int = 512, steps: int = 50, guidance: bool = True
) -> Graph:
    """Text to image: 340 M parameters of OpenCLIP text, 866 M of U-Net, 49.5 M of decoder; 2.1 base has the same.

    Args:
        batch: images.
        height: pixels, a multiple of 64 (the U-Net halves the latents three times).
        width: pixels, a multiple of 64.
        steps: denoising steps.
        guidance: classifier-free guidance, one U-Net call a step on twice the batch.
    """
    return _pipeline("stable_diffusion_2_base", CLIP_H, UNET_2, batch, height, width, steps, guidance)


def _pipeline(
    name: str, encoder: Clip, attending: Attending, batch: int, height: int, width: int, steps: int, guidance: bool
) -> Graph:
    check_multiple(64, height=height, width=width)
    mode = Guidance.BATCH if guidance else Guidance.NONE
    rows = 2 * batch if guidance else batch
    b = PipelineBuilder(name)
    text_phase(b, mode)
    text = clip_encoder(b, token_ids(b, batch, CLIP_TOKENS, "prompt"), encoder)
    context = for_both_prompts(b, text, mode)
    latents = b.state("latents", (batch, 4, height // 8, width // 8))
    time = b.input("time_features", (rows, 320))

    def network(x: Tensor) -> Tensor:
        return unet(b, x, context, time, attending)

    latents = denoise(b, latents, network, steps=steps, guidance=mode)
    b.phase("vae_decode")
    images = vae_decoder(b, latents, post_quant=True)
    tokens = (height // 8) * (width // 8)
    return finish(b, images, item="image", steps=steps, guidance=mode, info={"tokens": tokens})
