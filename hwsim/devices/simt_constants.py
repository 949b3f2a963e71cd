"""The constants of a software stack that drives a SIMT GPU, and what holds where a stack leaves one out."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from hwsim.cost.tiling import TILES
from hwsim.graph.work import Form
from hwsim.specs.fields import Quantity, Ratio

__all__ = ["COMMON", "CONSTANTS", "DEFAULTS", "STREAM"]

_SHARES = ("compute", "memory", "narrow", "strided", "direct")
_SWITCHES = (
    "rounding",
    "store_exposed",
    "packed",
    "split_single",
    "split_tiles",
    "lone_prompt",
    "winograd",
    "beside",
    "active",
)
_TIMES: tuple[str, ...] = ("launch", "dispatch", "wave", "k_step", "split", "gemv", "gemv_k", "floor", "row", "col")
_TIMES += ("block", "key", "key_write", "step", "group", "head", "transform", "gemv_byte")
_TIMES += ("quantize", "quantize_row", "quantize_col", "one_shot")
_FACTORS = ("cache_speedup", "overlap", "weight_copies", "query_tile", "tile", "channels", "rate")
_NUMBERS: tuple[str, ...] = ("starve", "saturation", "resident_all", "resident_none", "knee", "extra_pass")
_NUMBERS += ("group_limit", "key_tile", "write", "instructions", "threads", "thread_bytes", "lead", "tail")
_NUMBERS += ("near_all", "near_none", "flight_all", "flight_none", "staged")
CONSTANTS: Mapping[str, Ratio | Quantity] = MappingProxyType(
    {name: Ratio(name, 0.001, 1.0) for name in _SHARES}
    | {name: Ratio(name, 0.0, 1.0) for name in _SWITCHES}
    | {name: Quantity(name, "s", zero=True) for name in _TIMES}
    | {name: Ratio(name, 1.0) for name in _FACTORS}
    | {name: Ratio(name, 0.0) for name in _NUMBERS}
    | {"near": Ratio("near", 0.0, 1.0), "least_tile": Ratio("least_tile", 0.0, max(min(tile) for tile in TILES))}
)

# assumption: what a stack leaves out. Ceilings are those common to the four GPUs of benchmarks/fit_gpu.py; terms that
# differ from stack to stack (split-K's second kernel, exposed stores, serial rows) are absent.
_AS_LAUNCH = -1.0  # a matrix-vector kernel nobody fitted starts like the stack's other products
COMMON = {"memory": 0.8, "cache_speedup": 1.5, "resident_all": 0.5, "resident_none": 1.2, "overlap": 3.0}
_GEMM = {"compute": 0.75, "starve": 45.0, "wave": 0.0, "rounding": 0.5, "saturation": 0.15, "k_step": 0.0}
_GEMM |= {"split": 2e-6, "store_exposed": 0.0, "gemv": _AS_LAUNCH, "gemv_k": 0.0, "weight_copies": 6.0}
_GEMM |= {
    "channels": 1.0,
    "winograd": 0.0,
    "transform": 3e-5,
    "direct": 0.25,
    "gemv_byte": 0.0,
    "rate": 1.0,
    "floor": 0.0,
    "least_tile": 0.0,
    "quantize": 3e-6,
    "quantize_row": 0.0,
    "quantize_col": 2e-10,
}
_ATTENTION = {"compute": 0.55, "narrow": 0.75, "block": 2e-6, "key": 0.0, "key_write": 0.0, "query_tile": 128.0}
_ATTENTION |= {
    "packed": 0.0,
    "rounding": 0.5,
    "saturation": 0.3,
    "split": 2e-6,
    "split_single": 1.0,
    "split_tiles": 0.0,
    "lone_prompt": 0.0,
    "group": 0.0,
}
_ATTENTION |= {"head": 0.0, "group_limit": 1e9, "key_tile": 0.0, "step": 0.0, "instructions": 0.0, "tile": 1.0}
STREAM = {"compute": 0.5, "floor": 1e-6, "saturation": 0.5, "strided": 0.5, "row": 0.0, "col": 0.0}
STREAM |= {"instructions": 0.0}
_ROWS = {"knee": 1024.0, "extra_pass": 1.0}
_ROWS |= {"threads": 0.0, "thread_bytes": 0.0, "step": 0.0, "lead": 0.0, "tail": 0.0, "staged": 0.0}
# what five chips share in PyTorch's softmax and layer norm (benchmarks/fit_shared_rows.py)
_ROWS |= {"near": 0.29, "near_all": 0.217, "near_none": 1.227, "flight_all": 0.362, "flight_none": 2.422}
DEFAULTS: Mapping[str, Mapping[str, float]] = MappingProxyType(
    {
        Form.GEMM: COMMON | _GEMM,
        Form.ATTENTION: COMMON | _ATTENTION,
        Form.MAP: COMMON | STREAM | {"write": 1.0},
        Form.REDUCE: COMMON | STREAM | _ROWS,
        Form.MOVE: COMMON | STREAM,
        Form.COLLECTIVE: {"memory": 1.0, "floor": 0.0, "beside": 1.0, "one_shot": 0.0, "active": 1.0},
    }
)
