"""Running a graph on NumPy: values by hand, what is drawn, what is refused, what is freed."""

from __future__ import annotations

import gc
import weakref
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pytest

from hwsim.errors import InputError, ShapeError
from hwsim.functional.run import run_reference
from hwsim.graph.graph import Graph, GraphBuilder
from hwsim.operators.add import Add
from hwsim.operators.append import Append
from hwsim.operators.batchnorm import BatchNorm
from hwsim.operators.cast import Cast
from hwsim.operators.embedding import Embedding
from hwsim.operators.linear import Linear
from hwsim.operators.relu import Relu
from hwsim.operators.split import Split


def _mlp(dtype: str = "auto") -> Graph:
    b = GraphBuilder("mlp")
    x = b.input("x", (2, 3))
    hidden = b.add(Relu(), b.add(Linear(), x, b.weight("w", (4, 3)), b.weight("bias", (4,))))
    return b.build([hidden], dtype=dtype)


def test_a_graph_of_known_weights_gives_known_values() -> None:
    given = {"x": np.eye(2, 3), "w": np.arange(12).reshape(4, 3), "bias": np.array([0, -4, -8, -20])}
    assert run_reference(_mlp(), given)["relu"].tolist() == [[0, 0, 0, 0], [1, 0, 0, 0]]


def test_weights_not_given_are_drawn_from_the_seed_and_their_names() -> None:
    x = {"x": np.ones((2, 3))}
    one, same, other = (run_reference(_mlp(), x, seed=seed)["relu"] for seed in (1, 1, 2))
    assert (one == same).all()
    assert (one != other).any()


def test_a_tensor_keeps_its_values_when_another_joins_the_graph() -> None:
    b = GraphBuilder("mlp")
    b.weight("another", (7, 7))
    x = b.input("x", (2, 3))
    b.add(Relu(), b.add(Linear(), x, b.weight("w", (4, 3)), b.weight("bias", (4,))))
    graph = b.build([b._tensors["relu"]])
    x_value = {"x": np.ones((2, 3))}
    assert (run_reference(graph, x_value)["relu"] == run_reference(_mlp(), x_value)["relu"]).all()


def test_drawn_weights_keep_activations_of_order_one() -> None:
    b = GraphBuilder("deep")
    x = b.input("x", (8, 256))
    for i in range(6):
        x = b.add(Linear(), x, b.weight(f"w{i}", (256, 256)))
    graph = b.build([x])
    (y,) = run_reference(graph, {"x": np.random.default_rng(0).standard_normal((8, 256))}).values()
    assert 0.5 < y.std() < 2


def test_stored_variances_are_drawn_positive() -> None:
    b = GraphBuilder("bn")
    vectors = [b.weight("gamma", (64,)), b.weight("beta", (64,)), b.state("mean", (64,)), b.state("var", (64,))]
    graph = b.build([b.add(BatchNorm(), b.input("x", (2, 64, 3)), *vectors)])
    assert np.isfinite(run_reference(graph, {"x": np.ones((2, 64, 3))})["batchnorm"]).all()


@pytest.mark.parametrize(
    ("dtype", "given", "computed"),
    [
        ("auto", np.float16, np.float32),
        ("auto", np.float64, np.float64),
        ("fp16", np.float32, np.float16),
        ("bf16", np.float32, np.float32),
        ("fp64", np.float32, np.float64),
        ("w8a8", np.float32, np.float32),
        ("w8a16_int", np.float32, np.float32),
    ],
)
def test_values_have_the_format_of_their_tensor_where_numpy_has_it(dtype: str, given: type, computed: type) -> None:
    assert run_reference(_mlp(dtype), {"x": np.ones((2, 3), given)})["relu"].dtype == computed


def test_indices_stay_integers_and_states_can_be_given() -> None:
    b = GraphBuilder("g")
    rows = b.add(Embedding(), b.input("ids", (2,), "int32"), b.weight("table", (5, 3)))
    graph = b.build([b.add(Append(0), b.state("cache", (1, 3)), rows)])
    table = np.arange(15.0).reshape(5, 3)
    values = run_reference(graph, {"ids": np.array([4, 0]), "table": table, "cache": np.zeros((1, 3))})
    assert values["append"].tolist() == [[0, 0, 0], [12, 13, 14], [0, 1, 2]]


