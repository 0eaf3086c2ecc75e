"""What only two renders show is blamed on the variable that it comes from."""

from __future__ import annotations

from dataclasses import replace

import pytest

from agentcache.lint.agent_sources import Offered
from agentcache.lint.linting import lint
from agentcache.prompt.canonical import JsonValue
from tests.lint.fixes.mending import agent


@pytest.mark.parametrize(
    ("loop", "code", "sorted_"),
    [
        ("limits", "PC013", "{{ tags|sort|join(', ') }}"),
        ("limits.items()", "PC013", "{{ tags|sort|join(', ') }}"),
        ("tags", "PC012", "{{ limits|dictsort }}"),
    ],
)
def test_one_value_without_an_order_is_not_blamed_for_another(loop: str, code: str, sorted_: str) -> None:
    static = f"Rules:\n{{% for each in {loop} %}}\n- {{{{ each }}}}\n{{% endfor %}}\n\n{sorted_}\n"
    variables: dict[str, dict[str, JsonValue]] = {"static": {"tags": ["b", "a"], "limits": {"y": 1, "x": 2}}}
    sources = agent({"static": static}, variables, {"tags": "set", "limits": "dict:unordered"})

    found = [(finding.code, finding.place.line) for finding in lint([sources]) if finding.code != "PC048"]

    assert found == [(code, 2)]


@pytest.mark.parametrize(
    "shown",
    [
        "{% for found in retrieve(question) %}\n- {{ found.text }}\n  by {{ found.author }}\n{% endfor %}\n",
        "{% if retrieve(question) %}\nThere is something.\n\nRead it.\n{% endif %}\n",
    ],
)
def test_what_stands_in_a_loop_or_condition_belongs_to_it(shown: str) -> None:
    sources = replace(
        agent({"static": f"Background:\n{shown}"}, {"turn": {"question": "How long?"}}),
        offered=Offered(globals=frozenset({"retrieve"})),
    )

    found = [(finding.code, finding.place.line) for finding in lint([sources]) if finding.code != "PC048"]

    assert found == [("PC009", 2)]


def test_what_stands_behind_a_loop_does_not_belong_to_it() -> None:
    static = "{% for found in retrieve(question) %}\n- {{ found }}\n{% endfor %}\n{% weather question %}\n"
    sources = replace(
        agent({"static": static}, {"turn": {"question": "How long?"}}),
        offered=Offered(globals=frozenset({"retrieve"})),
    )

    assert 4 in [finding.place.line for finding in lint([sources])]
