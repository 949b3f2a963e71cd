"""Graph -> graph: rewrites that keep every value and change which kernels run, and transforms of the model itself.

A software stack names the passes it applies, people the transforms (quantize, prune, backward ...); each is one file.
Importing this package registers them all.
"""

from __future__ import annotations

import importlib
import pkgutil

from hwsim.passes.registry import PASSES, TRANSFORMS, apply_passes, apply_text

__all__ = ["PASSES", "TRANSFORMS", "apply_passes", "apply_text"]

for _module in sorted(m.name for m in pkgutil.iter_modules(__path__)):
    importlib.import_module(f"{__name__}.{_module}")
