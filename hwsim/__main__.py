"""``python -m hwsim``."""

from __future__ import annotations

from hwsim.cli import main

main()
