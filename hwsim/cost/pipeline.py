"""Layers split over equal chips, work passed on in pieces: how long the last piece takes to come out."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["pipelined_s"]


def pipelined_s(pieces_s: Sequence[float], stages: int, *, together: int = 0) -> float:
    """Seconds of pieces that would take ``pieces_s`` on one chip, split into equal ``stages`` of a chip each.

    A flow shop whose jobs take equal times on all machines ends after their sum and (stages - 1) times the longest
    (Pinedo, Scheduling, 2016, section 6.1). ``together`` pieces are under way at most before all are drained (0: all).

    >>> pipelined_s([4.0, 4.0], 2)
    6.0
    >>> pipelined_s([4.0, 4.0], 2, together=1)
    8.0
    """
    group = together or len(pieces_s) or 1
    total = 0.0
    for first in range(0, len(pieces_s), group):
        here = pieces_s[first : first + group]
        total += (sum(here) + (stages - 1) * max(here)) / stages
    return total
