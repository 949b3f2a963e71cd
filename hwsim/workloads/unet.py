"""The denoising U-Net of Stable Diffusion 1 (Rombach et al. 2022): ResNet blocks, and attention to pixels and text."""

from __future__ import annotations

from hwsim.graph.graph import GraphBuilder
from hwsim.graph.tensor import Tensor
from hwsim.operators.concat import Concat
from hwsim.operators.gelu import Gelu
from hwsim.operators.mul import Mul
from hwsim.operators.reshape import Reshape
from hwsim.operators.split import Split
from hwsim.operators.transpose import Transpose
from hwsim.workloads.dit import embedded_vector, heads_attention
from hwsim.workloads.layers import activation, add, conv, group_norm, layer_norm, linear
from hwsim.workloads.vae import GROUPS, resnet_block, upsampled

__all__ = ["unet"]

_CHANNELS = (320, 640, 1280, 1280)
_HEADS = 8
_ATTENDING_LEVELS = 3
_RESNETS = 2


def unet(b: GraphBuilder, latents: Tensor, context: Tensor, time_features: Tensor, name: str = "unet") -> Tensor:
    """Predicted noise (batch, 4, height, width) from latents of that shape.

    ``context`` is the encoded text (batch, 77, 768), ``time_features`` the sinusoids (batch, 320) of the time step.
    """
    with b.scope(name):
        time = embedded_vector(b, time_features, 4 * _CHANNELS[0])
        x = conv(b, latents, _CHANNELS[0], 3, name="conv_in")
        x, skips = _down(b, x, context, time)
        x = resnet_block(b, x, _CHANNELS[-1], time=time, name="mid0")
        x = _transformer(b, x, context, name="mid_attention")
        x = resnet_block(b, x, _CHANNELS[-1], time=time, name="mid1")
        x = _up(b, x, skips, context, time)
        return conv(b, activation(b, group_norm(b, x, GROUPS, "norm_out"), "silu"), 4, 3, name="conv_out")


def _down(b: GraphBuilder, x: Tensor, context: Tensor, time: Tensor) -> tuple[Tensor, list[Tensor]]:
    """The coarsest features, and what the way up joins again."""
    skips = [x]
    for level, channels in enumerate(_CHANNELS):
        with b.scope(f"down{level}"):
            for index in range(_RESNETS):
                x = resnet_block(b, x, channels, time=time, name=f"resnet{index}")
                if level < _ATTENDING_LEVELS:
                    x = _transformer(b, x, context, name=f"attention{index}")
                skips.append(x)
            if level < len(_CHANNELS) - 1:
                x = conv(b, x, channels, 3, stride=2, padding=1, name="downsample")
                skips.append(x)
    return x, skips


def _up(b: GraphBuilder, x: Tensor, skips: list[Tensor], context: Tensor, time: Tensor) -> Tensor:
    for level in reversed(range(len(_CHANNELS))):
        with b.scope(f"up{level}"):
            for index in range(_RESNETS + 1):
                x = b.add(Concat(1), x, skips.pop(), name="join")
                x = resnet_block(b, x, _CHANNELS[level], time=time, name=f"resnet{index}")
                if level < _ATTENDING_LEVELS:
                    x = _transformer(b, x, context, name=f"attention{index}")
            if level > 0:
                x = upsampled(b, x, _CHANNELS[level])
    return x


def _transformer(b: GraphBuilder, x: Tensor, context: Tensor, name: str) -> Tensor:
    """One transformer block over the pixels of x: attention to pixels, to the text, gated feed-forward."""
    batch, channels, height, width = x.shape
    with b.scope(name):
        y = conv(b, group_norm(b, x, GROUPS), channels, 1, name="proj_in")
        y = b.add(Reshape((batch, channels, height * width)), y, name="pixels")
        y = b.add(Transpose((0, 2, 1)), y, name="tokens")
        y = add(b, y, _attention(b, layer_norm(b, y, "norm1"), None, "self"))
        y = add(b, y, _attention(b, layer_norm(b, y, "norm2"), context, "cross"))
        y = add(b, y, _geglu(b, layer_norm(b, y, "norm3")))
        y = b.add(Reshape(x.shape), b.add(Transpose((0, 2, 1)), y, name="pixels_last"), name="image")
        return add(b, x, conv(b, y, channels, 1, name="proj_out"))


def _attention(b: GraphBuilder, x: Tensor, context: Tensor | None, name: str) -> Tensor:
    source = x if context is None else context
    with b.scope(name):
        q = linear(b, x, x.shape[-1], bias=False, name="q")
        k, v = (linear(b, source, x.shape[-1], bias=False, name=part) for part in ("k", "v"))
        return linear(b, heads_attention(b, q, k, v, _HEADS), x.shape[-1], name="out")


def _geglu(b: GraphBuilder, x: Tensor) -> Tensor:
    """Feed-forward of four times the width; value and gate come from one product (Shazeer 2020, GEGLU)."""
    width = x.shape[-1]
    with b.scope("mlp"):
        joint = linear(b, x, 8 * width, name="up")
        value, gate = b.add_all(Split(-1, (4 * width, 4 * width)), joint, name="chunk")
        return linear(b, b.add(Mul(), value, b.add(Gelu(), gate), name="gated"), width, name="down")
