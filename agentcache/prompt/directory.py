"""Reads a prompt directory into a `Prompt`: the one file of this room that touches the world.

Decides which files are sections, in which order, and what may be included. Reads agent.toml only for the variables
that it declares, and nothing else of it; tools.json belongs to the linter. Symbolic links are followed like
files, but only to files of their own kind: a directory from a stranger would otherwise show or send any file there is.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path

from jinja2 import meta

from agentcache.errors import SettingsError, TargetError, TemplateError
from agentcache.prompt.canonical import JsonValue
from agentcache.prompt.plain_values import plain_variables
from agentcache.prompt.sandbox import parse, template_environment
from agentcache.prompt.sections import Prompt, Section, Stability

_SUFFIX = ".j2"
_OTHER_SUFFIXES = (".jinja", ".jinja2")
_TEMPLATES = (_SUFFIX, *_OTHER_SUFFIXES)
_LAYERS = ", ".join(layer.value for layer in Stability)


def read_prompt(path: str | os.PathLike[str]) -> Prompt:
    """Return the prompt that a directory holds; `Prompt.from_dir` says which files count.

    Hidden files and directories are left out. Templates to include come from the directory itself and from a `shared`
    beside it or beside the directory above (`prompts/review/planner` sees `prompts/review/shared` and
    `prompts/shared`); of two with one name the nearer is taken.

    Raises `TargetError` for a directory that is not there, cannot be read or holds no section, for a file in it that
    is neither a section nor included by another template, and for an agent.toml that cannot be used; `TemplateError`
    for a template that is no UTF-8.
    """
    root = Path(path)
    if not root.is_dir():
        problem = "is no directory" if root.exists() else "does not exist"
        raise TargetError(f"prompt directory {root} {problem}; give the directory that holds static.j2")
    texts = dict(_templates(root))
    names = sorted((name for name in texts if _layer(name)), key=_natural)
    if not names:
        raise TargetError(f"{root} holds no section; name its templates static.j2, semi_static.j2, session.j2, turn.j2")
    sections = {
        layer: [_section(root, name, texts[name]) for name in names if _layer(name) is layer] for layer in Stability
    }
    includes = _shared(root)
    includes |= {name: text for name, text in texts.items() if name not in names}
    _check_strays(root, [section for layer in sections.values() for section in layer], includes)
    return Prompt(
        static=sections[Stability.STATIC],
        semi_static=sections[Stability.SEMI_STATIC],
        session=sections[Stability.SESSION],
        turn=sections[Stability.TURN],
        includes=includes,
        examples=_examples(root / "agent.toml"),
    )


def _layer(name: str) -> Stability | None:
    if "/" in name:
        return None
    return next((layer for layer in Stability if name.startswith(layer.value)), None)


def _section(root: Path, name: str, text: str) -> Section:
    return Section(name=name.removesuffix(_SUFFIX), template=text, source=(root / name).as_posix())


def _natural(name: str) -> tuple[list[tuple[str, int]], str]:
    """Order names as people count: `static_2` before `static_10`, `static` before both."""
    parts = re.findall(r"([^0-9]*)([0-9]*)", name.removesuffix(_SUFFIX))
    return [(text, int(number or -1)) for text, number in parts], name


def _templates(folder: Path, prefix: str = "", above: frozenset[Path] = frozenset()) -> Iterator[tuple[str, str]]:
    real = folder.resolve()
    if real in above:
        return  # a link that leads back to a directory around it
    try:
        entries = sorted(folder.iterdir())
    except OSError as error:
        raise TargetError(f"cannot read directory {folder}: {error.strerror}") from error
    for entry in entries:
        if entry.name.startswith("."):
            continue
        if entry.is_dir():
            yield from _templates(entry, f"{prefix}{entry.name}/", above | {real})
        elif entry.name.endswith(_SUFFIX):
            yield prefix + entry.name, _text(entry)
        elif not prefix and entry.name.endswith(_OTHER_SUFFIXES):
            raise TargetError(
                f"{entry} would be passed over; templates of a prompt directory end in {_SUFFIX}: rename it"
            )


def stray_link(path: Path) -> str | None:
    """Return why a link is not followed, in words: it leads to a file of another kind. `None` for all that is read.

    A template may be a link to another one (`.j2`), any other file one to a file of the same name.
    """
    if not path.is_symlink():
        return None
    name = os.path.basename(os.path.realpath(path))
    if name == path.name or (path.name.endswith(_TEMPLATES) and name.endswith(_TEMPLATES)):
        return None
    return f"it is a link to a file of another kind, {name!r}; copy what is meant, or give both the same ending"


def _text(path: Path) -> str:
    if (stray := stray_link(path)) is not None:
        raise TargetError(f"cannot read {path}: {stray}")
    if path.exists() and not path.is_file():  # whoever opens a pipe waits for its other end
        raise TargetError(f"cannot read {path}: it is no regular file")
    try:
        return path.read_bytes().decode("utf-8-sig")  # some editors write a byte order mark, which is no text
    except OSError as error:
        raise TargetError(f"cannot read {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        message = f"{path} is no UTF-8 text (byte {error.start}); save it as UTF-8"
        raise TemplateError(message, template=path.as_posix()) from error


def _shared(root: Path) -> dict[str, str]:
    here = Path(os.path.abspath(root))  # not resolved: a link to a directory stands where it stands
    texts: dict[str, str] = {}
    for above in (here.parent.parent, here.parent):
        if (above / "shared").is_dir():
            texts |= dict(_templates(above / "shared", "shared/"))
    return texts


def _check_strays(root: Path, sections: list[Section], includes: Mapping[str, str]) -> None:
    """Refuse a template that nobody would ever read: its name is most likely a typing mistake."""
    strays = {name for name in includes if "/" not in name}
    if not strays:
        return
    environment = template_environment(includes)
    trees = [parse(environment, section.template, section.label) for section in sections]
    trees += [parse(environment, text, name) for name, text in includes.items()]
    used = {reference for tree in trees for reference in meta.find_referenced_templates(tree)}
    if None not in used and (unused := sorted(strays - used)):
        raise TargetError(
            f"{root / unused[0]} is no section, since its name begins with none of {_LAYERS}, "
            "and no template includes it; rename it, include it or take it away"
        )


def _examples(path: Path) -> dict[Stability, dict[str, JsonValue]]:
    if not os.path.lexists(path):
        return {}
    try:
        settings = tomllib.loads(_text(path))
    except tomllib.TOMLDecodeError as error:
        raise TargetError(f"{path} is no TOML: {error}") from error
    layers = settings.get("variables", {})
    if not isinstance(layers, dict):
        raise TargetError(f"{path}: `variables` is a {type(layers).__name__}; write tables [variables.<layer>]")
    return {_known_layer(path, layer): _values(path, layer, values) for layer, values in layers.items()}


def _known_layer(path: Path, layer: str) -> Stability:
    try:
        return Stability(layer)
    except ValueError:
        raise TargetError(f"{path}: [variables.{layer}] names no layer; the layers are {_LAYERS}") from None


def _values(path: Path, layer: str, values: object) -> dict[str, JsonValue]:
    if not isinstance(values, dict):
        raise TargetError(f"{path}: variables.{layer} is a {type(values).__name__}; write a table [variables.{layer}]")
    try:
        return plain_variables(values)
    except SettingsError as error:
        raise TargetError(f"{path}, [variables.{layer}]: {error}") from error
