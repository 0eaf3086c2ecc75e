"""Filters over several values: sorting, choosing, grouping. Attributes by path, as in `map(attribute='a.b')`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cmp_to_key
from typing import TypeAlias

from agentcache.lint.sandbox.access import item
from agentcache.lint.sandbox.filters import Args, Filter, Kwargs, argument, whole
from agentcache.lint.sandbox.meter import Meter
from agentcache.lint.sandbox.methods import joined
from agentcache.lint.sandbox.operators import compared, operated, same
from agentcache.lint.sandbox.texts import text_of, truth
from agentcache.lint.sandbox.values import Expected, Group, Unordered

Apply: TypeAlias = Callable[[str, object, Args, Kwargs], object]
"""Applies a filter or test by name."""


def items_of(value: object, meter: Meter) -> list[object]:
    """Return what iterating gives: of a dictionary its keys, of what is only expected two of what it may hold.

    Raises `TypeError` for what nothing can iterate over.
    """
    if isinstance(value, Expected):
        if value.missing:
            return []
        meter.room(2 * len(value.text) + 6)
        return [Expected(f"{value.text}[{at}]") for at in range(2)]
    items = value.items if isinstance(value, Unordered) else value
    if not isinstance(items, list | tuple | dict | str):
        raise TypeError("iteration")
    meter.step(len(items))
    return list(items)


def part_at(value: object, path: object, meter: Meter) -> object:
    """Return the part at a dotted path; the value itself without one."""
    if path is None:
        return value
    for name in path.split(".")[:16] if isinstance(path, str) else [path]:
        value = item(value, int(name) if isinstance(name, str) and name.isdecimal() else name, meter)
    return value


def _folded(value: object, *, sensitive: bool) -> object:
    return value.lower() if isinstance(value, str) and not sensitive else value


def ordered(items: list[object], key: Callable[[object], object], meter: Meter, *, reverse: bool) -> list[object]:
    """Return the items sorted by a key; what cannot be compared is compared as text."""

    def compare(left: object, right: object) -> int:
        meter.step()
        one, other = key(left), key(right)
        try:
            return -1 if compared("lt", one, other, meter) else int(compared("lt", other, one, meter))
        except TypeError:
            return -1 if text_of(one, meter) < text_of(other, meter) else 1

    return sorted(items, key=cmp_to_key(compare), reverse=reverse)


def _sort(value: object, args: Args, kwargs: Kwargs, meter: Meter) -> object:
    sensitive = truth(argument(args, kwargs, 1, "case_sensitive", False))
    path = argument(args, kwargs, 2, "attribute")
    paths = path.split(",") if isinstance(path, str) else [path]

    def key(one: object) -> object:
        found = [_folded(part_at(one, single, meter), sensitive=sensitive) for single in paths]
        return found[0] if len(found) == 1 else found

    return ordered(items_of(value, meter), key, meter, reverse=truth(argument(args, kwargs, 0, "reverse", False)))


def _dictsort(value: object, args: Args, kwargs: Kwargs, meter: Meter) -> object:
    if not isinstance(value, dict):
        return [(one, Expected(text_of(one, meter))) for one in items_of(value, meter)]
    sensitive = truth(argument(args, kwargs, 0, "case_sensitive", False))
    at = 1 if argument(args, kwargs, 1, "by", "key") == "value" else 0

    def key(pair: object) -> object:
        return _folded(item(pair, at, meter), sensitive=sensitive)

    pairs: list[object] = list(value.items())
    meter.step(len(pairs))
    return ordered(pairs, key, meter, reverse=truth(argument(args, kwargs, 2, "reverse", False)))


def _join(value: object, args: Args, kwargs: Kwargs, meter: Meter) -> object:
    path = argument(args, kwargs, 1, "attribute")
    items = [part_at(one, path, meter) for one in items_of(value, meter)]
    return joined(items, text_of(argument(args, kwargs, 0, "d", ""), meter), meter)


def _unique(value: object, args: Args, kwargs: Kwargs, meter: Meter) -> object:
    path = argument(args, kwargs, 1, "attribute")
    sensitive = truth(argument(args, kwargs, 0, "case_sensitive", False))
    kept: list[object] = []
    seen: list[object] = []
    for one in items_of(value, meter):
        key = _folded(part_at(one, path, meter), sensitive=sensitive)
        if not any(same(key, other, meter) for other in seen):
            seen.append(key)
            kept.append(one)
    return kept


def _extreme(value: object, args: Args, kwargs: Kwargs, meter: Meter, *, last: bool) -> object:
    sensitive = truth(argument(args, kwargs, 0, "case_sensitive", False))
    path = argument(args, kwargs, 1, "attribute")

    def key(one: object) -> object:
        return _folded(part_at(one, path, meter), sensitive=sensitive)

    items = ordered(items_of(value, meter), key, meter, reverse=last)
    return items[0] if items else Expected("", missing=True)


def _sum(value: object, args: Args, kwargs: Kwargs, meter: Meter) -> object:
    path, total = argument(args, kwargs, 0, "attribute"), argument(args, kwargs, 1, "start", 0)
    for one in items_of(value, meter):
        total = operated("+", total, part_at(one, path, meter), meter)
    return total


def _group_by(value: object, args: Args, kwargs: Kwargs, meter: Meter) -> object:
    path, otherwise = argument(args, kwargs, 0, "attribute"), argument(args, kwargs, 1, "default")
    sensitive = truth(argument(args, kwargs, 2, "case_sensitive", False))

    def key(one: object) -> object:
        found = part_at(one, path, meter)
        found = otherwise if isinstance(found, Expected) and found.missing and otherwise is not None else found
        return _folded(found, sensitive=sensitive)

    groups: list[object] = []
    members: list[object] = []
    for one in ordered(items_of(value, meter), key, meter, reverse=False):
        if not members or not same(key(one), key(members[0]), meter):
            members = []
            groups.append(Group((part_at(one, path, meter), members)))
        members.append(one)
    return groups


def _batch(value: object, args: Args, kwargs: Kwargs, meter: Meter) -> object:
    size, fill = max(whole(argument(args, kwargs, 0, "linecount", 1), 1), 1), argument(args, kwargs, 1, "fill_with")
    items = items_of(value, meter)
    batches = [items[at : at + size] for at in range(0, len(items), size)]
    if fill is not None and batches:
        lacking = size - len(batches[-1])
        meter.step(lacking)
        batches[-1] = batches[-1] + [fill] * lacking
    return batches


def _slice(value: object, args: Args, kwargs: Kwargs, meter: Meter) -> object:
    count, fill = max(whole(argument(args, kwargs, 0, "slices", 1), 1), 1), argument(args, kwargs, 1, "fill_with")
    meter.step(count)
    items = items_of(value, meter)
    size, longer = divmod(len(items), count)
    slices, start = [], 0
    for at in range(count):
        end = start + size + (1 if at < longer else 0)
        filler = [fill] if fill is not None and at >= longer else []
        slices.append(items[start:end] + filler)
        start = end
    return slices


def _first(value: object, args: Args, kwargs: Kwargs, meter: Meter) -> object:
    items = items_of(value, meter)
    return items[0] if items else Expected("", missing=True)


def _last(value: object, args: Args, kwargs: Kwargs, meter: Meter) -> object:
    items = items_of(value, meter)
    return items[-1] if items else Expected("", missing=True)


def _list(value: object, args: Args, kwargs: Kwargs, meter: Meter) -> object:
    return items_of(value, meter)


def _reverse(value: object, args: Args, kwargs: Kwargs, meter: Meter) -> object:
    items = items_of(value, meter)[::-1]
    return "".join(map(str, items)) if isinstance(value, str) else items


def _items(value: object, args: Args, kwargs: Kwargs, meter: Meter) -> object:
    if isinstance(value, Expected):
        return [(one, Expected(f"{value.text}[{text_of(one, meter)}]")) for one in items_of(value, meter)]
    if not isinstance(value, dict):
        raise TypeError("items")
    meter.step(len(value))
    return list(value.items())


def _attribute(value: object, args: Args, kwargs: Kwargs, meter: Meter) -> object:
    return item(value, argument(args, kwargs, 0, "name", ""), meter)


SEQUENCE_FILTERS: dict[str, Filter] = {
    "attr": _attribute,
    "batch": _batch,
    "dictsort": _dictsort,
    "first": _first,
    "groupby": _group_by,
    "items": _items,
    "join": _join,
    "last": _last,
    "list": _list,
    "max": lambda value, args, kwargs, meter: _extreme(value, args, kwargs, meter, last=True),
    "min": lambda value, args, kwargs, meter: _extreme(value, args, kwargs, meter, last=False),
    "reverse": _reverse,
    "slice": _slice,
    "sort": _sort,
    "sum": _sum,
    "unique": _unique,
}
"""Those that look at several values."""

_CHOOSING = {"select": True, "reject": False, "selectattr": True, "rejectattr": False}
CHOOSING_FILTERS = frozenset({"map", *_CHOOSING})
"""Those that apply another filter or test to each item."""


def chosen(
    name: str, value: object, args: Args, kwargs: Mapping[str, object], meter: Meter, filters: Apply, tests: Apply
) -> object:
    """Return what `map`, `select`, `reject`, `selectattr` and `rejectattr` make of a value."""
    items = items_of(value, meter)
    if name == "map":
        if "attribute" in kwargs:
            return _mapped(items, kwargs, meter)
        return [filters(text_of(args[0], meter), one, args[1:], kwargs) for one in items]
    path, rest = (args[0], args[1:]) if name.endswith("attr") else (None, args)
    kept = []
    for one in items:
        part = part_at(one, path, meter)
        passes = truth(tests(text_of(rest[0], meter), part, rest[1:], kwargs)) if rest else truth(part)
        if passes == _CHOOSING[name]:
            kept.append(one)
    return kept


def _mapped(items: list[object], kwargs: Mapping[str, object], meter: Meter) -> list[object]:
    parts = [part_at(one, kwargs["attribute"], meter) for one in items]
    if "default" not in kwargs:
        return parts
    return [kwargs["default"] if isinstance(part, Expected) and part.missing else part for part in parts]
