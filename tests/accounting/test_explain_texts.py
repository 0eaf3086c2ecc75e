"""What changed in a system prompt, told from the two texts alone."""

from __future__ import annotations

import pytest

from agentcache.accounting.explaining.text_causes import is_same_but_for_bytes, text_cause

RULES = "\n".join(f"- Rule {word}: be kind, and say what you do." for word in ("one", "two", "three", "four"))


@pytest.mark.parametrize("place", ["{value}\n\n{rules}", "{rules}\n\n{value}"], ids=["at the head", "at the end"])
@pytest.mark.parametrize(
    ("code", "before", "after"),
    [
        ("PC001", "Now: 10:25", "Now: 10:31"),
        ("PC001", "It is 3:05 PM on Friday, Nov 20.", "It is 3:06 PM on Friday, Nov 20."),
        ("PC001", "<time>2026-11-20T10:25:05+01:00</time>", "<time>2026-11-20T10:26:44+01:00</time>"),
        ("PC001", "ts=1795180017123", "ts=1795180054456"),
        ("PC001", "(rendered 20261120T102505Z)", "(rendered 20261120T102944Z)"),
        ("PC002", "Today is 2026-11-20.", "Today is 2026-11-21."),
        ("PC002", "Freitag, den 20. November 2026", "Samstag, den 21. November 2026"),
        ("PC002", "date=20261120", "date=20261121"),
        ("PC003", "id 3f2a77c0-9c1e-4a57-8d11-1f9a3c2b7e55", "id 77b0c1de-1c1e-4a57-8d11-1f9a3c2b7e00"),
        ("PC003", "Nonce 8842713", "Nonce 1093344"),
        ("PC003", "[run 01HZX3Q9F8K2V7M4N6P5R0T1WY]", "[run 01HZX3QAB2C7D8E9F0G1H2J3K4]"),
        ("PC004", "You assist Ana Bell (ana@bell.example).", "You assist Tom Reed (tom@reed.example)."),
        ("PC004", "Tenant: north-mills", "Tenant: south-yards"),
        ("PC005", "Subscription tier: gold; region: EU", "Subscription tier: silver; region: US"),
        ("PC006", "cwd: /home/ci/build-118/repo", "cwd: /home/ci/build-119/repo"),
        ("PC006", "pid 4312", "pid 5120"),
        ("PC007", "git status: clean", "git status: dirty (M src/app.py)"),
        ("PC007", "On branch feature/login", "On branch feature/logout"),
        ("PC008", "You have 38 tool calls left.", "You have 37 tool calls left."),
        ("PC008", "Remaining budget: $4.20", "Remaining budget: $4.05"),
        ("PC009", "EUR/USD rate: 1.0812", "EUR/USD rate: 1.0835"),
        ("PC009", "## Memories\n- likes tea\n- lives north", "## Memories\n- drives a van\n- has a dog and a cat"),
        ("PC011", "Examples:\nInput: a b\nOutput: x", "Examples:\nInput: g h i\nOutput: z"),
        ("PC012", "Known: alpha, beta, gamma", "Known: gamma, alpha, beta"),
        ("PC013", '{"a": 1, "b": 2, "c": 3}', '{"c": 3, "a": 1, "b": 2}'),
        ("PC013", "region: eu\nlevel: info\nmax: 3", "level: info\nmax: 3\nregion: eu"),
        ("PC014", "one\r\ntwo\r\n", "one\ntwo\n"),
        ("PC014", "Caf\u00e9", "Cafe\u0301"),
        ("PC015", "Limit: 1,250.00 EUR", "Limit: 1.250,00 EUR"),
        ("PC015", "Opens 3:00 PM", "Opens 15:00"),
        ("PC016", "<app.Store object at 0x7f3abb12b6a0>", "<app.Store object at 0x7f3ac2231020>"),
        ("PC016", "com.app.Retriever@1b6d3586", "com.app.Retriever@4554617c"),
        ("PC001", "Built 20261120-102505", "Built 20261120-102944"),
        ("PC001", "now = datetime(2026, 11, 20, 10, 25, 5)", "now = datetime(2026, 11, 20, 10, 29, 44)"),
        ("PC002", "Nous sommes le 18 ao\u00fbt 2026.", "Nous sommes le 19 ao\u00fbt 2026."),
        ("PC002", "Week 33, Thursday", "Week 33, Friday"),
        ("PC003", "(request 993620)", "(request 893382)"),
        ("PC003", "run_T2LeL1BhtkUw2d3cQsiq", "run_WHAGmMRShZFpEIQNGLoq"),
        ("PC004", "Address the guest as Mr Menon.", "Address the guest as Mr Weber."),
        ("PC004", "User: Ana <ana@bell.example>", "User: Tom <tom@reed.example>"),
        ("PC005", "The user prefers short answers.", "The user prefers friendly answers."),
        ("PC006", "hostname=kipe68", "hostname=kipe44"),
        ("PC006", "served by node-188", "served by node-84"),
        ("PC007", "repo at 321da97 (main)", "repo at 6e824dd (main)"),
        ("PC008", "This is message number 4.", "This is message number 5."),
        ("PC009", "Exchange rate EUR/SEK: 11.4584", "Exchange rate EUR/SEK: 11.4569"),
        ("PC011", 'Example: "a b" -> x', 'Example: "g h i" -> z'),
        ("PC012", "<tags>alpha beta gamma</tags>", "<tags>gamma alpha beta</tags>"),
        ("PC012", "keywords=alpha,beta,gamma", "keywords=gamma,alpha,beta"),
        ("PC013", "| region | eu |\n| level | info |", "| level | info |\n| region | eu |"),
        ("PC013", "Limits = {'a': 1, 'b': [2, 3], 'c': 4}", "Limits = {'c': 4, 'b': [2, 3], 'a': 1}"),
        (None, "Always be brief.", "Always be thorough."),
    ],
)
def test_the_changed_value_tells_the_cause(code: str | None, before: str, after: str, place: str) -> None:
    assert text_cause(place.format(value=before, rules=RULES), place.format(value=after, rules=RULES)) == code


def test_texts_that_look_alike_are_the_same_but_for_bytes() -> None:
    assert is_same_but_for_bytes("one  two\r\n", "one two\n")
    assert not is_same_but_for_bytes("one two", "one too")
