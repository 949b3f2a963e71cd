"""Layers that causal video autoencoders share: 3-D convolutions that see only the past, frames as images.

All tensors are (batch, channels, frames, height, width). A decoder works through a clip piece by piece; each causal
convolution keeps the last frames of the piece before, which are joined to the next.
"""

from __future__ import annotations

from collections.abc import Callable

from hwsim.graph.graph import GraphBuilder
from hwsim.graph.tensor import Tensor
from hwsim.operators.concat import Concat
from hwsim.operators.pad import Pad
from hwsim.operators.reshape import Reshape
from hwsim.operators.rmsnorm import RmsNorm
from hwsim.operators.slice import Slice
from hwsim.operators.transpose import Transpose
from hwsim.workloads.layers import conv3d

__all__ = ["cached_conv", "channel_rms_norm", "per_frame"]

Kernel = tuple[int, int, int]


def cached_conv(
    b: GraphBuilder, x: Tensor, channels: int, kernel: Kernel = (3, 3, 3), name: str = "conv", *, pad: bool = True
) -> Tensor:
    """A causal convolution of a piece: frames kept from the piece before are joined, height and width padded.

    ``pad``: padding is a copy of its own, as in PyTorch; else the convolution pads.
    """
    batch, width, _, height, cols = x.shape
    past = kernel[0] - 1
    if past:
        kept = b.state(f"{name}.kept", (batch, width, past, height, cols))
        x = b.add(Concat(2), kept, x, name=f"{name}_joined")
        b.add(Slice(2, x.shape[2] - past, x.shape[2]), x, name=f"{name}_kept")
    across, along = kernel[1] // 2, kernel[2] // 2
    padding = (0, across, along)
    if pad and (across or along):
        x = b.add(Pad(((0, 0), (0, 0), (0, 0), (across, across), (along, along))), x, name=f"{name}_padded")
        padding = (0, 0, 0)
    return conv3d(b, x, channels, kernel, padding=padding, name=name)


def channel_rms_norm(b: GraphBuilder, x: Tensor, name: str) -> Tensor:
    """Each position's channels divided by their root mean square, with a scale per channel."""
    last = len(x.shape) - 1
    with b.scope(name):
        gamma = b.weight("gamma", (x.shape[1],))
    y = b.add(Transpose((0, *range(2, last + 1), 1)), x, name=f"{name}_channels_last")
    y = b.add(RmsNorm(), y, gamma, name=name)
    return b.add(Transpose((0, last, *range(1, last))), y, name=f"{name}_channels_first")


def per_frame(b: GraphBuilder, x: Tensor, layer: Callable[[Tensor], Tensor], name: str) -> Tensor:
    """``layer`` applied to every frame as an image (batch frames, channels, height, width)."""
    batch, channels, frames, height, width = x.shape
    y = b.add(Transpose((0, 2, 1, 3, 4)), x, name=f"{name}_frames_first")
    y = layer(b.add(Reshape((batch * frames, channels, height, width)), y, name=f"{name}_images"))
    y = b.add(Reshape((batch, frames, *y.shape[1:])), y, name=f"{name}_clip")
    return b.add(Transpose((0, 2, 1, 3, 4)), y, name=f"{name}_channels_first")
