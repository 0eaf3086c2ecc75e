"""A real Chromium that opens pages: Debian's package, never a download of playwright's."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """A browser; skipped where the machine has none, which in CI is a failure."""
    path = os.environ.get("AGENTCACHE_TEST_CHROMIUM") or shutil.which("chromium")
    if path is None:
        if os.environ.get("CI"):
            pytest.fail("there is no chromium, and CI must test pages in one (apt-get install chromium)")
        pytest.skip("there is no chromium to open the page in (apt-get install chromium)")
    # Every process of the suite reads this file, and few open a page.
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        # A container's root cannot make Chromium's sandbox; the page is our own.
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()
