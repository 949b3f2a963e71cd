"""Fits the constants of interconnects to measured collectives and prints them as YAML fragments.

    python benchmarks/fit_links.py [--only TEXT] [--data ../shared/ground_truth/gpu] [--evaluations 2500]

A family is what one software measured on one kind of machine. A hash of each row's own text puts three rows in ten
aside, as in `fit_gpu.py`; the constants are fitted to the rest and both errors are printed, the second by pattern.
"""

from __future__ import annotations

import argparse
import sys
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd  # noqa: TID253 -- a script, not part of the package
from fit_gpu import held_out
from scipy.optimize import minimize  # noqa: TID253 -- likewise

from hwsim.cost.link import LinkConstants, NetworkConstants, collective_time_s, network_time_s
from hwsim.units import format_quantity

Space = Mapping[str, tuple[float, float]]
INSIDE: Space = {
    "base": (1e-6, 1e-4), "step": (1e-7, 1e-5), "efficiency": (0.005, 1.0), "overlap": (0.4, 4.0),
    "peer": (1e-8, 1e-5), "own": (0.01, 1.0), "own_exchange": (0.01, 1.0),
}  # fmt: skip
SWITCH: Space = {"switch": (1e-5, 3e-4), "switch_efficiency": (0.1, 1.0)}
PLAIN: Space = {name: INSIDE[name] for name in ("base", "step", "efficiency", "overlap")}
NETWORK: Space = {"base": (1e-6, 1e-4), "step": (1e-7, 1e-5), "efficiency": (0.05, 1.0), "overlap": (0.4, 4.0)}
SECONDS = {"base", "step", "peer", "switch"}
PATTERN = {"alltoall": "all_to_all", "send_recv": "send"}


@dataclass(frozen=True, kw_only=True)
class Family:
    """Rows of one device and timing, on so many ranks where given, inside a machine or between machines."""

    name: str
    device: str
    timing: str
    bandwidth: float
    space: Space
    ranks: int = 0
    between: int = 0  # ranks that share a port of the network; 0: links inside a machine

    def rows(self, frame: pd.DataFrame) -> pd.DataFrame:
        """The family's rows."""
        same = (frame["device"] == self.device) & (frame["timing"] == self.timing)
        if self.ranks:
            same &= frame["ngpus"] == self.ranks
        return frame[same & ((frame["per_node"] < frame["ngpus"]) == bool(self.between))].reset_index(drop=True)

    def predict(self, frame: pd.DataFrame, constants: Mapping[str, float]) -> np.ndarray:
        """Seconds of every row."""
        known = {f"{name}_s" if name in SECONDS else name: value for name, value in constants.items()}
        time = np.zeros(len(frame))
        for (op, ranks, per_node), part in frame.groupby(["op", "ngpus", "per_node"]):
            pattern, size = PATTERN.get(op, op), part["bytes"].to_numpy(float)
            if self.between:
                wire = NetworkConstants(bandwidth_bytes_per_s=self.bandwidth, ranks_per_port=self.between, **known)
                time[part.index] = network_time_s(pattern, size, ranks, per_node, wire)
            else:
                links = LinkConstants(bandwidth_bytes_per_s=self.bandwidth, **known)
                time[part.index] = collective_time_s(pattern, size, ranks, links)
        return time


def families() -> list[Family]:
    """Everything this script fits; bandwidths are those of the data sheets, of one rank and direction."""
    nccl = {"timing": "nccl_bench"}
    found = [
        Family(name="a100", device="A100-SXM4-80GB", bandwidth=300e9, space=INSIDE, **nccl),
        Family(name="h100", device="H100-SXM5-80GB", bandwidth=450e9, space=INSIDE | SWITCH, **nccl),
        Family(name="b200", device="B200-SXM", bandwidth=900e9, space=INSIDE, **nccl),
    ]
    found += [
        Family(name=f"l40s_x{ranks}", device="L40S", bandwidth=32e9, space=INSIDE, ranks=ranks, **nccl)
        for ranks in (2, 4, 8)
    ]
    torch = {"timing": "profiler_kernel", "space": PLAIN}
    wire = {"timing": "profiler_kernel", "space": NETWORK}
    found += [
        Family(name="a100_dgx", device="A100-SXM4-80GB(DGX)", bandwidth=300e9, **torch),
        Family(name="a100_dgx network", device="A100-SXM4-80GB(DGX)", bandwidth=12.5e9, between=2, **wire),
        Family(name="h100_dgx", device="H100-SXM5-80GB(DGX)", bandwidth=450e9, **torch),
        Family(name="h100_dgx network", device="H100-SXM5-80GB(DGX)", bandwidth=50e9, between=1, **wire),
        Family(name="a100_pair_x2", device="A100-pairwise-NVLink", bandwidth=300e9, ranks=2, **torch),
        Family(name="a100_pair_x4", device="A100-pairwise-NVLink", bandwidth=32e9, ranks=4, **torch),
        Family(name="a100_pair network", device="A100-pairwise-NVLink", bandwidth=12.5e9, between=1, **wire),
    ]
    host = {"timing": "wall_clock_sync", "bandwidth": 300e9, "space": PLAIN}
    return [*found, Family(name="a100_x4_pytorch", device="A100-SXM4-80GB-x4-LLMCompass", **host)]


