from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentcache.errors import SettingsError
from agentcache.lint.codes import CODES
from agentcache.lint.selection import Selection, codes_of

ALWAYS = {"PC000"}


def test_without_a_word_every_rule_holds() -> None:
    assert Selection().codes() == set(CODES)


def test_a_code_a_name_and_the_beginning_of_codes_select() -> None:
    assert Selection(select=("PC051",)).codes() == {"PC051", *ALWAYS}
    assert Selection(select=("clock-in-prefix",)).codes() == {"PC001", *ALWAYS}
    assert Selection(select=("PC06",)).codes() == {"PC060", *ALWAYS}
    assert Selection(select=("PC10",)).codes() == {"PC100", "PC101", "PC102", *ALWAYS}


def test_the_more_exact_selector_holds() -> None:
    assert "PC001" in Selection(select=("PC001",), ignore=("PC0",)).codes()
    assert "PC001" not in Selection(select=("PC0",), ignore=("PC001",)).codes()
    assert Selection(select=("PC0",), ignore=("ALL",)).codes() >= {"PC001", "PC060"}


def test_of_two_equally_exact_selectors_the_ignoring_one_holds() -> None:
    assert Selection(select=("PC001",), ignore=("clock-in-prefix",)).codes() == ALWAYS


def test_extending_adds_to_what_is_selected() -> None:
    assert Selection(select=("PC001",), extend_select=("PC051",)).codes() == {"PC001", "PC051", *ALWAYS}


def test_a_pattern_of_paths_ignores_there_only() -> None:
    selection = Selection(per_file_ignores={"shared/*.j2": ("PC001", "PC05")})

    assert "PC001" in selection.codes("other/static.j2")
    assert selection.codes("shared/static.j2") == set(CODES) - {"PC001"} - codes_of("PC05", source="")


def test_a_file_that_cannot_be_read_is_told_whatever_is_selected() -> None:
    assert "PC000" in Selection(select=("PC001",), ignore=("PC000",), per_file_ignores={"*": ("ALL",)}).codes("a.j2")


@pytest.mark.parametrize(
    ("selector", "hint"),
    [
        ("clock-in-prefx", "did you mean 'clock-in-prefix'"),
        ("pc001", "did you mean 'PC001'"),
        ("PC9", "no rule is called 'PC9'"),
        ("E501", "`agentcache rules` lists them"),
        ("", "`agentcache rules` lists them"),
        ("all", "did you mean 'ALL'"),
    ],
)
def test_a_selector_that_means_nothing_is_an_error_with_its_source(selector: str, hint: str) -> None:
    with pytest.raises(SettingsError, match="the settings of x: no rule is called") as caught:
        Selection(select=(selector,), source="the settings of x")
    assert hint in str(caught.value)


def test_an_unknown_selector_of_a_pattern_names_the_pattern() -> None:
    with pytest.raises(SettingsError, match=r"per-file-ignores of 'a/\*': no rule is called 'X1'"):
        Selection(per_file_ignores={"a/*": ("X1",)})


selectors = st.sampled_from([*CODES, "ALL", "PC", "PC0", "PC01", "PC1", *(item.name for item in CODES.values())])


@given(st.lists(selectors, max_size=4), st.lists(selectors, max_size=4))
def test_what_is_ignored_by_code_and_selected_less_exactly_never_holds(chosen: list[str], ignored: list[str]) -> None:
    held = Selection(select=tuple(chosen), ignore=tuple(ignored)).codes()

    exactly = {code for word in ignored if len(codes := codes_of(word, source="")) == 1 for code in codes}
    assert held & exactly <= ALWAYS
    assert held <= {code for word in chosen for code in codes_of(word, source="")} | ALWAYS


def test_selectors_stand_in_any_order() -> None:
    assert Selection(select=("PC0", "PC001")).codes() == Selection(select=("PC001", "PC0")).codes()
