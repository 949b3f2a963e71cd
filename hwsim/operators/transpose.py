"""Axes in another order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from hwsim.errors import ShapeError
from hwsim.graph.operator import Array, register
from hwsim.graph.tensor import TensorType
from hwsim.graph.work import Work
from hwsim.operators.checks import expect_inputs
from hwsim.operators.layout import fills_lines, move_work

__all__ = ["Transpose"]


@register
@dataclass(frozen=True, slots=True)
class Transpose:
    """Axis i of the result is axis ``perm[i]`` of x.

    ``copied``: into memory of that order, whatever order x lies in (PyTorch's ``contiguous``), even if nothing moves.
    """

    kind: ClassVar[str] = "transpose"
    perm: tuple[int, ...] = (1, 0)
    copied: bool = False

    def infer(self, inputs: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """The permuted shape; a weight stays one. Raises ShapeError unless ``perm`` names each axis once."""
        expect_inputs(self.kind, inputs, 1)
        (x,) = inputs
        if sorted(self.perm) != list(range(len(x.shape))):
            raise ShapeError(
                f"transpose: perm {self.perm} must name each of the {len(x.shape)} axes of {list(x.shape)} once"
            )
        return (TensorType(tuple(x.shape[axis] for axis in self.perm), x.format, x.weight),)

    def lower(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> tuple[Work, ...]:
        """One Move, contiguous if the trailing axes that stay in place fill cache lines.

        None when only axes of extent 1 change places (a view), or for a weight (stored in that order beforehand).
        """
        (x,), (y,) = inputs, outputs
        long_axes = [axis for axis in self.perm if x.shape[axis] > 1]
        if x.weight or (long_axes == sorted(long_axes) and not self.copied):
            return ()
        in_place = [axis for axis in range(len(self.perm)) if self.perm[axis:] == tuple(range(axis, len(self.perm)))]
        run = x.shape[in_place[0] :] if in_place else ()
        return (move_work(self.kind, inputs, y, contiguous=fills_lines(x, run)),)

    def reference(self, *arrays: Array) -> tuple[Array, ...]:
        """The same values in the new order."""
        (x,) = arrays
        return (np.transpose(x, self.perm),)
