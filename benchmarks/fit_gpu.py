"""Fits the software constants of `simt_gpu` to measured kernels and prints them as YAML fragments.

    python -m benchmarks.fit_gpu [--only TEXT] [--data ../shared/ground_truth/gpu] [--evaluations 1500] [--starts 3]

Rows of one device, kind of operator, format and timing mode make a family. A hash of each row's own text puts three
rows in ten aside; the constants are fitted to the rest and both errors are printed. Rows that belong to no family are
counted at the end with the reason. The families are listed in ``gpu_families``, their formulas in ``gpu_formulas``.
"""

from __future__ import annotations

import argparse
import math
import sys
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd  # noqa: TID253 -- a script, not part of the package
from scipy.optimize import minimize  # noqa: TID253 -- likewise

from benchmarks.gpu_families import Family, families
from benchmarks.gpu_formulas import SECONDS, Chip, Space, chips
from hwsim.loading.device import load_device
from hwsim.loading.library import find_by_alias
from hwsim.units import format_quantity

SHAPE = (
    "m", "n", "k", "batch", "rows", "cols", "heads", "kv_heads", "seq_q", "seq_kv", "head_dim", "causal", "cin",
    "cout", "h", "w", "kh", "kw", "stride", "pad", "model",
)  # fmt: skip
COLLECTIVE = ("device", "op", "dtype", "timing", "ngpus", "bytes", "model")  # what tells collectives apart


def held_out(row: Iterable[str]) -> bool:
    """Three rows in ten, chosen by the CRC-32 of device, op, dtype, timing and shape as the file writes them."""
    return zlib.crc32(",".join(row).encode()) % 10 < 3


@dataclass(frozen=True, kw_only=True)
class Fit:
    """Constants found and the percentage errors of fitted and held-out rows."""

    family: Family
    constants: Mapping[str, float]
    fitted: np.ndarray
    held: np.ndarray


def _decoded(u: np.ndarray, space: Space) -> dict[str, float]:
    constants = {}
    for place, (name, (low, high, logarithmic)) in zip(np.clip(u, 0.0, 1.0), space.items(), strict=True):
        value = low * (high / low) ** place if logarithmic else low + (high - low) * place
        constants[name] = float(f"{value:.3g}")
    return constants


def known_place(family: Family) -> list[float]:
    """The constants that the device file has now, as a place of the search; what it lacks lies low."""
    spec = load_device(find_by_alias(family.device))
    stack = next((stack for stack in spec.software.values() if family.timing in stack.timing), None)
    constants = dict(stack.kernels.get(family.name, {})) if stack else {}
    if "dispatch" in constants:
        constants["launch"] = constants.get("launch", 0.0) + constants["dispatch"]
    place = []
    for name, (low, high, logarithmic) in family.space.items():
        value = min(max(constants.get(name, low), low), high)
        place.append(math.log(value / low) / math.log(high / low) if logarithmic else (value - low) / (high - low))
    return [min(max(u, 0.02), 0.98) for u in place]


