"""hwsim: what would this model cost on that hardware?

    YAML -> specs -> graph -> (passes, lower) work -> (price) cost -> placement -> engine -> trace -> report

The names below are imported when first used, so that ``import hwsim`` stays cheap.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from hwsim.errors import HwsimError
from hwsim.version import __version__

if TYPE_CHECKING:
    from hwsim import ops
    from hwsim.api import (
        compare,
        estimate,
        load_device,
        load_onnx,
        load_scenario,
        load_system,
        run_reference,
        simulate,
        sweep,
        systolic_cycles,
        workload,
    )
    from hwsim.graph.graph import Graph, GraphBuilder
    from hwsim.specs.device import DeviceSpec
    from hwsim.specs.system import SystemSpec

__all__ = [
    "DeviceSpec",
    "Graph",
    "GraphBuilder",
    "HwsimError",
    "SystemSpec",
    "__version__",
    "compare",
    "estimate",
    "load_device",
    "load_onnx",
    "load_scenario",
    "load_system",
    "ops",
    "run_reference",
    "simulate",
    "sweep",
    "systolic_cycles",
    "workload",
]

_HOME = {
    "DeviceSpec": "hwsim.specs.device",
    "SystemSpec": "hwsim.specs.system",
    "Graph": "hwsim.graph.graph",
    "GraphBuilder": "hwsim.graph.graph",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for."""
    if name not in __all__:
        raise AttributeError(f"module 'hwsim' has no attribute '{name}'; it offers {', '.join(__all__)}")
    if name == "ops":
        found: Any = importlib.import_module("hwsim.ops")
    else:
        found = getattr(importlib.import_module(_HOME.get(name, "hwsim.api")), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    """The public names."""
    return list(__all__)
