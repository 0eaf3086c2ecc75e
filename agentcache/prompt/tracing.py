"""Renders a section once more, to see which piece of its text came from which place in which template.

The text itself is rendered in rendering.py and only there; what is found here is checked against it, and where the two
are not the same to the character, all that is told is the section's template. A text that stays the same costs one
comparison, a new one a digest; it is rendered again only when it is asked about, which the runtime does once a text,
behind the answer.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import accumulate, pairwise

from jinja2 import Environment, Template, pass_context
from jinja2.runtime import Context

from agentcache.prompt.canonical import JsonValue, canonical_json, canonical_text, digest
from agentcache.prompt.provenance import Provenance, Segment, Site, segment_digest
from agentcache.prompt.sandbox import MarkedTexts, compiled, parse, template_environment
from agentcache.prompt.sections import Section
from agentcache.prompt.template_sites import ARGUMENT, CLOSE, DROP, OPEN, TEXT, Sites, mark, only_text

MOST_SEGMENTS = 2_000
"""Of a section with more pieces, those of the template's own text are kept whole; of still more, the rest is one."""

_KEPT_TEXTS = 64
"""Texts of one section whose provenance is remembered: as many conversations as are likely to be under way."""

_SHORT = 19
"""Characters of a shortened digest: its scheme and 64 bits, as in spans.py."""


@dataclass(slots=True)
class _Piece:
    """What one place put out; `parts` is what was put out to make it."""

    site: int
    value: object
    parts: Sequence[_Piece] = ()

    @property
    def text(self) -> str:
        return self.value if isinstance(self.value, str) else str(self.value)


@dataclass(slots=True)
class _Recorder:
    """What one rendering puts out, in order; the stack holds what is being made."""

    in_macro: set[int]
    stack: list[list[_Piece]] = field(default_factory=lambda: [[]])

    def add(self, piece: _Piece) -> None:
        # A macro's text that is not put out on the spot (`{% set x = m() %}`) is a value like any other.
        if len(self.stack) > 1 or piece.site not in self.in_macro:
            self.stack[-1].append(piece)


_recorder: ContextVar[_Recorder] = ContextVar("_recorder")


@pass_context  # nothing to do with the context: it keeps Jinja from evaluating the filter while it compiles
def _open(context: Context, value: object) -> None:
    _recorder.get().stack.append([])


@pass_context
def _close(context: Context, opened: object, value: object, site: int) -> object:
    recorder = _recorder.get()
    parts = recorder.stack.pop()
    recorder.add(_Piece(site, value, parts))
    return value


@pass_context
def _text(context: Context, value: object, site: int) -> object:
    _recorder.get().add(_Piece(site, value))
    return value


@pass_context
def _drop(context: Context, value: object) -> None:
    _recorder.get().stack.pop()


@contextmanager
def _recording(in_macro: set[int]) -> Iterator[_Recorder]:
    recorder = _Recorder(in_macro)
    token = _recorder.set(recorder)
    try:
        yield recorder
    finally:
        _recorder.reset(token)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rendered:
    """A text that came out, and what it takes to see where it came from."""

    section: Section
    variables: Mapping[str, JsonValue]
    text: str


class Tracer:
    """Traces the sections of one prompt, those that are asked for. Remembers the newest texts of each."""

    def __init__(self, includes: Mapping[str, str]) -> None:
        self._includes = includes
        self._sites = Sites()
        self._environment: Environment | None = None
        self._templates: dict[str, Template | list[tuple[Site, str]]] = {}
        self._identities: dict[str, str] = {}
        self._last: dict[str, tuple[str, str]] = {}
        self._known: OrderedDict[str, _Rendered | Provenance] = OrderedDict()

    def note(self, section: Section, variables: Mapping[str, JsonValue], text: str) -> str:
        """Remember what a section came out as, and return the digest that stands for it."""
        last_text, last_digest = self._last.get(section.name, ("", ""))
        if last_text == text:
            return last_digest
        found = self._digest(section, text)
        self._last[section.name] = (text, found)
        if found not in self._known:
            self._known[found] = _Rendered(section=section, variables=variables, text=text)
        self._known.move_to_end(found)
        if len(self._known) > _KEPT_TEXTS * len(self._last):
            self._known.popitem(last=False)
        return found

    def provenance(self, digests: Iterable[str]) -> tuple[Provenance, ...]:
        """Return what the texts of these digests are made of, of those that are remembered."""
        return tuple(self._found(digest, self._known[digest]) for digest in digests if digest in self._known)

    def _found(self, digest: str, known: _Rendered | Provenance) -> Provenance:
        if isinstance(known, _Rendered):
            known = self._known[digest] = Provenance(digest=digest, segments=self._segments(known))
        return known

    def _segments(self, rendered: _Rendered) -> tuple[Segment, ...]:
        section, template = rendered.section, self._template(rendered.section)
        if isinstance(template, list):
            return segments_of(template, rendered.text, section.label)
        with _recording(self._sites.in_macro) as recorder:
            template.render(rendered.variables)
        pieces = [each for piece in recorder.stack[0] for each in self._flat(piece, (), ())]
        return segments_of(pieces, rendered.text, section.label)

    def _template(self, section: Section) -> Template | list[tuple[Site, str]]:
        """Return the marked template, or the pieces of one that is nothing but text."""
        if section.name not in self._templates:
            environment = self._opened()
            tree = parse(environment, section.template, section.label)
            pieces = only_text(tree, section.label)
            self._templates[section.name] = (
                compiled(environment, mark(tree, section.label, self._sites), section.label)
                if pieces is None
                else pieces
            )
        return self._templates[section.name]

    def _opened(self) -> Environment:
        if self._environment is None:
            self._environment = template_environment(self._includes)
            self._environment.loader = MarkedTexts(self._includes, lambda tree, name: mark(tree, name, self._sites))
            self._environment.filters.update({OPEN: _open, CLOSE: _close, TEXT: _text, DROP: _drop})
        return self._environment

    def _digest(self, section: Section, text: str) -> str:
        identity = self._identities.get(section.name)
        if identity is None:
            identity = digest(canonical_json([section.label, section.template, dict(self._includes)]))
            self._identities[section.name] = identity
        return digest(f"{identity}\n{text}")[:_SHORT]

    def _flat(
        self, piece: _Piece, called_with: tuple[str, ...], called_under: tuple[str, ...]
    ) -> list[tuple[Site, str]]:
        """Return the innermost pieces of a piece where they are all of it, else the piece itself."""
        site = _resolved(self._sites.places[piece.site], called_with, called_under)
        if not piece.parts:
            return [(site, piece.text)]
        inner = [each for part in piece.parts for each in self._flat(part, site.variables, site.under)]
        if inner and "".join(text for _, text in inner) == piece.text:
            return inner
        variables = tuple(dict.fromkeys([*site.variables, *(name for each, _ in inner for name in each.variables)]))
        return [(replace(site, variables=variables), piece.text)]


