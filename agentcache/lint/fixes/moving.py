"""Moves a paragraph to the layer that its values belong to, with the names that it takes along.

Only a paragraph that stands by itself: whole blocks, whole elements, no whitespace control across its edges, and no
part of a template that inherits. What it shares a changing `set`, macro or import with moves along; what is constant is
copied. A heading or a line that leads in goes along when nothing else is left behind it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from agentcache.lint.agent_sources import AgentSources, LayerFile
from agentcache.lint.examination import Examination
from agentcache.lint.finding import Edit, Finding, Fix
from agentcache.lint.fixes.bindings import Names, bound_in, in_blocks, names_between
from agentcache.lint.fixes.paragraphs import Paragraph, paragraphs_of
from agentcache.lint.fixes.value_layers import layer_of_name, layer_of_prints
from agentcache.lint.rewriting import folder_of
from agentcache.prompt.sections import Stability


def move_paragraph(finding: Finding, examination: Examination) -> Fix | None:
    """Move the paragraph at the finding to the less stable layer that its values need."""
    page = _page(finding, examination)
    if page is None:
        return None
    index = page.index_at(finding.place.line)
    if index is None or _too_much(page.paragraphs[index], finding.place.line):
        return None
    moved = _together(page, index)
    if moved is None:
        return None
    target = _target(page, moved, examination)
    if target is None or target.rank <= page.file.layer.rank:
        return None
    return _fix(page, moved, target, examination)


@dataclass(frozen=True, slots=True)
class _Page:
    """A section's file as paragraphs, each with its names."""

    file: LayerFile
    sources: AgentSources
    paragraphs: tuple[Paragraph, ...]
    names: tuple[Names, ...]

    def index_at(self, line: int | None) -> int | None:
        found = (i for i, each in enumerate(self.paragraphs) if line is not None and each.first <= line <= each.last)
        return next(found, None)

    def binder_of(self, name: str, before: int) -> int | None:
        """Return the last paragraph up to `before` that binds a name."""
        return next((i for i in range(before, -1, -1) if name in self.names[i].binds), None)


def _page(finding: Finding, examination: Examination) -> _Page | None:
    file = next((file for file in examination.sources.layers if file.path == finding.place.path), None)
    if file is None or folder_of(file) is None:
        return None
    tree = examination.parsed[file.name].tree
    paragraphs = paragraphs_of(file.text)
    if tree is None or paragraphs is None or in_blocks(tree):
        return None
    names = tuple(names_between(tree, each.first, each.last) for each in paragraphs)
    return _Page(file, examination.sources, paragraphs, names)


def _too_much(paragraph: Paragraph, line: int | None) -> bool:
    """Tell whether a paragraph is several that a block or fence holds together, and the mistake is inside of it."""
    return line != paragraph.first and any(not line.strip() for line in paragraph.text.split("\n")[:-1])


def _together(page: _Page, index: int) -> _Moved | None:
    """Return the paragraphs that must move with one, and constant ones to copy; `None` when they cannot move."""
    moving, copied = {index}, set[int]()
    while True:
        more = set[int]()
        for each in moving | copied:
            for name in page.names[each].needs:
                binder = page.binder_of(name, each - 1)
                if binder is None or binder in moving | copied:
                    continue
                if _changes(page, binder):
                    more.add(binder)
                elif not _only_binds(page, binder):
                    return None
                else:
                    copied.add(binder)
                    more.add(-1)
        bound = {name for each in moving for name in page.names[each].binds}
        more |= {i for i, names in enumerate(page.names) if i not in moving and names.needs & bound}
        if not more:
            break
        moving |= more - {-1}
    if any(page.paragraphs[each].within or page.paragraphs[each].glued for each in moving | copied):
        return None
    return _Moved(tuple(sorted(moving)), tuple(sorted(copied - moving)))


@dataclass(frozen=True, slots=True)
class _Moved:
    moving: tuple[int, ...]
    copied: tuple[int, ...]


