"""Strict pydantic models made from the markers of spec classes, and back: one declaration, three uses.

A spec's field ``clock_hz: Annotated[float, Quantity("clock", "Hz")]`` becomes the key ``clock`` of a model that
reads "1.8 GHz", an entry of the JSON Schema, and, once read, the field of the frozen spec.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Mapping
from functools import cache
from types import NoneType
from typing import Annotated, Any, ClassVar, TypeVar, Union, cast, get_args, get_origin

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    ValidationError,
    WithJsonSchema,
    create_model,
)
from pydantic_core import CoreSchema, ErrorDetails, PydanticCustomError

from hwsim.errors import InputError
from hwsim.loading.document import Keys, Node
from hwsim.loading.faults import Faults
from hwsim.loading.merge import with_values, without
from hwsim.registry import known_names, suggest
from hwsim.specs.fields import Formats, Key, Marker, SpecField, spec_fields
from hwsim.units import shown

__all__ = [
    "OrOne",
    "OrText",
    "SpecModel",
    "build",
    "extend",
    "list_of",
    "mapping_of",
    "model_of",
    "parsed_by",
    "validate",
]

_ROUNDS = 4
"""Times that what does not fit is left out: a value, then the section that needs it."""
_ORIGINS = ("source", "fitted_to", "assumption")
S = TypeVar("S")


class SpecModel(BaseModel):
    """Base of all models: keys that no field claims are faults."""

    model_config = ConfigDict(extra="forbid", protected_namespaces=(), arbitrary_types_allowed=True)

    spec: ClassVar[type[Any]]
    """The spec class whose fields the model reads."""
    extras: ClassVar[Any] = None
    """The model of further keys, where any name is allowed."""


def parsed_by(parse: Callable[[Any], Any], schema: Mapping[str, Any]) -> Any:
    """The annotation of a value read by ``parse``, whose InputError becomes a fault at the value's place."""

    def read(raw: Any) -> Any:
        try:
            return parse(raw)
        except InputError as error:
            raise PydanticCustomError("hwsim", "{text}", {"text": str(error)}) from None

    return Annotated[Any, BeforeValidator(read), WithJsonSchema(dict(schema))]


def model_of(spec: type[Any]) -> type[SpecModel]:
    """The model of a spec class, fields by their YAML keys."""
    return _model_of(cast("Any", spec))


@cache
def _model_of(spec: Any) -> type[SpecModel]:
    fields: dict[str, Any] = {f"{item.name}_": _field(item) for item in spec_fields(spec).values()}
    return extend(SpecModel, spec, fields)


def extend(base: type[SpecModel], spec: type[Any], fields: Mapping[str, Any]) -> type[SpecModel]:
    """A model of ``spec`` with the fields of ``base`` and further ones, which carry their keys as aliases."""
    made: Any = create_model(spec.__name__.strip("_"), __base__=base, __doc__=spec.__doc__, **dict(fields))
    keys = {field.alias for field in made.model_fields.values()}
    origins = [key for key in _ORIGINS if key in keys]
    if len(origins) > 1:
        made.model_config["json_schema_extra"] = {"anyOf": [{"required": [key]} for key in origins]}
        made.model_rebuild(force=True)
    made.spec = spec
    return cast("type[SpecModel]", made)


class OrText:
    """Annotation: the YAML may hold a plain text in place of the mapping; the loader spells it out first."""

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """Either of both."""
        return {"anyOf": [{"type": "string"}, handler(schema)]}


class OrOne:
    """Annotation: the YAML may hold one item in place of a list of them."""

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """Either of both."""
        listed = handler(schema)
        return {"anyOf": [listed["items"], listed]}


def mapping_of(value: Any, key: Any = str) -> Any:
    """The annotation of a mapping with such values."""
    return dict[key, value]


def list_of(item: Any) -> Any:
    """The annotation of a list of such items."""
    return list[item]


def _field(item: SpecField) -> tuple[Any, Any]:
    if not isinstance(item.marker, Key):
        kind = _annotation(item.marker)
    elif get_origin(item.type) is tuple:
        kind = list_of(model_of(get_args(item.type)[0]))
    else:
        kind = model_of(next(t for t in (*get_args(item.type), item.type) if isinstance(t, type) and t is not NoneType))
    return kind, Field(alias=item.key) if item.required else Field(default=None, alias=item.key)


def _annotation(marker: Marker) -> Any:
    assert not isinstance(marker, Key)
    if isinstance(marker, Formats):
        names = {"enum": list(marker.names)} if marker.names else {"type": "string"}
        return mapping_of(_annotation(marker.of), parsed_by(marker.parse_name, names))
    return parsed_by(marker.parse, marker.schema())


def validate(model: type[SpecModel], node: Node, faults: Faults, at: Keys = (), root: Node | None = None) -> SpecModel:
    """The node read by a model, faults collected.

    Args:
        model: what the node should hold.
        node: a part of a document.
        faults: takes what is wrong.
        at: where the node stands below ``root``.
        root: the document (default: ``node`` itself).

    Returns:
        The model; where single values do not fit, that of the rest, so that the caller finds what else is wrong.

    Raises:
        FileFormatError: too little fits to go on; otherwise what is wrong is only noted in ``faults``.
    """
    top = root or node
    _check_rules(model, node, at, top, faults)
    rest = node
    for _ in range(_ROUNDS):
        try:
            return model.model_validate(rest.plain())
        except ValidationError as error:
            items = error.errors(include_url=False, include_input=True)
        for item in items if rest is node else ():
            _report(item, model, at, top, faults)
        for item in items:
            keys = _bare_keys(item)
            rest = _pruned(rest, keys[: min(1, len(keys) - 1)] if item["type"] == "missing" else keys)
    faults.check()
    raise AssertionError("unreachable: what did not fit was reported")


