"""hwsim: what would this model cost on that hardware?

YAML -> specs -> graph -> (passes, lower) work -> (price) cost -> placement -> engine -> trace -> report
"""

from __future__ import annotations

from hwsim.errors import HwsimError

__all__ = ["HwsimError", "__version__"]

__version__ = "0.1.0"
