"""Workloads by name: what parameters they take, what is published about them, and how to build their graphs.

A workload is a function with keyword-only parameters that returns a Graph:

    @workload(title="ResNet-50", source="He et al. 2016, Table 1", item="image")
    def resnet50(*, batch: int = 1, height: int = 224, width: int = 224) -> Graph: ...

Names, types, defaults and docs of its parameters are read from the function; ``dtype`` and ``passes`` are added to all.
"""

from __future__ import annotations

import importlib
import inspect
import math
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Literal, Protocol, TypeVar, get_args, get_origin

from hwsim.errors import InputError, UnknownNameError
from hwsim.graph.graph import Graph
from hwsim.graph.tensor import AUTO, SCHEMES
from hwsim.registry import Registry, suggest, unknown_name
from hwsim.workloads.library import ALIASES, FAMILY_MODULES, MODULE_OF

__all__ = [
    "NO_PASSES",
    "PASSES_PARAMETER",
    "WORKLOADS",
    "Family",
    "Library",
    "Parameter",
    "Published",
    "Value",
    "Workload",
    "define",
    "sources",
    "workload",
]

NO_PASSES = "none"
Value = int | float | bool | str
Build = TypeVar("Build", bound=Callable[..., Graph])

_TYPES: Mapping[type, str] = {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}
_TRUTH = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """What others counted: ``parameters``, and ``macs`` when built with the arguments ``at``.

    ``tolerance`` is the relative difference that rounding in the source allows.
    """

    source: str
    parameters: int | None = None
    macs: float | None = None
    at: Mapping[str, Value] = field(default_factory=dict)
    tolerance: float = 0.005


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """One parameter of a workload; ``minimum`` and ``maximum`` are inclusive, ``choices`` the only texts allowed."""

    name: str
    type: type
    default: Value
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[str, ...] = ()
    doc: str = ""

    def parse(self, text: str) -> Value:
        """The value a text of the command line stands for; raises InputError naming the parameter."""
        bare = text.strip()
        try:
            if self.type is bool:
                return self.check(_TRUTH[bare.lower()])
            return self.check(self.type(bare))
        except (KeyError, ValueError):
            raise self._wrong(text) from None

    def check(self, value: object) -> Value:
        """The value if it has the right type and lies in the range; raises InputError naming the parameter."""
        if self.type is float and isinstance(value, int) and not isinstance(value, bool):
            value = float(value)
        if not isinstance(value, self.type) or (isinstance(value, bool) and self.type is not bool):
            raise self._wrong(value)
        if isinstance(value, str) and self.choices and value not in self.choices:
            hint = suggest(value, self.choices)
            raise InputError(f"parameter '{self.name}': write one of {', '.join(self.choices)}, not '{value}'{hint}")
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            self._check_range(value)
        return typing.cast(Value, value)

    def _check_range(self, value: float) -> None:
        if not math.isfinite(value):
            raise self._wrong(value)
        if self.minimum is not None and value < self.minimum:
            raise InputError(f"parameter '{self.name}' must be at least {self.minimum:g}, not {value}")
        if self.maximum is not None and value > self.maximum:
            raise InputError(f"parameter '{self.name}' must be at most {self.maximum:g}, not {value}")

    def _wrong(self, value: object) -> InputError:
        shown = f"'{value}'" if isinstance(value, str) else repr(value)
        return InputError(f"parameter '{self.name}': write {_TYPES[self.type]} such as {self.default}, not {shown}")


