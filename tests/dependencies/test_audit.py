"""An audit that nobody could answer is no clean bill of health.

pip-audit is played by a script that says what it says: with sources that know everything, that know nothing of what
they are asked, and that cannot be reached.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

PIP_AUDIT = """
import json, os, sys
from pathlib import Path

known = json.loads(os.environ["KNOWN"])[sys.argv[sys.argv.index("--vulnerability-service") + 1]]
if known is None:
    sys.exit("cannot reach it")

def answer(line):
    name, version = line.split("==")
    if version not in known.get(name, {}):
        return {"name": name, "skip_reason": f"not found: {name} ({version})"}
    return {"name": name, "version": version, "vulns": [{"id": each} for each in known[name][version]]}

lines = Path(sys.argv[sys.argv.index("--requirement") + 1]).read_text().split()
print(json.dumps({"dependencies": [answer(line) for line in lines], "fixes": []}))
"""
CANARY = {"jinja2": {"2.4.1": ["CVE-2019-10906"]}}


@pytest.fixture
def audit(tmp_path: Path):
    (tmp_path / "pip_audit.py").write_text(PIP_AUDIT)
    (tmp_path / "constraints.txt").write_text("rich==15.0.0\nclick==8.5.1\n")

    def run(**known: object) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}", "KNOWN": json.dumps(known)}
        command = [sys.executable, "-m", "dependencies.audit", str(tmp_path / "constraints.txt")]
        return subprocess.run(command, check=False, capture_output=True, text=True, env=environment)

    return run


def test_nothing_was_audited_where_no_source_answers(audit):
    done = audit(pypi=None, osv=None)

    assert done.returncode == 2
    assert done.stderr == "No advisory source can be reached from here: nothing was audited.\n"


def test_nothing_was_audited_where_a_source_answers_and_knows_nothing(audit):
    assert audit(pypi={}, osv=None).returncode == 2


def test_a_source_that_does_not_know_what_is_known_to_be_vulnerable_is_passed_by(audit):
    harmless: dict[str, object] = {"rich": {"15.0.0": []}, "click": {"8.5.1": []}}

    done = audit(pypi={"jinja2": {"2.4.1": []}, **harmless}, osv={**CANARY, **harmless})

    assert done.returncode == 0
    assert done.stdout.endswith("0 pinned versions have known vulnerabilities, says osv.\n")


def test_a_vulnerable_pin_is_named_with_its_advisory(audit):
    done = audit(pypi={**CANARY, "rich": {"15.0.0": ["CVE-1"]}, "click": {"8.5.1": []}}, osv=None)

    assert done.returncode == 1
    assert "rich 15.0.0: CVE-1" in done.stdout


def test_pins_that_a_source_does_not_know_were_not_audited(audit):
    done = audit(pypi={**CANARY, "rich": {"15.0.0": []}}, osv=None)

    assert done.returncode == 2
    assert "click: not found: click (8.5.1)" in done.stdout
    assert done.stderr == "pypi knows nothing of 1 pins: those were not audited.\n"
