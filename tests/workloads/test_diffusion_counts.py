"""Parameters of every part of the diffusion pipelines against published counts."""

from __future__ import annotations

import itertools
from collections import Counter
from functools import cache

import pytest

from hwsim.workloads import workload

TRANSFORMERS = {
    # numel of the checkpoints on Hugging Face (safetensors metadata, model cards)
    "stable_diffusion_1_5": ("unet", 859_520_964),
    "stable_diffusion_2_base": ("unet", 865_910_724),
    "flux_dev": ("transformer", 11_901_408_320),
    "pixart_sigma": ("transformer", 610_856_096),
    "wan2_1_t2v_1_3b": ("transformer", 1_418_996_800),
    "wan2_1_t2v_14b": ("transformer", 14_288_491_584),
    "hunyuan_video": ("transformer", 12_821_012_544),
    # 1,604,462,752 of SANA 1.0, and q and k norms over 2,240 features in both attentions of 20 blocks
    "sana_1_6b": ("transformer", 1_604_462_752 + 20 * 4 * 2240),
}
ROUNDED = {
    # "2.5 B", "8.1 B", "1.5 B", "4.72 B", "1.69 B" (bf16 file of 3.39 GB), "5.57 B": model cards, as precise as said
    "sd3_5_medium": ("transformer", 2.47e9, 0.01),
    "sd3_5_large": ("transformer", 8.1e9, 0.01),
    "hunyuan_dit": ("transformer", 1.5e9, 0.01),
    "sana_4_8b": ("transformer", 4.72e9, 0.005),
    "cogvideox_2b": ("transformer", 1.69e9, 0.005),
    "cogvideox1_5_5b": ("transformer", 5.57e9, 0.005),
}
TEXT_ENCODERS = {
    # CLIP text models: model cards; encoders of T5 v1.1 XXL, umT5 XXL (5.68 B) and mT5 XL (1.67 B); Gemma 2 2B;
    # Llama 3 8B (8,030,261,248) without its head of 128,256 x 4,096; the BERT of HunyuanDiT ("350 M")
    ("stable_diffusion_1_5", "clip"): (123_060_480, 0),
    ("stable_diffusion_2_base", "clip"): (340_387_840, 0),
    ("sd3_5_large", "clip_l"): (123_060_480 + 768 * 768, 0),
    ("sd3_5_large", "clip_g"): (694_659_840, 0),
    ("sd3_5_large", "t5"): (4_762_310_656, 0),
    ("wan2_1_t2v_1_3b", "umt5"): (5.68e9, 0.001),
    ("hunyuan_dit", "mt5"): (1.67e9, 0.001),
    ("hunyuan_dit", "bert"): (350e6, 0.01),
    ("sana_1_6b", "gemma"): (2_614_341_888, 0),
    ("hunyuan_video", "llama"): (8_030_261_248 - 128_256 * 4096, 0),
}


@cache
def parts(name: str) -> Counter[str]:
    """Elements of the weights of each part of a pipeline."""
    counts: Counter[str] = Counter()
    for key, tensor in workload(name).tensors.items():
        if tensor.role == "weight":
            counts[key.split(".")[0]] += tensor.type.elements
    return counts


@pytest.mark.parametrize("name", TRANSFORMERS)
def test_the_denoiser_has_exactly_the_published_parameters(name: str) -> None:
    part, published = TRANSFORMERS[name]
    assert parts(name)[part] == published


@pytest.mark.parametrize("name", ROUNDED)
def test_the_denoiser_has_the_parameters_its_card_rounds(name: str) -> None:
    part, published, tolerance = ROUNDED[name]
    assert parts(name)[part] == pytest.approx(published, rel=tolerance)


@pytest.mark.parametrize(("name", "part"), TEXT_ENCODERS)
def test_the_text_encoder_has_the_published_parameters(name: str, part: str) -> None:
    published, tolerance = TEXT_ENCODERS[name, part]
    assert parts(name)[part] == pytest.approx(published, rel=tolerance)


# Published counts are of whole autoencoders. The pipelines hold decoders, so the encoders are counted here by hand.


def conv(cin: int, cout: int, window: int) -> int:
    return cin * cout * window + cout


def resnets(channels: list[int], window: int, norm: int) -> int:
    """A chain of ResNet blocks through those channels; ``norm`` weights a channel."""
    total = 0
    for cin, cout in itertools.pairwise(channels):
        total += norm * (cin + cout) + conv(cin, cout, window) + conv(cout, cout, window)
        total += conv(cin, cout, 1) if cin != cout else 0
    return total


