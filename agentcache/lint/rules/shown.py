"""Makes findings of verdicts, in words: what is shown where, why that costs, and where it comes from."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from agentcache.lint.examination import Examination
from agentcache.lint.finding import Confidence, Finding, Place
from agentcache.lint.origins import Origin, Print
from agentcache.lint.rules.found import found
from agentcache.lint.verdicts import Verdict


def check_for(code: str, why: str) -> Callable[[Examination], Iterator[Finding]]:
    """Return the check that finds every print of this code; `why` ends each message."""

    def check(examination: Examination) -> Iterator[Finding]:
        for verdict in examination.verdicts:
            if verdict.code == code:
                yield _finding(verdict, examination, why)

    return check


def _finding(verdict: Verdict, examination: Examination, why: str) -> Finding:
    shown = verdict.found
    return found(
        verdict.code,
        examination,
        shown.place,
        f"{_what(shown)} {why}",
        layer=shown.layer,
        confidence=_confidence(verdict, examination),
        also=_also(shown),
    )


def _confidence(verdict: Verdict, examination: Examination) -> Confidence:
    """Return how sure it is; where nobody declares what varies, a name alone is no more than a hint."""
    guessed = verdict.confidence is Confidence.LIKELY and not examination.sources.complete
    return Confidence.POSSIBLE if guessed else verdict.confidence


_DOES = {
    "output": "shows",
    "condition": "decides by",
    "loop": "goes through",
    "include": "brings in a template by",
}


def _what(shown: Print) -> str:
    origins = sorted(shown.origins, key=lambda origin: (origin.name, origin.kind))
    names = ", ".join(dict.fromkeys(_named(origin) for origin in origins))
    written = f"`{shown.expression}` " if shown.expression else ""
    return f"the {shown.layer.value} layer {_DOES[shown.role]} {written}({names}):"


def _named(origin: Origin) -> str:
    kind = origin.kind.value.replace("_", " ")
    whose = f", a {origin.stability.value} variable" if origin.stability is not None else ""
    return (
        f"{origin.name}: {kind}{whose}"
        if kind != (origin.stability and origin.stability.value)
        else f"{origin.name}{whose}"
    )


def _also(shown: Print) -> tuple[Place, ...]:
    origins = sorted((origin.place for origin in shown.origins), key=_in_order)
    places = [*shown.through, *origins]
    known = {(shown.place.path, shown.place.line)}
    also = []
    for place in places:
        if (place.path, place.line) not in known:
            known.add((place.path, place.line))
            also.append(place)
    return tuple(also)


def _in_order(place: Place) -> tuple[str, int, int]:
    return place.path, place.line or 0, place.column or 0
