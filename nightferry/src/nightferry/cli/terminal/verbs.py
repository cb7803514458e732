"""Import the module of a verb only when the verb is called or its help is requested."""

from __future__ import annotations

import importlib
from typing import Any, ClassVar, Literal

import typer.main
from typer.core import TyperCommand, TyperGroup

MARKUP: Literal["markdown"] = "markdown"


class Verb(TyperCommand):
    """A verb in the help of its group. ``target`` is ``module:name`` of a function, or of a Typer app with verbs."""

    def __init__(self, name: str, panel: str, target: str, text: str) -> None:
        super().__init__(name, help=text, rich_help_panel=panel, rich_markup_mode=MARKUP)
        self.target = target

    def load(self) -> Any:
        """Import the module and return the command."""
        module, _, attribute = self.target.partition(":")
        found = getattr(importlib.import_module(module), attribute)
        if not isinstance(found, typer.Typer):
            alone = typer.Typer(add_completion=False, rich_markup_mode=MARKUP)
            alone.command(self.name)(found)
            found = alone
        command = typer.main.get_command(found)
        command.name = self.name
        return command


class VerbGroup(TyperGroup):
    """A group of verbs, which a subclass lists."""

    verbs: ClassVar[tuple[Verb, ...]] = ()

    def __init__(self, **settings: Any) -> None:
        super().__init__(**{**settings, "commands": {verb.name: verb for verb in self.verbs}})

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """Return the name, the imported command and the remaining arguments."""
        name, command, rest = super().resolve_command(ctx, args)
        return name, command.load() if isinstance(command, Verb) else command, rest