def attention(channels: int) -> int:
    return 2 * channels + 4 * conv(channels, channels, 1)


def image_encoder(latents: int) -> int:
    """AutoencoderKL: 128, 256, 512, 512 channels, two ResNet blocks each; a middle with attention."""
    body = resnets([128, 128, 128, 256, 256, 512, 512, 512, 512], 9, 2)
    downs = sum(conv(c, c, 9) for c in (128, 256, 512))
    middle = resnets([512] * 3, 9, 2) + attention(512)
    return conv(3, 128, 9) + body + downs + middle + 2 * 512 + conv(512, 2 * latents, 9)


def hunyuan_video_encoder() -> int:
    """The same with windows of 27, and a 1x1x1 convolution after it."""
    body = resnets([128, 128, 128, 256, 256, 512, 512, 512, 512], 27, 2)
    downs = sum(conv(c, c, 27) for c in (128, 256, 512))
    middle = resnets([512] * 3, 27, 2) + attention(512)
    return conv(3, 128, 27) + body + downs + middle + 2 * 512 + conv(512, 32, 27) + conv(32, 32, 1)


def cogvideox_encoder() -> int:
    """Three ResNet blocks a level, 128, 256, 256, 512 channels; image convolutions halve the size; no attention."""
    body = resnets([128] * 4 + [256] * 6 + [512] * 3, 27, 2)
    downs = sum(conv(c, c, 9) for c in (128, 256, 256))
    return conv(3, 128, 27) + body + downs + resnets([512] * 3, 27, 2) + 2 * 512 + conv(512, 32, 27)


def wan_encoder() -> int:
    """Two ResNet blocks a level, 96, 192, 384, 384 channels, norms of one weight; two levels halve time as well."""
    body = resnets([96] * 3 + [192] * 2 + [384] * 4, 27, 1)
    downs = sum(conv(c, c, 9) for c in (96, 192, 384)) + conv(192, 192, 3) + conv(384, 384, 3)
    middle = resnets([384] * 3, 27, 1) + 384 + conv(384, 3 * 384, 1) + conv(384, 384, 1)
    return conv(3, 96, 27) + body + downs + middle + 384 + conv(384, 32, 27) + conv(32, 32, 1)


def dc_encoder() -> int:
    """Two ResNet blocks at 128, 256, 512 channels, three EfficientViT blocks at 512, 1024, 1024."""

    def fine(c: int) -> int:
        return conv(c, c, 9) + 9 * c * c + 2 * c

    def coarse(c: int) -> int:
        multiscale = 3 * c * 25 + 3 * c * 32
        return 3 * c * c + multiscale + 2 * c * c + 2 * c + conv(c, 8 * c, 1) + 8 * c * 10 + 4 * c * c + 2 * c

    levels = [128, 256, 512, 512, 1024, 1024]
    downs = sum(conv(a, b, 9) for a, b in itertools.pairwise(levels))
    blocks = sum(2 * fine(c) for c in levels[:3]) + sum(3 * coarse(c) for c in levels[3:])
    return conv(3, 128, 9) + downs + blocks + conv(1024, 32, 9)


AUTOENCODERS = {
    # checkpoints: sd-vae-ft-mse, FLUX.1 vae; the rest from file sizes on Hugging Face (fp32: 4 bytes a parameter)
    # and, for Wan, section 4.1 of its report
    "stable_diffusion_1_5": (image_encoder(4) + conv(8, 8, 1), 83_653_863, 0),
    "flux_dev": (image_encoder(16), 83_819_683, 0),
    "sana_1_6b": (dc_encoder(), 312e6, 0.005),
    "wan2_1_t2v_1_3b": (wan_encoder(), 127e6, 0.005),
    "hunyuan_video": (hunyuan_video_encoder(), 246.5e6, 0.005),
    "cogvideox_2b": (cogvideox_encoder(), 215.6e6, 0.005),
}


@pytest.mark.parametrize("name", AUTOENCODERS)
def test_decoder_and_encoder_together_have_the_published_parameters(name: str) -> None:
    encoder, published, tolerance = AUTOENCODERS[name]
    assert parts(name)["vae"] + encoder == pytest.approx(published, rel=tolerance)
