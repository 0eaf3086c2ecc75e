"""Every code block of docs/testing.md and docs/faults.md runs as it stands there: modules, tests, and a script."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import anthropic  # noqa: F401  # loaded here, or every inner run would load it anew
import pytest

pytest_plugins = ["pytester"]

PAGES = [Path(__file__).parents[2] / "docs" / name for name in ("testing.md", "faults.md")]
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def files() -> dict[str, str]:
    """Return the code blocks by the file name in their first line."""
    named = {}
    for language, code in BLOCK.findall("\n".join(page.read_text(encoding="utf-8") for page in PAGES)):
        name = re.match(r"# (\w+\.py)\n", code)
        assert language == "python", f"a block of {language or 'no language'} that no test runs:\n{code}"
        assert name is not None, f"a block without a file name that no test runs:\n{code}"
        assert name[1] not in named, f"two blocks are called {name[1]}"
        named[name[1]] = code
    return named


def test_every_block_runs(pytester: pytest.Pytester) -> None:
    blocks = files()
    for name, code in blocks.items():
        (pytester.path / name).write_text(code, encoding="utf-8")
    tests = sum(len(re.findall(r"^async def test_", code, re.MULTILINE)) for code in blocks.values())
    assert tests >= 4

    pytester.makeini("[pytest]\nasyncio_mode = auto\nasyncio_default_fixture_loop_scope = function")
    # Not hypothesis: its plugin would be loaded anew and take longer than all the rest.
    inner = pytester.runpytest_inprocess("-p", "no:cacheprovider", "-p", "no:hypothesispytest", "-W", "error")
    inner.assert_outcomes(passed=tests)

    scripts = [name for name in blocks if name.startswith("check")]
    assert scripts
    for name in scripts:
        assert pytester.run(sys.executable, "-W", "error", name).ret == 0


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_stays_two_pages(page: Path) -> None:
    lines = page.read_text(encoding="utf-8").splitlines()
    assert len(lines) <= 160
    assert max(map(len, lines)) <= 120