def test_a_missing_input_is_named_with_its_shape() -> None:
    with pytest.raises(InputError, match=r"graph 'mlp': give the input 'x', an array of shape \[2, 3\]"):
        run_reference(_mlp(), {})


def test_a_misshapen_array_is_named_with_the_expected_shape() -> None:
    with pytest.raises(ShapeError, match=r"'w' has shape \[4, 3\], not \[3, 4\]"):
        run_reference(_mlp(), {"x": np.ones((2, 3)), "w": np.ones((3, 4))})


def test_a_name_that_is_no_input_is_refused_with_the_nearest() -> None:
    with pytest.raises(InputError, match="takes no tensor 'bais'; did you mean 'bias'"):
        run_reference(_mlp(), {"x": np.ones((2, 3)), "bais": np.ones(4)})
    with pytest.raises(InputError, match="takes no tensor 'relu'"):
        run_reference(_mlp(), {"x": np.ones((2, 3)), "relu": np.ones((2, 4))})


def test_an_index_out_of_range_is_named_with_its_node() -> None:
    b = GraphBuilder("g")
    graph = b.build([b.add(Embedding(), b.input("ids", (2,), "int32"), b.weight("table", (5, 3)), name="words")])
    with pytest.raises(InputError, match="node 'words': embedding: indices must lie between 0 and 4, not 1 to 5"):
        run_reference(graph, {"ids": np.array([5, 1])})


def test_several_outputs_come_by_name_and_an_input_may_be_one() -> None:
    b = GraphBuilder("g")
    x = b.input("x", (3,))
    parts = b.add_all(Split(0, (1, 2)), x)
    values = run_reference(b.build([parts[1], x]), {"x": np.arange(3)})
    assert {name: array.tolist() for name, array in values.items()} == {"split:1": [1, 2], "x": [0, 1, 2]}


def test_casts_round_values() -> None:
    b = GraphBuilder("g")
    graph = b.build([b.add(Cast("fp32"), b.add(Cast("fp16"), b.input("x", (1,), "fp32")))])
    assert run_reference(graph, {"x": np.array([2049.0])})["cast_1"].tolist() == [2048.0]


_ALIVE: list[int] = []


@dataclass(frozen=True, slots=True)
class _Watched(Relu):
    """A ReLU that notes how many of the arrays made so far are alive."""

    kind: ClassVar[str] = "watched"
    made: ClassVar[list[weakref.ref[np.ndarray]]] = []

    def reference(self, *arrays: np.ndarray) -> tuple[np.ndarray, ...]:
        gc.collect()
        _ALIVE.append(sum(ref() is not None for ref in self.made))
        y = arrays[0] + 1
        self.made.append(weakref.ref(y))
        return (y,)


@pytest.mark.slow
def test_a_value_is_freed_after_its_last_use() -> None:
    """A chain a -> b -> c -> d and sum = a + d: a stays until the sum, b and c go when they were read."""
    _ALIVE.clear()
    b = GraphBuilder("g")
    first = b.add(_Watched(), b.input("x", (3,)))
    last = b.add(_Watched(), b.add(_Watched(), b.add(_Watched(), first)))
    graph = b.build([b.add(Add(), first, last)])
    assert run_reference(graph, {"x": np.zeros(3, np.float32)})["add"].tolist() == [5, 5, 5]
    assert _ALIVE == [0, 1, 2, 2]


def test_values_that_the_graph_brings_along_are_used_unless_others_are_given() -> None:
    graph = replace(_mlp(), values={"w": lambda: np.full((4, 3), 2.0), "bias": lambda: np.zeros(4)})
    x = {"x": np.ones((2, 3))}
    assert run_reference(graph, x)["relu"].tolist() == [[6.0] * 4] * 2
    assert run_reference(graph, {**x, "w": np.ones((4, 3))})["relu"].tolist() == [[3.0] * 4] * 2


def test_narrow_integers_that_come_as_integers_stay_such() -> None:
    b = GraphBuilder("narrow")
    graph = b.build([b.add(Relu(), b.input("x", (2,), "uint8"))])
    found = run_reference(graph, {"x": np.array([3, 250], np.uint8)})["relu"]
    assert (found.dtype, found.tolist()) == (np.dtype(np.uint8), [3, 250])
    assert run_reference(graph, {"x": np.array([3.0, 0.5])})["relu"].tolist() == [3.0, 0.5]
