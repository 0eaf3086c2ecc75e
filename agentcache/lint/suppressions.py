"""Findings that an author has judged to be none: `{# agentcache: ignore PC001 reason #}`.

The comment holds for its own lines, and where it stands alone for the line below it. In Python it is
`# agentcache: ignore PC001 reason`. Several codes or names may be given; the reason is required. A comment without a
reason ignores nothing and is a finding itself, and so is a code that nothing was found for. JSON and TOML have no place
for it: there, `per-file-ignores` in the settings do it.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from agentcache.lint.codes import CODE_BY_NAME, CODES, IGNORE_OF_NOTHING, IGNORE_WITHOUT_REASON, UNUSED_IGNORE
from agentcache.lint.finding import Confidence, Edit, Finding, Fix, Place
from agentcache.lint.text_lines import LINE_END

_MARK = r"agentcache:\s*ignore\b(?P<words>%s)"
_JINJA = re.compile(r"\{#-?\s*" + _MARK % r"(?:(?!#\}).)*?" + r"\s*[-+]?#\}", re.DOTALL)
_PYTHON = re.compile(r"(?<!\S)#\s*" + _MARK % r"[^\r\n]*")
_RAW = re.compile(r"\{%[-+]?\s*raw\s*[-+]?%\}.*?\{%[-+]?\s*endraw\s*[-+]?%\}", re.DOTALL)
_WORD = re.compile(r"[\s,]*([^\s,]+)")
_LIKE_A_CODE = re.compile(r"[A-Z]{2,4}\d+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """A word of the comment that names a rule: its offsets, and the code, `None` where there is no such rule."""

    word: str
    code: str | None
    start: int
    end: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Ignore:
    """One comment: which codes it ignores, why, and in which lines (from 1). start, end: its offsets in the text."""

    path: str
    named: tuple[Named, ...]
    reason: str
    lines: frozenset[int]
    start: int
    end: int
    place: Place
    alone: bool
    """Whether nothing else stands on its lines."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """The findings that nobody ignored, those about the comments themselves, and how many were ignored."""

    findings: tuple[Finding, ...]
    ignored: int


def judge(findings: Sequence[Finding], texts: Mapping[str, str], codes: Mapping[str, Collection[str]]) -> Judged:
    """Take out of `findings` what comments in `texts` (path -> text) ignore, and add what is wrong with the comments.

    codes: path -> the codes that are looked for there; a comment for a code that is not looked for is not unused.
    """
    ignores = [item for path, text in texts.items() for item in ignores_in(path, text)]
    by_place: dict[tuple[str, int], list[Ignore]] = {}
    for item in ignores:
        if item.reason:
            for line in item.lines:
                by_place.setdefault((item.path, line), []).append(item)
    used: set[tuple[Place, str]] = set()
    left = []
    for finding in findings:
        hits = [item for spot in _spots(finding) for item in by_place.get(spot, ()) if _names(item, finding.code)]
        used |= {(item.place, finding.code) for item in hits}
        if not hits:
            left.append(finding)
    troubles = [
        trouble
        for item in ignores
        for trouble in _troubles(item, texts[item.path], used, codes.get(item.path, CODES))
        if trouble.code in codes.get(item.path, CODES)
    ]
    return Judged(findings=(*left, *troubles), ignored=len(findings) - len(left))


def ignores_in(path: str, text: str) -> list[Ignore]:
    """Return the comments of a template, or of a Python file, in their order."""
    if "agentcache:" not in text or path.endswith((".json", ".toml")):
        return []
    if path.endswith(".py"):
        found = list(_PYTHON.finditer(text))
    else:
        raw = [match.span() for match in _RAW.finditer(text)]
        found = [match for match in _JINJA.finditer(text) if not any(a <= match.start() < b for a, b in raw)]
    ends = [match.end() for match in LINE_END.finditer(text)]
    spans = [match.span() for match in found]
    return [_ignore(path, text, match, ends, spans) for match in found]


def _ignore(path: str, text: str, match: re.Match[str], ends: list[int], spans: list[tuple[int, int]]) -> Ignore:
    named, reason = _read(text, match.start("words"), match.end("words"))
    first = bisect_right(ends, match.start()) + 1
    last = bisect_right(ends, match.end() - 1) + 1
    alone = _alone(text, match.start(), match.end(), ends)
    lines = set(range(first, last + 1))
    if alone:
        below = last + 1
        while below <= len(ends) and _is_comment(text, below, ends, spans):
            below += 1  # comments one below the other hold for the same line
        lines.add(below)
    start_of_line = ends[first - 2] if first > 1 else 0
    column = match.start() - start_of_line + 1
    end_column = column + match.end() - match.start() if first == last else None
    return Ignore(
        path=path,
        named=named,
        reason=reason,
        lines=frozenset(lines),
        start=match.start(),
        end=match.end(),
        place=Place(path=path, line=first, column=column, end_column=end_column),
        alone=alone,
    )


def _read(text: str, start: int, end: int) -> tuple[tuple[Named, ...], str]:
    """Return the rules named at the beginning of the words, and the reason behind them."""
    named: list[Named] = []
    position = start
    while (match := _WORD.match(text, position, end)) is not None:
        word = match.group(1).rstrip(":;")
        code = word if word in CODES else CODE_BY_NAME.get(word)
        if code is None and _LIKE_A_CODE.fullmatch(word) is None:
            break
        named.append(Named(word=word, code=code, start=match.start(1), end=match.start(1) + len(word)))
        position = match.end()
    reason = " ".join(text[position:end].split()).lstrip("-:;,—– ")
    return tuple(named), reason if any(character.isalnum() for character in reason) else ""


def _line_bounds(line: int, ends: list[int], length: int) -> tuple[int, int]:
    return (ends[line - 2] if line > 1 else 0, ends[line - 1] if line <= len(ends) else length)


def _alone(text: str, start: int, end: int, ends: list[int]) -> bool:
    opening, _ = _line_bounds(bisect_right(ends, start) + 1, ends, len(text))
    _, closing = _line_bounds(bisect_right(ends, end - 1) + 1, ends, len(text))
    return not text[opening:start].strip() and not text[end:closing].strip()


def _is_comment(text: str, line: int, ends: list[int], spans: list[tuple[int, int]]) -> bool:
    opening, closing = _line_bounds(line, ends, len(text))
    inside = [(a, b) for a, b in spans if a < closing and b > opening]
    rest = text[opening:closing]
    for a, b in inside:
        rest = rest.replace(text[max(a, opening) : min(b, closing)], "")
    return bool(inside) and not rest.strip()


def _spots(finding: Finding) -> Iterator[tuple[str, int]]:
    """Yield where a comment may stand for this finding; one about a whole file is ignored in its first line."""
    for place in (finding.place, *finding.also):
        yield place.path, place.line or 1


def _names(item: Ignore, code: str) -> bool:
    return any(named.code == code for named in item.named)


def _troubles(
    item: Ignore, text: str, used: Collection[tuple[Place, str]], looked_for: Collection[str]
) -> Iterable[Finding]:
    if not item.named:
        return [_about(item, IGNORE_OF_NOTHING, "this comment ignores nothing, since it names no code")]
    if not item.reason:
        codes = ", ".join(named.word for named in item.named)
        return [_about(item, IGNORE_WITHOUT_REASON, f"no reason is given why {codes} is no mistake here")]
    unknown = [
        _about(item, IGNORE_OF_NOTHING, f"no rule is called {named.word}") for named in item.named if named.code is None
    ]
    unused = [
        named
        for named in item.named
        if named.code in looked_for and named.code is not None and (item.place, named.code) not in used
    ]
    if not unused:
        return unknown
    words = ", ".join(named.word for named in unused)
    message = f"nothing is found here that {words} would be ignored for"
    return [*unknown, _about(item, UNUSED_IGNORE, message, _without(item, text, unused))]


def _about(item: Ignore, code: str, message: str, fix: Fix | None = None) -> Finding:
    mistake = CODES[code]
    return Finding(
        code=code,
        name=mistake.name,
        severity=mistake.severity,
        confidence=Confidence.CERTAIN,
        place=item.place,
        message=message,
        fix=mistake.fix,
        edits=fix,
    )


def _without(item: Ignore, text: str, unused: Sequence[Named]) -> Fix:
    """Return the edit that takes `unused` out: the whole comment, with its line, where nothing else is left of it."""
    if len(unused) < len(item.named):
        edits = [Edit(path=item.path, start=named.start, end=_behind(text, named.end), text="") for named in unused]
        return Fix(edits=tuple(edits), safe=True)
    start, end = item.start, item.end
    if item.alone:
        while start > 0 and text[start - 1] in " \t":
            start -= 1
        end = _line_end_behind(text, end)
    elif item.path.endswith(".py"):
        while start > 0 and text[start - 1] in " \t":
            start -= 1
    trims = "-" in (text[item.start + 2 : item.start + 3], text[item.end - 3 : item.end - 2])  # it may join two words
    return Fix(
        edits=(Edit(path=item.path, start=start, end=end, text=""),), safe=item.path.endswith(".py") or not trims
    )


def _behind(text: str, end: int) -> int:
    match = re.compile(r"[\s,]*").match(text, end)
    return end if match is None else match.end()


def _line_end_behind(text: str, end: int) -> int:
    while end < len(text) and text[end] in " \t":
        end += 1
    match = LINE_END.match(text, end)
    return end if match is None else match.end()
