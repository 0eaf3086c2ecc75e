"""Stamps in text: a moment, a build, an id that a program wrote into a file and that is another one next time.

A date that is content is none: "the window was extended as of 2024-01-01" says something that stays true. What tells
them apart is the sentence. A stamp is led by words about the text itself ("generated", "last updated", "snapshot
of"), or by words that only make sense now ("current time", "today is"); it stands at the start of a line, in brackets,
in a comment or alone. Text in a code block, in quotes, or said to be an example is an illustration.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from agentcache.lint import stamp_values as values
from agentcache.lint.late_patterns import LatePattern
from agentcache.lint.literal_text import LiteralLine


class StampKind(StrEnum):
    """What a stamp says; the value names it in a message."""

    NOW = "the present moment"
    MADE = "when the text was made"
    BUILD = "a build or revision"
    ID = "an id of one run"
    COUNT = "a count of what has happened so far"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stamp:
    """A stamp on a line. Columns from 1, end excluded."""

    kind: StampKind
    line: int
    column: int
    end_column: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sight:
    """A line and what stands around it."""

    text: str
    before: str
    """The nearest line above that is not empty."""
    edge: bool
    """Whether it is among the first or last lines of its text, or in a comment: where tools leave their mark."""


def may_have_stamps(text: str) -> bool:
    """Whether a look at each line is worth its time: a stamp has a number of several digits, or names a day."""
    return any(hint.search(text) for hint in _HINTS) or ("today" in text.lower() and _TODAY.search(text) is not None)


def stamps_in_lines(lines: Sequence[LiteralLine]) -> tuple[Stamp, ...]:
    """Return the stamps in a file's lines, at most one a line, code blocks left out."""
    filled = [line for line in lines if line.text.strip()]
    edges = {line.number for line in (*filled[:_EDGE_LINES], *filled[-_EDGE_LINES:])}
    found: list[Stamp] = []
    moments = {line.number for line in filled if _ALONE.fullmatch(line.text)}
    before = ""
    for line in filled:
        # A list of moments is a log or a table, and content.
        listed = bool({line.number - 1, line.number + 1} & moments) and line.number in moments
        if not line.code and not listed:
            sight = _Sight(text=line.text, before=before, edge=line.comment or line.number in edges)
            stamp = _stamp(sight)
            if stamp is not None:
                kind, start, end = stamp
                found.append(
                    Stamp(
                        kind=kind,
                        line=line.number,
                        column=start + 1,
                        end_column=end + 1,
                        text=line.text[start:end].strip(),
                    )
                )
        before = line.text
    return tuple(found)


def stamp_in_sentence(text: str) -> tuple[StampKind, str] | None:
    """Return kind and words of the first stamp in a text of one or more sentences, such as a tool's description."""
    stamp = _stamp(_Sight(text=text, before="", edge=True))
    return None if stamp is None else (stamp[0], text[stamp[1] : stamp[2]].strip())


_Found = tuple[StampKind, int, int]


def _stamp(sight: _Sight) -> _Found | None:
    if not _COULD_BE.search(sight.text):
        return None
    return next((found for look in _LOOKS for found in look(sight)), None)


def _now(sight: _Sight) -> Iterator[_Found]:
    for match in _NOW.finditer(sight.text):
        if not _illustrates(sight, match.start()):
            yield StampKind.NOW, match.start(), match.end()
    for match in (*_NOW_EXACT.finditer(sight.text), *_NOW_DAY.finditer(sight.text)):
        if not _illustrates(sight, match.start(1)):
            yield StampKind.NOW, match.start(1), match.end()
    led = _NOW_LABEL.match(sight.text)
    if led and not _illustrates(sight, led.start(1)):
        yield StampKind.NOW, led.start(1), led.end()


def _made(sight: _Sight) -> Iterator[_Found]:
    for match in _MADE.finditer(sight.text):
        if _illustrates(sight, match.start()) or (match["verb"].lower() in _WEAK and not match["clock"]):
            continue
        if (match["clock"] and _about_text(sight.text, match.start(), any_subject=True)) or (
            _about_text(sight.text, match.start()) and _ends(sight.text, match.end())
        ):
            yield StampKind.MADE, match.start(), match.end()
    maker = _MAKER.match(sight.text)
    if maker and sight.edge and not _illustrates(sight, maker.start(1)):
        yield StampKind.MADE, maker.start(1), maker.end()


def _build(sight: _Sight) -> Iterator[_Found]:
    match = _BUILD.match(sight.text)
    if match and _ends(sight.text, match.end()) and not _illustrates(sight, match.start(1)):
        yield StampKind.BUILD, match.start(1), match.end()
    if sight.edge:
        for match in _BUILD_IN_BRACKETS.finditer(sight.text):
            if not _illustrates(sight, match.start()) and _ends(sight.text, match.end() - 1):
                yield StampKind.BUILD, match.start(), match.end()


