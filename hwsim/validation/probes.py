"""Operators to be measured on a machine: for each kernel family a few graphs of one operator, small to large.

The sizes are round numbers spread over what networks use; none is taken from a network.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType

from hwsim.graph.graph import Graph, GraphBuilder
from hwsim.graph.operator import Operator
from hwsim.graph.tensor import AUTO
from hwsim.operators.add import Add
from hwsim.operators.attention import Attention
from hwsim.operators.batchnorm import BatchNorm
from hwsim.operators.concat import Concat
from hwsim.operators.conv2d import Conv2d
from hwsim.operators.embedding import Embedding
from hwsim.operators.gelu import Gelu
from hwsim.operators.global_average import GlobalAverage
from hwsim.operators.hardswish import HardSwish
from hwsim.operators.layernorm import LayerNorm
from hwsim.operators.linear import Linear
from hwsim.operators.matmul import Matmul
from hwsim.operators.mul import Mul
from hwsim.operators.pooling import Pool
from hwsim.operators.relu import Relu
from hwsim.operators.rmsnorm import RmsNorm
from hwsim.operators.sigmoid import Sigmoid
from hwsim.operators.silu import Silu
from hwsim.operators.softmax import Softmax
from hwsim.operators.tanh import Tanh
from hwsim.operators.transpose import Transpose

__all__ = ["PROBES", "probe_graphs"]

Shape = tuple[int, ...]


def _graph(op: Operator, inputs: Sequence[Shape], weights: Sequence[Shape] = (), states: Sequence[Shape] = ()) -> Graph:
    b = GraphBuilder(op.kind)
    ids = op.kind == "embedding"
    given = [b.input(f"x{i}", shape, "int64" if ids else AUTO) for i, shape in enumerate(inputs)]
    given += [b.weight(f"w{i}", shape) for i, shape in enumerate(weights)]
    given += [b.state(f"s{i}", shape) for i, shape in enumerate(states)]
    return b.build([b.add(op, *given)]).with_scheme("fp32")


_FLAT: tuple[Shape, ...] = ((1, 1000), (10, 1000), (100, 1000), (300, 1000), (1000, 1000), (2000, 2000))
_IMAGES: tuple[Shape, ...] = ((1, 24, 40, 40), (1, 40, 80, 80), (1, 96, 60, 60), (1, 320, 30, 30), (1, 120, 120, 120))
_ROWS: tuple[Shape, ...] = ((1, 400), (20, 500), (100, 900), (300, 700), (1000, 500), (1500, 1500))


def _alike(op: Operator, shapes: Sequence[Shape], inputs: int = 1, affine: int = 0) -> Iterator[Graph]:
    """One graph a shape; ``affine`` vectors of the last axis come after the inputs."""
    for shape in shapes:
        yield _graph(op, [shape] * inputs, [shape[-1:]] * affine)


def _linear() -> Iterator[Graph]:
    for m, n, k in (
        (1, 500, 500), (1, 2000, 1000), (1, 3000, 3000), (10, 1000, 1000), (40, 600, 2400), (100, 700, 700),
        (100, 3000, 900), (200, 1200, 400), (300, 1000, 1000), (500, 500, 2000), (1000, 400, 1600),
    ):  # fmt: skip
        yield _graph(Linear(), [(m, k)], [(n, k), (n,)])


def _matmul() -> Iterator[Graph]:
    for batch, m, n, k in (
        (1, 100, 100, 100), (1, 300, 300, 300), (1, 700, 700, 700), (10, 100, 100, 50), (16, 200, 200, 60),
        (40, 60, 60, 60), (8, 400, 60, 400),
    ):  # fmt: skip
        yield _graph(Matmul(), [(batch, m, k), (batch, k, n)])


def _conv2d() -> Iterator[Graph]:
    for cin, size, cout, kernel, stride, groups in (
        (3, 200, 48, 7, 2, 1), (3, 160, 32, 3, 2, 1), (48, 60, 48, 3, 1, 1), (80, 60, 320, 1, 1, 1),
        (320, 60, 80, 1, 1, 1), (100, 30, 100, 3, 1, 1), (160, 30, 160, 3, 2, 1), (320, 15, 320, 3, 1, 1),
        (640, 15, 160, 1, 1, 1), (300, 20, 1200, 1, 1, 1), (40, 60, 80, 5, 1, 1), (600, 10, 600, 3, 1, 1),
        (1200, 10, 300, 1, 1, 1), (40, 100, 40, 3, 1, 40), (96, 60, 96, 3, 1, 96), (240, 30, 240, 3, 2, 240),
        (400, 20, 400, 5, 1, 400), (700, 10, 700, 3, 1, 700),
    ):  # fmt: skip
        op = Conv2d(stride=(stride, stride), padding=(kernel // 2, kernel // 2), groups=groups)
        yield _graph(op, [(1, cin, size, size)], [(cout, cin // groups, kernel, kernel)])


def _attention() -> Iterator[Graph]:
    for heads, kv_heads, seq_q, seq_kv, dim in (
        (4, 4, 50, 50, 64), (10, 10, 100, 100, 64), (8, 8, 200, 200, 64), (16, 16, 300, 300, 80),
        (8, 8, 600, 600, 40), (8, 8, 1, 100, 64), (16, 4, 1, 500, 128), (32, 8, 1, 1000, 128), (32, 8, 1, 3000, 128),
    ):  # fmt: skip
        q, kv = (1, heads, seq_q, dim), (1, kv_heads, seq_kv, dim)
        yield _graph(Attention(), [q, kv, kv])


def _batchnorm() -> Iterator[Graph]:
    for shape in _IMAGES:
        channels = (shape[1],)
        yield _graph(BatchNorm(), [shape], [channels] * 2, [channels] * 2)


def _embedding() -> Iterator[Graph]:
    for rows, cols, vocab in ((1, 500, 1000), (50, 600, 10_000), (200, 1000, 20_000), (1000, 800, 20_000)):
        yield _graph(Embedding(), [(1, rows)], [(vocab, cols)])


PROBES: Mapping[str, Callable[[], Iterator[Graph]]] = MappingProxyType(
    {
        "linear": _linear,
        "matmul": _matmul,
        "conv2d": _conv2d,
        "attention": _attention,
        "batchnorm": _batchnorm,
        "embedding": _embedding,
        "add": lambda: _alike(Add(), _FLAT, inputs=2),
        "mul": lambda: _alike(Mul(), _FLAT, inputs=2),
        "relu": lambda: _alike(Relu(), _FLAT),
        "gelu": lambda: _alike(Gelu(), _FLAT),
        "silu": lambda: _alike(Silu(), _FLAT),
        "sigmoid": lambda: _alike(Sigmoid(), _FLAT),
        "tanh": lambda: _alike(Tanh(), _FLAT),
        "hardswish": lambda: _alike(HardSwish(), _FLAT),
        "softmax": lambda: _alike(Softmax(), _ROWS),
        "layernorm": lambda: _alike(LayerNorm(), _ROWS, affine=2),
        "rmsnorm": lambda: _alike(RmsNorm(), _ROWS, affine=1),
        "pooling": lambda: _alike(Pool(mode="max", kernel=(3, 3), stride=(2, 2), padding=(1, 1)), _IMAGES),
        "global_average": lambda: _alike(GlobalAverage(), _IMAGES),
        "concat": lambda: _alike(Concat(axis=1), _IMAGES, inputs=2),
        "transpose": lambda: _alike(Transpose(perm=(1, 0)), _FLAT[1:]),
    }
)
"""Graphs of one operator by its kind, each a few sizes. Labels of their Work make the kernel families."""


def probe_graphs(kinds: Sequence[str] = ()) -> Iterator[Graph]:
    """Every graph of the named kinds of operator (default: all), kind by kind."""
    for name in kinds or PROBES:
        yield from PROBES[name]()
