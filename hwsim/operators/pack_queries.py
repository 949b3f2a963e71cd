"""Queries laid out for their exchange among ranks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from hwsim.graph.operator import register
from hwsim.operators.transpose import Transpose

__all__ = ["PackQueries"]


@register
@dataclass(frozen=True, slots=True)
class PackQueries(Transpose):
    """Axis i of the result is axis ``perm[i]`` of x: the first copy of an attention that ranks share.

    Its label is one of its own, so that a stack may say what a framework's host takes for the call that starts here.
    """

    kind: ClassVar[str] = "pack_queries"
