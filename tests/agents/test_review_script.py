"""The review team's offline script: it answers from what the tools really said."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from agents.offline.report import SCRIPT_NOTICE
from agents.offline.script import emulated_replies
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


def functions(*branches: int) -> str:
    return "\n".join(f"def f{index}(x):\n" + "    if x:\n        x = 1\n" * many for index, many in enumerate(branches))


def test_a_directory_without_tests_is_told_so_once_and_the_places_with_most_cases_are_named(tmp_path):
    files = {"app/__init__.py": "", "app/a.py": functions(6, 2, 9), "app/b.py": functions(3), "notes.md": "x"}
    tree = project(tmp_path, files)
    answer, rounds = play(tree, "tests", batch("app/__init__.py", "app/a.py", "app/b.py"))
    assert rounds == [["read_file"] * 3, ["list_files"]]
    assert [(item["file"], item["line"], item["severity"]) for item in answer["findings"]] == [
        ("app/__init__.py", 1, "low"),
        ("app/a.py", 21, "low"),
        ("app/a.py", 1, "low"),
    ]
    assert "Here: 3 files of code, none of them a test." in answer["findings"][0]["explanation"]
    assert "Here: `f2` has 9 branches and 0 `raise`." in answer["findings"][1]["explanation"]


def test_of_many_batches_one_says_that_there_are_no_tests_and_each_names_few_places(tmp_path):
    files = {f"m{number:02}.py": functions(7, 8) for number in range(48)}
    tree = project(tmp_path, files)
    answers = [play(tree, "tests", batch(*list(files)[start : start + 12]))[0] for start in range(0, 48, 12)]
    titles = [[item["title"] for item in answer["findings"]] for answer in answers]
    assert [found.count("The directory holds no tests") for found in titles] == [1, 0, 0, 0]
    named = sum(found.count("No test in sight exercises the functions with most cases") for found in titles)
    assert named == 4 * 3  # of a whole directory ten, shared out and rounded up


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


def test_places_in_one_file_count_as_places():
    report = edit([finding(explanation="Why. Also in lines 5, 9 and 3 more."), finding(file="b.py")])
    assert "| 1 | high | `a.py:3` and 6 more |" in report


def test_one_cause_names_a_few_places_and_counts_the_rest():
    report = edit([finding(line=line) for line in range(1, 31)])
    assert "Further places: " + ", ".join(f"`a.py:{line}`" for line in range(2, 9)) + " and 22 more." in report


def test_the_place_where_most_was_counted_leads_and_the_others_say_their_number():
    counts = {"a.py": 6, "b.py": 14, "c.py": 9}
    findings = [
        finding(file=name, explanation=f"Why. Here: `f1` has {many} branches.") for name, many in counts.items()
    ]
    report = edit(findings)
    assert "**high** · `b.py:3`" in report
    assert "Further places: `c.py:3` (`f1` has 9 branches), `a.py:3` (`f1` has 6 branches)." in report


def test_of_the_untested_functions_the_ten_with_most_cases_are_kept_and_the_rest_counted():
    title = "No test in sight exercises the functions with most cases"
    gaps = [
        finding(title=title, line=many, explanation=f"Why. Here: `f` has {many} branches.") for many in range(6, 19)
    ]
    report = edit(gaps)
    assert "`a.py:18` and 9 more" in report
    assert "- 3 functions without a test, with fewer cases than those named, left out" in report


def test_a_cause_in_many_places_comes_before_another_of_its_severity():
    report = edit([finding(title="Once"), finding(title="Twice", line=1), finding(title="Twice", line=2)])
    assert report.index("### 1. Twice") < report.index("### 2. Once")


@pytest.mark.parametrize(
    ("findings", "opening"),
    [
        ([finding()], "The checks report 1 finding with 1 cause: 1 high."),
        ([finding(), finding(line=4)], "The checks report 2 findings with 1 cause: 2 high."),
        ([finding(), finding(title="B", severity="low")], "The checks report 2 findings with 2 causes: 1 high, 1 low."),
    ],
)
def test_the_opening_counts_in_the_right_number(findings, opening):
    assert opening in edit(findings)


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
    assert report.count("\n### ") == 20
    assert "The other 20 causes stand in the table alone." in report


def test_what_was_not_checked_or_left_out_stands_in_the_report():
    report = edit([], not_checked=("tests: gone.py: no such file",), left_out=4)
    assert "- tests: gone.py: no such file" in report
    assert "- 4 findings were left out for length" in report
