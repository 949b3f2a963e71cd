"""Fits one set of constants to collectives over NVLink of several generations, in which only the start is a system's.

    python -m benchmarks.fit_shared_links [--data ../shared/ground_truth/gpu] [--starts 4]

What a call takes to start (``start``, of eager messages; those in bulk and exchanges start later by as much everywhere)
differs by a factor of two between systems and follows neither their clocks nor the speed of their links; all else, with
times in seconds and bandwidths as shares of the link's, is taken to be equal. Prints the constants, the starts, and for
each system what the constants of the others say of it: with the mean of their starts, and with a start of its own that
one number gives, the time of an all-reduce of 2 KiB between two. Fitted to the rows that ``fit_links`` fits; errors are
those of all rows, of which a system that is left out lends none.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd  # noqa: TID253 -- a script, not part of the package
from scipy.optimize import least_squares  # noqa: TID253 -- likewise

from benchmarks.fit_links import INSIDE, Family, Space, families, load
from hwsim.units import format_quantity

NAMES = ("a100", "h100", "b200")
SHARED: Space = {
    "bulk.later": (1e-7, 5e-5), "exchange.later": (1e-7, 1e-5),
    **{name: bounds for name, bounds in INSIDE.items() if name.split(".")[-1] != "base"},
}  # fmt: skip
START = (1e-6, 3e-5)
OTHER_START_S = 5.88e-6
"""That of two L40S over PCIe (``fit_links``), measured in the same way: it counts where starts are averaged."""
SECONDS = ("later", "step", "peer", "jump")


@dataclass(frozen=True, kw_only=True)
class Shared:
    """Constants that several systems share, and the start of each in seconds."""

    constants: Mapping[str, float]
    starts: Mapping[str, float]

    @property
    def mean_start_s(self) -> float:
        """The geometric mean of the systems' starts and that of one over PCIe."""
        return float(np.exp(np.mean(np.log([*self.starts.values(), OTHER_START_S]))))

    def links(self, start_s: float) -> dict[str, float]:
        """The constants of ``fit_links`` for a system of that start."""
        found = {name: value for name, value in self.constants.items() if not name.endswith("later")}
        later = (self.constants["bulk.later"], self.constants["exchange.later"])
        return found | {"eager.base": start_s, "base": start_s + later[0], "exchange.base": start_s + later[1]}

    def errors(self, family: Family, rows: pd.DataFrame, start_s: float) -> np.ndarray:
        """Errors in per cent, with their sign."""
        measured = rows["latency_us"].to_numpy(float) * 1e-6
        return np.asarray(100.0 * (family.predict(rows, self.links(start_s)) / measured - 1.0))

    def start_s(self, family: Family, rows: pd.DataFrame) -> float:
        """The start with which an all-reduce of 2 KiB between two takes what it was measured to take."""
        one = rows[(rows["op"] == "all_reduce") & (rows["ngpus"] == 2) & (rows["bytes"] == 2048)].reset_index(drop=True)
        return min(np.geomspace(*START, 400).tolist(), key=lambda start: abs(self.errors(family, one, start)[0]))


def measured(folder: Path) -> dict[str, tuple[Family, pd.DataFrame]]:
    """The families over NVLink with their rows."""
    frame = load(folder)
    return {family.name: (family, family.rows(frame)) for family in families() if family.name in NAMES}


def fit_shared(known: Mapping[str, tuple[Family, pd.DataFrame]], starts: int = 4) -> Shared:
    """Least squares of the logarithms over all systems from random places, rows put aside left out."""
    rows = {name: frame[~frame["held"]].reset_index(drop=True) for name, (_, frame) in known.items()}
    low, high = (np.log([*(bounds[i] for bounds in SHARED.values()), *[START[i]] * len(known)]) for i in (0, 1))

    def shared(place: np.ndarray) -> Shared:
        values = np.exp(place).tolist()
        found = dict(zip(SHARED, values[: len(SHARED)], strict=True))
        return Shared(constants=found, starts=dict(zip(known, values[len(SHARED) :], strict=True)))

    def errors(place: np.ndarray) -> np.ndarray:
        found = shared(place)
        parts = [np.log1p(found.errors(known[n][0], rows[n], found.starts[n]) / 100.0) for n in known]
        return np.concatenate(parts)

    generator = np.random.default_rng(1)
    places = [low + (high - low) * generator.uniform(0.2, 0.8, len(low)) for _ in range(starts)]
    found = [least_squares(errors, x, bounds=(low, high), loss="soft_l1", f_scale=0.1, max_nfev=150) for x in places]
    return shared(min(found, key=lambda each: each.cost).x)


def main(arguments: Sequence[str]) -> int:
    """Fits and prints; returns 0."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    default = Path(__file__).resolve().parents[1].parent / "shared" / "ground_truth" / "gpu"
    parser.add_argument("--data", type=Path, default=default)
    parser.add_argument("--starts", type=int, default=4)
    given = parser.parse_args(arguments)
    known = measured(given.data)
    everything = fit_shared(known, given.starts)
    for name, value in everything.constants.items():
        print(f"{name}: {format_quantity(value, 's') if name.split('.')[-1] in SECONDS else f'{value:.3g}'}")
    print(f"mean start: {format_quantity(everything.mean_start_s, 's')}")
    for name, (family, rows) in known.items():
        inside = np.abs(everything.errors(family, rows, everything.starts[name])).mean()
        others = fit_shared({other: pair for other, pair in known.items() if other != name}, given.starts)
        mean, own = (others.errors(family, rows, s) for s in (others.mean_start_s, others.start_s(family, rows)))
        start = f"start {format_quantity(everything.starts[name], 's')}, {inside:.1f} % over {len(rows)} rows"
        left = f"left out: {np.abs(mean).mean():.1f} % ({mean.mean():+.0f})"
        one = f"with a start of its own {np.abs(own).mean():.1f} % ({own.mean():+.0f})"
        print(f"{name}: {start}; {left}, {one}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
