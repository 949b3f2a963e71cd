"""Hardswish where a compiler has no such operator: four of them, in two kernels."""

from __future__ import annotations

import numpy as np

import hwsim
from hwsim.functional.run import run_reference
from hwsim.graph.graph import Graph, GraphBuilder
from hwsim.operators.add import Add
from hwsim.operators.conv2d import Conv2d
from hwsim.operators.hardswish import HardSwish
from hwsim.operators.mul import Mul
from hwsim.operators.relu import Relu
from hwsim.passes import apply_passes
from hwsim.specs.device import DeviceSpec


def _scaled() -> Graph:
    b = GraphBuilder("g")
    x = b.add(Conv2d(), b.input("x", (1, 4, 6, 6)), b.weight("w", (4, 4, 1, 1)))
    return b.build([b.add(Mul(2.0), b.add(HardSwish(), x))], dtype="fp32")


def test_a_product_of_two_tensors_starts_a_kernel_that_takes_constants_in() -> None:
    """What reads one tensor merges; the input is multiplied in a kernel of two tensors, with both factors behind."""
    graph = apply_passes(_scaled(), ("spell_hardswish", "fuse_pairs"))
    assert [node.name for node in graph.nodes] == [
        "conv2d",
        "hardswish.raised+hardswish.limited",
        "hardswish.product+hardswish.scaled+mul",
    ]


def test_weights_are_no_second_tensor() -> None:
    """A learned factor and shift join the kernel of a single tensor; what adds another tensor begins one."""
    b = GraphBuilder("g")
    x, other = b.input("x", (1, 4, 6, 6)), b.input("other", (1, 4, 6, 6))
    y = b.add(Mul(), b.add(HardSwish(), x, name="curve"), b.weight("factor", (4, 1, 1)), name="scale")
    y = b.add(Relu(), b.add(Add(), y, other, name="sum"), name="last")
    graph = apply_passes(b.build([y], dtype="fp32"), ("fuse_pairs",))
    assert [node.name for node in graph.nodes] == ["curve+scale", "sum+last"]


def test_values_stay() -> None:
    graph = _scaled()
    given = {"x": np.random.default_rng(5).standard_normal((1, 4, 6, 6))}
    spelled = apply_passes(graph, ("spell_hardswish", "fuse_pairs"))
    before, after = (list(run_reference(each, given).values())[-1] for each in (graph, spelled))
    assert np.allclose(before, after, rtol=1e-5, atol=1e-6)


def test_the_older_chips_of_rockchip_have_no_hardswish() -> None:
    older, newer = hwsim.load_device("rv1126_npu"), hwsim.load_device("rk3588_npu")
    assert [_spells(chip) for chip in (older, newer)] == [True, False]


def _spells(chip: DeviceSpec) -> bool:
    return "spell_hardswish" in chip.stack("rknn").passes
