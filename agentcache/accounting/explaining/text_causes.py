"""What a changed text says about its cause: a clock, an id, a counter, another order of the same items, and so on.

Decides by the form of what changed first (a time, an object's address, the same items in another order), then by the
words around it. The forms are general; no wording of any one prompt is known here.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence

from agentcache.accounting.explaining.item_order import EXAMPLE, EXAMPLE_LINE, order_cause
from agentcache.accounting.explaining.text_changes import TextChange, text_change

Rule = Callable[[TextChange], str | None]


def text_cause(before: str, after: str) -> str | None:
    """Return the code of what made `before` into `after`; `None` when nothing in the text tells."""
    change = text_change(before, after)
    return next((code for rule in _RULES if (code := rule(change)) is not None), None)


def is_same_but_for_bytes(before: str, after: str) -> bool:
    """Tell whether two texts differ in white space, line ends, invisible characters or Unicode form only."""
    return _visible(before) == _visible(after)


def _visible(text: str) -> str:
    shown = "".join(unicodedata.normalize("NFKC", text).translate(_TYPOGRAPHY).split())
    return shown if shown.isascii() else "".join(c for c in shown if unicodedata.category(c) != "Cf")


_TYPOGRAPHY = str.maketrans({"\u2018": "'", "\u2019": "'", "\u201c": '"', "\u201d": '"', "\u2011": "-"})


def _bytes(change: TextChange) -> str | None:
    return "PC014" if is_same_but_for_bytes(change.before, change.after) else None


_OBJECT = re.compile(
    r"<[^<>\n]*\bat 0x[0-9a-f]+>|\bobject at 0x[0-9a-f]+|\b0x[0-9a-f]{6,16}\b|<[\w.]+ object[^>]*>|\bid=\d{12,}"
    r"|\bhash\w*\W{1,4}-?\d{9,}|[\w.$]+@[0-9a-f]{6,8}\b(?!\.)",
    re.IGNORECASE,
)


def _object(change: TextChange) -> str | None:
    old, new = set(_OBJECT.findall(change.lines_before)), set(_OBJECT.findall(change.lines_after))
    return (
        "PC016"
        if old and new and _matches(_OBJECT, change.lines_before) != _matches(_OBJECT, change.lines_after)
        else None
    )


def _matches(pattern: re.Pattern[str], text: str) -> list[str]:
    return [found.group() for found in pattern.finditer(text)]


_MONTHS = {
    name: str(number)
    for number, names in enumerate(
        (
            "jan january januar janvier enero gennaio januari",
            "feb february februar fevrier febrero febbraio februari",
            "mar march marz mars marzo maart", "apr april avril abril aprile", "may mai mayo maggio mei maj",
            "jun june juni juin junio giugno", "jul july juli juillet julio luglio",
            "aug august aout agosto augustus augusti", "sep sept september septembre septiembre settembre",
            "oct october oktober octobre octubre ottobre okt", "nov november novembre noviembre",
            "dec december dezember decembre diciembre dicembre dez",
        ),
        start=1,
    )
    for name in names.split()
}  # fmt: skip
_DAYS = re.compile(
    r"\b(Mon|Tues?|Wed|Thu(rs)?|Fri|Sat|Sun)\b|(?i:\b(mon|tues|wednes|thurs|fri|satur|sun)day\b"
    r"|\b(mon|diens|donners|frei|sams|sonn)tag\b|\bmittwoch\b"
    r"|\b(lundi|mardi|mercredi|jeudi|vendredi|samedi|dimanche|lunes|martes|miercoles|jueves|viernes|sabado|domingo)\b)"
)
_ENGLISH_DAY = re.compile(r"\b(mon|tue|wed|thu|fri|sat|sun)(\b|[a-z]{0,5}day\b)", re.IGNORECASE)
_MONTH = re.compile(r"\b(" + "|".join(sorted(_MONTHS, key=len, reverse=True)) + r")\b\.?", re.IGNORECASE)

_MONTH_AND_DAY = re.compile(rf"{_MONTH.pattern}\s+\d|\d(st|nd|rd|th)?[.,]?\s+(of\s+)?{_MONTH.pattern}", re.IGNORECASE)
_ORDINAL = re.compile(r"\b(20\d\d|\d{1,2}(st|nd|rd|th))\b")


def _without_accents(text: str) -> str:
    return "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))


def _numbers(text: str) -> Counter[str]:
    """Return the numbers of a text, free of separators: months as numbers, hours on a 24-hour clock."""
    plain = _without_accents(text)
    plain = _MONTH.sub(lambda found: f" {_MONTHS[found.group(1).lower()]} ", plain)
    plain = re.sub(r"\b(\d{1,2})([:.]\d{2}(?:[:.]\d{2})?)?\s*([ap])\.?m\b\.?", _day_hour, plain, flags=re.IGNORECASE)
    plain = re.sub(r"(\d)[.,'’ \u00a0\u202f](\d{3})(?!\d)", r"\1\2", plain)
    plain = re.sub(r"(\d)[.,'’ \u00a0\u202f](\d{3})(?!\d)", r"\1\2", plain)
    return Counter(str(int(number)) for number in re.findall(r"\d+", plain) if int(number))


def _day_hour(found: re.Match[str]) -> str:
    hour = int(found.group(1)) % 12 + (12 if found.group(3).lower() == "p" else 0)
    return f"{hour}{found.group(2) or ''}"


def _locale(change: TextChange) -> str | None:
    """Tell the same numbers and dates in another format: other separators, order, month names or clock."""
    old, new = change.lines_before, change.lines_after
    numbers = _numbers(old)
    if not numbers or numbers != _numbers(new) or _words_aside(old) != _words_aside(new):
        return None
    days = [[name[:3].lower() for name in _matches(_ENGLISH_DAY, text)] for text in (old, new)]
    if all(days) and days[0] != days[1]:
        return None
    if re.findall(r"\d+", old) == re.findall(r"\d+", new):
        return "PC015"
    reordered = sorted(re.findall(r"\d+", old)) == sorted(re.findall(r"\d+", new))
    dated = _DATE.search(old) or _MONTH.search(old)
    return "PC015" if dated or not reordered else None


_FORMAT_WORDS = re.compile(
    r"\b[ap]\.?m\b\.?|\b(EUR|USD|GBP|SEK|CHF|JPY)\b|\b(den|le|el|de|of|the|uhr)\b", re.IGNORECASE
)


def _words_aside(text: str) -> str:
    """Return the letters of a text without what a format changes: days, months, AM and PM, currencies."""
    plain = _FORMAT_WORDS.sub("", _DAYS.sub("", _MONTH.sub("", text)))
    return "".join(c for c in plain if c.isalpha()).casefold()


_GIT = re.compile(
    r"\b(git\w*|commit(ted|s)?|HEAD|sha-?1?|branch|revision|rev|working tree|work-?tree|dirty|uncommitted|untracked"
    r"|staged|unstaged|modified files?|merge-?base|detached|origin/\w+|stash(es)?|checked out)\b"
    r"|git_\w+|_(sha|branch|commit)\b",
    re.IGNORECASE,
)
_SHA = re.compile(r"\W*[0-9a-f]{7,40}\W*$")
_SOURCES = re.compile(r"\b(repo(sitory)?|source( tree)?|code ?base)\b", re.IGNORECASE)
_HOST = re.compile(
    r"\b(host(name)?|pods?|node|replica|container|machine|instance|server|worker|pid|process id|cwd|pwd|shell|kernel"
    r"|(working|current|home|temp(orary)?|scratch|workspace|project|install(ation)?) ?(dir(ectory)?|folder|path|root)"
    r"|platform|os version|environment variable|HOME|PATH|TMPDIR|virtualenv|availability zone"
    r"|running (on|at|in|from))\b"
    r"|(host|pod|node|replica|container|work(ing)?|tmp|temp)_?(name|id|dir|path|directory|folder)\b",
    re.IGNORECASE,
)
_PATH = re.compile(
    r"(?<![\w:/.])(~|/(tmp|home|Users|var|mnt|srv|opt|workspaces?|private|root|data|repo|builds?|work))/[\w.@/-]+"
    r"|[A-Z]:\\[\w\\.-]+|\b\d{1,3}(\.\d{1,3}){3}\b|\b[a-z][\w-]*-[0-9a-f]{6,10}-[a-z0-9]{5}\b|\bip-\d+(-\d+){3}\b"
)
_UUID = re.compile(r"\b[0-9a-f]{8}-?([0-9a-f]{4}-?){3}[0-9a-f]{12}\b", re.IGNORECASE)
_TOKEN = re.compile(
    r"(?<![\w/])((?=[\w-]*\d)(?=[\w-]*[A-Za-z])[A-Za-z]{1,12}[_-][A-Za-z0-9]{8,}"
    r"|(?=\w*\d)(?=\w*[A-Za-z])[A-Za-z0-9]{12,}|(?=[0-9a-f]*\d)[0-9a-f]{8,64})(?![\w/])"
)
_ID_WORD = re.compile(
    r"\b(request|req|trace|correlation|span|nonce|run|job|message|session|conversation|thread|transaction|call"
    r"|execution|batch|task|ticket|event|build)[ _-]?(id(entifier)?|no|number|uuid|guid|key|token|ref(erence)?)\b"
    r"|\b(nonce|uuid|guid|ulid|invocation|correlation|trace(parent)?|salt|cache.?bust\w*)\b|\bx-[\w-]*(id|correlation|trace)\b",
    re.IGNORECASE,
)


_REQUEST_NUMBER = re.compile(
    r"\b(request|req|trace|span|job|run|invocation|execution|transaction)\W{1,3}\d{4,}", re.IGNORECASE
)


def _git(change: TextChange) -> str | None:
    if _GIT.search(change.heading):
        return "PC007"
    stamped = all(_SHA.match(old) and _SHA.match(new) for old, new in change.pieces)
    if stamped and change.pieces and _SOURCES.search(change.setting):
        return "PC007"
    return "PC007" if _small(change) and (_GIT.search(change.setting) or _GIT.search(_changed(change))) else None


def _host(change: TextChange) -> str | None:
    if not _small(change):
        return None
    pieces = [pair for pair in change.pieces if all(pair)]
    if any(_PATH.search(old) and _PATH.search(new) for old, new in pieces):
        return "PC006"
    named = _HOST.search(change.setting) or all(_HOST.search(old) and _HOST.search(new) for old, new in pieces)
    return "PC006" if pieces and named else None


def _id(change: TextChange) -> str | None:
    for old, new in change.pieces:
        dated = _DATE.search(old) and _DATE.search(new)
        found = [all(map(pattern.search, (old, new))) for pattern in (_UUID, _TOKEN)]
        if not dated and (any(found) or _is_drawn_like(old, new) or _is_drawn_like(new, old)):
            return "PC003"
    worded = _ID_WORD.search(change.setting) or _ID_WORD.search(_changed(change))
    worded = worded or (_REQUEST_NUMBER.search(change.lines_before) and _REQUEST_NUMBER.search(change.lines_after))
    steps = _steps(change)
    counted = bool(steps) and steps <= {1, -1}  # "message number 4" counts; a request's number jumps
    return "PC003" if worded and not counted and _small(change) and re.search(r"\d", _changed(change)) else None


def _is_drawn_like(token: str, other: str) -> bool:
    """Tell whether one word is a token and the other, as long, is as random, but happens to hold no digit."""
    mixed = re.search(r"[a-z]", other) and re.search(r"[A-Z]", other) and len(other) >= 12 and " " not in other
    return bool(mixed) and len(token) == len(other) and _TOKEN.search(token) is not None


_CLOCK = re.compile(
    r"\b([01]?\d|2[0-3])[:h][0-5]\d([:.][0-5]\d([.,]\d+)?)?\s*([ap]\.?m\.?)?(?![\d])|\b\d{1,2}\s*[ap]\.?m\b|T\d{6}Z?\b",
    re.IGNORECASE,
)
_EPOCH = re.compile(r"(?<![\w.-])(1[5-9]\d{8}|2[01]\d{8})(\.\d+|\d{3}|\d{6}|\d{9})?(?![\w-])")
_COMPACT = re.compile(r"\b20\d{6}[-_ T]?([01]\d|2[0-3])[0-5]\d([0-5]\d)?Z?\b")
_SPOKEN = re.compile(r"\b(kl|klo|um)\.?\s+([01]?\d|2[0-3])\.[0-5]\d\b|\bdatetime\((\d+,\s*){4,}", re.IGNORECASE)
_RUNNING = re.compile(
    r"\b(uptime|up for|running for|started)\b.{0,20}\d+\s*(ms|s|sec\w*|m|min\w*|h|hours?)\b", re.IGNORECASE
)
_DATE = re.compile(r"\b\d{4}[-/.]\d{1,2}[-/.]\d{1,2}\b|\b\d{1,2}[-/.]\d{1,2}[-/.](\d{4}|\d{2})\b|\b20\d{6}\b")
_OF_YEAR = re.compile(r"\b(week|day|quarter)\s+\d{1,3}\b[^\n]{0,15}\b20\d\d\b", re.IGNORECASE)
_DATE_WORD = re.compile(
    r"\b(today|date|day|week(day)?|month|calendar|quarter|yesterday|tomorrow|daily)\b", re.IGNORECASE
)


def _clock(change: TextChange) -> str | None:
    if not _small(change):
        return None
    if _RUNNING.search(change.lines_before) and not change.before.isalpha():
        return "PC001"
    if re.search(r"\d", _changed(change)) and _SPOKEN.search(change.lines_before):
        return "PC001"
    for old, new in change.pieces:
        if any(pattern.search(old) and pattern.search(new) for pattern in (_EPOCH, _COMPACT)):
            return "PC001"
        if _CLOCK.search(_without_dates(old)) and _CLOCK.search(_without_dates(new)):
            return "PC001"
    return None


def _without_dates(text: str) -> str:
    return re.sub(r"(\d{4}-\d{2}-\d{2})T?", " ", _DATE.sub(" ", text) if "T" not in text else text)


def _date(change: TextChange) -> str | None:
    if not _small(change):
        return None
    changed = _without_accents(_changed(change))
    if _DATE.search(changed) or _DAYS.search(changed) or _MONTH_AND_DAY.search(_without_accents(change.lines_before)):
        return "PC002"
    if _OF_YEAR.search(change.lines_before) and re.search(r"\d", changed):
        return "PC002"
    dated = _DATE_WORD.search(change.setting)
    return "PC002" if dated and (_MONTH.search(changed) or _ORDINAL.search(changed)) else None


_COUNTER_WORD = re.compile(
    r"\b(steps?|turns?|iterations?|rounds?|attempts?|retr(y|ies)|calls?|messages?|exchanges|remaining|left|budget|used|spent"
    r"|tokens?|context (window|used|left)|progress|count(er)?|so far|loop|limit|quota|out of|tries|percent|elapsed"
    r"|usage)\b"
    r"|\d+\s*(/|of)\s*\d+|_(count|left|used|remaining|step|turn|index)\b",
    re.IGNORECASE,
)


def _counter(change: TextChange) -> str | None:
    pieces = [pair for pair in change.pieces if all(pair)]
    if not pieces or not _small(change):
        return None
    if not all(_digits_aside(old) == _digits_aside(new) and re.search(r"\d", old) for old, new in pieces):
        return None
    if _COUNTER_WORD.search(change.around):
        return "PC008"
    return "PC008" if _steps(change) <= {1, -1} and not _LIVE.search(change.around) else None


def _steps(change: TextChange) -> set[float]:
    return {_number(new) - _number(old) for old, new in change.pieces if old and new}


def _digits_aside(text: str) -> str:
    return re.sub(r"\d+([.,]\d+)*", "#", text)


def _number(text: str) -> float:
    found = re.search(r"\d+(\.\d+)?", text.replace(",", ""))
    return float(found.group()) if found else 0.0


_LIVE = re.compile(
    r"\b(context|memor(y|ies)|retriev(ed|al)|documents?|passages?|search results?|knowledge( base)?|recall(ed)?"
    r"|relevant"
    r"|excerpts?|snippets?|sources?|rates?|prices?|stock|inventory|weather|temperature|status|live|latest|current(ly)?"
    r"|headlines?|news|feed|alerts?|incidents?|open (tickets|orders|issues|incidents|alerts)|queue|metrics|load"
    r"|balance|forecast|index|chunks?|hits|matches|articles?|notes?|facts|history of)\b"
    r"|<[\w-]*(context|memor|doc|result)",
    re.IGNORECASE,
)


def _live(change: TextChange) -> str | None:
    replaced = [pair for pair in change.pieces if all(pair)]
    if _LIVE.search(change.heading) or (_LIVE.search(change.setting) and replaced):
        return "PC009"
    return None


_MAIL = re.compile(r"[\w.+-]+@[\w-]+\.[\w.]+")
_IDENTITY = re.compile(
    r"\b(users?|customers?|clients?|tenants?|organi[sz]ations?|compan(y|ies)|accounts?|e-?mail|employees?|members?|caller"
    r"|patients?|students?|(first|last|full|user|display|customer|company)[ _]?name|name|signed in|logged in|login"
    r"|owner"
    r"|on behalf of|speaking (to|with)|talking (to|with)|chatting with"
    r"|assist(ing)?|helping|you (are )?(help|serve|assist)\w*"
    r"|dear|hello|welcome|contact|subscriber)\b|(user|tenant|customer|client|member|account|org)_(name|id|no|number|email|login)\b"
    r"|\b(Mr|Mrs|Ms|Miss|Dr|guest|visitor)\b",
    re.IGNORECASE,
)
_SESSION = re.compile(
    r"\b(plans?|locales?|languages?|tiers?|time ?zones?|regions?|roles?|themes?|units?|preferences?|preferred|prefers?"
    r"|session|settings?|currency|countr(y|ies)|tone|verbosity|persona|permissions?|scopes?|subscription|channel|device|segment"
    r"|project|workspace|mode|level|department|team|market|edition)\b|\b[a-z]{2}[-_][A-Z]{2}\b|[\w-]+\s*=\s*\S",
    re.IGNORECASE,
)


def _identity(change: TextChange) -> str | None:
    """Tell a person or firm from a setting of a session, by the words around or by the form of the value."""
    if not _small(change) or not all(all(pair) for pair in change.pieces[:1]):
        return None
    if any(_MAIL.search(old) and _MAIL.search(new) for old, new in change.pieces):
        return "PC004"
    valued = re.search(
        r"\b(plan|locale|language|tier|role|theme|units?|currency|persona|tone|mode|prefers?)\b\W{0,3}",
        change.setting,
        re.I,
    )
    named = _IDENTITY.search(change.setting)
    if named and not (valued and not _proper_names(change)):
        return "PC004"
    return "PC005" if _SESSION.search(change.around) else ("PC004" if _proper_names(change) else None)


def _proper_names(change: TextChange) -> bool:
    return all(
        re.search(r"\b[A-Z][\w'-]+ (& )?[A-Z]", old) and re.search(r"\b[A-Z][\w'-]+ (& )?[A-Z]", new)
        for old, new in change.pieces[:1]
    )


def _sample(change: TextChange) -> str | None:
    told = EXAMPLE.search(change.heading) or all(
        len(_matches(EXAMPLE, lines)) > 1 for lines in (change.lines_before, change.lines_after)
    )
    told = told or all(EXAMPLE_LINE.match(lines) for lines in (change.lines_before, change.lines_after))
    return "PC011" if told and change.before and change.after else None


def _small(change: TextChange) -> bool:
    """Whether a value changed rather than a passage."""
    longest = max((len(text.split()) for pair in change.pieces for text in pair), default=0)
    return longest <= 12 and sum(len(text) for pair in change.pieces for text in pair) <= 600


def _changed(change: TextChange) -> str:
    return "\n".join(text for pair in change.pieces for text in pair)


_RULES: Sequence[Rule] = (
    _bytes, _locale, order_cause, _object, _clock, _git, _host, _id, _date, _sample, _counter, _live, _identity,
)  # fmt: skip


def is_whole_section(before: str, after: str) -> bool:
    """Tell whether one text is the other with a passage more."""
    change = text_change(before, after)
    pieces = [pair for pair in change.pieces if any(pair)]
    return bool(pieces) and (all(not old for old, _ in pieces) or all(not new for _, new in pieces))
