"""Literal text, byte forms and stamps: what holds for every text."""

from __future__ import annotations

import unicodedata

from hypothesis import example, given
from hypothesis import strategies as st

from agentcache.lint.agent_sources import AgentSources, LayerFile
from agentcache.lint.byte_forms import ByteForm, byte_faults
from agentcache.lint.linting import lint
from agentcache.lint.literal_text import HOLE, literal_lines, without_jinja
from agentcache.lint.rules import literal_text
from agentcache.lint.stamps import StampKind, stamps_in_lines
from agentcache.prompt.sections import Stability

VISIBLE = st.characters(categories=["L", "N", "P", "S"], exclude_characters="{}\ufffc")
JINJA = st.lists(
    st.sampled_from(
        ["{{", "}}", "{%", "%}", "{#", "#}", "{%- ", " -%}", " raw ", " endraw ", " ", "\n", "\r", "a", "é"]
    )
).map("".join)
RULES = {rule.code: rule for rule in literal_text.RULES}


def findings(text: str):
    file = LayerFile(path="static.j2", name="static.j2", text=text, layer=Stability.STATIC)
    return lint([AgentSources(agent="a", layers=(file,))], RULES)


@given(st.lists(st.lists(st.text(VISIBLE, min_size=1)).map(" ".join)))
def test_composed_text_with_plain_line_ends_and_no_blanks_there_varies_nowhere(lines):
    text = unicodedata.normalize("NFC", "\n".join(line.strip() for line in lines))
    assert [finding for finding in findings(text) if finding.code == "PC014"] == []


@given(st.text(st.sampled_from("ab \t\r\n\u200b\u00a0e\u0301")))
def test_a_fault_points_at_the_characters_that_it_names(text):
    lines = literal_lines(text)
    for fault in byte_faults(lines):
        line = lines[fault.line - 1]
        pointed = (line.text + line.end)[fault.column - 1 : fault.end_column - 1]
        if fault.form is ByteForm.TRAILING:
            assert pointed
            assert not pointed.strip()
            assert line.text.endswith(pointed)
        elif fault.form is ByteForm.LINE_END:
            assert pointed == "\r"
        else:
            assert len(pointed) == 1


@given(JINJA)
@example("{% raw %}{{ a }}{% endraw %}")
def test_what_jinja_replaces_keeps_its_place(text):
    masked = without_jinja(text)
    assert len(masked) == len(text)
    assert all(now in {was, HOLE} for was, now in zip(text, masked, strict=True))
    assert [was for was in text if was in "\r\n"] == [now for now in masked if now in "\r\n"]


@given(JINJA)
def test_lines_put_together_are_the_text(text):
    assert "".join(line.text + line.end for line in literal_lines(text)) == without_jinja(text)


def test_text_of_raw_blocks_is_literal():
    assert without_jinja("{% raw %}{{ a }}{% endraw %}") == HOLE * 9 + "{{ a }}" + HOLE * 12


@given(st.text(st.sampled_from('2026-11:T0Z buildasof#"`\n generatedon'), max_size=80))
def test_a_stamp_points_at_the_words_that_it_quotes(text):
    lines = literal_lines(text)
    for stamp in stamps_in_lines(lines):
        assert lines[stamp.line - 1].text[stamp.column - 1 : stamp.end_column - 1].strip() == stamp.text


@given(
    st.datetimes(), st.sampled_from(["%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%d %H:%M", "%a %b %d %H:%M:%S %Y", "%d %B %Y, %H:%M"])
)
def test_a_clock_of_this_century_is_a_stamp_in_every_format(moment, form):
    written = moment.replace(year=2000 + moment.year % 100).strftime(form)
    (stamp,) = stamps_in_lines(literal_lines(f"Be brief.\nCurrent time: {written}\n"))
    assert (stamp.kind, stamp.line) == (StampKind.NOW, 2)


def test_a_header_of_several_stamps_is_one_finding_and_names_each_line():
    (finding,) = findings("Build: 4411\nCommit: 9fceb02\n\nYou are brief.\n")
    assert (finding.place.line, [place.line for place in finding.also]) == (1, [2])


def test_every_line_with_blanks_at_its_end_belongs_to_one_finding():
    (finding,) = findings("One. \nTwo.\nThree.\t\n")
    assert (finding.place.line, [place.line for place in finding.also]) == (1, [3])
