"""How far predictions are from measurements, family by family, on rows that no constant was fitted to.

    python -m benchmarks.accuracy [--data ../shared/ground_truth] [--only TEXT] [--update]

Kernels: the rows that `fit_gpu.held_out` puts aside (by the CRC-32 of their own text), which every fit leaves alone;
collectives are told apart by ranks and bytes, as in `fit_links`; serving: by model, devices, chip and engine.
Everything else is scored whole; what was fitted there stands in `fitted_to:` of the device files. Prints Markdown, or
with `--update` writes it into README.md and docs/accuracy.md, and the held-out errors of all device files into
docs/accuracy/stacks.md.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import hwsim
from benchmarks.fit_gpu import COLLECTIVE, SHAPE, held_out
from hwsim.loading.library import list_devices
from hwsim.report.catalogue import families_by_error
from hwsim.validation.frameworks import FRAMEWORKS
from hwsim.validation.kernels import RECURRENT
from hwsim.validation.score import Score, scored
from hwsim.validation.serving import SERVING, serving_group
from hwsim.validation.validate import Compared, Validation, validate

_IDENTITY = ("device", "op", "dtype", "timing", *SHAPE)
Choice = Callable[[Compared], bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What was aimed at: the most that each error may be, in per cent, and the least rank correlation.

    ``note`` is said in the table. With ``together`` it is the mean over all lines of the same note that counts.
    """

    mape: float | None = None
    median: float | None = None
    p90: float | None = None
    rank: float | None = None
    note: str = ""
    together: bool = False

    def text(self) -> str:
        """As the table has it; no error at all is said by the note.

        >>> Target(median=20, p90=50, rank=0.95).text(), Target(mape=8, note="stretch").text(), Target().text()
        ('median 20, p90 50, rank 0.95', '8 (stretch)', '-')
        """
        if self.mape == 0:
            return self.note
        named = (("", self.mape), ("median ", self.median), ("p90 ", self.p90), ("rank ", self.rank))
        aims = ", ".join(f"{name}{value:g}" for name, value in named if value is not None)
        return f"{aims} ({self.note})" if self.note else aims or "-"

    def met(self, score: Score, mape: float) -> str:
        """``yes``, ``no``, or nothing where no target was set; ``mape`` is the line's, or that of lines together."""
        most = ((self.mape, mape), (self.median, score.median_ape), (self.p90, score.p90_ape))
        asked = [round(value, 1) <= limit if limit else value == 0 for limit, value in most if limit is not None]
        asked += [round(score.spearman, 2) >= self.rank] if self.rank is not None else []
        return ("yes" if all(asked) else "no") if asked else ""


