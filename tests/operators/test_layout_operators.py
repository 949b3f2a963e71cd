"""Operators that move data: values by indexing, and when a copy is needed."""

from __future__ import annotations

import numpy as np
import pytest

from hwsim.errors import ShapeError, UnknownNameError
from hwsim.graph.tensor import TensorType
from hwsim.operators.append import Append
from hwsim.operators.cast import Cast
from hwsim.operators.concat import Concat
from hwsim.operators.embedding import Embedding
from hwsim.operators.expand import Expand
from hwsim.operators.gather import Gather
from hwsim.operators.host_copy import HostCopy
from hwsim.operators.pad import Pad
from hwsim.operators.reshape import Reshape
from hwsim.operators.slice import Slice
from hwsim.operators.split import Split
from hwsim.operators.transpose import Transpose

X = np.arange(24).reshape(2, 3, 4)


def _works(op, *shapes: tuple[int, ...], weight: bool = False):
    types = [TensorType(shape, "fp16", weight) for shape in shapes]
    return op.lower(types, op.infer(types))


def test_values_are_where_indexing_says() -> None:
    assert (Transpose((2, 0, 1)).reference(X)[0] == np.array([X[:, :, i] for i in range(4)])).all()
    assert Slice(2, 1, None, 2).reference(X)[0].tolist() == X[:, :, 1::2].tolist()
    assert Slice(-1, -1, -3, -1).reference(X)[0].tolist() == X[:, :, [3, 2]].tolist()
    assert [p.tolist() for p in Split(1, (1, 2)).reference(X)] == [X[:, :1].tolist(), X[:, 1:].tolist()]
    assert Concat(1).reference(X, X[:, :1])[0].tolist() == X[:, [0, 1, 2, 0]].tolist()
    assert Gather(1).reference(X, np.array([[2, 0]]))[0].tolist() == [[[x[2].tolist(), x[0].tolist()]] for x in X]
    assert Embedding().reference(np.array([1, 1, 0]), X[0])[0].tolist() == [X[0, 1].tolist()] * 2 + [X[0, 0].tolist()]
    assert Pad(((0, 1), (1, 0)), 7).reference(X[0, :1, :2])[0].tolist() == [[7, 0, 1], [7, 7, 7]]
    assert Expand((2, -1)).reference(X[0, :1])[0].tolist() == [X[0, 0].tolist()] * 2


def test_a_reshape_copies_axes_of_zero_and_computes_one_of_minus_one() -> None:
    (y,) = Reshape((0, -1, 2)).infer([TensorType((2, 3, 4), "fp16", True)])
    assert y == TensorType((2, 6, 2), "fp16", True)
    assert Reshape((0, -1, 2)).reference(X)[0].shape == (2, 6, 2)


@pytest.mark.parametrize("shape", [(5, -1), (-1, -1), (2, 3), (2, 3, 4, 0), (0, 0, -2)])
def test_a_reshape_that_the_elements_do_not_fill_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ShapeError, match=r"\[2, 3, 4\] has 24 elements and does not fill"):
        Reshape(shape).infer([TensorType((2, 3, 4))])


def test_a_cast_changes_the_format_and_reads_one_and_writes_the_other() -> None:
    x = TensorType((10,), "fp16")
    (y,) = Cast("fp32").infer([x])
    (work,) = Cast("fp32").lower([x], [y])
    assert (y.format, work.bytes_in, work.bytes_out, work.contiguous) == ("fp32", 20, 40, True)
    assert Cast("fp16").lower([x], [x]) == ()
    assert Cast("int8").reference(np.array([1.6, 300.0, -1.4]))[0].tolist() == [2, 127, -1]


def test_a_cast_to_an_unknown_format_suggests_one() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'fp16'"):
        Cast("bfp16")


def test_an_append_moves_only_what_is_new() -> None:
    (work,) = _works(Append(2), (1, 8, 1000, 64), (1, 8, 1, 64))
    assert (work.kernel, work.elements, work.bytes_in, work.bytes_out) == ("append", 512, 1024, 1024)
    cache, new = np.zeros((1, 2), np.float16), np.ones((1, 1), np.float32)
    (y,) = Append(1).reference(cache, new)
    assert (y.dtype, y.tolist()) == (np.float16, [[0, 0, 1]])


def test_an_append_to_a_cache_that_came_in_copies_it() -> None:
    (work,) = _works(Append(2, copied=True), (1, 8, 1000, 64), (1, 8, 1, 64))
    assert (work.kernel, work.bytes_in, work.bytes_out) == ("append", 1_025_024, 1_025_024)
    assert (Append(2).in_place, Append(2, copied=True).in_place) == (True, False)


