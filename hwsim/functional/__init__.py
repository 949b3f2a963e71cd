"""Values, no clock: run a graph on NumPy."""

from __future__ import annotations
