"""What a Python file declares is read from its text: agents of ours, their templates, tools and variables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from textwrap import dedent

import pytest

from agentcache.lint.agent_sources import AgentSources, LayerFile, SourceFile
from agentcache.lint.own_agents import OwnSources, lint_own
from agentcache.lint.python.agents import declared_agents
from agentcache.lint.python.literals import PythonText
from agentcache.lint.python.sources import sources_of
from agentcache.prompt.sections import Stability

HEAD = "from agentcache import Agent, Prompt, Section, Team, tool\n"


class Shelf:
    """The files that a test has, by path."""

    def __init__(self, texts: Mapping[str, str] | None = None, directories: Mapping[str, AgentSources] | None = None):
        self._texts = texts or {}
        self._directories = directories or {}

    def directory(self, path: str) -> AgentSources | None:
        return self._directories.get(path)

    def text(self, path: str) -> SourceFile | None:
        text = self._texts.get(path)
        return None if text is None else SourceFile(path=path, name=path, text=text)


def read(source: str, files: Shelf | None = None) -> list[OwnSources]:
    text = PythonText(HEAD + dedent(source), "app.py")
    agents = declared_agents(text)
    found = [sources_of(agent, path="app.py", files=files or Shelf()) for agent in agents]
    return [each for each in found if each is not None]


def one(source: str, files: Shelf | None = None) -> OwnSources:
    (agent,) = read(source, files)
    return agent


def templates(agent: AgentSources) -> list[tuple[str, str]]:
    return [(layer.layer.value, layer.text) for layer in agent.layers]


def findings(source: str) -> list[tuple[str, str | None]]:
    """Return code and source line of what is found."""
    agents = read(source)
    lines = (HEAD + dedent(source)).split("\n")
    found = lint_own(agents)
    assert all(finding.place.path == "app.py" for finding in found)
    return [(finding.code, lines[(finding.place.line or 1) - 1].strip()) for finding in found]


def test_name_model_and_layers_of_an_agent():
    agent = one(
        """
        desk = Agent(
            name="desk",
            model="claude-sonnet-5-5",
            prompt=Prompt(turn="At {{ time }}.", static=["One.", Section(name="two", template="Two.")], session="Hi."),
        )
        """
    )
    assert (agent.agent, agent.model) == ("desk", "claude-sonnet-5-5")
    assert templates(agent) == [("static", "One."), ("static", "Two."), ("session", "Hi."), ("turn", "At {{ time }}.")]
    assert len({layer.name for layer in agent.layers}) == 4


@pytest.mark.parametrize(
    "source",
    [
        "from agents import Agent\nx = Agent(name='a', prompt=Prompt(static='It is {{ now() }}.'))",
        "def Agent(**given): ...\nx = Agent(name='a', prompt=Prompt(static='It is {{ now() }}.'))",
        "class Agent: ...\nx = Agent(name='a', prompt=Prompt(static='It is {{ now() }}.'))",
    ],
)
def test_agents_of_others_are_none_of_ours(source: str):
    assert declared_agents(PythonText(source, "app.py")) == ()


@pytest.mark.parametrize(
    "source",
    [
        "import agentcache\nx = agentcache.Agent(name='a', model='m', prompt=agentcache.Prompt(static='Rules.'))",
        "import agentcache as ac\nx = ac.Agent(name='a', model='m', prompt=ac.Prompt(static='Rules.'))",
        "from agentcache import Agent as A, Prompt as P\nx = A(name='a', model='m', prompt=P(static='Rules.'))",
        "def f():\n    from agentcache import Agent, Prompt\n    return Agent(prompt=Prompt(static='R.'))",
    ],
)
def test_ours_are_known_under_whatever_name_they_are_imported(source: str):
    (agent,) = declared_agents(PythonText(source, "app.py"))
    assert len(agent.sections) == 1


@pytest.mark.parametrize(
    "expression",
    [
        '"Rules. " "Be brief."',
        '"Rules. " + "Be brief."',
        "RULES",
        '"".join(["Rules. ", BRIEF])',
        'f"Rules. {BRIEF}"',
        'textwrap.dedent("""\\\n    Rules. Be brief.\n    """).strip()',
        'inspect.cleandoc("  Rules. Be brief.")',
        '"".join(["Rules. "] + [BRIEF])',
        '"--Rules. Be brief.--".strip("-")',
    ],
)
def test_texts_that_the_file_itself_tells(expression: str):
    constants = 'import inspect, textwrap\nBRIEF = "Be brief."\nRULES = "Rules. " + BRIEF\n'
    text = PythonText(f"{HEAD}{constants}x = Agent(prompt=Prompt(static={expression}))", "app.py")
    (agent,) = declared_agents(text)
    found = sources_of(agent, path="app.py", files=Shelf())
    assert found is not None
    assert templates(found) == [("static", "Rules. Be brief.")]


def test_a_name_that_is_assigned_twice_means_nothing():
    (agent,) = declared_agents(
        PythonText(HEAD + 'R = "one"\nif x:\n    R = "two"\na = Agent(name="a", prompt=Prompt(static=R))', "app.py")
    )
    assert not agent.whole
    assert agent.unread is None


def test_what_only_running_the_file_would_tell_is_said():
    source = HEAD + "a = Agent(name='a', prompt=load_prompt())\nb = Agent(**settings)\nc = Agent(name='c')\n"
    agents = declared_agents(PythonText(source, "app.py"))
    assert [agent.unread for agent in agents] == [
        "only running the file tells what `load_prompt()` is",
        "only running the file tells what its arguments is",
        "it has no prompt of its own",
    ]


def test_variables_are_of_the_layer_that_gives_them():
    agent = one(
        """
        def news():
            return {"headline": fetch(), "count": 3}

        a = Agent(
            name="a",
            model="m",
            variables={"company": "Acme", "limits": {"days": 30}},
            semi_static=news,
            prompt=Prompt(static="{{ company }}", session="{{ x }}", turn="{{ x }} {{ y }}"),
        )
        """
    )
    assert not agent.complete
    assert agent.variables == {
        Stability.STATIC: {"company": "Acme", "limits": {"days": 30}},
        Stability.SEMI_STATIC: {"headline": None, "count": 3},
        Stability.SESSION: {"x": None},  # the turn uses it too, and may; `y` is nobody's, and its name tells what it is
        Stability.TURN: {},
    }


def test_a_session_variable_in_a_static_section_is_found_at_its_line():
    source = '''
        RULES = """
        You help with orders.
        The basket holds {{ basket_colour }}.
        """
        a = Agent(name="a", model=MODEL, prompt=Prompt(static=RULES, session="{{ basket_colour }}"))
        '''
    assert findings(source) == [("PC005", "The basket holds {{ basket_colour }}.")]


@pytest.mark.parametrize(
    ("expression", "code"),
    [
        ("datetime.now()", "PC001"),
        ("dt.now():%H:%M", "PC001"),
        ("clock()", "PC001"),
        ("started", "PC001"),
        ("uuid.uuid4()", "PC003"),
        ("new_id()", "PC003"),
        ("os.environ['HOME']", "PC006"),
        ("socket.gethostname()!r", "PC006"),
        ("subprocess.check_output(['git', 'rev-parse', 'HEAD'])", "PC007"),
        ("random.choice(TIPS)", "PC011"),
    ],
)
def test_what_an_f_string_shows_is_judged_by_where_it_comes_from(expression: str, code: str):
    source = (
        "import os, random, socket, subprocess, uuid\n"
        "from datetime import datetime\nfrom datetime import datetime as dt\n"
        "from uuid import uuid4 as new_id\nTIPS = ['a', 'b']\nstarted = datetime.now()\n"
        "def clock():\n    '''The time.'''\n    return datetime.now()\n"
        'a = Agent(name="a", model="m", prompt=Prompt(static=f"""Rules.\nBe brief.\nSeen: {' + expression + '}"""))\n'
    )
    text = PythonText(HEAD + source, "app.py")
    agents = [sources_of(agent, path="app.py", files=Shelf()) for agent in declared_agents(text)]
    known = [agent for agent in agents if agent is not None]
    found = lint_own(known)
    assert [finding.code for finding in found] == [code]
    assert (HEAD + source).split("\n")[(found[0].place.line or 1) - 1].startswith("Seen: ")


def test_a_variable_that_is_computed_is_judged_where_a_template_shows_it():
    source = """
        from datetime import datetime
        a = Agent(
            name="a",
            model="m",
            variables={"moment": datetime.now().isoformat(), "company": "Acme"},
            prompt=Prompt(
                static="{{ company }} since {{ moment }}.",
            ),
        )
        """
    assert findings(source) == [("PC001", 'static="{{ company }} since {{ moment }}.",')]


def test_a_semi_static_function_may_read_the_clock_since_it_is_asked_once_in_a_while():
    source = """
        from datetime import datetime
        def today():
            return {"day": datetime.now().isoformat()}
        a = Agent(name="a", model="m", semi_static=today, refresh="1h", prompt=Prompt(semi_static="Notes: {{ day }}."))
        """
    assert findings(source) == []
    assert [
        code for code, _ in findings(source.replace("semi_static=today", 'semi_static={"day": datetime.now()}'))
    ] == ["PC001"]


def test_an_agent_of_a_team_begins_with_what_the_team_shares():
    agents = read(
        """
        @tool
        def find(word: str) -> str:
            \"\"\"Look a word up.\"\"\"

        @tool
        def book(word: str) -> str:
            \"\"\"Book a thing.\"\"\"

        team = Team(name="t", model="claude-sonnet-5-5", prompt=Prompt(static="We."), tools=[find])
        first = team.agent(name="first", prompt=Prompt(static="I."))
        second = team.agent(name="second", prompt=Prompt(static="Me."), tools=[book])
        """
    )
    assert [(agent.agent, templates(agent)) for agent in agents] == [
        ("first", [("static", "We."), ("static", "I.")]),
        ("second", [("static", "We."), ("static", "Me.")]),
    ]
    assert [agent.tools.text for agent in agents if agent.tools] == [
        '[{"name": "find", "description": "Look a word up."}]\n',
        '[{"name": "book", "description": "Book a thing."},\n {"name": "find", "description": "Look a word up."}]\n',
    ]


def test_a_directory_is_read_as_it_is_for_itself_with_the_variables_of_the_agent():
    section = LayerFile(path="p/static.j2", name="static.j2", text="{{ company }} {{ plan }}", layer=Stability.STATIC)
    there = AgentSources(
        agent="p",
        layers=(section,),
        variables={Stability.STATIC: {"company": "Example"}, Stability.SESSION: {"plan": "gold"}},
    )
    agent = one(
        "from pathlib import Path\nHERE = Path(__file__).resolve().parent\n"
        'a = Agent(name="a", model="m", variables={"company": "Acme"}, prompt=Prompt.from_dir(HERE / "p"))',
        Shelf(directories={"p": replace(there)}),
    )
    assert [layer.path for layer in agent.layers] == ["p/static.j2"]
    assert agent.variables[Stability.STATIC] == {"company": "Acme"}
    assert agent.variables[Stability.SESSION] == {"plan": "gold"}


def test_a_template_from_a_file_is_found_in_that_file():
    agent = one(
        'from pathlib import Path\na = Agent(name="a", model="m", prompt=Prompt(static=Path("rules.md").read_text()))',
        Shelf(texts={"rules.md": "Rules.\n"}),
    )
    assert [(layer.path, layer.text) for layer in agent.layers] == [("rules.md", "Rules.\n")]


@pytest.mark.parametrize(
    "path",
    [
        'Path(os.path.join(os.path.dirname(__file__), "rules.md"))',
        'Path(__file__).parent.joinpath("rules.md")',
        'Path(str(HERE / "rules.md"))',
        'Path(os.path.abspath("rules.md"))',
        "(Path(os.fspath(HERE)) / RULES)",
    ],
)
def test_the_path_of_a_file_is_followed_however_it_is_put_together(path: str):
    agent = one(
        'import os\nfrom pathlib import Path\nHERE = Path(__file__).resolve().parent\nRULES = "rules.md"\n'
        f'a = Agent(name="a", model="m", prompt=Prompt(static={path}.read_text()))',
        Shelf(texts={"rules.md": "Rules.\n"}),
    )
    assert [(layer.path, layer.text) for layer in agent.layers] == [("rules.md", "Rules.\n")]


@pytest.mark.parametrize("path", ["os.path.join(*parts)", "os.path.join(given, 'rules.md')", "given.read()"])
def test_a_path_that_is_not_known_is_no_file(path: str):
    agent = one(
        "import os\nfrom pathlib import Path\n"
        f'a = Agent(name="a", model="m", prompt=Prompt(static=Path({path}).read_text()))',
        Shelf(texts={"rules.md": "Rules.\n"}),
    )
    assert [layer.path.partition(":")[0] for layer in agent.layers] == ["app.py"]


def test_a_size_that_is_not_known_is_not_judged():
    short = 'prompt=Prompt(static="Short.")'
    assert one(f'a = Agent(name="a", model="claude-sonnet-5-5", {short})').model == "claude-sonnet-5-5"
    assert one(f'a = Agent(name="a", model="claude-sonnet-5-5", {short}, tools=TOOLS)').model is None
    assert one(f'a = Agent(name="a", model="claude-sonnet-5-5", {short}, output=Answer)').model is None
    assert one('a = Agent(name="a", model="claude-sonnet-5-5", prompt=Prompt(static="Short." + rest()))').model is None


def test_white_space_that_is_never_sent_is_no_finding():
    assert findings('a = Agent(name="a", model="m", prompt=Prompt(static="Rules.   \\r\\nBe brief.\\t\\n"))') == []
