"""Write docs/reference/: every public name, its signature and its docstring, a page for each area.

griffe reads the sources without importing them, so signatures stand as they were written, whatever a machine has
installed. A name's docstring says what its parameters are in lines that begin `name:`; those become a list.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path

import griffe

from docs.making.areas import AREAS, Area

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "docs" / "reference"
MADE = "Made from the docstrings by `make docs`; do not edit it.\n"
LINE = 100

Documented = griffe.Class | griffe.Function | griffe.Attribute | griffe.TypeAlias


@cache
def pages() -> Mapping[str, str]:
    """Return every page of the reference by its file name."""
    written = {f"{area.file}.md": "\n".join(_page(area)) for area in AREAS}
    return {"README.md": _index(), **written}


def find(area: Area, name: str) -> Documented:
    """Return what a public name of an area stands for, as its module declares it."""
    found = _module(area.homes()[name])[name]
    assert isinstance(found, Documented), f"{name} is a {type(found).__name__}"
    return found


@cache
def _module(path: str) -> griffe.Module:
    file = ROOT.joinpath(*path.split(".")).with_suffix(".py")
    return griffe.visit(path, filepath=file, code=file.read_text(encoding="utf-8"))


def _index() -> str:
    lines = ["# Reference", "", MADE]
    for area in AREAS:
        names = ", ".join(f"[`{name}`]({area.file}.md#{anchor})" for name, anchor in _anchors(area).items())
        lines += [f"## [{area.title}]({area.file}.md)", "", area.says, "", names, ""]
    return "\n".join(lines)


def _anchors(area: Area) -> dict[str, str]:
    """Return the anchor of each name; a code host counts those that differ in their case alone (`tool`, `Tool`)."""
    names = list(area.homes())
    before = [sum(name.lower() == earlier.lower() for earlier in names[:at]) for at, name in enumerate(names)]
    return {name: f"{name.lower()}-{same}" if same else name.lower() for name, same in zip(names, before, strict=True)}


def _page(area: Area) -> Iterator[str]:
    yield f"# {area.title}\n"
    yield MADE
    yield f"{area.says}\n"
    if area.imported:
        yield f"```python\n{area.imported}\n```\n"
    for name in area.homes():
        yield f"## {name}\n"
        yield from _entry(find(area, name), name)


def _entry(found: Documented, name: str) -> Iterator[str]:
    if isinstance(found, griffe.Class):
        yield from _class(found)
    elif isinstance(found, griffe.Function):
        yield _code("\n".join(_signature(each, name) for each in found.overloads or [found]))
        yield from _prose(found, names_of(found))
    else:
        yield _code(_alias(name, str(found.value)))
        yield from _prose(found, ())


def _alias(name: str, value: str) -> str:
    """Return what a name stands for, a line for each kind where one line would be long."""
    kinds = re.split(r" \| (?![^\[(]*[\])])", value)
    if len(name) + len(value) <= LINE or len(kinds) < 2:
        return f"{name} = {value}"
    return "\n".join([f"{name} = (", f"    {kinds[0]}", *(f"    | {kind}" for kind in kinds[1:]), ")"])


def _class(found: griffe.Class) -> Iterator[str]:
    fields = _fields(found)
    bases = ", ".join(str(base) for base in found.bases if str(base).split("[")[0] not in {"Generic", "object"})
    parameters = parameters_of(found)
    yield _code(f"class {_call(found.name, parameters)}{f'  # base: {bases}' if bases else ''}")
    known = [parameter.name for parameter in parameters]
    yield from _prose(found, [*known, *fields])
    told = found.docstring.value if found.docstring else ""
    for name, attribute in fields.items():
        if name == "_":
            continue
        if attribute.docstring is not None:
            yield f"- **{name}**: {_joined(attribute.docstring.value)}"
        elif name not in known and not _mentions(told, name):
            yield f"- **{name}** (`{attribute.annotation}`)"
    if fields:
        yield ""
    for method in methods_of(found):
        yield f"### {found.name}.{method.name}\n"
        if "property" in method.labels:
            yield _code(f"{method.name}: {method.annotation}")
        else:
            assert isinstance(method, griffe.Function)
            shown = method.overloads or [method]
            yield _code("\n".join(_signature(each, method.name) for each in shown))
        yield from _prose(method, names_of(method))


def parameters_of(found: griffe.Class) -> list[griffe.Parameter]:
    """Return what making an instance takes: of `__init__`, or the fields of a dataclass, those of its bases first."""
    init = found.members.get("__init__")
    if isinstance(init, griffe.Function):
        return [each for each in init.parameters if each.name != "self"]
    made = [str(decorator.value) for decorator in found.decorators if str(decorator.value).startswith("dataclass")]
    inherited = [each for base in _bases(found) for each in parameters_of(base)]
    if not made:
        return inherited
    kind = (
        griffe.ParameterKind.keyword_only if "kw_only=True" in made[0] else griffe.ParameterKind.positional_or_keyword
    )
    own: list[griffe.Parameter] = []
    for name, field in _fields(found).items():
        if str(field.annotation) == "KW_ONLY":
            kind = griffe.ParameterKind.keyword_only
        elif not str(field.value).startswith("field(init=False"):
            own.append(griffe.Parameter(name, annotation=field.annotation, kind=kind, default=_default(field)))
    return [*inherited, *own]


def _bases(found: griffe.Class) -> Iterator[griffe.Class]:
    for base in found.bases:
        known = found.module.members.get(str(base).split("[")[0])
        if isinstance(known, griffe.Class):
            yield known


def _default(field: griffe.Attribute) -> str | None:
    """Return a field's default as a reader would write it."""
    written = None if field.value is None else str(field.value)
    if written is None or not written.startswith("field("):
        return written
    factory = re.search(r"default_factory=([^,)]+)", written)
    default = re.search(r"default=([^,)]+)", written)
    return f"{factory[1]}()" if factory else default[1] if default else None


