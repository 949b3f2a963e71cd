"""Winograd's convolutions on a SIMT chip: fewer multiplications, more traffic.

Source: A. Lavin, S. Gray, "Fast Algorithms for Convolutional Neural Networks", CVPR 2016, section 4: F(m x m, r x r)
computes m x m outputs from tiles of (m + r - 1)^2 inputs, with a product over the channels for each place of a tile, so
m^2 outputs cost (m + r - 1)^2 multiplications instead of r^2 m^2. cuDNN has both kinds below: fused for r = 3, with
transforms apart for r = 3 and 5 (its developer guide, forward algorithms).
Columns broadcast: (1, rows) and (chips, 1) give (chips, rows).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from hwsim.cost.tiling import GemmConstants, GemmProblem, GemmTime, SimtLimits, tiled_gemm_time

__all__ = ["WINDOWS", "WinogradProblem", "fused_product", "transformed_product", "winograd_time"]

Floats = NDArray[np.float64]
Number = float | Floats

WINDOWS = (3.0, 5.0)
FUSED_WINDOW = 3
FUSED = 2  # outputs an axis of a tile whose transforms stay in registers
TRANSFORMED = 4  # outputs an axis of a tile whose transforms are kernels of their own


@dataclass(frozen=True, slots=True, kw_only=True)
class WinogradProblem:
    """Columns of convolutions of stride 1: images, output sizes, channels, and bytes of x, w and y.

    ``window`` is 3 or 5, the side of w; ``width`` is the bytes an element of the transformed tensors.
    """

    images: Number
    out_h: Number
    out_w: Number
    channels_in: Number
    channels_out: Number
    in_bytes: Number
    filter_bytes: Number
    out_bytes: Number
    width: Number
    window: Number = 3.0

    def tiles(self, outputs: int) -> Floats:
        """Tiles of ``outputs`` x ``outputs`` over all images; the last of a row or column is padded."""
        return np.asarray(self.images * np.ceil(self.out_h / outputs) * np.ceil(self.out_w / outputs))


def fused_product(problem: WinogradProblem) -> GemmProblem:
    """The products of F(2 x 2, 3 x 3), which read x and w and write y once.

    >>> layer = WinogradProblem(images=1, out_h=4, out_w=4, channels_in=8, channels_out=8, in_bytes=0,
    ...     filter_bytes=0, out_bytes=0, width=4)
    >>> float(fused_product(layer).m), fused_product(layer).batch
    (4.0, 16.0)
    """
    return GemmProblem(
        m=problem.tiles(FUSED),
        n=problem.channels_out,
        k=problem.channels_in,
        batch=float((FUSED + FUSED_WINDOW - 1) ** 2),
        a_bytes=problem.in_bytes,
        b_bytes=problem.filter_bytes,
        c_bytes=problem.out_bytes,
    )


def transformed_product(problem: WinogradProblem) -> tuple[GemmProblem, Floats]:
    """The products of F(4 x 4, r x r) on transformed tensors in memory, and the bytes that the transforms move."""
    places = (TRANSFORMED + np.asarray(problem.window) - 1.0) ** 2
    tiles = problem.tiles(TRANSFORMED)
    inputs = problem.width * places * tiles * problem.channels_in
    filters = problem.width * places * problem.channels_in * problem.channels_out
    outputs = problem.width * places * tiles * problem.channels_out
    product = GemmProblem(
        m=tiles,
        n=problem.channels_out,
        k=problem.channels_in,
        batch=places,
        a_bytes=inputs,
        b_bytes=filters,
        c_bytes=outputs,
    )
    plain = problem.in_bytes + problem.filter_bytes + problem.out_bytes
    return product, np.asarray(plain + inputs + filters + outputs)


def winograd_time(
    problem: WinogradProblem,
    limits: SimtLimits,
    constants: GemmConstants,
    *,
    fused: Number,
    transform_s: Number,
) -> GemmTime:
    """Time of the faster of both kinds.

    Args:
        problem: columns (1, rows).
        limits: numbers or (chips, 1).
        constants: those of the implicit product.
        fused: ceiling of the fused kernel, whose transforms share its multiprocessors, against ``compute``.
        transform_s: start of the three transforms of the other kind, which move bytes at the ceiling ``memory``.
    """
    within = tiled_gemm_time(
        fused_product(problem), limits, replace(constants, compute=constants.compute * np.asarray(fused))
    )
    product, moved = transformed_product(problem)
    apart = tiled_gemm_time(product, limits, constants)
    transforms = moved / (constants.memory * limits.bandwidth_bytes_per_s)
    apart = replace(
        apart,
        fixed_s=apart.fixed_s + transform_s,
        kernel_s=apart.kernel_s + transforms,
        memory_s=apart.memory_s + transforms,
    )
    better = (apart.time_s < within.time_s) | (np.asarray(problem.window) != FUSED_WINDOW)
    names = ("fixed_s", "compute_s", "memory_s", "kernel_s", "tile", "split")
    return GemmTime(**{name: np.where(better, getattr(apart, name), getattr(within, name)) for name in names})
