"""Fits the constants of interconnects to measured collectives and prints them as YAML fragments.

    python -m benchmarks.fit_links [--only TEXT] [--data ../shared/ground_truth/gpu] [--starts 6] [--without RANKS]

A family is what one software measured on one kind of machine. A hash of each row's own text puts three rows in ten
aside (`held_out_rows`); the constants are fitted to the rest, by least squares of the logarithms with little weight on
outliers, and both errors are printed, the second by pattern. Kernels timed in a profiler take the constants of the
same chip in NCCL's own benchmark; only what differs is fitted. `--without 4` leaves all rows on 4 GPUs out as well and
prints their error alone.
"""

from __future__ import annotations

import argparse
import sys
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd  # noqa: TID253 -- a script, not part of the package
from scipy.optimize import least_squares  # noqa: TID253 -- likewise

from benchmarks.fit_gpu import COLLECTIVE, held_out
from hwsim.cost.link import (
    EagerConstants,
    ExchangeConstants,
    LineConstants,
    LinkConstants,
    NetworkConstants,
    collective_time_s,
    network_time_s,
)
from hwsim.units import format_quantity

Space = Mapping[str, tuple[float, float]]
BULK: Space = {
    "base": (1e-6, 2e-4), "step": (1e-7, 3e-5), "efficiency": (0.005, 1.0), "overlap": (0.5, 5.0), "own": (0.01, 1.0),
}  # fmt: skip
EAGER: Space = {
    "eager.base": (1e-6, 3e-5), "eager.step": (1e-7, 5e-6), "eager.widen": (0.01, 1.0),
    "eager.efficiency": (0.005, 0.6),
}  # fmt: skip
LINES: Space = {"lines.base": (1e-6, 5e-5), "lines.step": (1e-7, 2e-5), "lines.efficiency": (0.05, 1.0)}
EXCHANGE: Space = {
    "exchange.base": (1e-6, 3e-5), "exchange.jump": (1e-7, 2e-5), "exchange.peer": (1e-8, 5e-6),
    "exchange.efficiency": (0.005, 1.0), "exchange.own": (0.01, 1.0), "exchange.overlap": (0.5, 5.0),
}  # fmt: skip
INSIDE: Space = {**BULK, **EAGER, **EXCHANGE}
SWITCH: Space = {"switch": (1e-5, 3e-4), "switch_efficiency": (0.2, 1.0)}
FIXED: Space = {n: b for n, b in INSIDE.items() if n.split(".")[-1] not in ("step", "peer")}  # one number of ranks
PLAIN: Space = {name: BULK[name] for name in ("base", "step", "efficiency", "overlap")}
SENDS: Space = {n: b for n, b in EXCHANGE.items() if n.split(".")[-1] not in ("peer", "own")}
MEETING: Space = {"meeting": (1e-7, 1e-4), "pair": (1e-6, 1e-4), "pair_bytes": (2e3, 4e6)}
NETWORK: Space = {
    "base": (1e-6, 1e-4), "efficiency": (0.05, 1.0), "sum": (1e-6, 2e-4), "sum_efficiency": (0.05, 1.0),
}  # fmt: skip
SECONDS = {"base", "step", "peer", "jump", "switch", "meeting", "pair", "sum"}
EAGER_OWN = 4.5  # of NVLink systems together; memory is so much faster than PCIe that a copy beside it costs nothing
PATTERN = {"alltoall": "all_to_all", "send_recv": "send"}
# Bandwidths of rings in NCCL's own model: links x GB/s a link of src/graph/topo.h; its limits llMaxBws of tuning.cc
PLANNED = {300e9: (87.7e9, 240e9), 450e9: (141e9, 370.8e9), 900e9: (282e9, 721.8e9), 32e9: (12e9, 24e9)}


