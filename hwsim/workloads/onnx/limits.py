"""What a model file may at most ask of the importer; beyond it a file is refused before anything is allocated."""

from __future__ import annotations

__all__ = ["BYTES", "CALLS", "ELEMENTS", "EXTENT", "FOLDED", "NODES", "RANK", "WINDOW"]

BYTES = 2**31
"""Size of the file itself: protobuf reads no message beyond 2 GiB. Larger weights lie in files of their own."""
NODES = 200_000
"""Nodes, those inside called functions counted at each call."""
CALLS = 32
"""Functions that call each other, one inside the other; none may call itself."""
RANK = 32
"""Axes of a tensor (NumPy ends at 64)."""
EXTENT = 2**40
"""Extent of an axis."""
ELEMENTS = 2**48
"""Elements of a tensor; sizes in bytes then stay exact in the float64 columns of the cost models."""
WINDOW = 2**16
"""Extent, stride, padding and dilation of a window along an axis, and steps of a recurrent layer."""
FOLDED = 2**20
"""Elements of a constant that must be known to read the graph: a shape, axes, repeats ..."""
