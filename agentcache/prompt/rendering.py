"""From templates and variables to the text of each section: the same bytes every time.

Decides what a value looks like to a template, what a template may do, and in which words it fails. Two things keep the
bytes stable: values become plain before a template sees them (sorted, no objects), and no expression can show a memory
address, a random choice or an unsorted set. Which layer may use which variable is not decided here (variables.py), and
nothing here is escaped for HTML: a prompt is text.
"""

from __future__ import annotations

import json
from collections.abc import Callable, ItemsView, Iterable, Iterator, KeysView, Mapping, Set, ValuesView
from contextlib import contextmanager
from dataclasses import dataclass, fields, is_dataclass
from datetime import date, time
from decimal import Decimal
from enum import Enum
from functools import singledispatch, wraps
from typing import Protocol, runtime_checkable

from jinja2 import BaseLoader, Environment, StrictUndefined, Template, Undefined, meta, nodes
from jinja2.exceptions import TemplateNotFound, TemplateRuntimeError, TemplateSyntaxError, UndefinedError
from jinja2.runtime import BlockReference, Context
from jinja2.sandbox import ImmutableSandboxedEnvironment
from pydantic import BaseModel

from agentcache.errors import MissingVariable, SettingsError, TemplateError
from agentcache.prompt.canonical import JsonValue, canonical_json, canonical_text
from agentcache.prompt.model_facts import Ttl
from agentcache.prompt.sections import Prompt, Section, Stability


@dataclass(frozen=True, slots=True, kw_only=True)
class RenderedSection:
    """The text of one section for one call: canonical (`canonical_text`), never empty."""

    name: str
    stability: Stability
    text: str
    breakpoint: Ttl | None
    """The author's explicit mark behind this section; `None` leaves it to the planner."""


class Renderer:
    """Renders the sections of one prompt; compiled once, no state between calls."""

    def __init__(self, prompt: Prompt) -> None:
        """Compile `prompt` and every template that it includes.

        Raises `TemplateError` for a template that does not parse or uses a filter or test that is not offered.
        """
        self._environment = template_environment(prompt.includes)
        self._layers: dict[Stability, tuple[tuple[Section, Template], ...]] = {}
        self._names: dict[Stability, frozenset[str] | None] = {}
        for layer in Stability:
            sections = prompt.layer(layer)
            trees = [parse(self._environment, section.template, section.label) for section in sections]
            self._names[layer] = _names_used(self._environment, trees, prompt.includes)
            self._layers[layer] = tuple(
                (section, _compiled(self._environment, tree, section.label))
                for section, tree in zip(sections, trees, strict=True)
            )

    def render(self, stability: Stability, variables: Mapping[str, object]) -> tuple[RenderedSection, ...]:
        """Return the sections of one layer, without those that come out empty.

        `variables` holds those of this layer and of all more stable ones; what no template of the layer names is
        ignored. Raises `MissingVariable` for a name or attribute without a value, `SettingsError` for a value with no
        one text (`plain_value`), and `TemplateError` for anything else that fails; all name template and line.
        """
        names = self._names[stability]
        plain = plain_variables({name: variables[name] for name in variables if names is None or name in names})
        return tuple(
            RenderedSection(name=section.name, stability=stability, text=text, breakpoint=section.breakpoint)
            for section, template in self._layers[stability]
            if (text := _text_of(template, plain, section, stability))
        )


def _text_of(template: Template, variables: Mapping[str, JsonValue], section: Section, stability: Stability) -> str:
    with _jinja_errors(section.label, stability):
        text = canonical_text(template.render(variables))
        text.encode()  # an escape such as "\ud800" in a template makes text that no request can carry
        return text


def _names_used(
    environment: Environment, trees: Iterable[nodes.Template], includes: Mapping[str, str]
) -> frozenset[str] | None:
    """Return every name in these templates and those that they include, scoped or not; `None` is any name."""
    names: set[str] = set()
    seen: set[str] = set()
    pending = list(trees)
    while pending:
        tree = pending.pop()
        names.update(node.name for node in tree.find_all(nodes.Name))
        for reference in meta.find_referenced_templates(tree):
            if reference is None:
                return None
            if reference in includes and reference not in seen:
                seen.add(reference)
                pending.append(parse(environment, includes[reference], reference))
                with _jinja_errors(reference):
                    environment.get_template(reference)  # compiles it now, so that its mistakes show now
    return frozenset(names)


def plain_variables(variables: Mapping[str, object]) -> dict[str, JsonValue]:
    """Return variables as plain values. Raises `SettingsError` naming the variable that has none."""
    return {name: plain_value(value, name=name) for name, value in variables.items()}


