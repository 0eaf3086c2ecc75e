"""Takes out what a prompt can do without: the second copy of a section, a stamp. Never safe, the prompt says less."""

from __future__ import annotations

from agentcache.lint.agent_sources import LayerFile
from agentcache.lint.examination import Examination
from agentcache.lint.finding import Edit, Finding, Fix, Place
from agentcache.lint.fixes.marked_code import codes_at, template_at
from agentcache.lint.fixes.paragraphs import Paragraph, paragraphs_of
from agentcache.lint.fixes.pieces import line_starts


def drop_copy(finding: Finding, examination: Examination) -> Fix | None:
    """Take out the paragraphs that stand in two places, where they are less stable, or else further down."""
    places = [_section_at(place, examination) for place in (finding.place, *finding.also[:1])]
    if len(places) < 2 or places[0] is None or places[1] is None:
        return None
    kept, dropped = sorted((places[0], places[1]), key=lambda found: (found[0].layer.rank, found[0].path, found[2]))
    file, paragraphs, first = dropped
    count = _same(kept[1][kept[2] :], paragraphs[first:])
    if kept[0].path == file.path:
        count = min(count, first - kept[2])
    copies = paragraphs[first : first + count]
    if not copies or any(copy.within or copy.glued or "{%" in copy.text for copy in copies):
        return None
    end = paragraphs[first + count].start if first + count < len(paragraphs) else copies[-1].end
    start = copies[0].start
    if first + count == len(paragraphs) and first > 0:
        start = paragraphs[first - 1].end
    return Fix(edits=(Edit(path=file.path, start=start, end=end, text=""),), safe=False)


def drop_line(finding: Finding, examination: Examination) -> Fix | None:
    """Take out the line of a stamp, when it is a paragraph of its own and no tag stands in it."""
    file = template_at(examination.sources, finding.place.path)
    if file is None or finding.place.line is None:
        return None
    paragraphs = paragraphs_of(file.text)
    line = finding.place.line
    found = next((each for each in paragraphs or () if each.first <= line <= each.last), None)
    if found is None or found.within or found.glued or any(code.piece.word for code in codes_at(file, finding.place)):
        return None
    starts = [*line_starts(file.text), len(file.text)]
    start, end = starts[line - 1], starts[line]
    if found.first == found.last:
        end = next((each.start for each in paragraphs or () if each.start >= end), len(file.text))
    elif "{%" in found.text:
        return None
    return Fix(edits=(Edit(path=file.path, start=start, end=end, text=""),), safe=False)


def _section_at(place: Place, examination: Examination) -> tuple[LayerFile, tuple[Paragraph, ...], int] | None:
    file = next((file for file in examination.sources.layers if file.path == place.path), None)
    paragraphs = None if file is None else paragraphs_of(file.text)
    if file is None or paragraphs is None or place.line is None:
        return None
    index = next((i for i, each in enumerate(paragraphs) if each.first <= place.line <= each.last), None)
    return None if index is None else (file, paragraphs, index)


def _same(kept: tuple[Paragraph, ...], others: tuple[Paragraph, ...]) -> int:
    """Return how many paragraphs are the same from the beginning of both."""
    count = 0
    for one, other in zip(kept, others, strict=False):
        if one.text.split() != other.text.split():
            break
        count += 1
    return count
