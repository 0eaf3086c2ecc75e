"""The page's table of misses by place, as a browser of a phone's width shows it."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from typer.testing import CliRunner

from agentcache.cli.app import app
from tests.scenarios.stage import prose
from tests.scenarios.test_provenance import desk, ran_twice

if TYPE_CHECKING:  # as in conftest.py
    from playwright.sync_api import Browser

_SHOWN = "rows => rows.map(row => [...row.cells].map(cell => [cell.dataset.field, cell.innerText]))"


def test_the_place_the_variable_and_the_fix_can_be_read(chromium: Browser, tmp_path: Path) -> None:
    page_file, url = tmp_path / "report.html", f"sqlite:///{tmp_path}/ledger.db"
    files = {"static.j2": f"{{{{ who }}}} {prose('orders', 300)}"}
    agents = [desk(tmp_path / "p", files, who=who) for who in ("Ana", "Bo")]
    with ThreadPoolExecutor(1) as apart:  # an open browser holds the event loop of this thread
        apart.submit(asyncio.run, ran_twice(url, *agents)).result()
        words = ["report", "--db", url, "--format", "html", "-o", str(page_file)]
        told = apart.submit(CliRunner().invoke, app, words).result()
    assert told.exit_code == 0, told.output

    page = chromium.new_page(viewport={"width": 360, "height": 800})
    page.goto(page_file.as_uri())
    (row,) = [dict(cells) for cells in page.locator("#table-miss-places tbody tr").evaluate_all(_SHOWN)]
    width = page.evaluate("document.documentElement.scrollWidth")
    table = page.locator("#table-miss-places")
    headings = table.locator("thead th[scope=col]").all_inner_texts()
    caption = table.locator("caption").text_content()
    page.close()

    assert (row["cause"], row["place"], row["agent"]) == ("the prompt changed", "static, static", "desk")
    assert row["template"] == f"{tmp_path}/p/static.j2:1"
    assert (row["variables"], row["api"]) == ("who", "not asked")
    assert row["fix"] == "move `who` to a less stable layer"
    assert headings[-2:] == ["The API says", "What to do"]
    assert caption == "Where calls missed, and what to do"
    assert width <= 360
