"""Where the pieces of a rendered section come from: template, line and variables, each piece with a short digest.

Kept with a call in place of its text, so that two renderings of a section can be compared piece by piece later on. A
piece is what one output expression printed, or one line of the template's own text. Knows no template engine: pieces
are made in tracing.py.

A digest here is of 16 bits on purpose. That is enough to see that a value changed: one change in 65,536 is missed, and
then the section is still known to differ. Of values that somebody tries out on a ledger, one in 65,536 matches, the
true one or not: a long number stays unknown, a name out of a short list does not.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import zip_longest
from typing import TypeAlias

from agentcache.prompt.canonical import JsonObject, JsonValue

_DIGEST_BYTES = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """A place in a template that text comes from."""

    template: str
    """Its file, else the name that messages call it by."""
    line: int | None
    """From 1; `None` where only the template is known."""
    prints: tuple[str, ...] = ()
    """What the output expression shows, as it is written there (`order.id`); empty for the template's own text."""
    variables: tuple[str, ...] = ()
    """The variables from outside the template that this comes from: `tags` for the `tag` of a loop over them."""
    under: tuple[str, ...] = ()
    """The variables that decide whether, or how often, the place comes out: those of the loops and branches around."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """A piece of a section's text. The pieces in their order are the whole text."""

    site: Site
    chars: int
    digest: str
    """Of the text without blanks and line ends behind it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """What one rendering of one section is made of.

    digest: stands for the section's templates and text; the ledger keeps it with each call, and this once.
    """

    digest: str
    segments: tuple[Segment, ...]

    def to_json(self) -> JsonObject:
        """Return `sites`, each once, and `segments`: triples of a site's place among them, characters, and digest."""
        templates: dict[str, int] = {}
        sites: dict[Site, int] = {}
        triples: list[JsonValue] = []
        for segment in self.segments:
            templates.setdefault(segment.site.template, len(templates))
            place = sites.setdefault(segment.site, len(sites))
            triples += [place, segment.chars, segment.digest]
        return {
            "digest": self.digest,
            "templates": list(templates),
            "sites": [_site_json(site, templates[site.template]) for site in sites],
            "segments": triples,
        }


def provenance_from_json(told: JsonValue) -> Provenance:
    """Return what `Provenance.to_json` was given. Raises `ValueError` for anything else."""
    try:
        return _read(told)
    except (KeyError, TypeError, IndexError, ValueError) as error:
        raise ValueError(f"no provenance of a section ({error}): {str(told)[:80]}") from error


class ChangeKind(StrEnum):
    """What parted two renderings of a section."""

    VALUE = "value"
    """An expression printed something else."""
    TEXT = "text"
    """The template's own text is another."""
    BRANCH = "branch"
    """A condition or a loop came out otherwise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SectionChange:
    """The first place in which two renderings of a section differ."""

    kind: ChangeKind
    template: str
    line: int | None
    variables: tuple[str, ...]
    """What to look at: the variables printed, or those that decide. Empty where the template itself was edited."""
    prints: tuple[str, ...]

    @property
    def place(self) -> str:
        """Template and line: `prompts/desk/static.j2:3`."""
        return self.template if self.line is None else f"{self.template}:{self.line}"

    def words(self) -> str:
        """Return place and variable in words, as a part of a sentence."""
        if self.kind is ChangeKind.VALUE:
            shown = " and ".join(f"{{{{ {name} }}}}" for name in self.prints)
            other = [name for name in self.variables if name not in {_root(shown) for shown in self.prints}]
            return f"{self.place} prints {shown}{f' (from {_listed(other)})' if other else ''}"
        if self.kind is ChangeKind.BRANCH:
            return f"{self.place} comes out otherwise, as {_listed(self.variables)} decides"
        return f"{self.place} has other text of its own"


def first_change(before: Provenance, now: Provenance) -> SectionChange | None:
    """Return where two renderings part; `None` where no piece tells, which happens when digests are equal by chance.

    Blanks and line ends behind a piece are looked at where nothing else differs: what comes next decides on them, too.
    """
    found = _first_apart(_shown(before.segments), _shown(now.segments))
    found = found or _first_apart(before.segments, now.segments)
    found = found or _first_apart(before.segments, now.segments, to_the_end=True)
    return None if found is None else _change(*found)


_Pair: TypeAlias = tuple[Segment | None, Segment | None]


def _first_apart(before: Sequence[Segment], now: Sequence[Segment], *, to_the_end: bool = False) -> _Pair | None:
    return next((pair for pair in zip_longest(before, now) if not _alike(*pair, to_the_end=to_the_end)), None)


def _shown(segments: Iterable[Segment]) -> list[Segment]:
    """Return the pieces without blanks of the template's own, which go where nothing comes after them."""
    blank = segment_digest("")
    return [segment for segment in segments if segment.site.prints or segment.digest != blank]


