"""The checks of the review team's offline script: what each rule finds, and what it leaves alone."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import pytest

from agents.offline import rules
from agents.offline.checks import Hit, check_file, definitions, is_test
from agents.offline.rules import Role, Rule

ROOT = Path(__file__).parents[2]
RULES = {name: rule for name, rule in vars(rules).items() if isinstance(rule, Rule)}
FROM_THE_LISTING = {"NO_TESTS", "UNTESTED_CASES", "UNNAMED_MODULE"}
"""Rules that need more than one file; they are tried in `test_review_script.py`."""


def hits(path: str, text: str) -> dict[str, Hit]:
    """Return what all reviewers report about a file, by the name of the rule."""
    names = {rule.title: name for name, rule in RULES.items()}
    found = [hit for role in get_args(Role) for hit in check_file(path, text.split("\n"), role)]
    return {names[hit.rule.title]: hit for hit in found}


# One example for each rule: where it is found, and at which line.

PYTHON = {
    "UNPARSED": ("x = 1\ndef (:\n", 2),
    "EVERYTHING_CAUGHT": ("try:\n    f()\nexcept BaseException:\n    g()\n", 3),
    "SILENT_EXCEPT": ("try:\n    f()\nexcept Exception:\n    pass\n", 3),
    "FORGOTTEN_ERROR": ("def f(x):\n    try:\n        return g(x)\n    except Exception:\n        return {}\n", 4),
    "CANCELLATION_KEPT": (
        "import asyncio\ntry:\n    x = await f()\nexcept asyncio.CancelledError:\n    x = 1\n",
        4,
    ),
    "MUTABLE_DEFAULT": ("def f(b, a={}):\n    pass\n", 1),
    "EQUALS_NONE": ("if x == None:\n    pass\n", 1),
    "ASSERT": ("assert x\n", 1),
    "CHANGED_IN_LOOP": ("for item in items:\n    items.remove(item)\n", 2),
    "UNFINISHED": ("x = 1  # TODO: more\n", 1),
    "UNCHECKED_TYPE": ("from typing import cast\n\nx = cast(int, y)\n", 3),
    "FLOAT_MONEY": ("def pay(*, price_usd: float) -> None:\n    g(price_usd)\n", 1),
    "NAIVE_TIME": ("from datetime import datetime\n\nnow = datetime.now()\n", 3),
    "WALL_CLOCK": ("import time\n\n\ndef f(start):\n    return time.time() - start\n", 5),
    "NO_ENCODING": ("with open(path) as file:\n    g(file)\n", 1),
    "LOST_TASK": ("import asyncio\n\n\nasync def f():\n    asyncio.create_task(g())\n", 5),
    "LOST_ERRORS": ("import asyncio\n\nasync def f(a):\n    await asyncio.gather(*a, return_exceptions=True)\n", 4),
    "MANY_PARAMETERS": ("def f(a, b, c, d, e, g):\n    pass\n", 1),
    "DEEP_BLOCKS": (
        "def f(a):\n"
        + "".join(f"{'    ' * depth}while a > {depth}:\n" for depth in range(1, 6))
        + "                        g()\n",
        6,
    ),
    "EVAL": ("x = eval(text)\n", 1),
    "SHELL": ("import subprocess\nsubprocess.run(command, shell=True)\n", 2),
    "PICKLE": ("from pickle import loads\nx = loads(data)\n", 2),
    "SQL_TEXT": ('def f(db, name):\n    db.execute(f"SELECT a FROM b WHERE c = {name}")\n', 2),
    "DYNAMIC_IMPORT": ("import importlib\nx = importlib.import_module(name)\n", 2),
    "DEBUG_SERVER": ("app.run(debug=True)\n", 1),
    "UNVERIFIED": ("requests.get(url, verify=False, timeout=3)\n", 1),
    "MKTEMP": ("from tempfile import mktemp\nx = mktemp()\n", 2),
    "SHARED_DIRECTORY": ('path = "/tmp/state.json"\n', 1),
    "WEAK_HASH": ("import hashlib\nx = hashlib.md5(data)\n", 2),
    "GUESSABLE": ("import random\ntoken = random.randint(1, 10**9)\n", 2),
    "OPEN_BIND": ('def serve(host: str = "0.0.0.0"):\n    pass\n', 1),
    "UNBOUNDED_BODY": ("async def f(request):\n    return await request.body()\n", 2),
    "UNPACKED": ("import tarfile\n\nwith tarfile.open(path) as tar:\n    tar.extractall(target)\n", 4),
    "UNESCAPED_TEMPLATE": ("from jinja2 import Environment\n\nx = Environment()\n", 3),
    "ASSEMBLED_PATTERN": ('import re\nx = re.compile(f"{word}s")\n', 2),
    "SECRET": ("api_key = 'k3jd9sl2m5'\n", 1),
    "NESTED_LOOP": ("for a in rows:\n    for b in rows:\n        f(a, b)\n", 2),
    "SEARCHED_IN_LOOP": ("for a in rows:\n    f(rows.index(a))\n", 2),
    "LIST_SEARCHED": ("def f(names: list[str], words):\n    return [w for w in words if w in names]\n", 2),
    "SCANNED_IN_LOOP": ("for a in orders:\n    f([c for c in customers if c.id == a.customer])\n", 2),
    "COPIED_IN_LOOP": ("def f(words):\n    text = ''\n    for w in words:\n        text += w\n    return text\n", 4),
    "FRONT_OF_LIST": ("while queue:\n    f(queue.pop(0))\n", 2),
    "PATTERN_IN_LOOP": ("import re\nfor a in rows:\n    f(re.compile('x').match(a))\n", 3),
    "QUERY_IN_LOOP": ("for a in rows:\n    db.execute('SELECT b FROM c WHERE a = ?', [a])\n", 2),
    "WAITS_IN_A_ROW": ("async def f(urls):\n    return [await get(url) for url in urls]\n", 2),
    "BLOCKING": ("from time import sleep\n\n\nasync def f():\n    sleep(1)\n", 5),
    "BLOCKING_FILE": ("async def f(path):\n    return path.read_bytes()\n", 2),
    "NO_TIMEOUT": ("import requests\nx = requests.get(url)\n", 2),
    "UNBOUNDED_CACHE": ("from functools import cache\n\n\n@cache\ndef f(x):\n    return x\n", 4),
    "HEAVY_FUNCTION": ("def long():\n" + "    x = 1\n" * 90, 1),
}
OTHERS = {
    "EMPTY_CATCH": ("A.java", "try { f(); } catch (Exception e) {}\n", 1),
    "PRIVATE_KEY": ("key.txt", "-----BEGIN RSA PRIVATE KEY-----\n", 1),
    "OPEN_MODE": ("Dockerfile", "FROM x\nRUN chmod -R 777 /srv\n", 2),
    "PIPED_SCRIPT": ("deploy.sh", "curl https://x.example/i.sh | sh\n", 1),
    "RAW_HTML": ("a.tsx", "node.innerHTML = text;\n", 1),
    "SELECT_STAR": ("q.sql", "select * from orders;\n", 1),
    "EMPTY_TEST": ("tests/test_a.py", "def test_a():\n    f()\n", 1),
    "SKIPPED_TEST": ("tests/test_a.py", "import pytest\n\n@pytest.mark.skip\ndef test_a():\n    assert f()\n", 3),
    "ANY_ERROR_PASSES": (
        "tests/test_a.py",
        "import pytest\n\ndef test_a():\n    with pytest.raises(Exception):\n        f()\n",
        4,
    ),
    "SLEEPING_TEST": ("tests/test_a.py", "def test_a():\n    time.sleep(1)\n    assert f()\n", 2),
}
EXAMPLES = {name: ("app/a.py", text, line) for name, (text, line) in PYTHON.items()} | OTHERS


def test_every_rule_has_an_example():
    assert set(EXAMPLES) == set(RULES) - FROM_THE_LISTING


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_rule_is_found_at_its_line_and_nothing_else_is(name):
    path, text, line = EXAMPLES[name]
    assert {found: hit.lines for found, hit in hits(path, text).items()} == {name: (line,)}


def test_titles_are_short_and_tell_the_rules_apart():
    titles = [rule.title for rule in RULES.values()]
    assert len(set(titles)) == len(titles)
    assert [title for title in titles if len(title.split()) > 12] == []


# Further forms of the same mistakes


@pytest.mark.parametrize(
    ("name", "path", "text"),
    [
        ("EVERYTHING_CAUGHT", "a.py", "try:\n    f()\nexcept:\n    pass\n"),
        ("SILENT_EXCEPT", "a.py", "import contextlib\nwith contextlib.suppress(Exception):\n    f()\n"),
        ("UNCHECKED_TYPE", "a.py", "x: int = f()  # type: ignore[assignment]\n"),
        ("NAIVE_TIME", "a.py", "import datetime as dt\nx = dt.datetime.utcnow()\n"),
        ("NO_ENCODING", "a.py", "from pathlib import Path\nx = Path(p).read_text()\n"),
        ("MUTABLE_DEFAULT", "a.py", "def f(*, a=dict()):\n    pass\n"),
        ("SHELL", "a.py", "import os\nos.system(command)\n"),
        ("PICKLE", "a.py", "import yaml\nx = yaml.load(text)\n"),
        ("SQL_TEXT", "a.py", 'db.execute("DELETE FROM a WHERE b = " + name)\n'),
        ("OPEN_BIND", "a.py", 'HOST = "0.0.0.0"\n'),
        ("EVAL", "a.js", "eval(input)\n"),
        ("UNFINISHED", "a.go", "// FIXME: handle err\n"),
        ("COPIED_IN_LOOP", "a.py", "def f(rows):\n    all = []\n    for r in rows:\n        all = all + [r]\n"),
        ("WAITS_IN_A_ROW", "a.py", "async def f(xs, out):\n    for x in xs:\n        out.append(await g(x))\n"),
        (
            "UNBOUNDED_CACHE",
            "a.py",
            "KNOWN = {}\n\ndef f(x):\n    if x not in KNOWN:\n        KNOWN[x] = g(x)\n    return KNOWN[x]\n",
        ),
        ("HEAVY_FUNCTION", "a.py", "def f(x):\n" + "    if x:\n        g()\n" * 16),
    ],
)
def test_other_forms_are_found_too(name, path, text):
    assert name in hits(path, text)


# What is no mistake


@pytest.mark.parametrize(
    "text",
    [
        "try:\n    f()\nexcept:\n    undo()\n    raise\n",
        "try:\n    f()\nexcept BaseException as error:\n    waiting.set_exception(error)\n",
        "try:\n    f()\nexcept Exception:\n    log.exception('x')\n",
        "try:\n    f()\nexcept Exception:  # f raises whatever its plugin does\n    x = None\n",
        "import asyncio\ntry:\n    await task\nexcept asyncio.CancelledError:\n    pass\n",
        "def f(a=None, b=()):\n    pass\n",
        "from collections.abc import Mapping\n\n\ndef f(a: Mapping[str, int] = {}):\n    pass\n",
        "for item in items:\n    if item:\n        items.remove(item)\n        break\n",
        "from typing import cast\n\nx = cast(int, y)  # y came from a table of ints\n",
        "# the stub lacks it\nx = f()  # type: ignore[attr-defined]\n",
        "from sqlalchemy import cast\n\nx = cast(column, Integer)\n",
        "def f(*, price_usd: Decimal, price_ratio: int) -> None:\n    pass\n",
        "from datetime import UTC, datetime\n\nnow = datetime.now(UTC)\n",
        "with open(path, 'rb') as file:\n    g(file)\n",
        "term.write_text(text)\n",
        "import asyncio\n\n\nasync def f():\n    task = asyncio.create_task(g())\n    await task\n",
        "import asyncio\n\n\nasync def f(task):\n    task.cancel()\n"
        "    await asyncio.gather(task, return_exceptions=True)\n",
        "@app.command()\ndef f(a, b, c, d, e, g):\n    pass\n",
        "def f(a, *, b, c, d, e, g):\n    pass\n",
        "def f(a):\n    if a == 1:\n        g()\n" + "".join(f"    elif a == {n}:\n        g()\n" for n in range(2, 9)),
        "eval('1 + 1')\n",
        "api_key = 'your-key-here'\n",
        "password = '<your password>'\n",
        "subprocess.run(['ls'], check=True)\n",
        "client = Client(api_key='emulated')\n",
        'db.execute("SELECT a FROM b WHERE c = ?", [name])\n',
        'db.execute(f"CREATE TABLE {TABLE} (a INTEGER)")\n',
        'allowed = host in {"0.0.0.0", "::"}\n',
        'import re\nx = re.compile(rf"{re.escape(word)}s")\n',
        "for a in rows:\n    for b in columns:\n        f(a, b)\n",
        "def f(names: set[str], words):\n    return [w for w in words if w in names]\n",
        "def f(words):\n    short = ['a', 'b']\n    return [w for w in words if w in short]\n",
        "import re\nx = [re.compile(pattern) for pattern in patterns]\n",
        "async def f(path):\n    return await path.read_bytes()\n",
        "import asyncio\n\n\nasync def f(path):\n    return await asyncio.to_thread(path.read_bytes)\n",
        "async def f():\n    def later():\n        time.sleep(1)\n\n    return later\n",
        "async def f(reader):\n    return [await get(x) async for x in reader]\n",
        "import requests\nx = requests.get(url, timeout=3)\n",
        "from functools import cache, lru_cache\n\n\n@cache\ndef f():\n    return 1\n\n\n"
        "@lru_cache(maxsize=9)\ndef g(x):\n    return x\n",
        "NAMES = {}\n\ndef register(name):\n    NAMES[name] = 1\n\ndef find(name):\n    return NAMES.get(name)\n",
    ],
)
def test_what_is_no_mistake_is_not_reported(text):
    assert hits("app/a.py", text) == {}


def test_a_file_that_was_shown_in_part_is_not_called_invalid():
    assert hits("a.py", "x = 'yyyy [cut: 900 more characters]\n") == {}


def test_odd_escapes_in_a_file_are_no_warning_of_ours():
    assert hits("a.py", "x = '\\d'\n") == {}


def test_a_test_that_expects_an_error_can_fail():
    assert hits("tests/test_a.py", "def test_b():\n    with pytest.raises(ValueError):\n        f()\n") == {}


def test_mistakes_in_test_code_rank_one_step_lower():
    (shipped,) = check_file("a.py", ["eval(text)"], "security")
    (tested,) = check_file("tests/test_a.py", ["eval(text)"], "security")
    assert (shipped.rule.severity, tested.rule.severity) == ("high", "medium")


def test_what_tests_do_by_trade_is_no_finding_in_them():
    text = "from typing import cast\n\n\ndef test_a():\n    assert cast(int, open('/tmp/x').read())\n"
    assert hits("tests/test_a.py", text) == {}


def test_the_place_where_most_is_counted_stands_first():
    text = "def f(x):\n" + "    x = 1\n" * 85 + "\n\ndef g(x):\n" + "    x = 1\n" * 95
    hit = hits("a.py", text)["HEAVY_FUNCTION"]
    assert (hit.lines, hit.note) == ((89, 1), "`g` has 96 lines and 0 branches")


@pytest.mark.parametrize(
    "path", ["tests/a.py", "test_a.py", "a_test.go", "src/a.spec.ts", "conftest.py", "AppTests.swift"]
)
def test_tests_are_known_by_their_names(path):
    assert is_test(path)


@pytest.mark.parametrize("path", ["testing_tools.py", "latest.py", "src/contest.go", "attestation.rs"])
def test_other_names_are_no_tests(path):
    assert not is_test(path)


# What others can use


def test_definitions_count_the_cases_of_public_functions_and_methods():
    text = (
        "class Till:\n"
        "    def pay(self, sum):\n"
        "        if sum < 0 or sum > 9:\n"
        "            raise ValueError\n"
        "        return [coin for coin in self.coins if coin]\n"
        "    def _open(self):\n"
        "        pass\n"
    )
    assert [(item.name, item.line, item.branches, item.raises) for item in definitions("a.py", text.split("\n"))] == [
        ("Till", 1, 0, 0),
        ("pay", 2, 3, 1),
    ]


def test_definitions_of_other_languages_have_names_and_lines():
    found = definitions("a.go", ["package a", "func Pay(sum int) error {", "}"])
    assert [(item.name, item.line, item.cases) for item in found] == [("Pay", 2, 0)]


# What stands at a place that a rule names

CONSTRUCTS = {
    "UNPARSED": r"",
    "EVERYTHING_CAUGHT": r"except(:| .*BaseException)",
    "SILENT_EXCEPT": r"except|suppress\(",
    "FORGOTTEN_ERROR": r"except .*Exception",
    "CANCELLATION_KEPT": r"except .*CancelledError",
    "MUTABLE_DEFAULT": r"\[|\{|(list|dict|set)\(",
    "EQUALS_NONE": r"[=!]= None",
    "ASSERT": r"^\s*assert\b",
    "CHANGED_IN_LOOP": r"\.(remove|insert|pop)\(",
    "UNFINISHED": r"TODO|FIXME|XXX|HACK",
    "UNCHECKED_TYPE": r"cast\(|: ignore",
    "FLOAT_MONEY": r"\bfloat\b",
    "NAIVE_TIME": r"(now|utcnow|utcfromtimestamp)\(",
    "WALL_CLOCK": r"time\(\) -",
    "NO_ENCODING": r"open\(|(read|write)_text\(",
    "LOST_TASK": r"create_task\(|ensure_future\(",
    "LOST_ERRORS": r"gather\(",
    "MANY_PARAMETERS": r"\bdef \w+\(",
    "DEEP_BLOCKS": r"^\s*(async )?(if|for|while|with|try|match)\b",
    "EVAL": r"\b(eval|exec)\(",
    "SHELL": r"subprocess|system\(|popen\(|shell",
    "PICKLE": r"loads?\(",
    "SQL_TEXT": r"(?i)execute|text\(",
    "DYNAMIC_IMPORT": r"(import_module|exec_module|__import__|run_path|run_module)\(",
    "DEBUG_SERVER": r"\.run\(",
    "UNVERIFIED": r"verify|unverified|\($",
    "MKTEMP": r"mktemp\(",
    "SHARED_DIRECTORY": r"/tmp/",
    "WEAK_HASH": r"(md5|sha1)\(",
    "GUESSABLE": r"=",
    "OPEN_BIND": r"0\.0\.0\.0|::",
    "UNBOUNDED_BODY": r"request\.\w+\(",
    "UNPACKED": r"extractall\(",
    "UNESCAPED_TEMPLATE": r"(Environment|Template)\(",
    "ASSEMBLED_PATTERN": r"compile\(",
    "SECRET": r"(?i)passw|secret|key|token",
    "NESTED_LOOP": r"\bfor \w+ in\b",
    "SEARCHED_IN_LOOP": r"\.(index|count)\(",
    "LIST_SEARCHED": r"\bin \w+",
    "SCANNED_IN_LOOP": r"\[|\(|\{",
    "COPIED_IN_LOOP": r"\+|\*",
    "FRONT_OF_LIST": r"\.(pop\(0\)|insert\(0,)",
    "PATTERN_IN_LOOP": r"compile\(",
    "QUERY_IN_LOOP": r"execute",
    "WAITS_IN_A_ROW": r"\bawait\b",
    "BLOCKING": r"\w\(",
    "BLOCKING_FILE": r"open\(|(read|write)_(text|bytes)\(",
    "NO_TIMEOUT": r"\w\(",
    "UNBOUNDED_CACHE": r"cache|\{\}",
    "HEAVY_FUNCTION": r"\bdef \w+\(",
    "NO_TESTS": r"",
    "UNTESTED_CASES": r"\bdef [a-z]\w*\(",
}


@pytest.mark.parametrize("name", PYTHON)
def test_the_construct_of_a_rule_stands_in_its_example(name):
    text, line = PYTHON[name]
    assert re.search(CONSTRUCTS[name], text.split("\n")[line - 1])


def test_every_place_in_real_code_holds_what_its_rule_says():
    places = 0
    for path in sorted([*(ROOT / "agentcache" / "runtime").rglob("*.py"), *(ROOT / "agents").rglob("*.py")]):
        lines = path.read_text(encoding="utf-8").split("\n")
        for name, hit in hits(path.relative_to(ROOT).as_posix(), "\n".join(lines)).items():
            for line in hit.lines:
                places += 1
                assert re.search(CONSTRUCTS[name], lines[line - 1]), (name, path, line)
    assert places > 10
