"""What row-wise operators share: their Reduce, and the checks of a norm's scale and shift.

``passes`` counts how often the algorithm reads its row: twice where a statistic of the whole row comes
first (softmax with a running maximum and sum: M. Milakov and N. Gimelshein, Online normalizer calculation
for softmax, 2018; norms with running moments: B. P. Welford, 1962), once for plain reductions. Whether the
second reading leaves the chip is the device's matter; ``bytes_in`` counts one.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hwsim.graph.operator import Array
from hwsim.graph.tensor import TensorType
from hwsim.graph.work import Reduce
from hwsim.operators.checks import expect_shape

__all__ = ["expect_affine", "reduce_work", "standardized"]


def reduce_work(
    kind: str,
    inputs: Sequence[TensorType],
    output: TensorType,
    *,
    cols: int,
    passes: int,
    flop: int,
    special: int = 0,
    shared: Sequence[TensorType] = (),
) -> Reduce:
    """A Reduce over rows of ``cols`` elements of the first input; counts are per element of that input.

    ``shared`` are the inputs that every row needs.
    """
    return Reduce(
        kernel=kind,
        rows=inputs[0].elements // cols,
        cols=cols,
        passes=passes,
        flop_per_element=flop,
        special_per_element=special,
        bytes_in=sum(t.size_bytes for t in inputs),
        bytes_out=output.size_bytes,
        format=output.format,
        shared_bytes=sum(t.size_bytes for t in shared),
    )


def expect_affine(kind: str, inputs: Sequence[TensorType], shape: Sequence[int]) -> None:
    """Raise ShapeError unless the inputs after x (gamma, then beta; both optional) have that shape."""
    for what, tensor in zip(("gamma", "beta"), inputs[1:], strict=False):
        expect_shape(kind, what, tensor, shape)


def standardized(x: Array, axes: tuple[int, ...], eps: float) -> Array:
    """(x - mean) / sqrt(variance + eps) over those axes, the variance being the mean squared deviation."""
    centred = x - x.mean(axis=axes, keepdims=True)
    variance = np.square(centred).mean(axis=axes, keepdims=True)
    y: Array = centred / np.sqrt(variance + np.asarray(eps, x.dtype))
    return y
