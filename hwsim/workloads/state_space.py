"""State-space layers (Mamba-2): each head carries a matrix from token to token instead of a cache that grows.

Dao and Gu, "Transformers are SSMs: Generalized Models and Efficient Algorithms Through Structured State Space Duality",
2024, section 7 and its figure 6: one product gives gate, inputs and steps, a short causal convolution mixes
neighbouring tokens, the recurrence follows, then a gated norm and a product back.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from hwsim.graph.graph import GraphBuilder
from hwsim.graph.tensor import Tensor
from hwsim.operators.concat import Concat
from hwsim.operators.conv1d import Conv1d
from hwsim.operators.linear import Linear
from hwsim.operators.pad import Pad
from hwsim.operators.reshape import Reshape
from hwsim.operators.rmsnorm import RmsNorm
from hwsim.operators.selective_scan import SelectiveScan
from hwsim.operators.silu import Silu
from hwsim.operators.silu_mul import SiluMul
from hwsim.operators.slice import Slice
from hwsim.operators.split_view import SplitView
from hwsim.operators.transpose import Transpose
from hwsim.workloads import layers

__all__ = ["StateSpace", "state_space", "state_space_weights"]


@dataclass(frozen=True, slots=True, kw_only=True)
class StateSpace:
    """``heads`` of ``dim`` features with ``state`` numbers each; ``groups`` of them share what enters and leaves.

    ``window``: tokens that the convolution sees.
    """

    heads: int
    dim: int
    state: int
    groups: int
    window: int = 4

    @property
    def inner(self) -> int:
        """Features of all heads."""
        return self.heads * self.dim

    @property
    def mixed(self) -> int:
        """Channels of the convolution: the heads' features, and what enters and leaves the state."""
        return self.inner + 2 * self.groups * self.state


def state_space_weights(b: GraphBuilder, sizes: StateSpace, *, width: int) -> dict[str, tuple[Tensor, ...]]:
    """Weights of one layer by their use."""
    with b.scope("mixer"):
        conv = b.weight("conv.weight", (sizes.mixed, 1, sizes.window)), b.weight("conv.bias", (sizes.mixed,))
        return {
            "mixer_in": layers.linear_weights(b, sizes.inner + sizes.mixed + sizes.heads, width, bias=False, name="in"),
            "mixer_conv": conv,
            "mixer_heads": tuple(b.weight(name, (sizes.heads,)) for name in ("step_bias", "decay", "skip")),
            "mixer_norm": layers.norm_weights(b, sizes.inner, shift=False, name="norm"),
            "mixer_out": layers.linear_weights(b, width, sizes.inner, bias=False, name="out"),
        }


def state_space(
    b: GraphBuilder,
    sizes: StateSpace,
    weights: Mapping[str, tuple[Tensor, ...]],
    x: Tensor,
    before: tuple[Tensor, ...],
) -> tuple[Tensor, tuple[Tensor, Tensor]]:
    """(batch, seq, width), and the last columns of the convolution and the state, which the next token begins with."""
    batch, seq, _ = x.shape
    low = b.add(Linear(), x, *weights["mixer_in"], name="mixer_in")
    gate, mixed, step = b.add_all(SplitView(-1, (sizes.inner, sizes.mixed, sizes.heads)), low, name="mixer_parts")
    columns = b.add(Transpose((0, 2, 1)), mixed, name="columns")
    if before:
        columns = b.add(Concat(2), before[0], columns, name="window")
    else:
        columns = b.add(Pad(((0, 0), (0, 0), (sizes.window - 1, 0))), columns, name="window")
    kept = b.add(Slice(2, seq, seq + sizes.window - 1), columns, name="kept_window")
    mixed = b.add(Silu(), b.add(Conv1d(groups=sizes.mixed), columns, *weights["mixer_conv"], name="conv"), name="act")
    mixed = b.add(Transpose((0, 2, 1)), mixed, name="rows")
    shared = sizes.groups * sizes.state
    u, enters, leaves = b.add_all(SplitView(-1, (sizes.inner, shared, shared)), mixed, name="scan_parts")
    u = b.add(Reshape((batch, seq, sizes.heads, sizes.dim)), u, name="u")
    enters = b.add(Reshape((batch, seq, sizes.groups, sizes.state)), enters, name="enters")
    leaves = b.add(Reshape((batch, seq, sizes.groups, sizes.state)), leaves, name="leaves")
    bias, decay, skip = weights["mixer_heads"]
    y, state = b.add_all(SelectiveScan(), u, step, bias, decay, enters, leaves, skip, *before[1:], name="scan")
    y = b.add(SiluMul(), gate, b.add(Reshape((batch, seq, sizes.inner)), y, name="scanned"), name="gated")
    y = b.add(RmsNorm(), y, *weights["mixer_norm"], name="mixer_norm")
    return b.add(Linear(), y, *weights["mixer_out"], name="mixer_out"), (kept, state)
