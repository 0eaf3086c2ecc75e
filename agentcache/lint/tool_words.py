"""What in a tool's name or description changes while the tool stays the same.

Tools are rendered before everything else, so that one changed character rewrites the whole prompt. Looks for template
expressions, stamps, paths and hosts of one machine, ids of one run, counts of what has happened, and the name of
whoever is served. What merely talks about such things (an example date, a limit, a placeholder) is constant.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from agentcache.lint import stamp_values as values
from agentcache.lint.late_patterns import LatePattern
from agentcache.lint.stamps import stamp_in_sentence
from agentcache.prompt.canonical import JsonValue
from agentcache.prompt.sections import Stability


@dataclass(frozen=True, slots=True, kw_only=True)
class VolatileWords:
    """Words that change, from character `start` to `end` of the text; kind says in a message what they are."""

    kind: str
    start: int
    end: int
    proven: bool = False
    """Whether it is known that they change, and not only how they look."""


class Speakers(NamedTuple):
    """What the agent declares: the layer of each variable, and the texts of values that differ between sessions."""

    layers: Mapping[str, Stability]
    identities: tuple[str, ...]


def speakers(variables: Mapping[Stability, Mapping[str, JsonValue]]) -> Speakers:
    """Return what is to be looked for of the variables that an agent declares."""
    layers = {name: layer for layer, named in variables.items() for name in named}
    texts = {
        value
        for layer in (Stability.SESSION, Stability.TURN)
        for name, value in variables.get(layer, {}).items()
        if isinstance(value, str) and (_PERSONAL.search(name) or _PERSON.fullmatch(value)) and len(value) >= _NAME
    }
    return Speakers(layers, tuple(sorted(texts, key=lambda text: (-len(text), text))))


def volatile_words(text: str, known: Speakers) -> VolatileWords | None:
    """Return the first words of a name or description that change, `None` where all is constant."""
    proven = next(_expressions(text, known), None) or next(_identities(text, known), None)
    if proven is not None:
        return proven
    for look in (_paths, _hosts, _counts, _live, _ids, _versions, _served, _git, _moments):
        for found in look(text):
            if not _shown(text, found.start):
                return found
    stamp = stamp_in_sentence(text)
    if stamp is not None:
        start = text.index(stamp[1])
        return VolatileWords(kind=f"a stamp of {stamp[0].value}", start=start, end=start + len(stamp[1]))
    return next((found for found in _warnings(text) if not _shown(text, found.start)), None)


def _expressions(text: str, known: Speakers) -> Iterator[VolatileWords]:
    for match in _EXPRESSION.finditer(text):
        names = set(_NAMES.findall(match[0]))
        declared = names & known.layers.keys()
        constant = bool(declared) and all(known.layers[name] is Stability.STATIC for name in declared)
        if (constant and declared) or not names or (not declared and _shown(text, match.start())):
            continue
        kind = "a template expression"
        yield VolatileWords(kind=kind, start=match.start(), end=match.end(), proven=bool(declared))
    for match in _FORMAT_FIELD.finditer(text):
        name = match[1] or match[2] or match[3]
        if known.layers.get(name, Stability.STATIC) is not Stability.STATIC:
            yield VolatileWords(kind="a placeholder", start=match.start(), end=match.end(), proven=True)


def _identities(text: str, known: Speakers) -> Iterator[VolatileWords]:
    for name in known.identities:
        match = re.search(rf"(?<!\w){re.escape(name)}(?!\w)", text)
        if match is not None:
            kind = "the value of a session's variable"
            yield VolatileWords(kind=kind, start=match.start(), end=match.end(), proven=True)


def _look(kind: str, *patterns: LatePattern) -> Callable[[str], Iterator[VolatileWords]]:
    def look(text: str) -> Iterator[VolatileWords]:
        for pattern in patterns:
            for match in pattern.finditer(text):
                yield VolatileWords(kind=kind, start=match.start(), end=match.end())

    return look


def _counts(text: str) -> Iterator[VolatileWords]:
    for pattern in (_COUNT_SO_FAR, _COUNT_LEFT, _CALLED_TIMES, _COUNT_OF, _LAST_CALL):
        for match in pattern.finditer(text):
            sentence = re.split(r"[.;]\s", text[: match.start()])[-1]
            if not _LIMIT.search(sentence + match[0]):
                yield VolatileWords(kind="a count", start=match.start(), end=match.end())


def _live(text: str) -> Iterator[VolatileWords]:
    for match in _CURRENTLY.finditer(text):
        if not _LIMIT.search(match[0]) and not _ABILITY.search(match[0]):
            yield VolatileWords(kind="a state of affairs", start=match.start(), end=match.end())


def _shown(text: str, at: int) -> bool:
    """Whether the words at `at` are an illustration: quoted, or led by words such as "for example"."""
    before = text[:at]
    if before.count("`") % 2 or before.count('"') % 2 or before.count("“") > before.count("”"):
        return True
    return bool(_EXAMPLE.search(re.split(r"[.;]\s", before)[-1]))


_NAME = 4
_PERSONAL = LatePattern(
    r"user|customer|client|person|name|e?mail|account|tenant|owner|operator|analyst|engineer|author|member|patient"
    r"|session|request|trace|conversation|thread",
    re.IGNORECASE,
)
_PERSON = LatePattern(r"[A-Z][\w'’-]+(?: [A-Z][\w'’.-]+){1,3}|[\w.+-]+@[\w-]+\.[\w.]+")
_EXPRESSION = LatePattern(r"\{\{.{1,300}?\}\}|\{%.{1,300}?%\}|<%=?.{1,300}?%>|\$\{[\w.]{1,80}\}", re.DOTALL)
_FORMAT_FIELD = LatePattern(
    r"(?<!\{)\{([A-Za-z_]\w*)(?:[.!:\[][^{}]{0,40})?\}(?!\})|%\(([A-Za-z_]\w*)\)[sdrf]|\$([a-z_]\w*)\b"
)
_NAMES = LatePattern(r"[A-Za-z_]\w*")
_EXAMPLE = LatePattern(
    r"\b(?:e\.?g|examples?|instance|such as|looks?|like|formats?|samples?|illustrat\w+|defaults?(?: to)?|pattern|"
    r"placeholder)\b",
    re.IGNORECASE,
)
_LIMIT = LatePattern(
    r"\b(?:at (?:most|least)|up to|no more|not more|more than|fewer than|less than|max(?:imum)?|min(?:imum)?|"
    r"limit(?:ed|s)?|"
    r"only|per|every|each|once|within|exactly|allows?|can be|may be|must be|should be|if|when|until|after|"
    r"before|or)\b",
    re.IGNORECASE,
)
_ABILITY = LatePattern(
    r"support|accept|allow|return|handle|limit|require|cover|offer|understand|"
    r"version",
    re.IGNORECASE,
)
_UNIT = (
    r"(?:times?|calls?|requests?|uses?|invocations?|runs?|quer(?:y|ies)|attempts?|messages?|turns?|steps?|tokens?|"
    r"credits?|searches|lookups?|hits?|results?|items?|orders?|tickets?|files?|documents?|entries|records?|rows?|"
    r"points?|units?|slots?|seats?|minutes?|seconds?|%|percent|usd|dollars?)"
)
_SO_FAR = (
    r"(?:so far|already|until now|to date|today|this (?:session|conversation|run|chat|month|week|hour|turn)|"
    r"in (?:this|the current) (?:session|conversation|run|chat))"
)
_LEFT = r"(?:remaining|left|available now|remain)"
_NUMBER = r"\d[\d,._]{0,11}"

_paths = _look(
    "a path of one machine",
    LatePattern(
        r"(?:/private)?(?:/var)?/(?:tmp|temp|run|shm)(?:/[\w.-]{1,60}){0,4}?/?"
        r"(?:tmp[_.-]?(?=[a-z_]{0,12}[0-9])\w{5,}|tmp(?=[A-Za-z]{0,12}[A-Z])\w{6,}|tmp[a-z_]{8}\b|[\w-]{0,24}"
        rf"(?:{values.UUID}|{values.HASH}|[-_.](?=[a-zA-Z]{{0,12}}\d)[a-zA-Z0-9]{{5,}}|\d{{3,}}))[\w./-]*"
    ),
    LatePattern(r"/tmp/tmp\w{4,}[\w./-]*|/tmp/\w*[.-][A-Za-z0-9]{6,}\b[\w./-]*"),
    LatePattern(r"/var/folders/[\w+/.-]{4,}|/proc/\d+\b|/run/user/\d+[\w./-]*|/pytest-\d+[\w./-]*"),
    LatePattern(
        r"(?:/home|/Users)/(?!(?:user|username|me|you|app|agent|ubuntu|sandbox|node|runner|work|"
        r"shared)\b)[\w.-]+[\w./-]*"
    ),
    LatePattern(r"[A-Za-z]:\\(?:Users\\(?!Public\b)[^\\\s]+|[\w\\]*Temp)\\?[^\s,;\"']*"),
    LatePattern(
        r"(?:/[\w.-]+){1,6}/(?:sessions?|runs?|jobs?|workspaces?|conversations?|"
        r"requests?)[-_/](?=[a-z_-]{0,16}\d)[\w-]{3,}"
    ),
    LatePattern(
        r"\b(?:current )?(?:working directory|cwd|cur(?:rent)? dir(?:ectory)?)\s*(?:is|:|=)\s*[`']?(?:/|"
        r"[A-Z]:\\)[\w./\\-]+",
        re.IGNORECASE,
    ),
    LatePattern(rf"(?:/[\w.-]+){{1,6}}/[\w-]{{0,20}}{values.UUID}[\w./-]*"),
)
_hosts = _look(
    "a process or host",
    LatePattern(r"\b(?:pid|process(?: id)?|ppid)\s*(?:is|:|=|#)?\s*\d{2,7}\b", re.IGNORECASE),
    LatePattern(r"\b(?:localhost|127\.0\.0\.1|0\.0\.0\.0):(?:3[3-9]|[45]\d|6[0-5])\d{3}\b"),
    LatePattern(r"\bport\s+(?:3[3-9]|[45]\d|6[0-5])\d{3}\b", re.IGNORECASE),
    LatePattern(
        r"\bip-\d{1,3}(?:-\d{1,3}){3}\b[\w.-]*|\b(?:10|192\.168|172\.(?:1[6-9]|2\d|"
        r"3[01]))(?:\.\d{1,3}){2,3}\b(?!/)"
    ),
    LatePattern(r"(?<![\w.-])\w[\w-]{0,62}(?:\.[\w-]{1,63}){0,5}\.(?:internal|local|lan|localdomain|intranet)\b(?!/)"),
    LatePattern(r"\b[a-z][a-z0-9-]{1,40}-(?=[a-f0-9]{0,9}\d)[a-f0-9]{8,10}-[a-z0-9]{5}\b"),
    LatePattern(
        r"\b(?:host(?:name)?|node|pod|worker|replica|machine|server|container|instance|"
        r"runner)(?:\s*[:=]\s*|"
        r"\s+)[`']?(?=[a-z_.-]{0,30}\d)(?:[a-z]{1,20}[-_])+[a-z0-9]{1,20}(?:[-_.][a-z0-9]{1,20}){0,4}\b",
        re.IGNORECASE,
    ),
)
_versions = _look(
    "the day of a version",
    LatePattern(
        rf"\b(?:version|snapshot|build|revision|index|schema|state|copy|v)\s*(?:of|from|dated|:|as "
        rf"of)?\s*{values.MOMENT}",
        re.IGNORECASE,
    ),
    LatePattern(
        rf"(?<!api )\b(?:build|snapshot|revision|index(?:ed)?|copy|dump|export|data)\s*(?:of|from|dated|"
        rf":|as of)?\s*{values.DAY}",
        re.IGNORECASE,
    ),
    LatePattern(rf"(?:^|[.;(\[]\s*)(?:version|v|rev)\s*[:.]?\s*{values.DAY}", re.IGNORECASE),
    LatePattern(rf"\((?:as of |v|version |updated )?{values.DAY}\)", re.IGNORECASE),
)
_moments = _look(
    "a moment",
    LatePattern(rf"(?<!before )(?<!after )(?<!since )(?<!until ){values.MOMENT}", re.IGNORECASE),
    LatePattern(rf"\b{values.WEEKDAY},?\s+{values.DAY}", re.IGNORECASE),
    LatePattern(rf"\bas of\s+(?:today,?\s+)?{values.DAY}", re.IGNORECASE),
    LatePattern(
        r"\b(?:limited|blocked|down|closed|unavailable|throttled|paused|"
        r"disabled)\s+until\s+\d{1,2}:\d{2}",
        re.IGNORECASE,
    ),
    LatePattern(
        rf"\b(?:build|version|v|"
        rf"rev(?:ision)?)\s*[:#]?\s*v?\d+(?:\.\d+){{1,4}}[-+.]{values.HASH}",
        re.IGNORECASE,
    ),
)
_ids = _look(
    "an id of one run",
    LatePattern(
        r"\b(?:session|request|trace|run|conversation|thread|job|correlation|instance|workspace|sandbox|container|"
        r"deployment|tenant|account|user|customer|build|commit|revision|sha|nonce|token)(?:[\s_-]*(?:id|key|"
        r"no\.?|number))?"
        rf"\s*(?:[:=#]|is)?\s*[`']?(?:{values.IDENTIFIER}|"
        rf"#?(?=[a-z-]{{0,6}}\d)[a-z0-9]{{1,6}}-[a-z0-9]{{3,20}}(?:-[a-z0-9]{{2,20}}){{0,3}}\b|[#(]\d{{3,}})",
        re.IGNORECASE,
    ),
    LatePattern(rf"{values.UUID}"),
    LatePattern(r"\b(?:sess|req|run|conv|trace|thread|msg|usr|toolu|job|cus)_(?=[a-zA-Z]{0,20}\d)[A-Za-z0-9]{5,40}\b"),
    LatePattern(r"\bbuild\s*(?:no\.?|number|:|#)?\s*\d{3,}\b(?! or (?:later|newer))", re.IGNORECASE),
)
_served = _look(
    "whoever is served",
    LatePattern(
        r"(?:(?i:on behalf of|behalf of|logged in as|signed in as|authenticated as|acting (?:as|for)|running as)|"
        r"[Cc]urrent user(?: is|:)|[Ll]ogged-in user(?: is|:)?|[Ff]or (?:user|customer|analyst|tenant|"
        r"account)(?: is|:)?|[Uu]ser:|[Oo]wner:|[Cc]ustomer:)"
        r"\s+[`'\"]?(?!The\b|A\b|An\b|This\b|Id\b|ID\b|Claude\b)(?:[A-Z][\w'’-]+(?: [A-Z][\w'’.-]+){0,3}|"
        r"[\w.+-]+@[\w-]+\.[\w.]+|@\w+)"
    ),
)
_git = _look(
    "the state of a repository",
    LatePattern(
        r"\b(?:(?i:current|active|checked[- ]out) branch(?: is|:)?|Branch:|HEAD(?: is| at|:)|[Oo]n branch)\s*[`']?"
        r"(?:main\b|master\b|develop\b|trunk\b|(?=[\w.-]{0,40}[/\d-])[\w./-]{3,60})|"
        r"\b(?:at|HEAD at|commit)\s+[`']?(?=[0-9a-f]{0,39}[0-9])(?=[0-9a-f]{0,39}[a-f])[0-9a-f]{7,40}\b"
    ),
)
_warnings = _look(
    "a note of the day",
    LatePattern(
        r"\b(?:today(?! or| and|'s date (?:in|as))|right now|at the moment)\b[^.;]{0,60}\b(?:is|are|down|slow|"
        r"unavailable|degraded|closed|offline)\b"
        r"|\b(?:currently|temporarily) (?:down|degraded|slow|unavailable|offline|disabled|broken|"
        r"rate[- ]limited|under maintenance|overloaded)\b"
        r"|\b(?:is|are) (?:down|degraded|unavailable|offline) (?:today|right now|at the moment|until \d)",
        re.IGNORECASE,
    ),
)

_LAST_CALL = LatePattern(
    rf"\b(?:last|previous) (?:call|run|request|query|search|use|result|attempt)\b[^.;]{{0,20}}?"
    rf"(?:took|returned|had|failed|found|was|at|:)\s[^.;]{{0,20}}?{_NUMBER}"
    rf"|\bso far\s*[:=]?\s*[$€£]?{_NUMBER}"
    rf"|\bused\s+{_NUMBER}\s+(?:of|/|out of)\s+{_NUMBER}"
    rf"|\b(?:invocation|attempt|call)\s+(?:no\.?\s*|number\s+|#)?\d+(?=[.;,)]|$)"
    rf"|\b\d+\s+(?:seconds?|minutes?|hours?|days?|min|h|s)\s+ago\b"
    rf"|\b{_NUMBER}\s+(?:\w+\s+){{1,2}}?(?:in|over|during) the (?:last|past) (?:hour|minute|day|week|\d+ "
    rf"(?:hours|minutes|days))\b",
    re.IGNORECASE,
)
_COUNT_SO_FAR = LatePattern(rf"\b{_NUMBER}\s+(?:\w+\s+){{0,3}}?(?:\w+\s+)?{_SO_FAR}\b", re.IGNORECASE)
_COUNT_LEFT = LatePattern(
    rf"\b{_NUMBER}\s+(?:of\s+{_NUMBER}\s+)?(?:\w+\s+){{0,2}}?{_LEFT}\b"
    rf"|\b(?:remaining|left|quota|balance|budget|usage|used|calls?|count(?:er)?|queue length|backlog)"
    rf"(?:\s+(?:\w+\s+){{0,2}}?(?:remaining|left|so far|today|used))?\s*(?:[:=]|is|"
    rf"are)\s*\$?{_NUMBER}(?:\s*(?:of|/)\s*{_NUMBER})?",
    re.IGNORECASE,
)
_CALLED_TIMES = LatePattern(
    rf"\b(?:called|used|invoked|run|ran|queried|executed|tried|consulted|failed)\s+{_NUMBER}\s+{_UNIT}\b"
    rf"|\b(?:call|use|invocation|request|attempt|run|turn|step)\s+(?:number\s+|no\.?\s*|#)?{_NUMBER}\s+(?:of|"
    rf"/)\s+{_NUMBER}",
    re.IGNORECASE,
)
_COUNT_OF = LatePattern(
    rf"\b{_NUMBER}\s+(?:of|/|out of)\s+{_NUMBER}\s+(?:\w+\s+){{0,2}}?(?:used|consumed|spent|done)\b", re.IGNORECASE
)
_CURRENTLY = LatePattern(
    rf"\b(?:currently|right now|at the moment|at present|as of now|presently|"
    rf"now)\b,?\s+(?:\w+\s+){{0,4}}?{_NUMBER}\b(?!\.\w)"
    rf"|\b{_NUMBER}\s+(?:\w+\s+){{1,4}}?(?:currently|right now|at the moment|at present|online|waiting|queued|"
    rf"pending now)\b",
    re.IGNORECASE,
)
