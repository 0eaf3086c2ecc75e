from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from agentcache.errors import TargetError, TemplateError
from agentcache.prompt.rendering import Renderer
from agentcache.prompt.sections import Prompt, Stability
from agentcache.prompt.variables import check_variables

REPOSITORY = Path(__file__).parents[2]


def write(root: Path, **texts: str) -> Path:
    """Write files; `__` in a keyword stands for a directory, `.j2` is added."""
    for name, text in texts.items():
        path = root / f"{name.replace('__', '/')}.j2"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode())
    return root


def rendered(prompt: Prompt, stability: Stability, **variables: object) -> list[str]:
    return [section.text for section in Renderer(prompt).render(stability, variables)]


def test_file_names_say_layer_and_section(tmp_path: Path) -> None:
    root = write(tmp_path / "support", turn="now", session_who="you", static="rules", semi_static_news="news")
    prompt = Prompt.from_dir(root)
    assert [(section.stability, section.name, section.template) for section in prompt.sections] == [
        ("static", "static", "rules"),
        ("semi_static", "semi_static_news", "news"),
        ("session", "session_who", "you"),
        ("turn", "turn", "now"),
    ]
    assert prompt.sections[0].source == f"{root.as_posix()}/static.j2"


def test_sections_of_a_layer_stand_in_the_order_in_which_people_count(tmp_path: Path) -> None:
    names = ["static", "static_2_tone", "static_10_rules", "static_a", "static_b2", "static_b10"]
    root = write(tmp_path, **dict.fromkeys(reversed(names), "text"))
    assert [section.name for section in Prompt.from_dir(str(root)).sections] == names


def test_other_templates_of_the_directory_and_of_shared_may_be_included(tmp_path: Path) -> None:
    root = write(
        tmp_path / "support",
        static="{% extends 'frame.j2' %}{% block body %}{% include 'parts/deep/tone.j2' %}{% endblock %}",
        session="{% from 'shared/house/macros.j2' import rule %}{{ rule('Be kind') }}",
        frame="<{% block body %}{% endblock %}>",
        parts__deep__tone="Dry.",
    )
    write(tmp_path / "shared", house__macros="{% macro rule(text) %}Rule: {{ text }}{% endmacro %}")
    prompt = Prompt.from_dir(root)
    assert sorted(prompt.includes) == ["frame.j2", "parts/deep/tone.j2", "shared/house/macros.j2"]
    assert check_variables(prompt, static=(), semi_static=())[Stability.SESSION] == frozenset()
    assert rendered(prompt, Stability.STATIC) == ["<Dry.>"]
    assert rendered(prompt, Stability.SESSION) == ["Rule: Be kind"]


def test_shared_templates_are_found_from_a_relative_directory_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = write(tmp_path / "support", static="{% include 'shared/tone.j2' %}")
    write(tmp_path / "shared", tone="Dry.")
    monkeypatch.chdir(root)
    prompt = Prompt.from_dir(".")
    assert rendered(prompt, Stability.STATIC) == ["Dry."]
    assert prompt.sections[0].source == "static.j2"


def test_teams_share_templates_beside_their_own_directory_too(tmp_path: Path) -> None:
    root = write(tmp_path / "team" / "planner", static="{% include 'shared/tone.j2' %} {% include 'shared/rules.j2' %}")
    write(tmp_path / "shared", tone="Far tone.", rules="Far rules.")
    write(tmp_path / "team" / "shared", tone="Near tone.")
    (section,) = Renderer(Prompt.from_dir(root)).render(Stability.STATIC, {})
    assert section.text == "Near tone. Far rules."


def test_a_template_of_the_directory_hides_a_shared_one(tmp_path: Path) -> None:
    root = write(tmp_path / "support", static="{% include 'shared/tone.j2' %}", shared__tone="Own.")
    write(tmp_path / "shared", tone="Shared.")
    assert rendered(Prompt.from_dir(root), Stability.STATIC) == ["Own."]


