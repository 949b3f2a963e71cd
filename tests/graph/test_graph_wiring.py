"""Graphs from nodes in any order: what is refused, and with which words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwsim.errors import GraphError, ShapeError, UnknownNameError
from hwsim.graph.graph import Graph, Node
from hwsim.graph.tensor import Tensor, TensorType
from hwsim.operators.add import Add
from hwsim.operators.linear import Linear
from hwsim.operators.relu import Relu
from hwsim.operators.split import Split

ROW = TensorType((4, 8), "fp16")


def _tensors(*names: str, **roles: str) -> dict[str, Tensor]:
    return {n: Tensor(n, ROW) for n in names} | {n: Tensor(n, ROW, role) for n, role in roles.items()}


def _relu(name: str, source: str, target: str) -> Node:
    return Node(name, Relu(), (source,), (target,))


def test_nodes_are_put_in_an_order_in_which_producers_come_first() -> None:
    nodes = [Node("sum", Add(), ("a", "b"), ("c",)), _relu("two", "a", "b"), _relu("one", "x", "a")]
    graph = Graph.from_nodes("g", nodes, _tensors("a", "b", "c", x="input"))
    assert [n.name for n in graph.nodes] == ["one", "two", "sum"]
    assert graph.outputs == ("c",)
    assert graph.predecessors == [(), (0,), (0, 1)]


@given(st.permutations(range(6)))
def test_any_order_of_nodes_gives_the_same_chain(order: list[int]) -> None:
    names = ["x", *"abcdef"]
    chain = [_relu(f"n{i}", names[i], names[i + 1]) for i in range(6)]
    graph = Graph.from_nodes("g", [chain[i] for i in order], _tensors(*"abcdef", x="input"))
    assert list(graph.nodes) == chain


def test_a_cycle_is_refused_naming_its_nodes() -> None:
    nodes = [_relu("start", "x", "a"), Node("one", Add(), ("a", "c"), ("b",)), _relu("two", "b", "c")]
    with pytest.raises(GraphError, match="the graph has a cycle: 'one' <- 'two' <- 'one'"):
        Graph.from_nodes("g", nodes, _tensors("a", "b", "c", x="input"))


def test_an_input_that_does_not_exist_is_refused_naming_the_node_and_the_nearest_tensor() -> None:
    with pytest.raises(GraphError, match="node 'r': its input 'hiden' does not exist; did you mean 'hidden'"):
        Graph.from_nodes("g", [_relu("r", "hiden", "y")], _tensors("y", hidden="input"))


def test_an_activation_that_no_node_makes_is_dangling() -> None:
    with pytest.raises(GraphError, match="node 'r': its input 'x' is made by no node"):
        Graph.from_nodes("g", [_relu("r", "x", "y")], _tensors("x", "y"))


def test_an_output_without_a_tensor_is_refused() -> None:
    with pytest.raises(GraphError, match="node 'r': its output 'y' is not among the tensors"):
        Graph.from_nodes("g", [_relu("r", "x", "y")], _tensors(x="input"))


def test_two_producers_of_a_tensor_are_refused_naming_both() -> None:
    nodes = [_relu("one", "x", "y"), _relu("two", "x", "y")]
    with pytest.raises(GraphError, match="tensor 'y' is made by both 'one' and 'two'"):
        Graph.from_nodes("g", nodes, _tensors("y", x="input"))


def test_two_nodes_of_one_name_are_refused() -> None:
    nodes = [_relu("one", "x", "y"), _relu("one", "x", "z")]
    with pytest.raises(GraphError, match="two nodes are named 'one'"):
        Graph.from_nodes("g", nodes, _tensors("y", "z", x="input"))


def test_inputs_that_do_not_fit_their_operator_are_refused_naming_the_node() -> None:
    tensors = _tensors("y", x="input") | {"w": Tensor("w", TensorType((5, 7), "fp16", True), "weight")}
    with pytest.raises(ShapeError, match=r"node 'fc': linear: x \[4, 8\] ends in 8"):
        Graph.from_nodes("g", [Node("fc", Linear(), ("x", "w"), ("y",))], tensors)


def test_a_recorded_type_that_the_operator_does_not_yield_is_refused() -> None:
    tensors = _tensors(x="input") | {"y": Tensor("y", TensorType((8, 4), "fp16"))}
    with pytest.raises(ShapeError, match=r"node 'r': output 'y' is \[8, 4\] fp16, but relu yields \[4, 8\] fp16"):
        Graph.from_nodes("g", [_relu("r", "x", "y")], tensors)


def test_a_wrong_number_of_outputs_is_refused() -> None:
    node = Node("cut", Split(0, (2, 2)), ("x",), ("y",))
    with pytest.raises(GraphError, match="node 'cut': split makes 2 tensors, not 1"):
        Graph.from_nodes("g", [node], _tensors("y", x="input"))


def test_an_unknown_output_of_the_graph_is_refused() -> None:
    with pytest.raises(GraphError, match="output 'z' is made by no node"):
        Graph.from_nodes("g", [_relu("r", "x", "y")], _tensors("y", x="input"), outputs=["z"])


def test_an_empty_graph_has_nothing_to_do() -> None:
    graph = Graph.from_nodes("empty", [], {})
    assert (graph.macs, graph.flop, graph.parameters, graph.outputs) == (0, 0, 0, ())


def test_a_shape_holds_whole_numbers_of_at_least_one() -> None:
    with pytest.raises(ShapeError, match="at least 1"):
        TensorType((4, 0))


def test_an_unknown_number_format_is_refused_with_a_suggestion() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'int8'"):
        TensorType((4,), "int88")


def test_bytes_of_an_unresolved_format_are_refused() -> None:
    with pytest.raises(ShapeError, match="still 'auto'"):
        _ = TensorType((4,)).size_bytes


def test_four_bit_weights_carry_their_scales() -> None:
    assert TensorType((64,), "int4").size_bytes == 32 + 2 * 2  # an fp16 scale every 32 elements


def test_networkx_sees_nodes_with_their_kind_and_edges_with_their_tensor() -> None:
    nodes = [_relu("one", "x", "a"), Node("sum", Add(), ("a", "x"), ("b",))]
    drawn = Graph.from_nodes("g", nodes, _tensors("a", "b", x="input")).to_networkx()
    assert dict(drawn.nodes(data=True)) == {
        "one": {"kind": "relu", "phase": "main"},
        "sum": {"kind": "add", "phase": "main"},
    }
    assert list(drawn.edges(data=True)) == [("one", "sum", {"tensor": "a", "elements": 32})]
