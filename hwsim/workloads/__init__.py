"""Named graphs: vision, language, speech, diffusion, video.

Each workload is one function, entered by the decorator :func:`hwsim.workloads.registry.workload`;
:data:`WORKLOADS` imports its module when its name is first asked for.
"""

from __future__ import annotations

from hwsim.graph.graph import Graph
from hwsim.workloads.registry import WORKLOADS, Parameter, Published, Workload

__all__ = ["WORKLOADS", "Parameter", "Published", "Workload", "workload"]


def workload(name: str, **params: object) -> Graph:
    """The graph of a named workload, e.g. ``workload("resnet50", batch=8, dtype="fp16")``.

    Raises:
        UnknownNameError: no such workload, or no such parameter of it.
        InputError: a value of the wrong type or out of range.
    """
    return WORKLOADS[name].build(**params)
