"""Rules of operators that reduce, count or order elements along axes."""

from __future__ import annotations

import numpy as np

from hwsim.errors import InputError
from hwsim.operators.arg_extreme import ArgExtreme
from hwsim.operators.checks import axis_of
from hwsim.operators.cumulative import Cumulative
from hwsim.operators.div import Div
from hwsim.operators.extreme import Extreme
from hwsim.operators.one_hot import OneHot
from hwsim.operators.reduce import ReduceAxes
from hwsim.operators.topk import TopK
from hwsim.workloads.onnx.rules.layout import axes_of
from hwsim.workloads.onnx.rules.registry import rule
from hwsim.workloads.onnx.use import Use
from hwsim.workloads.onnx.value import Value

__all__: list[str] = []

_MODES = {
    "ReduceSum": "sum",
    "ReduceMean": "mean",
    "ReduceMax": "max",
    "ReduceMin": "min",
    "ReduceProd": "prod",
    "ReduceL1": "l1",
    "ReduceL2": "l2",
    "ReduceSumSquare": "sum_square",
    "ReduceLogSum": "log_sum",
    "ReduceLogSumExp": "log_sum_exp",
}


@rule(*_MODES)
def _reduce(use: Use) -> Value:
    x = use.at(0)
    since = 13 if use.kind == "ReduceSum" else 18
    axes = axes_of(use, len(x.shape), 1, since)
    if not axes:
        if use.whole("noop_with_empty_axes"):
            if use.kind in ("ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceProd"):
                return x
            axes = ()
        else:
            axes = tuple(range(len(x.shape)))
    return use.add(ReduceAxes(_MODES[use.kind], axes, bool(use.whole("keepdims", 1))), x)


@rule("ArgMax", "ArgMin")
def _arg(use: Use) -> Value:
    mode = "max" if use.kind == "ArgMax" else "min"
    keep, last = bool(use.whole("keepdims", 1)), bool(use.whole("select_last_index"))
    return use.add(ArgExtreme(mode, use.whole("axis"), keep, last), use.at(0))


@rule("Hardmax")
def _hardmax(use: Use) -> Value:
    x = use.at(0)
    if use.opset < 13:
        raise use.refuse("before opset 13")
    axis = axis_of("hardmax", use.whole("axis", -1), len(x.shape))
    best = use.add(ArgExtreme("max", axis), x)
    return use.add(OneHot(x.shape[axis], axis, format=use.graph_format(x.format)), best)


@rule("LpNormalization")
def _lp_normalization(use: Use) -> Value:
    x = use.at(0)
    axis = axis_of("norm", use.whole("axis", -1), len(x.shape))
    use.only("p", 1, 2)
    norm = use.add(ReduceAxes(f"l{use.whole('p', 2)}", (axis,), keepdims=True), x)
    least = float(np.finfo(np.float32).tiny)  # nothing but zeros stays zeros
    return use.add(Div(), x, use.add(Extreme(least, "max"), norm))


@rule("CumSum", "CumProd")
def _cumulative(use: Use) -> Value:
    mode = "sum" if use.kind == "CumSum" else "prod"
    axis = axis_of("cumulative", int(use.scalar(1)), len(use.at(0).shape))
    return use.add(Cumulative(axis, mode, bool(use.whole("exclusive")), bool(use.whole("reverse"))), use.at(0))


@rule("TopK")
def _topk(use: Use) -> list[Value]:
    k = use.whole("k", 0) if use.opset < 10 else int(use.scalar(1))
    if k < 1:
        raise InputError(f"k must be at least 1, not {k}")
    return use.add_all(TopK(k, use.whole("axis", -1), bool(use.whole("largest", 1))), use.at(0))
