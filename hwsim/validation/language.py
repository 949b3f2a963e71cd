"""A measured language model: which steps a row stands for, in which pieces, on how many chips."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from hwsim.errors import InputError
from hwsim.validation.measured import Row
from hwsim.validation.training import TRAINING

__all__ = ["LanguageRun", "chips_of", "language_run"]

_PROMPT = re.compile(r"(?:prefill )?(\d+)(?:-token prompt| tok)(?:(?: / |, gen )(\d+)(?: generated| tok))?")
_MANY = re.compile(r"(.+?) \* (\d+)$")
_LLAMA = ("llama-bench", "llama.cpp")
_PIECE, _BATCH = 512, 2048
"""Tokens that llama.cpp reads at once, and puts into its pipeline before it waits (-ub and -b of llama-bench)."""


@dataclass(frozen=True, slots=True)
class LanguageRun:
    """Parameters of each piece, run one after another; ``together`` of them are under way in a pipeline at once.

    ``tokens``: what the measured time is a share of (1: the whole). ``layered``: several chips hold layers in turn.
    """

    pieces: tuple[Mapping[str, object], ...]
    together: int = 0
    tokens: int = 1
    layered: bool = False


def chips_of(row: Row) -> tuple[str, int]:
    """The chip of a row and how many of them: ``3090 24GB * 4``, or the columns ``ngpus`` and ``num_gpus``."""
    name = row.text("device").replace("\N{NON-BREAKING HYPHEN}", "-")
    found = _MANY.match(name)
    if found:
        return found[1], int(found[2])
    for column in ("num_gpus", "ngpus"):
        if row.text(column):
            return name, row.number(column)
    return name, 1


def language_run(row: Row, timing: str) -> LanguageRun:
    """The steps of a row: a prompt read, or one token halfway through those that are written.

    A graph compiled for a fixed context (column ``ctx``) attends to all of it for each token.

    Raises:
        InputError: a serving benchmark, whose scheduler and batching are not simulated.
    """
    op, model = row.text("op"), row.text("model")
    if op in ("model_forward", TRAINING):
        return LanguageRun(({"phase": "prefill", "prompt": row.number("seq_q"), "logits": "all"},))
    if op == "llm_prefill":
        return _prefill(row.number("seq_q"), timing)
    if op == "llm_generate_per_token":
        written = row.number("seq_kv")
        context = max(1, written // 2) if timing in _LLAMA else written
        return LanguageRun(({"phase": "decode", "context": context},), layered=timing in _LLAMA)
    if not op and row.text("ctx"):
        return LanguageRun(({"phase": "decode", "context": row.number("ctx")},))
    found = _PROMPT.search(row.text("input"))
    if op or found is None:
        raise InputError(f"'{op or row.text('input')}' of a language model: scheduling and batching are not simulated")
    prompt, made = int(found[1]), int(found[2] or 0)
    if "prefill" in model:
        whole = _prefill(prompt, timing)
        return replace(whole, tokens=prompt if row.text("tokens_per_s") else 1)
    read = 0 if timing in _LLAMA else prompt
    return LanguageRun(({"phase": "decode", "context": max(1, read + made // 2)},), layered=timing in _LLAMA)


def _prefill(prompt: int, timing: str) -> LanguageRun:
    if timing not in _LLAMA:
        return LanguageRun(({"phase": "prefill", "prompt": prompt},))
    pieces = tuple(
        {"phase": "prefill", "prompt": min(_PIECE, prompt - past), "past": past} for past in range(0, prompt, _PIECE)
    )
    return LanguageRun(pieces, _BATCH // _PIECE, layered=True)
