"""``nightferry states``: check or run any Amazon States Language definition."""

from __future__ import annotations

import sys
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from nightferry import states
from nightferry.cli.terminal.options import AsJson, parse_input, print_json
from nightferry.cli.terminal.streams import echo
from nightferry.errors import NightferryError
from nightferry.states.data.payload import NotJson, dumps, loads
from nightferry.states.language.parser import DEFINITION_LIMIT_BYTES
from nightferry.states.language.placeholders import PLACEHOLDER, fill, fill_bare
from nightferry.states.language.yaml_text import load_yaml

app = typer.Typer(
    help="Check or run any Amazon States Language definition.", no_args_is_help=True, add_completion=False
)
File = Annotated[
    Path,
    typer.Argument(
        help="Definition (JSON or YAML); - for JSON on standard input.",
        metavar="FILE",
        exists=True,
        dir_okay=False,
        allow_dash=True,
    ),
]


WorkflowType = Annotated[
    Literal["STANDARD", "EXPRESS"], typer.Option("--type", help="Type of the workflow.", case_sensitive=False)
]


class UnreadableFile(NightferryError):
    """The file is empty, is not UTF-8 text, or is not YAML although its name ends with .yaml or .yml."""


@app.command()
def validate(file: File, as_json: AsJson = False, workflow_type: WorkflowType = "STANDARD") -> None:
    """Print every error of a definition, with its path and fix. Exit with 1 if the definition has errors.

    Placeholders such as ${LambdaArn}, which a deployment replaces, are accepted.
    """
    problems = states.validate(_read_definition(file), workflow_type)
    if as_json:
        print_json([{"path": problem.path, "message": problem.message} for problem in problems])
    else:
        for problem in problems:
            echo(str(problem))
    if problems:
        raise typer.Exit(1)
    if not as_json:
        echo(f"{_format_name(file)} is a valid definition.")


@app.command()
def run(
    file: File,
    input: Annotated[str, typer.Option("--input", help="The execution's input.", metavar="JSON")] = "{}",
    results: Annotated[
        Path | None,
        typer.Option(help="Results of the tasks by state (JSON or YAML).", metavar="FILE", exists=True, dir_okay=False),
    ] = None,
    workflow_type: WorkflowType = "STANDARD",
) -> None:
    """Run a definition without real waits. Print the output, or print the error and cause and exit with 1.

    Task states take their results from the file of --results: for each state, {"value": ...} or {"error": NAME,
    "cause": TEXT}, or a list with one of these for each attempt.
    """
    value = parse_input(input)
    try:
        definition = states.parse(_read_definition(file), workflow_type)
        given = None if results is None else _read_value(results)
        result = states.run(definition, value, results=given)
    except (states.InvalidDefinition, states.InvalidInput) as error:
        hint = " Give their results with --results FILE." if isinstance(error, states.UnknownResource) else ""
        raise NightferryError(f"{_format_name(file)}: {error}{hint}") from None
    except (states.InvalidResults, states.NoResultLeft) as error:
        raise NightferryError(f"{results}: {error}") from None
    if result.status == "SUCCEEDED":
        print_json(result.output)
        return
    echo(f"{result.status}: {result.error or ''}".rstrip(": "), err=True)
    if result.cause:
        echo(result.cause, err=True)
    raise typer.Exit(1)


def _format_name(file: Path) -> str:
    return "Standard input" if str(file) == "-" else str(file)


def _read_definition(file: Path) -> str:
    """Return the definition's text, with JSON in place of YAML and examples in place of placeholders."""
    text = _read_text(file)
    if len(text.encode()) > DEFINITION_LIMIT_BYTES:
        return text
    if _is_yaml(file):
        text = dumps(_load_yaml(file, text))
    if not PLACEHOLDER.search(text):
        return text
    text = fill_bare(text)
    if states.validate(text):
        with suppress(NotJson):
            return dumps(fill(loads(text, _make_object)))
    return text


def _make_object(pairs: list[tuple[str, Any]]) -> Any:
    members = dict(pairs)
    if len(members) < len(pairs):
        raise NotJson("a key occurs twice")
    return members


def _read_value(file: Path) -> Any:
    text = _read_text(file)
    if _is_yaml(file):
        return _load_yaml(file, text)
    try:
        return loads(text)
    except NotJson as error:
        raise UnreadableFile(f"{_format_name(file)} is not JSON: {error}.") from None


def _is_yaml(file: Path) -> bool:
    return file.suffix.lower() in (".yaml", ".yml")


def _load_yaml(file: Path, text: str) -> Any:
    try:
        return load_yaml(text)
    except NotJson as error:
        raise UnreadableFile(f"{_format_name(file)} is not YAML that JSON can express: {error}.") from None


def _read_text(file: Path) -> str:
    """Return the file's text; raises UnreadableFile if it is empty or binary."""
    stream = sys.stdin.buffer if str(file) == "-" else file.open("rb")
    with stream:
        content = stream.read(DEFINITION_LIMIT_BYTES + 1)  # enough to detect a definition that is too long
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        if len(content) > DEFINITION_LIMIT_BYTES:
            return " " * len(content)  # the content may end inside a character; the validator reports the length
        raise UnreadableFile(f"{_format_name(file)} is not UTF-8 text.") from None
    if not text.strip() and len(content) <= DEFINITION_LIMIT_BYTES:
        raise UnreadableFile(f"{_format_name(file)} is empty. A definition is a JSON object with StartAt and States.")
    return text
