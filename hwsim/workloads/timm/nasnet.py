"""NASNet-A and PNASNet-5, networks of searched cells, by the names of timm."""

from __future__ import annotations

from dataclasses import dataclass

from hwsim.graph.graph import GraphBuilder
from hwsim.graph.tensor import Tensor
from hwsim.operators.concat import Concat
from hwsim.operators.pad import Pad
from hwsim.operators.slice import Slice
from hwsim.workloads import image_layers, layers
from hwsim.workloads.families import ImageFamily, Sized

__all__ = ["FAMILIES", "SearchedCells"]

_Pair = tuple[str, str, str, str]
"""What is done to which of "last", "before" or a sum of the cell, twice: ``s5`` a separable convolution, a pool, or
nothing; ``/`` behind it: with the stride of the cell."""

_NORMAL: tuple[_Pair, ...] = (
    ("s5", "last", "s3", "before"),
    ("s5", "before", "s3", "before"),
    ("average", "last", "", "before"),
    ("average", "before", "average", "before"),
    ("s3", "last", "", "last"),
)
_REDUCTION: tuple[_Pair, ...] = (
    ("s5/", "last", "s7/", "before"),
    ("max/", "last", "s7/", "before"),
    ("average/", "last", "s5/", "before"),
    ("average", "0", "", "1"),
    ("s3", "0", "max/", "last"),
)
"""Zoph et al. 2018, Learning Transferable Architectures, Fig. 4."""
_PROGRESSIVE: tuple[_Pair, ...] = (
    ("s5/", "before", "max/", "before"),
    ("s7/", "last", "max/", "last"),
    ("s5/", "last", "s3/", "last"),
    ("s3", "2", "max/", "last"),
    ("s3/", "before", "point/", "last"),
)
"""Liu et al. 2018, Progressive Neural Architecture Search, Fig. 1."""