_NONE = Target()
_PHONES_AND_BOARDS = Target(median=20, p90=50, rank=0.95)


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the table: which figures of which file count, and what was aimed at."""

    what: str
    file: str
    choose: Choice
    target: Target
    held: bool = False


def _of(*devices: str, ops: Sequence[str] = (), dtypes: Sequence[str] = (), metric: str = "time") -> Choice:
    return lambda each: (
        each.metric == metric
        and (not devices or each.row.spec in devices)
        and (not ops or each.row.op in ops)
        and (not dtypes or each.row.dtype in dtypes)
    )


def _ranks(least: int, most: int, metric: str) -> Choice:
    return lambda each: each.metric == metric and least <= int(each.row.row.text("num_gpus") or 1) <= most


def _in_containers(each: Compared) -> bool:
    return each.metric == "time" and each.row.timing == FRAMEWORKS


def _sustained(each: Compared) -> bool:
    """Power of kernels that last as long as the meter needs (below, it also shows what ran before)."""
    return each.metric == "power" and each.row.row.figures.get("latency_us", 0.0) >= 3e-4


_GEMM = "gpu/gemm_dev.csv"
_VECTOR = "gpu/vector_dev.csv"
_CONV = "gpu/conv_rnn_dev.csv"
_HALF = ("bf16", "fp16")
_ROWS = ("softmax", "layernorm", "rmsnorm")
_MAPS = ("add", "mul", "div", "relu", "gelu", "tanh", "pow", "silu_mul", "add_scalar", "mul_scalar", "div_scalar")
_MAPS += ("pow_scalar",)
LINES: tuple[Line, ...] = (
    Line(
        "systolic cycles, dense", "npu/scalesim_cycles.csv", lambda _: True, Target(mape=0, note="100 % of rows exact")
    ),
    Line(
        "systolic cycles, sparse",
        "npu/scalesim_sparsity.csv",
        lambda _: True,
        Target(mape=0, note="100 % of rows exact"),
    ),
    Line("TPU v4, products", "npu/tpuv4_gemm_measured.csv", _of(), Target(mape=8)),
    Line("TPU v4, vector operators", "npu/tpuv4_vector_ops_measured.csv", _of(), Target(mape=6)),
    *(
        Line(
            f"{chip}, products in bf16",
            _GEMM,
            _of(chip, dtypes=_HALF),
            Target(mape=7, note="mean of three", together=True),
            held=True,
        )
        for chip in ("a100_sxm_80gb", "h100_sxm", "b200_sxm")
    ),
    *(
        Line(f"{chip}, products", _GEMM, _of(chip), Target(mape=10), held=True)
        for chip in ("l40s", "v100_sxm2", "v100_pcie", "t4", "a100_pcie_40gb", "p100_pcie", "mi100")
    ),
    Line("Ascend 910B, products", _GEMM, _of("ascend_910b"), Target(mape=8, note="stretch"), held=True),
    Line("softmax and norms", _VECTOR, _of(ops=_ROWS), Target(mape=6), held=True),
    Line("element-wise", _VECTOR, _of(ops=_MAPS), Target(mape=1.5), held=True),
    Line("element-wise, fp32 eager", _VECTOR, _of(ops=_MAPS, dtypes=("fp32",)), Target(mape=1.5), held=True),
    Line("attention, prefill", "gpu/attention_dev.csv", _of(ops=("attention_prefill",)), Target(mape=12), held=True),
    Line("attention, decode", "gpu/attention_dev.csv", _of(ops=("attention_decode",)), Target(mape=12), held=True),
    Line("Ascend 910B, attention", "edge/ascend_910b_attention.csv", _of(), Target(mape=10, note="stretch")),
    Line("convolutions", _CONV, _of(ops=("conv2d",)), _NONE, held=True),
    Line("recurrent layers", _CONV, _of(ops=tuple(RECURRENT)), _NONE),
    Line("collectives", "gpu/comm_dev.csv", _of(), Target(mape=8), held=True),
    Line("power of products, 50 us and more", _GEMM, _of(metric="power"), Target(mape=8), held=True),
    Line("of these, 0.3 ms and more", _GEMM, _sustained, Target(mape=8), held=True),
    Line("power of attention, 50 us and more", "gpu/attention_dev.csv", _of(metric="power"), Target(mape=8), held=True),
    Line("of these, 0.3 ms and more", "gpu/attention_dev.csv", _sustained, Target(mape=8), held=True),
    Line("image networks on GPUs and CPUs", "edge/timm_gpu_cpu.csv", _of(), Target(median=12)),
    Line(
        "networks and language models on GPUs",
        "gpu/model_dev.csv",
        lambda e: e.metric == "time" and e.row.op not in SERVING,
        Target(median=12),
    ),
    Line("of these, in framework containers", "gpu/model_dev.csv", _in_containers, Target(median=12)),
    Line("serving, time to the first token", "gpu/model_dev.csv", _of(ops=("serve_ttft",)), _NONE, held=True),
    Line("serving, time between tokens", "gpu/model_dev.csv", _of(ops=("serve_tpot",)), _NONE, held=True),
    Line("serving, steps of a full batch", "gpu/model_dev.csv", _of(ops=("serve_decode_itl",)), _NONE, held=True),
    Line(
        "serving, power of those", "gpu/model_dev.csv", _of(ops=("serve_decode_itl",), metric="power"), _NONE, held=True
    ),
    Line(
        "serving, energy a token",
        "gpu/model_dev.csv",
        _of(ops=("serve_decode_itl",), metric="energy"),
        _NONE,
        held=True,
    ),
    Line(
        "llama.cpp, decode",
        "edge/llamacpp_gpu_apple.csv",
        lambda e: "decode" in e.row.row.text("model"),
        Target(mape=10),
    ),
    Line(
        "llama.cpp, prefill",
        "edge/llamacpp_gpu_apple.csv",
        lambda e: "prefill" in e.row.row.text("model"),
        Target(mape=15),
    ),
    Line("AI Hub networks", "edge/qualcomm_aihub.csv", _of(), _PHONES_AND_BOARDS),
    Line("Hailo networks", "edge/hailo_public.csv", _of(), _PHONES_AND_BOARDS),
    Line("Coral networks", "edge/coral_edgetpu.csv", _of(), _PHONES_AND_BOARDS),
    Line("ncnn networks on CPUs", "edge/ncnn_cpu_gpu.csv", _of(), _NONE),
    Line("Rockchip networks", "edge/rockchip_rknn.csv", _of(), _PHONES_AND_BOARDS),
    Line("video and image, 1 GPU, latency", "apps/video_image.csv", _ranks(1, 1, "time"), Target(mape=10)),
    Line("video and image, 1 GPU, energy", "apps/video_image.csv", _ranks(1, 1, "energy"), Target(mape=10)),
    Line("video and image, 1 GPU, power", "apps/video_image.csv", _ranks(1, 1, "power"), Target(mape=8)),
    Line("video and image, 2-8 GPUs, latency", "apps/video_image.csv", _ranks(2, 8, "time"), Target(mape=12)),
    Line("video and image, 2-8 GPUs, energy", "apps/video_image.csv", _ranks(2, 8, "energy"), Target(mape=12)),
)


def _held(each: Compared) -> bool:
    if each.row.op in SERVING:
        return held_out(serving_group(each.row.row))
    columns = each.row.row.columns
    identity = COLLECTIVE if columns.get("bytes") else _IDENTITY
    return held_out([columns.get(name, "") for name in identity])


def _score(line: Line, found: Validation) -> tuple[Score, int] | None:
    chosen = [each for each in found.compared if line.choose(each) and (not line.held or _held(each))]
    if not chosen:
        return None
    return scored([each.predicted for each in chosen], [each.measured for each in chosen]), len(chosen)


def _mean_error(line: Line, found: Validation) -> float:
    """The mean of the errors of all lines that share this one's file and target."""
    scores = [_score(each, found) for each in LINES if (each.file, each.target) == (line.file, line.target)]
    return float(np.mean([score[0].mape for score in scores if score is not None]))


