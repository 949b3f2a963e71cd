"""Rules of element-wise operators."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import reduce
from types import MappingProxyType
from typing import Any

import numpy as np

from hwsim.operators.add import Add
from hwsim.operators.bitwise import Bitwise
from hwsim.operators.classify import Classify
from hwsim.operators.clip import Clip
from hwsim.operators.compare import Compare
from hwsim.operators.div import Div
from hwsim.operators.elementwise import Elementwise
from hwsim.operators.elu import Elu
from hwsim.operators.erf import Erf
from hwsim.operators.exp import Exp
from hwsim.operators.extreme import Extreme
from hwsim.operators.gelu import Gelu
from hwsim.operators.hardswish import HardSwish
from hwsim.operators.leaky_relu import LeakyRelu
from hwsim.operators.log import Log
from hwsim.operators.mish import Mish
from hwsim.operators.modulo import Modulo
from hwsim.operators.mul import Mul
from hwsim.operators.pow import Pow
from hwsim.operators.prelu import PRelu
from hwsim.operators.reciprocal import Reciprocal
from hwsim.operators.relu import Relu
from hwsim.operators.reshape import Reshape
from hwsim.operators.rounding import Rounding
from hwsim.operators.sigmoid import Sigmoid
from hwsim.operators.sign import Sign
from hwsim.operators.softplus import Softplus
from hwsim.operators.softsign import Softsign
from hwsim.operators.sqrt import Sqrt
from hwsim.operators.sub import Sub
from hwsim.operators.tanh import Tanh
from hwsim.operators.trigonometric import Trigonometric
from hwsim.operators.where import Where
from hwsim.workloads.onnx.elements import FLOATS
from hwsim.workloads.onnx.rules.registry import rule
from hwsim.workloads.onnx.use import Use
from hwsim.workloads.onnx.value import Value

__all__ = ["arithmetic", "reshaped"]

_UNARY: Mapping[str, Elementwise] = MappingProxyType(
    {
        "Abs": Sign("abs"),
        "Neg": Sign("negate"),
        "Sign": Sign("sign"),
        "Ceil": Rounding("ceil"),
        "Floor": Rounding("floor"),
        "Round": Rounding("nearest"),
        "Erf": Erf(),
        "Exp": Exp(),
        "HardSwish": HardSwish(),
        "IsNaN": Classify("nan"),
        "Log": Log(),
        "Mish": Mish(),
        "Not": Bitwise("not"),
        "BitwiseNot": Bitwise("not"),
        "Reciprocal": Reciprocal(),
        "Relu": Relu(),
        "Sigmoid": Sigmoid(),
        "Softplus": Softplus(),
        "Softsign": Softsign(),
        "Sqrt": Sqrt(),
        "Tanh": Tanh(),
    }
    | {name.capitalize(): Trigonometric(name) for name in Trigonometric.modes}
)
_BINARY: Mapping[str, tuple[type[Any], bool]] = MappingProxyType(
    {"Add": (Add, True), "Sub": (Sub, False), "Mul": (Mul, True), "Div": (Div, False), "Pow": (Pow, False)}
)
"""Class, and whether a and b may change places."""
_TWO: Mapping[str, Elementwise] = MappingProxyType(
    {
        "And": Bitwise("and"),
        "Or": Bitwise("or"),
        "Xor": Bitwise("xor"),
        "BitwiseAnd": Bitwise("and"),
        "BitwiseOr": Bitwise("or"),
        "BitwiseXor": Bitwise("xor"),
        "Equal": Compare("equal"),
        "Greater": Compare("greater"),
        "GreaterOrEqual": Compare("greater_equal"),
        "Less": Compare("less"),
        "LessOrEqual": Compare("less_equal"),
    }
)


def _one(op: Any) -> Callable[[Use], Value]:
    return lambda use: use.add(op, use.at(0))


def _two(op: Any) -> Callable[[Use], Value]:
    def made(use: Use) -> Value:
        return use.add_all(op, use.at(0), use.at(1), roles=_roles(use.at(0), use.at(1)))[0]

    return made


for _name, _op in _UNARY.items():
    rule(_name)(_one(_op))
for _name, _op in _TWO.items():
    rule(_name)(_two(_op))


def _roles(*values: Value) -> dict[int, str]:
    """A constant of one element is a number of the algorithm, not a parameter."""
    return {i: "state" for i, value in enumerate(values) if value.elements <= 1}


def _number(value: Value, other: Value) -> float | None:
    """A constant of one element that widens no shape, as a number."""
    if not value.constant or value.make is None or value.elements != 1 or other.constant:
        return None
    if len(value.shape) > len(other.shape) or value.format not in FLOATS:
        return None
    return float(value.make().ravel()[0])


def arithmetic(use: Use, kind: type[Any], a: Value, b: Value, *, commutes: bool = False, **fields: Any) -> Value:
    """A and b combined; a constant number becomes an attribute of the operator."""
    number = _number(b, a)
    if number is not None:
        return use.add(kind(number, **fields), a)
    if commutes and (number := _number(a, b)) is not None:
        return use.add(kind(number, **fields), b)
    return use.add_all(kind(**fields), a, b, roles=_roles(a, b))[0]


@rule(*_BINARY)
def _binary(use: Use) -> Value:
    kind, commutes = _BINARY[use.kind]
    return arithmetic(use, kind, use.at(0), use.at(1), commutes=commutes)


@rule("Sum", "Max", "Min", "Mean")
def _many(use: Use) -> Value:
    values = use.all()
    if use.kind in ("Sum", "Mean"):
        total = reduce(lambda a, b: arithmetic(use, Add, a, b, commutes=True), values)
        return total if use.kind == "Sum" else use.add(Div(float(len(values))), total)
    mode = use.kind.lower()
    return reduce(lambda a, b: use.add_all(Extreme(mode=mode), a, b, roles=_roles(a, b))[0], values)


@rule("Mod")
def _mod(use: Use) -> Value:
    return use.add_all(
        Modulo(truncate=bool(use.whole("fmod"))), use.at(0), use.at(1), roles=_roles(use.at(0), use.at(1))
    )[0]


@rule("BitShift")
def _shift(use: Use) -> Value:
    mode = {"LEFT": "shift_left", "RIGHT": "shift_right"}.get(use.text("direction"))
    if mode is None:
        raise use.refuse(f"direction = '{use.text('direction')}'")
    return use.add(Bitwise(mode), use.at(0), use.at(1))


@rule("Clip")
def _clip(use: Use) -> Value:
    if use.opset < 11:
        low, high = use.number("min", -np.inf), use.number("max", np.inf)
        return use.add(Clip(None if np.isinf(low) else low, None if np.isinf(high) else high), use.at(0))
    limits = [None if not use.has(i) else use.scalar(i) for i in (1, 2)]
    whole = use.at(0).format not in FLOATS
    low_, high_ = (int(x) if whole and x is not None else x for x in limits)
    return use.add(Clip(low_, high_), use.at(0))


@rule("IsInf")
def _is_inf(use: Use) -> Value:
    sides = (use.whole("detect_negative", 1), use.whole("detect_positive", 1))
    modes = {(1, 1): "infinite", (0, 1): "positive_infinite", (1, 0): "negative_infinite"}
    return use.add(Classify(modes.get(sides, "neither_infinite")), use.at(0))


@rule("LeakyRelu")
def _leaky_relu(use: Use) -> Value:
    return use.add(LeakyRelu(use.number("alpha", 0.01)), use.at(0))


@rule("Elu")
def _elu(use: Use) -> Value:
    return use.add(Elu(use.number("alpha", 1.0)), use.at(0))


@rule("PRelu")
def _prelu(use: Use) -> Value:
    return use.add(PRelu(), use.at(0), use.at(1))


@rule("HardSigmoid")
def _hard_sigmoid(use: Use) -> Value:
    scaled = use.add(Add(use.number("beta", 0.5)), use.add(Mul(use.number("alpha", 0.2)), use.at(0)))
    return use.add(Clip(0.0, 1.0), scaled)


@rule("Gelu")
def _gelu(use: Use) -> Value:
    return use.add(Gelu(use.text("approximate", "none") == "tanh"), use.at(0))


@rule("Where")
def _where(use: Use) -> Value:
    return use.add_all(Where(), *use.all(), roles=_roles(*use.all()))[0]


@rule("Identity")
def _identity(use: Use) -> Value:
    return use.at(0)


def reshaped(use: Use, value: Value, shape: tuple[int, ...]) -> Value:
    """The value in another shape; itself when it has that already."""
    return value if value.shape == shape else use.add(Reshape(shape), value)
