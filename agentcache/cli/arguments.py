"""From the words of a command line to values: `k=v` pairs, a workflow's arguments, an agent's input.

Pure: takes text and signatures, returns values, and says which word does not fit where.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from inspect import Parameter
from typing import ParamSpec

from pydantic import PydanticSchemaGenerationError, TypeAdapter, ValidationError

from agentcache.errors import TargetError

P = ParamSpec("P")

_POSITIONAL = (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)


def pairs(texts: Sequence[str], option: str) -> dict[str, object]:
    """Return `["k=v", ...]` as a mapping of texts; a later pair replaces an earlier one of its name.

    Raises `TargetError` for a text without `=` or without a name; `option` names the flag in the message.
    """
    found: dict[str, object] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name.isidentifier():
            raise TargetError(f"{option} {text!r} is not of the form name=value")
        found[name] = value
    return found


def agent_input(texts: Sequence[str], agent: str) -> str:
    """Return the one input of an agent. Raises `TargetError` when there is none, or more than one."""
    if len(texts) != 1:
        raise TargetError(f"agent {agent!r} takes one INPUT, but {len(texts)} were given; quote a text with spaces")
    return texts[0]


def workflow_arguments(function: Callable[P, object], texts: Sequence[str], workflow: str) -> list[object]:
    """Return `texts` as the positional arguments of `function`, whose first parameter is the run.

    Each text is read as its parameter's annotation says: `str`, `int`, `float`, `bool`, `Path` and other types that
    have a written form from the text itself, everything else from the text as JSON.

    Raises `TargetError` for too few or too many texts, one that its type cannot be read from, and functions that
    need keyword-only arguments, which a command line cannot give.
    """
    parameters = _parameters(function, workflow)
    many = next((item for item in parameters if item.kind is Parameter.VAR_POSITIONAL), None)
    single = [item for item in parameters if item.kind in _POSITIONAL]
    required = [item for item in single if item.default is Parameter.empty]
    if len(texts) < len(required) or (len(texts) > len(single) and many is None):
        raise TargetError(f"workflow {workflow!r} takes {_usage(parameters)}, but {len(texts)} INPUTs were given")
    extra = [many] * (len(texts) - len(single)) if many is not None else []
    return [_converted(text, item, workflow) for text, item in zip(texts, [*single, *extra], strict=False)]


def _parameters(function: Callable[P, object], workflow: str) -> list[Parameter]:
    try:
        signature = inspect.signature(function, eval_str=True)
    except NameError as error:
        raise TargetError(f"workflow {workflow!r} has an annotation that cannot be resolved: {error}") from error
    parameters = list(signature.parameters.values())[1:]
    for item in parameters:
        if item.kind is Parameter.KEYWORD_ONLY and item.default is Parameter.empty:
            raise TargetError(
                f"workflow {workflow!r} needs the keyword-only {item.name!r}; give it a default to run it here"
            )
    return parameters


def _usage(parameters: Sequence[Parameter]) -> str:
    words = []
    for item in parameters:
        name = item.name.upper()
        if item.kind is Parameter.VAR_POSITIONAL:
            words.append(f"[{name}...]")
        elif item.kind in _POSITIONAL:
            words.append(name if item.default is Parameter.empty else f"[{name}]")
    return " ".join(words) or "no INPUT"


def _converted(text: str, parameter: Parameter, workflow: str) -> object:
    annotation = parameter.annotation
    if annotation in (Parameter.empty, str, object):
        return text
    try:
        adapter: TypeAdapter[object] = TypeAdapter(annotation)
    except PydanticSchemaGenerationError as error:
        kind = getattr(annotation, "__name__", str(annotation))
        raise TargetError(
            f"workflow {workflow!r}: {parameter.name} is a {kind}, which no text can be read as"
        ) from error
    try:
        return adapter.validate_strings(text)
    except ValidationError:
        return _from_json(adapter, text, parameter, workflow)


def _from_json(adapter: TypeAdapter[object], text: str, parameter: Parameter, workflow: str) -> object:
    try:
        return adapter.validate_json(text)
    except ValidationError as error:
        kind = getattr(parameter.annotation, "__name__", str(parameter.annotation))
        problem = error.errors(include_url=False)[0]["msg"]
        raise TargetError(
            f"workflow {workflow!r}: {text!r} is no {kind} for {parameter.name.upper()} ({problem})"
        ) from error
