"""The same items in another order: of a set, of a mapping, of examples."""

from __future__ import annotations

import re
from collections import Counter

from agentcache.accounting.explaining.text_changes import TextChange

EXAMPLE = re.compile(
    r"(?<![.@])\b(examples?|few-?shots?|demonstrations?|exemplars?|samples?)\b"
    r"|^\s*(Q|A|Input|Output|Question|Answer|User|Assistant|Human)\s*\d*\s*:|(->|=>)\s*(A|Output)\b",
    re.IGNORECASE | re.MULTILINE,
)
EXAMPLE_LINE = re.compile(r"\W*(example|sample|demonstration|exemplar)s?\s*\d*\s*[:.)]", re.IGNORECASE)
_KEYED = re.compile(
    r"""^\s*[-*]?\s*["'`*]{0,2}[\w .-]{1,40}["'`*]{0,2}\s*(:|=(?!=)|=>|->)(\s*\S|\s*$)|^\s*\|[^|]+\|\s*[^|\s]"""
)


def order_cause(change: TextChange) -> str | None:
    """Another order of the same items: of pairs, of members, of examples."""
    pairs = ((change.lines_before, change.lines_after), (change.before, change.after))
    for separator in (r"\n", r"[,;|\n]", r"[\s,;|]+"):
        for old, new in pairs:
            items, others = _items(old, separator), _items(new, separator)
            if Counter(items) != Counter(others):
                items, others = _items(_unlabelled(old), separator), _items(_unlabelled(new), separator)
            if len(items) > 1 and items != others and Counter(items) == Counter(others):
                if EXAMPLE.search(change.around):
                    return "PC011"
                keyed = sum(_KEYED.match(item) is not None for item in items)
                return "PC013" if keyed * 2 >= len(items) else "PC012"
    return None


def _items(text: str, separator: str) -> list[str]:
    between = "," if separator != r"\n" else " " if "\n" in text else "\n"
    opened = re.sub(r"[{}\[\]()]|</?[A-Za-z][\w-]*>", between, text)
    parts = (part.strip(" \t,;.\r") for part in re.split(separator, opened))
    return [re.sub(r"^(\d+[.)]|[-*•]|and|or)\s+", "", part) for part in parts if part]


def _unlabelled(text: str) -> str:
    """Return a list without the label in front of it (`Tools: a, b`)."""
    return re.sub(r"^[^:=\n]{1,60}(:\s+|=\s*)(?=[^\n]*,)", "", text)
