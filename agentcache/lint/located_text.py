"""Text that an author wrote inside a Python file, each character with its line and column there.

Decides where in the Python file a place in a template is, through `strip`, `dedent` and the like. How a literal is read
stands in python/literals.py; which literals are prompts is found in python/agents.py.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TypeAlias

from agentcache.lint.agent_sources import AgentSources, LayerFile, SourceFile
from agentcache.lint.finding import Finding, Place
from agentcache.prompt.canonical import canonical_text

Spot: TypeAlias = tuple[int, int]
"""Line and column of a character as an editor counts, both from 1."""

_LINE = re.compile(r"([^\r\n]*)(\r\n|\r|\n|\Z)")


@dataclass(frozen=True, slots=True, kw_only=True)
class LocatedText:
    """Text and, for each of its characters and for its end, the place in `path` that it was written at."""

    text: str
    path: str
    spots: tuple[Spot, ...]
    prints_python: bool = False
    """Whether parts of it are prints of what only running the Python file would tell."""

    @property
    def label(self) -> str:
        """What the text is called where only a name fits: `file.py:line:column` of its beginning."""
        line, column = self.spots[0]
        return f"{self.path}:{line}:{column}"

    @classmethod
    def of_file(cls, path: str, text: str) -> LocatedText:
        """Return the text of a whole file."""
        spots: list[Spot] = []
        line = column = 1
        for character in text:
            spots.append((line, column))
            line, column = (line + 1, 1) if character == "\n" else (line, column + 1)
        return cls(text=text, path=path, spots=(*spots, (line, column)))

    def __add__(self, other: LocatedText) -> LocatedText:
        prints = self.prints_python or other.prints_python
        return replace(self, text=self.text + other.text, spots=(*self.spots[:-1], *other.spots), prints_python=prints)

    def part(self, start: int, end: int) -> LocatedText:
        """Return the characters from `start` to `end` (offsets, end excluded)."""
        return replace(self, text=self.text[start:end], spots=self.spots[start : end + 1])

    def filled(self, text: str) -> LocatedText:
        """Return `text` as if all of it stood where this begins."""
        return replace(self, text=text, spots=self.spots[:1] * (len(text) + 1), prints_python=False)

    def oneline(self) -> LocatedText:
        """Return the text with spaces for line ends."""
        return replace(self, text=self.text.replace("\n", " "))

    def repeated(self, times: int) -> LocatedText:
        """Return the text so many times over."""
        return replace(self, text=self.text * times, spots=(*self.spots[:-1] * times, self.spots[-1]))

    def stripped(self, method: str, characters: str | None = None) -> LocatedText:
        """Return what `strip`, `lstrip` or `rstrip` leaves."""
        start = 0 if method == "rstrip" else len(self.text) - len(self.text.lstrip(characters))
        end = len(self.text) if method == "lstrip" else len(self.text.rstrip(characters))
        return self.part(start, max(start, end))

    def tidied(self) -> LocatedText:
        """Return the text as the runtime sends it (`canonical_text`): no white space at line ends, LF, NFC."""
        whole = self.part(0, 0)
        for match in _LINE.finditer(self.text):
            (start, end), kept = match.span(1), canonical_text(match[1])
            written = self.part(start, start + len(kept))
            whole += written if written.text == kept else self.part(start, end).filled(kept)
            whole += self.part(end, match.end()).filled("\n" if match[2] else "")
        return whole

    def dedented(self) -> LocatedText:
        """Return what `textwrap.dedent` makes of it, the common indentation of its lines taken away."""
        return self._rewritten(textwrap.dedent(self.text))

    def cleaned(self) -> LocatedText:
        """Return what `inspect.cleandoc` makes of it: dedented, without blank lines around it."""
        lines = self.text.expandtabs().split("\n")
        indents = [len(line) - len(line.lstrip()) for line in lines[1:] if line.strip()]
        margin = min(indents, default=0)
        cleaned = [lines[0].lstrip(), *(line[margin:] for line in lines[1:])]
        whole = self._rewritten("\n".join(cleaned))
        filled = [at for at, line in enumerate(cleaned) if line]
        if not filled:
            return whole.part(0, 0)
        start = sum(len(line) + 1 for line in cleaned[: filled[0]])
        return whole.part(start, sum(len(line) + 1 for line in cleaned[: filled[-1] + 1]) - 1)

    def _rewritten(self, text: str) -> LocatedText:
        """Return a text each line of which is an end of the same line here."""
        spots: list[Spot] = []
        at = 0
        for mine, theirs in zip(self.text.split("\n"), text.split("\n"), strict=True):
            kept = min(len(theirs), len(mine))
            start = at + len(mine) - kept
            padding = (self.spots[start],) * (len(theirs) - kept)  # tabs that were made spaces
            spots += [*padding, *self.spots[start : at + len(mine)], self.spots[at + len(mine)]]
            at += len(mine) + 1
        return replace(self, text=text, spots=tuple(spots))

    def place(self, place: Place) -> Place:
        """Return the place in the Python file of a place in this text."""
        if place.line is None:
            line, column = self.spots[0]
            return Place(path=self.path, line=line, column=column)
        starts = [0, *(at + 1 for at, character in enumerate(self.text) if character == "\n")]
        start = starts[min(place.line, len(starts)) - 1]
        line, column = self.spots[min(start + (place.column or 1) - 1, len(self.text))]
        if place.column is None:
            return Place(path=self.path, line=line)
        if place.end_column is None:
            return Place(path=self.path, line=line, column=column)
        last = self.spots[min(max(start + place.end_column - 2, 0), len(self.text))]
        end = last[1] + 1 if last[0] == line and last[1] >= column else None
        return Place(path=self.path, line=line, column=column, end_column=end)


@dataclass(frozen=True, slots=True, kw_only=True)
class InlineSection(LayerFile):
    """A section's template that stands in a Python file; `path` is its `LocatedText.label`."""

    written: LocatedText


@dataclass(frozen=True, slots=True, kw_only=True)
class InlineSource(SourceFile):
    """Any other text that stands in a Python file or is made from what stands there, as the tools are."""

    written: LocatedText


def placed(findings: Iterable[Finding], texts: Mapping[str, LocatedText]) -> tuple[Finding, ...]:
    """Return findings with the places in `texts` (path -> text) as places in their files, each finding once.

    Their edits are left out: what mends a template mends no string literal.
    """
    moved: dict[tuple[str, Place], Finding] = {}
    for finding in findings:
        there = _placed(finding, texts)
        moved.setdefault((there.code, there.place), there)
    return tuple(sorted(moved.values(), key=_order))


def inline_texts(agents: Iterable[AgentSources]) -> Mapping[str, LocatedText]:
    """Return the texts of agents that stand in Python files, by the paths that findings call them."""
    files: list[SourceFile] = []
    for agent in agents:
        files += [*agent.layers, *agent.includes.values(), *([agent.tools] if agent.tools else [])]
    return {file.path: file.written for file in files if isinstance(file, InlineSection | InlineSource)}


def _order(finding: Finding) -> tuple[str, int, int, str]:
    place = finding.place
    return place.path, place.line or 0, place.column or 0, finding.code


def _placed(finding: Finding, texts: Mapping[str, LocatedText]) -> Finding:
    def there(place: Place) -> Place:
        return texts[place.path].place(place) if place.path in texts else place

    edits = finding.edits
    mendable = edits is not None and not any(edit.path in texts for edit in edits.edits)
    return replace(
        finding,
        place=there(finding.place),
        also=tuple(map(there, finding.also)),
        edits=edits if mendable else None,
    )
