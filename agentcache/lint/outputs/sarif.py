"""Findings as SARIF 2.1.0, which code scanning and editors read.

Only fields that the standard defines; columns count Unicode code points, as findings do. A fingerprint is stable
against shifted lines, so that an uploaded result is known again.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from urllib.parse import quote

from agentcache.lint.baseline import entry_of
from agentcache.lint.codes import CODES
from agentcache.lint.finding import Finding, Fix, Place
from agentcache.lint.outputs.result import LintResult, whole_message
from agentcache.lint.rules.rule import Rule
from agentcache.prompt.canonical import JsonObject, JsonValue
from agentcache.version import __version__

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
_LEVELS = {"error": "error", "warning": "warning", "info": "note"}


def as_sarif(result: LintResult, rules: Mapping[str, Rule]) -> str:
    """Return the log of one run, with the documentation of every rule that was found."""
    codes = sorted({item.code for item in result.findings})
    index = {code: number for number, code in enumerate(codes)}
    run: JsonObject = {
        "tool": {
            "driver": {
                "name": "agentcache",
                "semanticVersion": __version__,
                "rules": [_rule(code, rules.get(code)) for code in codes],
            }
        },
        "columnKind": "unicodeCodePoints",
        "results": [
            _result(item, index[item.code], fingerprint)
            for item, fingerprint in zip(result.findings, _fingerprints(result), strict=True)
        ],
    }
    return json.dumps({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2, ensure_ascii=True) + "\n"


def _rule(code: str, rule: Rule | None) -> JsonObject:
    mistake = CODES[code]
    described: JsonObject = {
        "id": code,
        "name": "".join(word.capitalize() for word in mistake.name.split("-")),
        "shortDescription": {"text": f"{code} {mistake.name}"},
        "defaultConfiguration": {"level": _LEVELS[mistake.severity]},
        "properties": {"tags": ["prompt-cache"]},
    }
    what, why = (mistake.fix, "") if rule is None else (rule.what, rule.why)
    described["fullDescription"] = {"text": what}
    described["help"] = {"text": "\n\n".join(part for part in (what, why, f"Fix: {mistake.fix}.") if part)}
    return described


def _result(finding: Finding, rule: int, fingerprint: str) -> JsonObject:
    told: JsonObject = {
        "ruleId": finding.code,
        "ruleIndex": rule,
        "level": _LEVELS[finding.severity],
        "message": {"text": whole_message(finding)},
        "locations": [_location(finding.place)],
        "partialFingerprints": {"agentcacheLine/v1": fingerprint},
        "properties": {"confidence": finding.confidence.value},
    }
    if finding.also:
        told["relatedLocations"] = [_location(place) for place in finding.also]
    if finding.edits is not None:
        told["fixes"] = [_fix(finding, finding.edits)]
    return told


def _location(place: Place) -> JsonObject:
    physical: JsonObject = {"artifactLocation": {"uri": _uri(place.path)}}
    if place.line is not None:
        region: JsonObject = {"startLine": place.line}
        if place.column is not None:
            region["startColumn"] = place.column
            if place.end_column is not None and place.end_column > place.column:
                region["endColumn"] = place.end_column
        physical["region"] = region
    return {"physicalLocation": physical}


def _uri(path: str) -> str:
    slashed = path.replace("\\", "/")
    return f"file://{quote(slashed)}" if slashed.startswith("/") else quote(slashed.removeprefix("./"))


def _fix(finding: Finding, fix: Fix) -> JsonObject:
    paths = sorted({edit.path for edit in fix.edits})
    changes: list[JsonValue] = [
        {
            "artifactLocation": {"uri": _uri(path)},
            "replacements": [
                {
                    "deletedRegion": {"charOffset": edit.start, "charLength": edit.end - edit.start},
                    "insertedContent": {"text": edit.text},
                }
                for edit in sorted(fix.edits, key=lambda edit: edit.start)
                if edit.path == path
            ],
        }
        for path in paths
    ]
    return {"description": {"text": finding.fix}, "artifactChanges": changes}


def _fingerprints(result: LintResult) -> Sequence[str]:
    """Return for each finding what it is known by: code, file, the line's text, and which of several alike it is."""
    seen: Counter[tuple[str, str, str]] = Counter()
    found = []
    for item in result.findings:
        entry = entry_of(item.code, item.place, result.texts, {})
        seen[entry] += 1
        known_by = f"{_uri(entry.path)}\n{entry.code}\n{entry.digest}\n{seen[entry]}"
        found.append(hashlib.sha256(known_by.encode("utf-8", "surrogatepass")).hexdigest()[:32])
    return found
