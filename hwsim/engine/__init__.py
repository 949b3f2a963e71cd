"""Time: replays a placed and priced plan on simulated devices, memories and links."""

from __future__ import annotations
