"""``nightferry states``: check or run any Amazon States Language definition."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from nightferry import states
from nightferry.cli.terminal.options import AsJson, print_json
from nightferry.errors import NightferryError
from nightferry.states.language.parser import DEFINITION_LIMIT_BYTES

app = typer.Typer(
    help="Check or run any Amazon States Language definition.", no_args_is_help=True, add_completion=False
)
File = Annotated[
    Path, typer.Argument(help="A definition, JSON; - for standard input.", exists=True, dir_okay=False, allow_dash=True)
]


class UnreadableDefinition(NightferryError):
    """The file holds no text in UTF-8, or no JSON at all."""


@app.command()
def validate(file: File, as_json: AsJson = False) -> None:
    """Tell every error of a definition, with its path and what to do. Exit code 1 if there is one."""
    problems = states.validate(_read(file))
    if as_json:
        print_json([{"path": problem.path, "message": problem.message} for problem in problems])
    else:
        for problem in problems:
            typer.echo(str(problem))
    if problems:
        raise typer.Exit(1)
    if not as_json:
        typer.echo(f"{_called(file)} is a valid definition.")


@app.command()
def run(
    file: File, input: Annotated[str, typer.Option("--input", help="The execution's input.", metavar="JSON")] = "{}"
) -> None:
    """Run a definition here, with waits that take no time. Prints the output, or the error and cause and exits 1.

    States that call something (Task) have nothing here to call: give them callables in Python, by
    nightferry.states.run.
    """
    value = _input(input)
    try:
        result = states.run(_read(file), value)
    except (states.InvalidDefinition, states.InvalidInput) as error:
        raise NightferryError(f"{_called(file)}: {error}") from None
    if result.status == "SUCCEEDED":
        print_json(result.output)
        return
    typer.echo(f"{result.status}: {result.error or ''}".rstrip(": "), err=True)
    if result.cause:
        typer.echo(result.cause, err=True)
    raise typer.Exit(1)


def _called(file: Path) -> str:
    return "Standard input" if str(file) == "-" else str(file)


def _read(file: Path) -> str:
    """The definition's text. What is no JSON at all is told as what it is."""
    stream = sys.stdin.buffer if str(file) == "-" else file.open("rb")
    with stream:
        content = stream.read(DEFINITION_LIMIT_BYTES + 1)  # no more is needed to refuse what is too long
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        if len(content) > DEFINITION_LIMIT_BYTES:
            return " " * len(content)  # perhaps only cut within a character: its length is what is wrong
        raise UnreadableDefinition(f"{_called(file)} is not text in UTF-8. A definition is JSON.") from None
    if not text.strip() and len(content) <= DEFINITION_LIMIT_BYTES:
        raise UnreadableDefinition(f"{_called(file)} is empty. A definition is a JSON object with StartAt and States.")
    if file.suffix in (".yaml", ".yml"):
        raise UnreadableDefinition(
            f"{_called(file)} is YAML. Step Functions and this command take JSON: convert it first, for example with "
            "yq -o=json."
        )
    return text


def _input(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise NightferryError(
            f"--input is not JSON: {error}. Put it in single quotes, as in --input '{{\"id\": 7}}'; a file's content "
            'is --input "$(cat FILE)".'
        ) from None
