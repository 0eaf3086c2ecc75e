"""`--emulate [SCRIPT]`: what follows it is its value only when it reads as a script."""

from __future__ import annotations

import pytest

from agentcache.cli.optional_script import with_value


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("x.py:y dir --emulate", "x.py:y dir --emulate="),
        ("x.py:y dir --emulate --db URL --json", "x.py:y dir --emulate= --db URL --json"),
        ("--emulate x.py:y ../dir", "--emulate=x.py:y ../dir"),
        ("x.py:y --emulate ../dir", "x.py:y --emulate= ../dir"),
        ("x.py:y --emulate replies.py:calm ../dir", "x.py:y --emulate=replies.py:calm ../dir"),
        ("x.py:y --emulate some/where/replies.py:calm", "x.py:y --emulate=some/where/replies.py:calm"),
        ("x.py:y --emulate tests.replies:calm", "x.py:y --emulate=tests.replies:calm"),
        ("x.py:y --emulate= a:b", "x.py:y --emulate= a:b"),
        ("x.py:y --emulate=r:s a:b", "x.py:y --emulate=r:s a:b"),
        ("x.py:y --emulate http://host:port/path", "x.py:y --emulate= http://host:port/path"),
        ("x.py:y -- --emulate a:b", "x.py:y -- --emulate a:b"),
        ("x.py:y dir", "x.py:y dir"),
    ],
)
def test_a_bare_option_takes_only_a_script(words: str, expected: str) -> None:
    assert with_value(words.split()) == expected.split()


def test_a_sentence_is_no_script() -> None:
    assert with_value(["x:y", "--emulate", "note: call back"]) == ["x:y", "--emulate=", "note: call back"]
