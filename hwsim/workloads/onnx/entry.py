"""An ONNX file as a workload: its symbolic dimensions are the parameters."""

from __future__ import annotations

from pathlib import Path
from types import MappingProxyType

from hwsim.graph.graph import Graph
from hwsim.graph.tensor import AUTO, SCHEMES
from hwsim.workloads.onnx import load_onnx
from hwsim.workloads.onnx.document import read_model
from hwsim.workloads.onnx.interface import symbols_of
from hwsim.workloads.registry import PASSES_PARAMETER, Parameter, Workload

__all__ = ["FIXED", "onnx_workload"]

FIXED = ("allow_unknown", "dtype", "passes")
"""Parameters that every file has; the others are its symbolic dimensions."""


def onnx_workload(path: str) -> Workload:
    """The file as a workload; raises InputError for one that cannot be read."""
    model = read_model(Path(path))

    def build(**params: object) -> Graph:
        allowed = bool(params.pop("allow_unknown", False))
        return load_onnx(path, {name: int(str(size)) for name, size in params.items()}, allow_unknown=allowed)

    parameters = {
        name: Parameter(name=name, type=int, default=0, minimum=1, doc=f"Size of {where}; 0 stands for none yet.")
        for name, where in symbols_of(model.graph).items()
        if name not in FIXED
    }
    parameters["allow_unknown"] = Parameter(
        name="allow_unknown", type=bool, default=False, doc="Price operators that hwsim lacks as moves of their bytes."
    )
    parameters["dtype"] = Parameter(
        name="dtype", type=str, default=AUTO, choices=(AUTO, *SCHEMES), doc="Number format or precision scheme."
    )
    parameters["passes"] = PASSES_PARAMETER
    producer = " ".join(part for part in (model.producer_name, model.producer_version) if part)
    return Workload(
        name=Path(path).stem,
        title=f"ONNX model {Path(path).name}",
        source=f"the file itself, written by {producer}" if producer else "the file itself",
        item="run",
        parameters=MappingProxyType(parameters),
        function=build,
        doc=model.doc_string.strip()[:300],
    )