PASSES_PARAMETER = Parameter(
    name="passes", type=str, default=NO_PASSES, doc="Passes over the model, e.g. 'backward' or 'prune:ratio=0.5'."
)
"""What every workload takes besides its own parameters."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """A named graph with parameters; ``source`` cites where its layers come from, ``item`` is what it makes."""

    name: str
    title: str
    source: str
    item: str
    parameters: Mapping[str, Parameter]
    function: Callable[..., Graph]
    published: Published | None = None
    doc: str = ""

    def build(self, **params: object) -> Graph:
        """The graph with those parameters, defaults for the others.

        Raises:
            UnknownNameError: the workload has no such parameter.
            InputError: a value of the wrong type or out of range, or a pass that cannot be applied.
        """
        values = {name: self.parameter(name).check(value) for name, value in params.items()}
        dtype, passes = str(values.pop("dtype", AUTO)), str(values.pop("passes", NO_PASSES))
        graph = self.function(**values)
        if graph.item == "run":
            graph = replace(graph, item=self.item)
        graph = graph if dtype == AUTO else graph.with_scheme(dtype)
        if passes == NO_PASSES:
            return graph
        from hwsim.passes import apply_text

        return apply_text(graph, passes)

    def parameter(self, name: str) -> Parameter:
        """The parameter of that name; raises UnknownNameError that lists those there are."""
        try:
            return self.parameters[name]
        except KeyError:
            known = ", ".join(f"{p.name} ({p.default})" for p in self.parameters.values())
            hint = suggest(name, self.parameters)
            raise UnknownNameError(
                f"workload '{self.name}' has no parameter '{name}'{hint}; parameters and their defaults: {known}"
            ) from None

    def parse_parameter(self, assignment: str) -> tuple[str, Value]:
        """Name and value of a text like ``batch=8``; raises UnknownNameError or InputError."""
        name, equals, text = assignment.partition("=")
        if not equals:
            raise InputError(f"write NAME=VALUE, e.g. 'batch=8', not '{assignment}'")
        name = name.strip()
        return name, self.parameter(name).parse(text)

    def parse_parameters(self, assignments: Iterable[str]) -> dict[str, Value]:
        """Values of several texts like ``batch=8``; the last of one name wins."""
        return dict(self.parse_parameter(text) for text in assignments)


class Family(Protocol):
    """Networks of one builder in many sizes: too many to list, so a name is read when it is asked for."""

    @property
    def name(self) -> str:
        """What the family is called."""

    @property
    def title(self) -> str:
        """What its networks are."""

    @property
    def source(self) -> str:
        """Where its layers come from."""

    @property
    def examples(self) -> Sequence[str]:
        """Some names, or all where they follow no rule."""

    def entry(self, name: str) -> Workload | None:
        """The network of that name, or None if the family has none."""


class Library(Mapping[str, Workload]):
    """Workloads by name; the module behind a name of the library is imported when first asked for.

    Members of families are found by name but not listed; ``families`` tells which there are.
    """

    def __init__(
        self, modules: Mapping[str, str], aliases: Mapping[str, str], family_modules: Sequence[str] = ()
    ) -> None:
        self._modules = modules
        self._aliases = aliases
        self._family_modules = family_modules
        self._defined: Registry[Workload] = Registry("workload")
        self._members: dict[str, Workload] = {}

    def add(self, item: Workload) -> None:
        """Register a workload; raises InputError if the name is taken."""
        if item.name in self._aliases:
            raise InputError(f"workload '{item.name}' would hide another name of '{self._aliases[item.name]}'")
        self._defined.add(item.name, item)

    def __getitem__(self, name: str) -> Workload:
        name = self._aliases.get(name, name)
        if name in self._defined:
            return self._defined[name]
        if name in self._modules:
            importlib.import_module(self._modules[name])
            return self._defined[name]
        member = self._member(name)
        if member is None:
            examples = [example for family in self.families() for example in family.examples]
            raise unknown_name("workload", name, (*self, *self._aliases, *examples))
        return member

    def families(self) -> list[Family]:
        """The families, in the order of their modules."""
        return [family for path in self._family_modules for family in importlib.import_module(path).FAMILIES]

    def _member(self, name: str) -> Workload | None:
        if name not in self._members:
            found = next((entry for family in self.families() if (entry := family.entry(name))), None)
            if found is None:
                return None
            self._members[name] = found
        return self._members[name]

    def __contains__(self, name: object) -> bool:
        if name in self._modules or name in self._aliases or name in self._defined:
            return True
        return isinstance(name, str) and self._member(name) is not None

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys((*self._modules, *self._defined)))

    def __len__(self) -> int:
        return sum(1 for _ in self)


WORKLOADS = Library(MODULE_OF, ALIASES, FAMILY_MODULES)
"""Every workload by its name."""


def sources(doc: str | None, before: str = "") -> str:
    """What a module's docstring lists behind "Sources:", in one line; "" where Python left docstrings out.

    >>> sources("Nets. Sources: A et al. 2020; B 2021. Layers as released.", before="Layers")
    'A et al. 2020; B 2021.'
    """
    _, _, listed = (doc or "").partition("Sources: ")
    return " ".join((listed.partition(before)[0] if before else listed).split())


def workload(
    *,
    title: str,
    source: str,
    item: str,
    published: Published | None = None,
    minimum: Mapping[str, float] | None = None,
    maximum: Mapping[str, float] | None = None,
) -> Callable[[Build], Build]:
    """Function decorator that enters a workload into :data:`WORKLOADS` and returns the function unchanged.

    Whole numbers must be at least 1 and other numbers at least 0, unless ``minimum`` says otherwise.
    """

    def decorate(function: Build) -> Build:
        WORKLOADS.add(
            define(
                function,
                title=title,
                source=source,
                item=item,
                published=published,
                minimum=minimum or {},
                maximum=maximum or {},
            )
        )
        return function

    return decorate


def define(
    function: Callable[..., Graph],
    *,
    title: str,
    source: str,
    item: str,
    published: Published | None = None,
    minimum: Mapping[str, float],
    maximum: Mapping[str, float],
) -> Workload:
    """The workload that a function is, without entering it anywhere."""
    doc = inspect.cleandoc(function.__doc__ or "")
    parameters = _parameters(function, doc, minimum, maximum)
    return Workload(
        name=function.__name__,
        title=title,
        source=source,
        item=item,
        parameters=MappingProxyType(parameters),
        function=function,
        published=published,
        doc=doc,
    )


def _parameters(
    function: Callable[..., Graph], doc: str, minimum: Mapping[str, float], maximum: Mapping[str, float]
) -> dict[str, Parameter]:
    docs = _argument_docs(doc)
    hints = typing.get_type_hints(function)
    found: dict[str, Parameter] = {}
    for name, given in inspect.signature(function).parameters.items():
        assert given.kind is inspect.Parameter.KEYWORD_ONLY, f"{function.__name__}: '{name}' must be keyword-only"
        kind, choices = _type_and_choices(hints[name])
        lowest = {int: 1.0, float: 0.0}.get(kind)
        found[name] = Parameter(
            name=name,
            type=kind,
            default=given.default,
            minimum=minimum.get(name, lowest),
            maximum=maximum.get(name),
            choices=choices,
            doc=docs.get(name, ""),
        )
    found["dtype"] = Parameter(
        name="dtype", type=str, default=AUTO, choices=(AUTO, *SCHEMES), doc="Number format or precision scheme."
    )
    found["passes"] = PASSES_PARAMETER
    return found


def _type_and_choices(hint: Any) -> tuple[type, tuple[str, ...]]:
    if get_origin(hint) is Literal:
        return str, get_args(hint)
    assert hint in _TYPES, f"a parameter of a workload is an int, float, bool, str or Literal, not {hint}"
    return hint, ()


def _argument_docs(doc: str) -> dict[str, str]:
    """Texts of the ``Args:`` section of a Google docstring, by name."""
    docs: dict[str, str] = {}
    name = ""
    _, _, section = doc.partition("\nArgs:\n")
    for line in section.splitlines():
        if line and not line.startswith(" "):
            break
        if line.startswith("    ") and not line.startswith("     ") and ":" in line:
            name, _, text = line.strip().partition(":")
            docs[name] = text.strip()
        elif name and line.strip():
            docs[name] += " " + line.strip()
    return docs