def table(folder: Path, only: str = "") -> Iterator[str]:
    """Lines of a Markdown table; one file is read once."""
    yield "| what | rows | held out | MAPE | median | p90 | bias | rank | predicted | target | met |"
    yield "|---|---|---|---|---|---|---|---|---|---|---|"
    read: dict[str, Validation] = {}
    for line in LINES:
        if only not in line.what and only not in line.file:
            continue
        if line.file not in read:
            read[line.file] = validate(folder / line.file)
        found = read[line.file]
        scores = _score(line, found)
        if scores is None:
            yield f"| {line.what} | 0 | | | | | | | | {line.target.text()} | no |"
            continue
        score, rows = scores
        mape = _mean_error(line, found) if line.target.together else score.mape
        covered = 100.0 * found.covered / max(1, len(found.predictions))
        rank = "" if np.isnan(score.spearman) else f"{score.spearman:.2f}"
        figures = " | ".join(f"{value:.1f}" for value in (score.mape, score.median_ape, score.p90_ape))
        kind = "30 % by CRC" if line.held else ""
        yield (
            f"| {line.what} | {rows:,} | {kind} | {figures} | {score.bias:+.1f} | {rank} | {covered:.0f} % of the file "
            f"| {line.target.text()} | {line.target.met(score, mape)} |"
        )


def held_out_lines() -> list[str]:
    """Held-out errors by device and software stack as the device files have them, the worst first."""
    errors = {
        (name, stack.name): dict(stack.validated)
        for name in list_devices()
        for stack in hwsim.load_device(name).software.values()
        if stack.validated
    }
    ranked = sorted(errors, key=lambda key: (-max(errors[key].values()), *key))
    return [_held_out_line(*key, errors[key]) for key in ranked]


def _held_out_line(device: str, stack: str, errors: dict[str, float]) -> str:
    """Families that share a figure together, the largest first."""
    ranked = sorted(families_by_error(errors).items(), reverse=True)
    texts = [f"{', '.join(families)} {figure:g}" for figure, families in ranked]
    return f"| `{device}` | {stack} | {'; '.join(texts)} |"


def without_held_out() -> str:
    """The chips of which no figure was held out, as a list in prose."""
    known = {line.split("`")[1] for line in held_out_lines()} | {"ideal"}
    return ", ".join(f"`{name}`" for name in list_devices() if name not in known)


def between(page: Path, mark: str, lines: Sequence[str]) -> None:
    """Replace what stands between <!-- mark --> and <!-- /mark --> on a page."""
    text = page.read_text(encoding="utf-8")
    inside = re.compile(rf"(<!-- {mark} -->\n).*?(<!-- /{mark} -->)", re.DOTALL)
    page.write_text(inside.sub(lambda m: m[1] + "\n".join(lines) + "\n" + m[2], text), encoding="utf-8")


def main() -> None:
    """Print the table, or write it into the pages."""
    top = Path(__file__).resolve().parents[1]
    parser = argparse.ArgumentParser(description="Errors on held-out measurements, family by family.")
    parser.add_argument("--data", type=Path, default=top.parent / "shared" / "ground_truth")
    parser.add_argument("--only", default="", help="lines whose name or file contains this")
    parser.add_argument("--update", action="store_true", help="write into README.md and docs/")
    parser.add_argument("--held-out", action="store_true", help="update only what the device files say")
    given = parser.parse_args()
    stacks = top / "docs" / "accuracy" / "stacks.md"
    if given.update or given.held_out:
        header = ["| device | software stack | held-out error (%) |", "|---|---|---|"]
        between(stacks, "held out", [*header, *held_out_lines()])
        between(stacks, "without", [f"No figure at all was held out for {without_held_out()}."])
    if given.held_out:
        return
    lines = []
    for line in table(given.data, given.only):
        print(line, flush=True)
        lines.append(line)
    if given.update:
        for page in (top / "README.md", top / "docs" / "accuracy.md"):
            between(page, "accuracy", lines)


if __name__ == "__main__":
    main()
