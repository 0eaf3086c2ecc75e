from __future__ import annotations

import json
import os
import select
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import jsonschema
import pytest
from typer.testing import Result

from tests.cli.test_explain import RULES, write_log
from tests.lint.outputs.test_machine_outputs import SARIF

Cli = Callable[..., Result]
WORDS = ("Answer kindly and briefly. " * 400).strip()


@pytest.fixture(autouse=True)
def prompts(team: Path) -> Path:
    """Two prompt directories: `clock` shows the time in line 3, `clean` has nothing to find."""
    (team / "team.py").unlink()  # its agents are linted elsewhere
    for name, text in (
        ("clock", f"You help.\n\nIt is {{{{ now() }}}}.\n\n{WORDS}\n"),
        ("clean", f"You help.\n{WORDS}\n"),
    ):
        write(team / "prompts" / name / "static.j2", text)
        write(team / "prompts" / name / "agent.toml", 'model = "claude-opus-5"\n[environment]\nglobals = ["now"]\n')
    return team


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode())


def found(result: Result) -> list[tuple[str, str, int]]:
    """Code, path and line of the findings that were printed as JSON."""
    return [(item["code"], item["path"], item["line"]) for item in json.loads(result.stdout)["findings"]]


CLOCK = [("PC001", "prompts/clock/static.j2", 3)]


def test_findings_are_told_with_their_line_and_end_with_1(cli: Cli) -> None:
    result = cli("lint")

    assert result.exit_code == 1
    assert "prompts/clock/static.j2:3:10: PC001 error clock-in-prefix" in result.stdout
    assert "  3 | It is {{ now() }}.\n    |          ^^^^^" in result.stdout
    assert result.stdout.endswith("2 prompts: 1 finding, 1 fixable with --fix\n")


def test_nothing_found_ends_with_0(cli: Cli) -> None:
    result = cli("lint", "prompts/clean")
    assert (result.exit_code, result.stdout) == (0, "1 prompt: nothing found\n")


def test_findings_may_end_with_0(cli: Cli) -> None:
    result = cli("lint", "--exit-zero")
    assert result.exit_code == 0
    assert "PC001" in result.stdout


def test_no_prompt_is_said(cli: Cli) -> None:
    result = cli("lint", "--format", "json", "prompts/clean/agent.toml", "prompts")
    assert json.loads(result.stdout)["prompts"] == 2
    Path("empty").mkdir()
    result = cli("lint", "empty")
    assert (result.exit_code, result.stderr) == (0, "agentcache: no prompt in empty\n")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["nowhere"], "nowhere does not exist"),
        (["--select", "PC9"], "the command line: no rule is called 'PC9'"),
        (["--ignore", "clock-in-prefx"], "did you mean 'clock-in-prefix'"),
        (["--baseline", "absent.json"], "the baseline absent.json cannot be read: No such file or directory"),
        (["--output", "absent/findings.txt"], "absent/findings.txt cannot be written: No such file or directory"),
        (["--log", "absent.jsonl"], "absent.jsonl"),
        (["prompts", "--log", "x"], "--log lints a request log; give no PATH"),
        (["--watch", "--fix"], "--watch prints findings again and again"),
    ],
    ids=lambda value: value if isinstance(value, str) else " ".join(value),
)
def test_what_cannot_run_is_one_sentence_and_ends_with_2(cli: Cli, words: list[str], sentence: str) -> None:
    result = cli("lint", *words)

    assert result.exit_code == 2
    assert sentence in result.stderr
    assert result.stderr.count("\n") == 1


def test_an_agent_toml_that_is_wrong_names_its_line(cli: Cli) -> None:
    write(Path("prompts/clean/agent.toml"), 'modle = "claude-opus-5"\n')
    result = cli("lint", "prompts/clean")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "prompts/clean/agent.toml, line 1: unknown key modle; did you mean model?" in result.stderr


def test_rules_are_selected_and_ignored(cli: Cli) -> None:
    assert found(cli("lint", "--select", "PC002,PC003", "--format", "json")) == []
    assert found(cli("lint", "--select", "PC002", "--select", "PC00", "--format", "json")) == CLOCK
    assert found(cli("lint", "--ignore", "clock-in-prefix", "--format", "json")) == []
    assert found(cli("lint", "--select", "PC002", "--extend-select", "PC001", "--format", "json")) == CLOCK


def test_settings_of_the_nearest_pyproject_hold(cli: Cli) -> None:
    write(Path("pyproject.toml"), '[tool.agentcache.lint]\nselect = ["PC002"]\n')
    write(Path("prompts/clock/pyproject.toml"), "[tool.other]\n")
    assert found(cli("lint", "--format", "json")) == []

    write(Path("prompts/clock/pyproject.toml"), '[tool.agentcache.lint]\nselect = ["PC001"]\n')
    assert found(cli("lint", "--format", "json")) == CLOCK


