"""Small agents, and what a fix makes of them."""

from __future__ import annotations

from collections.abc import Mapping

from agentcache.lint.agent_sources import AgentSources, LayerFile, SourceFile
from agentcache.lint.examination import Examination
from agentcache.lint.finding import Confidence, Finding, Place
from agentcache.lint.fixes.table import with_fixes
from agentcache.lint.fixing import fixed
from agentcache.lint.rewriting import texts_of
from agentcache.prompt.canonical import JsonValue
from agentcache.prompt.sections import Stability

FOLDER = "prompts/agent/"


def agent(
    texts: Mapping[str, str],
    variables: Mapping[str, Mapping[str, JsonValue]] | None = None,
    types: Mapping[str, str] | None = None,
    tools: str | None = None,
    name: str = "agent",
) -> AgentSources:
    """Return an agent with one section per layer named (`static`, ...); any other name is a template to include."""
    folder = FOLDER.replace("agent", name)
    layers = {layer.value: layer for layer in Stability}
    return AgentSources(
        agent=name,
        model="claude-opus-5",
        layers=tuple(
            LayerFile(path=f"{folder}{layer}.j2", name=f"{layer}.j2", text=text, layer=layers[layer])
            for layer, text in texts.items()
            if layer in layers
        ),
        includes={
            name: SourceFile(path=f"{folder}{name}", name=name, text=text)
            for name, text in texts.items()
            if name not in layers
        },
        tools=None if tools is None else SourceFile(path=f"{folder}tools.json", name="tools.json", text=tools),
        variables={Stability(layer): values for layer, values in (variables or {}).items()},
        types=types or {},
    )


def at(code: str, line: int | None, file: str = "static.j2", also: tuple[Place, ...] = ()) -> Finding:
    """Return a finding of a code at a line of the small agent's file."""
    return Finding(
        code=code,
        name=code,
        severity="error",
        confidence=Confidence.CERTAIN,
        place=Place(path=f"{FOLDER}{file}", line=line),
        message=code,
        fix=code,
        also=also,
    )


def mend(finding: Finding, *agents: AgentSources, unsafe: bool = False) -> dict[str, str]:
    """Return file name -> text of the first agent's files that the finding's fix changes."""
    texts = texts_of(agents)
    after = fixed(texts, with_fixes([finding], [Examination(each) for each in agents]), unsafe=unsafe)
    return {path.removeprefix(FOLDER): text for path, text in after.items() if texts.get(path) != text}
