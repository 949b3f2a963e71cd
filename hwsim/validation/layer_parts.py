"""Operators of one transformer layer, as LLMCompass measured them one by one (Zhang et al., ISCA 2024, figure 5)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from hwsim.errors import InputError
from hwsim.graph.operator import Operator
from hwsim.graph.tensor import TensorType
from hwsim.graph.work import Collective, Work
from hwsim.operators.gelu import Gelu
from hwsim.operators.layernorm import LayerNorm
from hwsim.operators.linear import Linear
from hwsim.operators.matmul import Matmul
from hwsim.operators.softmax import Softmax
from hwsim.validation.measured import Row

__all__ = ["PART", "layer_part"]

PART = "layer_part:"
"""What such a row's operator begins with."""
_LAYER = re.compile(r"(?P<model>\w+?)_layer_(?P<phase>prefill|decode)_b(?P<batch>\d+)_s(?P<seq>\d+)_tp(?P<ranks>\d+)$")
_SHAPES: Mapping[str, tuple[int, int]] = MappingProxyType({"gpt3_175b": (12_288, 96)})
"""Width and heads (Brown et al. 2020, Language Models are Few-Shot Learners, Table 2.1)."""
_BYTES = 2


def layer_part(row: Row, fmt: str) -> Work:
    """The Work of one rank; raises InputError for a layer or a part that is not known.

    Heads and the perceptron's rows are divided among the ranks, which add up their outputs (Shoeybi et al.,
    Megatron-LM, 2019, section 3).
    """
    found = _LAYER.match(row.text("model"))
    if found is None or found["model"] not in _SHAPES:
        raise InputError(f"no layer '{row.text('model')}'")
    width, heads = _SHAPES[found["model"]]
    batch, seq, ranks = (int(found[name]) for name in ("batch", "seq", "ranks"))
    queries = seq if found["phase"] == "prefill" else 1
    tokens, heads, dim = batch * queries, heads // ranks, width // heads
    part = row.text("op").removeprefix(PART)
    if part.startswith("AllReduce"):
        size = tokens * width * _BYTES
        return Collective(kernel="all_reduce", pattern="all_reduce", bytes=size, participants=ranks, format=fmt)
    wide = 4 * width // ranks
    parts: Mapping[str, tuple[Operator, Sequence[tuple[int, ...]]]] = {
        "Q_K_V": (Linear(), ((tokens, width), (3 * width // ranks, width))),
        "Q_mul_K": (Matmul(), ((batch * heads, queries, dim), (batch * heads, dim, seq))),
        "Softmax": (Softmax(), ((batch * heads * queries, seq),)),
        "A_mul_V": (Matmul(), ((batch * heads, queries, seq), (batch * heads, seq, dim))),
        "Wo_proj": (Linear(), ((tokens, width // ranks), (width, width // ranks))),
        "LayerNorm": (LayerNorm(), ((tokens, width),)),
        "W1_proj": (Linear(), ((tokens, width), (wide, width))),
        "GeLU": (Gelu(), ((tokens, wide),)),
        "W2_proj": (Linear(), ((tokens, wide), (width, wide))),
    }
    name = "LayerNorm" if part.startswith("LayerNorm") else part
    if name not in parts:
        raise InputError(f"no part '{part}' of a layer")
    operator, shapes = parts[name]
    weighted = isinstance(operator, Linear)
    inputs = [TensorType(shape, fmt, weight=weighted and place == 1) for place, shape in enumerate(shapes)]
    (work,) = operator.lower(inputs, operator.infer(inputs))
    return work
