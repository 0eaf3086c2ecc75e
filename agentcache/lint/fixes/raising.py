"""Moves stable text that stands behind a changing value to the layer that it could be cached in."""

from __future__ import annotations

import re

from agentcache.lint.examination import Examination
from agentcache.lint.finding import Edit, Finding, Fix
from agentcache.lint.fixes.pages import Page, appended, page_of, removed
from agentcache.lint.fixes.paragraphs import Paragraph, paragraphs_of
from agentcache.lint.fixes.value_layers import layer_of_name, layer_of_prints
from agentcache.prompt.sections import Stability

_HEADING = re.compile(r"(#{1,6})\s")


def raise_stable(finding: Finding, examination: Examination) -> Fix | None:
    """Move whole sections of text that stay the same from behind the finding to the end of a more stable layer.

    What stands there already is taken out and not put there again, which is not safe: the prompt says it once less.
    """
    page = page_of(finding, examination)
    if page is None:
        return None
    index = 0 if finding.place.line is None else page.index_at(finding.place.line)
    if index is None:
        return None
    layers = {i: _stable(page, i, examination) for i in range(index, len(page.paragraphs))}
    stable = {i: layer for i, layer in layers.items() if layer is not None}
    while broken := {i for i in stable if not _whole(page, i, stable)}:
        stable = {i: layer for i, layer in stable.items() if i not in broken}
    twice = {i for i in stable if _stands_above(page, page.paragraphs[i])}
    edits: list[Edit] = list(removed(page, sorted(stable)))
    for target in dict.fromkeys(stable.values()):
        moved = [i for i, layer in stable.items() if layer is target and i not in twice]
        added = appended(page, target, moved, examination) if moved else None
        if moved and added is None:
            return None
        edits += [] if added is None else [added]
    return Fix(edits=tuple(edits), safe=not twice) if stable.keys() - twice else None


def _stable(page: Page, index: int, examination: Examination) -> Stability | None:
    """Return the more stable layer that a paragraph could stand in as it is, `None` for one that must stay."""
    paragraph, names = page.paragraphs[index], page.names[index]
    bound = {name for i, other in enumerate(page.names) if i != index for name in other.binds}
    if paragraph.within or paragraph.glued or names.binds or names.needs & bound:
        return None
    layers = [layer_of_name(page.sources, name) for name in names.needs]
    layers.append(layer_of_prints(page.prints[index]))
    known = [layer for layer in layers if layer is not None]
    if len(known) < len(layers):
        return None
    layer = max(known, key=lambda layer: layer.rank)
    return layer if layer.rank < page.file.layer.rank else None


def _stands_above(page: Page, paragraph: Paragraph) -> bool:
    """Tell whether a more stable section has the paragraph already, so that it would stand there twice."""
    words = paragraph.text.split()
    above = (file for file in page.sources.layers if file.layer.rank < page.file.layer.rank)
    return any(other.text.split() == words for file in above for other in paragraphs_of(file.text) or ())


def _whole(page: Page, index: int, stable: dict[int, Stability]) -> bool:
    """Tell whether everything under the heading that a paragraph stands under, or is, goes with it."""
    start = next((i for i in range(index, -1, -1) if _level(page, i)), None)
    if start is None or start not in stable:
        return start is None or not _level(page, index)
    end = start + 1
    while end < len(page.paragraphs) and not 0 < _level(page, end) <= _level(page, start):
        end += 1
    return all(i in stable and stable[i] is stable[start] for i in range(start, end))


def _level(page: Page, index: int) -> int:
    heading = _HEADING.match(page.paragraphs[index].text)
    return 0 if heading is None else len(heading[1])
