"""The same text twice in a prompt.

Compares words: however the lines are broken, whichever bullets stand in front of them. Two sections on related
matters share a phrase and not a paragraph, so a copy is a long run of the same words in the same order. Inside one
layer a quoted document may repeat itself: there a copy has to be whole lines of prose. The terms of a licence are
quoted word for word for each of its holders, and are no copy anywhere.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from agentcache.lint.finding import Place
from agentcache.lint.literal_text import literal_lines
from agentcache.lint.renders import RenderedLayer

SHORTEST_COPY = 30
"""Words in a row from which on a text counts as a copy: about two sentences; people repeat single ones on purpose."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Copy:
    """Text that stands twice. first, second: where each begins, heading included where both have one.

    section: of the second. text: the second's as it stands; lines: the numbers of its lines in that section, from 0.
    also: the heading in front of each, where they differ.
    """

    first: Place
    second: Place
    section: RenderedLayer
    text: str
    lines: range
    also: tuple[Place, ...]


@dataclass(frozen=True, slots=True)
class _Word:
    word: str
    section: int
    line: int
    start: int
    end: int


def copies(sections: Sequence[RenderedLayer]) -> tuple[Copy, ...]:
    """Return each text that stands again later in the same or another section, longest runs, none inside another."""
    if not _may_repeat(sections):
        return ()
    words = [word for index, section in enumerate(sections) for word in _words(index, section)]
    return tuple(_copy(sections, words, *run) for run in _runs(words, sections))


def _may_repeat(sections: Sequence[RenderedLayer]) -> bool:
    """Whether any clause or list item stands twice: quick, and most prompts end here."""
    seen: set[str] = set()
    for section in sections:
        for clause in _CLAUSE_END.split(section.text):
            if len(clause) < _CLAUSE and clause.isascii():
                continue
            words = " ".join(_MARK.sub("", clause, count=1).split()).casefold()
            if len(words) >= _CLAUSE and words in seen:
                return True
            seen.add(words)
    return False


def _words(index: int, section: RenderedLayer) -> Iterator[_Word]:
    at = 0
    for line, text in enumerate(section.text.split("\n")):
        start = _MARK.match(text).end()  # type: ignore[union-attr]  # it matches the empty text too
        for match in _WORD.finditer(text, start):
            yield _Word(match[0].casefold(), index, line, at + match.start(), at + match.end())
        at += len(text) + 1


def _runs(words: Sequence[_Word], sections: Sequence[RenderedLayer]) -> Iterator[tuple[int, int, int]]:
    """Yield start of the first, start of the second and length of each run that stands twice."""
    seen: dict[tuple[str, ...], int] = {}
    at = 0
    while at + _SHINGLE <= len(words):
        shingle = tuple(word.word for word in words[at : at + _SHINGLE])
        first = seen.setdefault(shingle, at)
        length = _common(words, first, at) if first + _SHINGLE <= at else 0
        run = words[at : at + length]
        if length >= SHORTEST_COPY and _is_copy(sections, words, first, run):
            yield first, at, length
        # What was compared is not looked at again, so that the time stays in proportion to the text.
        at += length if length >= SHORTEST_COPY else 1


def _common(words: Sequence[_Word], first: int, second: int) -> int:
    length = 0
    home, other = words[first].section, words[second].section
    limit = min(second - first, len(words) - second)
    while length < limit:
        one, two = words[first + length], words[second + length]
        if one.word != two.word or one.section != home or two.section != other:
            break
        length += 1
    return length


def _is_copy(sections: Sequence[RenderedLayer], words: Sequence[_Word], first: int, run: Sequence[_Word]) -> bool:
    one, two = words[first], run[0]
    if not _is_prose(run) or _same_source(one, two, sections):
        return False
    section = sections[two.section]
    if len(_LICENCE.findall(section.text, two.start, run[-1].end)) >= _LEGAL_WORDS:
        return False
    if sections[one.section].layer is not section.layer:
        return True
    lines = literal_lines(section.text)
    inside = [lines[line].code for line in range(two.line, run[-1].line + 1) if lines[line].text.strip()]
    return sum(inside) * 2 <= len(inside) and _whole_lines(section, two.start, run[-1].end)


def _whole_lines(section: RenderedLayer, start: int, end: int) -> bool:
    before = section.text[section.text.rfind("\n", 0, start) + 1 : start]
    after = section.text[end:].split("\n", 1)[0]
    return not _WORD.search(_MARK.sub("", before)) and not _WORD.search(after)


def _is_prose(run: Sequence[_Word]) -> bool:
    """Whether words differ enough to be sentences: tables and banners repeat a few."""
    return len({word.word for word in run}) * 3 >= min(len(run), 90)


def _same_source(first: _Word, second: _Word, sections: Sequence[RenderedLayer]) -> bool:
    """Whether a loop or macro printed both: one place in a template, in one section."""
    if first.section != second.section:
        return False
    lines = sections[first.section].lines
    return lines[first.line] == lines[second.line]


def _copy(sections: Sequence[RenderedLayer], words: Sequence[_Word], first: int, second: int, length: int) -> Copy:
    section = sections[words[second].section]
    last = words[second + length - 1]
    also = [*_heading(sections, words[first]), *_heading(sections, words[second])]
    return Copy(
        first=_place(sections, words[first]),
        second=_place(sections, words[second]),
        section=section,
        text=section.text[words[second].start : last.end],
        lines=range(words[second].line, last.line + 1),
        also=tuple(also),
    )


def _place(sections: Sequence[RenderedLayer], word: _Word) -> Place:
    return sections[word.section].lines[word.line]


def _heading(sections: Sequence[RenderedLayer], word: _Word) -> Iterable[Place]:
    """Return the line in front of a copy's first if it is a heading."""
    section = sections[word.section]
    lines = section.text.split("\n")
    above = next((line for line in range(word.line - 1, max(word.line - 4, -1), -1) if lines[line].strip()), None)
    if above is not None and _HEADING.match(lines[above]):
        yield section.lines[above]


_CLAUSE = 20
"""Characters; shorter clauses come again in any text."""
_CLAUSE_END = re.compile(r"[.;:!?)](?:\s+|$)|\n\s*(?:[-*+#>•|]+\s|\d{1,3}[.)]\s|\n)")
_SHINGLE = 8
_LEGAL_WORDS = 2
_LICENCE = re.compile(
    r"redistributions?\b|permission is hereby granted|\bas[ -]is\b|warrant(?:y|ies)|merchantability|copyright\s+\w+|"
    r"licen[cs]e(?:d|s|e|or)?\b|liab(?:le|ility)",
    re.IGNORECASE,
)
_MARK = re.compile(r"\s*(?:[-*+•>#]+\s+|\d{1,3}[.)]\s+|\([a-z\d]\)\s+)*")
_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")
_HEADING = re.compile(r"\s*(?:#{1,6}\s|\*\*.+\*\*:?\s*$|<[\w-]+>\s*$|[=~-]{3,}\s*$|[A-Z][^.!?]{0,60}:?\s*$)")
