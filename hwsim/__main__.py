"""``python -m hwsim``, and the command ``hwsim``."""

from __future__ import annotations

import sys

__all__ = ["main"]


def main() -> None:
    """Entry point: the command line; a Ctrl-C while it is still being imported leaves as quietly as a later one."""
    try:
        from hwsim.cli import main as command
    except KeyboardInterrupt:
        sys.stderr.write("error: interrupted before anything began\n")
        sys.exit(130)
    command()


if __name__ == "__main__":
    main()
