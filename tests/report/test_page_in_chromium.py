"""The page of a report as a browser shows it: opened from a file, its numbers read back from what can be seen."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import pytest
from typer.testing import CliRunner

from agentcache.cli import app
from agentcache.stores.opening import open_ledger
from tests.report.spending import Spending, team

if TYPE_CHECKING:  # as in conftest.py
    from playwright.sync_api import Browser, Page, Route

Scheme: TypeAlias = Literal["light", "dark"]

ROUNDED = {"read_share", "saved_s"}
"""Fields that a cell rounds to read well; its `data` element has them exactly."""


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "ledger.db"
    with ThreadPoolExecutor(1) as apart:
        apart.submit(asyncio.run, _write(path, team())).result()
    return path


@pytest.fixture(scope="module")
def page_file(ledger: Path) -> Path:
    path = ledger.with_name("report.html")
    _report(ledger, "--format", "html", "-o", str(path))
    return path


@pytest.fixture(scope="module")
def page(chromium: Browser, page_file: Path) -> Iterator[Page]:
    """The page with its tables opened as a reader opens them."""
    opened = chromium.new_page()
    opened.goto(page_file.as_uri())
    for summary in opened.locator("section > details:not(.run) > summary").all():
        summary.click()
    yield opened
    opened.close()


@pytest.mark.parametrize(
    ("table", "by"),
    [
        ("agents", "agent"),
        ("tokens", "agent"),
        ("read-share", "agent"),
        ("waste", "agent"),
        ("tools", "tool"),
        ("layers", "layer"),
    ],
)
def test_tables_show_the_numbers_of_the_json_report(page: Page, ledger: Path, table: str, by: str) -> None:
    told = json.loads(_report(ledger, "--by", by, "--format", "json"))
    shown = _rows(page, f"#table-{table}")

    assert len(shown) == len(told["rows"]) + 1
    for row, json_row in zip(shown, [*told["rows"], told["total"]], strict=True):
        for field, (text, exact) in row.items():
            value = _at(json_row, field)
            assert exact == ("" if value is None else str(value))
            if value is not None and field not in ROUNDED:
                assert text.replace(",", "").removeprefix("$") == str(value)


def test_the_page_holds_the_report_json(page: Page, ledger: Path) -> None:
    embedded = json.loads(page.locator("#report").text_content() or "")

    assert embedded.keys() == {"agent", "model", "run", "tool", "layer"}
    for by in ("agent", "model", "run", "tool", "layer"):
        assert embedded[by] == json.loads(_report(ledger, "--by", by, "--format", "json"))


def test_the_dearest_run_shows_what_it_cost(page: Page, ledger: Path) -> None:
    rows = json.loads(_report(ledger, "--by", "run", "--format", "json"))["rows"]
    costs = {row["run"]: row["cost_usd"] for row in rows}
    run = page.locator("#runs > details").first

    assert run.locator("> summary b").inner_text() == f"${costs[run.get_attribute('data-run')]}"
    assert run.locator("details").count() == 4  # one for each agent's run nested in it


@pytest.mark.parametrize("width", [360, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_is_loaded_nothing_complains_and_nothing_overflows(
    chromium: Browser, page_file: Path, width: int, scheme: Scheme
) -> None:
    page = chromium.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
    asked: list[str] = []
    complaints: list[str] = []

    def refuse(route: Route) -> None:
        asked.append(route.request.url)
        if route.request.url == page_file.as_uri():
            route.continue_()
        else:
            route.abort()

    page.route("**/*", refuse)
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("dialog", lambda dialog: complaints.append(dialog.message))
    page.goto(page_file.as_uri())
    page.evaluate("document.querySelectorAll('details').forEach(each => { each.open = true; })")

    assert (asked, complaints) == ([page_file.as_uri()], [])
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    charts = page.evaluate(_VISIBLE_CHARTS)
    assert len(charts) == 8
    assert all(left >= 0 and right <= width for left, right in charts)
    page.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_what_is_behind_it(chromium: Browser, page_file: Path, scheme: Scheme) -> None:
    page = chromium.new_page(color_scheme=scheme)
    page.goto(page_file.as_uri())
    colours = {name: page.evaluate(_COLOUR, name) for name in ("card", "page", "ink", "soft", "accent", "c6")}
    pieces = [page.evaluate(_COLOUR, f"c{number}") for number in range(1, 9)]
    page.close()

    for text in ("ink", "soft", "accent", "c6"):
        assert min(_contrast(colours[text], colours[behind]) for behind in ("card", "page")) >= 4.5  # WCAG AA
    assert min(_contrast(piece, colours["card"]) for piece in pieces) >= 3  # WCAG 1.4.11, graphics


def test_charts_change_with_the_scheme(chromium: Browser, page_file: Path) -> None:
    schemes: tuple[Scheme, ...] = ("light", "dark")
    fills = set()
    for scheme in schemes:
        page = chromium.new_page(color_scheme=scheme)
        page.goto(page_file.as_uri())
        fills.add(page.evaluate("getComputedStyle(document.querySelector('.wide .mark-rect path[fill]')).fill"))
        page.close()

    assert len(fills) == 2


def test_names_are_text_and_never_elements(page: Page) -> None:
    assert page.locator("#table-agents tbody th").first.inner_text() == "<script>alert('agent')</script>"
    assert page.locator("script").count() == 1
    assert page.locator("img, #runs summary > b > b").count() == 0


def test_a_screen_reader_is_told_of_every_chart_and_table(page: Page) -> None:
    assert page.locator("h1").count() == 1
    for chart in page.locator(".chart").all():
        assert chart.get_attribute("role") == "img"
        assert chart.get_attribute("aria-label")
    for section in page.locator("section:has(.chart)").all():
        assert section.locator("figcaption").inner_text()
        assert section.locator("details table caption").count() == 1
        assert section.locator("details table thead th:not([scope=col])").count() == 0
    assert page.locator("tbody tr > :first-child:not(th[scope=row])").count() == 0


_VISIBLE_CHARTS = """[...document.querySelectorAll('.chart svg')]
  .map(chart => chart.getBoundingClientRect())
  .filter(box => box.width > 0)
  .map(box => [box.left, box.right])"""

_SHOWN_ROWS = """rows => rows.map(row => [...row.querySelectorAll('td')].map(
  cell => [cell.dataset.field, row.checkVisibility() ? cell.innerText : '', cell.querySelector('data').value]
))"""

_COLOUR = """name => {
  const probe = document.body.appendChild(document.createElement('i'));
  probe.style.color = `var(--${name})`;
  return getComputedStyle(probe).color.match(/\\d+/g).map(Number);
}"""


def _contrast(one: list[int], other: list[int]) -> float:
    """Return the contrast ratio of WCAG 2.2."""
    darker, lighter = sorted((_luminance(one), _luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(colour: list[int]) -> float:
    shares = [part / 255 for part in colour]
    linear = [share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4 for share in shares]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _rows(page: Page, table: str) -> list[dict[str, tuple[str, str]]]:
    """Return what is seen in each row: by field, the text and the exact value beside it."""
    rows = page.locator(f"{table} tbody tr, {table} tfoot tr").evaluate_all(_SHOWN_ROWS)
    return [{field: (text, exact) for field, text, exact in cells} for cells in rows]


def _at(row: dict[str, Any], field: str) -> object:
    value: Any = row
    for part in field.split("."):
        value = value[part]
    return value


def _report(ledger: Path, *words: str) -> str:
    # In a thread of its own: an open browser holds the event loop of this one.
    with ThreadPoolExecutor(1) as apart:
        result = apart.submit(CliRunner().invoke, app, ["report", "--db", str(ledger), *words]).result()
    assert result.exit_code == 0, result.output
    return result.stdout


async def _write(path: Path, spending: Spending) -> None:
    ledger = await open_ledger(str(path))
    for run in spending.runs:
        await ledger.start_run(run)
    for call in spending.calls:
        await ledger.add_call(call)
    for tool_call in spending.tool_calls:
        await ledger.add_tool_call(tool_call)
    await ledger.close()
