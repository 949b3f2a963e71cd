"""One file per kind of device: its spec fields, its parameters, and what it charges for Work.

Importing this package registers every kind found in it.
"""

from __future__ import annotations

import importlib
import pkgutil

for _module in sorted(m.name for m in pkgutil.iter_modules(__path__)):
    importlib.import_module(f"{__name__}.{_module}")
