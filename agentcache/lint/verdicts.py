"""Judges prints: which of them are mistakes in their layer, and by which code.

The most specific code wins: what a value is comes before the layer that declares it, and both before the form that it
is shown in. One mistake has one code at one line.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from agentcache.lint.finding import Confidence, Place
from agentcache.lint.origins import Origin, OriginKind, Print
from agentcache.prompt.sections import Stability

_BY_MEANING = {
    OriginKind.CLOCK: "PC001",
    OriginKind.DATE: "PC002",
    OriginKind.ID: "PC003",
    OriginKind.IDENTITY: "PC004",
    OriginKind.HOST: "PC006",
    OriginKind.GIT: "PC007",
    OriginKind.COUNTER: "PC008",
    OriginKind.LIVE: "PC009",
    OriginKind.RANDOM: "PC011",
    OriginKind.SESSION: "PC005",
    OriginKind.TURN: "PC005",
    OriginKind.SEMI_STATIC: "PC060",
    OriginKind.UNDECLARED: "PC058",
}
_BY_FORM = {
    OriginKind.SET_ORDER: "PC012",
    OriginKind.DICT_ORDER: "PC013",
    OriginKind.LOCALE: "PC015",
    OriginKind.OBJECT_TEXT: "PC016",
}
_GENERIC = {"PC005", "PC060", "PC058"}
_STEADY_IN_A_SESSION = {
    OriginKind.HOST,
    OriginKind.DATE,
    OriginKind.IDENTITY,
    OriginKind.SESSION,
    OriginKind.SEMI_STATIC,
    OriginKind.LOCALE,
}
"""What the environment gives alike through one session, or nearly: its form, its machine, its user, its day."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """A mistake. found: the print with only those origins that make it one."""

    code: str
    found: Print
    confidence: Confidence


def verdicts_on(prints: Iterable[Print]) -> tuple[Verdict, ...]:
    """Return the mistakes among prints, each code once for a line of a layer's text."""
    seen: dict[tuple[str, Place], Verdict] = {}
    for found in prints:
        for verdict in _judged(found):
            line = Place(path=found.place.path, line=found.place.line)
            before = seen.get((verdict.code, line))
            if before is None:
                seen[verdict.code, line] = verdict
            elif before.found.layer is found.layer:
                seen[verdict.code, line] = _together(before, verdict)
    return tuple(seen.values())


def _together(first: Verdict, second: Verdict) -> Verdict:
    through = tuple(dict.fromkeys((*first.found.through, *second.found.through)))
    origins = first.found.origins | second.found.origins
    return replace(first, found=replace(first.found, origins=origins, through=through))


def unplaced(prints: Iterable[Print]) -> tuple[Print, ...]:
    """Return what is a mistake in whatever layer these prints stand: of a template that no directory gives a layer.

    A variable may be the session's own or the turn's there, so a name that says whose it is, or where, says nothing.
    """
    kept = []
    for found in prints:
        origins = frozenset(origin for origin in found.origins if not _may_be_steady(origin))
        if origins:
            kept.append(replace(found, origins=origins))
    return tuple(kept)


def _may_be_steady(origin: Origin) -> bool:
    if origin.stability is not None:
        return False
    named = origin.kind in {OriginKind.GIT, OriginKind.LIVE} and "(" not in origin.name
    return named or origin.kind in _STEADY_IN_A_SESSION - {OriginKind.LOCALE}


def _judged(found: Print) -> list[Verdict]:
    by_code: dict[str, set[Origin]] = {}
    for origin in found.origins:
        if found.layer is not Stability.TURN and is_wrong(origin, found.layer):
            by_code.setdefault(_code(origin, found), set()).add(origin)
    return [
        Verdict(
            code=code,
            found=replace(found, origins=frozenset(by_code[code])),
            confidence=_confidence(code, by_code[code]),
        )
        for code in sorted(_telling(by_code))
    ]


def _telling(codes: Iterable[str]) -> set[str]:
    """Leave out what only repeats the cause of another code: of content, the layer; of form, everything."""
    content = {code for code in codes if code not in _BY_FORM.values()}
    specific = content - _GENERIC
    if specific:
        return specific
    return {min(content, key=("PC005", "PC058", "PC060").index)} if content else {min(codes)} if codes else set()


def is_wrong(origin: Origin, layer: Stability) -> bool:
    """Say whether a layer that is sent again and again must not hold this."""
    if origin.kind in _BY_FORM:
        return origin.kind is not OriginKind.LOCALE or layer is not Stability.SESSION
    if origin.kind is OriginKind.UNDECLARED:
        return True
    if origin.stability is not None:
        return origin.stability.rank > layer.rank
    if layer is Stability.SESSION:
        return origin.kind not in _STEADY_IN_A_SESSION
    return layer is Stability.STATIC or origin.kind is not OriginKind.DATE


def _code(origin: Origin, found: Print) -> str:
    if origin.kind in _BY_FORM:
        return _BY_FORM[origin.kind]
    if origin.kind is OriginKind.UNDECLARED:
        return "PC058"
    if found.layer is Stability.SESSION:
        return "PC057"
    varies = origin.stability is None or origin.stability.rank >= Stability.SESSION.rank
    if found.role == "include" and varies:
        return "PC017"
    declared = origin.stability is not None and varies
    if found.role == "condition" and (declared or origin.kind in {OriginKind.SESSION, OriginKind.IDENTITY}):
        return "PC010"
    return _BY_MEANING[origin.kind]


def _confidence(code: str, origins: set[Origin]) -> Confidence:
    if code in {"PC012", "PC013", "PC016", "PC058"} or any(origin.stability is not None for origin in origins):
        return Confidence.CERTAIN
    return Confidence.LIKELY
