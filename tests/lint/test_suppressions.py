from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentcache.lint.finding import Finding, Place
from agentcache.lint.suppressions import ignores_in, judge
from tests.lint.findings import finding

PATH = "p/static.j2"


def judged(text: str, *findings: Finding, path: str = PATH, codes: set[str] | None = None) -> list[tuple[str, int]]:
    """Return code and line of what is left."""
    left = judge(findings, {path: text}, {} if codes is None else {path: codes}).findings
    return [(item.code, item.place.line or 0) for item in left]


def after_fixing(text: str, *findings: Finding) -> str:
    """Return the text with the fix of the only finding that is left."""
    [left] = judge(findings, {PATH: text}, {}).findings
    for edit in sorted(left.edits.edits, key=lambda edit: -edit.start):
        text = text[: edit.start] + edit.text + text[edit.end :]
    return text


def test_a_comment_in_the_same_line_ignores() -> None:
    assert judged("{{ now() }} {# agentcache: ignore PC001 shown to nobody #}", finding(line=1)) == []


def test_a_comment_alone_ignores_in_the_line_below() -> None:
    assert judged("{# agentcache: ignore PC001 shown to nobody #}\n{{ now() }}\n", finding(line=2)) == []


def test_a_comment_behind_text_does_not_reach_the_line_below() -> None:
    text = "Words. {# agentcache: ignore PC001 shown to nobody #}\n{{ now() }}\n"
    assert judged(text, finding(line=2)) == [("PC001", 2), ("PC100", 1)]


def test_comments_one_below_the_other_hold_for_the_same_line() -> None:
    text = "{# agentcache: ignore PC001 why #}\n{# agentcache: ignore PC002 why #}\n{{ now() }}\n"
    assert judged(text, finding("PC001", line=3), finding("PC002", line=3)) == []


def test_several_codes_and_names() -> None:
    text = "{#- agentcache: ignore PC001, date-in-prefix PC003: a test page -#}{{ x }}"
    assert judged(text, finding("PC001"), finding("PC002"), finding("PC003"), finding("PC004")) == [("PC004", 1)]


def test_a_comment_over_several_lines_ignores_in_the_line_below() -> None:
    assert judged("{# agentcache: ignore PC001\n   shown to nobody #}\n{{ now() }}\n", finding(line=3)) == []


def test_a_comment_where_the_value_comes_from_ignores_it_where_it_is_printed() -> None:
    text = "{% set at = now() %} {# agentcache: ignore PC001 shown to nobody #}\n\nIt is {{ at }}.\n"
    assert judged(text, finding(line=3, also=(Place(path=PATH, line=1),))) == []


def test_the_first_line_ignores_what_is_found_in_the_whole_file() -> None:
    assert judged("{# agentcache: ignore PC048 grows next week #}\nShort.\n", finding("PC048", line=None)) == []


def test_line_ends_of_all_kinds_count() -> None:
    assert judged("A\r\nB\r{# agentcache: ignore PC001 why #}\r\n{{ now() }}\n", finding(line=4)) == []


def test_a_missing_reason_is_a_finding_and_ignores_nothing() -> None:
    assert judged("{# agentcache: ignore PC001 #}{{ now() }}", finding()) == [("PC001", 1), ("PC101", 1)]
    assert judged("{# agentcache: ignore PC001 - #}{{ now() }}", finding()) == [("PC001", 1), ("PC101", 1)]


def test_a_comment_without_a_code_is_a_finding() -> None:
    assert judged("{# agentcache: ignore the date is meant #}") == [("PC102", 1)]


def test_a_code_that_does_not_exist_is_a_finding() -> None:
    assert judged("{# agentcache: ignore PC001 PC999 why #}{{ now() }}", finding()) == [("PC102", 1)]


def test_an_unused_comment_is_a_finding_whose_fix_takes_its_line_out() -> None:
    text = "A\n  {# agentcache: ignore PC001 why #}  \nB\n"
    assert judged(text) == [("PC100", 2)]
    assert after_fixing(text) == "A\nB\n"


def test_an_unused_comment_behind_text_goes_alone() -> None:
    assert after_fixing("A {# agentcache: ignore PC001 why #}\nB\n") == "A \nB\n"


def test_an_unused_code_among_used_ones_goes_alone() -> None:
    text = "{# agentcache: ignore PC001, PC002 why #}{{ now() }}"
    assert after_fixing(text, finding("PC002")) == "{# agentcache: ignore PC002 why #}{{ now() }}"
    assert after_fixing(text, finding("PC001")) == "{# agentcache: ignore PC001, why #}{{ now() }}"


def test_taking_out_a_comment_that_trims_blanks_is_not_safe() -> None:
    [trims] = judge([], {PATH: "a\n{#- agentcache: ignore PC001 why #}\nb"}, {}).findings
    [plain] = judge([], {PATH: "a\n{# agentcache: ignore PC001 why #}\nb"}, {}).findings
    assert (trims.edits.safe, plain.edits.safe) == (False, True)


def test_a_comment_for_a_rule_that_is_not_looked_for_is_not_unused() -> None:
    assert judged("{# agentcache: ignore PC001 why #}", codes={"PC002", "PC100"}) == []


def test_findings_about_comments_can_be_left_out() -> None:
    assert judged("{# agentcache: ignore PC001 #}", codes={"PC001"}) == []


def test_what_a_template_shows_as_it_is_written_is_no_comment() -> None:
    assert judged("{% raw %}{# agentcache: ignore PC001 #}{% endraw %}") == []


def test_other_comments_are_left_alone() -> None:
    assert judged("{# agentcache: see the docs #}{# ignore PC001 #}{{ now() }}", finding()) == [("PC001", 1)]


def test_in_python_it_is_a_comment_of_python() -> None:
    text = "agent = Agent(\n    # agentcache: ignore PC001 shown to nobody\n    prompt=...,\n)\n"
    assert judged(text, finding(path="a.py", line=3), path="a.py") == []
    assert judged("x = '{# agentcache: ignore PC001 #}'\n", path="a.py") == []


@pytest.mark.parametrize("path", ["p/tools.json", "p/agent.toml"])
def test_json_and_toml_have_no_such_comments(path: str) -> None:
    assert judged("# agentcache: ignore PC001\n{# agentcache: ignore PC001 #}", path=path) == []


def test_findings_in_other_files_stay() -> None:
    assert judged("{# agentcache: ignore PC001 why #}{{ now() }}", finding(), finding(path="q.j2")) == [("PC001", 1)]


PIECES = ["{# agentcache: ignore", " PC001", " PC002,", " why", " #}", "\n", "\r\n", "{{ x }}", "{% raw %}", "-#}"]


@given(st.lists(st.sampled_from(PIECES), max_size=12).map("".join))
def test_any_text_is_read_and_the_fix_takes_only_comments_away(text: str) -> None:
    for item in ignores_in(PATH, text):
        assert text[item.start :].startswith("{#")
        assert text[: item.end].endswith("#}")
    for trouble in judge([], {PATH: text}, {}).findings:
        if trouble.edits is not None:
            edit = trouble.edits.edits[0]
            assert text[edit.start : edit.end].strip().startswith("{#") or "PC" in text[edit.start : edit.end]