@dataclass(frozen=True, kw_only=True)
class Family:
    """Rows of one device and timing, on so many ranks where given, inside a machine or between machines.

    ``base``: constants of another family that are taken over.
    """

    name: str
    device: str
    timing: str
    bandwidth: float
    space: Space
    ranks: tuple[int, ...] = ()
    ops: tuple[str, ...] = ()
    between: int = 0  # ranks that share a port of the network; 0: links inside a machine
    base: str = ""

    def rows(self, frame: pd.DataFrame) -> pd.DataFrame:
        """The family's rows."""
        same = (frame["device"] == self.device) & (frame["timing"] == self.timing)
        if self.ranks:
            same &= frame["ngpus"].isin(self.ranks)
        if self.ops:
            same &= frame["op"].isin(self.ops)
        return frame[same & ((frame["per_node"] < frame["ngpus"]) == bool(self.between))].reset_index(drop=True)

    def predict(self, frame: pd.DataFrame, constants: Mapping[str, float]) -> np.ndarray:
        """Seconds of every row."""
        time = np.zeros(len(frame))
        for (op, ranks, per_node), part in frame.groupby(["op", "ngpus", "per_node"]):
            pattern, size = PATTERN.get(op, op), part["bytes"].to_numpy(float)
            if self.between:
                known = _named(constants)
                wire = NetworkConstants(bandwidth_bytes_per_s=self.bandwidth, ranks_per_port=self.between, **known)
                time[part.index] = network_time_s(pattern, size, ranks, per_node, wire)
            else:
                links = self.links(constants)
                time[part.index] = collective_time_s(pattern, size, ranks, links)
        return time

    def links(self, constants: Mapping[str, float]) -> LinkConstants:
        """Constants of the formula."""
        parts = {
            part: _named({n[len(part) + 1 :]: v for n, v in constants.items() if n.startswith(part)})
            for part in ("eager", "lines", "exchange")
        }
        eager, bulk = PLANNED[self.bandwidth]
        planned = {"planned_eager_bytes_per_s": eager, "planned_bulk_bytes_per_s": bulk}
        over, own = ("pcie", 0.0) if self.bandwidth < 50e9 else ("nvlink", EAGER_OWN)
        return LinkConstants(
            bandwidth_bytes_per_s=self.bandwidth,
            eager=EagerConstants(**{"step_s": 0.0} | parts["eager"] | planned, over=over, own=own)
            if parts["eager"]
            else None,
            lines=LineConstants(**parts["lines"]) if parts["lines"] else None,
            exchange=ExchangeConstants(**parts["exchange"]) if parts["exchange"] else None,
            **_named({n: v for n, v in constants.items() if "." not in n}),
        )


def _named(constants: Mapping[str, float]) -> dict[str, float]:
    return {f"{name}_s" if name in SECONDS else name: value for name, value in constants.items()}


def families() -> list[Family]:
    """Everything this script fits; bandwidths are those of the data sheets, of one rank and direction."""
    nccl = {"timing": "nccl_bench"}
    found = [
        Family(name="a100", device="A100-SXM4-80GB", bandwidth=300e9, space=INSIDE | LINES, **nccl),
        Family(name="h100", device="H100-SXM5-80GB", bandwidth=450e9, space=INSIDE | SWITCH, **nccl),
        Family(name="b200", device="B200-SXM", bandwidth=900e9, space=INSIDE, **nccl),
    ]
    found += [
        Family(name=f"l40s_x{n}", device="L40S", bandwidth=32e9, space=FIXED, ranks=(n,), **nccl) for n in (2, 4, 8)
    ]
    sends = {"timing": "profiler_kernel", "ops": ("send_recv",)}
    sums = {"timing": "profiler_kernel", "ops": ("all_reduce",), "space": MEETING}
    for name, device, bandwidth, base, ranks in (
        ("a100_dgx", "A100-SXM4-80GB(DGX)", 300e9, "a100", (2, 4, 8)),
        ("h100_dgx", "H100-SXM5-80GB(DGX)", 450e9, "h100", (2, 4, 8)),
        ("a100_pair_x2", "A100-pairwise-NVLink", 300e9, "a100", (2,)),
    ):
        common = {"device": device, "bandwidth": bandwidth, "ranks": ranks}
        found.append(Family(name=f"{name} sums", base=base, **common, **sums))
        found.append(Family(name=f"{name} sends", space=SENDS, **common, **sends))
    plain = {"timing": "profiler_kernel", "space": PLAIN}
    wire = {"timing": "profiler_kernel", "space": NETWORK}
    alone = {name: NETWORK[name] for name in ("base", "efficiency")}
    slow = alone | {"long_efficiency": (0.05, 1.0)}
    found += [
        Family(name="a100_pair_x4", device="A100-pairwise-NVLink", bandwidth=32e9, ranks=(4,), **plain),
        Family(name="a100_dgx network", device="A100-SXM4-80GB(DGX)", bandwidth=12.5e9, between=2, **wire),
        Family(
            name="h100_dgx network", device="H100-SXM5-80GB(DGX)", bandwidth=50e9, between=1, **wire | {"space": alone}
        ),
        Family(
            name="a100_pair network",
            device="A100-pairwise-NVLink",
            bandwidth=12.5e9,
            between=1,
            **wire | {"space": slow},
        ),
    ]
    host = {"timing": "wall_clock_sync", "bandwidth": 300e9, "space": PLAIN}
    return [*found, Family(name="a100_x4_pytorch", device="A100-SXM4-80GB-x4-LLMCompass", **host)]


