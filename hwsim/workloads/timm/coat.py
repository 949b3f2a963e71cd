"""CoaTs and CoaT-Lites (Xu et al. 2021, Co-Scale Conv-Attentional Image Transformers) by the names of timm."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from hwsim.graph.graph import GraphBuilder
from hwsim.graph.tensor import Tensor
from hwsim.operators.concat import Concat
from hwsim.operators.conv1d import Conv1d
from hwsim.operators.conv2d import Conv2d
from hwsim.operators.expand import Expand
from hwsim.operators.linear import Linear
from hwsim.operators.matmul import Matmul
from hwsim.operators.mul import Mul
from hwsim.operators.pad import Pad
from hwsim.operators.reshape import Reshape
from hwsim.operators.slice import Slice
from hwsim.operators.softmax import Softmax
from hwsim.operators.split import Split
from hwsim.operators.transpose import Transpose
from hwsim.operators.upsample import Resize
from hwsim.workloads import image_layers, layers
from hwsim.workloads.families import ImageFamily, Sized

__all__ = ["FAMILIES", "CoaT"]

_HEADS = 8
_PARTS = ((3, 2), (5, 3), (7, 3))
"""Kernels of the relative positions, and how many heads each serves."""
Size = tuple[int, int]
_Weights = tuple[Tensor, Tensor]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stage:
    """Convolutions that all blocks of a stage share: of positions, and of relative ones by kernel."""

    size: Size
    positions: _Weights
    relative: tuple[_Weights, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CoaT:
    """Widths, blocks and ratios of hidden to outer width of stages; ``parallel`` blocks over the last three at once."""

    widths: tuple[int, int, int, int]
    depths: tuple[int, int, int, int] = (2, 2, 2, 2)
    ratios: tuple[int, int, int, int] = (4, 4, 4, 4)
    parallel: int = 0

    def __call__(self, b: GraphBuilder, image: Tensor, classes: int) -> Tensor:
        """Logits (batch, classes)."""
        made: list[Tensor] = []
        stages: list[_Stage] = []
        x = image
        for index, (width, depth) in enumerate(zip(self.widths, self.depths, strict=True)):
            with b.scope(f"stage{index}"):
                side = 4 if index == 0 else 2
                x = layers.conv(b, x, width, side, stride=side, padding=0, name="patches")
                stage = self._shared(b, (x.shape[2], x.shape[3]), width)
                y = layers.layer_norm(b, image_layers.to_sequence(b, x), name="patch_norm")
                token = b.weight("class_token", (1, 1, width))
                token = b.add(Expand((x.shape[0], 1, width)), token) if x.shape[0] > 1 else token
                y = b.add(Concat(1), token, y, name="with_token")
                for place in range(depth):
                    with b.scope(f"block{place}"):
                        y = self._serial(b, y, stage, self.ratios[index])
                patches = b.add(Reshape((x.shape[0], *stage.size, width)), b.add(Slice(1, 1, None), y))
                x = b.add(Transpose((0, 3, 1, 2), copied=True), patches, name="image")
            made.append(y)
            stages.append(stage)
        if not self.parallel:
            return layers.linear(b, _token(b, layers.layer_norm(b, made[3], kept=True)), classes, name="head")
        for place in range(self.parallel):
            with b.scope(f"parallel{place}"):
                made[1:] = self._at_once(b, made[1:], stages[1:])
        tokens = [_token(b, layers.layer_norm(b, y, name=f"norm{i}", kept=True)) for i, y in enumerate(made[1:])]
        joined = b.add(Concat(1), *(b.add(Reshape((t.shape[0], 1, t.shape[1])), t) for t in tokens), name="tokens")
        with b.scope("aggregate"):
            operands = (b.weight("weight", (1, 3, 1)), b.weight("bias", (1,)))
        y = b.add(Conv1d(), joined, *operands, name="aggregate")
        return layers.linear(b, b.add(Reshape((y.shape[0], y.shape[2])), y), classes, name="head")

    def _shared(self, b: GraphBuilder, size: Size, width: int) -> _Stage:
        def weights(name: str, channels: int, kernel: int) -> _Weights:
            with b.scope(name):
                return b.weight("weight", (channels, 1, kernel, kernel)), b.weight("bias", (channels,))

        relative = tuple(weights(f"relative{kernel}", heads * width // _HEADS, kernel) for kernel, heads in _PARTS)
        return _Stage(size=size, positions=weights("positions", width, 3), relative=relative)

    def _serial(self, b: GraphBuilder, x: Tensor, stage: _Stage, ratio: int) -> Tensor:
        x = _positioned(b, x, stage)
        y = layers.layer_norm(b, x, name="norm1", kept=True)
        x = layers.add(b, x, _attend(b, y, stage))
        y = layers.mlp(b, layers.layer_norm(b, x, name="norm2", kept=True), ratio * x.shape[2])
        return layers.add(b, x, y, name="add2")

    def _at_once(self, b: GraphBuilder, made: list[Tensor], stages: list[_Stage]) -> list[Tensor]:
        """Attention in each stage, to which the others add theirs, resized; one perceptron for all (Fig. 4)."""
        width = made[0].shape[2]
        seen: list[Tensor] = []
        for place, stage in enumerate(stages):
            with b.scope(f"scale{place}"):
                made[place] = _positioned(b, made[place], stage)
                y = layers.layer_norm(b, made[place], name="norm1", kept=True)
                seen.append(_attend(b, y, stage))
        with b.scope("mlp"):
            up = layers.linear_weights(b, self.ratios[1] * width, width, name="up")
            down = layers.linear_weights(b, width, self.ratios[1] * width, name="down")
        found = []
        for place, stage in enumerate(stages):
            with b.scope(f"scale{place}"):
                y = seen[place]
                for other in (o for o in (0, 1, 2) if o != place):
                    resized = _resized(b, seen[other], stages[other].size, stage.size, f"from{other}")
                    y = layers.add(b, y, resized, name=f"with{other}")
                x = layers.add(b, made[place], y)
                z = layers.layer_norm(b, x, name="norm2", kept=True)
                z = layers.activation(b, b.add(Linear(), z, *up, name="up"), "gelu")
                found.append(layers.add(b, x, b.add(Linear(), z, *down, name="down"), name="add2"))
        return found


def _token(b: GraphBuilder, x: Tensor) -> Tensor:
    return b.add(Reshape((x.shape[0], x.shape[2])), b.add(Slice(1, 0, 1), x))


def _depthwise(b: GraphBuilder, x: Tensor, weights: _Weights, name: str) -> Tensor:
    around = weights[0].shape[2] // 2
    return b.add(Conv2d(padding=(around, around), groups=x.shape[1]), x, *weights, name=name)


def _positioned(b: GraphBuilder, x: Tensor, stage: _Stage) -> Tensor:
    """X plus a depthwise convolution of its patches (Xu et al. 2021, section 3.2)."""
    with b.scope("positions"):
        patches = image_layers.to_image(b, b.add(Slice(1, 1, None), x), stage.size)
        y = layers.add(b, _depthwise(b, patches, stage.positions, "conv"), patches)
        return b.add(Concat(1), b.add(Slice(1, 0, 1), x), image_layers.to_sequence(b, y), name="with_token")


def _attend(b: GraphBuilder, x: Tensor, stage: _Stage) -> Tensor:
    """Queries read what keys and values make together, plus relative positions (Xu et al. 2021, equation 5)."""
    batch, seq, width = x.shape
    dim = width // _HEADS
    with b.scope("attention"):
        joint = b.add(Reshape((batch, seq, 3, _HEADS, dim)), layers.linear(b, x, 3 * width, name="qkv"))
        joint = b.add(Transpose((2, 0, 3, 1, 4)), joint, name="parts_first")
        q, k, v = (b.add(Reshape((batch, _HEADS, seq, dim)), p) for p in b.add_all(Split(0, (1, 1, 1)), joint))
        memory = b.add(Transpose((0, 1, 3, 2)), b.add(Softmax(axis=2), k), name="keys_turned")
        y = b.add(Matmul(), q, b.add(Matmul(), memory, v, name="memory"), name="read")
        y = layers.add(b, b.add(Mul(dim**-0.5), y, name="scaled"), _relative(b, q, v, stage), name="with_positions")
        return layers.linear(b, layers.merge_heads(b, y), width, name="out")


def _relative(b: GraphBuilder, q: Tensor, v: Tensor, stage: _Stage) -> Tensor:
    """Queries times depthwise convolutions of values, nothing for the token (equation 6)."""
    batch, heads, seq, dim = q.shape
    with b.scope("relative"):
        values = b.add(Transpose((0, 1, 3, 2)), b.add(Slice(2, 1, None), v), name="values_turned")
        values = b.add(Reshape((batch, heads * dim, *stage.size)), values)
        parts = b.add_all(Split(1, tuple(count * dim for _, count in _PARTS)), values)
        made = [
            _depthwise(b, part, weights, f"conv{kernel}")
            for part, weights, (kernel, _) in zip(parts, stage.relative, _PARTS, strict=True)
        ]
        y = b.add(Reshape((batch, heads, dim, seq - 1)), b.add(Concat(1), *made, name="joined"))
        y = b.add(Transpose((0, 1, 3, 2)), y, name="turned_back")
        y = layers.multiply(b, b.add(Slice(2, 1, None), q), y)
        return b.add(Pad(((0, 0), (0, 0), (1, 0), (0, 0))), y, name="pad")


def _resized(b: GraphBuilder, x: Tensor, before: Size, after: Size, name: str) -> Tensor:
    with b.scope(name):
        patches = image_layers.to_image(b, b.add(Slice(1, 1, None), x), before)
        patches = b.add(Resize(size=after, mode="bilinear"), patches, name="resized")
        patches = image_layers.to_sequence(b, patches)
        return b.add(Concat(1), b.add(Slice(1, 0, 1), x), patches, name="with_token")


_LITE = (8, 8, 4, 4)
_NETWORKS: Mapping[str, CoaT] = MappingProxyType(
    {
        "coat_tiny": CoaT(widths=(152, 152, 152, 152), parallel=6),
        "coat_mini": CoaT(widths=(152, 216, 216, 216), parallel=6),
        "coat_small": CoaT(widths=(152, 320, 320, 320), parallel=6),
        "coat_lite_tiny": CoaT(widths=(64, 128, 256, 320), ratios=_LITE),
        "coat_lite_mini": CoaT(widths=(64, 128, 320, 512), ratios=_LITE),
        "coat_lite_small": CoaT(widths=(64, 128, 320, 512), depths=(3, 4, 6, 3), ratios=_LITE),
        "coat_lite_medium": CoaT(widths=(128, 256, 320, 512), depths=(3, 6, 10, 8)),
        "coat_lite_medium_384": CoaT(widths=(128, 256, 320, 512), depths=(3, 6, 10, 8)),
    }
)
"""Xu et al. 2021, Table 1."""


def _find(name: str) -> Sized | None:
    return Sized(_NETWORKS[name], 384 if name.endswith("_384") else 224) if name in _NETWORKS else None


FAMILIES = (
    ImageFamily(
        name="coat",
        title="attention that keys and values make first",
        source="Xu et al. 2021, Co-Scale Conv-Attentional Image Transformers, Table 1",
        examples=tuple(_NETWORKS),
        find=_find,
    ),
)
