"""Operators of communication: sizes by the whole vector of a rank."""

from __future__ import annotations

import numpy as np
import pytest

from hwsim.errors import InputError, ShapeError
from hwsim.graph.operator import OPERATORS
from hwsim.graph.tensor import TensorType
from hwsim.operators.all_gather import AllGather
from hwsim.operators.all_reduce import AllReduce
from hwsim.operators.all_to_all import AllToAll
from hwsim.operators.reduce_scatter import ReduceScatter
from hwsim.operators.send import Send

X = TensorType((8, 4), "fp16")
KINDS = ["all_gather", "all_reduce", "all_to_all", "reduce_scatter", "send"]


@pytest.mark.parametrize(
    ("op", "shape", "size"),
    [
        (AllReduce(4), (8, 4), 64),
        (AllGather(4, axis=1), (8, 16), 256),
        (ReduceScatter(4), (2, 4), 64),
        (AllToAll(4), (8, 4), 64),
        (Send(), (8, 4), 64),
    ],
)
def test_bytes_are_those_of_the_whole_vector(op, shape: tuple[int, ...], size: int) -> None:
    (y,) = op.infer([X])
    (work,) = op.lower([X], [y])
    assert y.shape == shape
    assert (work.pattern, work.kernel, work.bytes, work.participants) == (op.kind, op.kind, size, op.participants)


def test_gathering_what_was_scattered_restores_an_all_reduce() -> None:
    x = np.ones((8, 4))
    (part,) = ReduceScatter(4).reference(x)
    (whole,) = AllGather(4).reference(part)
    assert (whole == AllReduce(4).reference(x)[0]).all()
    assert (whole == 4).all()


def test_all_to_all_gives_rank_0_the_first_part_of_everybody() -> None:
    assert AllToAll(2).reference(np.arange(4))[0].tolist() == [0, 1, 0, 1]


@pytest.mark.parametrize("kind", KINDS)
def test_a_lone_participant_communicates_nothing(kind: str) -> None:
    op = OPERATORS[kind](participants=1)
    assert op.lower([X], op.infer([X])) == ()
    assert (op.reference(np.ones((8, 4)))[0] == 1).all()


@pytest.mark.parametrize("kind", KINDS)
def test_no_participants_are_refused(kind: str) -> None:
    with pytest.raises(InputError, match=f"{kind}: participants must be at least 1, not 0"):
        OPERATORS[kind](participants=0)


@pytest.mark.parametrize("op", [ReduceScatter(3), AllToAll(3)])
def test_what_does_not_divide_is_refused(op) -> None:
    with pytest.raises(ShapeError, match="3 participants do not divide"):
        op.infer([X])
