"""A prompt directory, or a repository to lint, from a stranger: its templates run no code and read no other file."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from agentcache import Agent, Prompt, TargetError, TemplateError
from agentcache.cli import app
from agentcache.prompt.rendering import Renderer
from agentcache.prompt.sections import Stability

SECRET = "sk-ant-somebody-s-key"


@pytest.fixture
def secret(tmp_path):
    """A file of the machine, and a line in it that the linter would find fault with, so that it would be shown."""
    (tmp_path / "home").mkdir()
    file = tmp_path / "home" / "credentials"
    file.write_text(f"{SECRET} {{{{ now() }}}} 2026-11-28T10:00:00\n")
    return file


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    root = tmp_path / "checkout"
    (root / "prompts" / "desk").mkdir(parents=True)
    (root / "prompts" / "desk" / "static.j2").write_text("Be kind.")
    monkeypatch.chdir(root)
    return root


def lint(*words: str) -> Result:
    return CliRunner().invoke(app, ["lint", *words])


ESCAPES = [
    "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "{{ variable|attr('__class__') }}{{ variable['__class__'] }}",
    "{{ '{0.__class__.__init__.__globals__}'.format(variable) }}",
    "{{ variable.__init__.__globals__ }}",
    "{{ range.__globals__ }}{{ dict.__subclasses__() }}",
    "{{ namespace.__init__.__globals__ }}",
    "{{ self.__init__.__globals__ }}{{ self._TemplateReference__context }}",
    "{{ lipsum.__globals__.os }}{{ cycler.__init__ }}{{ joiner }}",
    "{{ ().__iter__.__self__.__class__ }}",
    "{{ [variable]|map('attr', '__class__')|list }}{{ [variable]|map(attribute='__class__')|list }}",
    "{{ variable|format(variable.__class__) }}",
    "{% set x = variable.__class__ %}{{ x }}",
    "{% macro m() %}{{ caller }}{% endmacro %}{{ m.__globals__ }}{{ m._func.__globals__ }}",
    "{% for i in variable.__dict__ %}{{ i }}{% endfor %}",
    "{{ 'x'.encode.__self__ }}{{ 'x'.join.__func__ }}",
    "{{ variable.append(1) }}{{ variable.__setitem__(0, 1) }}{{ variable.clear() }}",
]


@pytest.mark.parametrize("template", ESCAPES)
@pytest.mark.parametrize("variable", [["a"], "text", {"a": 1}, 1], ids=repr)
def test_no_template_walks_from_a_value_to_code(template, variable):
    with pytest.raises(TemplateError):
        Renderer(Prompt(session=template)).render(Stability.SESSION, {"variable": variable})


@pytest.mark.parametrize(
    "name", ["/etc/passwd", "../../home/credentials", "shared/../../../home/credentials", "~/x", "file:///etc/passwd"]
)
@pytest.mark.parametrize("tag", ["{%% include '%s' %%}", "{%% import '%s' as x %%}", "{%% extends '%s' %%}"])
def test_no_template_includes_a_file_that_is_none_of_its_directory(checkout, secret, tag, name):
    (checkout / "prompts" / "desk" / "static.j2").write_text(tag % name)
    with pytest.raises(TemplateError, match="there is no template"):
        Agent(name="a", model="claude-haiku-5-5", prompt=Prompt.from_dir("prompts/desk"))
    assert SECRET not in lint().output


@pytest.mark.parametrize("link", ["static_2.j2", "part.j2", "parts/deep.j2", "agent.toml", "tools.json"])
def test_no_link_makes_a_template_of_another_file(checkout, secret, link):
    desk = checkout / "prompts" / "desk"
    (desk / "parts").mkdir()
    (desk / "static.j2").write_text(
        "{% include 'part.j2' ignore missing %}{% include 'parts/deep.j2' ignore missing %}"
    )
    (desk / "middle").symlink_to(secret)
    (desk / link).symlink_to(desk / "middle")
    found = lint()
    assert found.exit_code == 2
    assert f"{link}: it is a link to a file of another kind, 'credentials'" in found.output
    assert SECRET not in found.output
    if link != "tools.json":  # which no run reads
        with pytest.raises(TargetError, match="a link to a file of another kind"):
            Prompt.from_dir(desk)


@pytest.mark.parametrize("outside", ["{secret}", "../home/credentials", "home/link"])
def test_linted_code_has_no_file_read_that_is_none_of_its_project(checkout, secret, outside):
    (checkout / "home").mkdir()
    (checkout / "home" / "link").symlink_to(secret)
    (checkout / "pyproject.toml").touch()
    path = outside.format(secret=secret)
    (checkout / "team.py").write_text(
        "from pathlib import Path\nfrom agentcache import Agent, Prompt\n"
        f"a = Agent(name='a', model='claude-haiku-5-5', prompt=Prompt(static=Path({path!r}).read_text()))\n"
    )
    for form in ("text", "json", "github", "sarif"):
        assert SECRET not in lint("--format", form).output


def test_linted_code_has_the_files_of_its_project_read(checkout):
    (checkout / "clock.txt").write_text("It is {{ now() }}.\n")
    (checkout / "team.py").write_text(
        "from pathlib import Path\nfrom agentcache import Agent, Prompt\n"
        "a = Agent(name='a', model='claude-haiku-5-5', prompt=Prompt(static=Path('clock.txt').read_text()))\n"
    )
    assert "clock.txt:1" in lint().output


def test_linting_runs_no_code_of_the_repository(checkout):
    for name in ("team.py", "conftest.py", "setup.py", "sitecustomize.py", "prompts/__init__.py"):
        (checkout / name).write_text(
            "import pathlib\npathlib.Path('ran').touch()\nfrom agentcache import Agent, Prompt\n"
            "a = Agent(name='a', model='claude-haiku-5-5', prompt=Prompt(static='x'))\n"
        )
    lint()
    assert not Path("ran").exists()


@pytest.mark.parametrize("kind", ["pipe", "device"])
def test_a_template_that_is_no_file_is_not_waited_for(checkout, kind):
    path = checkout / "prompts" / "desk" / "turn.j2"
    if kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to("/dev/zero")
    assert "cannot read" in lint().output
    with pytest.raises(TargetError, match="cannot read"):
        Prompt.from_dir(checkout / "prompts" / "desk")


@pytest.mark.parametrize(
    "template",
    [
        "{% for i in range(10**9) %}x{% endfor %}",
        "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}",
        "{{ 'x' * 10**9 }}",
        "{{ 10**10**10 }}",
        "{{ 'x'.ljust(10**9) }}{{ 'x'|center(10**9) }}{{ '%999999999d'|format(1) }}",
        "{% set n = namespace(t='x') %}{% for i in range(99) %}{% set n.t = n.t ~ n.t %}{% endfor %}",
    ],
)
def test_the_linter_ends_whatever_a_template_asks_for(checkout, template):
    (checkout / "prompts" / "desk" / "static.j2").write_text(template)
    assert lint().exit_code in {0, 1}
