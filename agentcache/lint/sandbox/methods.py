"""Methods of texts, lists and dictionaries, each with its result measured before it is made."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from agentcache.lint.sandbox.formatting import brace_format
from agentcache.lint.sandbox.meter import Meter
from agentcache.lint.sandbox.texts import text_of
from agentcache.lint.sandbox.values import Expected, Function, Unordered

_PLAIN: dict[str, Callable[[str], object]] = {
    "upper": str.upper,
    "lower": str.lower,
    "title": str.title,
    "capitalize": str.capitalize,
    "casefold": str.casefold,
    "swapcase": str.swapcase,
    "isdigit": str.isdigit,
    "isalpha": str.isalpha,
    "isalnum": str.isalnum,
    "islower": str.islower,
    "isupper": str.isupper,
    "isspace": str.isspace,
    "isnumeric": str.isnumeric,
    "isdecimal": str.isdecimal,
    "isidentifier": str.isidentifier,
    "istitle": str.istitle,
}
_SEARCHING: dict[str, Callable[[str, str, int | None, int | None], object]] = {
    "find": str.find,
    "rfind": str.rfind,
    "index": str.index,
    "rindex": str.rindex,
    "count": str.count,
}
_CUTTING: dict[str, Callable[[str, str], object]] = {
    "removeprefix": str.removeprefix,
    "removesuffix": str.removesuffix,
    "partition": str.partition,
    "rpartition": str.rpartition,
}
_STRIPPING = {"strip": str.strip, "lstrip": str.lstrip, "rstrip": str.rstrip}
_FILLING = {"center": str.center, "ljust": str.ljust, "rjust": str.rjust}
_SPLITTING = {"split": str.split, "rsplit": str.rsplit}


def text_method(text: str, name: str, meter: Meter, part: Callable[[object, str], object]) -> Function | None:
    """Return a method of a text, `None` where a template has no such one."""
    if name == "format":
        return Function(shown=name, call=lambda args, kwargs: brace_format(text, args, kwargs, meter, part))
    if name == "format_map":
        return Function(shown=name, call=lambda args, kwargs: brace_format(text, (), _mapping(args[0]), meter, part))
    known = _TEXT.get(name)
    return None if known is None else Function(shown=name, call=lambda args, kwargs: known(name, text, args, meter))


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, dict) else {}


def _plain(name: str, text: str, args: tuple[object, ...], meter: Meter) -> object:
    meter.room(3 * len(text))
    return _PLAIN[name](text)


def _lines(name: str, text: str, args: tuple[object, ...], meter: Meter) -> object:
    meter.room(3 * len(text))
    meter.step(len(text))
    return text.splitlines(bool(args and args[0]))


def _searched(name: str, text: str, args: tuple[object, ...], meter: Meter) -> object:
    sought = text_of(args[0], meter)
    _charge_search(text, sought, meter)
    return _SEARCHING[name](text, sought, *_bounds(args))


def _bounds(args: tuple[object, ...]) -> tuple[int | None, int | None]:
    """Return from where to where a method is to look, as far as that is said behind what it looks for."""
    start, end = (*args[1:3], None, None)[:2]
    return start if isinstance(start, int) else None, end if isinstance(end, int) else None


def _cut(name: str, text: str, args: tuple[object, ...], meter: Meter) -> object:
    sought = text_of(args[0], meter)
    _charge_search(text, sought, meter)
    return _CUTTING[name](text, sought)


def _charge_search(text: str, sought: str, meter: Meter) -> None:
    """Count a search: backwards, it looks at every character of the text for every one of what it seeks, at worst."""
    meter.room(len(text))
    meter.step(len(text) * min(len(sought), len(text)) // 4_096)


def _stripped(name: str, text: str, args: tuple[object, ...], meter: Meter) -> object:
    characters = text_of(args[0], meter) if args and args[0] is not None else None
    _charge_search(text, characters or "", meter)
    return _STRIPPING[name](text, characters)


def _filled(name: str, text: str, args: tuple[object, ...], meter: Meter) -> object:
    width = args[0]
    if not isinstance(width, int):
        raise TypeError(name)
    meter.room(max(width, len(text)))
    return _FILLING[name](text, width, *[text_of(value, meter) for value in args[1:2]])


def _zero_filled(name: str, text: str, args: tuple[object, ...], meter: Meter) -> object:
    width = args[0] if args else 8
    if not isinstance(width, int):
        raise TypeError(name)
    if name == "expandtabs":
        meter.room(len(text) + text.count("\t") * max(width, 0))
        return text.expandtabs(width)
    meter.room(max(width, len(text)))
    return text.zfill(width)


def replaced(text: str, old: str, new: str, count: object, meter: Meter) -> str:
    """Return `text.replace(old, new, count)`; without a count, all."""
    most = count if isinstance(count, int) else -1
    times = text.count(old) if most < 0 else min(text.count(old), most)
    meter.room(len(text) + times * len(new))
    return text.replace(old, new, most)


def _replaced(name: str, text: str, args: tuple[object, ...], meter: Meter) -> object:
    count = args[2] if len(args) > 2 else None  # old, new, count
    return replaced(text, text_of(args[0], meter), text_of(args[1], meter), count, meter)


def _split(name: str, text: str, args: tuple[object, ...], meter: Meter) -> object:
    separator = text_of(args[0], meter) if args and args[0] is not None else None
    most = args[1] if len(args) > 1 and isinstance(args[1], int) else -1
    _charge_search(text, separator or "", meter)
    meter.step(len(text) if separator is None else text.count(separator) if separator else 0)
    return _SPLITTING[name](text, separator, most)


def _ends(name: str, text: str, args: tuple[object, ...], meter: Meter) -> object:
    sought = args[0] if isinstance(args[0], tuple) else (args[0],)
    texts = tuple(text_of(value, meter) for value in sought)
    bounds = _bounds(args)
    return text.startswith(texts, *bounds) if name == "startswith" else text.endswith(texts, *bounds)


def _joined(name: str, text: str, args: tuple[object, ...], meter: Meter) -> object:
    items = args[0].items if isinstance(args[0], Unordered) else args[0]
    if isinstance(items, Expected):
        return items
    if not isinstance(items, list | tuple | dict | str):
        raise TypeError(name)
    return joined(list(items), text, meter)


def joined(items: list[object], separator: str, meter: Meter) -> str:
    """Return the texts of the items with the separator between them."""
    texts = [text_of(one, meter) for one in items]
    meter.room(sum(map(len, texts)) + len(separator) * len(texts))
    return separator.join(texts)


_Method = Callable[[str, str, tuple[object, ...], Meter], object]
_TEXT: dict[str, _Method] = {
    **dict.fromkeys(_PLAIN, _plain),
    **dict.fromkeys(_SEARCHING, _searched),
    **dict.fromkeys(_CUTTING, _cut),
    **dict.fromkeys(_STRIPPING, _stripped),
    **dict.fromkeys(_FILLING, _filled),
    **dict.fromkeys(_SPLITTING, _split),
    **dict.fromkeys(("zfill", "expandtabs"), _zero_filled),
    **dict.fromkeys(("startswith", "endswith"), _ends),
    "splitlines": _lines,
    "replace": _replaced,
    "join": _joined,
}


def list_method(values: list[object], name: str, meter: Meter) -> Function | None:
    """Return a method of a list, `None` where a template has no such one. Lists belong to one render alone."""

    def call(args: tuple[object, ...], kwargs: Mapping[str, object]) -> object:
        meter.step(len(values) + 1)
        meter.weigh(values, args)
        return _called_list(values, name, args)

    known = {"append", "extend", "insert", "pop", "index", "count", "copy", "reverse", "clear", "remove"}
    return Function(shown=name, call=call) if name in known else None


def _called_list(values: list[object], name: str, args: tuple[object, ...]) -> object:
    at = next((value for value in args if isinstance(value, int)), -1)
    match name:
        case "append":
            values.append(args[0])
        case "extend":
            values.extend(args[0] if isinstance(args[0], list | tuple) else [])
        case "insert":
            values.insert(at, args[1])
        case "pop":
            return values.pop(at)
        case "index":
            return values.index(args[0])
        case "count":
            return values.count(args[0])
        case "copy":
            return list(values)
        case "reverse":
            values.reverse()
        case "clear":
            values.clear()
        case _:
            values.remove(args[0])
    return None


def dict_method(values: dict[object, object], name: str, meter: Meter) -> Function | None:
    """Return a method of a dictionary, `None` where a template has no such one; views are lists."""

    def call(args: tuple[object, ...], kwargs: Mapping[str, object]) -> object:
        meter.step(len(values) + 1)
        meter.weigh(args)
        return _called_dict(values, name, args, kwargs)

    known = {"items", "keys", "values", "get", "copy", "update", "pop", "setdefault"}
    return Function(shown=name, call=call) if name in known else None


def _called_dict(
    values: dict[object, object], name: str, args: tuple[object, ...], kwargs: Mapping[str, object]
) -> object:
    match name:
        case "items":
            return list(values.items())
        case "keys":
            return list(values)
        case "values":
            return list(values.values())
        case "get":
            return values.get(*args[:2])
        case "copy":
            return dict(values)
        case "pop":
            return values.pop(*args[:2])
        case "setdefault":
            return values.setdefault(*args[:2])
        case _:
            values.update(args[0] if args and isinstance(args[0], dict) else {})
            values.update(kwargs)
    return None
