"""Graph -> graph: rewrites that keep every value and change which kernels run.

A software stack names the passes it applies; each is one file. Importing this package registers them all.
"""

from __future__ import annotations

import importlib
import pkgutil

from hwsim.passes.registry import PASSES, apply_passes

__all__ = ["PASSES", "apply_passes"]

for _module in sorted(m.name for m in pkgutil.iter_modules(__path__)):
    importlib.import_module(f"{__name__}.{_module}")
