"""EVA and EVA-02 by the names of timm, and its vision transformers with rotary positions."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from hwsim.graph.graph import GraphBuilder
from hwsim.graph.tensor import Tensor
from hwsim.operators.concat import Concat
from hwsim.operators.expand import Expand
from hwsim.operators.mul import Mul
from hwsim.operators.reduce import ReduceAxes
from hwsim.operators.reshape import Reshape
from hwsim.operators.slice import Slice
from hwsim.operators.split import Split
from hwsim.operators.transpose import Transpose
from hwsim.workloads import image_layers, layers
from hwsim.workloads.families import ImageFamily, Sized

__all__ = ["FAMILIES", "Eva"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Eva:
    """Layers, width, heads and hidden width; ``patch`` is the side of a patch in pixels.

    ``tokens`` in front of the patches; "patches" or "token" are ``read``. ``rotary``: q and k of patches are turned
    (Fang et al. 2023, EVA-02, section 2.1), ``positions``: learned embeddings are added. ``gated``: SwiGLU, as one
    product, or as two with a norm behind if ``inner_norm``; ``attended_norm``: one behind attention. ``joint``: q, k
    and v from one product. ``after``: norms come behind the parts. ``scaled``: layer scale. ``biased``: q and v.
    """

    depth: int
    width: int
    heads: int
    hidden: int
    patch: int = 14
    tokens: int = 1
    read: str = "patches"
    rotary: bool = False
    positions: bool = True
    gated: bool = False
    inner_norm: bool = False
    attended_norm: bool = False
    joint: bool = True
    after: bool = False
    scaled: bool = False
    biased: bool = True

    def __call__(self, b: GraphBuilder, image: Tensor, classes: int) -> Tensor:
        """Logits (batch, classes)."""
        x = self._embed(b, image)
        for place in range(self.depth):
            with b.scope(f"layer{place}"):
                x = self._part(b, x, "1")
                x = self._part(b, x, "2")
        if self.read == "token":
            y = b.add(Reshape((x.shape[0], self.width)), b.add(Slice(1, 0, 1), layers.layer_norm(b, x, kept=True)))
        else:
            patches = b.add(Slice(1, self.tokens, None), x)
            y = layers.layer_norm(b, b.add(ReduceAxes("mean", (1,)), patches), kept=True)
        return layers.linear(b, y, classes, name="head")

    def _embed(self, b: GraphBuilder, image: Tensor) -> Tensor:
        batch = image.shape[0]
        x = layers.conv(b, image, self.width, self.patch, stride=self.patch, padding=0, name="patches")
        x = b.add(Transpose((0, 2, 1)), b.add(Reshape((batch, self.width, -1)), x))
        token = b.weight("tokens", (1, self.tokens, self.width))
        token = b.add(Expand((batch, self.tokens, self.width)), token) if batch > 1 else token
        x = b.add(Concat(1), token, x)
        return layers.add(b, x, b.weight("positions", (1, *x.shape[1:]))) if self.positions else x

    def _part(self, b: GraphBuilder, x: Tensor, end: str) -> Tensor:
        """Attention ("1") or the perceptron ("2"), normalised, added."""
        part = self._attend if end == "1" else self._mlp
        if self.after:
            return layers.add(b, x, layers.layer_norm(b, part(b, x), name=f"norm{end}", kept=True), name=f"add{end}")
        y = part(b, layers.layer_norm(b, x, name=f"norm{end}", kept=True))
        y = layers.multiply(b, y, b.weight(f"scale{end}", (self.width,)), name=f"scaled{end}") if self.scaled else y
        return layers.add(b, x, y, name=f"add{end}")

    def _attend(self, b: GraphBuilder, x: Tensor) -> Tensor:
        width = self.width
        with b.scope("attention"):
            if self.joint:
                qkv = layers.linear(b, x, 3 * width, bias=False, name="qkv")
                if self.biased:
                    ends = [b.weight("q_bias", (width,)), b.state("k_bias", (width,)), b.weight("v_bias", (width,))]
                    qkv = layers.add(b, qkv, b.add(Concat(0), *ends), name="biased")
                parts = b.add_all(Split(-1, (width, width, width)), qkv)
            else:
                parts = tuple(layers.linear(b, x, width, bias=n != "k" and self.biased, name=n) for n in "qkv")
            q, k, v = (
                layers.split_heads(b, t, self.heads, name=f"{n}_heads") for t, n in zip(parts, "qkv", strict=True)
            )
            if self.rotary:
                q, k = self._turned(b, q, "q"), self._turned(b, k, "k")
            y = layers.merge_heads(b, image_layers.fused_attention(b, q, k, v))
            y = layers.layer_norm(b, y, name="norm", kept=True) if self.attended_norm else y
            return layers.linear(b, y, width, name="out")

    def _turned(self, b: GraphBuilder, x: Tensor, name: str) -> Tensor:
        """X cos + x' sin of the patches, x' being pairs exchanged; in kernels of their own."""
        _, _, seq, dim = x.shape
        angles = (seq - self.tokens, dim)
        with b.scope(f"{name}_rotary"):
            y = b.add(Slice(2, self.tokens, None), x)
            first, second = b.add_all(Split(-1, (dim // 2, dim // 2)), y)
            turned = b.add(Concat(-1), b.add(Mul(scalar=-1.0), second, name="negative"), first, name="exchanged")
            y = layers.multiply(b, y, b.state("cosines", angles), name="by_cosine")
            y = layers.add(b, y, layers.multiply(b, turned, b.state("sines", angles), name="by_sine"))
            return b.add(Concat(2), b.add(Slice(2, 0, self.tokens), x), y, name="joined")

    def _mlp(self, b: GraphBuilder, x: Tensor) -> Tensor:
        if not self.gated:
            return layers.mlp(b, x, self.hidden)
        with b.scope("mlp"):
            if self.inner_norm:
                gate, up = (layers.linear(b, x, self.hidden, name=name) for name in ("gate", "up"))
            else:
                made = layers.linear(b, x, 2 * self.hidden, name="up")
                gate, up = b.add_all(Split(-1, (self.hidden, self.hidden)), made)
            y = layers.multiply(b, layers.activation(b, gate, "silu"), up, name="gated")
            y = layers.layer_norm(b, y, name="norm", kept=True) if self.inner_norm else y
            return layers.linear(b, y, self.width, name="down")


_SIZES: Mapping[str, tuple[int, int, int, int]] = MappingProxyType(
    {
        # layers, width, heads, hidden width
        "tiny": (12, 192, 3, 512),
        "small": (12, 384, 6, 1024),
        "base": (12, 768, 12, 2048),
        "large": (24, 1024, 16, 2730),
        "enormous": (64, 1792, 16, 15360),
        "giant": (40, 1408, 16, 6144),
    }
)
"""Fang et al. 2023, EVA-02, Table 3; Fang et al. 2023, EVA, Table 4; Sun et al. 2023, EVA-CLIP, Table 3."""
_TURNED: Mapping[str, tuple[int, int, int]] = MappingProxyType(
    {"medium": (12, 512, 8), "mediumd": (20, 512, 8), "betwixt": (12, 640, 10), "base": (12, 768, 12)}
)


def _find(name: str) -> Sized | None:
    found = re.match(r"vit_(medium|mediumd|betwixt|base)_patch16_rope_reg(\d)_gap_(\d{3})$", name)
    if found is not None:
        depth, width, heads = _TURNED[found[1]]
        network = Eva(
            depth=depth,
            width=width,
            heads=heads,
            hidden=4 * width,
            patch=16,
            tokens=int(found[2]),
            rotary=True,
            positions=False,
            scaled=True,
            biased=found[1] != "mediumd",
        )
        return Sized(network, int(found[3]))
    found = re.match(r"eva(02)?_([a-z]+)_patch(\d+)_(clip_)?(\d{3})$", name)
    if found is None or found[2] not in _SIZES:
        return None
    second, size, patch, clip, pixels = found.groups()
    depth, width, heads, hidden = _SIZES[size]
    early = not second or size == "enormous"
    wide = size in ("base", "large") and not early
    network = Eva(
        depth=depth,
        width=width,
        heads=heads,
        hidden=4 * width if size == "large" and early else hidden,
        patch=int(patch),
        read="token" if clip else "patches",
        rotary=not early,
        gated=not early,
        inner_norm=wide,
        attended_norm=bool(clip) and not early,
        joint=not wide,
        after=size == "enormous",
    )
    labels = {"base": 512, "large": 768}.get(size, 1024) if clip else 1000
    return Sized(network, int(pixels), labels)


FAMILIES = (
    ImageFamily(
        name="eva",
        title="vision transformer",
        source="Fang et al. 2023, EVA; Fang et al. 2023, EVA-02: A Visual Representation for Neon Genesis, Table 3",
        examples=("eva_giant_patch14_224", "eva02_base_patch14_448", "eva02_large_patch14_clip_336"),
        find=_find,
        minimum=14,
    ),
)