def test_the_command_line_goes_over_select_and_adds_to_the_rest(cli: Cli) -> None:
    write(Path("pyproject.toml"), '[tool.agentcache.lint]\nselect = ["PC002"]\nignore = ["PC009"]\n')
    assert found(cli("lint", "--select", "PC001", "--format", "json")) == CLOCK
    assert found(cli("lint", "--extend-select", "PC001", "--format", "json")) == CLOCK
    assert found(cli("lint", "--extend-select", "PC001", "--ignore", "PC001", "--format", "json")) == []


def test_patterns_of_paths_are_those_of_the_settings_folder(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    write(Path("pyproject.toml"), '[tool.agentcache.lint.per-file-ignores]\n"prompts/clock/*" = ["PC001"]\n')
    assert cli("lint").exit_code == 0
    monkeypatch.chdir("prompts/clock")
    assert cli("lint").exit_code == 0
    write(Path("../../pyproject.toml"), '[tool.agentcache.lint]\nexclude = ["clock"]\n')
    assert cli("lint", "..").stdout == "1 prompt: nothing found\n"


def test_what_is_excluded_is_not_read_and_so_never_broken(cli: Cli) -> None:
    write(Path("prompts/clock/agent.toml"), "model = \n")
    assert cli("lint").exit_code == 2
    write(Path("pyproject.toml"), '[tool.agentcache.lint]\nexclude = ["clock"]\n')
    assert cli("lint").exit_code == 0


def test_tools_that_cannot_be_read_are_told_of_whatever_is_looked_for(cli: Cli) -> None:
    write(Path("prompts/clock/tools.json"), "[{]\n")
    assert found(cli("lint", "--select", "PC014", "--format", "json")) == [("PC000", "prompts/clock/tools.json", 1)]


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ('selct = ["PC001"]', "no setting is called 'selct'; did you mean 'select'?"),
        ('select = "PC001"', """'select' is 'PC001'; write a list of texts, as ["PC001"]"""),
        ('ignore = ["PC9"]', "no rule is called 'PC9'"),
        ('per-file-ignores = ["PC001"]', "'per-file-ignores' is ['PC001']; write a table"),
        ('output-format = "xml"', "'output-format' is 'xml'; write one of: text, json, sarif, github"),
        ("baseline = 1", "'baseline' is 1; write a text in quotes"),
    ],
)
def test_a_wrong_setting_names_the_file_and_the_remedy(cli: Cli, settings: str, sentence: str) -> None:
    write(Path("pyproject.toml"), f"[tool.agentcache.lint]\n{settings}\n")
    result = cli("lint")

    assert result.exit_code == 2
    assert "[tool.agentcache.lint] in " in result.stderr
    assert sentence in result.stderr


def test_other_commands_take_no_notice_of_the_linters_settings(cli: Cli) -> None:
    write(Path("pyproject.toml"), '[tool.agentcache.lint]\nselect = ["PC001"]\n[tool.agentcache]\nmax_usd = "1"\n')
    result = cli("report")
    assert "lint" not in result.stderr


def test_the_format_may_stand_in_the_settings(cli: Cli) -> None:
    write(Path("pyproject.toml"), '[tool.agentcache.lint]\noutput-format = "json"\n')
    assert found(cli("lint")) == CLOCK
    assert cli("lint", "--format", "text").stdout.startswith("prompts/clock/static.j2:3")


def test_a_comment_with_a_reason_ignores_and_is_counted(cli: Cli) -> None:
    write(Path("prompts/clock/static.j2"), "{# agentcache: ignore PC001 a demo #}\n{{ now() }}\n" + WORDS)
    result = cli("lint", "prompts/clock")
    assert (result.exit_code, result.stdout) == (0, "1 prompt: nothing found (1 finding ignored by comments)\n")


def test_an_unused_comment_is_found_and_fixed(cli: Cli) -> None:
    write(Path("prompts/clean/static.j2"), f"You help.\n{{# agentcache: ignore PC001 a demo #}}\n{WORDS}\n")
    assert found(cli("lint", "prompts/clean", "--format", "json")) == [("PC100", "prompts/clean/static.j2", 2)]
    assert cli("lint", "prompts/clean", "--fix").exit_code == 0
    assert Path("prompts/clean/static.j2").read_text() == f"You help.\n{WORDS}\n"


def test_a_baseline_knows_what_was_there_and_lines_may_shift(cli: Cli) -> None:
    written = cli("lint", "--write-baseline", "known.json")
    assert (written.exit_code, written.stderr) == (0, "known.json: 1 finding known from now on\n")
    text = Path("prompts/clock/static.j2").read_text()
    write(Path("prompts/clock/static.j2"), f"Words.\n{text}")

    assert cli("lint", "--baseline", "known.json").stdout == "2 prompts: nothing found (1 finding in the baseline)\n"
    write(Path("prompts/clock/static.j2"), f"It is {{{{ now() }}}}, too.\n{text}")
    assert found(cli("lint", "--baseline", "known.json", "--format", "json")) == [
        ("PC001", "prompts/clock/static.j2", 1)
    ]


