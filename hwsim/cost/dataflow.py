"""Networks laid out over a chip as a pipeline of stages, one a layer, all at work on frames that follow each other.

A compiler gives each layer a part of the chip in proportion to its work, so a full pipeline of balanced stages emits a
frame every ``work of all layers / rate of the chip``; but a stage writes only so many outputs a clock however large
its part is, and frames come and results go over a link, so no frame comes sooner than the slowest stage and the link
allow. What does not fit at once is split into contexts, which are loaded one after another: weights again for each
batch, a pipeline to fill and to drain, a pause for each cluster that is set up. A pipeline fills the longer, the more
of a frame its layers must see before they begin: a few rows, or all of it.

Sources: layer-wise pipelines balanced by work and bound by the slowest stage: H. Li et al., "A high performance
FPGA-based accelerator for large-scale convolutional neural networks", FPL 2016, section III; parts of the chip given to
layers, contexts: Hailo's product pages and Dataflow Compiler. Sizes and rates were read from measured frame rates
(``benchmarks/fit_pipeline.py``). Every argument broadcasts.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["frame_time_s", "layer_macs", "padded_length", "rows_awaited", "tiled", "units_needed"]

Floats = NDArray[np.float64]
Number = Floats | float

_CORNER = 4.0
_BALANCE = 6.0


def tiled(channels: Number, tile: Number) -> Floats:
    """Channels in whole tiles.

    >>> float(tiled(3.0, 8.0))
    8.0
    """
    whole: Floats = np.ceil(np.divide(channels, tile)) * tile
    return whole


def padded_length(k: Number, channels: Number, tile: Number) -> Floats:
    """Products summed for an output when input channels come in whole tiles at each window position.

    ``channels`` of 0 stands for a plain product, whose ``k`` inputs are the channels.

    >>> float(padded_length(27.0, 3.0, 32.0)), float(padded_length(100.0, 0.0, 32.0))
    (288.0, 128.0)
    """
    inputs = np.where(np.greater(channels, 0), channels, k)
    length: Floats = tiled(inputs, tile) * (k / np.maximum(inputs, 1.0))
    return length


def layer_macs(outputs: Number, length: Number, depth: Number) -> Floats:
    """Multiply-accumulates of a layer, of which an output takes at least ``depth``: shorter sums leave cells idle.

    The two are joined by a norm of exponent 4 (assumption), so that the corner is round.

    >>> round(float(layer_macs(10.0, 1000.0, 1.0))), round(float(layer_macs(10.0, 200.0, 200.0)))
    (10000, 2378)
    """
    macs: Floats = outputs * (np.asarray(length, float) ** _CORNER + np.asarray(depth, float) ** _CORNER) ** (
        1.0 / _CORNER
    )
    return macs


def frame_time_s(balanced_s: Number, slowest_s: Number) -> Floats:
    """Seconds from one frame to the next: that of balanced stages, or of the slowest one.

    Joined by a norm of exponent 6 (assumption): near the corner both are felt, since parts come in whole pieces.

    >>> round(float(frame_time_s(3.0, 1.0)), 3), round(float(frame_time_s(1.0, 1.0)), 3)
    (3.001, 1.122)
    """
    longest = np.maximum(np.maximum(balanced_s, slowest_s), 1e-30)
    sixth = (np.asarray(balanced_s) / longest) ** _BALANCE + (np.asarray(slowest_s) / longest) ** _BALANCE
    time: Floats = longest * sixth ** (1.0 / _BALANCE)
    return time


def rows_awaited(window: Number, rows: Number) -> Floats:
    """Share of a frame that a convolution must have before it begins: the rows of its window of those of the image.

    Plain products, of which a row is enough, have ``rows`` of 0.

    >>> float(rows_awaited(3.0, 12.0)), float(rows_awaited(7.0, 4.0)), float(rows_awaited(1.0, 0.0))
    (0.25, 1.0, 0.0)
    """
    share: Floats = np.where(np.greater(rows, 0), np.minimum(1.0, np.divide(window, np.maximum(rows, 1.0))), 0.0)
    return share


def units_needed(weight_bytes: Number, unit_bytes: Number, least: Number) -> Floats:
    """Parts of the chip (clusters) that a layer occupies whatever its rate: those of its weights and a least share.

    >>> float(units_needed(8e6, 4e6, 0.5))
    2.5
    """
    units: Floats = np.divide(weight_bytes, unit_bytes) + np.asarray(least, float)
    return units
