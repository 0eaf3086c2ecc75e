"""Jinja's filters and those of common extensions, each with its result measured before it is made."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from textwrap import TextWrapper
from typing import TypeAlias
from urllib.parse import quote

from agentcache.lint.sandbox.formatting import moment_text, percent_format
from agentcache.lint.sandbox.meter import Meter
from agentcache.lint.sandbox.methods import joined, replaced
from agentcache.lint.sandbox.texts import text_of, truth
from agentcache.lint.sandbox.values import Expected, Moment, Unordered

Args: TypeAlias = tuple[object, ...]
Kwargs: TypeAlias = Mapping[str, object]
Filter: TypeAlias = Callable[[object, Args, Kwargs, Meter], object]


def argument(args: Args, kwargs: Kwargs, at: int, name: str, otherwise: object = None) -> object:
    """Return the argument at a position or of a name."""
    return args[at] if at < len(args) else kwargs.get(name, otherwise)


def whole(value: object, otherwise: int) -> int:
    """Return a whole number, or what stands for one."""
    return value if isinstance(value, int) else otherwise


def _default(value: object, args: Args, kwargs: Kwargs, meter: Meter) -> object:
    missing = isinstance(value, Expected) and value.missing
    if missing or (truth(argument(args, kwargs, 1, "boolean", False)) and not truth(value)):
        return argument(args, kwargs, 0, "default_value", "")
    return value


def _text(change: Callable[[str], str], growth: int = 3) -> Filter:
    def filtered(value: object, args: Args, kwargs: Kwargs, meter: Meter) -> object:
        text = text_of(value, meter)
        meter.room(growth * len(text))
        return change(text)

    return filtered


_ESCAPES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", "'": "&#39;", '"': "&#34;"})
_WORD_BEGINNING = re.compile(r"([-\s({\[<]+)")


def _title(text: str) -> str:
    return "".join(word[:1].upper() + word[1:].lower() for word in _WORD_BEGINNING.split(text) if word)


def _without_tags(text: str) -> str:
    kept, outside = [], True
    for piece in re.split(r"(<!--|-->|<|>)", text):
        if piece in {"<", "<!--"}:
            outside = False
        elif piece in {">", "-->"}:
            outside = True
        elif outside:
            kept.append(piece)
    return " ".join("".join(kept).split())


def _trim(value: object, args: Args, kwargs: Kwargs, meter: Meter) -> object:
    text, characters = text_of(value, meter), argument(args, kwargs, 0, "chars")
    stripped = None if characters is None else text_of(characters, meter)
    meter.step(len(text) * len(stripped or "") // 4_096)
    return text.strip(stripped)


def _replace(value: object, args: Args, kwargs: Kwargs, meter: Meter) -> object:
    old, new = (text_of(argument(args, kwargs, at, name, ""), meter) for at, name in enumerate(("old", "new")))
    return replaced(text_of(value, meter), old, new, argument(args, kwargs, 2, "count"), meter)


def _indent(value: object, args: Args, kwargs: Kwargs, meter: Meter) -> object:
    width = argument(args, kwargs, 0, "width", 4)
    text = text_of(value, meter)
    if isinstance(width, int):
        meter.room(max(width, 0))
    space = width if isinstance(width, str) else " " * whole(width, 4)
    meter.room(len(text) + len(space) * (text.count("\n") + 1))
    meter.step(text.count("\n"))
    lines = text.splitlines() + ([""] if text.endswith("\n") else [])
    blank = truth(argument(args, kwargs, 2, "blank", False))
    indented = [line if not line and not blank else space + line for line in lines[1:]]
    first = lines[0] if lines else ""
    first = space + first if truth(argument(args, kwargs, 1, "first", False)) else first
    return "\n".join([first, *indented])


def _center(value: object, args: Args, kwargs: Kwargs, meter: Meter) -> object:
    text, width = text_of(value, meter), whole(argument(args, kwargs, 0, "width", 80), 80)
    meter.room(max(width, len(text)))
    return text.center(width)


def _truncate(value: object, args: Args, kwargs: Kwargs, meter: Meter) -> object:
    text, length = text_of(value, meter), whole(argument(args, kwargs, 0, "length", 255), 255)
    end = text_of(argument(args, kwargs, 2, "end", "..."), meter)
    if len(text) <= length + whole(argument(args, kwargs, 3, "leeway", 5), 5):
        return text
    meter.room(len(text) + len(end))
    cut = text[: max(length - len(end), 0)]
    return (cut if truth(argument(args, kwargs, 1, "killwords", False)) else cut.rsplit(" ", 1)[0]) + end


def _wordwrap(value: object, args: Args, kwargs: Kwargs, meter: Meter) -> object:
    text, between = text_of(value, meter), argument(args, kwargs, 2, "wrapstring", None)
    wrapper = TextWrapper(
        width=max(whole(argument(args, kwargs, 0, "width", 79), 79), 1),
        expand_tabs=False,
        replace_whitespace=False,
        break_long_words=truth(argument(args, kwargs, 1, "break_long_words", True)),
        break_on_hyphens=truth(argument(args, kwargs, 3, "break_on_hyphens", True)),
    )
    meter.room(3 * len(text))
    rows: list[str] = []
    for line in text.splitlines():
        # A word is cut off piece by piece, and what is left of it copied each time.
        longest = max(map(len, line.split()), default=0)
        meter.step(1 + len(line) // 64 + longest * longest // 4_096)
        rows += wrapper.wrap(line) or [""]
    return joined(list(rows), "\n" if between is None else text_of(between, meter), meter)


def _int(value: object, args: Args, kwargs: Kwargs, meter: Meter) -> object:
    otherwise = argument(args, kwargs, 0, "default", 0)
    if isinstance(value, Expected):
        return value
    try:
        if isinstance(value, str):
            return int(value[:1_000], min(max(whole(argument(args, kwargs, 1, "base", 10), 10), 2), 36))
        return int(value) if isinstance(value, int | float) else otherwise
    except (ValueError, OverflowError):
        return _whole_of(value, otherwise)


def _whole_of(value: object, otherwise: object) -> object:
    try:
        return int(float(value)) if isinstance(value, str) else otherwise
    except (ValueError, OverflowError):
        return otherwise


def _float(value: object, args: Args, kwargs: Kwargs, meter: Meter) -> object:
    if isinstance(value, Expected):
        return value
    try:
        return float(value) if isinstance(value, str | int | float) else argument(args, kwargs, 0, "default", 0.0)
    except (ValueError, OverflowError):
        return argument(args, kwargs, 0, "default", 0.0)


def _round(value: object, args: Args, kwargs: Kwargs, meter: Meter) -> object:
    if not isinstance(value, int | float):
        return value
    digits = min(max(whole(argument(args, kwargs, 0, "precision", 0), 0), -300), 300)
    method = argument(args, kwargs, 1, "method", "common")
    if method not in {"ceil", "floor"}:
        return round(value, digits)
    scaled: float = value * 10.0**digits
    return (float(-(-scaled // 1)) if method == "ceil" else float(scaled // 1)) / 10.0**digits


def _abs(value: object, args: Args, kwargs: Kwargs, meter: Meter) -> object:
    return abs(value) if isinstance(value, int | float) else value


def _format(value: object, args: Args, kwargs: Kwargs, meter: Meter) -> object:
    return percent_format(text_of(value, meter), dict(kwargs) if kwargs else args, meter)


def _tojson(value: object, args: Args, kwargs: Kwargs, meter: Meter) -> object:
    width = argument(args, kwargs, 0, "indent")
    indent = min(width, 16) if isinstance(width, int) else None
    weight = meter.weigh(value)
    meter.room(weight * (1 if indent is None else 4))
    text = json.dumps(_jsonable(value, meter), sort_keys=True, indent=indent)
    for character, escaped in (("<", "\\u003c"), (">", "\\u003e"), ("&", "\\u0026"), ("'", "\\u0027")):
        text = text.replace(character, escaped)
    return text


def _jsonable(value: object, meter: Meter) -> object:
    if isinstance(value, dict):
        return {_key(key, meter): _jsonable(one, meter) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_jsonable(one, meter) for one in value]
    if isinstance(value, Unordered):
        return [_jsonable(one, meter) for one in value.items]
    return value if isinstance(value, str | int | float) or value is None else text_of(value, meter)


def _key(key: object, meter: Meter) -> str:
    return json.dumps(key) if isinstance(key, bool | int | float) or key is None else text_of(key, meter)


def _length(value: object, args: Args, kwargs: Kwargs, meter: Meter) -> object:
    if isinstance(value, Unordered):
        return len(value.items)
    if isinstance(value, Expected):
        return 0 if value.missing else Expected(f"{value.text}|length")
    if isinstance(value, str | list | tuple | dict):
        return len(value)
    raise TypeError("length")


def _strftime(value: object, args: Args, kwargs: Kwargs, meter: Meter) -> object:
    pattern = text_of(args[0] if args else "%c", meter)
    return moment_text(value, pattern, meter) if isinstance(value, Moment) else Expected(text_of(value, meter))


def _attributes(value: object, args: Args, kwargs: Kwargs, meter: Meter) -> object:
    if not isinstance(value, dict):
        return ""
    pairs = [(key, one) for key, one in value.items() if one is not None]
    texts = [f'{text_of(key, meter)}="{text_of(one, meter).translate(_ESCAPES)}"' for key, one in pairs]
    meter.room(sum(map(len, texts)))
    return "".join(f" {text}" for text in texts)


def _quoted(value: object, args: Args, kwargs: Kwargs, meter: Meter) -> object:
    if not isinstance(value, dict):
        return _quote(value, meter)
    pairs = [(_quote(key, meter, safe=""), _quote(one, meter, safe="")) for key, one in value.items()]
    return "&".join(f"{key}={one}" for key, one in pairs).replace("%20", "+")


def _quote(value: object, meter: Meter, *, safe: str = "/") -> str:
    text = text_of(value, meter)
    meter.room(9 * len(text))
    return quote(text, safe=safe)


def _filesize(value: object, args: Args, kwargs: Kwargs, meter: Meter) -> object:
    size = float(value) if isinstance(value, int | float) else 0.0
    binary = truth(argument(args, kwargs, 0, "binary", False))
    base, letter = (1024.0, "i") if binary else (1000.0, "")
    if size < base:
        return f"{size:.0f} Byte{'' if size == 1 else 's'}"
    for unit in "kMGTPEZY":
        size /= base
        if size < base:
            return f"{size:.1f} {unit.upper() if binary else unit}{letter}B"
    return f"{size:.1f} Y{letter}B"


def _same(value: object, args: Args, kwargs: Kwargs, meter: Meter) -> object:
    return value


_capitalize = _text(str.capitalize)
TEXT_FILTERS: dict[str, Filter] = {
    "abs": _abs,
    "capitalize": _capitalize,
    "center": _center,
    "count": _length,
    "d": _default,
    "default": _default,
    "e": _text(lambda text: text.translate(_ESCAPES), 6),
    "escape": _text(lambda text: text.translate(_ESCAPES), 6),
    "filesizeformat": _filesize,
    "float": _float,
    "forceescape": _text(lambda text: text.translate(_ESCAPES), 6),
    "format": _format,
    "indent": _indent,
    "int": _int,
    "length": _length,
    "lower": _text(str.lower),
    "pprint": _text(str, 1),
    "replace": _replace,
    "round": _round,
    "safe": _same,
    "strftime": _strftime,
    "string": _text(str, 1),
    "striptags": _text(_without_tags),
    "title": _text(_title),
    "tojson": _tojson,
    "trim": _trim,
    "truncate": _truncate,
    "upper": _text(str.upper),
    "urlencode": _quoted,
    "urlize": _text(str, 1),
    "wordcount": lambda value, args, kwargs, meter: len(re.findall(r"\w+", text_of(value, meter))),
    "wordwrap": _wordwrap,
    "xmlattr": _attributes,
}
"""Those that make a text or a number of one value."""
