"""Whether the values that a tool's schema allows come from live data: tickets, people, files, moments of one session.

Such a list is another one in the next session, and with it every byte of the prompt behind the tools. Constants look
much alike (`SHA-256`, `E1001`, `eu-west-1`), so shape alone decides only where constants never have it; elsewhere
the property's name or description has to speak of things that come and go.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from agentcache.lint import stamp_values as values
from agentcache.lint.late_patterns import LatePattern


def live_kind(texts: Sequence[str | int | float], property_name: str, description: str) -> str | None:
    """Return what the values are if they are live, in words for a message, else `None`.

    texts: the strings and numbers of the enumeration; empty ones and placeholders such as `all` may be among them.
    """
    told = [text for text in texts if not (isinstance(text, str) and text.lower() in _PLACEHOLDERS)]
    strings = [text for text in told if isinstance(text, str)]
    name = _spaced(property_name)
    about = f"{name} {description}".lower()
    opening = " ".join([name, *description.split()[:2]]).lower()
    if not told:
        return None
    if len(strings) < len(told):
        numbers = [text for text in told if isinstance(text, (int, float)) and not isinstance(text, bool)]
        return _live_numbers(numbers, about) if len(numbers) == len(told) else None
    for kind, whole, needs_words in _SHAPES:
        # People are meant where the property is one; a description may mention them in passing.
        if _mostly(strings, whole) and (
            needs_words is None or needs_words.search(opening if needs_words is _PEOPLE else about)
        ):
            return kind
    if _DEICTIC.search(about) and len(strings) > 1:
        return "what there is at the moment"
    return None


def live_value(text: str) -> str | None:
    """Return what a constant or default value is if no constant looks like it, else `None`."""
    return next((kind for kind, whole in _NEVER_CONSTANT if whole(text)), None)


def _live_numbers(numbers: Sequence[int | float], about: str) -> str | None:
    if all(re.fullmatch(values.EPOCH, str(number)) for number in numbers):
        return "moments"
    large = [number for number in numbers if number >= _LARGE and number % 100 and number not in _YEARS]
    if len(large) * 2 > len(numbers) and _THINGS.search(about):
        return "ids"
    return None


def _mostly(texts: Sequence[str], whole: Callable[[str], bool]) -> bool:
    fitting = sum(map(whole, texts))
    return fitting >= 1 and fitting * 3 >= len(texts) * 2


def _whole(pattern: str, flags: int = re.IGNORECASE) -> Callable[[str], bool]:
    compiled = LatePattern(pattern, flags)
    return lambda text: compiled.fullmatch(text.strip()) is not None


def _spaced(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])|[_-]", " ", name)


def _numbered(digits: int) -> Callable[[str], bool]:
    whole = _whole(rf"#?(?:[A-Za-z]{{1,12}}[-_#/ ]?)?\d{{{digits},}}")
    return lambda text: whole(text) and not _STANDARD.match(text)


_LARGE = 1_000
_YEARS = range(1900, 2101)
_PLACEHOLDERS = frozenset({"", "all", "any", "none", "other", "new", "unknown", "n/a", "*", "default", "unassigned"})
_STANDARD = LatePattern(
    r"(?:iso|sha|aes|utf|rfc|epsg|cwe|ieee|iec|din|en|ecma|cp|windows|koi|latin|rsa|rs|es|hs|ps|md|crc|hmac|bcp|"
    r"x\.?|h\.?|a|http|tls|ssl|usb|wgs|nad|etrs|ce|ean|isbn|upc|sic|naics|area|zone|level|tier|grade|phase|sprint|"
    r"version|v|py|python|jdk|java|node|gpt|claude|llama|win|office|ubuntu|rhel|debian|model|type|class|form|article|"
    r"chapter|section|rule|code|err|error|e|w|f|c|n|s|d|p|b|pep|jsr|gb|jis|mil|astm|nist|fips|pci|gs1|un|cas|"
    r"ec)[-_ ]?\d",
    re.IGNORECASE,
)
"""Letters in front of the numbers of standards, rules, sizes and releases, which stay."""
_THINGS = LatePattern(
    r"\b(?:tickets?|orders?|issues?|incidents?|cases?|invoices?|sessions?|customers?|users?|runs?|jobs?|requests?|"
    r"messages?|threads?|conversations?|bookings?|reservations?|shipments?|parcels?|tasks?|claims?|alerts?|alarms?|"
    r"records?|accounts?|builds?|deployments?|pull requests?|prs?|merge requests?|changes?|transactions?|payments?|"
    r"subscriptions?|appointments?|patients?|documents?|uploads?|reports?|events?|items?|entries|rows?|devices?|"
    r"returns?|refunds?|calls?|complaints?|leads?|deals?|quotes?|policies|policy|contracts?|batch(?:es)?|lots?)\b"
)
_PEOPLE = LatePattern(
    r"\b(?:users?|assignees?|owners?|reviewers?|customers?|operators?|on[- ]?call|authors?|members?|agents?|"
    r"analysts?|"
    r"recipients?|engineers?|people|person|employees?|contacts?|clients?|colleagues?|attendees?|participants?|"
    r"approvers?|requesters?|managers?|patients?|drivers?|technicians?|handlers?|assigned)\b"
)
_FILES = LatePattern(
    r"\b(?:files?|paths?|documents?|uploads?|attachments?|images?|notebooks?|sources?|pages?|buffers?)\b"
)
_BRANCHES = LatePattern(r"\b(?:branch(?:es)?|refs?|commits?|tags?|revisions?|heads?)\b")
_VERSION = LatePattern(r"^(?!.*\b(?:versions?|api|releases?|holidays?|editions?|standards?)\b)", re.DOTALL)
_DEICTIC = LatePattern(
    r"\b(?:right now|at the moment|at present|in this (?:session|conversation|chat|run|workspace)|of this "
    r"(?:session|conversation|chat|run|workspace)|today'?s?|currently (?:open|active|available|online|connected|"
    r"logged|"
    r"running|pending|visible|loaded|assigned|waiting|unread|deployed|in)|"
    r"(?:open|active|running|pending|unread|recent|latest|live|uploaded|connected) "
    r"(?:tickets?|orders?|issues?|incidents?|cases?|sessions?|customers?|users?|runs?|jobs?|tasks?|alerts?|alarms?|"
    r"invoices?|bookings?|documents?|files?|conversations?|threads?|messages?|pull requests?|prs?|branches|"
    r"deployments?|pods?|hosts?|experiments?|changes?|claims?))\b"
)
_NAMED = r"[A-Z][\w'’-]+(?: [A-Z][\w'’.-]+){1,3}"
_NEVER_CONSTANT: tuple[tuple[str, Callable[[str], bool]], ...] = (
    (
        "ids",
        _whole(rf"{values.UUID}|{values.ULID}|(?:sess|req|run|conv|msg|usr|cus|toolu|thread|trace)_[a-z0-9]{{5,40}}"),
    ),
    ("moments", _whole(values.MOMENT)),
    (
        "paths of one session",
        _whole(r".*/tmp/(?:[\w.-]*\d[\w.-]*/|tmp\w{4,}).*|/(?:home|users)/[\w.-]+/.*|.*/pytest-\d+/.*"),
    ),
)
_SHAPES: tuple[tuple[str, Callable[[str], bool], LatePattern | None], ...] = (
    *((kind, whole, None) for kind, whole in _NEVER_CONSTANT),
    ("e-mail addresses", _whole(r"[\w.+-]+@[\w-]+\.[\w.]+"), None),
    ("days", _whole(values.DAY), _VERSION),
    ("hashes", _whole(values.HASH), None),
    ("hosts", _whole(r"ip-\d+-\d+-\d+-\d+.*|[a-z][a-z0-9-]{1,40}-[a-f0-9]{8,10}-[a-z0-9]{5}"), None),
    ("ids", _numbered(5), None),
    ("ids", _numbered(3), _THINGS),
    ("ids", _whole(r"[a-z]{1,12}[-_](?=[a-z0-9-]{0,20}\d)[a-z0-9-]{4,24}"), _THINGS),
    ("people", _whole(rf"{_NAMED}|@[\w.-]+|(?=[a-z]+[._][a-z]+$)[a-z._]+", 0), _PEOPLE),
    ("files of one session", _whole(r"[\w .@/\\-]+\.[a-z]\w{0,4}"), _FILES),
    ("branches", _whole(r"(?:[\w.-]+/){1,3}[\w.-]+|[a-z]+-\d+[\w-]*"), _BRANCHES),
)
