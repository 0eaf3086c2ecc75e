"""What stamps are made of: moments, days, hashes and ids as programs write them. Regular expressions, no judgement.

Every expression is free of nested repetition, so that no text makes it slow.
"""

from __future__ import annotations

_MONTH = (
    r"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?"
    r"|nov(?:ember)?|dec(?:ember)?)\.?"
)
WEEKDAY = r"(?:mon|tues?|wed(?:nes)?|thu(?:rs)?|fri|sat(?:ur)?|sun)(?:day)?"
TIME = r"(?:[01]?\d|2[0-3]):[0-5]\d(?::[0-5]\d(?:[.,]\d{1,9})?)?(?:\s?[ap]\.?m\b\.?)?"
_ZONE = r"(?:\s?(?:z|utc|gmt|cest|cet|bst|[epmc][sd]t|[+-]\d{2}:?\d{2})\b)?"
DAY = (
    rf"(?:(?:{WEEKDAY},?\s+)?(?:"
    r"(?:19|20)\d\d[-/.](?:0?[1-9]|1[0-2])[-/.](?:[12]\d|3[01]|0?[1-9])(?!\d)"
    rf"|\d{{1,2}}(?:st|nd|rd|th)?[ -](?:of )?{_MONTH},?[ -](?:19|20)\d\d"
    rf"|{_MONTH}[ -]\d{{1,2}}(?:st|nd|rd|th)?,?[ -](?:19|20)\d\d"
    r"|\d{1,2}[./]\d{1,2}[./](?:19|20)\d\d"
    r"|(?:19|20)\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])(?!\d)))"
)
"""A day of a year: `2026-11-20`, `20 November 2026`, `Nov 20, 2026`, `20.11.2026`, `20261120`."""
DAY_OF_YEAR = rf"(?:{WEEKDAY},?\s+(?:the )?)?(?:\d{{1,2}}(?:st|nd|rd|th)?\s+(?:of )?{_MONTH}|{_MONTH}\s+\d{{1,2}})"
"""A day without its year, as in "today is Friday, 20 November"."""
MOMENT = (
    rf"(?:{DAY}(?:t|,?\s+(?:at\s+)?|\s?[-–—|/·_@]\s?){TIME}{_ZONE}"
    rf"|{TIME}{_ZONE},?\s+(?:on\s+)?{DAY}"
    rf"|{WEEKDAY},?\s+{_MONTH}\s+\d{{1,2}}\s+{TIME}{_ZONE}\s+(?:19|20)\d\d"
    r"|(?:19|20)\d\d(?:0[1-9]|1[0-2])[0-3]\d[t_-][0-2]\d[0-5]\d(?:[0-5]\d)?z?\b)"
)
"""A day with the time of day: ISO 8601, RFC 2822, ctime, compact."""
EPOCH = r"\b1[4-9]\d{8}(?:\d{3})?(?:\.\d{1,6})?\b"
"""Seconds or milliseconds since 1970, of this age."""
UUID = r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b"
HASH = r"\b(?:sha(?:1|256)[:-])?(?=[0-9a-f]{0,39}[0-9])(?=[0-9a-f]{0,39}[a-f])[0-9a-f]{7,64}\b"
"""Hexadecimal digits, seven or more, letters and digits both."""
TOKEN = r"\b[a-z]{2,10}[_-](?=[a-z0-9]{0,40}\d)[a-z0-9]{5,40}\b"
"""An id with its kind in front: `req_01ABC9`, `sess-8f2a11`."""
ULID = r"\b(?=[0-9a-z]{0,25}\d)01[0-9a-hjkmnp-tv-z]{24}\b"
IDENTIFIER = rf"(?:{UUID}|{ULID}|{TOKEN}|{HASH})"
