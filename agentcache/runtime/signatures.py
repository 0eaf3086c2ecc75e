"""A function's signature as a tool sees it: a JSON schema for the model, and a check of what the model sends.

Everything that could never work is refused here, when the function is declared. Nothing is called and no
result is seen.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from types import FunctionType, MethodType
from typing import ParamSpec, TypeAlias, get_type_hints

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError, create_model
from pydantic.errors import PydanticUserError

from agentcache.errors import SettingsError, ToolArgumentsInvalid, ToolDeclarationError
from agentcache.prompt.canonical import JsonObject
from agentcache.runtime.docstrings import read_docstring
from agentcache.runtime.schemas import problems_in, schema_of

P = ParamSpec("P")

_VARIADIC = {inspect.Parameter.VAR_POSITIONAL: "*", inspect.Parameter.VAR_KEYWORD: "**"}
_Parameters: TypeAlias = Mapping[str, inspect.Parameter]


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """What can be known of a function without calling it.

    returns_nothing: declared `-> None`.
    """

    description: str
    input_schema: JsonObject
    returns_nothing: bool
    _model: type[BaseModel] = field(repr=False)
    _parameters: tuple[str, ...] = field(repr=False)

    def bind(self, arguments: JsonObject) -> dict[str, object]:
        """Return the function's keyword arguments, validated and defaults filled in.

        Raises `ToolArgumentsInvalid`, whose message tells the model what to correct.
        """
        try:
            valid = self._model.model_validate(arguments)
        except ValidationError as error:
            raise ToolArgumentsInvalid(problems_in(error)) from error
        return {name: getattr(valid, _field_name(i)) for i, name in enumerate(self._parameters)}


def read_signature(
    function: Callable[P, object], *, names: Mapping[str, object], description: str | None, where: str
) -> Signature:
    """Return the signature of `function`.

    `names` are those that annotations may use beside the function's module, `description` replaces the docstring,
    `where` begins every message. Raises `ToolDeclarationError`.
    """
    plain = underlying(function)
    if plain is None:
        raise ToolDeclarationError(f"{where}: is no Python function; wrap it in one")
    hints = _hints(plain, names, where)
    parameters = _parameters(function, where)
    model = _model_of(parameters, hints, where)
    text, described = _documented(plain.__doc__, description, parameters, where)
    try:
        schema = schema_of(TypeAdapter(model))
    except SettingsError as error:
        raise ToolDeclarationError(f"{where}: {error}") from error
    properties = {name: info.alias or name for name, info in zip(parameters, model.model_fields.values(), strict=True)}
    _describe(schema, {properties[name]: text for name, text in described.items()})
    return Signature(
        description=text,
        input_schema=schema,
        returns_nothing=plain.__annotations__.get("return", "unknown") in (None, "None", type(None)),
        _model=model,
        _parameters=tuple(parameters),
    )


def underlying(function: Callable[P, object]) -> FunctionType | None:
    """Return the plain function behind a partial, a bound method, a callable object or a wrapper; `None` for none."""
    found: object = function
    while isinstance(found, partial):
        found = found.func
    if not isinstance(found, (FunctionType, MethodType)):
        found = type(found).__call__
    if isinstance(found, MethodType):
        found = found.__func__
    found = inspect.unwrap(found) if callable(found) else found
    return found if isinstance(found, FunctionType) else None


def is_async(function: Callable[P, object]) -> bool:
    """Whether calling it gives something to wait for."""
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(type(function).__call__)


def _parameters(function: Callable[P, object], where: str) -> _Parameters:
    try:
        parameters = inspect.signature(function).parameters
    except (TypeError, ValueError) as error:
        raise ToolDeclarationError(f"{where}: has no signature that Python can read; wrap it in a function") from error
    for name, parameter in parameters.items():
        if parameter.kind in _VARIADIC:
            raise ToolDeclarationError(
                f"{where}: {_VARIADIC[parameter.kind]}{name} has no fixed schema; declare each parameter by name, "
                "or give Tool(...) a schema of your own"
            )
        if parameter.kind is inspect.Parameter.POSITIONAL_ONLY:
            raise ToolDeclarationError(f"{where}: {name!r} is positional-only, tools are called by name; drop the '/'")
        if parameter.annotation is inspect.Parameter.empty:
            method = " (decorate the bound method instead: tool(instance.method))" if name in {"self", "cls"} else ""
            raise ToolDeclarationError(f"{where}: parameter {name!r} has no type; annotate it{method}")
    return parameters


def _hints(plain: FunctionType, names: Mapping[str, object], where: str) -> Mapping[str, object]:
    """Return the types of the parameters, read where the function was declared.

    The return type is left out: it may stand under `TYPE_CHECKING` only, and no schema needs it.
    """
    try:
        bare = FunctionType(_nothing.__code__, plain.__globals__)
        bare.__annotations__ = {name: kind for name, kind in plain.__annotations__.items() if name != "return"}
        return get_type_hints(bare, localns=dict(names), include_extras=True)
    except NameError as error:
        raise ToolDeclarationError(
            f"{where}: the annotation {error.name!r} is not known where the function is declared; "
            "import it outside of TYPE_CHECKING"
        ) from error


def _nothing() -> None:
    """Stand in for a function whose annotations are read apart from it."""


def _model_of(parameters: _Parameters, hints: Mapping[str, object], where: str) -> type[BaseModel]:
    # Fields get neutral names with the parameter as alias: a parameter may be called `schema`, `copy` or `_x`.
    aliases = {_field_name(i): name for i, name in enumerate(parameters)}
    fields = {
        field_name: (hints[name], ... if _is_required(parameters[name]) else parameters[name].default)
        for field_name, name in aliases.items()
    }
    # Dataclasses of the standard library get the settings of the model that they stand in, hence names of theirs here.
    config = ConfigDict(
        extra="forbid", validate_default=True, alias_generator=lambda field_name: aliases.get(field_name, field_name)
    )
    try:
        model: type[BaseModel] = create_model("Arguments", __config__=config, **fields)  # type: ignore[call-overload]  # the fields are known at run time only
    except PydanticUserError as error:
        reason = error.message.splitlines()[0]
        raise ToolDeclarationError(f"{where}: {reason} Use types that JSON can carry") from error
    _check_defaults(model, aliases, where)
    return model


def _check_defaults(model: type[BaseModel], aliases: Mapping[str, str], where: str) -> None:
    try:
        model.model_validate({})
    except ValidationError as error:
        wrong = [item for item in error.errors() if item["type"] != "missing"]
        if wrong:
            place, message = str(wrong[0]["loc"][0]), wrong[0]["msg"]
            name = aliases.get(place, place)  # pydantic names the field where a default is concerned, else the alias
            raise ToolDeclarationError(
                f"{where}: the default of {name!r} does not fit its own type: {message}; correct one of them "
                "(a parameter that may be None is annotated `... | None`)"
            ) from error


def _documented(
    docstring: str | None, description: str | None, parameters: _Parameters, where: str
) -> tuple[str, Mapping[str, str]]:
    if description is not None:
        return description, {}
    if docstring is None or not docstring.strip():
        raise ToolDeclarationError(f"{where}: has no docstring; say in one what it does, the model chooses tools by it")
    return read_docstring(docstring, parameters)


def _describe(schema: JsonObject, described: Mapping[str, str]) -> None:
    """Give properties the docstring's words where the annotation has none."""
    properties = schema.get("properties")
    if isinstance(properties, dict):
        for name, text in described.items():
            own = properties.get(name)
            if isinstance(own, dict) and "description" not in own:
                properties[name] = dict(sorted({**own, "description": text}.items()))


def _is_required(parameter: inspect.Parameter) -> bool:
    return parameter.default is inspect.Parameter.empty


def _field_name(index: int) -> str:
    return f"p{index}"