def held_out_rows(text: pd.DataFrame) -> list[bool]:
    """Which rows are put aside, from the file's columns as text."""
    return [held_out(row) for row in text[list(COLLECTIVE)].itertuples(index=False, name=None)]


def load(folder: Path) -> pd.DataFrame:
    """The measurements, with ranks a machine and the column ``held`` for rows put aside."""
    text = pd.read_csv(folder / "comm_dev.csv", dtype=str, keep_default_na=False)
    frame = pd.read_csv(folder / "comm_dev.csv")
    frame["held"] = held_out_rows(text)
    stated = text["model"].str.extract(r"devices_per_node=(\d+)")[0].astype(float)
    frame["per_node"] = stated.fillna(frame["ngpus"]).astype(int)
    return frame


def fit(family: Family, rows: pd.DataFrame, known: Mapping[str, float], starts: int) -> dict[str, float]:
    """Least squares of the logarithms from random places, with soft_l1 for outliers; ``known`` stay as they are."""
    measured = rows["latency_us"].to_numpy(float) * 1e-6
    low, high = (np.log([bounds[i] for bounds in family.space.values()]) for i in (0, 1))

    def constants(place: np.ndarray) -> dict[str, float]:
        return {**known, **dict(zip(family.space, np.exp(place).tolist(), strict=True))}

    def errors(place: np.ndarray) -> np.ndarray:
        return np.log(family.predict(rows, constants(place)) / measured)

    generator = np.random.default_rng(zlib.crc32(family.name.encode()))
    places = [low + (high - low) * generator.uniform(0.2, 0.8, len(low)) for _ in range(starts)]
    found = [least_squares(errors, x, bounds=(low, high), loss="soft_l1", f_scale=0.05, max_nfev=200) for x in places]
    best = min(found, key=lambda each: each.cost)
    return {name: float(f"{value:.3g}") for name, value in constants(best.x).items()}


def meet(family: Family, rows: pd.DataFrame, known: Mapping[str, float], pair_bytes: float) -> dict[str, float]:
    """The waits for the last rank, by least mean error: kernels of equal size take 7 or 40 us."""
    two = rows["ngpus"] == 2
    found = {**known, "pair_bytes": float(f"{pair_bytes:.3g}")}
    for name, chosen in (("meeting", rows[~two]), ("pair", rows[two & (rows["bytes"] >= found["pair_bytes"])])):
        if len(chosen):
            tried = [{**found, name: float(f"{value:.3g}")} for value in np.geomspace(*MEETING[name], 200)]
            found = min(tried, key=lambda each: _mean_error(family, chosen.reset_index(drop=True), each))
    return found


