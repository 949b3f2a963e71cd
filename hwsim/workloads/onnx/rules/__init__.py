"""One function an ONNX operator: which operators of hwsim it stands for.

Importing this package registers every rule found in it.
"""

from __future__ import annotations

import importlib
import pkgutil

from hwsim.workloads.onnx.rules.registry import RULES

__all__ = ["RULES"]

for _module in sorted(m.name for m in pkgutil.iter_modules(__path__)):
    importlib.import_module(f"{__name__}.{_module}")
