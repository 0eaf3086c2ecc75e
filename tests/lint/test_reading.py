"""Prompt directories as they are found on disk."""

from __future__ import annotations

import os

import pytest

from agentcache.errors import TargetError
from agentcache.lint.linting import lint
from agentcache.lint.reading import read_agents
from agentcache.prompt.sections import Stability


def write(root, **files) -> None:
    for name, text in files.items():
        path = root / name.replace("__", "/").replace("_j2", ".j2").replace("_toml", ".toml").replace("_json", ".json")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", newline="")


def test_prompt_directories_are_found_below_the_paths(tmp_path):
    write(tmp_path, a__static_j2="A", b__deep__session_j2="B", c__readme_j2="no layer", node_modules__x__static_j2="N")
    assert [agent.agent for agent in read_agents([tmp_path])] == ["a", "deep"]


def test_a_directory_named_twice_is_read_once(tmp_path):
    write(tmp_path, a__static_j2="A")
    assert len(read_agents([tmp_path, tmp_path / "a", str(tmp_path / "a" / ".")])) == 1


def test_layers_stand_in_order_of_stability_and_files_as_people_count(tmp_path):
    write(tmp_path, session_j2="", static_10_j2="", static_2_j2="", semi_static_j2="", turn_j2="")
    (agent,) = read_agents([tmp_path])
    assert [file.name for file in agent.layers] == [
        "static_2.j2",
        "static_10.j2",
        "semi_static.j2",
        "session.j2",
        "turn.j2",
    ]


def test_all_of_an_agent_is_read(tmp_path):
    write(
        tmp_path,
        support__static_j2="{% include 'partials/a.j2' %}\r\n",
        support__partials__a_j2="A",
        support__tools_json="[]",
        support__agent_toml='model = "claude-opus-5"\n[variables.session]\nuser = "x"\n[types]\ntags = "set"\n'
        '[environment]\nglobals = ["now"]\n',
        shared__rules_j2="R",
    )
    (agent,) = read_agents([tmp_path / "support"])
    assert agent.layers[0].text == "{% include 'partials/a.j2' %}\r\n"
    assert set(agent.includes) == {"partials/a.j2", "shared/rules.j2"}
    assert agent.tools.text == "[]"
    assert agent.model == "claude-opus-5"
    assert agent.variables == {Stability.SESSION: {"user": "x"}}
    assert agent.types == {"tags": "set"}
    assert agent.offered.globals == {"now"}
    assert agent.complete


def test_directories_inside_count_when_they_name_a_layer_exactly(tmp_path):
    write(tmp_path, static_j2="A", partials__session_header_j2="P", planner__static_j2="B")
    assert [agent.agent for agent in read_agents([tmp_path])] == [tmp_path.name, "planner"]


def test_without_an_agent_toml_nobody_says_which_variables_there_are(tmp_path):
    write(tmp_path, static_j2="{{ whatever }}")
    (agent,) = read_agents([tmp_path])
    assert not agent.complete
    assert lint([agent]) == ()


def test_a_single_template_is_read_with_the_declaration_of_its_directory(tmp_path):
    write(tmp_path, static_j2="{{ user_name }}", session_j2="", agent_toml='[variables.session]\nuser_name = "x"\n')
    (agent,) = read_agents([tmp_path / "static.j2"])
    assert [file.name for file in agent.layers] == ["static.j2"]
    assert [finding.code for finding in lint([agent])] == ["PC004"]


def test_links_in_a_circle_do_not_hang(tmp_path):
    write(tmp_path, a__static_j2="A")
    os.symlink(tmp_path, tmp_path / "a" / "up")
    os.symlink(tmp_path / "loop", tmp_path / "loop")
    assert [agent.agent for agent in read_agents([tmp_path])] == ["a"]


def test_a_pipe_that_nobody_writes_to_does_not_hang(tmp_path):
    write(tmp_path, static_j2="A")
    os.mkfifo(tmp_path / "session.j2")
    with pytest.raises(TargetError, match=r"session\.j2: it is no file"):
        read_agents([tmp_path])


@pytest.mark.parametrize(
    ("name", "said"), [("missing", "does not exist"), ("notes.bin", "neither a directory nor a template")]
)
def test_a_path_that_is_no_target_says_so(tmp_path, name, said):
    (tmp_path / "notes.bin").write_text("x")
    with pytest.raises(TargetError, match=said):
        read_agents([tmp_path / name])


def test_text_that_is_no_utf8_says_so(tmp_path):
    (tmp_path / "static.j2").write_bytes(b"caf\xe9")
    with pytest.raises(TargetError, match=r"static\.j2 is no UTF-8 text \(byte 3\)"):
        read_agents([tmp_path])
