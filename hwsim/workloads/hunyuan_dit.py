"""HunyuanDiT 1.2: bilingual CLIP and mT5, a transformer with long skips (Li et al. 2024), AutoencoderKL of SDXL."""

from __future__ import annotations

from hwsim.graph.graph import Graph, GraphBuilder
from hwsim.graph.tensor import Tensor
from hwsim.operators.add import Add
from hwsim.operators.attention import Attention
from hwsim.operators.concat import Concat
from hwsim.operators.reduce import ReduceAxes
from hwsim.operators.reshape import Reshape
from hwsim.operators.rope import Rope
from hwsim.operators.slice import Slice
from hwsim.workloads.dit import (
    TIME_FEATURES,
    embedded_vector,
    final_layer,
    heads_attention,
    modulation,
    patches,
    unpatched,
)
from hwsim.workloads.layers import activation, add, layer_norm, linear, merge_heads, mlp, split_heads
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
from hwsim.workloads.text_encoders import BERT_1024, CLIP_TOKENS, MT5_XL, bert_encoder, t5_encoder, token_ids
from hwsim.workloads.vae import vae_decoder

__all__ = ["hunyuan_dit"]

_WIDTH = 1408
_HEADS = 16
_LAYERS = 40
_HIDDEN = 6144
_CHANNELS = 4
_PATCH = 2
_T5_TOKENS = 256
_POOL_HEADS = 8
_ROPE = Rope(interleaved=True)


