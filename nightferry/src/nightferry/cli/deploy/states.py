"""``nightferry states``: check or run any Amazon States Language definition."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from nightferry import states
from nightferry.cli.terminal.options import AsJson, parse_input, print_json
from nightferry.errors import NightferryError
from nightferry.states.language.parser import DEFINITION_LIMIT_BYTES

app = typer.Typer(
    help="Check or run any Amazon States Language definition.", no_args_is_help=True, add_completion=False
)
File = Annotated[
    Path,
    typer.Argument(
        help="Definition (JSON); - for standard input.", metavar="FILE", exists=True, dir_okay=False, allow_dash=True
    ),
]


class UnreadableDefinition(NightferryError):
    """The file is empty, is not UTF-8 text, or is YAML instead of JSON."""


@app.command()
def validate(file: File, as_json: AsJson = False) -> None:
    """Print every error of a definition, with its path and fix. Exit with 1 if the definition has errors."""
    problems = states.validate(_read_definition(file))
    if as_json:
        print_json([{"path": problem.path, "message": problem.message} for problem in problems])
    else:
        for problem in problems:
            typer.echo(str(problem))
    if problems:
        raise typer.Exit(1)
    if not as_json:
        typer.echo(f"{_format_name(file)} is a valid definition.")


@app.command()
def run(
    file: File, input: Annotated[str, typer.Option("--input", help="The execution's input.", metavar="JSON")] = "{}"
) -> None:
    """Run a definition without real waits. Print the output, or print the error and cause and exit with 1.

    A definition with Task states is rejected, because the command has no callables for their resources. To run it, pass
    callables to nightferry.states.run in Python.
    """
    value = parse_input(input)
    try:
        result = states.run(_read_definition(file), value)
    except (states.InvalidDefinition, states.InvalidInput) as error:
        raise NightferryError(f"{_format_name(file)}: {error}") from None
    if result.status == "SUCCEEDED":
        print_json(result.output)
        return
    typer.echo(f"{result.status}: {result.error or ''}".rstrip(": "), err=True)
    if result.cause:
        typer.echo(result.cause, err=True)
    raise typer.Exit(1)


def _format_name(file: Path) -> str:
    return "Standard input" if str(file) == "-" else str(file)


def _read_definition(file: Path) -> str:
    """Return the definition's text; raises UnreadableDefinition if it is empty, binary or YAML."""
    stream = sys.stdin.buffer if str(file) == "-" else file.open("rb")
    with stream:
        content = stream.read(DEFINITION_LIMIT_BYTES + 1)  # enough to detect a definition that is too long
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        if len(content) > DEFINITION_LIMIT_BYTES:
            return " " * len(content)  # the content may end inside a character; the validator reports the length
        raise UnreadableDefinition(f"{_format_name(file)} is not UTF-8 text. A definition must be JSON.") from None
    if not text.strip() and len(content) <= DEFINITION_LIMIT_BYTES:
        raise UnreadableDefinition(
            f"{_format_name(file)} is empty. A definition is a JSON object with StartAt and States."
        )
    if file.suffix in (".yaml", ".yml"):
        raise UnreadableDefinition(
            f"{_format_name(file)} is YAML. Step Functions and this command require JSON. Convert it first, for "
            "example with yq -o=json."
        )
    return text
