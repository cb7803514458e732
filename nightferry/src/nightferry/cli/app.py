"""The console script ``nightferry``, with Typer: options, arguments, messages of wrong ones, and completion."""

from __future__ import annotations

from typing import Annotated

import typer

from nightferry.cli.terminal.entry import run_script
from nightferry.cli.terminal.streams import echo
from nightferry.cli.terminal.verbs import MARKUP, Verb, VerbGroup
from nightferry.cli.verbs import SUMMARY, VERBS


class Verbs(VerbGroup):
    """All verbs."""

    verbs = tuple(Verb(verb.name, verb.panel, verb.target, verb.text) for verb in VERBS)


app = typer.Typer(
    name="nightferry",
    cls=Verbs,
    no_args_is_help=True,
    rich_markup_mode=MARKUP,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version  # slow to import

        echo(f"nightferry {version('nightferry')}")
        raise typer.Exit


@app.callback(help=SUMMARY)
def nightferry(
    show_version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Handle the options of ``nightferry`` itself."""


def main() -> None:
    """Run the console script ``nightferry``."""
    run_script("nightferry", lambda: app(prog_name="nightferry"))
