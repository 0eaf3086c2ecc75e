"""What a name means: a clock, an id, a person, a machine; by the words of vocabulary.py, which hold no code.

Names are split into words (`userName`, `user_name` -> user, name) and compared as words, never as parts of words.
"""

from __future__ import annotations

import re
from functools import lru_cache

from agentcache.lint import vocabulary
from agentcache.lint.origins import OriginKind

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+[0-9]*|[0-9]+")


@lru_cache(maxsize=4096)
def words_of(name: str) -> tuple[str, ...]:
    """Return the words of a name in lower case: `requestId`, `request-id` and `REQUEST_ID` are request, id."""
    return tuple(word.lower() for part in re.split(r"[^A-Za-z0-9]+", name) for word in _WORD.findall(part))


def format_has_hours(written: str) -> bool:
    """Say whether a format for dates shows more than the day: `%H:%M`, `HH:mm`; not `%d %b %Y`, `YYYY-MM-DD`."""
    if "%" in written:
        return bool(re.search(r"%[-_0^#]?[HIMSfpTRXcsrklLN]", written))
    bare = re.sub(r"\[[^\]]*\]|'[^']*'", "", written)
    return bool(re.search(r"[HhGgKks]|mm|:", bare))


def format_is_local(written: str) -> bool:
    """Say whether a strftime format leaves the form to the locale of the process (`%c`, `%x`, `%X`)."""
    return bool(re.search(r"%[-_0^#E]?[cxXr+]|%EY", written))


def _joined(words: tuple[str, ...]) -> str:
    return "_".join(words)


def source_meaning(path: tuple[str, ...], *, called: bool) -> OriginKind | None:
    """Return what a global of this dotted path gives, `None` for what is the same every time or not known.

    What is asked of it says it first (`datetime.now`, `repo.head.commit`), then what it is asked of (`env.REGION`).
    """
    if not path or path[-1] == "UUID":
        return None
    names = [_joined(words_of(part)) for part in path]
    last, root = names[-1], names[0]
    if root in vocabulary.STABLE_ROOTS or last in vocabulary.STABLE_CALLS:
        return None
    if len(names) == 1 and last in vocabulary.MODULES and not (called and last in {"time", "uuid", "random", "moment"}):
        return None
    return _asked(names, words_of(path[-1]), called=called) or _asked_of(path, names, called=called)


def _asked(names: list[str], words: tuple[str, ...], *, called: bool) -> OriginKind | None:
    last = names[-1]
    if last == "strftime" and (len(names) == 1 or names[0] == "time"):
        return OriginKind.CLOCK
    if last == "today":
        return OriginKind.CLOCK if names[-2:-1] == ["datetime"] else OriginKind.DATE
    parts = {"date", "day", "year", "month", "hour", "minute", "second"}
    if last in parts and not {"now", "utcnow", "clock"} & {*names[:-1]}:
        return None
    if _is_clock(last, words, called=called):
        return OriginKind.CLOCK
    if last in vocabulary.DATE_NAMES or _present(words, vocabulary.DAY_WORDS):
        return OriginKind.DATE
    return _asked_by_word(last, words, called=called)


def _asked_by_word(last: str, words: tuple[str, ...], *, called: bool) -> OriginKind | None:
    have = {*words}
    if last in vocabulary.ID_NAMES or _is_request_id(words):
        return OriginKind.ID
    if last in vocabulary.RANDOM_NAMES or vocabulary.RANDOM_WORDS & have:
        return OriginKind.RANDOM
    if last in vocabulary.GIT_NAMES or vocabulary.GIT_WORDS & have:
        return OriginKind.GIT
    machine = last in (vocabulary.HOST_NAMES | vocabulary.MACHINES) - vocabulary.HOST_ROOTS
    if machine or last in {"env", "environ"} or vocabulary.HOST_WORDS & have or _is_place(words):
        return OriginKind.HOST
    if _is_counter(last, words) and last not in vocabulary.COUNTING_FUNCTIONS:
        return OriginKind.COUNTER
    live = last in vocabulary.LIVE_CALLS or vocabulary.LIVE_WORDS & have or vocabulary.CHANGING & {*words[-1:]}
    return OriginKind.LIVE if called and live else None


def _asked_of(path: tuple[str, ...], names: list[str], *, called: bool) -> OriginKind | None:
    root, last, deep = names[0], names[-1], len(names) > 1
    if root in vocabulary.HOST_ROOTS and (deep or called):
        return OriginKind.HOST
    if root in vocabulary.SESSION_ROOTS and (deep or called):
        return variable_meaning(path) or OriginKind.SESSION
    if root in vocabulary.USER_ROOTS:
        known = not deep or last in vocabulary.NAMING | vocabulary.WHO
        return OriginKind.IDENTITY if known else OriginKind.SESSION
    words = {word for name in names[1:] for word in name.split("_")}
    if root == "git" or (root in vocabulary.REPOSITORIES and words & vocabulary.REPOSITORY_WORDS):
        return OriginKind.GIT
    if root in vocabulary.COUNTER_ROOTS and deep:
        return OriginKind.COUNTER
    if root in vocabulary.RANDOM_ROOTS and called:
        return OriginKind.RANDOM
    return OriginKind.LIVE if root in vocabulary.LIVE_ROOTS and called and deep else None