def test_an_embedding_reads_a_row_per_id_and_not_the_table() -> None:
    ids, table = TensorType((7,), "int32"), TensorType((50_000, 768), "fp16", True)
    (work,) = Embedding().lower([ids, table], Embedding().infer([ids, table]))
    assert (work.bytes_in, work.bytes_out, work.contiguous) == (28 + 7 * 1536, 7 * 1536, True)


@pytest.mark.parametrize(
    ("op", "shape"),
    [
        (Reshape((4, 6)), (2, 3, 4)),
        (Expand((2, 3)), (1, 3)),
        (Slice(0, 1, 2), (4, 8)),
        (Slice(1, 1, 2), (1, 4, 8)),
        (Slice(1, 0, None), (2, 4, 8)),
        (Split(0, (1, 1)), (2, 8)),
        (Split(1, (2, 2)), (1, 4, 8)),
        (Split(1, (4,)), (2, 4, 8)),
        (Transpose((0, 2, 1, 3)), (2, 1, 5, 64)),  # heads of a single token
        (Transpose((1, 0, 2)), (1, 4, 8)),
        (Transpose((0, 1)), (3, 4)),
        (Pad(((0, 0), (0, 0))), (3, 4)),
    ],
)
def test_an_unbroken_run_of_the_input_is_a_view(op, shape: tuple[int, ...]) -> None:
    assert _works(op, shape) == ()


@pytest.mark.parametrize(
    ("op", "shape", "contiguous"),
    [
        (Transpose((1, 0)), (512, 512), False),
        (Transpose((0, 2, 1, 3)), (1, 128, 12, 64), True),  # 64 halves are a line of 128 bytes
        (Transpose((0, 2, 1, 3)), (1, 128, 12, 32), False),
        (Slice(1, 0, 64), (8, 128), True),
        (Slice(1, 0, 32), (8, 128), False),
        (Slice(1, 0, None, 2), (8, 256), False),
        (Slice(0, 0, None, 2), (8, 64), True),
        (Split(1, (64, 64)), (8, 128), True),
    ],
)
def test_a_move_is_contiguous_when_its_runs_fill_cache_lines(op, shape: tuple[int, ...], contiguous: bool) -> None:
    assert {work.contiguous for work in _works(op, shape)} == {contiguous}


def test_a_transposed_weight_is_stored_that_way_beforehand() -> None:
    assert _works(Transpose((1, 0)), (512, 512), weight=True) == ()
    (y,) = Transpose((1, 0)).infer([TensorType((2, 3), "fp16", True)])
    assert y.weight


def test_a_concatenation_moves_everything() -> None:
    (work,) = _works(Concat(1), (2, 64, 8), (2, 32, 8))
    assert (work.bytes_in, work.bytes_out, work.contiguous) == (3072, 3072, True)


@pytest.mark.parametrize(
    ("op", "shapes", "message"),
    [
        (Concat(0), [(2, 3), (2, 4)], "differ elsewhere"),
        (Concat(3), [(2, 3)], "axis 3 of a tensor with 2 axes"),
        (Split(1, (1, 1)), [(2, 3)], r"add up to 2, but axis 1 of \[2, 3\] has 3"),
        (Slice(0, 5, None), [(3,)], "leaves nothing"),
        (Slice(0, 0, None, 0), [(3,)], "step must not be 0"),
        (Transpose((0, 0)), [(2, 3)], "name each of the 2 axes"),
        (Pad(((1, 1),)), [(2, 3)], "for each axis"),
        (Expand((4, 3)), [(2, 3)], "do not broadcast"),
        (Append(1), [(2, 3), (3, 1)], "append along axis 1"),
        (Embedding(), [(2,), (3,)], "the table must have 2 axes"),
    ],
)
def test_what_does_not_fit_is_named(op, shapes, message: str) -> None:
    with pytest.raises(ShapeError, match=message):
        op.infer([TensorType(shape) for shape in shapes])


def test_a_copy_to_or_from_the_host_is_read_once_and_written_once() -> None:
    """2 x 3 x 4 elements of fp16 are 48 bytes."""
    (work,) = _works(HostCopy(), (2, 3, 4))
    assert (work.bytes_in, work.bytes_out, work.flop) == (48, 48, 0)
    assert HostCopy().reference(X)[0] is X
