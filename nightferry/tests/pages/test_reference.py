"""The pages in docs/reference are those that make reference writes, and describe everything that a user can set."""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, get_args

import pytest
import typer.main
from pydantic import BaseModel

import nightferry
from nightferry import contract
from nightferry.catalog import checks
from nightferry.catalog.catalog import Catalog
from nightferry.cli.app import app
from nightferry.cli.run.run_ecs_task import app as run_ecs_task
from nightferry.cli.terminal import options
from nightferry.job import logs
from tests.test_workload_words import find_words

ROOT = Path(__file__).parents[3]
sys.path.append(str(ROOT))

from tools.reference import catalog, commands, docstrings, environments  # noqa: E402
from tools.reference.toolkit import FOLDER, PAGES  # noqa: E402

OURS = [*PAGES]


@cache
def render(path: str) -> str:
    return PAGES[path](ROOT)


@pytest.mark.parametrize("path", OURS)
def test_the_page_is_up_to_date(path: str) -> None:
    assert (ROOT / path).read_text(encoding="utf-8") == render(path), "The page is out of date. Run: make reference"


def test_the_folder_has_no_other_pages() -> None:
    assert sorted(str(path.relative_to(ROOT)) for path in (ROOT / FOLDER).iterdir()) == sorted(OURS)


@pytest.mark.parametrize("path", OURS)
def test_each_row_of_a_table_has_a_meaning(path: str) -> None:
    """The meaning is the last cell."""
    assert [line for line in render(path).splitlines() if re.fullmatch(r"\|.*\| +\|", line)] == []


@pytest.mark.parametrize("path", OURS)
def test_the_page_has_no_word_of_the_workload(path: str) -> None:
    assert find_words(iter([(path, render(path))])) == []


# ── catalog ──


def test_each_method_of_the_catalog_is_on_the_page() -> None:
    methods = {
        method for name, method in inspect.getmembers(Catalog, inspect.isfunction) if not name.startswith("_")
    } - {Catalog.stores_result}
    assert methods == set(catalog.METHODS) - {Catalog}


def test_each_public_name_of_declarations_is_on_the_page() -> None:
    """Only the results of the methods and a few other names are not."""
    declared = {name for names in nightferry._MODULES.values() for name in names}
    returned = {method.__annotations__["return"] for method in catalog.METHODS if inspect.isfunction(method)}
    others = {"Body", "Condition", "ExitCode", "Grant", "NightferryError", "ReasonCount", "Value", "OBJECT_VARIABLES"}
    assert declared - {*catalog.VALUES, *catalog.STEPS, *catalog.RUN_VALUES, "Catalog"} - others <= returned


@pytest.mark.parametrize("method", catalog.METHODS, ids=lambda method: method.__name__)
def test_each_parameter_is_described_and_in_the_example(method: Any) -> None:
    described = docstrings.read(method).arguments
    example = catalog.read_examples()[method.__name__]
    names = [name for name, _ in catalog.list_parameters(method)]
    assert list(described) == names
    first = {"name", "target", "body", "resource"}  # the first arguments, which are usually given without a name
    assert [name for name in names if name not in first and not re.search(rf"\b{name}=", example)] == []


@pytest.mark.parametrize("name", [*catalog.VALUES, *catalog.STEPS, *catalog.RUN_VALUES])
def test_each_argument_of_a_type_is_described(name: str) -> None:
    documented = getattr(nightferry, name)
    names = [argument.lstrip("*") for argument, _ in catalog.list_parameters(documented)]
    if name in ("Bucket", "Topic", "BucketPath", "Privacy"):  # a catalog creates them, or they are choices
        return
    assert list(docstrings.read(documented).arguments) == names


def test_each_value_of_a_choice_is_in_its_meaning() -> None:
    for name, module in catalog.CHOICES.items():
        meaning = docstrings.read_constants(module)[name]
        assert [choice for choice in get_args(getattr(module, name)) if f"`{choice}`" not in meaning] == [], name


