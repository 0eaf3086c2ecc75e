"""Reads JSON and keeps where everything stands.

Strict JSON, with one addition: a template's `{{ … }}` is read as a value and its `{% … %}` as white space, since a
file of tools is sometimes rendered, and what varies in it has to be pointed at all the same.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias, cast

from agentcache.lint.finding import Place
from agentcache.lint.syntax import Problem
from agentcache.prompt.canonical import JsonValue

NodeKind: TypeAlias = Literal["object", "array", "string", "number", "literal", "template"]


@dataclass(frozen=True, slots=True, kw_only=True)
class JsonNode:
    """A JSON value in a text, from character `start` to `end` (excluded).

    scalar: of a string, number, true, false and null; of a template expression its source. items: of an array.
    members: of an object, in the order in which they are written.
    """

    kind: NodeKind
    start: int
    end: int
    scalar: str | int | float | bool | None = None
    items: tuple[JsonNode, ...] = ()
    members: tuple[JsonMember, ...] = ()

    def get(self, key: str) -> JsonNode | None:
        """Return the value of the last member of that name, as JSON readers do; `None` without one."""
        return next((member.value for member in reversed(self.members) if member.name == key), None)

    @property
    def text(self) -> str | None:
        """The text of a string, `None` for anything else."""
        return self.scalar if self.kind == "string" and isinstance(self.scalar, str) else None

    @property
    def plain(self) -> JsonValue:
        """The value without its places; a template expression is its source."""
        if self.kind == "object":
            return {member.name: member.value.plain for member in self.members}
        if self.kind == "array":
            return [item.plain for item in self.items]
        return self.scalar


@dataclass(frozen=True, slots=True, kw_only=True)
class JsonMember:
    """A key with its value."""

    key: JsonNode
    value: JsonNode

    @property
    def name(self) -> str:
        """The key's text."""
        return str(self.key.scalar)


class TextLines:
    """Turns offsets in a text into lines and columns."""

    def __init__(self, path: str, text: str) -> None:
        self._path, self._text = path, text
        self._starts = [0, *(match.end() for match in _LINE_END.finditer(text))]

    def place(self, start: int, end: int) -> Place:
        """Return the place of characters `start` to `end`; of more than one line the first."""
        line = bisect_right(self._starts, start)
        first = self._starts[line - 1]
        line_end = self._starts[line] if line < len(self._starts) else len(self._text)
        last = len(self._text[first : min(end, line_end)].rstrip("\r\n"))
        column = start - first + 1
        return Place(path=self._path, line=line, column=column, end_column=max(last + 1, column))

    def place_in_string(self, node: JsonNode, start: int, end: int) -> Place:
        """Return the place of characters `start` to `end` of a string's text; of the whole string if it has escapes."""
        inside = self._text[node.start + 1 : node.end - 1]
        if "\\" in inside:
            return self.place(node.start, node.end)
        return self.place(node.start + 1 + start, node.start + 1 + end)


def read_json(text: str) -> JsonNode | Problem:
    """Return the JSON value that `text` holds, or what is wrong with it and on which line."""
    try:
        return _Reader(text).read()
    except _JsonError as error:
        return Problem(line=len(_LINE_END.findall(text[: error.at])) + 1, message=error.message)


class _JsonError(Exception):
    def __init__(self, message: str, at: int) -> None:
        super().__init__(message)
        self.message, self.at = message, at


