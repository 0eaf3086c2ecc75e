"""A section's file as paragraphs that can be taken out of it, and put at the end of another one."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from weakref import WeakKeyDictionary

from agentcache.lint.agent_sources import AgentSources, LayerFile
from agentcache.lint.examination import Examination
from agentcache.lint.finding import Edit, Finding
from agentcache.lint.fixes.bindings import Names, bound_in, in_blocks, names_between
from agentcache.lint.fixes.paragraphs import Paragraph, paragraphs_of
from agentcache.lint.origins import Print
from agentcache.lint.rewriting import folder_of
from agentcache.prompt.sections import Stability


@dataclass(frozen=True, slots=True)
class Page:
    """A section's file as paragraphs, each with its names."""

    file: LayerFile
    sources: AgentSources
    paragraphs: tuple[Paragraph, ...]
    names: tuple[Names, ...]
    prints: tuple[tuple[Print, ...], ...]
    """Where values that vary are shown in each paragraph, by what it includes or calls too."""

    def index_at(self, line: int | None) -> int | None:
        """Return which paragraph holds a line."""
        found = (i for i, each in enumerate(self.paragraphs) if line is not None and each.first <= line <= each.last)
        return next(found, None)

    def binder_of(self, name: str, before: int) -> int | None:
        """Return the last paragraph up to `before` that binds a name."""
        return next((i for i in range(before, -1, -1) if name in self.names[i].binds), None)


def page_of(finding: Finding, examination: Examination) -> Page | None:
    """Return the page that a finding is on; `None` for what is no file of a section or inherits from a template."""
    file = next((file for file in examination.sources.layers if file.path == finding.place.path), None)
    if file is None or folder_of(file) is None:
        return None
    pages = _PAGES.setdefault(examination, {})
    if file.path not in pages:
        pages[file.path] = _page(file, examination)
    return pages[file.path]


_PAGES: WeakKeyDictionary[Examination, dict[str, Page | None]] = WeakKeyDictionary()
"""Pages of examinations that are still at hand: a file is cut once and not for each finding in it."""


def _page(file: LayerFile, examination: Examination) -> Page | None:
    tree = examination.parsed[file.name].tree
    paragraphs = paragraphs_of(file.text)
    if tree is None or paragraphs is None or in_blocks(tree):
        return None
    names = tuple(names_between(tree, each.first, each.last) for each in paragraphs)
    return Page(file, examination.sources, paragraphs, names, _prints_by_paragraph(file, paragraphs, examination))


def _prints_by_paragraph(
    file: LayerFile, paragraphs: Sequence[Paragraph], examination: Examination
) -> tuple[tuple[Print, ...], ...]:
    ends = [each.last for each in paragraphs]
    found: list[dict[Print, None]] = [{} for _ in paragraphs]
    for each in examination.prints:
        for place in (each.place, *each.through):
            if place.path == file.path and place.line is not None:
                index = bisect_left(ends, place.line)
                if index < len(ends) and paragraphs[index].first <= place.line:
                    found[index][each] = None
    return tuple(map(tuple, found))


def appended(page: Page, target: Stability, indices: Iterable[int], examination: Examination) -> Edit | None:
    """Return the edit that puts paragraphs at the end of a layer's last file, or into a new file of the layer.

    `None` where they would mean something else there.
    """
    chosen = sorted(indices)
    destination = next((file for file in reversed(page.sources.layers) if file.layer is target), None)
    if destination is not None and not _welcome(destination, [page.names[i] for i in chosen], examination):
        return None
    texts = [page.paragraphs[index].text.strip("\r\n") for index in chosen]
    return _appended(page, target, destination, "\n\n".join(text.replace("\r\n", "\n") for text in texts))


def _welcome(destination: LayerFile, names: Iterable[Names], examination: Examination) -> bool:
    """Tell whether the moved lines mean the same at the end of a file: it binds none of their names."""
    tree = examination.parsed[destination.name].tree
    paragraphs = paragraphs_of(destination.text)
    if tree is None or paragraphs is None or in_blocks(tree) or folder_of(destination) is None:
        return False
    if paragraphs and (paragraphs[-1].within or paragraphs[-1].open_ended):
        return False  # the end of the file stands in a fence of code, or swallows the blank line behind it
    bound = bound_in(tree)
    return not any(bound & (each.binds | each.needs) for each in names)


def removed(page: Page, moving: Sequence[int]) -> list[Edit]:
    """Return the edits that take paragraphs out, with the blank lines behind them, or before one at the end."""
    edits: list[Edit] = []
    for first, last in _runs(moving):
        start, end = page.paragraphs[first].start, page.paragraphs[last].end
        if last + 1 < len(page.paragraphs):
            end = page.paragraphs[last + 1].start
        elif first > 0:
            kept = page.paragraphs[first - 1]
            start = kept.end
            if not page.file.text.endswith("\n"):
                start = kept.start + len(kept.text.rstrip("\r\n"))
                end = len(page.file.text)
        edits.append(Edit(path=page.file.path, start=start, end=end, text=""))
    return edits


def _runs(indices: Sequence[int]) -> list[tuple[int, int]]:
    runs: list[tuple[int, int]] = []
    for index in indices:
        if runs and runs[-1][1] == index - 1:
            runs[-1] = (runs[-1][0], index)
        else:
            runs.append((index, index))
    return runs


def _appended(page: Page, target: Stability, destination: LayerFile | None, text: str) -> Edit:
    """Put text behind everything in a file, in its line ends, or create it."""
    if destination is None:
        path = f"{folder_of(page.file) or ''}{target.value}.j2"
        return Edit(path=path, start=0, end=0, text=f"{text}\n")
    end = "\r\n" if "\r\n" in destination.text else "\n"
    stripped = destination.text.rstrip("\r\n")
    blank = 2 if stripped else 0
    missing = blank - destination.text[len(stripped) :].count("\n")
    closing = end if destination.text.endswith("\n") or not stripped else ""
    at = len(destination.text)
    return Edit(path=destination.path, start=at, end=at, text=end * missing + text.replace("\n", end) + closing)
