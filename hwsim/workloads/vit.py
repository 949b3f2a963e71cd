"""Vision transformers (Dosovitskiy et al. 2021, An Image is Worth 16x16 Words, Table 1) and their descendants."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from hwsim.errors import InputError
from hwsim.graph.graph import GraphBuilder
from hwsim.graph.tensor import Tensor
from hwsim.operators.concat import Concat
from hwsim.operators.expand import Expand
from hwsim.operators.reduce import ReduceAxes
from hwsim.operators.reshape import Reshape
from hwsim.operators.slice import Slice
from hwsim.operators.split import Split
from hwsim.operators.transpose import Transpose
from hwsim.workloads import image_layers, layers
from hwsim.workloads.families import image_network, torchvision
from hwsim.workloads.registry import Published

__all__ = ["VisionTransformer"]

_SOURCE = "Dosovitskiy et al. 2021, An Image is Worth 16x16 Words, Table 1"


@dataclass(frozen=True, slots=True, kw_only=True)
class VisionTransformer:
    """Layers, width and heads of the encoder; ``patch`` is the side of a patch in pixels.

    ``hidden``: width of the perceptrons (four times ``width`` unless given), ``gated``: they multiply two halves of
    it. ``tokens``: what is put in front of the patches, without positions of their own unless ``token_positions``;
    of those the first ``read`` are classified, or else the ``pool`` of all, "average" or "attention" (one learned
    query, Zhai et al. 2022, Scaling Vision Transformers, section 2). ``norm_first``: normalise before the first layer
    (CLIP); ``norm_pooled``: normalise after pooling instead of before; ``norm_after``: normalise what a layer makes
    instead of what it reads (Liu et al. 2022, Swin V2); ``norm_folded``: by batch statistics, which fold into the
    products around, so that nothing is left to do (hailo_model_zoo, vit_*_bn). ``scaled``: layer scale (Touvron et al.
    2021, CaiT). ``branches``: attentions and perceptrons side by side (Touvron et al. 2022, Three Things).
    ``relative``: scores get a bias by distance: "window" with entries for the token (BEiT), or "plain".
    ``joint``: attention and perceptron read one product (Dehghani et al. 2023, ViT-22B). ``cropped``: pixels that
    fill no patch are left out. ``backbone``: makes the features whose patches are projected, or that are the patches
    unless ``projected``. ``parted``: gated perceptrons are normalised once more and make their halves in two products.
    """

    depth: int
    width: int
    heads: int
    patch: int = 16
    hidden: int = 0
    gated: bool = False
    act: str = "gelu"
    tokens: int = 1
    token_positions: bool = True
    positions: bool = True
    read: int = 1
    pool: str = ""
    norm_first: bool = False
    norm_pooled: bool = False
    norm_after: bool = False
    norm_folded: bool = False
    scaled: bool = False
    packed_bias: bool = True
    qk_norm: bool = False
    branches: int = 1
    relative: str = ""
    joint: bool = False
    cropped: bool = False
    backbone: Callable[[GraphBuilder, Tensor], Tensor] | None = None
    projected: bool = True
    parted: bool = False

    def __call__(self, b: GraphBuilder, image: Tensor, classes: int) -> Tensor:
        """Logits (batch, classes); raises InputError when the image is not a whole number of patches."""
        x = self._embed(b, image)
        if self.norm_first:
            x = layers.layer_norm(b, x, name="norm_pre")
        side = (image.shape[2] // self.patch, image.shape[3] // self.patch)
        for place in range(self.depth):
            with b.scope(f"layer{place}"):
                x = self._joint_layer(b, x) if self.joint else self._layer(b, x, side)
        return self._classify(b, x, classes)

    def _layer(self, b: GraphBuilder, x: Tensor, side: tuple[int, int]) -> Tensor:
        for again in range(self.branches):
            end = str(again) if self.branches > 1 else ""
            y = x if self.norm_after else self._normed(b, x, f"norm1{end}")
            scores = self._relative(b, side, x.shape[1]) if self.relative else None
            y = layers.attention(
                b,
                y,
                self.heads,
                packed=True,
                bias=self.packed_bias,
                out_bias=True,
                qk_norm=self.qk_norm,
                scores=scores,
                name=f"attention{end}",
            )
            x = layers.add(b, x, self._after(b, y, f"1{end}"), name=f"add1{end}")
        for again in range(self.branches):
            end = str(again) if self.branches > 1 else ""
            y = x if self.norm_after else self._normed(b, x, f"norm2{end}")
            x = layers.add(b, x, self._after(b, self._mlp(b, y, f"mlp{end}"), f"2{end}"), name=f"add2{end}")
        return x

    def _normed(self, b: GraphBuilder, x: Tensor, name: str) -> Tensor:
        return x if self.norm_folded else layers.layer_norm(b, x, name=name)

    def _joint_layer(self, b: GraphBuilder, x: Tensor) -> Tensor:
        """One product for q, k, v and the perceptron's first layer, one sum of what both make."""
        hidden = self.hidden or 4 * self.width
        y = layers.linear(b, layers.layer_norm(b, x, name="norm"), hidden + 3 * self.width, name="joint")
        inner, q, k, v = b.add_all(Split(-1, (hidden, self.width, self.width, self.width)), y)
        heads = [layers.split_heads(b, part, self.heads, name=name) for part, name in ((q, "q"), (k, "k"), (v, "v"))]
        attended = layers.merge_heads(b, image_layers.fused_attention(b, *heads))
        attended = layers.linear(b, attended, self.width, name="out")
        made = layers.linear(b, layers.activation(b, inner, self.act), self.width, name="down")
        return layers.add(b, x, self._after(b, layers.add(b, attended, made, name="both"), ""))

    def _mlp(self, b: GraphBuilder, y: Tensor, name: str) -> Tensor:
        hidden = self.hidden or 4 * self.width
        if not self.gated:
            return layers.mlp(b, y, hidden, act=self.act, name=name)
        with b.scope(name):
            if self.parted:
                y = layers.layer_norm(b, y, kept=True)
                gate, up = (layers.linear(b, y, hidden // 2, name=part) for part in ("gate", "up"))
                y = layers.multiply(b, layers.activation(b, gate, self.act), up, name="gated")
                return layers.linear(b, y, self.width, name="down")
            gate, up = b.add_all(Split(-1, (hidden // 2, hidden // 2)), layers.linear(b, y, hidden, name="up"))
            y = layers.multiply(b, layers.activation(b, gate, self.act), up, name="gated")
            return layers.linear(b, y, self.width, name="down")

    def _after(self, b: GraphBuilder, y: Tensor, end: str) -> Tensor:
        if self.norm_after:
            y = layers.layer_norm(b, y, name=f"norm{end}")
        if self.scaled and not self.norm_after:
            y = layers.multiply(b, y, b.weight(f"scale{end}", (self.width,)), name=f"layer_scale{end}")
        return y

    def _relative(self, b: GraphBuilder, side: tuple[int, int], seq: int) -> Tensor:
        """(1, heads, seq, seq): rows of a table by distance."""
        rows = (2 * side[0] - 1) * (2 * side[1] - 1) + (3 if self.relative == "window" else 0)
        with b.scope("relative"):
            table = b.weight("table", (rows, self.heads))
            return image_layers.position_bias(b, table, seq)

    def _embed(self, b: GraphBuilder, image: Tensor) -> Tensor:
        """(batch, tokens + patches, width): projected patches behind the tokens, plus position embeddings."""
        image = image if self.backbone is None else self.backbone(b, image)
        batch, _, height, width = image.shape
        if not self.cropped and (height % self.patch or width % self.patch):
            raise InputError(
                f"parameters 'height' and 'width' must be multiples of the patch size {self.patch}, "
                f"not {height} and {width}"
            )
        x, bias = image, not self.norm_first
        if self.projected:
            x = layers.conv(b, x, self.width, self.patch, stride=self.patch, padding=0, bias=bias, name="patches")
        x = b.add(Transpose((0, 2, 1)), b.add(Reshape((batch, self.width, -1)), x))
        late = self.positions and not self.token_positions
        if late:
            x = layers.add(b, x, b.weight("positions", (1, *x.shape[1:])), name="add_positions")
        if self.tokens:
            token = b.weight("class_token" if self.tokens == 1 else "tokens", (1, self.tokens, self.width))
            if batch > 1:
                token = b.add(Expand((batch, self.tokens, self.width)), token)
            x = b.add(Concat(1), token, x)
        if late or not self.positions:
            return x
        return layers.add(b, x, b.weight("positions", (1, *x.shape[1:])), name="add_positions")

    def _classify(self, b: GraphBuilder, x: Tensor, classes: int) -> Tensor:
        x = x if self.norm_pooled else self._normed(b, x, "norm")
        if self.pool == "average":
            patches = b.add(Slice(1, self.tokens, x.shape[1]), x) if self.tokens else x
            y = b.add(ReduceAxes("mean", (1,)), patches)
        elif self.pool == "attention":
            y = self._attend(b, x)
        else:
            return self._read(b, x, classes)
        y = layers.layer_norm(b, y) if self.norm_pooled else y
        return layers.linear(b, y, classes, name="head")

    def _read(self, b: GraphBuilder, x: Tensor, classes: int) -> Tensor:
        """Logits of the first token, or the mean of those of the first two (distilled, Touvron et al. 2021)."""
        made = []
        for token in range(self.read):
            y = b.add(Reshape((x.shape[0], self.width)), b.add(Slice(1, token, token + 1), x))
            made.append(layers.linear(b, y, classes, name="head" if token == 0 else "head_distilled"))
        return made[0] if self.read == 1 else layers.multiply(b, layers.add(b, made[0], made[1]), b.state("half", (1,)))

    def _attend(self, b: GraphBuilder, x: Tensor) -> Tensor:
        """(batch, width): what one learned query finds."""
        batch = x.shape[0]
        with b.scope("pool"):
            query = b.weight("query", (1, 1, self.width))
            if batch > 1:
                query = b.add(Expand((batch, 1, self.width)), query)
            q = layers.split_heads(b, layers.linear(b, query, self.width, name="q"), self.heads, name="q_heads")
            k, v = b.add_all(Split(-1, (self.width, self.width)), layers.linear(b, x, 2 * self.width, name="kv"))
            keys = (layers.split_heads(b, part, self.heads, name=name) for part, name in ((k, "k"), (v, "v")))
            y = layers.merge_heads(b, image_layers.fused_attention(b, q, *keys))
            y = layers.linear(b, y, self.width, name="out")
            y = layers.add(b, y, self._mlp(b, layers.layer_norm(b, y), "mlp"))
            return b.add(Reshape((batch, self.width)), y)


for _name, _network, _source, _published in (
    (
        "vit_s_16",
        VisionTransformer(depth=12, width=384, heads=6),
        "Touvron et al. 2021, Training Data-efficient Image Transformers (DeiT), Table 1, without distillation",
        Published(parameters=22_050_664, macs=4.6e9, source="DeiT model zoo: DeiT-S, 22 M parameters, 4.6 G"),
    ),
    (
        "vit_b_16",
        VisionTransformer(depth=12, width=768, heads=12),
        _SOURCE,
        torchvision(86_567_656, 17.564e9),
    ),
    (
        "vit_l_16",
        VisionTransformer(depth=24, width=1024, heads=16),
        _SOURCE,
        torchvision(304_326_632, 61.555e9),
    ),
):
    image_network(
        _name,
        _network,
        title=f"ViT-{_name[4].upper()}/16",
        source=_source,
        published=_published,
        what="Vision transformer on patches of 16 x 16 pixels.",
        minimum=16,
    )

for _name, _network, _parameters, _gmacs in (
    ("vit_tiny_bn", VisionTransformer(depth=12, width=192, heads=3, norm_folded=True), 5.73e6, 1.1),
    ("vit_small_bn", VisionTransformer(depth=12, width=384, heads=6, norm_folded=True), 21.12e6, 4.31),
    ("vit_base_bn", VisionTransformer(depth=12, width=768, heads=12, norm_folded=True), 86.5e6, 17.594),
):
    image_network(
        _name,
        _network,
        title=f"ViT of width {_network.width} with batch normalisation",
        source="hailo_model_zoo, public models (vit_*_bn); Yao et al. 2021, Leveraging Batch Normalization for Vision "
        "Transformers",
        published=Published(
            parameters=int(_parameters), macs=_gmacs * 1e9, tolerance=0.15, source="hailo_model_zoo, public models"
        ),
        what="Vision transformer on patches of 16 x 16 pixels, batch normalisation folded into its products.",
        minimum=16,
    )
