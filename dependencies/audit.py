"""Asks a vulnerability database about pinned versions: `python -m dependencies.audit constraints.txt`.

pip-audit does the asking. Alone it says "No known vulnerabilities found" and succeeds where its source knows none of
the versions, so each source is first asked about a version that is known to be vulnerable: one that finds nothing there
is no source. Without any the end is 2, after saying that nothing was audited; 1 means that something was found.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NotRequired, TypedDict

SOURCES = ("pypi", "osv")
"""As pip-audit names them, in the order in which they are tried."""

KNOWN_TO_BE_VULNERABLE = "jinja2==2.4.1"
"""CVE-2016-10745 and CVE-2019-10906: ways out of its sandbox."""


class Vulnerability(TypedDict):
    """One advisory of a version."""

    id: str


class Audited(TypedDict):
    """One requirement in pip-audit's JSON: either looked at or passed over."""

    name: str
    version: NotRequired[str]
    vulns: NotRequired[list[Vulnerability]]
    skip_reason: NotRequired[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """What a source said: a line for each vulnerable version, and one for each that it does not know."""

    vulnerable: list[str]
    passed_over: list[str]


def findings(audited: Sequence[Audited]) -> Findings:
    """Return what a source said of requirements; a version without a list of vulnerabilities was passed over."""
    return Findings(
        vulnerable=[
            f"{each['name']} {each.get('version')}: {', '.join(one['id'] for one in each['vulns'])}"
            for each in audited
            if each.get("vulns")
        ],
        passed_over=[
            f"{each['name']}: {each.get('skip_reason', 'not looked at')}" for each in audited if "vulns" not in each
        ],
    )


def ask(source: str, requirements: Path) -> Findings | None:
    """Return the findings of a source about pinned requirements, `None` where it does not answer."""
    options = ["--vulnerability-service", source, "--format", "json", "--progress-spinner", "off"]
    exact = ["--no-deps", "--disable-pip", "--requirement", str(requirements)]
    command = [sys.executable, "-m", "pip_audit", *options, *exact]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    # It ends with 1 for what it found and for a source that it cannot reach; only the former has written something.
    return findings(json.loads(done.stdout)["dependencies"]) if done.stdout.strip() else None


def source_that_knows(sources: Sequence[str] = SOURCES) -> str | None:
    """Return the first source that knows what is known to be vulnerable, `None` where none does."""
    with TemporaryDirectory() as directory:
        canary = Path(directory, "requirements.txt")
        canary.write_text(KNOWN_TO_BE_VULNERABLE, encoding="utf-8")
        answers = ((source, ask(source, canary)) for source in sources)
        return next((source for source, found in answers if found is not None and found.vulnerable), None)


def audit(requirements: Path) -> int:
    """Print what is known of pinned requirements, and return how the process is to end."""
    source = source_that_knows()
    found = None if source is None else ask(source, requirements)
    if found is None:
        print("No advisory source can be reached from here: nothing was audited.", file=sys.stderr)
        return 2
    print(*found.vulnerable, *found.passed_over, sep="\n")
    if found.passed_over:
        print(f"{source} knows nothing of {len(found.passed_over)} pins: those were not audited.", file=sys.stderr)
        return 2
    print(f"{len(found.vulnerable)} pinned versions have known vulnerabilities, says {source}.")
    return 1 if found.vulnerable else 0


if __name__ == "__main__":
    sys.exit(audit(Path(sys.argv[1])))
