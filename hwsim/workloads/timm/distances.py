"""Scores of queries by their distances from keys along each axis of an image, from learned tables."""

from __future__ import annotations

from hwsim.graph.graph import GraphBuilder
from hwsim.graph.tensor import Tensor
from hwsim.operators.embedding import Embedding
from hwsim.operators.matmul import Matmul
from hwsim.operators.reshape import Reshape
from hwsim.operators.transpose import Transpose

__all__ = ["axis_scores"]


def axis_scores(b: GraphBuilder, q: Tensor, seen: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """(count, height, width, rows, 1) and (count, height, width, 1, columns) of q (count, height, width, dim).

    Products with the row of each distance, line by line (Li et al. 2022, MViTv2, equations 4 and 5).
    """
    count, height, width, dim = q.shape
    made = []
    for axis, size, keys, to_lines, back in (
        ("height", height, seen[0], (1, 0, 2, 3), (1, 0, 2, 3)),
        ("width", width, seen[1], (2, 0, 1, 3), (1, 2, 0, 3)),
    ):
        with b.scope(f"distances_{axis}"):
            table = b.weight("weight", (2 * max(size, keys) - 1, dim))
            found = b.add(Embedding(), b.state("places", (size * keys,), "int64"), table)
            lines = b.add(Reshape((size, -1, dim)), b.add(Transpose(to_lines), q, name="lines"))
            y = b.add(Matmul(transpose_b=True), lines, b.add(Reshape((size, keys, dim)), found), name="scores")
            y = b.add(Transpose(back), b.add(Reshape((size, count, -1, keys)), y), name="back")
            shape = (count, height, width, keys, 1) if axis == "height" else (count, height, width, 1, keys)
            made.append(b.add(Reshape(shape), y))
    return made[0], made[1]