@dataclass(frozen=True, slots=True)
class SearchedCells:
    """The first width of cells behind the stem; ``progressive``: PNASNet's cell, of four in a row instead of six."""

    width: int
    progressive: bool = False

    def __call__(self, b: GraphBuilder, image: Tensor, classes: int) -> Tensor:
        """Logits (batch, classes)."""
        before = layers.conv_bn_act(b, image, 96, 3, stride=2, padding=0, act="", name="stem")
        with b.scope("stem0"):
            last = self._cell(b, before, before, self.width // 4, halves=True, bare=True)
        before, last = last, self._named(b, before, last, self.width // 2, "stem1", halves=True)
        if not self.progressive:
            return self._nasnet(b, before, last, classes)
        for stage, count in enumerate((4, 4, 4)):
            width = self.width << stage
            for place in range(count):
                halves = stage > 0 and place == 0
                before, last = last, self._named(b, before, last, width, f"cell{stage}.{place}", halves=halves)
        return self._classify(b, last, classes)

    def _nasnet(self, b: GraphBuilder, before: Tensor, last: Tensor, classes: int) -> Tensor:
        """The first cell behind a reduction reads what that read before."""
        for stage in range(3):
            width = self.width << stage
            if stage:
                last = self._named(b, before, last, width, f"reduction{stage}", halves=True)
            for place in range(6):
                name = f"cell{stage}.{place}"
                before, last = last, self._named(b, before, last, width, name, halves=False)
        return self._classify(b, last, classes)

    def _classify(self, b: GraphBuilder, x: Tensor, classes: int) -> Tensor:
        return layers.linear(b, layers.global_average(b, layers.activation(b, x, "relu")), classes, name="head")

    def _named(self, b: GraphBuilder, before: Tensor, last: Tensor, width: int, name: str, *, halves: bool) -> Tensor:
        with b.scope(name):
            return self._cell(b, before, last, width, halves=halves)

    def _cell(
        self, b: GraphBuilder, before: Tensor, last: Tensor, width: int, *, halves: bool, bare: bool = False
    ) -> Tensor:
        """Five sums of pairs, joined; ``bare``: what was before is read as it is."""
        point = _point(b, last, width, 1, "last")
        if not bare:
            if before.shape[2] != last.shape[2]:
                before = _factorized(b, before, width)
            else:
                before = _point(b, before, width, 1, "before")
        pairs = _PROGRESSIVE if self.progressive else _REDUCTION if halves else _NORMAL
        read = {"last": point, "before": before}
        for place, (left, one, right, other) in enumerate(pairs):
            with b.scope(f"pair{place}"):
                first = self._made(b, read[one], left, width, "left", halves=halves)
                second = self._made(b, read[other], right, width, "right", halves=halves)
                read[str(place)] = layers.add(b, first, second)
        sums = [read[str(place)] for place in range(5)]
        if self.progressive:
            return b.add(Concat(1), *sums, name="join")
        return b.add(Concat(1), *(sums[1:] if halves else [read["before"], *sums]), name="join")

    def _made(self, b: GraphBuilder, x: Tensor, kind: str, width: int, name: str, *, halves: bool) -> Tensor:
        stride = 2 if kind.endswith("/") and halves else 1
        kind = kind.rstrip("/")
        if not kind or (kind == "point" and not halves):
            return x
        if kind == "point":
            return _point(b, x, width, stride, name)
        if kind in ("max", "average"):
            y = image_layers.same_padding(b, x, 3, stride, name)
            y = layers.pool(b, y, kind, 3, stride=stride, name=name)
            if y.shape[1] == width or not self.progressive:
                return y
            return layers.batch_norm(b, layers.conv(b, y, width, 1, bias=False, name=f"{name}_point"), f"{name}_bn")
        inner = x.shape[1] if x.shape[1] in (width, width // 2) else width
        x = self._separable(b, x, inner, int(kind[1:]), stride, f"{name}1")
        return self._separable(b, x, width, int(kind[1:]), 1, f"{name}2")

    def _separable(self, b: GraphBuilder, x: Tensor, width: int, kernel: int, stride: int, name: str) -> Tensor:
        y, padding = layers.activation(b, x, "relu"), None
        if stride > 1:
            y, padding = image_layers.same_padding(b, y, kernel, stride, name), 0
        y = layers.conv(
            b,
            y,
            y.shape[1],
            kernel,
            stride=stride,
            padding=padding,
            groups=y.shape[1],
            bias=False,
            name=f"{name}_depthwise",
        )
        return layers.conv_bn_act(b, y, width, 1, act="", name=name)


def _point(b: GraphBuilder, x: Tensor, width: int, stride: int, name: str) -> Tensor:
    return layers.conv_bn_act(b, layers.activation(b, x, "relu"), width, 1, stride=stride, act="", name=name)


def _factorized(b: GraphBuilder, x: Tensor, width: int) -> Tensor:
    """Every other pixel, and those between, projected to half of the width each."""
    x = layers.activation(b, x, "relu")
    shifted = b.add(Slice(3, 1, None), b.add(Slice(2, 1, None), x))
    shifted = b.add(Pad(((0, 0), (0, 0), (0, 1), (0, 1))), shifted, name="shifted")
    made = [
        layers.conv(
            b, layers.pool(b, part, "average", 1, stride=2, name=f"pick{n}"), width // 2, 1, bias=False, name=f"half{n}"
        )
        for n, part in enumerate((x, shifted))
    ]
    return layers.batch_norm(b, b.add(Concat(1), *made, name="halves"), name="halves_bn")


def _find(name: str) -> Sized | None:
    if name == "nasnetalarge":
        return Sized(SearchedCells(168), 331)
    return Sized(SearchedCells(216, progressive=True), 331) if name == "pnasnet5large" else None


FAMILIES = (
    ImageFamily(
        name="nasnet",
        title="searched cells",
        source="Zoph et al. 2018, Learning Transferable Architectures; Liu et al. 2018, Progressive NAS",
        examples=("nasnetalarge", "pnasnet5large"),
        find=_find,
    ),
)
