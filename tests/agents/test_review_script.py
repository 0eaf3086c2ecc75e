"""The review team's offline script: it answers from what the tools really said."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from agents.review_checks import check_file, is_test
from agents.review_script import SCRIPT_NOTICE, emulated_replies
from agents.source_tree import SourceRefused, SourceTree

Json = dict[str, Any]

REVIEWER_ROLES = ("correctness", "security", "performance", "tests")


def request(role: str, asked: str, *turns: Json) -> Json:
    system = [{"type": "text", "text": "# House rules"}, {"type": "text", "text": f"# Your role: {role}\n\nYou ..."}]
    return {"model": "m", "system": system, "messages": [{"role": "user", "content": asked}, *turns]}


def play(tree: SourceTree, role: str, asked: str) -> tuple[Json, list[list[str]]]:
    """Answer the script's tool calls from `tree` until it gives its answer; also return the tools of each round."""
    turns: list[Json] = []
    rounds: list[list[str]] = []
    while True:
        reply = emulated_replies(request(role, asked, *turns))
        if isinstance(reply, str):
            return json.loads(reply), rounds
        calls: list[Json] = [{**block, "id": f"t{len(rounds)}_{index}"} for index, block in enumerate(reply)]
        rounds.append([call["name"] for call in calls])
        turns += [
            {"role": "assistant", "content": calls},
            {"role": "user", "content": [answered(tree, c) for c in calls]},
        ]


def answered(tree: SourceTree, call: Json) -> Json:
    try:
        text, is_error = getattr(tree, call["name"])(**call["input"]), False
    except SourceRefused as error:
        text, is_error = str(error), True
    content = [{"type": "text", "text": text}]
    return {"type": "tool_result", "tool_use_id": call["id"], "content": content, "is_error": is_error}


def project(tmp_path: Path, files: dict[str, str]) -> SourceTree:
    for path, text in files.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    return SourceTree(tmp_path)


def batch(*paths: str) -> str:
    return "\n".join(["Review these files:", *(f"- {path} (10 bytes)" for path in paths)])


def titles(path: str, text: str, role: str) -> dict[str, tuple[int, ...]]:
    return {hit.rule.title: hit.lines for hit in check_file(path, text.splitlines(), role)}  # type: ignore[arg-type]


# The planner


def test_the_planner_lists_reads_the_readme_and_assigns_what_is_there(tmp_path):
    files = {
        "README.md": "# Shop",
        "app/main.py": "x = 1",
        "tests/test_main.py": "def test(): pass",
        "setup.cfg": "[x]",
    }
    plan, rounds = play(project(tmp_path, files), "planner", "Plan.")
    assert rounds == [["list_files"], ["read_file"]]
    assert plan["correctness"]["paths"] == ["app/main.py"]
    assert plan["security"]["paths"] == ["app/main.py", "setup.cfg"]
    assert plan["tests"]["paths"] == ["app/main.py", "tests/test_main.py"]


def test_the_planner_fetches_every_page_and_names_directories_when_files_are_many(tmp_path):
    files = {f"{'src' if number % 2 else 'lib'}/m{number:03}.py": "x = 1" for number in range(450)}
    plan, rounds = play(project(tmp_path, files), "planner", "Plan.")
    assert rounds == [["list_files"]] * 3
    assert plan["correctness"]["paths"] == ["lib/", "src/"]


def test_the_planner_of_an_empty_directory_assigns_nothing(tmp_path):
    plan, _ = play(SourceTree(tmp_path), "planner", "Plan.")
    assert [plan[role]["paths"] for role in REVIEWER_ROLES] == [[], [], [], []]


def test_generated_files_are_assigned_to_nobody(tmp_path):
    plan, _ = play(
        project(tmp_path, {"a.js": "x", "jquery.min.js": "x", "package-lock.json": "{}"}), "planner", "Plan."
    )
    assert plan["security"]["paths"] == ["a.js"]


# The reviewers


def test_a_reviewer_reads_its_batch_side_by_side_and_page_by_page(tmp_path):
    files = {f"m{number}.py": "x = 1\n" for number in range(5)} | {"long.py": "x = 1\n" * 900}
    tree = project(tmp_path, files)
    answer, rounds = play(tree, "correctness", batch(*sorted(files)))
    assert rounds == [["read_file"] * 4, ["read_file"] * 3, ["read_file"]]
    assert answer == {"findings": [], "not_checked": []}


