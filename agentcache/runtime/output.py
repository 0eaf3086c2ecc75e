"""Structured output: the form that an answer must have, how the model is told, and how the answer is read.

There are two ways to tell the model, and the model's facts decide which. With the API's own structured outputs the
schema goes into `output_config.format`; changing it invalidates what is cached of system and messages (spec 1.2). Else
it is said in words at the end of the static layer: part of the cached prefix and constant, though another output type
for the same agent is another prefix. Nothing is sent here.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache

from pydantic import TypeAdapter, ValidationError, create_model
from pydantic.errors import PydanticUserError

from agentcache.errors import OutputInvalid, SettingsError
from agentcache.prompt.canonical import JsonObject, json_text
from agentcache.runtime.schemas import problems_in, schema_of
from agentcache.runtime.strict_schemas import strict_schema

_FENCED = re.compile(r"```(?:json)?[ \t]*\n(.*)\n[ \t]*```", re.DOTALL | re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OutputSpec:
    """The declared output of an agent; made by `OutputSpec.of`.

    name: the type, for messages.
    schema: JSON schema of the answer, always of an object; `None` for `str`, which is taken as it comes.
    native_schema: the same as the API's structured outputs accept it; `None` for `str` and for types that they cannot
    express (recursive ones, mappings with free keys, tuples), which are asked for in words on every model.
    wrapped: the type is no object by itself (a list, a number, a union) and stands under the key `value`.
    """

    name: str
    schema: JsonObject | None
    native_schema: JsonObject | None
    wrapped: bool
    _read: Callable[[str], object] = field(repr=False)

    @classmethod
    def of(cls, output: object) -> OutputSpec:
        """Return the spec of a type: `str`, or whatever pydantic makes a JSON schema of.

        Raises `SettingsError` for a type without one.
        """
        # Only classes are looked up: `int | str` equals `str | int`, and which came first shows in the schema.
        return _of_class(output) if isinstance(output, type) else _spec(output)

    def needs_words(self, *, structured_outputs: bool) -> bool:
        """Whether the prompt must carry `instruction()`, on a model with or without structured outputs."""
        return self.schema is not None and (self.native_schema is None or not structured_outputs)

    def instruction(self) -> str:
        """Return the schema in words, for the end of the static layer; empty for `str`."""
        if self.schema is None:
            return ""
        return (
            "# Form of your answer\n\n"
            "Your final answer must be one JSON object that fits this JSON schema. Write the object alone, "
            f"without a code fence and without text before or after it.\n\n{json_text(self.schema)}"
        )

    def parse(self, text: str, *, native: bool = False) -> object:
        """Return the answer as an instance of the declared type.

        `native`: structured outputs made the text, so it must be the JSON alone; else a code fence around it, as
        models without them like to write, is taken off. Raises `OutputInvalid`, one line per problem.
        """
        try:
            return self._read(text if native or self.schema is None else _without_fence(text))
        except ValidationError as error:
            raise OutputInvalid(problems_in(error)) from error

    def repair_message(self, error: OutputInvalid) -> str:
        """Return the user message that asks for the answer once more, given what was wrong with it."""
        return (
            f"Your answer does not have the required form:\n{error}\n"
            "Answer again with the whole corrected JSON object and nothing else."
        )


@lru_cache(maxsize=256)
def _of_class(output: type) -> OutputSpec:
    return _spec(output)


def _spec(output: object) -> OutputSpec:
    name = getattr(output, "__name__", None) if isinstance(output, type) else None
    if output is str:
        return OutputSpec(name="str", schema=None, native_schema=None, wrapped=False, _read=str)
    try:
        return _structured(output, name or repr(output))
    except (PydanticUserError, SettingsError) as error:
        reason = error.message if isinstance(error, PydanticUserError) else str(error)
        raise SettingsError(
            f"output {name or repr(output)}: {reason.splitlines()[0]} "
            "Use str, a pydantic model, a dataclass or another type with a JSON form"
        ) from error


def _structured(output: object, name: str) -> OutputSpec:
    adapter: TypeAdapter[object] = TypeAdapter(output)  # type: ignore[arg-type]  # a class, or `list[int]`, or a union
    schema = schema_of(adapter)
    wrapped = not _is_object(schema)
    read: Callable[[str], object] = adapter.validate_json
    if wrapped:
        wrapper = create_model("Answer", value=(output, ...))  # type: ignore[arg-type]  # as above
        schema = schema_of(TypeAdapter(wrapper))

        def read(text: str) -> object:
            return dict(wrapper.model_validate_json(text))["value"]

    return OutputSpec(name=name, schema=schema, native_schema=strict_schema(schema), wrapped=wrapped, _read=read)


def _is_object(schema: JsonObject) -> bool:
    reference, definitions = schema.get("$ref"), schema.get("$defs")
    if isinstance(reference, str) and isinstance(definitions, dict):
        target = definitions.get(reference.removeprefix("#/$defs/"))
        return isinstance(target, dict) and _is_object(target)
    return schema.get("type") == "object"


def _without_fence(text: str) -> str:
    stripped = text.strip()
    fenced = None if stripped.startswith("{") else _FENCED.search(stripped)
    return fenced[1] if fenced else stripped
