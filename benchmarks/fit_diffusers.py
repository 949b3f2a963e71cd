"""Fits what collectives and sends cost in the stack `diffusers` (xDiT) to image and video generation on 2 to 8 GPUs.

    python benchmarks/fit_diffusers.py [--data ../shared/ground_truth]

Kernels, host and links are as the device and system files have them. A call of a collective takes `dispatch` on the
host, `floor` on the device and its time on the links over `memory`; a send has three such constants of its own. Host
and floor are shared by all chips, the shares of the links differ. A run takes its text encoders and decoder and the
longer of host and device in between, which is what the replay of these graphs comes to within 0.2 %. Least squares of
the logarithms with little weight on outliers, to all models and to all but one, which shows what holds for others.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd  # noqa: TID253 -- a script, not part of the package
from scipy.optimize import least_squares  # noqa: TID253 -- likewise

from hwsim import flow
from hwsim.devices.pricing import price_graph
from hwsim.graph.graph import Graph
from hwsim.graph.lowering import lower
from hwsim.operators.collectives import Exchange
from hwsim.specs.parallel import ParallelSpec
from hwsim.validation.matching import device_of, links_of
from hwsim.validation.measured import Row, read_measured
from hwsim.validation.networks import planned

STACK = "diffusers"
GROUPS = ("collective", "send")


def parts(row: Row) -> dict[str, float]:
    """Seconds of a run: outside the denoiser, its host and device without exchanges, and exchanges by group.

    Of a group ``group.calls``, and ``group.links``, the time on the links alone.
    """
    spec = device_of(row)
    stack = spec.software[STACK]
    parallel = ParallelSpec(ulysses=row.number("ulysses"), ring=row.number("ring"))
    found = links_of(spec.name, "", parallel.ranks)
    assert found is not None
    graph, _ = flow.prepare(planned(row).plans[0].graph(), [spec], [stack], parallel)
    lowered = lower(graph)
    costs = price_graph(lowered, spec, stack, interconnect=found[1], participants=len(found[0].devices)).rows
    total = {"rest": 0.0, "host": 0.0, "busy": 0.0}
    total |= {f"{group}.{what}": 0.0 for group in GROUPS for what in ("calls", "links")}
    for phase in graph.phases:
        start, stop = lowered.row_start[phase.first], lowered.row_start[phase.last]
        ids = lowered.row_ids[start:stop]
        host, whole = costs.dispatch_s[0, ids], costs.time_s[0, ids]
        group = np.array(list(_groups(graph, lowered.node_of[start:stop].tolist())))
        device = (whole - host) * phase.repeat
        if phase.name != "denoise":
            total["rest"] += max(float(device.sum()), float(host.sum()) * phase.repeat)
            continue
        total["host"] += float(host[group == ""].sum()) * phase.repeat
        total["busy"] += float(device[group == ""].sum())
        for name in GROUPS:
            chosen, known = group == name, stack.kernels[name]
            total[f"{name}.calls"] += int(chosen.sum()) * phase.repeat
            floor = known["floor"] * phase.repeat
            total[f"{name}.links"] += float((device[chosen] - floor).sum()) * known["memory"]
    return total


def _groups(graph: Graph, owners: list[int]) -> Iterator[str]:
    """Whether each row of a phase is a collective or a send; copies beside one are neither."""
    before = -1
    for owner in owners:
        op = graph.nodes[owner].op
        exchanged = isinstance(op, Exchange) and owner != before
        yield ("send" if op.kind == "send" else "collective") if exchanged else ""
        before = owner


def measured(path: Path) -> pd.DataFrame:
    """A row for each run on several GPUs: what was measured, and its parts."""
    file = read_measured(path)
    assert file is not None
    rows = [row for row in file.rows if row.number("num_gpus") > 1]
    columns = ("model", "device", "latency_s")
    known = [{name: row.text(name) for name in columns} | parts(row) for row in rows]
    return pd.DataFrame(known).astype({"latency_s": float})


def exchanges_s(frame: pd.DataFrame, constants: np.ndarray, chips: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Host's and device's seconds in collectives and sends; constants of each: dispatch, floor, shares by chip."""
    place = frame["device"].map(chips.index).to_numpy()
    host, device = np.zeros(len(frame)), np.zeros(len(frame))
    for group, (dispatch, floor, *shares) in zip(GROUPS, constants.reshape(2, -1), strict=True):
        calls = frame[f"{group}.calls"].to_numpy()
        host += dispatch * calls
        device += floor * calls + frame[f"{group}.links"].to_numpy() / np.array(shares)[place]
    return host, device


def latency_s(frame: pd.DataFrame, constants: np.ndarray, chips: list[str]) -> np.ndarray:
    """Seconds of every run."""
    host, device = exchanges_s(frame, constants, chips)
    busy = np.maximum(frame["host"].to_numpy() + host, frame["busy"].to_numpy() + device)
    return np.asarray(frame["rest"].to_numpy() + busy)


def fit(frame: pd.DataFrame, chips: list[str]) -> np.ndarray:
    """Least squares of the logarithms with soft_l1."""
    start = np.log([2e-4, 5e-5, *[0.4] * len(chips)] * 2)

    def errors(place: np.ndarray) -> np.ndarray:
        return np.asarray(np.log(latency_s(frame, np.exp(place), chips) / frame["latency_s"].to_numpy()))

    return np.asarray(np.exp(least_squares(errors, start, loss="soft_l1", f_scale=0.05).x))


def main() -> None:
    """Print the constants, and the error of every model when it is left out."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    default = Path(__file__).resolve().parents[1].parent / "shared" / "ground_truth"
    parser.add_argument("--data", type=Path, default=default)
    frame = measured(parser.parse_args().data / "apps" / "video_image.csv")
    chips = sorted(frame["device"].unique())
    found = fit(frame, chips)
    for group, (dispatch, floor, *shares) in zip(GROUPS, found.reshape(2, -1), strict=True):
        by_chip = ", ".join(f"{chip} {share:.3f}" for chip, share in zip(chips, shares, strict=True))
        print(f"{group}: dispatch {dispatch * 1e6:.0f} us, floor {floor * 1e6:.1f} us, memory {by_chip}")

    def error(constants: np.ndarray, rows: pd.DataFrame) -> np.ndarray:
        return np.asarray(100.0 * np.abs(latency_s(rows, constants, chips) / rows["latency_s"].to_numpy() - 1.0))

    print(f"fitted to all {len(frame)} runs: {error(found, frame).mean():.1f} %")
    left: list[float] = []
    for model, rows in frame.groupby("model"):
        out = error(fit(frame[frame["model"] != model], chips), rows)
        left += out.tolist()
        print(f"  {model} left out: {out.mean():.1f} %")
    print(f"left out, over all runs: {np.mean(left):.1f} %")


if __name__ == "__main__":
    main()