def _fields(found: griffe.Class) -> dict[str, griffe.Attribute]:
    return {
        name: member
        for name, member in found.members.items()
        if isinstance(member, griffe.Attribute)
        and (member.annotation is not None or member.docstring is not None)
        and "property" not in member.labels
        and (name == "_" or not name.startswith("_"))
    }


def methods_of(found: griffe.Class) -> list[griffe.Function | griffe.Attribute]:
    """Return the public methods and properties of a class."""
    return [
        member
        for name, member in found.members.items()
        if (name == "__call__" or not name.startswith("_"))
        and (
            isinstance(member, griffe.Function)
            or (isinstance(member, griffe.Attribute) and "property" in member.labels)
        )
    ]


def names_of(found: griffe.Object) -> list[str]:
    """Return the names of what a function takes, in any of its forms; none for what is no function."""
    if not isinstance(found, griffe.Function):
        return []
    forms = [found, *(found.overloads or [])]
    taken = [parameter.name for form in forms for parameter in form.parameters]
    return [name for name in dict.fromkeys(taken) if name not in {"self", "cls"}]


def _signature(found: griffe.Function, name: str) -> str:
    kind = "async def" if "async" in found.labels else "def"
    returns = f" -> {found.returns}" if found.returns is not None else ""
    return f"{kind} {_call(name, found.parameters)}{returns}"


def _call(name: str, parameters: Sequence[griffe.Parameter] | griffe.Parameters) -> str:
    written = list(_written(parameters))
    line = f"{name}({', '.join(written)})"
    if len(line) <= LINE:
        return line
    return f"{name}(\n" + "".join(f"    {parameter},\n" for parameter in written) + ")"