def test_findings_name_the_file_and_line_that_hold_them(tmp_path):
    text = "import os\n\n\ndef clean(path):\n    try:\n        os.remove(path)\n    except:\n        pass\n"
    answer, _ = play(project(tmp_path, {"pkg/clean.py": text}), "correctness", batch("pkg/clean.py"))
    (finding,) = answer["findings"]
    assert (finding["file"], finding["line"], finding["severity"]) == ("pkg/clean.py", 7, "high")


def test_lines_of_a_second_page_keep_their_numbers(tmp_path):
    text = "x = 1\n" * 500 + "def add(item, seen=[]):\n    return seen\n"
    answer, _ = play(project(tmp_path, {"a.py": text}), "correctness", batch("a.py"))
    assert [finding["line"] for finding in answer["findings"]] == [501]


def test_a_file_that_cannot_be_read_is_reported_as_not_checked(tmp_path):
    answer, rounds = play(project(tmp_path, {"a.py": "x"}), "security", batch("a.py", "gone.py"))
    assert len(rounds) == 1
    assert answer["not_checked"][0].startswith("gone.py: cannot read 'gone.py'")


def test_one_kind_of_mistake_in_one_file_is_one_finding_that_names_all_lines(tmp_path):
    text = "import os\nos.system(a)\nos.system(b)\nos.system(c)\n"
    answer, _ = play(project(tmp_path, {"a.py": text}), "security", batch("a.py"))
    (finding,) = answer["findings"]
    assert finding["line"] == 2
    assert finding["explanation"].endswith("Also in lines 3, 4.")


def test_a_module_that_a_test_names_is_covered_and_another_is_not(tmp_path):
    files = {
        "app/stock.py": "def count():\n    return 1\n",
        "app/orders.py": "def place():\n    return 1\n",
        "app/refunds.py": "import x\n\n\ndef refund():\n    return 1\n",
        "tests/test_orders.py": "from app import orders, stock\n\ndef test_place():\n    assert orders.place() == 1\n",
    }
    answer, rounds = play(project(tmp_path, files), "tests", batch(*files))
    assert rounds[-2:] == [["list_files"], ["search_text", "search_text"]]
    assert [(finding["file"], finding["line"]) for finding in answer["findings"]] == [("app/refunds.py", 4)]


def test_an_unknown_role_is_refused():
    with pytest.raises(ValueError, match="names none of them"):
        emulated_replies(request("poet", "Write."))


# The editor


def edit(findings: list[Json], not_checked: tuple[str, ...] = (), left_out: int = 0) -> str:
    given = {"project": "shop", "summary": "A shop.", "findings": findings, "not_checked": list(not_checked)}
    reply = emulated_replies(request("editor", json.dumps(given | {"left_out_for_length": left_out})))
    assert isinstance(reply, str)
    return reply


def finding(**changes: object) -> Json:
    base = {"reviewer": "security", "file": "a.py", "line": 3, "severity": "high", "title": "Text | code"}
    return base | {"explanation": "Why.", "suggestion": "Do."} | changes


def test_the_report_says_at_its_top_that_a_script_wrote_it():
    assert edit([]).splitlines()[2] == SCRIPT_NOTICE
    assert "No model was asked" in SCRIPT_NOTICE


def test_findings_of_one_title_are_one_entry_with_all_places_and_reviewers():
    report = edit([finding(), finding(file="b.py", line=9, reviewer="correctness")])
    assert "| 1 | high | `a.py:3` and 1 more | Text \\| code | correctness, security |" in report
    assert "Further places: `b.py:9`." in report
    assert "### 2." not in report


def test_a_report_without_findings_says_so_and_has_no_table():
    report = edit([])
    assert "found nothing to report" in report
    assert "## Findings" not in report
    assert "Nothing was reported as unchecked." in report


def test_a_long_report_writes_out_what_is_grave_and_keeps_the_rest_in_the_table():
    grave = [finding(title=f"Grave {number}", line=number) for number in range(1, 21)]
    small = [finding(title=f"Small {number}", line=number, severity="low") for number in range(1, 21)]
    report = edit(grave + small)
    assert report.count("\n| ") == 1 + 40
    assert report.count("\n### ") == 20 + 10
    assert "The other 10 findings stand in the table alone." in report


def test_what_was_not_checked_or_left_out_stands_in_the_report():
    report = edit([], not_checked=("tests: gone.py: no such file",), left_out=4)
    assert "- tests: gone.py: no such file" in report
    assert "- 4 findings were left out for length" in report


