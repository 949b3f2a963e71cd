"""Number formats, precision schemes, and tensors with shape and format."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from hwsim.errors import ShapeError
from hwsim.graph.storage import Storage
from hwsim.registry import unknown_name

__all__ = [
    "AUTO",
    "BITS",
    "FORMATS",
    "FORMAT_CODE",
    "PRICED_AS",
    "SCHEMES",
    "Scheme",
    "Tensor",
    "TensorType",
    "scheme",
]

AUTO = "auto"
"""The format of a tensor until a graph meets a device or a scheme."""

BITS: Mapping[str, float] = MappingProxyType(
    {
        "fp64": 64,
        "fp32": 32,
        "tf32": 32,  # stored as fp32, multiplied with 10 mantissa bits
        "bf16": 16,
        "fp16": 16,
        "fp8": 8,
        "fp4": 4.5,  # 4 bits and an fp8 scale every 16 elements (NVFP4)
        "int64": 64,
        "int32": 32,
        "int16": 16,
        "int8": 8,
        "int4": 4.5,  # 4 bits and an fp16 scale every 32 elements
        "bool": 8,
        "uint64": 64,
        "uint32": 32,
        "uint16": 16,
        "uint8": 8,
        "uint4": 4,
        "fp8_e5m2": 8,
    }
)
PRICED_AS: Mapping[str, str] = MappingProxyType(
    {"uint64": "int64", "uint32": "int32", "uint16": "int16", "uint8": "int8", "uint4": "int4", "fp8_e5m2": "fp8"}
)
"""Formats whose arithmetic costs on every device what that of another format of their width does."""
FORMATS: tuple[str, ...] = tuple(name for name in BITS if name not in PRICED_AS)
FORMAT_CODE: Mapping[str, int] = MappingProxyType({name: FORMATS.index(PRICED_AS.get(name, name)) for name in BITS})

_ROLES = ("activation", "input", "weight", "state")


@dataclass(frozen=True, slots=True, kw_only=True)
class Scheme:
    """Which format weights, activations and the matrix unit's operands have.

    ``matrix`` is the format both operands enter the matrix unit with: in weight-only quantization the
    weights are widened first, in dynamic quantization the activations are narrowed first.
    """

    name: str
    weight: str
    activation: str
    matrix: str


def _plain(name: str) -> Scheme:
    return Scheme(name=name, weight=name, activation=name, matrix=name)


SCHEMES: Mapping[str, Scheme] = MappingProxyType(
    {name: _plain(name) for name in ("fp64", "fp32", "tf32", "bf16", "fp16", "fp8", "int8", "int4")}
    | {
        "w8a8": Scheme(name="w8a8", weight="int8", activation="int8", matrix="int8"),
        "w16a16": Scheme(name="w16a16", weight="int16", activation="int16", matrix="int16"),
        "w8a16": Scheme(name="w8a16", weight="int8", activation="fp16", matrix="fp16"),
        "w8a16_int": Scheme(name="w8a16_int", weight="int8", activation="int16", matrix="int16"),
        "w4a16": Scheme(name="w4a16", weight="int4", activation="fp16", matrix="fp16"),
        "w4a16_int": Scheme(name="w4a16_int", weight="int4", activation="int16", matrix="int16"),
        "fp16_mixed": Scheme(name="fp16_mixed", weight="fp16", activation="fp16", matrix="fp16"),
        "fp8_w8a8": Scheme(name="fp8_w8a8", weight="fp8", activation="bf16", matrix="fp8"),
        "nvfp4": Scheme(name="nvfp4", weight="fp4", activation="bf16", matrix="fp4"),
    }
)


def scheme(name: str) -> Scheme:
    """Return the precision scheme of that name; raises UnknownNameError.

    >>> scheme("w4a16").weight
    'int4'
    """
    try:
        return SCHEMES[name]
    except KeyError:
        raise unknown_name("number format or scheme", name, SCHEMES) from None


@dataclass(frozen=True, slots=True)
class TensorType:
    """Shape and number format of a tensor; ``weight`` marks constants that stay in memory.

    ``shape`` is row-major, e.g. ``(batch, channels, height, width)`` or ``(batch, seq, features)``. ``storage`` says
    how a sparse weight lies there (None: every element, one after another).
    """

    shape: tuple[int, ...]
    format: str = AUTO
    weight: bool = False
    storage: Storage | None = None

    def __post_init__(self) -> None:
        if any(d < 1 or d % 1 for d in self.shape):
            raise ShapeError(f"a shape is a tuple of whole numbers of at least 1, not {self.shape}")
        if self.format != AUTO and self.format not in BITS:
            raise unknown_name("number format", self.format, (*BITS, AUTO))

    @property
    def elements(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    @property
    def bits(self) -> float:
        """Bits of one element with its share of a block's scale; raises ShapeError while the format is ``auto``."""
        if self.format == AUTO:
            raise ShapeError("this tensor's format is still 'auto'; resolve the graph with a scheme first")
        return BITS[self.format]

    @property
    def size_bytes(self) -> int:
        """Bytes in memory, packed and rounded up."""
        if self.storage is not None:
            return self.storage.size_bytes(self.shape, self.bits)
        return math.ceil(self.elements * self.bits / 8)


@dataclass(frozen=True, slots=True)
class Tensor:
    """A named value that flows along the edges of a graph.

    ``role`` is ``input``, ``weight``, ``state`` (kept between repeats, e.g. a KV cache) or ``activation``.
    ``step`` is what the shape grows by at each repeat of its phase (empty: it does not).
    """

    name: str
    type: TensorType
    role: str = "activation"
    step: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if self.role not in _ROLES:
            raise unknown_name("role of a tensor", self.role, _ROLES)
        if self.step and len(self.step) != len(self.type.shape):
            raise ShapeError(f"tensor '{self.name}': step {self.step} and shape {self.type.shape} differ in length")

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape at the first repeat."""
        return self.type.shape

    def at(self, repeat: int) -> TensorType:
        """Type at that repeat of its phase (0 is the first)."""
        if not self.step or repeat == 0:
            return self.type
        shape = tuple(d + s * repeat for d, s in zip(self.type.shape, self.step, strict=True))
        return TensorType(shape, self.type.format, self.type.weight, self.type.storage)