def _identifier(sight: _Sight) -> Iterator[_Found]:
    match = _IDENTIFIED.match(sight.text)
    if match and _ends(sight.text, match.end()) and not _illustrates(sight, match.start(1)):
        yield StampKind.ID, match.start(1), match.end()


def _alone(sight: _Sight) -> Iterator[_Found]:
    match = _ALONE.fullmatch(sight.text)
    if match and not _illustrates(sight, match.start(1)):
        yield StampKind.NOW, match.start(1), match.end(1)


def _moment_line(sight: _Sight) -> Iterator[_Found]:
    """Find a short line at the edge of a text with a time of day in it, that tells of no event."""
    match = _MOMENT.search(sight.text) if sight.edge else None
    if match is None or _illustrates(sight, match.start()):
        return
    others = _WORD.findall(sight.text[: match.start()] + " " + sight.text[match.end() :])
    if len(others) <= _FEW_WORDS and not _EVENT.search(sight.text):
        yield StampKind.MADE, match.start(), match.end()


def _count(sight: _Sight) -> Iterator[_Found]:
    match = _COUNTED.match(sight.text)
    if match and not _illustrates(sight, match.start(1)):
        yield StampKind.COUNT, match.start(1), match.end(1)


_LOOKS: tuple[Callable[[_Sight], Iterator[_Found]], ...] = (
    _now,
    _made,
    _build,
    _identifier,
    _alone,
    _moment_line,
    _count,
)


def _illustrates(sight: _Sight, at: int) -> bool:
    """Whether what starts at index `at` is shown rather than said: quoted, conditional, or given as an example."""
    before = sight.text[:at]
    if before.count('"') % 2 or before.count("`") % 2 or before.count("“") > before.count("”"):
        return True
    sentence = before[max(before.rfind(". "), before.rfind("; ")) + 1 :]
    if _EXAMPLE.search(sentence):
        return True
    above = sight.before.rstrip(" *_")
    return above.endswith(":") and bool(_EXAMPLE.search(above))


def _about_text(text: str, at: int, *, any_subject: bool = False) -> bool:
    """Whether the words in front of index `at`, back to where the sentence starts, are about the text itself."""
    head = _BOUNDARY.split(text[:at])[-1]
    words = _WORD.findall(head.lower())
    return len(words) <= _SUBJECT_WORDS + 3 * any_subject and (any_subject or all(map(_SUBJECT.fullmatch, words)))


def _ends(text: str, at: int) -> bool:
    """Whether nothing but a few more details follow behind index `at`."""
    rest = text[at:].strip(" \t*_`\"'")
    if rest.startswith(")"):  # what stands in brackets is no stamp if the sentence goes on behind them
        return len(_WORD.findall(rest)) <= _DETAIL_WORDS or bool(_CLOSING.match(rest[1:].lstrip()))
    return not rest or bool(_CLOSING.match(rest)) or (len(_WORD.findall(rest)) <= _DETAIL_WORDS and rest[:1].isupper())


_EDGE_LINES = 3
_SUBJECT_WORDS = 5
_DETAIL_WORDS = 2
_FEW_WORDS = 6
_SUBJECT = LatePattern(
    r"prices|rates|stock|levels|figures|numbers|inventory|values|balances|quotes|estate|"
    r"a|agents?|all|and|are|at|auto|automatically|base|been|below|build|bundle|by|config|configuration|"
    r"contents?|context|"
    r"data|date|document|documentation|each|file(?:'s)?|first|footer|guide|has|have|header|here|index|information|"
    r"instructions|is|it|knowledge|last|layer|list|manual|message|metadata|most|note|pages?|prompt(?:s|'s)?|recently|"
    r"reference|revision|sections?|snapshot|source|system|template|text|the|these|this|time|utc|version|was|were|when"
)
"""Words that a sentence about its own text starts with."""
_WEAK = frozenset({"created", "published", "saved", "written", "changed", "started", "loaded", "cached"})
"""Verbs that are as often about what a text tells as about the text; with a time of day they are about the text."""

_DATED = rf"(?:(?P<clock>{values.MOMENT}|{values.EPOCH})|{values.DAY}|{values.TIME})"
_NOW_VALUE = (
    rf"(?:{values.MOMENT}|{values.DAY}|{values.TIME}|{values.EPOCH}|{values.DAY_OF_YEAR}|{values.WEEKDAY}\b(?!s))"
)
_DECOR = r"[\s#>*_`\"'|<!/\[({;·–—-]*"
_SEPARATOR = r"[*_`]{0,3}\s*(?:[:=]|is|was|->|→|–|—)[*_`]{0,3}\s*(?:now\s+)?(?:the\s+)?[*_`\"']{0,3}"

