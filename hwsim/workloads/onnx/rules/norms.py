"""Rules of normalizations and softmaxes."""

from __future__ import annotations

import math

import numpy as np

from hwsim.errors import InputError
from hwsim.operators.add import Add
from hwsim.operators.batchnorm import BatchNorm
from hwsim.operators.checks import axis_of
from hwsim.operators.groupnorm import GroupNorm
from hwsim.operators.layernorm import LayerNorm
from hwsim.operators.log_softmax import LogSoftmax
from hwsim.operators.lrn import Lrn
from hwsim.operators.mul import Mul
from hwsim.operators.reduce import ReduceAxes
from hwsim.operators.rmsnorm import RmsNorm
from hwsim.operators.softmax import Softmax
from hwsim.operators.sub import Sub
from hwsim.workloads.onnx.rules.elementwise import reshaped
from hwsim.workloads.onnx.rules.registry import rule
from hwsim.workloads.onnx.use import Use
from hwsim.workloads.onnx.value import Value

__all__: list[str] = []

_STATISTICS = {3: "state", 4: "state"}
"""Stored means and variances are no parameters."""


@rule("BatchNormalization")
def _batchnorm(use: Use) -> list[Value]:
    x, gamma, beta, mean, var = (use.at(i) for i in range(5))
    op = BatchNorm(use.number("epsilon", 1e-5))
    if not use.whole("training_mode"):
        if use.opset < 14 and use.wants(1):
            raise use.refuse("in training")
        use.only("spatial", 1)
        return use.add_all(op, x, gamma, beta, mean, var, roles=_STATISTICS)
    axes = (0, *range(2, len(x.shape)))
    now = use.add(ReduceAxes("mean", axes), x)
    across = (-1,) + (1,) * (len(x.shape) - 2)
    centred = use.add(Sub(), x, reshaped(use, now, (x.shape[1], *across[1:])))
    spread = use.add(ReduceAxes("mean", axes), use.add(Mul(), centred, centred))
    y = use.add(op, x, gamma, beta, now, spread)
    momentum = use.number("momentum", 0.9)
    kept = [_blend(use, old, new, momentum) for old, new in ((mean, now), (var, spread))]
    return [y, *kept][: len(use.outputs)]


def _blend(use: Use, old: Value, new: Value, momentum: float) -> Value:
    return use.add(Add(), use.add(Mul(momentum), old), use.add(Mul(1 - momentum), new))


@rule("InstanceNormalization")
def _instancenorm(use: Use) -> Value:
    x = use.at(0)
    if len(x.shape) < 3:
        raise InputError(f"x {list(x.shape)} must have channels and positions")
    return use.add(GroupNorm(x.shape[1], use.number("epsilon", 1e-5)), x, use.at(1), use.at(2))


@rule("GroupNormalization")
def _groupnorm(use: Use) -> Value:
    x, gamma, beta = use.at(0), use.at(1), use.at(2)
    groups = use.whole("num_groups", 0)
    if groups < 1 or len(x.shape) < 2 or x.shape[1] % groups:
        raise InputError(f"num_groups {groups} does not divide the channels of x {list(x.shape)}")
    if gamma.shape != x.shape[1:2]:  # before opset 21 there is one factor a group
        raise use.refuse("with a factor a group")
    return use.add(GroupNorm(groups, use.number("epsilon", 1e-5)), x, gamma, beta)


@rule("LayerNormalization")
def _layernorm(use: Use) -> list[Value]:
    x = use.at(0)
    rank = len(x.shape)
    axis = axis_of("layernorm", use.whole("axis", -1), rank)
    eps = use.number("epsilon", 1e-5)
    wanted = x.shape[axis:]
    affine = [_filling(use, v, wanted) for v in use.some(1, 2)]
    y = use.add(LayerNorm(rank - axis, eps), x, *affine)
    if not use.wants(1) and not use.wants(2):
        return [y]
    axes = tuple(range(axis, rank))
    mean = use.add(ReduceAxes("mean", axes, keepdims=True), x)
    centred = use.add(Sub(), x, mean)
    variance = use.add(ReduceAxes("mean", axes, keepdims=True), use.add(Mul(), centred, centred))
    from hwsim.operators.reciprocal import Reciprocal
    from hwsim.operators.sqrt import Sqrt

    inverse = use.add(Reciprocal(), use.add(Sqrt(), use.add(Add(eps), variance)))
    return [y, mean, inverse]


def _filling(use: Use, value: Value, shape: tuple[int, ...]) -> Value:
    """A factor in the shape of the normalized axes."""
    if value.shape == shape:
        return value
    if value.elements == math.prod(shape):
        return reshaped(use, value, shape)
    raise use.refuse(f"a factor of shape {list(value.shape)} for axes {list(shape)}")


@rule("RMSNormalization")
def _rmsnorm(use: Use) -> Value:
    x = use.at(0)
    if axis_of("rmsnorm", use.whole("axis", -1), len(x.shape)) != len(x.shape) - 1:
        raise use.refuse("over more than the last axis")
    return use.add(RmsNorm(use.number("epsilon", 1e-5)), x, *(_filling(use, v, x.shape[-1:]) for v in use.some(1)))


@rule("LRN")
def _lrn(use: Use) -> Value:
    size = use.whole("size", 0)
    return use.add(Lrn(size, use.number("alpha", 1e-4), use.number("beta", 0.75), use.number("bias", 1.0)), use.at(0))


@rule("Softmax", "LogSoftmax")
def _softmax(use: Use) -> Value:
    x = use.at(0)
    kind = Softmax if use.kind == "Softmax" else LogSoftmax
    if use.opset >= 13:
        return use.add(kind(use.whole("axis", -1)), x)
    axis = (
        axis_of("softmax", use.whole("axis", 1), len(x.shape)) if use.whole("axis", 1) != len(x.shape) else len(x.shape)
    )
    if axis == len(x.shape) - 1:
        return use.add(kind(-1), x)
    flat = reshaped(use, x, (math.prod(x.shape[:axis]), math.prod(x.shape[axis:])))
    return reshaped(use, use.add(kind(-1), flat), x.shape)


@rule("Dropout")
def _dropout(use: Use) -> list[Value]:
    x = use.at(0)
    training = use.has(2) and bool(use.scalar(2))
    ratio = (use.scalar(1) if use.has(1) else 0.5) if use.opset >= 12 else use.number("ratio", 0.5)
    if not training or ratio == 0:
        mask = use.filled(x.shape, 1, "bool")
        return [x, mask] if use.wants(1) else [x]
    if not 0 <= ratio < 1:
        raise InputError(f"ratio must be at least 0 and below 1, not {ratio}")
    # The mask that ONNX's own reference draws: its test cases know no other.
    drawn = np.random.RandomState(use.whole("seed")).uniform(0, 1, x.shape) >= ratio
    kept = use.constant(drawn, "bool")
    factor = use.constant(drawn / (1 - ratio), x.format)
    return [use.add_all(Mul(), x, factor, roles={1: "state"})[0], kept]
