"""Rules of pooling and resizing."""

from __future__ import annotations

import math

from hwsim.errors import InputError
from hwsim.operators.pooling import Pool
from hwsim.operators.reduce import ReduceAxes
from hwsim.operators.upsample import Resize
from hwsim.workloads.onnx.elements import FLOATS
from hwsim.workloads.onnx.rules.products import auto_padding, window_attributes
from hwsim.workloads.onnx.rules.registry import rule
from hwsim.workloads.onnx.use import Use
from hwsim.workloads.onnx.value import Value

__all__: list[str] = []

_MODES = {"MaxPool": "max", "AveragePool": "average", "LpPool": "norm"}


@rule("MaxPool", "AveragePool", "LpPool")
def _pool(use: Use) -> list[Value]:
    x = use.at(0)
    kernel = tuple(use.ints("kernel_shape") or ())
    if not kernel or len(x.shape) != 2 + len(kernel) or min(kernel) < 1:
        raise InputError(f"kernel_shape {list(kernel)} does not fit x {list(x.shape)}")
    stride, dilation = window_attributes(use, kernel)
    padding = auto_padding(use, x.shape[2:], kernel, stride, dilation)
    if max(padding) >= max(kernel) * max(dilation):
        raise use.refuse(f"padding {list(padding)} as wide as the window {list(kernel)}")
    places = ("columns" if use.whole("storage_order") else "rows") if use.wants(1) else ""
    op = Pool(
        _MODES[use.kind],
        kernel,
        stride,
        padding,
        bool(use.whole("ceil_mode")),
        dilation,
        bool(use.whole("count_include_pad")),
        use.whole("p", 2),
        places,
    )
    return use.add_all(op, x)


@rule("GlobalAveragePool", "GlobalMaxPool")
def _global(use: Use) -> Value:
    x = use.at(0)
    if len(x.shape) < 3:
        raise InputError(f"x {list(x.shape)} must have channels and positions")
    mode = "mean" if use.kind == "GlobalAveragePool" else "max"
    return use.add(ReduceAxes(mode, tuple(range(2, len(x.shape))), keepdims=True), x)


@rule("Resize", "Upsample")
def _resize(use: Use) -> Value:
    x = use.at(0)
    rank = len(x.shape)
    scales, sizes = _factors(use, rank)
    if sizes is None:
        sizes = [math.floor(d * s) for d, s in zip(x.shape, scales or [], strict=True)]
    if min(sizes, default=0) < 1:
        raise InputError(f"sizes {sizes} must be at least 1")
    if tuple(sizes) == x.shape:
        return x
    if rank < 3 or tuple(sizes[:2]) != x.shape[:2]:
        raise use.refuse(f"of {list(x.shape)} to {sizes}")
    mode, at = _mode(use, x.shape[2:], sizes[2:], scales[2:] if scales else None)
    return use.add(Resize(None, tuple(sizes[2:]), mode, at), x)


def _factors(use: Use, rank: int) -> tuple[list[float] | None, list[int] | None]:
    """(scales, sizes), one of them None, as the opset of the file gives them."""
    if use.kind == "Upsample" and use.opset < 9:
        told = use.attributes.get("scales") or []
        scales: list[float] | None = [float(s) for s in told]
        sizes = None
    else:
        index = 1 if use.opset < 11 or use.kind == "Upsample" else 2
        given = use.known(index).ravel().tolist() if use.has(index) else []
        scales = [float(s) for s in given] or None
        sizes = use.numbers(3) if scales is None and use.has(3) else None
    if use.ints("axes") is not None or use.text("keep_aspect_ratio_policy", "stretch") != "stretch":
        raise use.refuse("axes or an aspect ratio are given")
    if scales is None and sizes is None:
        raise InputError("give scales or sizes")
    if len(scales or sizes or []) != rank:
        raise InputError(f"scales {scales or sizes} must be one for each of {rank} axes")
    return scales, sizes


def _mode(use: Use, old: tuple[int, ...], new: list[int], scales: list[float] | None) -> tuple[str, str]:
    """(mode, places) of the operator that computes just what ONNX's form does; raises UnsupportedError for others."""
    mode = use.text("mode", "nearest")
    older = use.kind == "Upsample" or use.opset < 11
    places = "asymmetric" if older else use.text("coordinate_transformation_mode", "half_pixel")
    rounding = "floor" if older else use.text("nearest_mode", "round_prefer_floor")
    whole = all(n % o == 0 for o, n in zip(old, new, strict=True))
    exact = scales is None or all(abs(o * s - n) < 1e-6 for o, s, n in zip(old, scales, new, strict=True))
    if not exact:
        raise use.refuse(f"scales {scales} that do not give whole sizes of {list(old)}")
    if use.whole("antialias"):
        raise use.refuse("antialias")
    if mode == "nearest":
        same = places == "asymmetric" and rounding == "floor"
        if same or (whole and places in ("half_pixel", "pytorch_half_pixel") and rounding.startswith("round_prefer")):
            return "nearest", "centres"
    at = {"half_pixel": "centres", "align_corners": "corners", "asymmetric": "starts"}.get(places)
    if places == "pytorch_half_pixel" and min(new) > 1:
        at = "centres"
    if mode == "linear" and at is not None and use.at(0).format in FLOATS:
        return "bilinear", at
    raise use.refuse(f"mode '{mode}' with coordinates '{places}', rounding '{rounding}'")
