"""Several operators run as one kernel: a product with an epilogue, or a chain of element-wise functions and rows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, cast

from hwsim.errors import ShapeError
from hwsim.graph.operator import Array, Operator, register
from hwsim.graph.tensor import TensorType
from hwsim.graph.work import Gemm, Map, Reduce, Work
from hwsim.operators.checks import expect_inputs

__all__ = ["Fused", "Member"]


@dataclass(frozen=True, slots=True)
class Member:
    """One operator of a fused kernel.

    ``inputs`` are places: 0 to n - 1 name the kernel's n inputs, n + i the output of member i.
    """

    op: Operator
    inputs: tuple[int, ...]


class _LeadingKind:
    """``fused`` of the class; of a kernel, the kind of its first member."""

    def __get__(self, kernel: Fused | None, owner: type[Fused]) -> str:
        return "fused" if kernel is None else kernel.members[0].op.kind


@register
@dataclass(frozen=True, slots=True)
class Fused:
    """``members`` in order, each of one output, on ``arity`` inputs; only the last member's output leaves the chip.

    A kernel's ``kind`` is that of its first member: to a report or a placement rule, a convolution with its
    activation is a convolution.
    """

    kind: ClassVar[str] = cast("str", _LeadingKind())
    kernels: ClassVar[tuple[str, ...]] = ("elementwise",)
    members: tuple[Member, ...]
    arity: int

    def infer(self, inputs: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """Type of the last member's output; raises ShapeError naming the member that does not fit."""
        return (self._types(inputs)[-1],)

    def _types(self, inputs: Sequence[TensorType]) -> list[TensorType]:
        expect_inputs(self.kind, inputs, self.arity)
        types = list(inputs)
        for member in self.members:
            found = member.op.infer([types[place] for place in member.inputs])
            if len(found) != 1:
                raise ShapeError(f"fused: {member.op.kind} has {len(found)} outputs; a member has one")
            types += found
        return types

    def lower(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> tuple[Work, ...]:
        """One Gemm, Reduce or Map that reads the kernel's inputs once and writes its output once.

        The arithmetic of members behind a product goes into the epilogue of its last Gemm. A chain of element-wise
        members becomes a Map labelled ``elementwise``, whose counts an element are those of all members; with a softmax
        among them it is that kernel, and does their arithmetic as well.
        """
        types = self._types(inputs)
        types[-1] = outputs[0]
        each = [
            member.op.lower([types[i] for i in member.inputs], [types[place]])
            for place, member in enumerate(self.members, start=self.arity)
        ]
        tail = [work for works in each[1:] for work in works]
        heads = [replace(work, out_format=outputs[0].format) for work in each[0] if isinstance(work, Gemm)]
        if heads:
            return (*heads[:-1], self._with_epilogue(heads[-1], tail, inputs))
        merged = self._one_map([*each[0], *tail], inputs, outputs[0])
        rows = [work for work in (*each[0], *tail) if isinstance(work, Reduce)]
        return (self._with_rows(rows, merged) if rows else merged,)

    @staticmethod
    def _with_rows(rows: Sequence[Reduce], maps: Map) -> Reduce:
        return replace(
            rows[-1],
            passes=sum(work.passes for work in rows),
            flop_per_element=maps.flop_per_element + sum(work.flop_per_element for work in rows),
            special_per_element=maps.special_per_element + sum(work.special_per_element for work in rows),
            bytes_in=maps.bytes_in,
            bytes_out=maps.bytes_out,
        )

    def _with_epilogue(self, head: Gemm, tail: list[Work], inputs: Sequence[TensorType]) -> Gemm:
        read_by_head = set(self.members[0].inputs)
        later = sum(t.size_bytes for place, t in enumerate(inputs) if place not in read_by_head)
        return replace(
            head,
            epilogue_flop=head.epilogue_flop + sum(work.flop for work in tail),
            epilogue_bytes=head.epilogue_bytes + later,
        )

    @staticmethod
    def _one_map(works: list[Work], inputs: Sequence[TensorType], output: TensorType) -> Map:
        maps = [work for work in works if isinstance(work, Map)]
        return Map(
            kernel="elementwise",
            elements=output.elements,
            flop_per_element=math.ceil(sum(w.elements * w.flop_per_element for w in maps) / output.elements),
            special_per_element=math.ceil(sum(w.elements * w.special_per_element for w in maps) / output.elements),
            bytes_in=sum(t.size_bytes for t in inputs),
            bytes_out=output.size_bytes,
            format=output.format,
            longest=max(output.shape, default=1),
        )

    def reference(self, *arrays: Array) -> tuple[Array, ...]:
        """Runs the members one after another, rounding between them as separate kernels do."""
        values = list(arrays)
        for member in self.members:
            values += member.op.reference(*(values[place] for place in member.inputs))
        return (values[-1],)
