"""ControlNet and the parts of Stable Diffusion 1.5 and 2, each alone: one text, one step, one image.

Sources: Zhang, Rao and Agrawala 2023, Adding Conditional Control to Text-to-Image Diffusion Models, Fig. 3; Rombach et
al. 2022, High-Resolution Image Synthesis with Latent Diffusion Models; cards v1-5, 2-1-base and sd-controlnet-canny.
"""

from __future__ import annotations

from hwsim.graph.graph import Graph, GraphBuilder
from hwsim.graph.tensor import Tensor
from hwsim.workloads import layers
from hwsim.workloads.dit import embedded_vector
from hwsim.workloads.registry import Published, sources, workload
from hwsim.workloads.sampling import check_multiple
from hwsim.workloads.text_encoders import CLIP_H, CLIP_L, CLIP_TOKENS, clip_encoder, token_ids
from hwsim.workloads.unet import UNET_1, UNET_2, unet, unet_encoder
from hwsim.workloads.vae import vae_decoder

__all__ = ["controlnet", "sd1_text_encoder", "sd1_unet", "sd1_vae_decoder", "sd2_text_encoder", "sd2_unet"]

_SOURCE = sources(__doc__)
_LEVELS = ((320, 1), (320, 1), (320, 1), (320, 2), (640, 2), (640, 2), (640, 4), (1280, 4), (1280, 4))
_DEEP = ((1280, 8), (1280, 8), (1280, 8), (1280, 8))
"""Channels of what a ControlNet makes and how much smaller than the latents it is; the last is the middle's."""


def _given(
    b: GraphBuilder, batch: int, tall: int, wide: int, text: int = CLIP_L.width
) -> tuple[Tensor, Tensor, Tensor]:
    """Latents, encoded text and the sinusoids of the time step."""
    latents = b.input("latents", (batch, 4, tall, wide))
    return latents, b.input("text", (batch, CLIP_TOKENS, text)), b.input("time_features", (batch, 320))


@workload(
    title="Stable Diffusion 1.5, text encoder",
    source=_SOURCE,
    item="text",
    published=Published(parameters=123_060_480, source="CLIPTextModel of the model card v1-5"),
)
def sd1_text_encoder(*, batch: int = 1) -> Graph:
    """The text encoder of CLIP ViT-L/14 on 77 tokens.

    Args:
        batch: Texts at once.
    """
    b = GraphBuilder("sd1_text_encoder")
    x = clip_encoder(b, token_ids(b, batch, CLIP_TOKENS, "prompt"), CLIP_L)
    return b.build([x], items=batch, item="text")


@workload(
    title="Stable Diffusion 2.1, text encoder",
    source=_SOURCE,
    item="text",
    published=Published(parameters=340_387_840, source="CLIPTextModel of the model card 2-1-base"),
)
def sd2_text_encoder(*, batch: int = 1) -> Graph:
    """The text encoder of OpenCLIP ViT-H/14, up to its last layer but one, on 77 tokens.

    Args:
        batch: Texts at once.
    """
    b = GraphBuilder("sd2_text_encoder")
    x = clip_encoder(b, token_ids(b, batch, CLIP_TOKENS, "prompt"), CLIP_H)
    return b.build([x], items=batch, item="text")


@workload(
    title="Stable Diffusion 2.1, U-Net",
    source=_SOURCE,
    item="step",
    published=Published(parameters=865_910_724, source="UNet2DConditionModel of the model card 2-1-base"),
)
def sd2_unet(*, batch: int = 1, height: int = 512, width: int = 512) -> Graph:
    """One evaluation of the U-Net.

    Args:
        batch: Images at once.
        height: pixels, a multiple of 64 (the U-Net halves the latents three times).
        width: pixels, a multiple of 64.
    """
    check_multiple(64, height=height, width=width)
    b = GraphBuilder("sd2_unet")
    latents, text, time = _given(b, batch, height // 8, width // 8, CLIP_H.width)
    return b.build([unet(b, latents, text, time, UNET_2)], items=batch, item="step")


@workload(
    title="Stable Diffusion 1.5, U-Net",
    source=_SOURCE,
    item="step",
    published=Published(parameters=859_520_964, source="UNet2DConditionModel of the model card v1-5"),
)
def sd1_unet(*, batch: int = 1, height: int = 512, width: int = 512, controlled: bool = False) -> Graph:
    """One evaluation of the U-Net.

    Args:
        batch: Images at once.
        height: pixels, a multiple of 64 (the U-Net halves the latents three times).
        width: pixels, a multiple of 64.
        controlled: whether a ControlNet's results are added to its levels.
    """
    check_multiple(64, height=height, width=width)
    b = GraphBuilder("sd1_unet")
    tall, wide = height // 8, width // 8
    latents, text, time = _given(b, batch, tall, wide)
    sizes = (*_LEVELS, *_DEEP) if controlled else ()
    control = [
        b.input(f"control{i}", (batch, channels, tall // factor, wide // factor))
        for i, (channels, factor) in enumerate(sizes)
    ]
    return b.build([unet(b, latents, text, time, UNET_1, control=control)], items=batch, item="step")


@workload(
    title="Stable Diffusion 1.5, image decoder",
    source=_SOURCE,
    item="image",
    published=Published(parameters=49_490_199, source="decoder of AutoencoderKL of the model card v1-5"),
)
def sd1_vae_decoder(*, batch: int = 1, height: int = 512, width: int = 512) -> Graph:
    """Images from latents of an eighth of their size.

    Args:
        batch: Images at once.
        height: pixels, a multiple of 64.
        width: pixels, a multiple of 64.
    """
    check_multiple(64, height=height, width=width)
    b = GraphBuilder("sd1_vae_decoder")
    x = vae_decoder(b, b.input("latents", (batch, 4, height // 8, width // 8)), post_quant=True)
    return b.build([x], items=batch, item="image")


@workload(
    title="ControlNet for Stable Diffusion 1.5",
    source=_SOURCE,
    item="step",
    published=Published(parameters=361_279_120, source="ControlNetModel of the model card sd-controlnet-canny"),
)
def controlnet(*, batch: int = 1, height: int = 512, width: int = 512) -> Graph:
    """One evaluation: the way down of the U-Net, steered by an image, with a 1x1 convolution on each result.

    Args:
        batch: Images at once.
        height: pixels, a multiple of 64.
        width: pixels, a multiple of 64.
    """
    check_multiple(64, height=height, width=width)
    b = GraphBuilder("controlnet")
    latents, text, time_features = _given(b, batch, height // 8, width // 8)
    y = b.input("condition", (batch, 3, height, width))
    time = embedded_vector(b, time_features, 1280)
    with b.scope("condition"):
        rows = ((16, 1), (16, 1), (32, 2), (32, 1), (96, 2), (96, 1), (256, 2))
        for place, (channels, stride) in enumerate(rows):
            y = layers.activation(b, layers.conv(b, y, channels, 3, stride=stride, name=f"conv{place}"), "silu")
        y = layers.conv(b, y, 320, 3, name="conv_out")
    x = layers.add(b, layers.conv(b, latents, 320, 3, name="conv_in"), y)
    x, skips = unet_encoder(b, x, text, time, UNET_1)
    made = [layers.conv(b, each, each.shape[1], 1, name=f"zero{i}") for i, each in enumerate((*skips, x))]
    return b.build(made, items=batch, item="step")
