from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentcache.errors import SettingsError
from agentcache.lint.baseline import Baseline, Entry, baseline_of, read_baseline, unknown
from tests.lint.findings import finding

PATH = "p/static.j2"
BEFORE = {PATH: "It is {{ now() }}.\nBe kind.\n"}


def baseline(*lines: int, texts: dict[str, str] = BEFORE) -> Baseline:
    return baseline_of([finding(line=line) for line in lines], texts, {})


def test_what_is_known_is_left_out() -> None:
    assert unknown([finding(line=1)], baseline(1), BEFORE, {}) == ()


def test_lines_may_shift_and_be_indented() -> None:
    after = {PATH: "Words.\n\n  It is {{ now() }}.\nBe kind.\n"}
    assert unknown([finding(line=3)], baseline(1), after, {}) == ()


def test_another_text_another_code_and_another_file_are_new() -> None:
    after = {PATH: "Now it is {{ now() }}.\n", "q.j2": "It is {{ now() }}.\n"}
    new = [finding(line=1), finding("PC002", line=1), finding(path="q.j2", line=1)]
    assert unknown(new, baseline(1), after, {}) == tuple(new)


def test_a_second_copy_of_a_known_line_is_new() -> None:
    after = {PATH: "It is {{ now() }}.\nIt is {{ now() }}.\n"}
    assert unknown([finding(line=1), finding(line=2)], baseline(1), after, {}) == (finding(line=2),)


def test_a_finding_of_the_whole_file_is_known_whatever_the_file_says() -> None:
    known = baseline_of([finding("PC048", line=None)], BEFORE, {})
    assert unknown([finding("PC048", line=None)], known, {PATH: "Other words."}, {}) == ()


def test_paths_are_those_of_the_baselines_folder() -> None:
    known = baseline_of([finding(path="../p/static.j2")], {}, {"../p/static.j2": "p/static.j2"})
    assert [entry.path for entry in known.counts] == ["p/static.j2"]


def test_the_file_has_an_entry_a_line_in_order() -> None:
    found = [finding("PC002", line=2), finding("PC001", line=1), finding("PC001", line=1)]
    text = baseline_of(found, BEFORE, {}).to_json()

    assert [row["code"] for row in json.loads(text)["findings"]] == ["PC001", "PC002"]
    assert [row["count"] for row in json.loads(text)["findings"]] == [2, 1]
    assert [line for line in text.splitlines() if '"code"' in line] == text.splitlines()[3:5]


def test_no_finding_is_a_baseline_too() -> None:
    assert read_baseline(Baseline(counts={}).to_json(), "b.json").counts == {}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        '{"version": 2, "findings": []}',
        '{"version": 1}',
        '{"version": 1, "findings": [{"path": "a", "code": "PC001", "digest": "x", "count": 0}]}',
        '{"version": 1, "findings": [{"path": "a"}]}',
    ],
)
def test_what_is_no_baseline_is_refused_with_a_remedy(text: str) -> None:
    with pytest.raises(SettingsError, match=r"b\.json.*--write-baseline"):
        read_baseline(text, "b.json")


entries = st.builds(Entry, path=st.text(), code=st.sampled_from(["PC001", "PC002"]), digest=st.text("0123abc"))


@given(st.dictionaries(entries, st.integers(1, 9)))
def test_reading_gives_back_what_was_written(counts: dict[Entry, int]) -> None:
    known = Baseline(counts=counts)
    assert read_baseline(known.to_json(), "b.json") == known


@given(st.lists(st.sampled_from(["{{ now() }}", "{{ today }}", "Be kind.", ""]), max_size=6), st.data())
def test_nothing_is_new_right_after_writing_and_every_new_line_is(lines: list[str], data: st.DataObject) -> None:
    texts = {PATH: "\n".join(lines)}
    found = [finding(line=number) for number in range(1, len(lines) + 1)]
    known = baseline_of(found, texts, {})

    assert unknown(found, known, texts, {}) == ()
    at = data.draw(st.integers(0, len(lines)))
    longer = {PATH: "\n".join([*lines[:at], "{{ uuid4() }}", *lines[at:]])}
    again = [finding(line=number) for number in range(1, len(lines) + 2)]
    assert unknown(again, known, longer, {}) == (finding(line=at + 1),)