def test_a_baseline_of_the_settings_holds_from_any_folder(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    write(Path("pyproject.toml"), '[tool.agentcache.lint]\nbaseline = "known.json"\n')
    assert cli("lint").exit_code == 2
    assert cli("lint", "--write-baseline", "known.json").exit_code == 0
    assert cli("lint").exit_code == 0
    monkeypatch.chdir("prompts/clock")
    assert cli("lint").exit_code == 0


def test_a_fix_is_shown_and_written_and_removes_its_finding(cli: Cli) -> None:
    before = Path("prompts/clock/static.j2").read_text()
    shown = cli("lint", "--diff")
    assert "-It is {{ now() }}.\n" in shown.stdout
    assert "+++ b/prompts/clock/" in shown.stdout
    assert Path("prompts/clock/static.j2").read_text() == before

    result = cli("lint", "--fix")
    assert result.exit_code == 0
    assert "1 finding fixed in 2 files\n" in result.stderr
    assert "now()" not in Path("prompts/clock/static.j2").read_text()
    assert cli("lint").exit_code == 0


def test_fixing_keeps_line_ends_and_the_byte_order_mark(cli: Cli) -> None:
    path = Path("prompts/clean/static.j2")
    path.write_bytes(b"\xef\xbb\xbfYou help.\n{# agentcache: ignore PC001 a demo #}\nBe kind.\n" + WORDS.encode())
    assert cli("lint", "prompts/clean", "--fix").exit_code == 0
    assert path.read_bytes() == b"\xef\xbb\xbfYou help.\nBe kind.\n" + WORDS.encode()


def test_statistics(cli: Cli) -> None:
    result = cli("lint", "--statistics")
    assert "    1  PC001  clock-in-prefix" in result.stdout
    assert json.loads(cli("lint", "--statistics", "--format", "json").stdout)["statistics"][0]["code"] == "PC001"


def test_sarif_goes_to_a_file_and_the_sum_to_stderr(cli: Cli) -> None:
    result = cli("lint", "--format", "sarif", "--output", "findings.sarif")

    document = json.loads(Path("findings.sarif").read_text())
    jsonschema.validate(document, SARIF)
    assert [item["ruleId"] for item in document["runs"][0]["results"]] == ["PC001"]
    assert (result.stdout, result.stderr) == ("", "2 prompts: 1 finding, 1 fixable with --fix\n")


def test_github_annotations(cli: Cli) -> None:
    result = cli("lint", "--format", "github")
    assert result.stdout.startswith("::error file=prompts/clock/static.j2,line=3,endLine=3,col=10,")


def test_a_python_file_is_read_and_not_run(cli: Cli) -> None:
    write(
        Path("team.py"),
        "from agentcache import Agent, Prompt\nopen('was-run', 'w')\n"
        f"one = Agent(name='one', model='claude-opus-5', prompt=Prompt(static='It is {{{{ now() }}}}. {WORDS}'))\n",
    )
    assert ("PC001", "team.py", 3) in found(cli("lint", "team.py", "--format", "json"))
    assert not Path("was-run").exists()


def test_a_request_log_is_linted(cli: Cli) -> None:
    systems = [f"Now: 10:2{minute}\n{RULES}" for minute in range(3)]
    write_log(Path("requests.jsonl"), systems, read=[0, 0, 0])
    result = cli("lint", "--log", "requests.jsonl", "--format", "json")

    assert result.exit_code == 1
    assert "PC001" in {item["code"] for item in json.loads(result.stdout)["findings"]}
    assert cli("lint", "--log", "requests.jsonl", "--select", "PC056").stdout == "requests.jsonl: nothing found\n"


@pytest.fixture
def watcher(prompts: Path) -> Iterator[subprocess.Popen[bytes]]:
    """`agentcache lint --watch` as a process of its own."""
    command = [sys.executable, "-c", "from agentcache.cli import main; main()", "lint", "prompts", "--watch"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=prompts) as process:
        yield process
        process.kill()


def _until(process: subprocess.Popen[bytes], words: str) -> str:
    """Return what is printed until `words` are among it."""
    told, pipe = b"", process.stdout
    assert pipe is not None
    while words.encode() not in told:
        ready, _, _ = select.select([pipe], [], [], 60)
        assert ready, f"no {words!r} in {told!r}"
        told += os.read(pipe.fileno(), 4096)
    return told.decode()


def test_watching_tells_again_when_a_file_changes_and_outlives_errors(watcher: subprocess.Popen[bytes]) -> None:
    assert "PC001" in _until(watcher, "2 prompts: ")
    write(Path("prompts/clock/static.j2"), "Sort the letters by sender. " * 400 + "Done.\n")
    assert "--- prompts/clock/static.j2" in _until(watcher, "2 prompts: nothing found")
    write(Path("prompts/clock/agent.toml"), "modle = 1\n")
    assert "unknown key modle" in _until(watcher, "unknown key")
    (Path("prompts/clock/agent.toml")).unlink()
    write(Path("prompts/new/static.j2"), "It is {{ now() }}.\n" + WORDS)
    assert "prompts/new/static.j2:1" in _until(watcher, "PC001")