@workload(
    title="HunyuanDiT 1.2",
    source="Li et al. 2024, Hunyuan-DiT; config.json of Tencent-Hunyuan/HunyuanDiT-v1.2-Diffusers",
    item="image",
)
def hunyuan_dit(
    *, batch: int = 1, height: int = 1024, width: int = 1024, steps: int = 50, guidance: bool = True
) -> Graph:
    """Text to image with a transformer of 1.5 B parameters: 40 blocks of width 1408, long skips over the middle.

    Args:
        batch: images.
        height: pixels, a multiple of 16.
        width: pixels, a multiple of 16.
        steps: denoising steps.
        guidance: classifier-free guidance, one transformer call a step on twice the batch.
    """
    check_multiple(16, height=height, width=width)
    mode = Guidance.BATCH if guidance else Guidance.NONE
    b = PipelineBuilder("hunyuan_dit")
    text_phase(b, mode)
    clip = for_both_prompts(b, bert_encoder(b, token_ids(b, batch, CLIP_TOKENS, "bert"), BERT_1024), mode)
    t5 = for_both_prompts(b, t5_encoder(b, token_ids(b, batch, _T5_TOKENS, "t5"), MT5_XL, "mt5"), mode)
    latents = b.state("latents", (batch, _CHANNELS, height // 8, width // 8))
    time = b.input("time_features", (t5.shape[0], TIME_FEATURES))

    def network(x: Tensor) -> Tensor:
        return _transformer(b, x, (clip, t5), time)

    latents = denoise(b, latents, network, steps=steps, guidance=mode)
    b.phase("vae_decode")
    images = vae_decoder(b, latents, post_quant=True)
    info = {"tokens": height * width // 256, "text_tokens": CLIP_TOKENS + _T5_TOKENS, "cached_keys": 1}
    return finish(b, images, item="image", steps=steps, guidance=mode, info=info)


def _transformer(b: GraphBuilder, x: Tensor, encoded: tuple[Tensor, Tensor], time_features: Tensor) -> Tensor:
    rows, cols = x.shape[2:]
    clip, t5 = encoded
    with b.scope("transformer"):
        tokens = patches(b, x, _WIDTH, _PATCH)
        extra = embedded_vector(b, _pooled(b, t5), _WIDTH, hidden=4 * _WIDTH, name="extra_embed")
        vector = b.add(Add(), embedded_vector(b, time_features, _WIDTH), extra, name="vector")
        text = b.add(Concat(1), clip, _projected_t5(b, t5), name="text")
        padding = b.weight("text_padding", (1, text.shape[1], text.shape[2]))
        text = b.add(Add(), text, padding, name="text_padded")
        skips: list[Tensor] = []
        for index in range(_LAYERS):
            with b.scope(f"block{index}"):
                skip = skips.pop() if index > _LAYERS // 2 else None
                tokens = _block(b, tokens, text, vector, skip)
            if index < _LAYERS // 2 - 1:
                skips.append(tokens)
        scale, shift = modulation(b, vector, _WIDTH, 2, "modulation_out")
        y = final_layer(b, tokens, scale, shift, _PATCH**2 * 2 * _CHANNELS)
        y = unpatched(b, y, 2 * _CHANNELS, rows, cols, _PATCH)
        return b.add(Slice(1, 0, _CHANNELS), y, name="mean")


def _projected_t5(b: GraphBuilder, t5: Tensor) -> Tensor:
    """mT5's features (batch, 256, 2048) as wide as CLIP's: (batch, 256, 1024)."""
    return embedded_vector(b, t5, BERT_1024.width, hidden=4 * t5.shape[-1], name="t5_embed")


def _pooled(b: GraphBuilder, t5: Tensor) -> Tensor:
    """(batch, 1024): attention of the mean token to all (CLIP's attention pool, Radford et al. 2021, section 2.3)."""
    batch, seq, width = t5.shape
    with b.scope("pooler"):
        mean = b.add(ReduceAxes("mean", (1,), keepdims=True), t5, name="mean")
        x = b.add(Concat(1), mean, t5, name="with_mean")
        x = add(b, x, b.weight("positions", (1, seq + 1, width)), name="positioned")
        query = linear(b, b.add(Slice(1, 0, 1), x, name="query"), width, name="q")
        k, v = (linear(b, x, width, name=part) for part in ("k", "v"))
        y = heads_attention(b, query, k, v, _POOL_HEADS)
        return b.add(Reshape((batch, -1)), linear(b, y, BERT_1024.width, name="out"), name="pooled")


def _block(b: GraphBuilder, x: Tensor, text: Tensor, vector: Tensor, skip: Tensor | None) -> Tensor:
    """Self-attention, cross-attention, feed-forward; before them, in the second half, a skip joined and projected."""
    if skip is not None:
        joined = b.add(Concat(2), x, skip, name="skip_joined")
        x = linear(b, layer_norm(b, joined, "skip_norm", wide=True), _WIDTH, name="skip")
    shift = linear(b, activation(b, vector, "silu"), _WIDTH, name="shift")
    shift = b.add(Reshape((x.shape[0], 1, _WIDTH)), shift, name="shift_view")
    y = add(b, layer_norm(b, x, "norm1", wide=True), shift, name="norm1_shifted")
    x = add(b, x, _attention(b, y, y, name="self"), name="attended")
    x = add(b, x, _attention(b, layer_norm(b, x, "norm2", wide=True), text, name="cross"), name="read")
    return add(b, x, mlp(b, layer_norm(b, x, "norm3", wide=True), _HIDDEN, act="gelu_tanh"), name="out")


def _attention(b: GraphBuilder, x: Tensor, source: Tensor, name: str) -> Tensor:
    """Attention with layer-normalised heads; keys of the text get no rotary positions."""
    with b.scope(name):
        q = split_heads(b, linear(b, x, _WIDTH, name="q"), _HEADS, name="q_heads")
        k, v = (
            split_heads(b, linear(b, source, _WIDTH, name=part), _HEADS, name=f"{part}_heads") for part in ("k", "v")
        )
        q = b.add(_ROPE, layer_norm(b, q, "q_norm"), name="q_rope")
        k = layer_norm(b, k, "k_norm")
        if source is x:
            k = b.add(_ROPE, k, name="k_rope")
        y = merge_heads(b, b.add(Attention(), q, k, v, name="attention"))
        return linear(b, y, _WIDTH, name="out")
