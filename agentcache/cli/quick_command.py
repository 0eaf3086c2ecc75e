"""A command whose arguments are read without pydantic, which typer else imports for the first of them.

That import takes longer than linting a project. Texts, paths, switches, choices and lists of these are read here, as
typer reads them; any other type is left to typer.
"""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, get_args, get_origin

import typer
from typer.core import TyperArgument, TyperCommand, TyperOption

if TYPE_CHECKING:
    from typer.models import Context


class QuickCommand(TyperCommand):
    """A command that starts fast."""

    def __init__(self, *arguments: object, **attributes: object) -> None:
        super().__init__(*arguments, **attributes)  # type: ignore[arg-type]  # as typer builds it
        for parameter in self.params:
            read_plainly(parameter)

    def get_help_option(  # type: ignore[override]  # typer hands its own context class
        self, ctx: Context
    ) -> TyperOption | None:
        """Return `--help`, read as plainly."""
        option = super().get_help_option(ctx)
        read_plainly(option)
        return option


def read_plainly(parameter: object) -> None:
    """Have a parameter of typer read here, when its type is one of ours."""
    if not isinstance(parameter, TyperArgument | TyperOption):
        return
    annotation: object = parameter.type_descriptor.annotation
    item = get_args(annotation)[0] if get_origin(annotation) is list else annotation
    if isinstance(item, type) and issubclass(item, str | Path | bool | Enum):
        reading = _Reading(item)
        setattr(parameter, "get_runtime_param", lambda: reading)  # noqa: B010  # an instance's own, which mypy refuses


class _Reading:
    """How one parameter is read; stands in for typer's `RuntimeParam`."""

    def __init__(self, item: type[str | Path | bool | Enum]) -> None:
        self._item = item

    def coerce(self, value: object, param: TyperArgument | TyperOption, ctx: Context) -> object:
        """Return the value of the parameter's type; `()` for a list that was not given.

        Raises `typer.BadParameter` for a text that is no choice.
        """
        if param.multiple or param.nargs == -1:
            return [self._one(each, param, ctx) for each in value] if isinstance(value, list | tuple) else ()
        return None if value is None else self._one(value, param, ctx)

    def _one(self, value: object, param: TyperArgument | TyperOption, ctx: Context) -> object:
        if isinstance(value, self._item):
            return value
        if not issubclass(self._item, Enum):
            return self._item(str(value))
        choices = {str(choice.value): choice for choice in self._item}
        if str(value) in choices:
            return choices[str(value)]
        raise typer.BadParameter(f"{value!r} is not one of {', '.join(map(repr, choices))}.", ctx=ctx, param=param)
