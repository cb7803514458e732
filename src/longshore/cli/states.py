"""``longshore states``: check or run any Amazon States Language definition."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from longshore.cli.options import print_json

app = typer.Typer(help="Check or run any Amazon States Language definition.", no_args_is_help=True)
File = Annotated[Path, typer.Argument(help="A definition, JSON.", exists=True, dir_okay=False)]


@app.command()
def validate(file: File) -> None:
    """Tell every error of a definition, with its path and what to do. Exit code 1 if there is one."""
    from longshore import states

    problems = states.validate(file.read_text(encoding="utf-8"))
    for problem in problems:
        typer.echo(str(problem))
    if problems:
        raise typer.Exit(1)
    typer.echo(f"{file} is a valid definition.")


@app.command()
def run(
    file: File, input: Annotated[str, typer.Option("--input", help="The execution's input.", metavar="JSON")] = "{}"
) -> None:
    """Run a definition here, with waits that take no time. Prints the output, or the error and cause and exits 1."""
    from longshore import states
    from longshore.errors import LongshoreError

    try:
        value = json.loads(input)
    except ValueError as error:
        raise LongshoreError(f"--input is not JSON: {error}.") from None
    try:
        result = states.run(file.read_text(encoding="utf-8"), value)
    except (states.InvalidDefinition, states.UnknownResource) as error:
        raise LongshoreError(f"{file}: {error}") from None
    if result.status == "SUCCEEDED":
        print_json(result.output)
        return
    typer.echo(f"{result.status}: {result.error or ''}".rstrip(": "), err=True)
    if result.cause:
        typer.echo(result.cause, err=True)
    raise typer.Exit(1)
