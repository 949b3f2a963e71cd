"""What nodes and models of ONNX say, as plain Python."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hwsim.errors import InputError

__all__ = ["attributes_of", "function_defaults", "label_of", "one_float", "one_line", "without"]


def label_of(node: Any) -> str:
    """What a node is called: its name, else its first output."""
    return str(node.name or next(iter(node.output), "") or node.op_type)


def one_line(text: str) -> str:
    """The text without line ends and other control characters, which values of attributes may bring into messages."""
    return "".join(c if c.isprintable() else "?" for c in text)


def _helper() -> Any:
    import onnx.helper

    return onnx.helper


def _plain(value: Any) -> Any:
    """An attribute as Python values; texts decoded, repeated fields as lists."""
    if isinstance(value, bytes):
        return value.decode("utf-8")
    if hasattr(value, "extend"):
        return [_plain(item) for item in value]
    return value


def without(node: Any, absent: set[str]) -> Any:
    """The node of a function body with inputs that the caller left out left out too."""
    if not absent & set(node.input):
        return node
    changed = type(node)()
    changed.CopyFrom(node)
    for index, name in enumerate(node.input):
        if name in absent:
            changed.input[index] = ""
    return changed


def one_float(model: Any) -> bool:
    """Whether fp32 is the only floating type that tensors of the model are declared with."""
    types = {
        item.type.tensor_type.elem_type for item in (*model.graph.input, *model.graph.output, *model.graph.value_info)
    }
    types |= {proto.data_type for proto in model.graph.initializer}
    return not types & {10, 11, 16, 17, 19}


def function_defaults(function: Any) -> dict[str, Any]:
    """Attributes of a function that have a default."""
    return {a.name: _plain(_helper().get_attribute_value(a)) for a in function.attribute_proto}


def attributes_of(node: Any, outer: Mapping[str, Any]) -> dict[str, Any]:
    """Attributes of a node by name; those that refer to the function around it take its values from ``outer``.

    Raises:
        InputError: an attribute whose value is not of the type it says.
    """
    onnx_helper = _helper()
    found: dict[str, Any] = {}
    for attribute in node.attribute:
        if attribute.ref_attr_name:
            if attribute.ref_attr_name in outer:
                found[attribute.name] = outer[attribute.ref_attr_name]
            continue
        try:
            value = onnx_helper.get_attribute_value(attribute)
            found[attribute.name] = _plain(value)
        except (ValueError, UnicodeDecodeError):
            raise InputError(f"attribute '{attribute.name}' has no value of its type") from None
    return found