def segment_digest(text: str) -> str:
    """Return the digest of one piece: four hexadecimal digits."""
    return hashlib.blake2b(text.encode(), digest_size=_DIGEST_BYTES).hexdigest()


def _alike(mine: Segment | None, theirs: Segment | None, *, to_the_end: bool = False) -> bool:
    """Tell whether two pieces are the same; their lines count for nothing, since a comment moves all below it."""
    if mine is None or theirs is None:
        return False
    same_site = (mine.site.template, mine.site.prints) == (theirs.site.template, theirs.site.prints)
    return same_site and mine.digest == theirs.digest and (mine.chars == theirs.chars or not to_the_end)


def _change(mine: Segment | None, theirs: Segment | None) -> SectionChange:
    sites = [segment.site for segment in (theirs, mine) if segment is not None]
    if len({(site.template, site.prints) for site in sites}) == 1 < len(sites) and (
        sites[0].prints or sites[0].line == sites[1].line
    ):
        return _printed(sites[0])
    every = tuple(dict.fromkeys(name for site in sites for name in site.under))
    apart = tuple(name for name in every if not all(name in site.under for site in sites))
    if not every:
        return _printed(_widest(sites))
    # Named is the place under the condition: what comes after it is the same in both.
    place = max(sites, key=lambda site: len(site.under))
    shown = tuple(dict.fromkeys(name for site in sites for name in site.variables))
    variables = apart or tuple(dict.fromkeys((*every, *shown)))
    return SectionChange(
        kind=ChangeKind.BRANCH, template=place.template, line=place.line, variables=variables, prints=()
    )


def _widest(sites: Sequence[Site]) -> Site:
    """Return the place that shows all that the others do, else the first that shows anything.

    A filter's block comes out as a whole, and in pieces where it changed none of them.
    """
    shown = {name for site in sites for name in site.prints}
    whole = (site for site in sites if site.variables and shown <= set(site.prints))
    return next(whole, None) or next((site for site in sites if site.variables), sites[0])


def _printed(site: Site) -> SectionChange:
    """Return the change of what a place prints; without variables it is the template's own text."""
    kind = ChangeKind.VALUE if site.variables else ChangeKind.TEXT
    prints = site.prints if site.variables else ()
    return SectionChange(kind=kind, template=site.template, line=site.line, variables=site.variables, prints=prints)


def _root(shown: str) -> str:
    return shown.split(".", 1)[0].split("[", 1)[0]


def _listed(names: Sequence[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _site_json(site: Site, template: int) -> JsonValue:
    names: list[JsonValue] = [list(site.prints), list(site.variables), list(site.under)]
    while names and not names[-1]:
        names.pop()
    return [template, site.line, *names]


def _read(told: JsonValue) -> Provenance:
    if not isinstance(told, dict):
        raise TypeError("it is no object")
    digest, templates, sites, triples = (told[name] for name in ("digest", "templates", "sites", "segments"))
    if not (isinstance(templates, list) and isinstance(sites, list) and isinstance(triples, list)):
        raise TypeError("a list is missing")
    read = [_site([str(name) for name in templates], site) for site in sites]
    runs = zip(triples[::3], triples[1::3], triples[2::3], strict=True)
    return Provenance(digest=str(digest), segments=tuple(_segment(read, *run) for run in runs))


def _segment(sites: Sequence[Site], place: JsonValue, chars: JsonValue, digest: JsonValue) -> Segment:
    if not isinstance(place, int) or not isinstance(chars, int) or not isinstance(digest, str):
        raise TypeError("a segment is a site, characters and a digest")
    return Segment(site=sites[place], chars=chars, digest=digest)


def _site(templates: Sequence[str], told: JsonValue) -> Site:
    match told:
        case [int(template), None | int() as line, *names]:
            prints, variables, under = ([*names, [], [], []])[:3]
            return Site(
                template=templates[template],
                line=line,
                prints=_names(prints),
                variables=_names(variables),
                under=_names(under),
            )
    raise TypeError("a site is a template, a line and names")


def _names(told: JsonValue) -> tuple[str, ...]:
    if not isinstance(told, list):
        raise TypeError("names are a list")
    return tuple(str(name) for name in told)