def plain_value(value: object, *, name: str = "value") -> JsonValue:
    """Return `value` as templates see it: text, numbers, lists and dicts, equal values always in one order.

    Dicts (any mapping) are sorted by key and keys must be text; sets become lists, numbers first and in order, then
    the rest by their JSON. Tuples, named ones too, become lists. Pydantic models and dataclasses become dicts of
    their fields; dates and times ISO text; decimals and paths (with `/`) text; enum members their value.

    `name` stands in errors. Raises `SettingsError` for anything else (an object without a text of its own, a
    generator, an open file, bytes), for NaN and infinity, for text that is no Unicode, and for endless nesting.
    """
    try:
        return _plain(value, name)
    except RecursionError:
        raise SettingsError(f"`{name}` contains itself, or is nested too deeply to be shown") from None


@runtime_checkable
class _PathLike(Protocol):  # pathlib itself stays out of pure modules
    def __fspath__(self) -> str: ...

    def as_posix(self) -> str: ...


@singledispatch
def _plain(value: object, where: str) -> JsonValue:
    if value is None:
        return None
    if is_dataclass(value) and not isinstance(value, type):
        return _plain({field.name: getattr(value, field.name) for field in fields(value)}, where)
    if isinstance(value, _PathLike) and isinstance(path := value.as_posix(), str):
        return _plain(path, where)
    kind = f"`{where}` is a {type(value).__name__}"
    if isinstance(value, Iterator):
        raise SettingsError(f"{kind}, which can be read only once; pass its content, as text or as a list")
    raise SettingsError(f"{kind}, which has no one text; pass its fields in a dict, or the text that you mean")


@_plain.register
def _(value: bool, where: str) -> JsonValue:
    return value


@_plain.register
def _(value: int, where: str) -> JsonValue:
    return int(value)


@_plain.register(float)
@_plain.register(Decimal)
def _(value: float | Decimal, where: str) -> JsonValue:
    if not Decimal(value).is_finite():
        raise SettingsError(f"`{where}` is {value}, which is no JSON number; pass the text or None that you mean")
    return str(value) if isinstance(value, Decimal) else float(value)


@_plain.register
def _(value: str, where: str) -> JsonValue:
    text = str.__str__(value)  # a subclass may show itself otherwise, as Markup and enums do
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise SettingsError(f"`{where}` is no Unicode text ({error.reason} at {error.start}); decode it anew") from None
    return text


@_plain.register(date)
@_plain.register(time)
def _(value: date | time, where: str) -> JsonValue:
    return value.isoformat()


@_plain.register
def _(value: Enum, where: str) -> JsonValue:
    return _plain(value.value, where)


@_plain.register
def _(value: BaseModel, where: str) -> JsonValue:
    return _plain(value.model_dump(), where)  # not its JSON mode, which writes sets in hash order


@_plain.register
def _(value: Mapping, where: str) -> JsonValue:  # type: ignore[type-arg]  # dispatch is by the bare class
    for key in value:
        if not isinstance(key, str):
            raise SettingsError(f"`{where}` has the key {key!r} ({type(key).__name__}); keys must be text")
    return {str(_plain(key, where)): _plain(value[key], f"{where}.{key}") for key in sorted(value)}


@_plain.register(list)
@_plain.register(tuple)
def _(value: list[object] | tuple[object, ...], where: str) -> JsonValue:
    return [_plain(item, f"{where}[{place}]") for place, item in enumerate(value)]


@_plain.register
def _(value: Set, where: str) -> JsonValue:  # type: ignore[type-arg]  # dispatch is by the bare class
    return sorted((_plain(item, where) for item in value), key=_set_order)


def _set_order(item: JsonValue) -> tuple[int, float, str]:
    if isinstance(item, int | float):
        return 0, item, ""
    return 1, 0, canonical_json(item)


_OFFERED_GLOBALS = frozenset({"dict", "namespace", "range"})
_LAZY_FILTERS = ("batch", "items", "map", "reject", "rejectattr", "reverse", "select", "selectattr", "slice", "unique")


class _Function(Protocol):
    def __call__(self, *args: object, **kwargs: object) -> object: ...


@dataclass(frozen=True, slots=True, repr=False)
class _Callable:
    """What a template may call and nothing else: shown, it would be a memory address; tested, always true."""

    function: _Function

    def __repr__(self) -> str:
        name = getattr(self.function, "__name__", type(self.function).__name__)
        raise TemplateRuntimeError(f"{name!r} is a method; call it, or write x[{name!r}] for an item of that name")

    def __iter__(self) -> Iterator[object]:
        yield repr(self)

    def __bool__(self) -> bool:
        return bool(repr(self))


def _guarded(value: object) -> object:
    return _Callable(value) if callable(value) and not isinstance(value, Undefined) else value


def _bare(value: object) -> object:
    return value.function if isinstance(value, _Callable) else value


class _Missing(StrictUndefined):
    """A missing value that fails inside a list or dict too, where Jinja would show `Undefined`."""

    __slots__ = ()
    __repr__ = StrictUndefined.__str__


class _Context(Context):
    def super(self, name: str, current: Callable[[Context], Iterator[str]]) -> BlockReference | Undefined:
        return _guarded(super().super(name, current))  # type: ignore[return-value]  # the sandbox unwraps it