def load(folder: Path) -> pd.DataFrame:
    """The measurements, with ranks a machine and the column ``held`` for rows put aside."""
    text = pd.read_csv(folder / "comm_dev.csv", dtype=str, keep_default_na=False)
    frame = pd.read_csv(folder / "comm_dev.csv")
    identity = ["device", "op", "dtype", "timing", "ngpus", "bytes", "model"]
    frame["held"] = [held_out(row) for row in text[identity].itertuples(index=False, name=None)]
    stated = text["model"].str.extract(r"devices_per_node=(\d+)")[0].astype(float)
    frame["per_node"] = stated.fillna(frame["ngpus"]).astype(int)
    return frame


def _decoded(place: np.ndarray, space: Space) -> dict[str, float]:
    items = zip(np.clip(place, 0.0, 1.0), space.items(), strict=True)
    return {name: float(f"{low * (high / low) ** u:.3g}") for u, (name, (low, high)) in items}


def fit(family: Family, frame: pd.DataFrame, evaluations: int) -> dict[str, float]:
    """Least mean error over rows not held out: random starts, then Nelder-Mead from the best few."""
    seen = frame[~frame["held"]].reset_index(drop=True)
    measured = seen["latency_us"].to_numpy(float) * 1e-6

    def loss(place: np.ndarray) -> float:
        ratio = family.predict(seen, _decoded(place, family.space)) / measured
        outside = np.sum(np.maximum(0.0, place - 1.0) ** 2 + np.maximum(0.0, -place) ** 2)
        return float(np.mean(np.minimum(np.abs(ratio - 1.0), 1.0)) + 0.25 * np.mean(np.abs(np.log(ratio))) + outside)

    generator = np.random.default_rng(zlib.crc32(family.name.encode()))
    starts = sorted(generator.random((200, len(family.space))).tolist(), key=lambda u: loss(np.array(u)))
    best, least = np.array(starts[0]), np.inf
    for start in starts[:4]:
        place = np.array(start)
        for _ in range(3):
            options = {"maxfev": evaluations, "xatol": 1e-3, "fatol": 1e-5, "adaptive": True}
            found = minimize(loss, np.clip(place, 0.02, 0.98), method="Nelder-Mead", options=options)
            place = found.x
        if found.fun < least:
            best, least = place, found.fun
    return _decoded(best, family.space)


def main(arguments: list[str]) -> int:
    """Fits what is asked for; returns 0, or 1 when nothing matched."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    default = Path(__file__).resolve().parents[1].parent / "shared" / "ground_truth" / "gpu"
    parser.add_argument("--data", type=Path, default=default)
    parser.add_argument("--only", default="", help="fit families whose name contains this")
    parser.add_argument("--evaluations", type=int, default=2500)
    given = parser.parse_args(arguments)
    frame = load(given.data)
    chosen = [family for family in families() if given.only in family.name]
    for family in chosen:
        rows = family.rows(frame)
        constants = fit(family, rows, given.evaluations)
        error = 100.0 * np.abs(family.predict(rows, constants) / (rows["latency_us"].to_numpy(float) * 1e-6) - 1.0)
        held = rows["held"].to_numpy()
        shown = {n: format_quantity(v, "s") if n in SECONDS else f"{v:.3g}" for n, v in constants.items()}
        parts = pd.Series(error[held]).groupby(rows["op"][held].to_numpy()).mean()
        print(
            f"# {family.name}: fitted {np.sum(~held)}: {error[~held].mean():.1f} %; "
            f"held out {np.sum(held)}: {error[held].mean():.1f} %"
        )
        print("\n".join(f"  {name}: {value}" for name, value in shown.items()))
        print(
            f"  validated: {{{', '.join(f'{PATTERN.get(op, op)}: {value:.1f}' for op, value in parts.items())}}}",
            flush=True,
        )
    return 0 if chosen else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
