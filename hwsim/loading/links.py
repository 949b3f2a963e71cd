"""``like:`` of an interconnect: constants that carry from measured links to links that nobody measured.

One set of constants serves A100, H100 and B200 within 6-8 % (``benchmarks/fit_shared_links.py``): starts of rounds in
seconds, bandwidths as shares of the link's. What a call takes to ``start`` is each system's own, 4 to 9 us, and follows
neither clocks nor links; without a figure it is the mean of four measured systems. A system left out of such a fit errs
by 16-35 % with the mean start of the others, by 9-14 % with its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from hwsim.errors import HwsimError
from hwsim.loading.document import Node
from hwsim.loading.merge import merged, with_values
from hwsim.units import format_quantity, parse_quantity

__all__ = ["MEAN_START_S", "carried"]

MEAN_START_S = 6.3e-6
"""Geometric mean over A100 (8.7 us), H100 (4.0), B200 (7.7) and two L40S over PCIe (5.9), all by NCCL's benchmark."""

_LATER_S = MappingProxyType({"": 0.86e-6, "eager": 0.0, "exchange": 2.42e-6})
_SHARED: Mapping[str, Mapping[str, str | float]] = MappingProxyType(
    {
        "": {"step": "281 ns", "efficiency": 0.939, "overlap": 0.5, "own": 0.415},
        "eager": {"step": "1.02 us", "widen": 0.212, "efficiency": 0.324, "own": 4.5, "over": "nvlink"},
        "exchange": {
            "jump": "3.65 us",
            "peer": "277 ns",
            "efficiency": 0.713,
            "own": 0.313,
            "overlap": 0.714,
        },
    }
)
"""Fitted to 392 rows of NCCL's benchmark on 2, 4 and 8 A100, H100 and B200 (ai-dynamo/aiconfigurator, 095f58a5)."""
_PLANNED = MappingProxyType({"planned_eager": 0.31, "planned_bulk": 0.81})
"""Shares of the link's bandwidth in NCCL's own model: 0.29-0.31 and 0.80-0.82 over three generations of NVLink."""


def carried(document: Node) -> Node:
    """The system with the constants that its interconnect leaves out, where that says ``like: nvlink``.

    What the file gives stands; an unknown ``like`` and a missing bandwidth are left to those who check the rest.
    """
    links = document.child("interconnect")
    like = links and links.child("like")
    if links is None or like is None or like.value != "nvlink":
        return document
    bandwidth = _read(links.child("bandwidth"), "bytes/s")
    start = links.child("start")
    start_s = MEAN_START_S if start is None else _read(start, "s")
    if bandwidth is None or start_s is None:
        return document
    parts: dict[str, dict[str, str | float]] = {}
    for part, given in _SHARED.items():
        parts[part] = {"base": format_quantity(start_s + _LATER_S[part], "s"), **given}
    parts["eager"] |= {name: format_quantity(share * bandwidth, "B/s") for name, share in _PLANNED.items()}
    mine = {name: _mapping(links, parts[name]) for name in ("eager", "exchange")}
    whole = with_values(_mapping(links, parts[""]), mine)
    return with_values(document, {"interconnect": merged(whole, links)})


def _read(node: Node | None, dimension: str) -> float | None:
    try:
        return parse_quantity(node.value, dimension) if node is not None else None
    except HwsimError:
        return None


def _mapping(at: Node, values: Mapping[str, str | float]) -> Node:
    return with_values(Node({}, at.place), {key: Node(value, at.place) for key, value in values.items()})
