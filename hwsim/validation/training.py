"""Training steps as NeuSight times them: on one GPU, or on several that share the batch or the layers (Megatron-LM)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from hwsim.errors import InputError
from hwsim.graph.work import Collective

__all__ = ["TRAINING", "Division", "division_of", "gradients", "training_passes"]

TRAINING = "model_train_iter"
"""Rows of a whole training step: a prompt read, and its gradients."""
_DIVIDED = re.compile(r"(?P<model>[^:]+):(?P<kind>dp|tp|pp)(?P<degree>\d+)(?:_(?P<pieces>\d+))?$")


@dataclass(frozen=True, slots=True)
class Division:
    """How ``degree`` GPUs share a step: ``dp`` each has a part of the batch, ``pp`` a part of the layers.

    A pipeline cuts the batch into ``pieces``, which follow each other through its stages.
    """

    kind: str
    degree: int
    pieces: int = 1

    @property
    def parts(self) -> int:
        """Into how many parts the batch is cut."""
        return self.degree if self.kind == "dp" else self.pieces


def division_of(model: str) -> tuple[str, Division | None]:
    """A model's name without what says how GPUs share it, and that; raises InputError for shared heads (``tp``)."""
    found = _DIVIDED.match(model)
    if found is None:
        return model, None
    if found["kind"] == "tp":
        raise InputError("gradients of heads and features divided among GPUs are not simulated")
    return found["model"], Division(found["kind"], int(found["degree"]), int(found["pieces"] or 1))


def training_passes(workload: str, division: Division | None) -> str:
    """What a step makes of a network's graph.

    NeuSight's own loop leaves the optimizer out and never clears gradients; GPT-2's GELU runs as it is written.
    Megatron-LM, as Accelerate runs it, updates the weights with Adam in a data-parallel step and has a GELU of its own.
    OPT drops no weights of attention (its released configuration).
    """
    drop = "dropout:attention=false" if workload.startswith("opt_") else "dropout"
    if division is None:
        return f"unfuse_attention,spell_gelu,{drop},backward:optimizer=none:accumulate=true"
    return f"unfuse_attention,{drop},backward:optimizer={'adam' if division.kind == 'dp' else 'none'}"


def gradients(size_bytes: int, division: Division) -> Collective:
    """The exchange that adds up the gradients of all weights, in fp32."""
    ranks = division.degree
    return Collective(kernel="all_reduce", pattern="all_reduce", bytes=size_bytes, participants=ranks, format="fp32")