class _Reader:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 1 if text.startswith("\ufeff") else 0
        self._has_tags = False

    def read(self) -> JsonNode:
        node = self._value(0)
        self._skip()
        if self._at < len(self._text):
            raise _JsonError("there is text behind the end of the JSON value", self._at)
        return node

    def _value(self, depth: int) -> JsonNode:
        if depth > _DEEPEST:
            raise _JsonError(f"it is nested more than {_DEEPEST} levels deep", self._at)
        self._skip()
        text, at = self._text, self._at
        if text.startswith("{{", at):
            return self._template()
        if text.startswith("{", at):
            return self._object(depth)
        if text.startswith("[", at):
            return self._array(depth)
        if text.startswith('"', at):
            return self._string()
        for word, scalar in _WORDS.items():
            if text.startswith(word, at):
                self._at += len(word)
                return JsonNode(kind="literal", start=at, end=self._at, scalar=scalar)
        number = _NUMBER.match(text, at)
        if number is None:
            raise _JsonError(f"a value was expected, and there is {_shown(text, at)}", at)
        self._at = number.end()
        return JsonNode(kind="number", start=at, end=self._at, scalar=_number(number[0], at))

    def _template(self) -> JsonNode:
        start = self._at
        end = self._text.find("}}", start + 2)
        if end < 0:
            raise _JsonError("a template expression is not closed", start)
        self._at = end + 2
        return JsonNode(kind="template", start=start, end=self._at, scalar=self._text[start : self._at])

    def _object(self, depth: int) -> JsonNode:
        start, members = self._at, list[JsonMember]()
        for _ in self._parts("}"):
            if not self._text.startswith('"', self._at):
                raise _JsonError(f"a key in double quotes was expected, and there is {self._here()}", self._at)
            key = self._string()
            self._skip()
            if not self._text.startswith(":", self._at):
                raise _JsonError(f"a colon was expected behind the key, and there is {self._here()}", self._at)
            self._at += 1
            members.append(JsonMember(key=key, value=self._value(depth + 1)))
        return JsonNode(kind="object", start=start, end=self._at, members=tuple(members))

    def _array(self, depth: int) -> JsonNode:
        start = self._at
        items = tuple(self._value(depth + 1) for _ in self._parts("]"))
        return JsonNode(kind="array", start=start, end=self._at, items=items)

    def _parts(self, closing: str) -> Iterator[None]:
        """Yield in front of each part of an object or array; pass over its brackets and commas."""
        opened = self._at
        self._at += 1
        first = True
        while True:
            self._skip()
            if self._text.startswith(closing, self._at):
                self._at += 1
                return
            if self._at >= len(self._text):
                raise _JsonError(f"this {self._text[opened]} is not closed", opened)
            if not first:
                self._comma(closing)
                if self._has_tags and self._text.startswith(closing, self._at):
                    continue
            first = False
            yield

    def _comma(self, closing: str) -> None:
        if self._text.startswith(",", self._at):
            comma = self._at
            self._at += 1
            self._skip()
            if self._text.startswith(closing, self._at) and not self._has_tags:
                raise _JsonError(f"nothing stands between a comma and the closing {closing}", comma)
        elif not self._has_tags:
            raise _JsonError(f"a comma or {closing} was expected, and there is {self._here()}", self._at)

    def _string(self) -> JsonNode:
        start = self._at
        match = _STRING.match(self._text, start)
        if match is None:
            raise _JsonError("this string is not closed on its line, or has a bad escape", start)
        self._at = match.end()
        return JsonNode(kind="string", start=start, end=self._at, scalar=cast("str", json.loads(match[0])))

    def _skip(self) -> None:
        while True:
            blank = _BLANK.match(self._text, self._at)
            self._at = self._at if blank is None else blank.end()
            closing = _TAGS.get(self._text[self._at : self._at + 2])
            if closing is None:
                return
            end = self._text.find(closing, self._at + 2)
            if end < 0:
                raise _JsonError("a template tag is not closed", self._at)
            self._at, self._has_tags = end + 2, True

    def _here(self) -> str:
        return _shown(self._text, self._at)


def _number(written: str, at: int) -> int | float:
    try:
        return float(written) if any(mark in written for mark in ".eE") else int(written)
    except ValueError:
        raise _JsonError("this number is too long", at) from None


def _shown(text: str, at: int) -> str:
    return f"{text[at]!r}" if at < len(text) else "the end of the file"


_DEEPEST = 100
_WORDS = {"true": True, "false": False, "null": None}
_TAGS = {"{%": "%}", "{#": "#}"}
_LINE_END = re.compile(r"\r\n|\n|\r")
_BLANK = re.compile(r"[ \t\r\n]+")
_NUMBER = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?", re.ASCII)
_STRING = re.compile(r'"(?:[^"\\\x00-\x1f]|\\["\\/bfnrt]|\\u[0-9a-fA-F]{4})*"')
