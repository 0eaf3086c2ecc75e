"""Where `sort` and `dictsort` go."""

from __future__ import annotations

import pytest

from agentcache.prompt.canonical import JsonValue
from tests.lint.fixes.mending import agent, at, mend

VARIABLES: dict[str, dict[str, JsonValue]] = {
    "static": {"tags": ["b", "a"], "more": ["c"], "limits": {"b": 1, "a": 2}, "listed": ["z"]}
}
TYPES = {"tags": "set", "more": "frozenset", "limits": "dict:unordered"}


@pytest.mark.parametrize(
    ("written", "mended"),
    [
        ('{{ tags|join(", ") }}', '{{ tags|sort|join(", ") }}'),
        ('{{ tags | join(", ") }}', '{{ tags|sort | join(", ") }}'),
        ('{{ tags|map("title")|unique|join }}', '{{ tags|map("title")|unique|sort|join }}'),
        ('{{ (tags - more)|list|join(" ") }}', '{{ (tags - more)|list|sort|join(" ") }}'),
        ('{{ ", ".join(tags) }}', '{{ ", ".join(tags|sort) }}'),
        ("{{ tags }}", "{{ tags|sort }}"),
        ("{{- tags - more -}}", "{{- (tags - more)|sort -}}"),
        ("{{ tags.union(more) }}", "{{ tags.union(more)|sort }}"),
        ("{% for tag in tags %}{{ tag }}{% endfor %}", "{% for tag in tags|sort %}{{ tag }}{% endfor %}"),
        ("{% for t in tags if t %}{{ t }}{% endfor %}", "{% for t in tags|sort if t %}{{ t }}{% endfor %}"),
        ("{% for t in tags - more %}{{ t }}{% endfor %}", "{% for t in (tags - more)|sort %}{{ t }}{% endfor %}"),
        ("{% set all = tags|list %}", "{% set all = tags|list|sort %}"),
    ],
)
def test_a_set_is_sorted_where_it_is_joined_looped_over_or_shown(written: str, mended: str) -> None:
    assert mend(at("PC012", 1), agent({"static": written}, VARIABLES, TYPES)) == {"static.j2": mended}


@pytest.mark.parametrize(
    ("written", "mended"),
    [
        ("{% for k, v in limits.items() %}{% endfor %}", "{% for k, v in limits|dictsort %}{% endfor %}"),
        ("{% for k, v in limits|items %}{% endfor %}", "{% for k, v in limits|dictsort %}{% endfor %}"),
        ("{% for k in limits %}{{ k }}{% endfor %}", "{% for k in limits|sort %}{{ k }}{% endfor %}"),
        ("{% for k in limits.keys() %}{% endfor %}", "{% for k in limits.keys()|sort %}{% endfor %}"),
        ('{{ limits.values()|join(", ") }}', '{{ limits|dictsort|map(attribute=1)|join(", ") }}'),
        ('{{ limits|join(", ") }}', '{{ limits|sort|join(", ") }}'),
        ("{{ limits }}", "{{ limits|dictsort }}"),
    ],
)
def test_a_dictionary_is_sorted_by_its_keys(written: str, mended: str) -> None:
    assert mend(at("PC013", 1), agent({"static": written}, VARIABLES, TYPES)) == {"static.j2": mended}


@pytest.mark.parametrize(
    "written",
    [
        '{{ "Tags: " ~ tags }}',  # the filter would bind to one side of `~` only
        "{{ tags if listed else more }}",
        '{{ tags|join(", ") ~ more|join(", ") }}',
        "{{ tags }} and {{ more }}",
        "{{ tags|map(attribute=join)|list }}",
        "{{ tags.join }}",
        "{% set all %}{{ tags|join }}{{ more|join }}{% endset %}",
        "{% if tags|join %}yes{% endif %}",
    ],
)
def test_where_it_is_not_plain_which_expression_is_meant_nothing_is_changed(written: str) -> None:
    assert mend(at("PC012", 1), agent({"static": written}, VARIABLES, TYPES)) == {}


@pytest.mark.parametrize(
    "written",
    [
        "{{ limits.items()|list ~ limits.keys()|list }}",
        "{{ limits|tojson }}",
        "{{ limits.items }} {{ limits }}",
    ],
)
def test_where_a_dictionary_is_shown_twice_or_as_json_nothing_is_changed(written: str) -> None:
    assert mend(at("PC013", 1), agent({"static": written}, VARIABLES, TYPES)) == {}


def test_a_method_that_is_not_called_is_no_view_of_a_dictionary() -> None:
    sources = agent({"static": "{% for k in limits if limits.items %}{% endfor %}"}, VARIABLES, TYPES)

    assert mend(at("PC013", 1), sources) == {"static.j2": "{% for k in limits|sort if limits.items %}{% endfor %}"}


def test_a_file_that_is_not_there_is_not_mended() -> None:
    assert mend(at("PC012", 1, file="gone.j2"), agent({"static": "{{ tags }}"}, VARIABLES, TYPES)) == {}


def test_of_several_prints_on_a_line_the_one_with_the_set_is_meant() -> None:
    sources = agent({"static": '{{ listed|join(", ") }}: {{ tags|join(", ") }}'}, VARIABLES, TYPES)

    assert mend(at("PC012", 1), sources) == {"static.j2": '{{ listed|join(", ") }}: {{ tags|sort|join(", ") }}'}


def test_names_that_differ_by_case_only_are_told_apart() -> None:
    sources = agent({"static": "{{ tags|join }}"}, {"static": {"tags": ["A", "a"]}}, TYPES)

    assert mend(at("PC012", 1), sources) == {"static.j2": "{{ tags|sort(case_sensitive=true)|join }}"}


@pytest.mark.parametrize("values", [["a", 1], None])
def test_a_set_that_may_not_be_sortable_is_sorted_on_demand_only(values: list[JsonValue] | None) -> None:
    sources = agent({"static": "{{ tags|join }}"}, {"static": {"tags": values}}, TYPES)

    assert mend(at("PC012", 1), sources) == {}
    assert mend(at("PC012", 1), sources, unsafe=True) == {"static.j2": "{{ tags|sort|join }}"}


def test_picking_one_of_a_set_picks_another_when_it_is_sorted() -> None:
    sources = agent({"static": "{% for t in tags|list|batch(2) %}{{ t }}{% endfor %}"}, VARIABLES, TYPES)

    assert mend(at("PC012", 1), sources) == {}
