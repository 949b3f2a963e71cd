"""Rules of recurrent layers: each direction is an operator."""

from __future__ import annotations

from hwsim.errors import InputError
from hwsim.operators.concat import Concat
from hwsim.operators.recurrent import Recurrent
from hwsim.operators.slice import Slice
from hwsim.operators.transpose import Transpose
from hwsim.workloads.onnx import limits
from hwsim.workloads.onnx.rules.elementwise import reshaped
from hwsim.workloads.onnx.rules.registry import rule
from hwsim.workloads.onnx.use import Use
from hwsim.workloads.onnx.value import Value

__all__: list[str] = []

_ACTIVATIONS = {"LSTM": ["Sigmoid", "Tanh", "Tanh"], "GRU": ["Sigmoid", "Tanh"], "RNN": ["Tanh"]}
_DIRECTIONS = {"forward": (False,), "reverse": (True,), "bidirectional": (False, True)}


@rule("LSTM", "GRU", "RNN")
def _recurrent(use: Use) -> list[Value]:
    directions = _DIRECTIONS.get(use.text("direction", "forward"))
    if directions is None:
        raise InputError(f"direction must be one of {', '.join(_DIRECTIONS)}, not '{use.text('direction')}'")
    _refuse_forms(use, len(directions))
    batch_first = bool(use.whole("layout"))
    x, w, r = use.at(0), use.at(1), use.at(2)
    if len(x.shape) != 3 or len(w.shape) != 3 or len(r.shape) != 3:
        raise InputError(f"x {list(x.shape)}, W {list(w.shape)} and R {list(r.shape)} must have three axes each")
    if {w.shape[0], r.shape[0]} != {len(directions)}:
        raise InputError(f"W {list(w.shape)} and R {list(r.shape)} must have {len(directions)} directions")
    if batch_first:
        x = use.add(Transpose((1, 0, 2)), x)
    if x.shape[0] > limits.WINDOW:
        raise InputError(f"a sequence of {x.shape[0]:,} steps; at most {limits.WINDOW:,} are read")
    roles = {3: "weight" if use.has(3) else "state", 4: "state", 5: "state"}
    states = [_first_state(use, index, x, r, len(directions), batch_first) for index in _state_inputs(use)]
    made = []
    for number, backward in enumerate(directions):
        bias = _row(use, use.at(3), number) if use.has(3) else use.filled((2 * r.shape[1],), 0.0, x.format)
        op = Recurrent(use.kind.lower(), backward, bool(use.whole("linear_before_reset")))
        firsts = [_row(use, state, number) for state in states]
        made.append(use.add_all(op, x, _row(use, w, number), _row(use, r, number), bias, *firsts, roles=roles))
    return _joined(use, made, batch_first)


def _refuse_forms(use: Use, directions: int) -> None:
    """Raises UnsupportedError for activations, peepholes and lengths that the operator does not have."""
    use.only("activations", _ACTIVATIONS[use.kind] * directions)
    use.only("clip", 0.0)
    use.only("input_forget", 0)
    if use.has(4):
        lengths = use.maybe(4)
        if lengths is None or set(lengths.ravel().tolist()) - {use.at(0).shape[1 if use.whole("layout") else 0]}:
            raise use.refuse("with lengths of sequences")
    if use.kind == "LSTM" and use.has(7):
        raise use.refuse("with peepholes")


def _state_inputs(use: Use) -> tuple[int, ...]:
    return (5, 6) if use.kind == "LSTM" else (5,)


def _first_state(use: Use, index: int, x: Value, r: Value, directions: int, batch_first: bool) -> Value:
    """First states (directions, batch, hidden), zeros where they are left out."""
    if not use.has(index):
        return use.filled((directions, x.shape[1], r.shape[2]), 0.0, x.format)
    return use.add(Transpose((1, 0, 2)), use.at(index)) if batch_first else use.at(index)


def _row(use: Use, value: Value, number: int) -> Value:
    """What belongs to one direction, without that axis."""
    if value.shape[0] == 1:
        return reshaped(use, value, value.shape[1:])
    return reshaped(use, use.add(Slice(0, number, number + 1), value), value.shape[1:])


def _joined(use: Use, made: list[list[Value]], batch_first: bool) -> list[Value]:
    """Outputs as ONNX lays them out: states (seq, directions, batch, hidden), last ones (directions, batch, hidden)."""
    results = []
    for place, parts in enumerate(zip(*made, strict=True)):
        axis = 1 if place == 0 else 0
        rows = [reshaped(use, part, (*part.shape[:axis], 1, *part.shape[axis:])) for part in parts]
        y = rows[0] if len(rows) == 1 else use.add(Concat(axis), *rows)
        if batch_first:
            y = use.add(Transpose((2, 0, 1, 3) if place == 0 else (1, 0, 2)), y)
        results.append(y)
    return results[: max(1, len(use.outputs))]
