"""CenterPoint: pillars from points, and what of the heads is exported."""

from __future__ import annotations

import numpy as np
import pytest

from hwsim.functional.run import run_reference
from hwsim.graph.graph import GraphBuilder
from hwsim.workloads import WORKLOADS
from hwsim.workloads.centerpoint import _from_above


def test_only_cars_are_told_on_a_grid_of_0_8_m() -> None:
    graph = WORKLOADS["centerpoint_pillars"].build(pillars=7)
    assert [graph.tensors[name].shape for name in graph.outputs] == [(1, 128 * 128, 9), (1, 128 * 128, 1)]


@pytest.mark.slow
def test_a_pillar_lies_in_its_cell_of_the_image() -> None:
    b = GraphBuilder("g")
    graph = b.build([_from_above(b, b.input("pillars", (2, 64)), b.input("cells", (2, 1), "int64"))])
    given = {"pillars": np.repeat([[3.0], [5.0]], 64, 1), "cells": np.array([[513], [2]])}
    image = run_reference(graph, given | {"canvas": np.zeros((512 * 512, 64))})[graph.outputs[0]]
    assert (image[0, 0, 1, 1], image[0, 63, 0, 2], image.sum()) == (3.0, 5.0, 64 * 8.0)