def fit(family: Family, frame: pd.DataFrame, chip: Chip, evaluations: int, descents: int = 3) -> Fit:
    """Least mean error over rows not held out: Nelder-Mead from the constants known and the best of random starts."""
    train = ~frame["held"].to_numpy()
    seen, measured = frame[train], frame["latency_us"].to_numpy(float) * 1e-6
    best: tuple[float, dict[str, float]] | None = None
    for variant in family.variants:

        def loss(u: np.ndarray, variant: Mapping[str, float] = variant) -> float:
            time = family.predict(seen, chip, {**_decoded(u, family.space), **variant})
            most = 0.5 * family.tick_s  # within half a tick the clock shows the same
            ratio = (time - np.clip(time - measured[train], -most, most)) / measured[train]
            outside = np.sum(np.maximum(0.0, u - 1.0) ** 2 + np.maximum(0.0, -u) ** 2)
            return float(
                np.mean(np.minimum(np.abs(ratio - 1.0), 1.0)) + 0.25 * np.mean(np.abs(np.log(ratio))) + outside
            )

        generator = np.random.default_rng(zlib.crc32(family.label.encode()))
        starts = sorted(
            generator.random((max(30, evaluations // 8), len(family.space))).tolist(), key=lambda u: loss(np.array(u))
        )
        for start in [known_place(family), *starts[:descents]]:
            options = {"maxfev": evaluations, "xatol": 1e-3, "fatol": 1e-5, "adaptive": True}
            found = minimize(loss, start, method="Nelder-Mead", options=options)
            found = minimize(loss, np.clip(found.x, 0.02, 0.98), method="Nelder-Mead", options=options)
            if best is None or found.fun < best[0]:
                best = (found.fun, {**_decoded(found.x, family.space), **variant})
    assert best is not None
    errors = 100.0 * np.abs(family.clocked(family.predict(frame, chip, best[1])) / measured - 1.0)
    return Fit(family=family, constants=best[1], fitted=errors[train], held=errors[~train])


def load(folder: Path, name: str) -> pd.DataFrame:
    """A file of measurements, with the column ``held`` for rows put aside."""
    path = folder / f"{name}_dev.csv"
    text = pd.read_csv(path, dtype=str, keep_default_na=False)
    frame = pd.read_csv(path)
    identity = ["device", "op", "dtype", "timing", *SHAPE]
    frame["held"] = [held_out(row) for row in text[identity].itertuples(index=False, name=None)]
    return frame


def rows_of(family: Family, frame: pd.DataFrame) -> pd.DataFrame:
    """The family's rows."""
    same = (frame["device"] == family.device) & (frame["dtype"] == family.dtype) & (frame["timing"] == family.timing)
    several = (frame["op"] != "attention_prefill") | (frame["seq_q"] > 1)  # one query is priced as decode
    return frame[same & several & frame["op"].isin(family.ops)]


def plain(value: float) -> str:
    """Three digits without an exponent, which YAML would take for a word.

    >>> plain(2803.0), plain(0.01234)
    ('2803', '0.0123')
    """
    return f"{value:.0f}" if value >= 1000 else f"{value:.3g}" if value >= 1e-4 or value == 0 else f"{value:.7f}"


def yaml_lines(found: Fit) -> list[str]:
    """The family as a line of a ``software:`` section, and what it was fitted to."""
    eager = found.family.timing in {"cuda_event_eager", "wall_clock_sync", "deepbench_wall_avg"}
    constants = dict(found.constants)
    if eager:  # what a device-side launch does not explain is the host's
        launch = min(constants["launch"], 3e-6)
        constants = {"dispatch": constants["launch"] - launch, **constants, "launch": launch}
    shown = {
        name: format_quantity(value, "s") if name in SECONDS | {"dispatch"} else plain(value)
        for name, value in constants.items()
        if math.isfinite(value)
    }
    family = found.family
    errors = "; ".join(
        f"{what} {len(part)}: {part.mean():.1f} mean, {np.median(part):.1f} median, {np.quantile(part, 0.9):.0f} p90"
        for what, part in (("fitted", found.fitted), ("held out", found.held))
    )
    return [
        f"# {family.label} {family.dtype}, {'/'.join(family.ops)}; % error, {errors}",
        f"{family.name}: {{{', '.join(f'{name}: {text}' for name, text in shown.items())}}}",
    ]


def main(arguments: list[str]) -> int:
    """Fits what is asked for; returns 0, or 1 when nothing matched."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    default = Path(__file__).resolve().parents[1].parent / "shared" / "ground_truth" / "gpu"
    parser.add_argument("--data", type=Path, default=default)
    parser.add_argument("--only", default="", help="fit families whose label (device, timing, name) contains this")
    parser.add_argument("--evaluations", type=int, default=1500)
    parser.add_argument("--starts", type=int, default=3)
    given = parser.parse_args(arguments)
    known = chips(given.data)
    frames = {name: load(given.data, name) for name in ("gemm", "vector", "attention", "conv_rnn")}
    used = {name: np.zeros(len(frame), dtype=bool) for name, frame in frames.items()}
    matched = 0
    for family in families():
        frame = rows_of(family, frames[family.file])
        used[family.file][frames[family.file].index.isin(frame.index)] = True
        if given.only in family.label and len(frame):
            matched += 1
            found = fit(family, frame, known[family.device], given.evaluations, given.starts)
            print("\n".join(yaml_lines(found)), flush=True)
    for name, mask in used.items():
        rest = frames[name][~mask].groupby(["device", "op", "dtype", "timing"]).size()
        for key, count in rest.items():
            print(f"# not fitted, no family: {count} rows of {name}_dev.csv, {' '.join(map(str, key))}")
    return 0 if matched else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
