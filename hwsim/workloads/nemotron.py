"""Nemotron Nano 2: state-space layers and MLPs in turn, with a few layers of attention among them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

from hwsim.workloads.decoder_shape import Decoder
from hwsim.workloads.language_models import Model, define_models
from hwsim.workloads.registry import Published
from hwsim.workloads.state_space import StateSpace

__all__ = ["HYBRIDS"]

_9B = Decoder(
    layers=56,
    width=4480,
    heads=40,
    kv_heads=8,
    hidden=15_680,
    vocab=131_072,
    head_dim=128,
    gated=False,
    act="relu2",
    rotary=False,
    layout="M-M-M-MM-M-M-M*-M-M-M*-M-M-M-M*-M-M-M-M*-M-MM-M-M-M-M-M-",
    mixer=StateSpace(heads=128, dim=80, state=128, groups=8),
)
_SOURCE = (
    "NVIDIA 2025, Nemotron Nano 2 technical report, section 2; sizes and order of layers as in the released "
    "config.json, from memory: the counts of parameters agree"
)

HYBRIDS: Mapping[str, Model] = MappingProxyType(
    {
        "nemotron_nano_9b_v2": (
            "Nemotron Nano 9B v2",
            _SOURCE,
            _9B,
            Published(parameters=8_890_000_000, source="model card: 8.89B"),
        ),
        "nemotron_nano_12b_v2": (
            "Nemotron Nano 12B v2",
            _SOURCE,
            replace(
                _9B,
                layers=62,
                width=5120,
                hidden=20_480,
                layout="M-M-M-M*-M-M-M-M*-M-M-M-M*-M-M-M-M*-M-M-M-M*-M-M-M-M*-M-M-M-M-",
            ),
            Published(parameters=12_310_000_000, source="model card: 12.31B"),
        ),
    }
)
"""Title, source, shape and published counts of each named model."""

define_models(__name__, HYBRIDS)
