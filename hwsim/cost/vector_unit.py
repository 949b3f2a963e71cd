"""Time of element-wise and row-wise work on the vector unit beside a MAC array.

A vector unit does ``lanes`` operations a cycle; exponentials, tanh and divisions (special functions) run on
fewer lanes. Rows that do not fill the lanes leave some idle. Sources: the vector operators of a TPU v4 follow
``t0 + elements / rate`` (measured; see the notes of the device file); the split of plain and special rates is
that of T. Norrie et al., "The design process for Google's training chips: TPUv2 and TPUv3", 2021, section 3.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["channel_fill", "lane_fill", "layout_elements", "operations_time_s", "passes_over_memory", "register_fill"]

Floats = NDArray[np.float64]
Number = Floats | float


def lane_fill(width: Number, lanes: Number) -> Floats:
    """Share of the lanes with work when rows of ``width`` elements are laid along them, 0..1.

    >>> [float(lane_fill(w, 128)) for w in (128, 129, 64)]
    [1.0, 0.50390625, 0.5]
    """
    width, lanes = np.asarray(width, float), np.asarray(lanes, float)
    return width / (np.ceil(width / lanes) * lanes)


def register_fill(elements: Number, longest: Number, rows: Number, cols: Number) -> Floats:
    """Share of vector registers of ``rows`` x ``cols`` elements that a tensor fills, 0..1.

    Its longest axis lies along the columns, all others together along the rows; a tensor of one axis, or of an
    unknown one (``longest`` 0), is packed. Measured on TPU v4 (8 x 128): 16 x 16 x 16 takes as long as 256 x 128.

    >>> [float(register_fill(n, axis, 8, 128)) for n, axis in ((4096, 16), (8192, 128), (8192, 8192), (512, 0))]
    [0.125, 1.0, 1.0, 1.0]
    """
    elements, longest = np.asarray(elements, float), np.asarray(longest, float)
    axis = np.where(longest > 0.0, longest, elements)
    others = elements / axis
    padded = np.ceil(axis / cols) * cols * np.ceil(others / rows) * rows
    return np.where(others > 1.0, elements / padded, 1.0)


def channel_fill(channels: Number, tile: Number) -> Floats:
    """Share of an array's inputs with work when channels are padded to its channel tile, 0..1.

    Three colours on an array that takes 32 channels at a time use 3/32 of it; a depthwise filter, one
    channel a group, 1/32.

    >>> float(channel_fill(3, 32))
    0.09375
    """
    return lane_fill(channels, tile)


def layout_elements(pixels: Number, tile: Number, windows: Number, window: Number) -> Floats:
    """Elements that are written to bring an image into the layout of an array that takes channels by tiles.

    Its ``pixels``, of three colours, are padded to a ``tile`` of channels each, and the ``windows`` of its first
    convolution are gathered, ``window`` elements each (K. Chellapilla et al., "High performance convolutional neural
    networks for document processing", 2006). assumption: both cost the same an element.

    >>> float(layout_elements(224 * 224, 32, 112 * 112, 147))
    3449600.0
    """
    return np.multiply(pixels, tile) + np.multiply(windows, window)


def operations_time_s(plain: Number, special: Number, plain_per_s: Number, special_per_s: Number) -> Floats:
    """Seconds for a number of plain operations and special functions, one after the other on the same unit."""
    return np.divide(plain, plain_per_s) + np.divide(special, special_per_s)


def passes_over_memory(passes: Number, row_bytes: Number, held_rows: Number, usable: Number) -> Floats:
    """Reads of a row-wise operator's input from DRAM: once if the rows in work stay in the scratchpad, else all.

    >>> [float(passes_over_memory(3, row, 8, 1e6)) for row in (1e3, 1e6)]
    [1.0, 3.0]
    """
    stays = np.multiply(row_bytes, held_rows) <= np.asarray(usable, float)
    return np.where(stays, 1.0, np.asarray(passes, float))
