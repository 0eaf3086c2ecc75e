"""Moves a paragraph to the layer that its values belong to, with the names that it takes along.

Only a paragraph that stands by itself: whole blocks, whole elements, no whitespace control across its edges, and no
part of a template that inherits. What it shares a changing `set`, macro or import with moves along; what is constant is
copied. A heading or a line that leads in goes along when nothing else is left behind it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from agentcache.lint.examination import Examination
from agentcache.lint.finding import Finding, Fix
from agentcache.lint.fixes.pages import Page, appended, page_of, removed
from agentcache.lint.fixes.paragraphs import Paragraph
from agentcache.lint.fixes.value_layers import layer_of_name, layer_of_prints
from agentcache.prompt.sections import Stability

MOST_STABLE_WORDS = 150
"""Words in lines without a changing value that may move along; more of them are worth caching where they stand."""


def move_paragraph(finding: Finding, examination: Examination) -> Fix | None:
    """Move the paragraph at the finding to the less stable layer that its values need."""
    page = page_of(finding, examination)
    if page is None:
        return None
    index = page.index_at(finding.place.line)
    if index is None or _too_much(page.paragraphs[index], finding.place.line):
        return None
    moved = _together(page, index)
    if moved is None or _stable_words(page, moved) > MOST_STABLE_WORDS:
        return None
    target = _target(page, moved)
    if target is None or target.rank <= page.file.layer.rank:
        return None
    return _fix(page, moved, target, examination)


def _too_much(paragraph: Paragraph, line: int | None) -> bool:
    """Tell whether a paragraph is several that a block or fence holds together, and the mistake is inside of it."""
    return line != paragraph.first and any(not line.strip() for line in paragraph.text.split("\n")[:-1])


def _together(page: Page, index: int) -> _Moved | None:
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


def _stable_words(page: Page, moved: _Moved) -> int:
    """Count the words of the lines that would move although nothing in them changes."""
    changing = {each.place.line for index in moved.moving for each in page.prints[index]}
    return sum(
        len(line.split())
        for index in moved.moving
        for number, line in enumerate(page.paragraphs[index].text.split("\n"), page.paragraphs[index].first)
        if number not in changing
    )


def _changes(page: Page, index: int) -> bool:
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


def _only_binds(page: Page, index: int) -> bool:
    """Tell whether a paragraph puts nothing out itself, so that a copy of it repeats no words."""
    lines = page.paragraphs[index].text.strip().split("\n")
    return all(line.strip().startswith("{%") and line.strip().endswith("%}") for line in lines) and bool(
        page.names[index].binds
    )


def _target(page: Page, moved: _Moved) -> Stability | None:
    """Return the layer that all values of the paragraphs need; `None` when that is not known."""
    found = [layer_of_prints(page.prints[index]) for index in moved.moving]
    known = [layer for layer in found if layer is not None]
    return max(known, key=lambda layer: layer.rank) if len(known) == len(found) else None


def _fix(page: Page, moved: _Moved, target: Stability, examination: Examination) -> Fix | None:
    moving = sorted({*moved.moving, *_left_alone(page, moved.moving)})
    added = appended(page, target, {*moving, *moved.copied}, examination)
    return None if added is None else Fix(edits=(*removed(page, moving), added), safe=True)


def _left_alone(page: Page, moving: Sequence[int]) -> set[int]:
    """Return headings, and lines that lead in, which nothing would stand behind any more."""
    alone: set[int] = set()
    for index in moving:
        before = index - 1
        while before >= 0 and before not in moving and _introduces(page, before, {*moving, *alone}):
            alone.add(before)
            before -= 1
    return alone


def _introduces(page: Page, index: int, moving: set[int]) -> bool:
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
