from __future__ import annotations

import json
import re
from decimal import Decimal
from typing import Any

import jsonschema
from hypothesis import given
from hypothesis import strategies as st

from agentcache.lint.codes import CODES
from agentcache.lint.finding import Edit, Finding, Fix, Loss, Place
from agentcache.lint.outputs.github import as_github
from agentcache.lint.outputs.json import as_json
from agentcache.lint.outputs.result import LintResult
from agentcache.lint.outputs.sarif import as_sarif
from agentcache.lint.outputs.statistics import count_rows, statistics_text
from agentcache.lint.rules import RULES
from tests.lint.findings import finding

PATH = "p/static.j2"
TEXT = "# Help\nIt is {{ now() }}.\n"
FIX = Fix(
    edits=(Edit(path=PATH, start=7, end=25, text=""), Edit(path="p/turn.j2", start=0, end=0, text="x")), safe=False
)
FOUND = finding(line=2, column=7, end_column=18, edits=FIX, also=(Place(path=PATH, line=1),))

_TEXT = {"type": "object", "required": ["text"], "properties": {"text": {"type": "string", "minLength": 1}}}
_ARTIFACT = {
    "type": "object",
    "required": ["uri"],
    "properties": {"uri": {"type": "string", "pattern": r"^[A-Za-z0-9._~/:%@!$&'()*+,;=-]+$"}},
    "additionalProperties": False,
}
_LOCATION = {
    "type": "object",
    "required": ["physicalLocation"],
    "additionalProperties": False,
    "properties": {
        "physicalLocation": {
            "type": "object",
            "required": ["artifactLocation"],
            "additionalProperties": False,
            "properties": {
                "artifactLocation": _ARTIFACT,
                "region": {
                    "type": "object",
                    "required": ["startLine"],
                    "additionalProperties": False,
                    "properties": {
                        name: {"type": "integer", "minimum": 1} for name in ("startLine", "startColumn", "endColumn")
                    },
                },
            },
        }
    },
}
_LEVEL = {"enum": ["none", "note", "warning", "error"]}
_RULE = {
    "type": "object",
    "required": ["id", "name", "shortDescription", "fullDescription", "help", "defaultConfiguration"],
    "properties": {
        "id": {"enum": list(CODES)},
        "name": {"type": "string", "pattern": "^[A-Z][A-Za-z0-9]+$"},
        "shortDescription": _TEXT,
        "fullDescription": _TEXT,
        "help": _TEXT,
        "defaultConfiguration": {"type": "object", "properties": {"level": _LEVEL}, "additionalProperties": False},
        "properties": {"type": "object"},
    },
    "additionalProperties": False,
}
_REPLACEMENT = {
    "type": "object",
    "required": ["deletedRegion"],
    "additionalProperties": False,
    "properties": {
        "deletedRegion": {
            "type": "object",
            "required": ["charOffset", "charLength"],
            "additionalProperties": False,
            "properties": {name: {"type": "integer", "minimum": 0} for name in ("charOffset", "charLength")},
        },
        "insertedContent": {
            "type": "object",
            "properties": {"text": {"type": "string"}},
            "additionalProperties": False,
        },
    },
}
_FIX = {
    "type": "object",
    "required": ["artifactChanges"],
    "additionalProperties": False,
    "properties": {
        "description": _TEXT,
        "artifactChanges": {
            "type": "array",
            "minItems": 1,
            "items": {
                "type": "object",
                "required": ["artifactLocation", "replacements"],
                "additionalProperties": False,
                "properties": {
                    "artifactLocation": _ARTIFACT,
                    "replacements": {"type": "array", "minItems": 1, "items": _REPLACEMENT},
                },
            },
        },
    },
}
_RESULT = {
    "type": "object",
    "required": ["ruleId", "message", "locations", "partialFingerprints"],
    "additionalProperties": False,
    "properties": {
        "ruleId": {"enum": list(CODES)},
        "ruleIndex": {"type": "integer", "minimum": 0},
        "level": _LEVEL,
        "message": _TEXT,
        "locations": {"type": "array", "minItems": 1, "items": _LOCATION},
        "relatedLocations": {"type": "array", "items": _LOCATION},
        "partialFingerprints": {"type": "object", "additionalProperties": {"type": "string"}},
        "properties": {"type": "object"},
        "fixes": {"type": "array", "items": _FIX},
    },
}
SARIF = {
    "type": "object",
    "required": ["version", "runs", "$schema"],
    "additionalProperties": False,
    "properties": {
        "$schema": {"type": "string"},
        "version": {"const": "2.1.0"},
        "runs": {
            "type": "array",
            "minItems": 1,
            "items": {
                "type": "object",
                "required": ["tool", "results"],
                "additionalProperties": False,
                "properties": {
                    "tool": {
                        "type": "object",
                        "required": ["driver"],
                        "additionalProperties": False,
                        "properties": {
                            "driver": {
                                "type": "object",
                                "required": ["name"],
                                "additionalProperties": False,
                                "properties": {
                                    "name": {"type": "string", "minLength": 1},
                                    "semanticVersion": {"type": "string"},
                                    "rules": {"type": "array", "uniqueItems": True, "items": _RULE},
                                },
                            }
                        },
                    },
                    "columnKind": {"enum": ["utf16CodeUnits", "unicodeCodePoints"]},
                    "results": {"type": "array", "items": _RESULT},
                },
            },
        },
    },
}
"""What SARIF 2.1.0 requires and allows of the parts that are written, in the words of its schema."""


