"""What only two renders show is blamed on the variable that it comes from."""

from __future__ import annotations

import pytest

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
