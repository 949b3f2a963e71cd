"""Recurrent layers: LSTM, GRU and plain RNN over a sequence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from hwsim.errors import ShapeError
from hwsim.graph.operator import Array, register
from hwsim.graph.tensor import TensorType
from hwsim.graph.work import Work
from hwsim.operators.checks import expect_inputs, expect_rank, expect_shape
from hwsim.operators.elementwise import map_work
from hwsim.operators.functions import logistic
from hwsim.operators.precision import narrow, widen
from hwsim.operators.products import gemm_work

__all__ = ["Recurrent"]

_GATES = {"lstm": 4, "gru": 3, "rnn": 1}
_COUNTS = {"lstm": (8, 5), "gru": (8, 3), "rnn": (2, 1)}
"""Plain operations and special functions an element of the state and step, the products left out."""


@register
@dataclass(frozen=True, slots=True)
class Recurrent:
    """One direction of a recurrent layer over x (seq, batch, features), gates in the order of ONNX.

    Inputs are x, W (gates hidden, features), R (gates hidden, hidden), the bias (2 gates hidden) of both products, and
    the first state (batch, hidden), for ``lstm`` also the first cell. Outputs: the states of all steps (seq, batch,
    hidden), the last one, and for ``lstm`` the last cell. ``lstm`` has input, output, forget and cell gates (Hochreiter
    and Schmidhuber, 1997; Gers et al., 2000), ``gru`` update, reset and hidden ones (Cho et al., 2014; with
    ``reset_after`` the reset gate scales the product, not the state), ``rnn`` one tanh. ``backward`` starts at the end.
    """

    kind: ClassVar[str] = "recurrent"
    mode: str = "lstm"
    backward: bool = False
    reset_after: bool = False

    def infer(self, inputs: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """(states, last state[, last cell]) in the format of x; raises ShapeError when sizes do not fit."""
        if self.mode not in _GATES:
            raise ShapeError(f"recurrent: mode is one of {', '.join(_GATES)}, not '{self.mode}'")
        lstm = self.mode == "lstm"
        expect_inputs(self.kind, inputs, 6 if lstm else 5)
        x, w, r, bias, *states = inputs
        expect_rank(self.kind, "x", x, 3, 3)
        expect_rank(self.kind, "R", r, 2, 2)
        (seq, batch, features), hidden = x.shape, r.shape[1]
        rows = _GATES[self.mode] * hidden
        expect_shape(self.kind, "W", w, (rows, features))
        expect_shape(self.kind, "R", r, (rows, hidden))
        expect_shape(self.kind, "the bias", bias, (2 * rows,))
        for state in states:
            expect_shape(self.kind, "a first state", state, (batch, hidden))
        last = TensorType((batch, hidden), x.format)
        return (TensorType((seq, batch, hidden), x.format), last, *([last] if lstm else []))

    def lower(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> tuple[Work, ...]:
        """One Gemm for the inputs of all steps, then for each step a Gemm with the state and a Map of the gates."""
        x, w, r, bias = inputs[:4]
        seq, batch, features = x.shape
        hidden = r.shape[1]
        rows = _GATES[self.mode] * hidden
        before = TensorType((seq, batch, rows), x.format)
        step = TensorType((batch, rows), x.format)
        state = TensorType((batch, hidden), x.format)
        inputs_work = gemm_work(self.kind, (x, w), before, (1, seq * batch, rows, features), addend=bias)
        step_work = gemm_work(self.kind, (state, r), step, (1, batch, rows, hidden))
        flop, special = _COUNTS[self.mode]
        gates = map_work(self.kind, (step, step, state), state, flop, special)
        last = replace(gates, bytes_out=gates.bytes_out + sum(t.size_bytes for t in outputs[1:]))
        each = (replace(step_work, out_format=x.format), gates)
        return (inputs_work, *each * (seq - 1), step_work, last)

    def reference(self, *arrays: Array) -> tuple[Array, ...]:
        """Values with the dtype of x, computed in float32 (float64 for float64)."""
        x, w, r, bias, h, *cells = (widen(a) for a in arrays)
        half = len(bias) // 2
        before = np.matmul(x, w.T) + bias[:half]
        states = np.empty((*x.shape[:2], r.shape[1]), x.dtype)
        c = cells[0] if cells else h
        for t in reversed(range(len(x))) if self.backward else range(len(x)):
            if self.mode == "gru":
                h = self._gru(before[t], h, r, bias[half:])
            else:
                gates = before[t] + np.matmul(h, r.T) + bias[half:]
                h, c = _lstm(gates, c) if self.mode == "lstm" else (np.tanh(gates), c)
            states[t] = h
        ends = (states, h, c) if self.mode == "lstm" else (states, h)
        return tuple(narrow(value, arrays[0]) for value in ends)

    def _gru(self, before: Array, h: Array, r: Array, bias: Array) -> Array:
        hidden = r.shape[1]
        both = logistic(before[:, : 2 * hidden] + np.matmul(h, r[: 2 * hidden].T) + bias[: 2 * hidden])
        update, reset = both[:, :hidden], both[:, hidden:]
        if self.reset_after:
            inner = reset * (np.matmul(h, r[2 * hidden :].T) + bias[2 * hidden :])
        else:
            inner = np.matmul(reset * h, r[2 * hidden :].T) + bias[2 * hidden :]
        y: Array = (1 - update) * np.tanh(before[:, 2 * hidden :] + inner) + update * h
        return y


def _lstm(gates: Array, c: Array) -> tuple[Array, Array]:
    """(state, cell) after a step; gates in the order input, output, forget, cell."""
    enter, leave, forget, cell = np.split(gates, 4, axis=1)
    c = logistic(forget) * c + logistic(enter) * np.tanh(cell)
    return logistic(leave) * np.tanh(c), c
