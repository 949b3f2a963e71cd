"""Times `import hwsim` in fresh interpreters, beside one that imports nothing and one that imports NumPy.

python benchmarks/bench_import.py
"""

from __future__ import annotations

from _measure import wall_seconds

TARGET_S = 0.3


def main() -> None:
    """Print the times, what the import adds, and its ratio to NumPy's."""
    empty, numpy, hwsim = (wall_seconds(["-c", code]) for code in ("pass", "import numpy", "import hwsim"))
    added, beside = hwsim - empty, numpy - empty
    print(f"interpreter alone   {empty * 1e3:6.0f} ms")
    print(f"import numpy        {beside * 1e3:6.0f} ms more")
    share = f"{added / beside:.2f} of NumPy's"
    print(f"import hwsim        {added * 1e3:6.0f} ms more, {share} (target {TARGET_S * 1e3:.0f} ms)")


if __name__ == "__main__":
    main()
