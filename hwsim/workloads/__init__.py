"""Named graphs: vision, language, speech, diffusion, video.

Each workload is one function, entered by the decorator :func:`hwsim.workloads.registry.workload`;
:data:`WORKLOADS` imports its module when its name is first asked for.
"""

from __future__ import annotations

from pathlib import Path

from hwsim.graph.graph import Graph
from hwsim.specs.scenario import WorkloadSpec
from hwsim.workloads.registry import WORKLOADS, Parameter, Published, Workload

__all__ = ["WORKLOADS", "Parameter", "Published", "Workload", "find_workload", "is_onnx", "specified", "workload"]


def is_onnx(name: str) -> bool:
    """Whether that is the path of an ONNX file rather than a name."""
    return Path(name).suffix == ".onnx"


def find_workload(name: str) -> Workload:
    """The workload of that name, or the ONNX file at that path; raises UnknownNameError or InputError."""
    if is_onnx(name):
        from hwsim.workloads.onnx.entry import onnx_workload

        return onnx_workload(name)
    return WORKLOADS[name]


def specified(spec: WorkloadSpec) -> Graph:
    """The graph of the workload that a scenario or a sweep names.

    Raises:
        UnknownNameError, InputError, UnsupportedError: as :func:`workload` and :func:`hwsim.load_onnx`.
    """
    if not spec.onnx:
        return workload(spec.name, **spec.params)
    from hwsim.workloads.onnx import load_onnx

    return load_onnx(spec.onnx, **spec.params)


def workload(name: str, **params: object) -> Graph:
    """The graph of a named workload (or of an ONNX file), e.g. ``workload("resnet50", batch=8, dtype="fp16")``.

    Raises:
        UnknownNameError: no such workload, or no such parameter of it.
        InputError: a value of the wrong type or out of range.
    """
    return find_workload(name).build(**params)