_HINTS = (LatePattern(r"\d(?:\d|[a-fA-F]\d|:\d|\.\d)"), LatePattern(r"[:=]\s*\d"))
"""Each begins with one kind of character, which `re` looks for without trying the rest."""
_TODAY = LatePattern(r"\btoday\b", re.IGNORECASE)
_COULD_BE = LatePattern(r"\d|\btoday", re.IGNORECASE)
_NOW = LatePattern(
    r"\b(?:(?:current|present|local|system|server|today'?s|utc|session)\s+"
    r"(?:date\s*(?:and|&|/)\s*time|date-?time|date|time|timestamp|day|clock|moment)(?:\s*\([^()]{1,20}\))?"
    rf"{_SEPARATOR}|today{_SEPARATOR}|(?:time|date)\s+now{_SEPARATOR}|now\s*[:=]\s*"
    r"|it\s+is\s+(?:now|currently)\s+|it's\s+(?:now|currently)\s+|as\s+of\s+(?:today|now)\b,?\s+\(?|"
    r"the\s+time\s+is\s+(?:now\s+)?)"
    rf"{_NOW_VALUE}",
    re.IGNORECASE,
)
_NOW_EXACT = LatePattern(
    rf"\b((?:current|server|system|local)\s+(?:date|time|timestamp)\s+(?:{values.MOMENT}|{values.DAY}|"
    r"[0-2]?\d:[0-5]\d:[0-5]\d))",
    re.IGNORECASE,
)
_NOW_DAY = LatePattern(
    rf"(?:^|[.!]\s+)[\s*_#>-]*(it\s+is\s+{values.WEEKDAY},?\s+(?:the\s+)?{values.DAY})", re.IGNORECASE
)
_NOW_LABEL = LatePattern(
    rf"^{_DECOR}((?:date\s*(?:and|&|/)\s*time|date-?time|date|time|timestamp|clock|now|as\s+of|stand|snapshot|"
    rf"time\s+of\s+(?:writing|day|rendering)|(?:system|local|server)\s+clock)(?:\s*\([^()]{{1,20}}\))?"
    rf"[*_`]{{0,3}}\s*[:=][*_`]{{0,3}}\s*{_NOW_VALUE})[\s.*_`)\]>|-]*$",
    re.IGNORECASE,
)
_MADE = LatePattern(
    r"\b(?P<verb>(?:last|latest|most\s+recent|auto|automatically|re)?[\s-]{0,2}"
    r"(?:generated|generation|regenerated|rendered|rendering|render|built|build|rebuilt|compiled|compilation|created|"
    r"exported|export|produced|assembled|printed|updated|update|modified|modification|refreshed|refresh|synced|"
    r"synchroni[sz]ed|sync|deployed|deploy(?:ment)?|fetched|retrieved|indexed|snapshot(?:ted)?|captured|extracted|"
    r"dumped|dump|revised|revision|edited|edit|changed|change|crawled|imported|saved|written|published|packaged|"
    r"stamped|timestamp(?:ed)?|started|loaded|cached|taken)|last\s+(?:reviewed|checked|verified|run)|"
    r"(?:snapshot|dump|export|copy)\s+of(?:\s+[\w./-]{1,30}){1,4}?|as\s+of|as\s+at|status\s+as\s+of|state\s+of|"
    r"(?:version|copy|stand|status)\s+(?:of|from))"
    r"(?:\s+(?:date|time|timestamp|datetime|automatically))?"
    r"(?:\s+(?:from|by|with|using|on|in)(?:\s+[\w./-]{1,30}){1,4}?)??"
    r"[*_`]{0,3}(?:\s*[:=,–—-]\s*|\s+)[*_`]{0,3}(?:(?:on|at|of|from|as\s+of|taken|taken\s+(?:on|at)|is|"
    r"was)\s+(?:the\s+)?)?"
    rf"[*_`\"'(\[]{{0,2}}{_DATED}",
    re.IGNORECASE,
)
_MAKER = LatePattern(
    rf"^{_DECOR}((?:this\s+\w+\s+(?:is|was)\s+)?(?:automatically\s+|auto-?)?"
    r"(?:generated|rendered|built|compiled|assembled|exported)\s+(?:automatically\s+)?(?:by|with|using|from)\s+"
    rf"[\w./@-]{{2,40}}[\s,(]+(?:version\s+|v|build\s+|rev\s+|@)?(?:\d+(?:\.\d+)+|{values.HASH}|\d{{3,}}))",
    re.IGNORECASE,
)
_BUILT = r"(?:build|revision|rev\.?|commit|sha(?:-?(?:1|256))?|hash|digest|checksum|fingerprint|etag|deploy(?:ment)?)"
_REVISION = rf"(?:{values.UUID}|{values.HASH}|r?\d{{3,}}(?:[.+-][\da-z]+){{0,6}}\b|\d+(?:\.\d+){{1,4}}[+-][\da-z.]+)"
_BUILD = LatePattern(
    rf"^{_DECOR}((?:(?:this|system|prompt|template|agent|file|source|git|docs?|config|configuration|content|head|ci|"
    rf"release|image|bundle|pipeline|app)[\s_-]+){{0,3}}{_BUILT}[\s_-]*(?:id|no\.?|number|hash|sha)?[*_`]{{0,3}}\s*"
    rf"(?:[:=#]|\s|is|at|no\.?)[*_`#]{{0,3}}\s*[*_`\"']{{0,3}}{_REVISION}"
    rf"|version\s*[:=]?\s*v?{values.DAY}[-+.](?:{values.HASH}|\d{{2,}}))",
    re.IGNORECASE,
)
_BUILD_IN_BRACKETS = LatePattern(
    rf"[(\[<]\s*(?:git\s+)?{_BUILT}\s*(?:id|no\.?|number)?\s*[:=#]?\s*{_REVISION}[^()\[\]<>]{{0,40}}[)\]>]",
    re.IGNORECASE,
)
_IDENTIFIED = LatePattern(
    rf"^{_DECOR}((?:(?!use|send|pass|set|return|give|enter|try|see|call|quote|the\b|an?\b|each|every|"
    rf"0{{8}})[\w-]+\s+){{0,2}}"
    r"(?:(?:session|request|trace|run|correlation|conversation|job|deployment|instance|render|build|thread|"
    r"transaction|message|invocation|execution|span|container|worker|process|pod|generation|snapshot|prompt|"
    r"template|log)"
    r"[\s_-]*(?:id|identifier|uuid|key|token|no\.?|number)?|nonce|cache[- ]?bust(?:er)?|uuid|ref)"
    rf"(?:[*_`]{{0,3}}\s*[:=#][*_`]{{0,3}}\s*[*_`\"']{{0,3}}(?:{values.IDENTIFIER}|{values.EPOCH}|{values.MOMENT})"
    rf"|\s+[*_`\"']{{0,3}}(?:{values.UUID}|{values.ULID}|{values.MOMENT}))"
    rf"|(?:rendered|generated|built|prepared|compiled|assembled)\s+(?:for|by|in|on|with|as)\s+(?:\w+\s+){{0,3}}"
    rf"{values.IDENTIFIER})",
    re.IGNORECASE,
)
_ALONE = LatePattern(rf"{_DECOR}({values.MOMENT})[\s.*_`\"')\]>|-]*", re.IGNORECASE)
_MOMENT = LatePattern(values.MOMENT, re.IGNORECASE)
_EVENT = LatePattern(
    r"\b(?:start\w*|end\w*|open\w*|clos\w+|begin\w*|due|expir\w+|valid|deadline|sale|freeze|maintenance|window|"
    r"meeting|"
    r"event|happen\w*|incident|outage|launch\w*|releas\w+|until|from|since|between|epoch|is|was|are|were|will)\b",
    re.IGNORECASE,
)
_COUNTED = LatePattern(
    rf"^{_DECOR}((?:[a-z]+\s+){{1,4}}(?:so\s+far|until\s+now|to\s+date|this\s+session|in\s+this\s+session|remaining|"
    r"left)\s*[:=]\s*\d[\d,. ]{0,12})(?:\s?\w+)?[\s.*_)]*$",
    re.IGNORECASE,
)
_EXAMPLE = LatePattern(
    r"\b(?:e\.?g|examples?|instance|such as|looks?|like|formats?|formatted|samples?|illustrat\w+|assum\w+|suppos\w+|"
    r"pretend|imagine|if|when|whenever|unless|until|before|after|since|than|write|say|says|respond|reply|"
    r"replies|answer|"
    r"as in|template for|shaped|pattern|placeholder|not)\b",
    re.IGNORECASE,
)
_BOUNDARY = LatePattern(r"[.;:!?]\s|[()\[\]|<>{}·•–—]|\s-\s|--|\*\*|^[\s#>*_-]+")
_WORD = LatePattern(r"[^\W\d_][\w']*")
_CLOSING = LatePattern(
    r"[.,;:\]|>·–—/(\[*-]|of\s+\d|(?:by|from|using|with|via|on|in|at|utc|and|build|rev|commit|for|"
    r"through)\b",
    re.IGNORECASE,
)