def _resolved(site: Site, called_with: tuple[str, ...], called_under: tuple[str, ...]) -> Site:
    """Return a place in a macro's body as the call shows it: its arguments come from what the call was given."""
    if ARGUMENT not in (*site.variables, *site.under) and not called_under:
        return site
    variables, under = (
        tuple(dict.fromkeys(name for each in names for name in (called_with if each == ARGUMENT else (each,))))
        for names in (site.variables, (*called_under, *site.under))
    )
    return replace(site, variables=variables, under=under)


def segments_of(pieces: Sequence[tuple[Site, str]], text: str, label: str) -> tuple[Segment, ...]:
    """Return raw pieces as segments of the canonical `text`, which they are once they are canonical together.

    Text of a template is cut into lines. Where the pieces are not the text, one segment names the template alone.
    """
    raw = "".join(piece for _, piece in pieces)
    if raw != text and canonical_text(raw) != text:
        return (_segment(Site(template=label, line=None, prints=("…",)), text),)
    ends = _canonical_ends(raw, text, list(accumulate(len(piece) for _, piece in pieces)))
    cut = [
        (site, text[start:end])
        for (site, _), (start, end) in zip(pieces, pairwise([0, *ends]), strict=True)
        if end > start or site.prints
    ]
    lined = [line for site, piece in cut for line in _lines(site, piece)]
    if len(lined) <= MOST_SEGMENTS:
        return tuple(lined)
    whole, rest = cut[:MOST_SEGMENTS], cut[MOST_SEGMENTS:]
    segments = [_segment(site, piece) for site, piece in whole]
    if rest:
        segments.append(_segment(replace(rest[0][0], prints=("…",)), "".join(piece for _, piece in rest)))
    return tuple(segments)


def _lines(site: Site, piece: str) -> Sequence[Segment]:
    return (_segment(site, piece),) if site.prints else _text_lines(site, piece)


@lru_cache(maxsize=4096)
def _text_lines(site: Site, piece: str) -> tuple[Segment, ...]:
    """Return a template's own text by lines; remembered, since it comes out again and again."""
    first = site.line or 1
    return tuple(_segment(replace(site, line=first + place), line) for place, line in enumerate(_split(piece)))


def _split(piece: str) -> list[str]:
    """Return lines with their ends, cut at line feeds: Unicode has other line ends, and a template counts none."""
    lines = [f"{line}\n" for line in piece.split("\n")]
    lines[-1] = lines[-1][:-1]
    return lines if lines[-1] else lines[:-1]


def _segment(site: Site, piece: str) -> Segment:
    # Blanks at the end of a piece go or stay by what comes behind it; they are no change of the piece.
    return Segment(site=site, chars=len(piece), digest=segment_digest(piece.rstrip()))


def _canonical_ends(raw: str, text: str, ends: Sequence[int]) -> list[int]:
    """Return where pieces that end at `ends` in the raw text end in its canonical form, never falling.

    Canonical text differs line by line: blanks at line ends go, and what Unicode composes becomes shorter.
    """
    if raw == text:
        return list(ends)
    if "\r" in raw:  # out of a variable, and rare
        ends, raw = [len(_with_line_feeds(raw[:end])) for end in ends], _with_line_feeds(raw)
    found: list[int] = []
    raw_start = start = 0
    wanted = iter(ends)
    end = next(wanted, None)
    for line in raw.split("\n"):
        behind = raw_start + len(line) + 1
        canonical = canonical_text(line)
        while end is not None and end < behind:
            piece = line[: end - raw_start]
            inside = len(piece) if line.startswith(canonical) else len(canonical_text(piece))
            found.append(min(start + min(inside, len(canonical)), len(text)))
            end = next(wanted, None)
        raw_start, start = behind, start + len(canonical) + 1
    return _rising([*found, *(len(text) for _ in range(len(ends) - len(found)))], len(text))


def _with_line_feeds(raw: str) -> str:
    return raw.replace("\r\n", "\n").replace("\r", "\n")


def _rising(ends: Sequence[int], last: int) -> list[int]:
    rising = [min(end, last) for end in accumulate(ends, max)]
    return [*rising[:-1], last] if rising else []
