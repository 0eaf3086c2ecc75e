"""Rules about text that a template holds as it stands: bytes that nobody sees, and stamps that a program left."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from agentcache.lint.agent_sources import LayerFile, SourceFile
from agentcache.lint.byte_forms import (
    ByteFault,
    ByteForm,
    byte_faults,
    composition_fault,
    has_only,
    invisible_faults,
    may_have_faults,
)
from agentcache.lint.examination import Examination
from agentcache.lint.finding import Confidence, Finding, Place
from agentcache.lint.literal_text import literal_lines
from agentcache.lint.losses import in_words, loss_behind
from agentcache.lint.rules.found import found
from agentcache.lint.rules.rule import Rule
from agentcache.lint.stamps import Stamp, StampKind, may_have_stamps, stamps_in_lines
from agentcache.lint.tools_json import ToolsText
from agentcache.prompt.sections import Stability


def _byte_variance(examination: Examination) -> Iterator[Finding]:
    lines = {file.path: literal_lines(file.text) for file in _files(examination) if may_have_faults(file.text)}
    for file in _files(examination):
        if file.path not in lines:
            continue
        faults = byte_faults(lines[file.path])
        for form in ByteForm:
            of_form = [fault for fault in faults if fault.form is form]
            if of_form:
                yield _variance(examination, file, of_form)
    windows = [file for file in _files(examination) if "\r" in file.text and has_only(lines[file.path], "\r\n")]
    unix = [file for file in _files(examination) if "\r" not in file.text and "\n" in file.text]
    for file in windows if unix else ():
        yield found(
            "PC014",
            examination,
            Place(path=file.path, line=1),
            f"the lines of this file end in CR LF, and those of {unix[0].name} in LF: which one is sent depends "
            f"on the "
            "machine that checked the files out",
            layer=_layer(file),
            fix=_LF,
        )
    yield from _tool_bytes(examination)


def _variance(examination: Examination, file: SourceFile, faults: Sequence[ByteFault]) -> Finding:
    first = faults[0]
    places = tuple(
        Place(path=file.path, line=fault.line, column=fault.column, end_column=fault.end_column) for fault in faults
    )
    lines = len({fault.line for fault in faults})
    elsewhere = "" if lines == 1 else f", and on {lines - 1} more line{'s' if lines > 2 else ''}"
    return found(
        "PC014",
        examination,
        places[0],
        f"{first.form.value}: {first.what}{elsewhere}. Nobody sees it; editors and version control rewrite it, "
        f"and with "
        "it every byte behind is another prefix",
        layer=_layer(file),
        fix=_FIXES[first.form],
        also=places[1:],
    )


def _tool_bytes(examination: Examination) -> Iterator[Finding]:
    tools = examination.tools
    for tool in tools.tools if isinstance(tools, ToolsText) else ():
        for words in tool.words:
            fault = next(invisible_faults(words.text), None) or composition_fault(words.text)
            if fault is not None and isinstance(tools, ToolsText):
                index, what = fault
                place = tools.lines.place_in_string(words.node, index, index + 1)
                message = (
                    f"the {words.role} of a tool holds {what}, which nobody sees and other machines write differently"
                )
                yield found("PC014", examination, place, message)


def _literal_stamps(examination: Examination) -> Iterator[Finding]:
    for file in _files(examination):
        if _layer(file) is Stability.TURN:
            continue
        if not may_have_stamps(file.text):
            continue
        for group in _neighbours(stamps_in_lines(literal_lines(file.text))):
            yield _stamped(examination, file, group)


def _neighbours(stamps: Sequence[Stamp]) -> Iterator[list[Stamp]]:
    """Group stamps of one header or footer: no more than a line lies between them."""
    group: list[Stamp] = []
    for stamp in stamps:
        if group and stamp.line > group[-1].line + 2:
            yield group
            group = []
        group.append(stamp)
    if group:
        yield group


def _stamped(examination: Examination, file: SourceFile, group: Sequence[Stamp]) -> Finding:
    first = group[0]
    layer = _layer(file)
    loss = None if layer is None else loss_behind(examination, layer, file.name)
    places = tuple(
        Place(path=file.path, line=stamp.line, column=stamp.column, end_column=stamp.end_column) for stamp in group
    )
    return found(
        "PC059",
        examination,
        places[0],
        f'"{_shortened(first.text)}" is a stamp of {first.kind.value}: it is out of date when the model '
        f"reads it, and whenever it is written anew, "
        f"so is everybody's prefix{in_words(loss, of='calls that come after it')}",
        layer=layer,
        confidence=Confidence.POSSIBLE if first.kind is StampKind.COUNT else Confidence.LIKELY,
        also=places[1:],
        loss=loss,
    )


def _shortened(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 3]}..."


def _files(examination: Examination) -> Iterator[SourceFile]:
    """Yield each template once: those of the layers, and those that some template of theirs may include."""
    seen: set[str] = set()
    sources = examination.sources
    for file in (*sources.layers, *sources.includes.values()):
        if file.path not in seen:
            seen.add(file.path)
            yield file


def _layer(file: SourceFile) -> Stability | None:
    return file.layer if isinstance(file, LayerFile) else None


_SHOWN = 60
_LF = "let every line end in LF, and say so in .gitattributes (`*.j2 text eol=lf`)"
_FIXES = {
    ByteForm.LINE_END: _LF,
    ByteForm.TRAILING: "take the blanks at line ends out; let the editor do so when it saves",
    ByteForm.INVISIBLE: "take the characters out, or write a plain space",
    ByteForm.COMPOSITION: "write the text in Unicode's composed form (NFC)",
}

RULES = (
    Rule(
        code="PC014",
        what="Finds blanks and tabs at line ends, files whose lines end in several ways, characters without a shape "
        "(zero-width spaces, a byte order mark, soft hyphens, hard spaces between words) and letters that are not in "
        "Unicode's composed form (NFC), in templates and in the words of tools.",
        why="The cache compares bytes. Such bytes are rewritten by editors, by version control "
        "(`core.autocrlf`) and by "
        "other machines without anybody seeing a change, and then the prefix is written anew. Two replicas that "
        "disagree write it for each other again and again.",
        bad="- Answer in one paragraph.  \n",
        good="- Answer in one paragraph.\n",
        references=(
            "https://github.com/openclaw/openclaw/pull/60731",
            "https://unicode.org/reports/tr15/",
            "https://git-scm.com/docs/gitattributes",
        ),
        check=_byte_variance,
    ),
    Rule(
        code="PC059",
        what="Finds stamps in literal text: a clock that was rendered into the file, what generated it and "
        "when, builds, "
        "commits, ids of one run. Dates that are content are none: a deadline, a copyright year, an example.",
        why="A stamp is stale by the time the model reads it, and it is another one with each build or "
        "deployment: then "
        "every caller writes the whole prefix again, at 1.25 times the price of input, where a read costs a "
        "tenth of it "
        "or less.",
        bad="Generated on 2026-11-19 08:12:44 by promptgen 3.1 (build 4411)\n",
        good="{# Generated by promptgen 3.1, build 4411: a Jinja comment is not sent. #}\n",
        references=("https://platform.claude.com/docs/en/build-with-claude/prompt-caching",),
        check=_literal_stamps,
    ),
)
