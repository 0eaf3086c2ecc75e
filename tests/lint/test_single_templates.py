"""Templates that stand alone: no directory says of which layer they are, and some are inside other files."""

from __future__ import annotations

from pathlib import Path

import pytest

from agentcache.lint.finding import Finding
from agentcache.lint.linting import lint
from agentcache.lint.reading import read_agents

TEMPLATES = Path(__file__).parents[3] / "shared" / "traces" / "templates"


def findings(folder: Path, name: str, text: str) -> tuple[Finding, ...]:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return lint(read_agents([path]))


def test_what_a_template_asks_for_anew_is_wrong_in_every_layer(tmp_path: Path) -> None:
    (finding,) = findings(tmp_path, "prompt.j2", "You are Quill.\nIt is {{ now() }}.\n")

    assert (finding.code, finding.place.line) == ("PC001", 2)


def test_whose_a_variable_is_says_nothing_where_nobody_declares_it(tmp_path: Path) -> None:
    assert findings(tmp_path, "prompt.j2", "In {{ working_dir }} on {{ git_branch }} for {{ user_name }}\n") == ()


def test_it_does_where_the_name_of_the_file_says_the_layer(tmp_path: Path) -> None:
    codes = {finding.code for finding in findings(tmp_path, "static.j2", "In {{ working_dir }} for {{ user_name }}\n")}

    assert codes & {"PC004", "PC006"}


@pytest.mark.parametrize("name", ["agent.yaml", "agent.yml", "prompt.md", "prompt.txt", "prompt.jinja"])
def test_jinja_in_other_files_is_found_at_its_line(tmp_path: Path, name: str) -> None:
    (finding,) = findings(tmp_path, name, "agent:\n  system: |\n    Request {{ uuid4() }}\n")

    assert (finding.code, finding.place.line) == ("PC003", 3)


def test_fields_of_another_engine_are_told_of_once(tmp_path: Path) -> None:
    (finding,) = findings(tmp_path, "en.json", '{\n "task": "Do {input} and {context}",\n "more": "{input}"\n}\n')

    assert (finding.code, finding.place.line) == ("PC000", 2)
    assert "str.format" in finding.message


def test_a_plain_text_is_a_prompt_without_variables(tmp_path: Path) -> None:
    assert findings(tmp_path, "prompt.md", "You are Quill.\n") == ()


@pytest.mark.skipif(not TEMPLATES.exists(), reason="the templates of other people are not here")
def test_other_peoples_templates_parse_or_give_one_finding_about_that() -> None:
    files = [path for path in TEMPLATES.rglob("*") if path.is_file() and path.parent != TEMPLATES]
    templates = sorted(path for path in files if "licences" not in path.parts)

    unread = {}
    for path in templates:
        found = [finding for finding in lint(read_agents([path])) if finding.code == "PC000"]
        assert len(found) <= 1, path
        if found:
            unread[path.name] = found[0].message

    assert len(templates) == 118
    assert all("holds no Jinja" in message for message in unread.values())
    assert len(unread) == 4