def _is_clock(last: str, words: tuple[str, ...], *, called: bool) -> bool:
    if last == "time" and not called:
        return False
    bare = last in vocabulary.CLOCK_NAMES - {
        "elapsed",
        "unix",
        "hour",
        "minute",
        "second",
        "hours",
        "minutes",
        "seconds",
    }
    return (
        bare
        or last in vocabulary.RELATIVE_TIME
        or _present(words, vocabulary.TIME_WORDS)
        or "now" in words[-1:] + words[:1]
        or words[-1:] == ("timestamp",)
    )


def _present(words: tuple[str, ...], things: frozenset[str]) -> bool:
    return len(words) > 1 and words[-1] in things and bool(vocabulary.PRESENT & {*words[:-1]})


def _is_request_id(words: tuple[str, ...]) -> bool:
    if len(words) > 1 and words[-1] in {"uuid", "guid", "ulid", "nonce", "uuid4"}:
        return True
    return len(words) > 1 and words[-1] in vocabulary.ID_WORDS and words[-2] in vocabulary.ID_OWNERS


def _is_place(words: tuple[str, ...]) -> bool:
    return len(words) > 1 and words[-1] in vocabulary.PATHS and words[-2] in vocabulary.PLACES


def _is_counter(last: str, words: tuple[str, ...]) -> bool:
    if last in vocabulary.COUNTER_NAMES:
        return True
    if len(words) < 2:
        return False
    if words[0] == "next" and words[-1] in vocabulary.NEXT:
        return True
    if words[0] in {"remaining", "used", "spent"} and {*words[1:]} & vocabulary.COUNTED:
        return True
    return (words[-1] in vocabulary.COUNTING and bool({*words[:-1]} & vocabulary.COUNTED)) or words[-1] in {
        "counter",
        "remaining",
    }


def filter_meaning(name: str) -> OriginKind | None:
    """Return what an unknown filter of this name adds to the value that it is given."""
    words = words_of(name)
    last = _joined(words)
    if last in vocabulary.RELATIVE_TIME or vocabulary.RELATIVE_TIME & {*words[-1:]}:
        return OriginKind.CLOCK
    if last in {"hash", "id", "object_id", "addr", "address_of"}:
        return OriginKind.OBJECT_TEXT
    if last in {"date", "time", "day", "strftime", "timestamp", "unix", "count", "step", "position", "round"}:
        return None
    if last in {"env", "getenv"}:
        return OriginKind.HOST
    return source_meaning((name,), called=True)


_OF_ANYTHING = frozenset({"name", "names"})
"""Attributes that say who only of a person: `user.name`, not `product.name`."""


@lru_cache(maxsize=4096)
def variable_meaning(path: tuple[str, ...]) -> OriginKind | None:
    """Return what a variable that varies holds, by its name and the attribute that is read; `None` if names do not say.

    The attribute says it before the variable does: `user.plan` is about a plan, `clock.minute` about a clock.
    """
    if not path:
        return None
    last = _variable_word(path[-1])
    if (last is not None and (path[-1] not in _OF_ANYTHING)) or len(path) == 1:
        return last
    words = words_of(path[-1])
    parent = words_of(path[-2])
    if words and words[-1] in vocabulary.NAMING and parent and parent[-1] in vocabulary.PEOPLE:
        return OriginKind.IDENTITY
    if words and words[-1] in vocabulary.ID_WORDS and parent and parent[-1] in vocabulary.ID_OWNERS:
        return OriginKind.ID
    above = variable_meaning(path[:-1])
    return None if above in {OriginKind.IDENTITY, OriginKind.ID} else above


def _variable_word(name: str) -> OriginKind | None:
    words = words_of(name)
    last, have = _joined(words), {*words}
    clock = last in vocabulary.CLOCK_NAMES or _present(words, vocabulary.TIME_WORDS)
    told = (
        (clock or _is_stamped(words) or words[-1:] == ("now",), OriginKind.CLOCK),
        (last in vocabulary.DATE_NAMES or _present(words, vocabulary.DAY_WORDS), OriginKind.DATE),
        (_is_person(last, words), OriginKind.IDENTITY),
        (last in vocabulary.ID_NAMES or _is_request_id(words), OriginKind.ID),
        (last in vocabulary.GIT_NAMES or vocabulary.GIT_WORDS & have, OriginKind.GIT),
        (last in vocabulary.HOST_NAMES or vocabulary.HOST_WORDS & have or _is_place(words), OriginKind.HOST),
        (_is_counter(last, words), OriginKind.COUNTER),
        (last in vocabulary.LIVE_NAMES or vocabulary.LIVE_WORDS & have or _is_of_a_tool(words), OriginKind.LIVE),
        (vocabulary.RANDOM_WORDS & have, OriginKind.RANDOM),
    )
    return next((kind for says, kind in told if says), None)


def _is_of_a_tool(words: tuple[str, ...]) -> bool:
    return "tool" in words and words[-1] in {"result", "results", "output", "outputs"}


def _is_stamped(words: tuple[str, ...]) -> bool:
    return len(words) > 1 and words[-1] in {"at", "on", "timestamp"} and words[-2] in vocabulary.STAMPED


def _is_person(last: str, words: tuple[str, ...]) -> bool:
    if last in vocabulary.WHO or last == "name":
        return True
    if len(words) < 2:
        return False
    if any(personal <= {*words[-2:]} for personal in vocabulary.PERSONAL) or words[-1] in {
        "email",
        "username",
        "phone",
    }:
        return True
    return words[-1] in vocabulary.NAMING and words[-2] in vocabulary.PEOPLE - {"team", "agent"}
