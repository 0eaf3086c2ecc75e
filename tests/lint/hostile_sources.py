"""Templates, tools and declarations that no author would write: what the linter must get through all the same."""

from __future__ import annotations

import json

from hypothesis import strategies as st

names = st.sampled_from(["name", "words", "limits", "user", "flag", "tags", "turn", "x", "nobody", "loop", "n.v", "m"])
atoms = st.one_of(
    names,
    st.sampled_from(["1", "10**9", "999", "0", "-1", "'a'", "'%s'", "'{}'", "''", "1.5", "[]", "{}", "none", "true"]),
)
filters = st.sampled_from(
    [
        "upper",
        "list",
        "sort|join",
        "tojson",
        "dictsort",
        "first",
        "last",
        "length",
        "string",
        "int",
        "float",
        "indent(999)",
        "center(9999999)",
        "batch(99)",
        "slice(999)",
        "replace('a','aaaa')",
        "replace('','bb')",
        "join(words)",
        "reverse",
        "unique",
        "sum",
        "map('upper')",
        "map(attribute='a.b')",
        "select",
        "groupby('a')",
        "title",
        "wordwrap(5)",
        "format(1)",
        "truncate(3)",
        "round(99)",
        "default('d')",
        "xmlattr",
        "urlencode",
        "abs",
        "min",
        "max",
        "random",
        "shuffle",
        "nobody(1)",
        "selectattr('a')",
        "items",
    ]
)
checks = st.sampled_from(
    ["defined", "none", "odd", "in words", "string", "mapping", "sameas 1", "divisibleby 3", "nobody"]
)


def grown(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    operators = st.sampled_from(
        ["+", "-", "*", "/", "//", "%", "**", "~", "and", "or", "==", "!=", "<", "<=", "in", "not in"]
    )
    return st.one_of(
        st.builds("({} {} {})".format, inner, operators, inner),
        st.builds("{}|{}".format, inner, filters),
        st.builds("({} is {})".format, inner, checks),
        st.builds(
            "{}.{}".format, names, st.sampled_from(["a", "items()", "upper()", "split()", "__class__", "append(1)"])
        ),
        st.builds("{}[{}]".format, names, inner),
        st.builds("{}({})".format, st.sampled_from(["range", "m", "nobody", "loop", "dict", "lipsum"]), inner),
        st.builds("[{}, {}]".format, inner, inner),
        st.builds("{{'k': {}}}".format, inner),
        st.builds("({} if {} else {})".format, inner, inner, inner),
    )


expressions = st.recursive(atoms, grown, max_leaves=6)


def nested(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.one_of(
        st.lists(inner, max_size=3).map("".join),
        st.builds("{{% for x in {} %}}{}{{% endfor %}}".format, expressions, inner),
        st.builds("{{% for x in {} recursive %}}{}{{{{ loop(words) }}}}{{% endfor %}}".format, expressions, inner),
        st.builds("{{% if {} %}}{}{{% else %}}{}{{% endif %}}".format, expressions, inner, inner),
        st.builds("{{% macro m(x=1) %}}{}{{{{ m(x) }}}}{{% endmacro %}}{{{{ m() }}}}".format, inner),
        st.builds("{{% set x %}}{}{{% endset %}}{{{{ x }}}}".format, inner),
        st.builds("{{% filter {} %}}{}{{% endfilter %}}".format, st.sampled_from(["upper", "indent", "nobody"]), inner),
        st.builds("{{% call m() %}}{}{{% endcall %}}".format, inner),
        st.builds("{{% with x = {} %}}{}{{% endwith %}}".format, expressions, inner),
    )


bodies = st.recursive(
    st.one_of(
        st.just("text\n"),
        expressions.map("{{{{ {} }}}}".format),
        expressions.map("{{% set x = {} %}}".format),
        expressions.map("{{% set n = namespace(v={}) %}}{{% set n.v = n.v ~ n.v %}}".format),
        st.sampled_from(
            ["{% include 'self.j2' %}", "{% include x %}", "{% import 'self.j2' as m %}", "{% weather x %}"]
        ),
    ),
    nested,
    max_leaves=8,
)


texts = st.text(alphabet="{}%#|()[]'\"\\abcé \n-+*0.:,", max_size=200)
"""Text that may be no template at all."""

_words = st.sampled_from(
    ["", "Look at {{ turn }}", "at 2026-11-02T10:00:00Z", "T-88211", "called 14 times", "é", "{% if %}"]
)
_json = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 10**30) | st.floats(allow_nan=False) | _words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["enum", "type", "a", "items"]), inner),
    max_leaves=6,
)
_tool = st.fixed_dictionaries(
    {},
    optional={
        "name": _words | _json,
        "description": _words | _json,
        "input_schema": st.fixed_dictionaries({}, optional={"type": _json, "properties": _json, "enum": _json}) | _json,
        "cache_control": _json,
        "defer_loading": _json,
    },
)
tools_texts = st.one_of(
    st.lists(_tool, max_size=4).map(json.dumps),
    _json.map(json.dumps),
    st.lists(_tool, min_size=1, max_size=2)
    .map(json.dumps)
    .flatmap(lambda text: st.integers(0, 99).map(lambda at: text[:at])),
    st.sampled_from(
        ["", "[" * 9999, '{"a":' * 9999, "[1e999999]", "[" + "9" * 9999 + "]", "NaN", "{{ tools|tojson }}"]
    ),
)
"""What may stand in a tools.json: tools, other JSON, JSON cut short, nesting without end."""

_values = st.sampled_from(
    ["1", "'x'", "[1, 'a']", "{ a = 1 }", "2026-09-01", "nan", "", "true", "'2026-01-01 10:00'", '"""']
)
_keys = st.sampled_from(["model", "name", "tags", "user.name", "'a b'", "globals", "words", "x", "types.tags"])
_tables = st.sampled_from(
    [
        "variables",
        "variables.static",
        "variables.session",
        "variables.turn",
        "types",
        "environment",
        "sesion",
        "[variables]",
    ]
)
declarations = st.lists(
    st.one_of(_tables.map("[{}]".format), st.builds("{} = {}".format, _keys, _values), texts), max_size=6
).map("\n".join)
"""What may stand in an agent.toml."""