class _Sandbox(ImmutableSandboxedEnvironment):
    """Jinja without escapes from the sandbox and without anything that differs between two processes."""

    context_class = _Context

    def getattr(self, obj: object, attribute: str) -> object:
        return _guarded(super().getattr(_bare(obj), attribute))

    def getitem(self, obj: object, argument: object) -> object:
        return _guarded(super().getitem(_bare(obj), argument))

    def call(self, context: Context, obj: object, /, *args: object, **kwargs: object) -> object:
        result = super().call(context, _bare(obj), *args, **kwargs)
        # `keys() - keys()` would be a set, and sets have no order.
        return list(result) if isinstance(result, KeysView | ItemsView | ValuesView) else result


class _Texts(BaseLoader):
    def __init__(self, texts: Mapping[str, str]) -> None:
        self._texts = texts

    def get_source(self, environment: Environment, template: str) -> tuple[str, str, Callable[[], bool]]:
        if template not in self._texts:
            raise TemplateNotFound(template)
        return self._texts[template], template, lambda: True


def template_environment(includes: Mapping[str, str]) -> Environment:
    """Return the one kind of Jinja environment that prompts are parsed and rendered in.

    Strict, sandboxed, no HTML escaping, `trim_blocks` and `lstrip_blocks` on. Against plain Jinja: `random`, `lipsum`,
    `cycler` and `joiner` are not there, `tojson` sorts keys and escapes nothing, filters give lists, and what has no
    text of its own cannot be shown.
    """
    environment = _Sandbox(
        undefined=_Missing,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_shown,
        loader=_Texts(includes),
        cache_size=-1,
        auto_reload=False,
    )
    for name in set(environment.globals) - _OFFERED_GLOBALS:
        del environment.globals[name]
    environment.globals["range"] = _guarded(environment.globals["range"])
    del environment.filters["random"]
    for name in _LAZY_FILTERS:
        environment.filters[name] = _eager(environment.filters[name])
    environment.filters["tojson"] = _tojson
    return environment


def _shown(value: object) -> object:
    if value is None or isinstance(value, str | int | float | list | tuple | dict | Undefined | _Callable):
        return value
    raise TemplateRuntimeError(f"this shows a {type(value).__name__} instead of a value; show its parts")


def _eager(lazy: _Function) -> _Function:
    @wraps(lazy)  # Jinja reads from its attributes that a filter wants the context or the environment
    def filtered(*args: object, **kwargs: object) -> object:
        for argument in args:
            if isinstance(argument, Undefined):
                str(argument)  # raises; some of these filters take an undefined value for an empty one
        result = lazy(*args, **kwargs)
        return list(result) if isinstance(result, Iterator) else result

    return filtered


def _tojson(value: object, indent: int | None = None) -> str:
    if isinstance(value, Undefined):
        str(value)  # raises
    return json.dumps(value, ensure_ascii=False, sort_keys=True, allow_nan=False, indent=indent)


def parse(environment: Environment, text: str, label: str) -> nodes.Template:
    """Return the syntax tree of a template. Raises `TemplateError` with `label` and line when there is none."""
    with _jinja_errors(label):
        return environment.parse(text, label, label)


def _compiled(environment: Environment, tree: nodes.Template, label: str) -> Template:
    with _jinja_errors(label):
        code = environment.compile(tree, label, label)
        return Template.from_code(environment, code, environment.make_globals(None))


@contextmanager
def _jinja_errors(label: str, layer: Stability | None = None) -> Iterator[None]:
    """Raise what Jinja raises inside as ours. `label` names the template when Jinja does not say."""
    try:
        yield
    except Exception as error:
        raise _template_error(error, label, layer) from error


def _template_error(error: Exception, label: str, layer: Stability | None) -> TemplateError:
    template, line = _origin(error)
    where = template or label
    where = where if line is None else f"{where}, line {line}"
    text = str(getattr(error, "message", None) or error).rstrip(".")
    if isinstance(error, UndefinedError):
        return MissingVariable(
            f"{where}: {text}; give it with the {layer} variables, or write `default(...)` behind it",
            template=template or label,
            line=line,
        )
    if isinstance(error, TemplateNotFound):
        text = f"there is no template {text!r} to include"
    elif text == "No filter named 'random'":
        text += ": a prompt must come out the same every time"
    elif not isinstance(error, TemplateSyntaxError | TemplateRuntimeError):
        text = f"{text} ({type(error).__name__})"
    return TemplateError(f"{where}: {text}", template=template or label, line=line)


def _origin(error: Exception) -> tuple[str | None, int | None]:
    if isinstance(error, TemplateSyntaxError):
        return error.filename, error.lineno
    found: tuple[str | None, int | None] = (None, None)
    trace = error.__traceback__
    while trace is not None:
        # Jinja replaces frames of compiled templates by frames that carry the template's own name and line.
        if "__jinja_exception__" in trace.tb_frame.f_globals:
            found = trace.tb_frame.f_code.co_filename, trace.tb_lineno
        trace = trace.tb_next
    return found