def test_the_example_is_a_catalog(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(catalog.EXAMPLE.parents[1])
    try:
        from acme.catalog import catalog as example  # type: ignore[import-not-found]  # in the folder of the example
    finally:
        for module in [name for name in sys.modules if name.partition(".")[0] == "acme"]:
            del sys.modules[module]
    kinds = (example.tasks, example.workflows, example.schedules, example.object_triggers, example.functions)
    assert [len(kind) for kind in kinds] == [3, 2, 2, 1, 1]


# ── commands ──


def list_commands() -> Iterator[tuple[str, Any]]:
    group: Any = typer.main.get_command(app)
    for verb in group.commands.values():
        command = verb.load()
        yield f"nightferry {verb.name}", command
        for name, inner in getattr(command, "commands", {}).items():
            yield f"nightferry {verb.name} {name}", inner
    yield "run-ecs-task", typer.main.get_command(run_ecs_task)


def test_each_argument_and_option_of_a_command_has_a_help_text() -> None:
    page = render(f"{FOLDER}/commands.md")
    for name, command in list_commands():
        found = re.search(rf"^#+ {re.escape(name)}\n(.*?)(?=^#|\Z)", page, re.MULTILINE | re.DOTALL)
        assert found, name
        assert command.help, name
        for one in command.params:
            assert one.hidden or one.help, (name, one.name)
            names = [*one.opts, (one.metavar or "").replace("|", "\\|")]
            is_shown = one.name in commands.COMMON or any(f"`{shown}" in found[1] for shown in names if shown)
            assert one.hidden or is_shown, (name, one.name)


# ── environments ──


def list_models(model: type[BaseModel]) -> Iterator[type[BaseModel]]:
    yield model
    for field in model.model_fields.values():
        if found := environments.find_table(field.annotation):
            yield from list_models(found[0])


def test_each_key_of_an_environment_has_a_description() -> None:
    page = render(f"{FOLDER}/environments.md")
    for table, (model, _) in environments.TABLES.items():
        for one in list_models(model):
            assert one.__doc__, table
            for key, field in one.model_fields.items():
                assert field.description, (table, key)
                assert f"| `{key}` |" in page, (table, key)


# ── job settings ──


def find_reads(*packages: str) -> set[str]:
    """Return the environment variables that the code of the packages reads by their names."""
    folder = ROOT / "nightferry/src/nightferry"
    files = [file for package in packages for file in (folder / package).rglob("*.py")]
    pattern = re.compile(r'environ(?:\.get\(|\[)"([A-Z_]+)"')
    return {name for file in files for name in pattern.findall(file.read_text(encoding="utf-8"))}


# The request of a shell's script, which nobody sets by hand.
COMPLETION = {"COMP_CWORD", "COMP_WORDS", "_NIGHTFERRY_COMPLETE", "_TYPER_COMPLETE_FISH_ACTION"}


def test_each_variable_that_the_code_reads_is_on_a_page() -> None:
    assert find_reads("cli", "environments", "local", "aws") - {"HOME", "PATH", *COMPLETION} <= options.VARIABLES.keys()
    assert {"LOGGING_LEVEL", "NR_INSERT_API_KEY"} <= find_reads("job") <= checks.RUNTIME.keys()


def test_each_variable_of_the_runtime_has_a_description() -> None:
    described = docstrings.read_constants(contract)
    constants = {name for name in vars(contract) if name.endswith("_VARIABLE")}
    assert constants <= described.keys()
    assert contract.INPUT_MEANINGS.keys() == contract.INPUT_VARIABLES.keys()


def test_each_exit_code_and_event_has_a_description() -> None:
    for kind in (contract.ExitCode, contract.LogEvent, nightferry.Privacy):
        assert set(docstrings.read_class_constants(kind)) == {one.name for one in kind}


def test_each_event_in_the_code_of_the_runtime_is_on_the_page() -> None:
    folder = ROOT / "nightferry/src/nightferry/job"
    texts = [path.read_text(encoding="utf-8") for path in folder.rglob("*.py")]
    written = {event for text in texts for event in re.findall(r'"event": "(\w+)"', text)}
    stops = {kind.__name__.lower() for kind in nightferry.Stopped.__subclasses__()} - {"timelimitreached"}
    assert written | stops == set(logs.OTHER_EVENTS)
