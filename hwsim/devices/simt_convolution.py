"""Convolutions on a SIMT GPU beside the implicit product: padded channels, Winograd's algorithm."""

from __future__ import annotations

import numpy as np

from hwsim.cost import convolution, tiling
from hwsim.devices.params import Array, KernelConstants
from hwsim.graph.lowering import Table
from hwsim.graph.tensor import BITS, FORMATS

__all__ = ["or_winograd", "padded_k"]

_BYTES: Array = np.array([BITS[name] / 8.0 for name in FORMATS])


def padded_k(table: Table, kernels: KernelConstants) -> Array:
    """k, with the channels of a dense convolution padded to what its kernels take at once (constant ``channels``)."""
    unit = np.where(table.groups == 1, kernels.column(table, "channels"), 1.0)
    window: Array = np.where(table.channels > 0, table.k / np.maximum(1.0, table.channels), 0.0)
    return np.where(window > 0.0, window * np.ceil(table.channels / unit) * unit, table.k)


def or_winograd(
    table: Table,
    kernels: KernelConstants,
    plain: tiling.GemmProblem,
    limits: tiling.SimtLimits,
    constants: tiling.GemmConstants,
    tiled: tiling.GemmTime,
) -> tiling.GemmTime:
    """Winograd's product where the stack has one (``winograd`` above 0), the window fits, and it is faster.

    ``plain`` is the implicit product and ``tiled`` its time.
    """
    fused, transform = (kernels.column(table, name) for name in ("winograd", "transform"))
    dense = (table.out_h > 0) & (table.groups == 1) & (table.stride == 1)
    able = dense & (table.kh == table.kw) & np.isin(table.kh, convolution.WINDOWS) & (fused > 0.0)
    if not np.any(able):
        return tiled
    problem = convolution.WinogradProblem(
        images=table.m / np.maximum(1.0, table.out_h * table.out_w),
        out_h=table.out_h,
        out_w=table.out_w,
        channels_in=table.channels,
        channels_out=table.n,
        in_bytes=plain.a_bytes,
        filter_bytes=plain.b_bytes,
        out_bytes=plain.c_bytes,
        width=_BYTES[table.compute_format],
        window=table.kh,
    )
    found = convolution.winograd_time(
        problem, limits, constants, fused=np.where(able, fused, 1.0), transform_s=transform
    )
    better = able & (found.time_s < tiled.time_s)
    names = ("fixed_s", "compute_s", "memory_s", "kernel_s", "tile", "split")
    return tiling.GemmTime(**{n: np.where(better, getattr(found, n), getattr(tiled, n)) for n in names})
