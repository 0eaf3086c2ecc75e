"""Gives what has no order one: `|sort` behind a set, `|dictsort` behind a dictionary.

Only where the place to put it is beyond doubt: before the one `join` of an expression, behind the value of a loop, or
behind an expression that is nothing but the value.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from agentcache.lint.agent_sources import AgentSources
from agentcache.lint.examination import Examination
from agentcache.lint.finding import Edit, Finding, Fix
from agentcache.lint.fixes.marked_code import Code, codes_at, template_at
from agentcache.prompt.canonical import JsonValue

_Tokens = Sequence[tuple[int, str, int]]

_LOOSER = frozenset(
    {"~", "+", "*", "/", "%", "and", "or", "not", "in", "is", "if", "else", "<", ">", "=", "!", ",", ":"}
)
"""Tokens of operators that bind looser than a filter and leave open which operand is meant."""
_PICKS = frozenset({"first", "last", "length", "count", "random", "slice", "batch"})
"""Filters whose result is another after sorting, so that the prompt would lose words."""
_JSON = frozenset({"tojson", "to_json", "json", "dumps", "json_dumps"})


def sort_set(finding: Finding, examination: Examination) -> Fix | None:
    """Put `|sort` behind a set that is joined, looped over or shown."""
    code, values = _one_code(finding, examination.sources)
    if code is None:
        return None
    edits = _sorted_at_join(code, values) or _sorted_whole(code, _sort(values))
    return _fix(edits, code, values)


def sort_dictionary(finding: Finding, examination: Examination) -> Fix | None:
    """Put `|dictsort` behind a dictionary that is looped over or shown, `|sort` behind its keys."""
    code, values = _one_code(finding, examination.sources)
    if code is None or any(token in _JSON for _, token, _ in code.tokens()):
        return None
    views = _sorted_views(code, values)
    if views is None:
        return None
    if code.piece.word == "for":
        edits = views or _sorted_whole(code, _sort(values))
    else:
        edits = views or _sorted_at_join(code, values) or _sorted_whole(code, _dictsort(values))
    return _fix(edits, code, values)


def _fix(edits: tuple[Edit, ...], code: Code, values: Iterable[JsonValue]) -> Fix | None:
    if not edits:
        return None
    picks = any(token in _PICKS for _, token, _ in code.tokens())
    return Fix(edits=edits, safe=not picks and all(_comparable(value) for value in values))


def _one_code(finding: Finding, sources: AgentSources) -> tuple[Code | None, list[JsonValue]]:
    """Return the code that the finding means, and the values of the variables in it that have no order."""
    file = template_at(sources, finding.place.path)
    if file is None:
        return None, []
    unordered = _unordered(sources)
    codes = codes_at(file, finding.place)
    if len(codes) > 1:
        codes = [code for code in codes if any(token in unordered for _, token, _ in code.tokens())]
    if len(codes) != 1 or codes[0].piece.word not in {"", "for", "set"}:
        return None, []
    return codes[0], [unordered[token] for _, token, _ in codes[0].tokens() if token in unordered]


def _unordered(sources: AgentSources) -> Mapping[str, JsonValue]:
    examples = {name: value for layer in sources.variables.values() for name, value in layer.items()}
    return {
        name: examples[name]
        for name, kind in sources.types.items()
        if kind in {"set", "frozenset", "dict:unordered"} and name in examples
    }


def _comparable(value: JsonValue) -> bool:
    """Tell whether sorting an example cannot fail; of no example nobody knows."""
    if isinstance(value, dict):
        return True
    if not isinstance(value, list):
        return False
    return all(isinstance(item, str) for item in value) or all(isinstance(item, int | float) for item in value)


def _sort(values: Iterable[JsonValue]) -> str:
    return "sort(case_sensitive=true)" if _differ_by_case(values) else "sort"


def _dictsort(values: Iterable[JsonValue]) -> str:
    return "dictsort(case_sensitive=true)" if _differ_by_case(values) else "dictsort"


def _differ_by_case(values: Iterable[JsonValue]) -> bool:
    """Tell whether Jinja's sort, which does not see case, would leave two of the examples in the order they came."""
    for value in values:
        names = [name for name in value if isinstance(name, str)] if isinstance(value, list | dict) else []
        if len({name.lower() for name in names}) < len(set(names)):
            return True
    return False