def _bare_keys(item: ErrorDetails) -> Keys:
    return tuple(part for part in item["loc"] if part != "[key]")


def _pruned(node: Node, keys: Keys) -> Node:
    """The document without the value at ``keys``; without the whole list where that is an item of one."""
    child = node.child(keys[0]) if keys else None
    if child is None:
        return node
    rest = keys[1:]
    if isinstance(node.value, list):
        return Node([_pruned(item, rest) if item is child else item for item in node.value], node.place)
    if not rest or (len(rest) == 1 and isinstance(child.value, list)):
        return without(node, [str(keys[0])])
    return with_values(node, {str(keys[0]): _pruned(child, rest)})


def _report(item: ErrorDetails, model: type[SpecModel], at: Keys, top: Node, faults: Faults) -> None:
    found: Keys = item["loc"]
    bare = _bare_keys(item)
    place, path = top.locate(at + bare, key=item["type"] == "extra_forbidden" or len(bare) < len(found))
    faults.add(place, path, _message(item, model, bare))


def _message(item: ErrorDetails, model: type[SpecModel], keys: Keys) -> str:
    match item["type"]:
        case "missing":
            return f"is missing; write {_example(model, keys)}"
        case "extra_forbidden":
            return f"no key {shown(keys[-1])} here{known_names(str(keys[-1]), _fields_at(model, keys[:-1]))}"
        case "hwsim":
            return item["msg"]
        case "model_type" | "dict_type" | "model_attributes_type":
            others = _fields_at(model, keys[:-1]) if keys else {}
            hint = suggest(str(keys[-1])[:60], others) if keys and keys[-1] not in others else ""
            return f"write a mapping, 'key: value' lines or {{key: value}}, not {shown(item['input'])}{hint}"
        case "list_type":
            return f"write a list, '- item' lines or [item, item], not {shown(item['input'])}"
        case _:
            return f"{item['msg']}, not {shown(item['input'])}"


def _example(model: type[SpecModel], keys: Keys) -> str:
    field = _fields_at(model, keys[:-1]).get(str(keys[-1]))
    for extra in field.metadata if field else ():
        if isinstance(extra, WithJsonSchema) and extra.json_schema and "examples" in extra.json_schema:
            return f"'{keys[-1]}: {extra.json_schema['examples'][0]}', say"
    return f"'{keys[-1]}: ...'"


def _fields_at(model: type[SpecModel], keys: Keys) -> dict[str, Any]:
    """The fields, by YAML key, of the model that reads the value at ``keys``."""
    current: Any = model
    for part in keys:
        bare = _bare(current)
        if isinstance(bare, type) and issubclass(bare, SpecModel):
            field = {f.alias: f for f in bare.model_fields.values()}.get(str(part))
            current = field.annotation if field else bare.extras
        else:
            current = (get_args(bare) or (None,))[-1]
    bare = _bare(current)
    if isinstance(bare, type) and issubclass(bare, SpecModel):
        return {str(f.alias): f for f in bare.model_fields.values()}
    return {}


def _bare(annotation: Any) -> Any:
    while get_origin(annotation) in {Annotated, Union, types.UnionType}:
        annotation = get_args(annotation)[0]
    return annotation


def _check_rules(model: Any, node: Node, at: Keys, top: Node, faults: Faults) -> None:
    """Rules beyond single values: every section says where it is from, items of a list have their own names."""
    if not isinstance(node.value, dict | list):
        return
    bare = _bare(model)
    if isinstance(bare, type) and issubclass(bare, SpecModel) and isinstance(node.value, dict):
        fields = _fields_at(bare, ())
        origins = [key for key in _ORIGINS if key in fields]
        if len(origins) > 1 and not any(key in node.value for key in origins):
            place, path = top.locate(at)
            wanted = 'fitted_to: "measurements"' if "fitted_to" in origins else 'source: "document, table"'
            faults.add(place, path, f"""says not where it is from; write '{wanted}' or 'assumption: "reasoning"'""")
        for key, child in node.value.items():
            inner = fields[key].annotation if key in fields else bare.extras
            _check_rules(inner, child, (*at, key), top, faults)
    elif get_origin(bare) is list and isinstance(node.value, list):
        _check_names(node, at, top, faults)
        for position, child in enumerate(node.value):
            _check_rules(get_args(bare)[0], child, (*at, position), top, faults)
    elif get_origin(bare) is dict and isinstance(node.value, dict):
        for key, child in node.value.items():
            _check_rules(get_args(bare)[1], child, (*at, key), top, faults)


def _check_names(node: Node, at: Keys, top: Node, faults: Faults) -> None:
    seen: set[str] = set()
    for position, child in enumerate(node.value):
        name = child.child("name")
        if name is None or not isinstance(name.value, str):
            continue
        if name.value in seen:
            place, path = top.locate((*at, position, "name"))
            faults.add(place, path, f"two items are named {shown(name.value)}; rename one")
        seen.add(name.value)


def build(spec: type[S], model: BaseModel, **further: Any) -> S:
    """The frozen spec of what a model has read; keys that were left out take the spec's defaults."""
    values: dict[str, Any] = dict(further)
    for item in spec_fields(spec).values():
        if f"{item.name}_" not in model.model_fields_set or item.name in further:
            continue
        value = getattr(model, f"{item.name}_")
        if isinstance(value, SpecModel):
            value = build(value.spec, value)
        elif isinstance(item.marker, Key):
            value = tuple(build(child.spec, child) for child in value)
        elif isinstance(item.marker, Formats):
            value = types.MappingProxyType(value)
        values[item.name] = value
    return spec(**values)