# The checks


@pytest.mark.parametrize(
    ("role", "text", "lines"),
    [
        ("correctness", "def f(a={}):\n    pass\n", (1,)),
        ("correctness", "if x == None:\n    pass\n", (1,)),
        ("correctness", "try:\n    f()\nexcept Exception:\n    pass\n", (3,)),
        ("correctness", "for item in items:\n    items.remove(item)\n", (2,)),
        ("correctness", "x = 1  # TODO: more\n", (1,)),
        ("correctness", "assert x\n", (1,)),
        ("correctness", "def (:\n", (1,)),
        ("security", "eval(text)\n", (1,)),
        ("security", "import subprocess\nsubprocess.run(command, shell=True)\n", (2,)),
        ("security", "pickle.loads(data)\n", (1,)),
        ("security", "requests.get(url, verify=False)\n", (1,)),
        ("security", "api_key = 'k3jd9sl2m5'\n", (1,)),
        ("performance", "for a in rows:\n    for b in rows:\n        f(a, b)\n", (2,)),
        ("performance", "async def f():\n    time.sleep(1)\n", (2,)),
        ("tests", "def long():\n" + "    x = 1\n" * 90, (1,)),
    ],
)
def test_python_mistakes_are_found_at_their_line(role, text, lines):
    assert list(titles("app/a.py", text, role).values()) == [lines]


@pytest.mark.parametrize(
    ("role", "path", "text"),
    [
        ("security", "a.js", "eval(input)\n"),
        ("security", "a.tsx", "node.innerHTML = text;\n"),
        ("security", "deploy.sh", "curl https://x.example/i.sh | sh\n"),
        ("security", "Dockerfile", "RUN chmod -R 777 /srv\n"),
        ("security", "key.txt", "-----BEGIN RSA PRIVATE KEY-----\n"),
        ("correctness", "A.java", "try { f(); } catch (Exception e) {}\n"),
        ("correctness", "a.go", "// FIXME: handle err\n"),
        ("performance", "q.sql", "select * from orders;\n"),
    ],
)
def test_mistakes_in_other_languages_are_found(role, path, text):
    assert list(titles(path, text, role).values()) == [(1,)]


@pytest.mark.parametrize(
    ("role", "text"),
    [
        ("correctness", "try:\n    f()\nexcept:\n    undo()\n    raise\n"),
        ("correctness", "def f(a=None, b=()):\n    pass\n"),
        ("security", "eval('1 + 1')\n"),
        ("security", "api_key = 'your-key-here'\n"),
        ("security", "password = '<your password>'\n"),
        ("security", "subprocess.run(['ls'], check=True)\n"),
        ("security", "client = Client(api_key='emulated')\n"),
        ("performance", "for a in rows:\n    for b in columns:\n        f(a, b)\n"),
    ],
)
def test_what_is_no_mistake_is_not_reported(role, text):
    assert titles("app/a.py", text, role) == {}


def test_a_file_that_was_shown_in_part_is_not_called_invalid():
    assert titles("a.py", "x = 'yyyy [cut: 900 more characters]\n", "correctness") == {}


def test_odd_escapes_in_a_file_are_no_warning_of_ours():
    assert titles("a.py", "x = '\\d'\n", "correctness") == {}


def test_a_test_without_an_assertion_is_found_and_one_that_raises_is_not():
    text = "def test_a():\n    f()\n\n\ndef test_b():\n    with pytest.raises(ValueError):\n        f()\n"
    assert list(titles("tests/test_a.py", text, "tests").values()) == [(1,)]


def test_mistakes_in_test_code_rank_one_step_lower():
    (shipped,) = check_file("a.py", ["eval(text)"], "security")
    (tested,) = check_file("tests/test_a.py", ["eval(text)"], "security")
    assert (shipped.rule.severity, tested.rule.severity) == ("high", "medium")


def test_an_assertion_in_a_test_is_no_finding():
    assert titles("tests/test_a.py", "def test_a():\n    assert f()\n", "correctness") == {}


@pytest.mark.parametrize(
    "path", ["tests/a.py", "test_a.py", "a_test.go", "src/a.spec.ts", "conftest.py", "AppTests.swift"]
)
def test_tests_are_known_by_their_names(path):
    assert is_test(path)


@pytest.mark.parametrize("path", ["testing_tools.py", "latest.py", "src/contest.go", "attestation.rs"])
def test_other_names_are_no_tests(path):
    assert not is_test(path)