def _sorted_at_join(code: Code, values: Iterable[JsonValue]) -> tuple[Edit, ...]:
    """Sort before the one `|join`, or inside the one `"…".join(…)`."""
    tokens = code.tokens()
    joins = [at for at in range(1, len(tokens)) if tokens[at][1] == "join"]
    if len(joins) != 1:
        return ()
    before = tokens[joins[0] - 1]
    if before[1] == "|":
        at = len(code.text[: before[0]].rstrip())
        return (code.edit(at, at, f"|{_sort(values)}"),)
    if before[1] != "." or joins[0] + 1 >= len(tokens):
        return ()
    opening = tokens[joins[0] + 1]
    closing = next((t for t in tokens[joins[0] + 2 :] if t[1] == ")" and t[2] == opening[2]), None)
    if opening[1] != "(" or closing is None:
        return ()
    return _behind(code, opening[0] + 1, closing[0], _sort(values))


def _sorted_whole(code: Code, filter_: str) -> tuple[Edit, ...]:
    """Sort the value of a loop, or a printed or assigned expression that is nothing but the value."""
    tokens = code.tokens()
    if any(token in {"join", *_JSON} for _, token, _ in tokens):
        return ()
    start = _start(code.piece.word, tokens)
    if start is None:
        return ()
    end = len(code.text)
    if code.piece.word == "for":
        end = next((at for at, token, depth in tokens if depth == 0 and token in {"if", "recursive"}), end)
    return _behind(code, start, end, filter_)


def _start(word: str, tokens: _Tokens) -> int | None:
    """Return where the expression of a tag or print begins."""
    begins = {"for": "in", "set": "="}.get(word)
    if begins is None:
        return 0
    return next((at + len(begins) for at, token, depth in tokens if depth == 0 and token == begins), None)


def _behind(code: Code, start: int, end: int, filter_: str) -> tuple[Edit, ...]:
    """Put a filter behind the expression between two offsets, in brackets where it needs them."""
    inner = [token for at, token, depth in code.tokens() if start <= at < end and depth == _depth(code, start)]
    if _LOOSER.intersection(inner):
        return ()
    begin = end - len(code.text[start:end].lstrip())
    at = len(code.text[:end].rstrip())
    if "-" in inner:
        return code.edit(begin, begin, "("), code.edit(at, at, f")|{filter_}")
    return (code.edit(at, at, f"|{filter_}"),)


def _depth(code: Code, start: int) -> int:
    return next((depth for at, _, depth in code.tokens() if at >= start), 0)


def _sorted_views(code: Code, values: Iterable[JsonValue]) -> tuple[Edit, ...] | None:
    """Sort `.items()`, `|items`, `.keys()` and `.values()`; nothing without one, `None` where there are several."""
    tokens = code.tokens()
    found: list[tuple[Edit, ...]] = []
    for at in range(1, len(tokens)):
        view, dot = tokens[at][1], tokens[at - 1]
        if view not in {"items", "keys", "values"} or dot[1] not in {".", "|"}:
            continue
        end = tokens[at][0] + len(view)
        if dot[1] == ".":
            called = [token for _, token, _ in tokens[at + 1 : at + 3]] == ["(", ")"]
            if not called:
                continue
            end = tokens[at + 2][0] + 1
        elif view != "items":
            continue
        found.append((code.edit(dot[0], end, _view(view, code.text[dot[0] : end], values)),))
    if len(found) > 1:
        return None
    return found[0] if found else ()


def _view(view: str, written: str, values: Iterable[JsonValue]) -> str:
    if view == "items":
        return f"|{_dictsort(values)}"
    if view == "values":
        return f"|{_dictsort(values)}|map(attribute=1)"
    return f"{written}|{_sort(values)}"