def test_line_ends_and_byte_order_marks_of_editors_change_nothing(tmp_path: Path) -> None:
    unix = Prompt.from_dir(write(tmp_path / "unix", static="Café\n{% if true %}\nyes\n{% endif %}\n"))
    windows = Prompt.from_dir(
        write(tmp_path / "windows", static="\ufeffCafe\u0301 \r\n{% if true %}\r\nyes\r\n{% endif %}\r\n")
    )
    assert rendered(windows, Stability.STATIC) == rendered(unix, Stability.STATIC) == ["Café\nyes"]


def test_symbolic_links_are_read_like_what_they_lead_to(tmp_path: Path) -> None:
    outside = write(tmp_path / "outside", rules="Be kind.", tone="Dry.")
    root = write(tmp_path / "support", session="{% include 'parts/tone.j2' %}")
    (root / "static.j2").symlink_to(outside / "rules.j2")
    (root / "parts").symlink_to(outside)
    (outside / "back").symlink_to(root)
    prompt = Prompt.from_dir(root)
    assert rendered(prompt, Stability.STATIC) == ["Be kind."]
    assert rendered(prompt, Stability.SESSION) == ["Dry."]


def test_hidden_files_are_left_out(tmp_path: Path) -> None:
    root = write(tmp_path, static="rules")
    (root / ".#static.j2").symlink_to("someone@somewhere")  # as an editor locks a file
    write(root / ".git", old="{% if")
    assert len(Prompt.from_dir(root).sections) == 1
    assert Prompt.from_dir(root).includes == {}


# agent.toml

AGENT = """
model = "claude-sonnet-5"
[variables.static]
company = "Acme"
[variables.session]
customer = { name = "Ana", tags = ["b", "a"] }
since = 2026-11-22
[variables.turn]
[types]
tags = "set"
[environment]
globals = ["now"]
"""


def test_agent_toml_declares_variables_with_examples(tmp_path: Path) -> None:
    root = write(tmp_path, session="{{ customer.name }} {{ since }}")
    (root / "agent.toml").write_text(AGENT, encoding="utf-8")
    prompt = Prompt.from_dir(root)
    assert prompt.declared[Stability.STATIC] == {"company"}
    assert prompt.declared[Stability.SESSION] == {"customer", "since"}
    assert prompt.declared[Stability.TURN] == prompt.declared[Stability.SEMI_STATIC] == frozenset()
    assert rendered(prompt, Stability.SESSION, **prompt.examples[Stability.SESSION]) == ["Ana 2026-11-22"]


def test_an_agent_toml_without_variables_declares_none(tmp_path: Path) -> None:
    root = write(tmp_path, static="rules")
    (root / "agent.toml").write_text('model = "claude-sonnet-5"', encoding="utf-8")
    assert Prompt.from_dir(root) == Prompt.from_dir(write(tmp_path, static="rules"))
    assert set(Prompt.from_dir(root).declared.values()) == {frozenset()}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("model = ", "is no TOML: "),
        ("variables = 3", "`variables` is a int; write tables"),
        (
            "[variables.sesion]\na = 1",
            "[variables.sesion] names no layer; the layers are static, semi_static, session, turn",
        ),
        ("[variables]\nsession = 3", "variables.session is a int; write a table [variables.session]"),
        ("[variables.turn]\nshare = nan", "[variables.turn]: `share` is nan"),
    ],
)
def test_an_agent_toml_that_cannot_be_used_is_named(tmp_path: Path, text: str, problem: str) -> None:
    root = write(tmp_path, static="rules")
    (root / "agent.toml").write_text(text, encoding="utf-8")
    with pytest.raises(TargetError) as caught:
        Prompt.from_dir(root)
    assert str(root / "agent.toml") in str(caught.value)
    assert problem in str(caught.value)


# What cannot be read


def test_a_directory_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(TargetError, match=r"prompt directory .*nowhere does not exist"):
        Prompt.from_dir(tmp_path / "nowhere")
    with pytest.raises(TargetError, match=r"prompt directory .*static\.j2 is no directory"):
        Prompt.from_dir(write(tmp_path, static="rules") / "static.j2")