def sarif(*findings: Finding, texts: dict[str, str] | None = None) -> Any:
    """Return the log, held against the schema."""
    document = json.loads(as_sarif(LintResult(findings=findings, texts=texts or {PATH: TEXT}, agents=1), RULES))
    jsonschema.Draft7Validator.check_schema(SARIF)
    jsonschema.validate(document, SARIF)
    return document["runs"][0]


def fingerprints(run: Any) -> list[object]:
    return [result["partialFingerprints"] for result in run["results"]]


def test_a_sarif_result_has_its_rule_place_fix_and_fingerprint() -> None:
    run = sarif(FOUND)
    [result] = run["results"]
    [rule] = run["tool"]["driver"]["rules"]

    assert (result["ruleId"], result["level"], rule["id"]) == ("PC001", "error", "PC001")
    assert result["locations"][0]["physicalLocation"] == {
        "artifactLocation": {"uri": PATH},
        "region": {"startLine": 2, "startColumn": 7, "endColumn": 18},
    }
    assert [change["artifactLocation"]["uri"] for change in result["fixes"][0]["artifactChanges"]] == [
        PATH,
        "p/turn.j2",
    ]
    assert "put the time in the newest user turn" in rule["help"]["text"]


def test_every_code_makes_valid_sarif_and_each_result_points_at_its_rule() -> None:
    run = sarif(*(finding(code, line=number or None) for number, code in enumerate(CODES)))
    rules = run["tool"]["driver"]["rules"]
    assert [rules[result["ruleIndex"]]["id"] for result in run["results"]] == list(CODES)


def test_nothing_found_is_a_run_without_results() -> None:
    assert sarif()["results"] == []


def test_a_fingerprint_survives_lines_that_shift_and_tells_copies_apart() -> None:
    before = sarif(finding(line=2))
    shifted = sarif(finding(line=4), texts={PATH: "New.\n\n" + TEXT})
    copies = sarif(finding(line=2), finding(line=3), texts={PATH: f"{TEXT}It is {{{{ now() }}}}."})

    assert fingerprints(before) == fingerprints(shifted)
    assert len({str(each) for each in fingerprints(copies)}) == 2


def test_paths_are_uris() -> None:
    [result] = sarif(finding(path="./a b/ü#1.j2"))["results"]
    assert result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == "a%20b/%C3%BC%231.j2"


def test_a_github_annotation() -> None:
    result = LintResult(findings=(FOUND, finding("PC048", line=None), finding("PC056", line=3)), agents=1)
    lines = as_github(result).splitlines()

    assert lines[0].startswith(
        "::error file=p/static.j2,line=2,endLine=2,col=7,endColumn=17,title=PC001 clock-in-prefix::the time of day"
    )
    assert lines[1].startswith("::warning file=p/static.j2,title=PC048 below-minimum::")
    assert lines[2].startswith("::notice file=p/static.j2,line=3,endLine=3,title=PC056")


def test_what_a_workflow_would_read_as_a_command_is_escaped() -> None:
    found = finding(path="a,b:c%.j2", message="50 %\n::error::owned\x1b[2J")
    [line] = as_github(LintResult(findings=(found,), agents=1)).splitlines()

    assert "file=a%2Cb%3Ac%25.j2," in line
    assert "::50 %25%0A::error::owned\\x1b[2J" in line


@given(st.text(), st.text(min_size=1))
def test_whatever_is_found_is_one_annotation(message: str, path: str) -> None:
    text = as_github(LintResult(findings=(finding(message=message, path=path),), agents=1))

    assert text.count("\n") == 1
    assert re.fullmatch(r"::error file=[^,:\n]*,line=1,endLine=1,title=PC001 clock-in-prefix::[^\n]*\n", text)


def test_json_has_the_finding_as_other_commands_print_it() -> None:
    priced = finding(loss=Loss(tokens=10, usd=Decimal("0.50")))
    document = json.loads(as_json(LintResult(findings=(priced,), texts={PATH: TEXT}, agents=1, ignored=2, known=3)))

    assert document["findings"] == [priced.to_json()]
    assert document["findings"][0]["lost_usd_per_1000_calls"] == "0.50"
    assert (document["prompts"], document["files"], document["ignored"], document["in_baseline"]) == (1, 1, 2, 3)
    assert "statistics" not in document


def test_statistics_sum_up_by_code_the_most_frequent_first() -> None:
    found = (
        finding("PC002", loss=Loss(tokens=5, usd=None)),
        finding("PC001", loss=Loss(tokens=1_000, usd=Decimal("1.25")), edits=Fix(edits=(), safe=True)),
        finding("PC001", path="q.j2", loss=Loss(tokens=500, usd=Decimal("0.25"))),
    )
    result = LintResult(findings=found, agents=1)

    first, second = count_rows(result)
    assert (first.code, first.count, first.files, first.fixable) == ("PC001", 2, 2, 1)
    assert (first.lost_tokens_per_1000_calls, first.lost_usd_per_1000_calls) == (1_500, Decimal("1.50"))
    assert (second.code, second.lost_usd_per_1000_calls) == ("PC002", None)
    assert json.loads(as_json(result, statistics=True))["statistics"][0]["lost_usd_per_1000_calls"] == "1.50"
    assert statistics_text(result) == (
        "count  code   name             files  fixable  tokens/1,000 calls  $/1,000 calls\n"
        "    2  PC001  clock-in-prefix      2        1               1,500           1.50\n"
        "    1  PC002  date-in-prefix       1        0                   5\n"
    )
    assert statistics_text(LintResult()) == ""
