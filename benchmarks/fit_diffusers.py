"""Fits what collectives, sends and divided attention cost in the stack `diffusers` (xDiT) to runs on 2 to 8 GPUs.

    python benchmarks/fit_diffusers.py [--data ../shared/ground_truth]

Kernels, host, links and the shares of the links (`memory`: 0.9 and 1, near what a fit of them gives) are as the device
and system files have them. A call of a collective takes `dispatch` on the host and `floor` on the device beyond its
time on the links; a send has two such constants of its own. An attention that ranks share takes the host a while for
itself (the dispatch of `pack_queries`, with which it starts). Attention to a rank's keys takes some times as long as
the same sizes on one GPU, where another library's kernel runs. A run takes its text encoders and decoder and the longer
of host and device in between, which is what the replay of these graphs comes to within 0.2 %. Least squares of the
logarithms with little weight on outliers, to all models and to all but one, which shows what holds for others.
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
PART, CALL = "attention_part", "pack_queries"


def parts(row: Row) -> dict[str, float]:
    """Seconds of a run: outside the denoiser, its host and device without exchanges, attention alone, exchanges, calls.

    Of exchanges ``group.calls``, and ``group.links``, the time on the links. Attention is without its factor.
    """
    spec = device_of(row)
    stack = spec.software[STACK]
    parallel = ParallelSpec(ulysses=row.number("ulysses"), ring=row.number("ring"))
    found = links_of(spec.name, "", parallel.ranks)
    assert found is not None
    graph, _ = flow.prepare(planned(row).plans[0].graph(), [spec], [stack], parallel)
    lowered = lower(graph)
    slower = stack.kernels[PART]["compute"] / stack.kernels["attention_prefill"]["compute"]
    costs = price_graph(lowered, spec, stack, interconnect=found[1], participants=len(found[0].devices)).rows
    total = {"rest": 0.0, "host": 0.0, "busy": 0.0, "attention": 0.0, "shared": 0.0}
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
        kernels = np.array([lowered.works[i].kernel for i in ids.tolist()])
        part, call = kernels == PART, kernels == CALL
        total["shared"] += int(call.sum()) * phase.repeat
        total["host"] -= float(host[call].sum()) * phase.repeat
        total["attention"] += float(device[part].sum()) * slower
        total["busy"] -= float(device[part].sum()) * (1.0 - slower)
        for name in GROUPS:
            chosen, known = group == name, stack.kernels[name]
            total[f"{name}.calls"] += int(chosen.sum()) * phase.repeat
            total[f"{name}.links"] += float((device[chosen] - known["floor"] * phase.repeat).sum())
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


def latency_s(frame: pd.DataFrame, constants: np.ndarray) -> np.ndarray:
    """Seconds of every run; constants: dispatch and floor of both groups, host of a call, the factor of attention."""
    *exchanges, call, slower = constants
    host = frame["host"].to_numpy() + call * frame["shared"].to_numpy()
    device = frame["busy"].to_numpy() + (slower - 1.0) * frame["attention"].to_numpy()
    for group, (dispatch, floor) in zip(GROUPS, np.reshape(exchanges, (2, 2)), strict=True):
        calls = frame[f"{group}.calls"].to_numpy()
        host = host + dispatch * calls
        device = device + floor * calls + frame[f"{group}.links"].to_numpy()
    return np.asarray(frame["rest"].to_numpy() + np.maximum(host, device))


def fit(frame: pd.DataFrame) -> np.ndarray:
    """Least squares of the logarithms with soft_l1."""
    start = np.log([1e-4, 5e-5, 1e-4, 5e-5, 5e-4, 1.1])

    def errors(place: np.ndarray) -> np.ndarray:
        return np.asarray(np.log(latency_s(frame, np.exp(place)) / frame["latency_s"].to_numpy()))

    return np.asarray(np.exp(least_squares(errors, start, loss="soft_l1", f_scale=0.05).x))


def main() -> None:
    """Print the constants, and the error of every model when it is left out."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    default = Path(__file__).resolve().parents[1].parent / "shared" / "ground_truth"
    parser.add_argument("--data", type=Path, default=default)
    frame = measured(parser.parse_args().data / "apps" / "video_image.csv")
    found = fit(frame)
    for group, (dispatch, floor) in zip(GROUPS, found[:4].reshape(2, 2), strict=True):
        print(f"{group}: dispatch {dispatch * 1e6:.0f} us, floor {floor * 1e6:.1f} us")
    print(f"host of an attention that ranks share: {found[4] * 1e6:.0f} us")
    print(f"attention to a rank's keys: {found[5]:.3f} times as long")

    def error(constants: np.ndarray, rows: pd.DataFrame) -> np.ndarray:
        return np.asarray(100.0 * np.abs(latency_s(rows, constants) / rows["latency_s"].to_numpy() - 1.0))

    print(f"fitted to all {len(frame)} runs: {error(found, frame).mean():.1f} %")
    left: list[float] = []
    for model, rows in frame.groupby("model"):
        out = error(fit(frame[frame["model"] != model]), rows)
        left += out.tolist()
        print(f"  {model} left out: {out.mean():.1f} %")
    print(f"left out, over all runs: {np.mean(left):.1f} %")


if __name__ == "__main__":
    main()
