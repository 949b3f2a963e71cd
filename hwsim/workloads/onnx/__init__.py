"""Real models: ONNX files as graphs.

    path -> document (bounded, checked) -> importer (walks nodes; rules answer with operators) -> Graph

Nothing of a file is allocated before its shapes are checked; :mod:`hwsim.workloads.onnx.limits` lists what it may ask.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from hwsim.errors import InputError
from hwsim.graph.graph import Graph
from hwsim.graph.tensor import AUTO
from hwsim.passes import PASSES, apply_text
from hwsim.workloads.onnx.document import read_model
from hwsim.workloads.onnx.importer import import_model
from hwsim.workloads.registry import NO_PASSES

__all__ = ["load_onnx"]


def load_onnx(
    path: str | Path,
    dims: Mapping[str, int] | None = None,
    *,
    dtype: str = AUTO,
    allow_unknown: bool = False,
    passes: str = NO_PASSES,
) -> Graph:
    """The graph of an ONNX file (opset 7 and newer), with its weights as ``values``.

    Args:
        path: of the file; external data are looked for beside it; prices do without them.
        dims: sizes of symbolic dimensions, by their names; an axis without a name is called e.g. ``x.0``.
        dtype: a number format or scheme for what the file stores in fp32; 'auto' leaves it to the device, 'file' keeps
            fp32. Files with other floats or with quantized tensors keep their formats.
        passes: over the model, e.g. 'quantize:scheme=w8a16' (see :func:`hwsim.passes.apply_text`).
        allow_unknown: whether operators hwsim lacks are priced as moves of their bytes; ``Graph.notes`` names them.

    Raises:
        InputError: no such file, a fault in it, or a dimension without a size.
        UnsupportedError: operators that hwsim lacks; all of them are named.
    """
    place = Path(path)
    model = read_model(place)
    keep = dtype == "file"
    found = import_model(
        model, str(path), folder=place.parent, dims=dims, allow_unknown=allow_unknown, keep_formats=keep
    )
    graph = found.graph
    if not graph.nodes:
        raise InputError(f"{path}: nothing to compute: no node of this graph depends on an input")
    graph = PASSES["fuse_quantized"](graph)
    graph = graph if dtype in (AUTO, "file") else graph.with_scheme(dtype)
    return graph if passes == NO_PASSES else apply_text(graph, passes)