def _changes(page: _Page, index: int) -> bool:
    """Tell whether what a paragraph binds is less stable than the file's layer, or nobody knows."""
    for name in page.names[index].needs:
        binder = page.binder_of(name, index - 1)
        if binder is not None:
            if _changes(page, binder):
                return True
            continue
        layer = layer_of_name(page.sources, name)
        if layer is None or layer.rank > page.file.layer.rank:
            return True
    return False


def _only_binds(page: _Page, index: int) -> bool:
    """Tell whether a paragraph puts nothing out itself, so that a copy of it repeats no words."""
    lines = page.paragraphs[index].text.strip().split("\n")
    return all(line.strip().startswith("{%") and line.strip().endswith("%}") for line in lines) and bool(
        page.names[index].binds
    )


def _target(page: _Page, moved: _Moved, examination: Examination) -> Stability | None:
    """Return the layer that all values of the paragraphs need; `None` when that is not known."""
    found: list[Stability | None] = []
    for index in moved.moving:
        paragraph = page.paragraphs[index]
        prints = [
            each
            for each in examination.prints
            if each.place.path == page.file.path
            and each.place.line is not None
            and paragraph.first <= each.place.line <= paragraph.last
        ]
        found.append(layer_of_prints(prints))
    known = [layer for layer in found if layer is not None]
    return max(known, key=lambda layer: layer.rank) if len(known) == len(found) else None


def _fix(page: _Page, moved: _Moved, target: Stability, examination: Examination) -> Fix | None:
    destination = next((file for file in reversed(page.sources.layers) if file.layer is target), None)
    names = [page.names[index] for index in (*moved.moving, *moved.copied)]
    if destination is not None and not _welcome(destination, names, examination):
        return None
    moving = sorted({*moved.moving, *_left_alone(page, moved.moving)})
    texts = [page.paragraphs[index].text.strip("\r\n") for index in sorted({*moving, *moved.copied})]
    text = "\n\n".join(text.replace("\r\n", "\n") for text in texts)
    folder = folder_of(page.file) or ""
    added = _appended(f"{folder}{target.value}.j2", destination, text)
    if added is None:
        return None
    return Fix(edits=(*_removed(page, moving), added), safe=True)


def _welcome(destination: LayerFile, names: Iterable[Names], examination: Examination) -> bool:
    """Tell whether the moved lines mean the same at the end of a file: it binds none of their names."""
    tree = examination.parsed[destination.name].tree
    if tree is None or in_blocks(tree) or folder_of(destination) is None:
        return False
    bound = bound_in(tree)
    return not any(bound & (each.binds | each.needs) for each in names)


def _left_alone(page: _Page, moving: Sequence[int]) -> set[int]:
    """Return headings, and lines that lead in, which nothing would stand behind any more."""
    alone: set[int] = set()
    for index in moving:
        before = index - 1
        while before >= 0 and before not in moving and _introduces(page, before, {*moving, *alone}):
            alone.add(before)
            before -= 1
    return alone


def _introduces(page: _Page, index: int, moving: set[int]) -> bool:
    paragraph = page.paragraphs[index]
    if paragraph.within or paragraph.glued or page.names[index].binds:
        return False
    if not paragraph.heading:
        return paragraph.leads_in and len(paragraph.text.strip().split("\n")) == 1
    for behind in range(index + 1, len(page.paragraphs)):
        other = page.paragraphs[behind]
        if behind in moving:
            continue
        return 0 < other.heading <= paragraph.heading
    return True


def _removed(page: _Page, moving: Sequence[int]) -> list[Edit]:
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


def _appended(path: str, destination: LayerFile | None, text: str) -> Edit | None:
    """Return the edit that puts paragraphs behind everything in a file, in its line ends, or creates it."""
    if destination is None:
        return Edit(path=path, start=0, end=0, text=f"{text}\n")
    end = "\r\n" if "\r\n" in destination.text else "\n"
    stripped = destination.text.rstrip("\r\n")
    blank = 2 if stripped else 0
    missing = blank - destination.text[len(stripped) :].count("\n")
    closing = end if destination.text.endswith("\n") or not stripped else ""
    at = len(destination.text)
    return Edit(path=destination.path, start=at, end=at, text=end * missing + text.replace("\n", end) + closing)
