"""Text encoders of CLIP and SigLIP, from embedded tokens to one vector a text.

Sources: Radford et al. 2021, Learning Transferable Visual Models From Natural Language Supervision, section 2.4;
Zhai et al. 2023, Sigmoid Loss for Language Image Pre-Training; Wu et al. 2023, TinyCLIP, Table 1.
"""

from __future__ import annotations

from collections.abc import Callable

from hwsim.graph.graph import Graph, GraphBuilder
from hwsim.operators.reshape import Reshape
from hwsim.operators.slice import Slice
from hwsim.workloads import layers
from hwsim.workloads.registry import Published, sources, workload

__all__: list[str] = []

_DOC = """Text encoder; the table of tokens is left outside, as hailo_model_zoo does.

Args:
    batch: Texts at once.
    seq: Tokens of a text.
"""


def _encoder(name: str, width: int, depth: int, tokens: int, *, causal: bool) -> Callable[..., Graph]:
    def build(*, batch: int = 1, seq: int = tokens) -> Graph:
        b = GraphBuilder(name)
        x = b.input("embeddings", (batch, seq, width))
        x = layers.add(b, x, b.weight("positions", (1, seq, width)))
        for place in range(depth):
            with b.scope(f"block{place}"):
                y = layers.attention(b, layers.layer_norm(b, x, "norm1"), width // 64, causal=causal)
                x = layers.add(b, x, y, name="add1")
                y = layers.mlp(b, layers.layer_norm(b, x, "norm2"), 4 * width, act="quick_gelu")
                x = layers.add(b, x, y, name="add2")
        x = layers.layer_norm(b, x, "norm")
        last = b.add(Reshape((batch, width)), b.add(Slice(1, seq - 1, seq), x))
        return b.build([layers.linear(b, last, width, bias=False, name="projection")], items=batch, item="text")

    build.__name__ = name
    build.__module__ = __name__
    build.__doc__ = _DOC
    return build


for _name, _title, _width, _depth, _tokens, _causal, _parameters in (
    ("clip_text_512", "CLIP text encoder, width 512", 512, 12, 77, True, 37.8e6),
    ("clip_text_640", "CLIP text encoder, width 640", 640, 12, 77, True, 59.1e6),
    ("clip_text_768", "CLIP text encoder, width 768", 768, 12, 77, True, 85.1e6),
    ("tinyclip_text_3m", "TinyCLIP text encoder, 3 M", 256, 3, 77, True, 2.5e6),
    ("tinyclip_text_19m", "TinyCLIP text encoder, 19 M", 512, 6, 77, True, 19.0e6),
    ("tinyclip_text_29m", "TinyCLIP text encoder, 29 M", 512, 9, 77, True, 29.0e6),
    ("siglip_text_b", "SigLIP-B text encoder", 768, 12, 64, False, 85.6e6),
    ("siglip_text_l", "SigLIP-L text encoder", 1024, 24, 64, False, 303.3e6),
):
    workload(
        title=_title,
        source=sources(__doc__),
        item="text",
        published=Published(
            parameters=int(_parameters), tolerance=0.02, source="hailo_model_zoo, public models, without token tables"
        ),
    )(_encoder(_name, _width, _depth, _tokens, causal=_causal))
