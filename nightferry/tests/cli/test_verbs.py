"""The verbs of ``nightferry``: the help does not import them, and describes them as their functions do."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
from typer.testing import CliRunner

from nightferry.cli.app import Verbs, app
from nightferry.cli.terminal.verbs import Verb

HELLO = Path(__file__).parents[3] / "examples" / "hello"


@pytest.mark.parametrize("verb", Verbs.verbs, ids=lambda verb: str(verb.name))
def test_the_text_of_a_verb_equals_its_docstring(verb: Verb) -> None:
    first_paragraph = inspect.cleandoc(verb.load().help).partition("\n\n")[0].replace("\n", " ")

    assert verb.help == first_paragraph


def test_help_shows_every_verb_in_its_panel() -> None:
    text = CliRunner().invoke(app, ["-h"], env={"COLUMNS": "200"}).output

    assert re.findall(r"─ (\w+) ─", text) == ["Options", "Create", "Run", "Inspect", "Develop", "Deploy"]
    assert all(f" {verb.name} " in text for verb in Verbs.verbs)


@pytest.mark.parametrize(("words", "imported"), [(["--help"], set()), (["synth", "--help"], {"nightferry.terraform"})])
def test_only_the_called_verb_is_imported(words: list[str], imported: set[str]) -> None:
    watched = {"nightferry.terraform", "nightferry.local", "nightferry.aws"}
    code = f"import sys, atexit; atexit.register(lambda: print(*sys.modules)); sys.argv[1:] = {words!r}\n"
    code += "from nightferry.cli.app import main; main()"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert watched & set(ended.stdout.split()) == imported


@pytest.mark.sampled(4)
@pytest.mark.parametrize("verb", ["tasks", "workflows", "schedules", "triggers"])
def test_a_list_of_declarations_imports_no_backend(verb: str) -> None:
    unwanted = {
        *("nightferry.backend", "nightferry.local", "nightferry.aws", "nightferry.states.machine"),
        *("boto3", "psycopg", "polars", "sqlite3", "rich.markdown"),
    }
    code = (
        "import sys, atexit; atexit.register(lambda: print(*sys.modules)); from nightferry.cli.app import main; main()"
    )
    command = [sys.executable, "-c", code, verb]
    ended = subprocess.run(command, cwd=HELLO, capture_output=True, text=True, check=True)

    assert not unwanted & set(ended.stdout.splitlines()[-1].split())


def test_a_misspelled_verb_gets_suggestions() -> None:
    ended = CliRunner().invoke(app, ["statu"])

    assert (ended.exit_code, "'status'" in ended.output) == (2, True)


def test_the_version_equals_that_of_the_distribution() -> None:
    ended = CliRunner().invoke(app, ["--version"])

    assert (ended.exit_code, ended.output) == (0, f"nightferry {version('nightferry')}\n")
