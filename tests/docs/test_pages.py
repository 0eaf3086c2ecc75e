"""Pages that nobody runs stay true all the same: links lead somewhere, and commands, options and examples exist."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from urllib.parse import unquote

import pytest
from typer.core import TyperGroup, TyperOption

from agentcache.cli.app import COMMANDS
from tests.docs.pages import ROOT, matches

PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("benchmarks/**/*.md")])
HAND_MADE = [page for page in PAGES if page.name != "rules.md" and "reference" not in page.parts]
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
CODE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
COMMAND = re.compile(r"\bagentcache ((?:memo |conversation )?[a-z]+)\b([^`\n|;]*)")
OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]+")


def name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


@cache
def anchors(page: Path) -> frozenset[str]:
    """Return the anchors that a code host gives the headings of a page."""
    headings = re.findall(r"^#+ (.+)$", CODE.sub("", page.read_text(encoding="utf-8")), re.MULTILINE)
    plain = [re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings]
    again = {f"{anchor}-{plain[:at].count(anchor)}" for at, anchor in enumerate(plain) if anchor in plain[:at]}
    return frozenset({*plain, *again})


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_lead_somewhere(page: Path) -> None:
    dead = []
    for link in LINK.findall(CODE.sub("", page.read_text(encoding="utf-8"))):
        path, _, anchor = unquote(link).partition("#")
        if re.match(r"[a-z]+:", path):
            continue
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            dead.append(link)
    assert dead == []


@pytest.mark.parametrize("page", HAND_MADE, ids=name)
def test_files_that_a_page_names_are_there(page: Path) -> None:
    rooms = {path.name for path in (*ROOT.iterdir(), *(ROOT / "agentcache").iterdir()) if path.is_dir()}
    paths = re.findall(r"`((\w+)/[\w./-]+\.(?:py|md|toml))`", CODE.sub("", page.read_text(encoding="utf-8")))
    named = [path for path, room in paths if room in rooms]
    assert [path for path in named if not (ROOT / path).exists() and not (ROOT / "agentcache" / path).exists()] == []


def test_every_page_is_in_the_index() -> None:
    index = (ROOT / "docs" / "README.md").read_text(encoding="utf-8")
    linked = {(ROOT / "docs" / link.split("#")[0]).resolve() for link in LINK.findall(index)}
    shown = [page for page in (ROOT / "docs").glob("*.md") if page.name != "README.md"]
    shown += (ROOT / "examples").glob("[0-9]*.py")
    assert [name(path) for path in shown if path not in linked] == []


def test_the_index_says_of_an_example_what_it_says_itself() -> None:
    index = (ROOT / "docs" / "README.md").read_text(encoding="utf-8")
    firsts = {
        path.stem: path.read_text(encoding="utf-8").splitlines()[0][3:] for path in ROOT.glob("examples/[0-9]*.py")
    }
    assert [stem for stem, first in firsts.items() if f"[{stem}](../examples/{stem}.py) | {first} |" not in index] == []


@cache
def options() -> dict[str, frozenset[str]]:
    """Return the options of every command by its words."""
    found = {}
    for word, deferred in COMMANDS.items():
        command = deferred.loaded(word)
        inner = command.commands if isinstance(command, TyperGroup) else {}
        for words, each in {word: command, **{f"{word} {under}": one for under, one in inner.items()}}.items():
            given = [option for option in each.params if isinstance(option, TyperOption)]
            found[words] = frozenset(
                {"--help", *(text for option in given for text in (*option.opts, *option.secondary_opts))}
            )
    return found


@pytest.mark.parametrize("page", HAND_MADE, ids=name)
def test_commands_and_options_that_a_page_names_exist(page: Path) -> None:
    known, every = options(), {option for given in options().values() for option in given}
    text = re.sub(r"\\\n\s*", " ", page.read_text(encoding="utf-8"))
    wrong = []
    for words, rest in COMMAND.findall(text):
        if words not in known and words.split()[0] not in known:
            continue  # prose: "agentcache costs less"
        mine = known.get(words, known[words.split()[0]])
        wrong += [f"agentcache {words} {option}" for option in OPTION.findall(rest) if option not in mine]
    assert wrong == []
    assert [word for word in re.findall(r"(?:`|\$ )agentcache ([a-z]+)", text) if word not in COMMANDS] == []
    if page.parent.name == "docs":  # benchmarks have options of their own
        assert set(re.findall(r"`(--[a-z][a-z-]+)", text)) - every == set()


def test_public_names_that_pages_import_exist() -> None:
    import importlib

    missing = []
    for page in HAND_MADE:
        for module, names in re.findall(
            r"from (agentcache[\w.]*) import ([\w, ]+)$", page.read_text("utf-8"), re.MULTILINE
        ):
            found = importlib.import_module(module)
            missing += [
                f"{name(page)}: {module}.{each}" for each in names.split(", ") if not hasattr(found, each.split()[0])
            ]
    assert missing == []


def test_an_output_may_leave_lines_out_where_three_dots_stand() -> None:
    assert matches("a\n...\nd\n", "a\nb\nc\nd\n")
    assert matches("...\nd\n", "d\n")
    assert not matches("a\n...\nd\n", "a\nb\ne\n")
    assert not matches("a\nd\n", "a\nb\nd\n")
