"""Hypothesis strategies for templates: every statement that a prompt may use, in any order and depth."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from hypothesis import strategies as st

TEXTS = ("a", "b", "c")
"""Variables that hold text; `flag` is true or false, `items` a list of texts."""

_words = st.text(alphabet="xyzé\u0301 \n\t.-", max_size=8)
MACROS = "'macros.j2'"

WHOLE = "pqré \n\r\t"
"""Characters that do not become one with the text in front of them."""


def variables(alphabet: str = f"{WHOLE}\u0301") -> st.SearchStrategy[dict[str, object]]:
    """Draw values for all variables, of these characters."""
    texts = st.text(alphabet=alphabet, max_size=6)
    return st.fixed_dictionaries(
        {**dict.fromkeys(TEXTS, texts), "flag": st.booleans(), "items": st.lists(texts, max_size=3)}
    )


@dataclass
class _Names:
    """What a template may print at a place, and how many names it has made so far."""

    printable: list[str] = field(default_factory=lambda: list(TEXTS))
    made: int = 0

    def with_name(self, name: str) -> _Names:
        return _Names([*self.printable, name], self.made)

    def new(self) -> str:
        self.made += 1
        return f"n{self.made}"


@st.composite
def templates(draw, *, depth: int = 2, includes: bool = True, names: _Names | None = None) -> str:
    """Draw the body of a template."""
    names = names or _Names()
    parts = [draw(_part(depth, includes, names)) for _ in range(draw(st.integers(0, 3)))]
    return "".join(parts)


_SIMPLE = ("text", "print", "print", "filtered", "joined", "comment", "raw", "set")
_NESTED = ("if", "elif", "for", "recursive", "set block", "filter", "with", "macro", "call", "call block")
_OUTSIDE = ("include", "import", "from")


@st.composite
def _part(draw, depth: int, includes: bool, names: _Names) -> str:
    kind = draw(st.sampled_from([*_SIMPLE, *(_NESTED if depth else ()), *(_OUTSIDE if includes else ())]))
    name, made = draw(st.sampled_from(names.printable)), names.new()
    left, right = draw(st.sampled_from([("{%", "%}"), ("{%-", "%}"), ("{%", "-%}"), ("{%+", "+%}")]))

    def tag(words: str) -> str:
        return f"{left} {words} {right}"

    def inside(*more: str) -> str:
        inner = names
        for each in more:
            inner = inner.with_name(each)
        return str(draw(templates(depth=depth - 1, includes=includes, names=inner)))

    if kind in _NESTED:
        return _nested(kind, name, made, tag, inside, draw(st.sampled_from(["{m}({n})", "{m}({n}) | upper"])), names)
    shown = draw(st.sampled_from([f"{name} ~ a", "items | join(',')", "'k' ~ (1 + 1)"]))
    filters = draw(st.sampled_from(["upper", "trim", "length", "tojson", "indent(2)"]))
    if kind == "set":
        names.printable.append(made)
    statements = {
        "text": str(draw(_words)),
        "print": f"{{{{ {name} }}}}",
        "filtered": f"{{{{ {name} | {filters} }}}}",
        "joined": f"{{{{ {shown} }}}}",
        "comment": "{# nothing\n here #}",
        "raw": "{% raw %}{{ a }}{% endraw %}",
        "set": f"{tag(f'set {made} = {name}')}{{{{ {made} }}}}",
        "include": tag("include 'part.j2'"),
        "import": f"{tag(f'import {MACROS} as {made} with context')}{{{{ {made}.show({name}) }}}}",
        "from": f"{tag(f'from {MACROS} import show as {made}')}{{{{ {made}({name}) }}}}",
    }
    return statements[kind]


def _nested(
    kind: str,
    name: str,
    made: str,
    tag: Callable[[str], str],
    inside: Callable[..., str],
    call: str,
    names: _Names,
) -> str:
    """Return a statement with a body; only what is chosen is drawn."""

    def macro() -> str:
        return f"{tag(f'macro {made}(p)')}{inside('p')}{tag('endmacro')}"

    def captured() -> str:
        body = inside()
        names.printable.append(made)
        return f"{tag(f'set {made}')}{body}{tag('endset')}{{{{ {made} }}}}"

    block = f"{tag(f'macro {made}()')}<{{{{ caller({name}) }}}}>{tag('endmacro')}"
    again = f"{{{{ loop([{made}]) if loop.depth == 1 else {made} }}}}"
    statements: dict[str, Callable[[], str]] = {
        "if": lambda: f"{tag('if flag')}{inside()}{tag('else')}{inside()}{tag('endif')}",
        "elif": lambda: f"{tag(f'if {name}')}{inside()}{tag('elif flag')}{inside()}{tag('endif')}",
        "for": lambda: (
            f"{tag(f'for {made} in items if {made}')}{{{{ loop.index }}}}{inside(made)}"
            f"{tag('else')}{inside()}{tag('endfor')}"
        ),
        "recursive": lambda: f"{tag(f'for {made} in items recursive')}{inside(made)}{again}{tag('endfor')}",
        "set block": captured,
        "filter": lambda: f"{tag('filter upper')}{inside()}{tag('endfilter')}",
        "with": lambda: f"{tag(f'with {made} = {name}')}{inside(made)}{tag('endwith')}",
        "macro": lambda: f"{macro()}{{{{ {call.format(m=made, n=name)} }}}}",
        "call": lambda: (
            f"{macro()}{tag(f'set {made}_t = {made}({name})')}{tag(f'if {made}_t')}{inside()}{tag('endif')}"
        ),
        "call block": lambda: f"{block}{tag(f'call(q) {made}()')}{inside('q')}{tag('endcall')}",
    }
    return statements[kind]()


def alone() -> st.SearchStrategy[tuple[str, dict[str, str]]]:
    """Draw a section's template that includes nothing, with no templates to include."""
    return templates(includes=False).map(lambda body: (body, {}))


@st.composite
def prompts(draw) -> tuple[str, dict[str, str]]:
    """Draw a section's template and the templates that it may include."""
    shown = draw(templates(depth=1, includes=False, names=_Names(["p"])))
    includes = {
        "part.j2": draw(templates(depth=1, includes=False)),
        "macros.j2": f"Top {{% macro show(p) %}}{shown.replace('items', '[p]').replace('flag', 'p')}{{% endmacro %}}",
        "base.j2": f"{draw(templates(depth=1, includes=False))}{{% block body %}}{{{{ a }}}}-{{% endblock %}}tail",
    }
    body = draw(templates())
    if draw(st.booleans()):
        inner = draw(templates(depth=1))
        body = f'{{% extends "base.j2" %}}{{% block body %}}{inner}{{{{ super() }}}}{{% endblock %}}'
    return body, includes
