"""What a template may do: the one kind of Jinja environment, and in which words it fails.

No expression can show a memory address, a random choice or an unsorted set, so the same variables give the same bytes
in every process. Decides which globals and filters a template is offered, and turns what Jinja raises into errors that
name template and line. What a value looks like before a template sees it is decided in plain_values.py; nothing here
is escaped for HTML: a prompt is text.
"""

from __future__ import annotations

import json
from collections.abc import Callable, ItemsView, Iterator, KeysView, Mapping, MutableMapping, ValuesView
from contextlib import contextmanager
from dataclasses import dataclass
from functools import wraps
from typing import Protocol

from jinja2 import BaseLoader, Environment, StrictUndefined, Template, Undefined, nodes
from jinja2.exceptions import TemplateNotFound, TemplateRuntimeError, TemplateSyntaxError, UndefinedError
from jinja2.runtime import BlockReference, Context
from jinja2.sandbox import ImmutableSandboxedEnvironment

from agentcache.errors import MissingVariable, TemplateError
from agentcache.prompt.sections import Stability

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


class MarkedTexts(_Texts):
    """Included templates, each with its syntax as `mark` leaves it; `mark` gets the tree and the template's name."""

    def __init__(self, texts: Mapping[str, str], mark: Callable[[nodes.Template, str], nodes.Template]) -> None:
        super().__init__(texts)
        self._mark = mark

    def load(
        self,
        environment: Environment,
        name: str,
        globals: MutableMapping[str, object] | None = None,  # noqa: A002  # Jinja's own word
    ) -> Template:
        """Return the marked template of a name, compiled. Raises Jinja's `TemplateNotFound` for a name of none."""
        text, _, _ = self.get_source(environment, name)
        return compiled(environment, self._mark(parse(environment, text, name), name), name)


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
    with jinja_errors(label):
        return environment.parse(text, label, label)


def compiled(environment: Environment, tree: nodes.Template, label: str) -> Template:
    """Return the template of a syntax tree. Raises `TemplateError` for a filter or test that is not offered."""
    with jinja_errors(label):
        code = environment.compile(tree, label, label)
        return Template.from_code(environment, code, environment.make_globals(None))


@contextmanager
def jinja_errors(label: str, layer: Stability | None = None) -> Iterator[None]:
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