def test_a_directory_without_sections_is_refused(tmp_path: Path) -> None:
    write(tmp_path, parts__static="rules")
    with pytest.raises(TargetError, match=r"holds no section; name its templates static\.j2"):
        Prompt.from_dir(tmp_path)


def test_a_template_whose_name_is_mistyped_is_refused(tmp_path: Path) -> None:
    root = write(tmp_path, static="rules", sesion="{{ customer }}")
    with pytest.raises(
        TargetError, match=r"sesion\.j2 is no section, since its name begins with none of static, semi_st"
    ):
        Prompt.from_dir(root)
    write(root, static="{% include 'sesion.j2' %}")
    assert "sesion.j2" in Prompt.from_dir(root).includes


def test_a_template_with_another_suffix_is_refused(tmp_path: Path) -> None:
    root = write(tmp_path, static="rules")
    (root / "session.jinja").write_text("who", encoding="utf-8")
    with pytest.raises(TargetError, match=r"session\.jinja would be passed over; .* end in \.j2"):
        Prompt.from_dir(root)


def test_a_template_that_is_no_utf_8_is_named(tmp_path: Path) -> None:
    path = write(tmp_path, static="rules") / "session.j2"
    path.write_bytes("Caf\xe9".encode("latin-1"))
    with pytest.raises(TemplateError, match=r"session\.j2 is no UTF-8 text \(byte 3\); save it as UTF-8") as caught:
        Prompt.from_dir(tmp_path)
    assert caught.value.template == path.as_posix()


def test_a_link_that_leads_nowhere_is_named(tmp_path: Path) -> None:
    (write(tmp_path, static="rules") / "session.j2").symlink_to(tmp_path / "gone.j2")
    with pytest.raises(TargetError, match=r"cannot read .*session\.j2: No such file"):
        Prompt.from_dir(tmp_path)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
@pytest.mark.parametrize("name", ["static.j2", "parts"])
def test_what_may_not_be_read_is_named(tmp_path: Path, name: str) -> None:
    path = write(tmp_path, static="rules", parts__tone="Dry.") / name
    mode = path.stat().st_mode
    path.chmod(0)
    try:
        with pytest.raises(TargetError, match=f"cannot read .*{name}: Permission denied"):
            Prompt.from_dir(tmp_path)
    finally:
        path.chmod(mode)


# Real directories


def corpus() -> Path:
    shared = Path(os.environ.get("AGENTCACHE_SHARED", REPOSITORY.parent / "shared")) / "lint-corpus" / "dev"
    if not shared.is_dir() and "CI" not in os.environ:
        pytest.skip("the corpus of labelled prompt directories is not on this machine")
    return shared


def test_every_clean_directory_of_the_corpus_can_be_declared_and_rendered() -> None:
    directories = sorted(path for path in corpus().iterdir() if path.name.startswith("clean-"))
    for directory in directories:
        prompt = Prompt.from_dir(directory)
        static, semi_static = prompt.declared[Stability.STATIC], prompt.declared[Stability.SEMI_STATIC]
        check_variables(prompt, static=static, semi_static=semi_static)
        examples: dict[str, object] = {}
        for stability in Stability:
            examples.update(prompt.examples[stability])
            assert len(rendered(prompt, stability, **examples)) <= len(prompt.layer(stability))
    assert len(directories) > 20


@pytest.mark.parametrize("code", ["pc004", "pc005", "pc010", "pc060"])
def test_a_variable_in_too_stable_a_layer_is_found_where_the_corpus_says(code: str) -> None:
    directories = sorted(path for path in corpus().iterdir() if path.name.startswith(code))
    assert directories
    for directory in directories:
        prompt = Prompt.from_dir(directory)
        static, semi_static = prompt.declared[Stability.STATIC], prompt.declared[Stability.SEMI_STATIC]
        with pytest.raises(TemplateError) as caught:
            check_variables(prompt, static=static, semi_static=semi_static)
        labelled = json.loads((directory / "expected.json").read_text(encoding="utf-8"))["lines"]
        assert caught.value.line in labelled[Path(str(caught.value.template)).name]