def _written(parameters: Sequence[griffe.Parameter] | griffe.Parameters) -> Iterator[str]:
    """Yield parameters as Python writes them, without `self`."""
    kinds = griffe.ParameterKind
    shown = [each for each in parameters if each.name not in {"self", "cls"}]
    starred = False
    for at, each in enumerate(shown):
        if each.kind is kinds.keyword_only and not starred:
            starred = True
            if not any(before.kind is kinds.var_positional for before in shown[:at]):
                yield "*"
        stars = {kinds.var_positional: "*", kinds.var_keyword: "**"}.get(each.kind, "") if each.kind else ""
        annotation = "" if each.annotation is None else f": {_plain(each.annotation)}"
        has_default = each.default is not None and not stars
        default = f" = {each.default}" if has_default and annotation else f"={each.default}" if has_default else ""
        yield f"{stars}{each.name}{annotation}{default}"
        after = shown[at + 1].kind if at + 1 < len(shown) else None
        if each.kind is kinds.positional_only and after is not kinds.positional_only:
            yield "/"


def _plain(annotation: griffe.Expr | str) -> str:
    """Return an annotation without what pydantic is told beside the type."""
    return re.sub(r"^Annotated\[(.+?), Field\(.*\)\]$", r"\1", _spelt_out(annotation))


def _spelt_out(annotation: griffe.Expr | str) -> str:
    """Return an annotation; an alias of its own module that is private is replaced by what it stands for."""
    if isinstance(annotation, griffe.ExprName) and annotation.name.startswith("_"):
        alias = griffe.Module if annotation.parent is None else annotation.parent
        found = alias.module.members.get(annotation.name) if isinstance(alias, griffe.Object) else None
        if isinstance(found, griffe.Attribute):
            return str(found.value)
    return str(annotation)


def described(found: griffe.Object) -> dict[str, str]:
    """Return what is said of a function's parameters in `Field(description=…)`, which the model reads as well."""
    if not isinstance(found, griffe.Function):
        return {}
    told = {
        each.name: re.search(r"description=(['\"])(.*?)\1[,)]", _spelt_out(each.annotation or ""))
        for each in found.parameters
    }
    return {name: said[2] for name, said in told.items() if said is not None}


def _prose(found: griffe.Object, names: Sequence[str]) -> Iterator[str]:
    if found.docstring is not None:
        yield prose(found.docstring.value, names)
        yield ""
    if fields := described(found):
        yield "\n".join(f"- **{name}**: {said}" for name, said in fields.items())
        yield ""


def prose(text: str, names: Sequence[str]) -> str:
    """Return a docstring as Markdown: what it says of each of `names` as a list, the rest as it is."""
    paragraphs = text.split("\n\n")
    return "\n\n".join(paragraph if _is_code(paragraph) else _listed(paragraph, names) for paragraph in paragraphs)


def _is_code(paragraph: str) -> bool:
    return all(line.startswith("    ") for line in paragraph.splitlines())


def _listed(paragraph: str, names: Sequence[str]) -> str:
    known = "|".join(map(re.escape, sorted(set(names), key=len, reverse=True)))
    start = re.compile(rf"(?:^|(?<=[.;] ))((?:{known})(?:, (?:{known}))*): ") if known else None
    text = _joined(paragraph)
    if start is None or not start.search(text):
        return text
    text, *behind = re.split(r"(?<=\.) (?=(?:Raises|Returns) )", text)
    parts = start.split(text)
    items = [f"- **{name}**: {said.strip().rstrip(';')}" for name, said in zip(parts[1::2], parts[2::2], strict=True)]
    listed = "\n".join([*([parts[0].strip(), ""] if parts[0].strip() else []), *items])
    return "\n\n".join([listed, *behind])


def _joined(text: str) -> str:
    return " ".join(text.split())


def _mentions(text: str, name: str) -> bool:
    return re.search(rf"\b{re.escape(name)}\b", text) is not None


def _code(text: str) -> str:
    return f"```python\n{text}\n```\n"


if __name__ == "__main__":
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir()
    for name, text in pages().items():
        (FOLDER / name).write_text(text, encoding="utf-8")
