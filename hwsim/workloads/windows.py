"""Images cut into windows and put together again, as copies (Liu et al. 2021, Swin Transformer, section 3.2)."""

from __future__ import annotations

import math

from hwsim.graph.graph import GraphBuilder
from hwsim.graph.tensor import Tensor
from hwsim.operators.pad import Pad
from hwsim.operators.reshape import Reshape
from hwsim.operators.slice import Slice
from hwsim.operators.transpose import Transpose

__all__ = ["gathered", "partitioned"]


def partitioned(b: GraphBuilder, x: Tensor, side: int) -> Tensor:
    """(batch windows, side side, channels) of x (batch, height, width, channels), filled up to whole windows."""
    batch, height, width, channels = x.shape
    down, across = math.ceil(height / side), math.ceil(width / side)
    if (down * side, across * side) != (height, width):
        x = b.add(Pad(((0, 0), (0, down * side - height), (0, across * side - width), (0, 0))), x)
    y = b.add(Reshape((batch, down, side, across, side, channels)), x)
    y = b.add(Transpose((0, 1, 3, 2, 4, 5)), y, name="partition")
    return b.add(Reshape((batch * down * across, side * side, channels)), y)


def gathered(b: GraphBuilder, x: Tensor, side: int, height: int, width: int) -> Tensor:
    """The image (batch, height, width, channels) of such windows, without what filled them up."""
    windows, _, channels = x.shape
    down, across = math.ceil(height / side), math.ceil(width / side)
    batch = windows // (down * across)
    y = b.add(Reshape((batch, down, across, side, side, channels)), x)
    y = b.add(Transpose((0, 1, 3, 2, 4, 5)), y, name="gather_windows")
    y = b.add(Reshape((batch, down * side, across * side, channels)), y)
    for axis, size in ((1, height), (2, width)):
        y = b.add(Slice(axis, 0, size), y) if y.shape[axis] > size else y
    return y
