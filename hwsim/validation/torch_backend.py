"""Graphs run by PyTorch, eagerly, on a GPU where it finds one, else on the CPU.

PyTorch is no dependency: it is imported where a graph is run.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from hwsim.errors import InputError, UnsupportedError
from hwsim.graph.graph import Graph
from hwsim.graph.work import Form, Work
from hwsim.operators.attention import Attention
from hwsim.operators.concat import Concat
from hwsim.operators.conv2d import Conv2d
from hwsim.operators.gelu import Gelu
from hwsim.operators.layernorm import LayerNorm
from hwsim.operators.pooling import Pool
from hwsim.operators.rmsnorm import RmsNorm
from hwsim.operators.slice import Slice
from hwsim.operators.softmax import Softmax
from hwsim.operators.transpose import Transpose

__all__ = ["TorchBackend"]

Call = Callable[[Any, Any, tuple[Any, ...]], Any]


class TorchBackend:
    """Eager PyTorch in fp32.

    Raises:
        InputError: PyTorch is not installed.
    """

    name = "torch"

    def __init__(self) -> None:
        try:
            import torch
        except ImportError:
            raise InputError("PyTorch is not installed; pip install 'hwsim[torch]', or write --backend numpy") from None
        self._torch: Any = torch
        self.on_gpu = bool(torch.cuda.is_available())
        self.device_name = str(torch.cuda.get_device_name()) if self.on_gpu else ""

    def prepared(self, graph: Graph, arrays: Mapping[str, Any]) -> Callable[[], object]:
        """A run of the graph that ends when the device is done; the arrays are on the device before it starts.

        Raises:
            UnsupportedError: an operator has no counterpart here; all of them are named.
        """
        missing = sorted({node.op.kind for node in graph.nodes} - _CALLS.keys())
        if missing:
            raise UnsupportedError(f"{graph.name}: not run with PyTorch: {', '.join(missing)}; write --backend numpy")
        torch = self._torch
        where = "cuda" if self.on_gpu else "cpu"
        given = {name: torch.from_numpy(array).to(where) for name, array in arrays.items()}

        def run() -> None:
            values = dict(given)
            with torch.inference_mode():
                for node in graph.nodes:
                    inputs = tuple(values[name] for name in node.inputs)
                    (output,) = node.outputs
                    values[output] = _CALLS[node.op.kind](torch, node.op, inputs)
            if self.on_gpu:
                torch.cuda.synchronize()

        return run

    def given(self, work: Work) -> Mapping[str, float]:
        """On a CPU, products pack their operands; a GPU's constants are all fitted or the kind's own."""
        return {"packed": 1.0} if work.form is Form.GEMM and not self.on_gpu else {}


def _conv2d(torch: Any, op: Conv2d, x: tuple[Any, ...]) -> Any:
    top, left, bottom, right = op.padding if len(op.padding) == 4 else (*op.padding, *op.padding)
    padded = torch.nn.functional.pad(x[0], (left, right, top, bottom)) if (top, left) != (bottom, right) else x[0]
    padding = (0, 0) if padded is not x[0] else (top, left)
    return (
        torch.nn.functional.conv2d(padded, *x[1:], op.stride, padding, op.dilation, op.groups)
        if len(x) == 3
        else (torch.nn.functional.conv2d(padded, x[1], None, op.stride, padding, op.dilation, op.groups))
    )


def _pooling(torch: Any, op: Pool, x: tuple[Any, ...]) -> Any:
    function = torch.nn.functional.max_pool2d if op.mode == "max" else torch.nn.functional.avg_pool2d
    return function(x[0], op.kernel, op.stride, op.padding[:2], ceil_mode=op.ceil)


def _attention(torch: Any, op: Attention, x: tuple[Any, ...]) -> Any:
    groups = x[0].shape[1] // x[1].shape[1]
    k, v = (t.repeat_interleave(groups, 1) for t in x[1:]) if groups > 1 else x[1:]
    causal = op.causal and x[0].shape[2] > 1
    return torch.nn.functional.scaled_dot_product_attention(x[0], k, v, is_causal=causal)


def _norm(torch: Any, op: LayerNorm, x: tuple[Any, ...]) -> Any:
    return torch.nn.functional.layer_norm(x[0], x[0].shape[-op.axes :], *x[1:], eps=op.eps)


def _batchnorm(torch: Any, op: Any, x: tuple[Any, ...]) -> Any:
    data, gamma, beta, mean, var = x
    return torch.nn.functional.batch_norm(data, mean, var, gamma, beta, eps=op.eps)


def _rmsnorm(torch: Any, op: RmsNorm, x: tuple[Any, ...]) -> Any:
    return torch.nn.functional.rms_norm(x[0], x[0].shape[-1:], *x[1:], eps=op.eps)


def _slice(_: Any, op: Slice, x: tuple[Any, ...]) -> Any:
    return x[0][(slice(None),) * (op.axis % x[0].dim()) + (slice(op.start, op.stop, op.step),)]


def _binary(name: str) -> Call:
    return lambda torch, op, x: getattr(torch, name)(x[0], x[1] if len(x) == 2 else op.scalar)


def _unary(name: str) -> Call:
    return lambda torch, _, x: getattr(torch.nn.functional, name)(x[0])


def _softmax(torch: Any, op: Softmax, x: tuple[Any, ...]) -> Any:
    return torch.softmax(x[0], op.axis)


def _gelu(torch: Any, op: Gelu, x: tuple[Any, ...]) -> Any:
    return torch.nn.functional.gelu(x[0], approximate="tanh" if op.approximate else "none")


def _concat(torch: Any, op: Concat, x: tuple[Any, ...]) -> Any:
    return torch.cat(x, op.axis)


def _transpose(_: Any, op: Transpose, x: tuple[Any, ...]) -> Any:
    return x[0].permute(op.perm)


_CALLS: Mapping[str, Call] = MappingProxyType(
    {
        "add": _binary("add"),
        "attention": _attention,
        "batchnorm": _batchnorm,
        "concat": _concat,
        "conv2d": _conv2d,
        "embedding": lambda torch, _, x: torch.nn.functional.embedding(x[0], x[1]),
        "gelu": _gelu,
        "global_average": lambda _, __, x: x[0].mean(tuple(range(2, x[0].dim()))),
        "hardswish": _unary("hardswish"),
        "layernorm": _norm,
        "linear": lambda torch, _, x: torch.nn.functional.linear(*x),
        "matmul": lambda torch, op, x: torch.matmul(x[0], x[1].mT if op.transpose_b else x[1]),
        "mul": _binary("mul"),
        "pooling": _pooling,
        "relu": _unary("relu"),
        "reshape": lambda _, op, x: x[0].reshape([x[0].shape[i] if s == 0 else s for i, s in enumerate(op.shape)]),
        "rmsnorm": _rmsnorm,
        "sigmoid": _unary("sigmoid"),
        "silu": _unary("silu"),
        "slice": _slice,
        "softmax": _softmax,
        "tanh": _unary("tanh"),
        "transpose": _transpose,
    }
)
"""What runs each kind of operator: (the torch module, the operator, its input tensors) -> its output."""
