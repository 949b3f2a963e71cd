"""Networks in the containers of frameworks, as NVIDIA's DeepLearningExamples measure them.

A row's model reads ``NETWORK/FRAMEWORK``, with ``:SIZE`` or `` +XLA`` behind it; the stacks that stand for it list the
timing ``framework_bench FRAMEWORK`` (or that with a precision behind it, which then comes first). Image networks are
timed after warm-up. BERT on TensorFlow 1 is not: run_squad.py prints the mean over all batches of its run, which XLA
compiled on the way, once for each shape of a batch.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from hwsim.flow import prepare
from hwsim.graph.graph import Graph
from hwsim.graph.lowering import lower
from hwsim.specs.device import DeviceSpec
from hwsim.specs.software import SoftwareSpec
from hwsim.validation.measured import Row

__all__ = ["FRAMEWORKS", "FUSED", "FrameworkRun", "closest_timings", "compilation_s", "framework_run"]

FRAMEWORKS = "framework_bench"
"""The timing of these rows."""
FUSED = ":fusion"
"""What follows a model that NeuSight ran through torch.compile."""
_MODEL = re.compile(r"(?P<network>[^/]+)/(?P<framework>\w+)(?::(?P<size>\w+))?(?: (?P<option>\+\w+))?$")
_QUESTIONS = 1024
"""Batches of questions in a run of BERT (--num_eval_iterations of scripts/finetune_inference_benchmark.sh)."""
_LONG = 384
_WINDOWS_LONG, _WINDOWS_SHORT = 1.025, 1.75
"""Windows of text a question makes: SQuAD's 10,570 questions make 10,833 of 384 tokens.

assumption: 1.75 of 128 tokens, from the passages' mean length and the rows in benchmarks/fit_frameworks.py.
"""


@dataclass(frozen=True, slots=True)
class FrameworkRun:
    """Which network ran; the timings that stacks may list for it, the closest first; shapes compiled a batch."""

    model: str
    timings: tuple[str, ...]
    compiled: float = 0.0


def framework_run(row: Row) -> FrameworkRun | None:
    """How a row was measured in a framework's container; None for a row of another kind."""
    found = _MODEL.match(row.text("model"))
    if row.text("timing") != FRAMEWORKS or found is None:
        return None
    network, framework, size, option = found.group("network", "framework", "size", "option")
    bert = network == "bert" and framework == "tf1"
    key = f"{FRAMEWORKS} {framework}" + (f" {option}" if option else " +XLA" if bert else "")
    model = f"{network}_{size}" if size else network
    return FrameworkRun(model, (f"{key} {row.text('dtype')}".rstrip(), key), _compiled(row) if bert else 0.0)


def closest_timings(row: Row) -> tuple[str, ...]:
    """Timings that stacks may list for a row beside the one it states, the closest first."""
    found = framework_run(row)
    if found is not None:
        return found.timings
    return (f"{row.text('timing')} fusion",) if row.text("model").endswith(FUSED) else ()


def compilation_s(graph: Graph, spec: DeviceSpec, stack: SoftwareSpec) -> float:
    """Seconds it takes to compile every kernel of a graph once."""
    ready, _ = prepare(graph, [spec], [stack])
    return len(lower(ready).row_ids) * stack.compile_s


def _compiled(row: Row) -> float:
    """Shapes compiled over batches run: the last batch is a second shape unless windows fill all batches alike.

    Pairs of windows of 128 tokens come out even, as all such rows show.
    """
    batch, tokens = row.number("batch"), row.number("seq_q")
    long = tokens >= _LONG
    shapes = 1 if batch == 1 or (batch == 2 and not long) else 2
    return shapes / (_QUESTIONS * (_WINDOWS_LONG if long else _WINDOWS_SHORT))
