"""Time: replays a placed and priced plan on simulated devices, memories and links."""

from __future__ import annotations

from hwsim.engine.outcome import MemorySamples, Run, Spill
from hwsim.engine.plan import BufferTable, ChannelPlan, Csr, DevicePlan, LinkPlan, MemoryPlan, Plan, TransferTable
from hwsim.engine.replay import run

__all__ = [
    "BufferTable",
    "ChannelPlan",
    "Csr",
    "DevicePlan",
    "LinkPlan",
    "MemoryPlan",
    "MemorySamples",
    "Plan",
    "Run",
    "Spill",
    "TransferTable",
    "run",
]