def waits(
    profiled: Sequence[Family], rows: pd.DataFrame, done: Mapping[str, Mapping[str, float]]
) -> dict[str, dict[str, float]]:
    """Constants with waits; two ranks wait from as many bytes on in all systems of the profile.

    The most bytes whose mean error is within a standard error of the least: single short kernels decide below that.
    """

    def tried(pair_bytes: float) -> tuple[np.ndarray, dict[str, dict[str, float]]]:
        found = {f.name: meet(f, f.rows(rows), done[f.base], pair_bytes) for f in profiled}
        return np.concatenate([_errors(f, f.rows(rows), found[f.name]) for f in profiled]), found

    if not profiled:
        return {}
    every = [tried(least) for least in np.geomspace(*MEETING["pair_bytes"], 40)[::-1]]
    best = min((errors for errors, _ in every), key=np.mean)
    beyond = [errors - best for errors, _ in every]
    return next(found for (_, found), more in zip(every, beyond, strict=True) if _is_slight(more))


def _is_slight(more: np.ndarray) -> bool:
    """Whether errors exceed others by no more than a standard error (Breiman et al. 1984, section 3.4.3)."""
    return bool(more.mean() <= more.std() / np.sqrt(len(more)))


def _errors(family: Family, rows: pd.DataFrame, constants: Mapping[str, float]) -> np.ndarray:
    measured = rows["latency_us"].to_numpy(float) * 1e-6
    return np.asarray(np.abs(family.predict(rows, constants) / measured - 1.0))


def _mean_error(family: Family, rows: pd.DataFrame, constants: Mapping[str, float]) -> float:
    return 0.0 if rows.empty else float(np.mean(_errors(family, rows, constants)))


def main(arguments: list[str]) -> int:
    """Fits what is asked for; returns 0, or 1 when nothing matched."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    default = Path(__file__).resolve().parents[1].parent / "shared" / "ground_truth" / "gpu"
    parser.add_argument("--data", type=Path, default=default)
    parser.add_argument("--only", default="", help="fit families whose name contains this")
    parser.add_argument("--starts", type=int, default=6)
    parser.add_argument("--without", type=int, default=0, help="ranks whose rows are left out as well")
    given = parser.parse_args(arguments)
    frame = load(given.data)
    out = (frame["ngpus"] == given.without) | frame["held"] if given.without else frame["held"]
    everything = families()
    chosen = [family for family in everything if given.only in family.name]
    waiting = [family for family in everything if family.base] if any(family.base for family in chosen) else []
    needed = {family.base for family in waiting} | {family.name for family in chosen if not family.base}
    done = {
        family.name: fit(family, family.rows(frame[~out]), {}, given.starts)
        for family in everything
        if family.name in needed
    }
    done |= waits(waiting, frame[~out], done)
    for family in chosen:
        rows = family.rows(frame)
        judge = rows["ngpus"] == given.without if given.without else rows["held"]
        _print(family, rows, judge.to_numpy(), done[family.name])
    return 0 if chosen else 1


def _print(family: Family, rows: pd.DataFrame, out: np.ndarray, constants: Mapping[str, float]) -> None:
    error = 100.0 * np.abs(family.predict(rows, constants) / (rows["latency_us"].to_numpy(float) * 1e-6) - 1.0)
    print(
        f"# {family.name}: fitted {np.sum(~out)}: {error[~out].mean():.1f} %; "
        f"held out {np.sum(out)}: {error[out].mean():.1f} %"
    )
    for name, value in constants.items():
        if name in family.space:
            unit = "s" if name.split(".")[-1] in SECONDS else "B" if name == "pair_bytes" else ""
            print(f"  {name}: {format_quantity(value, unit) if unit else f'{value:.3g}'}")
    parts = pd.Series(error[out]).groupby([rows["op"][out].to_numpy(), rows["ngpus"][out].to_numpy()]).mean()
    print("  by pattern and ranks:", ", ".join(f"{op} x{n}: {value:.1f}" for (op, n), value in parts.items()))
    parts = pd.Series(error[out]).groupby(rows["op"][out].to_numpy()).mean()
    found = ", ".join(f"{PATTERN.get(op, op)}: {value:.1f}" for op, value in parts.items())
    print(f"  validated: {{{found}}}", flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
