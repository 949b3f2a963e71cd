"""The narrow waist: what an algorithm asks for, in six forms that know no device.

Operators lower to Work; devices price tables of Work. Sizes are counts, formats are names of
:data:`hwsim.graph.tensor.FORMATS`, ``kernel`` is an opaque label for which a software stack may keep
constants of its own.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import ClassVar

from hwsim.graph.tensor import BITS

__all__ = [
    "EXCHANGE_SIZES",
    "PATTERNS",
    "SIZES",
    "Attention",
    "Collective",
    "Form",
    "Gemm",
    "Map",
    "Move",
    "Reduce",
    "Work",
    "size_bytes",
]

PATTERNS: tuple[str, ...] = ("all_reduce", "all_gather", "reduce_scatter", "all_to_all", "send")


class Form(StrEnum):
    """The closed vocabulary between operators and devices."""

    GEMM = "gemm"
    ATTENTION = "attention"
    MAP = "map"
    REDUCE = "reduce"
    MOVE = "move"
    COLLECTIVE = "collective"


SIZES: Mapping[Form, tuple[str, ...]] = MappingProxyType(
    {
        Form.GEMM: ("batch", "m", "n", "k"),
        Form.ATTENTION: ("batch", "heads", "kv_heads", "seq_q", "seq_kv", "head_dim"),
        Form.MAP: ("elements",),
        Form.REDUCE: ("rows", "cols"),
        Form.MOVE: ("elements",),
    }
)
"""The sizes that describe a row of each form that devices price; counts of bytes and operations follow from them."""

EXCHANGE_SIZES = ("bytes", "participants")
"""The sizes of a collective, which links price."""


def size_bytes(elements: int, fmt: str) -> int:
    """Bytes of that many elements of a format."""
    return math.ceil(elements * BITS[fmt] / 8)


@dataclass(frozen=True, slots=True, kw_only=True)
class Gemm:
    """``batch`` products C[m, n] = A[m, k] B[k, n]; a convolution is one with a window (implicit GEMM).

    ``a_elements`` are the distinct elements behind all A (a convolution re-reads its input, so there are
    fewer than batch m k); ``b_elements`` those behind all B (shared by the batch: fewer than batch k n).
    ``channels`` is the input channels of one group; ``kh``, ``kw`` the window, which takes steps of ``stride`` (the
    larger of stride and dilation) to ``out_h`` x ``out_w`` positions (0: not two axes); ``batch`` also counts groups.
    ``b_density`` is the share of B's elements that are not zero, ``b_storage`` its bytes over those of a dense B.
    ``compute_format`` is the format the matrix unit multiplies in. ``epilogue_flop`` and ``epilogue_bytes``
    are what fused element-wise work adds (arithmetic; operands read besides A and B). ``cycled_bytes`` are all weights
    of the graph, which pass between two uses of a B that is one of them (0: a product on its own).
    """

    form: ClassVar[Form] = Form.GEMM
    kernel: str
    batch: int
    m: int
    n: int
    k: int
    a_elements: int
    b_elements: int
    a_format: str
    b_format: str
    compute_format: str
    accumulator_format: str
    out_format: str
    a_density: float = 1.0
    b_density: float = 1.0
    b_storage: float = 1.0
    kh: int = 1
    kw: int = 1
    channels: int = 0
    groups: int = 1
    stride: int = 1
    out_h: int = 0
    out_w: int = 0
    b_is_weight: bool = False
    epilogue_flop: int = 0
    epilogue_bytes: int = 0
    cycled_bytes: int = 0

    @property
    def format(self) -> str:
        """The format whose rate applies."""
        return self.compute_format

    @property
    def macs(self) -> int:
        """Multiply-accumulates of the dense product."""
        return self.batch * self.m * self.n * self.k

    @property
    def flop(self) -> int:
        """Two per MAC, plus fused element-wise arithmetic."""
        return 2 * self.macs + self.epilogue_flop

    @property
    def bytes_in(self) -> int:
        """Compulsory reads: A, B as it is stored, and fused operands."""
        b_bytes = math.ceil(size_bytes(self.b_elements, self.b_format) * self.b_storage)
        return size_bytes(self.a_elements, self.a_format) + b_bytes + self.epilogue_bytes

    @property
    def bytes_out(self) -> int:
        """Compulsory writes: C."""
        return size_bytes(self.batch * self.m * self.n, self.out_format)


@dataclass(frozen=True, slots=True, kw_only=True)
class Attention:
    """A fused kernel softmax(Q K^T) V whose score matrix never leaves the chip.

    Q is (batch, seq_q, heads, head_dim), K and V (batch, seq_kv, kv_heads, head_dim). ``bias_bytes`` are read in
    addition: a bias that is added to the scores, as it is stored.
    """

    form: ClassVar[Form] = Form.ATTENTION
    kernel: str
    batch: int
    heads: int
    kv_heads: int
    seq_q: int
    seq_kv: int
    head_dim: int
    causal: bool
    format: str
    kv_format: str
    out_format: str
    bias_bytes: int = 0

    @property
    def macs(self) -> int:
        """Both products in full, a causal mask not deducted (the published convention)."""
        return 2 * self.batch * self.heads * self.seq_q * self.seq_kv * self.head_dim

    @property
    def flop(self) -> int:
        """Two per MAC and five per score for scaling and the running softmax, where no mask hides the score."""
        hidden = self.seq_q * (self.seq_q - 1) // 2 if self.causal else 0
        return self.batch * self.heads * (self.seq_q * self.seq_kv - hidden) * (4 * self.head_dim + 5)

    @property
    def bytes_in(self) -> int:
        """Compulsory reads: Q, K, V and the bias."""
        q = self.batch * self.heads * self.seq_q * self.head_dim
        kv = 2 * self.batch * self.kv_heads * self.seq_kv * self.head_dim
        return size_bytes(q, self.format) + size_bytes(kv, self.kv_format) + self.bias_bytes

    @property
    def bytes_out(self) -> int:
        """Compulsory writes: the output, as large as Q."""
        return size_bytes(self.batch * self.heads * self.seq_q * self.head_dim, self.out_format)


@dataclass(frozen=True, slots=True, kw_only=True)
class Map:
    """Element-wise work: arithmetic and special functions (exp, tanh, ...) per output element.

    ``longest`` is the longest axis of the output, along which vector registers lie; ``cols`` are the elements of one of
    its rows, which a kernel may give to one block (0: not known).
    """

    form: ClassVar[Form] = Form.MAP
    kernel: str
    elements: int
    flop_per_element: int
    special_per_element: int
    bytes_in: int
    bytes_out: int
    format: str
    longest: int = 0
    cols: int = 0

    @property
    def macs(self) -> int:
        """None: MACs count matrix work only."""
        return 0

    @property
    def flop(self) -> int:
        """Plain arithmetic and special functions, one each."""
        return self.elements * (self.flop_per_element + self.special_per_element)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reduce:
    """Row-wise work over (rows, cols): softmax, norms, pooling; ``passes`` reads of its input.

    ``shared_bytes``: those of ``bytes_in`` that every row needs, however many there are: a norm's scale and shift.
    """

    form: ClassVar[Form] = Form.REDUCE
    kernel: str
    rows: int
    cols: int
    passes: int
    flop_per_element: int
    special_per_element: int
    bytes_in: int
    bytes_out: int
    format: str
    shared_bytes: int = 0

    @property
    def macs(self) -> int:
        """None: MACs count matrix work only."""
        return 0

    @property
    def flop(self) -> int:
        """Arithmetic over all elements."""
        return self.rows * self.cols * (self.flop_per_element + self.special_per_element)


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """Copies, layout changes, gathers and casts: bytes, contiguous or not."""

    form: ClassVar[Form] = Form.MOVE
    kernel: str
    elements: int
    bytes_in: int
    bytes_out: int
    contiguous: bool
    format: str

    @property
    def macs(self) -> int:
        """None: MACs count matrix work only."""
        return 0

    @property
    def flop(self) -> int:
        """None: moving is not arithmetic."""
        return 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Collective:
    """Communication among ``participants``; ``bytes`` is the full payload of one rank's result buffer."""

    form: ClassVar[Form] = Form.COLLECTIVE
    kernel: str
    pattern: str
    bytes: int
    participants: int
    format: str

    @property
    def macs(self) -> int:
        """None: MACs count matrix work only."""
        return 0

    @property
    def flop(self) -> int:
        """The sums of a reduction, one an element and participant but one."""
        if self.pattern not in ("all_reduce", "reduce_scatter"):
            return 0
        return int(self.bytes * 8 / BITS[self.format]) * (self.participants - 1)

    @property
    def bytes_in(self) -> int:
        """Payload read."""
        return self.bytes

    @property
    def bytes_out(self) -> int:
        """Payload written."""
        return self.bytes


Work = Gemm | Attention | Map | Reduce | Move | Collective
