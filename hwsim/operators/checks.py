"""Checks that shape rules share; every message names the operator and says what fits."""

from __future__ import annotations

from collections.abc import Sequence

from hwsim.errors import ShapeError
from hwsim.graph.tensor import TensorType

__all__ = ["axis_of", "broadcast", "expect_inputs", "expect_positive", "expect_rank", "expect_shape"]


def expect_inputs(kind: str, inputs: Sequence[TensorType], least: int, most: int | None = None) -> None:
    """Raise ShapeError unless there are ``least`` to ``most`` inputs (``most`` defaults to ``least``)."""
    most = least if most is None else most
    if not least <= len(inputs) <= most:
        wanted = f"{least}" if least == most else f"{least} to {most}"
        raise ShapeError(f"{kind} takes {wanted} input{'s' if most > 1 else ''}, not {len(inputs)}")


def expect_rank(kind: str, what: str, tensor: TensorType, least: int, most: int | None = None) -> None:
    """Raise ShapeError unless the tensor has ``least`` to ``most`` axes (no upper bound if ``most`` is None)."""
    rank = len(tensor.shape)
    if rank < least or (most is not None and rank > most):
        wanted = f"{least}" if least == most else f"{least} or more" if most is None else f"{least} to {most}"
        raise ShapeError(f"{kind}: {what} must have {wanted} axes, not shape {list(tensor.shape)}")


def expect_shape(kind: str, what: str, tensor: TensorType, shape: Sequence[int]) -> None:
    """Raise ShapeError unless the tensor has exactly that shape."""
    if tensor.shape != tuple(shape):
        raise ShapeError(f"{kind}: {what} must have shape {list(shape)}, not {list(tensor.shape)}")


def expect_positive(kind: str, what: str, numbers: Sequence[int], count: int = 1) -> None:
    """Raise ShapeError unless there are ``count`` whole numbers of at least 1."""
    if not isinstance(numbers, tuple) or len(numbers) != count or any(n < 1 for n in numbers):
        wanted = "a whole number" if count == 1 else f"{count} whole numbers"
        raise ShapeError(f"{kind}: {what} must be {wanted} of at least 1, not {numbers}")


def axis_of(kind: str, axis: int, rank: int) -> int:
    """The axis counted from the front; raises ShapeError when there is none of that number."""
    if not -rank <= axis < rank:
        raise ShapeError(f"{kind}: axis {axis} of a tensor with {rank} axes; choose from {-rank} to {rank - 1}")
    return axis % rank


def broadcast(kind: str, inputs: Sequence[TensorType]) -> tuple[int, ...]:
    """The common shape of all inputs by NumPy's rule; raises ShapeError when there is none."""
    rank = max(len(t.shape) for t in inputs)
    padded = [(1,) * (rank - len(t.shape)) + t.shape for t in inputs]
    shape = tuple(max(sizes) for sizes in zip(*padded, strict=True))
    if any(size not in (1, full) for sizes in padded for size, full in zip(sizes, shape, strict=True)):
        raise ShapeError(f"{kind}: shapes {' and '.join(str(list(t.shape)) for t in inputs)} do not broadcast")
    return shape
