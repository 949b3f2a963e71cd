"""Standard operators that ONNX itself defines by others: their bodies, read in place of a rule."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hwsim.errors import InputError
from hwsim.workloads.onnx.document import onnx_package
from hwsim.workloads.onnx.elements import TYPE_OF

if TYPE_CHECKING:
    from hwsim.workloads.onnx.use import Use

__all__ = ["function_body"]


def function_body(use: Use, domain: str, opset: int) -> Any:
    """The FunctionProto that defines an operator, or None.

    Bodies that depend on the inputs' types are asked for with them.
    """
    onnx = onnx_package()
    if domain:
        return None
    try:
        schema = onnx.defs.get_schema(use.kind, opset, domain)
    except onnx.defs.SchemaError:
        return None
    versions = [v for v in schema.function_opset_versions if v <= opset]
    if versions:
        return _parsed(onnx, schema.get_function_with_opset_version(max(versions)), schema)
    versions = [v for v in schema.context_dependent_function_opset_versions if v <= opset]
    if not versions or any(value is None for value in use.inputs[: schema.min_input]):
        return None
    node = onnx.helper.make_node(use.kind, [f"i{i}" if v else "" for i, v in enumerate(use.inputs)], list(use.outputs))
    for name, value in use.attributes.items():
        if value is not None and value != []:
            try:
                node.attribute.append(onnx.helper.make_attribute(name, value))
            except (TypeError, ValueError):
                raise InputError(f"attribute '{name}' has no value of its type") from None
    types = []
    for value in use.inputs:
        kind = onnx.TypeProto()
        if value is not None:
            kind = onnx.helper.make_tensor_type_proto(TYPE_OF[value.format], value.shape)
        types.append(kind.SerializeToString())
    body = schema.get_context_dependent_function_with_opset_version(max(versions), node.SerializeToString(), types)
    return _parsed(onnx, body, schema)


def _parsed(onnx: Any, body: bytes, schema: Any) -> Any:
    """The body with the operator's default attributes, or None for an empty one."""
    function = onnx.FunctionProto()
    function.ParseFromString(body)
    for attribute in schema.attributes.values():
        if attribute.default_value.name:
            function.attribute_proto.append(attribute.default_value)
    return function if function.node else None
