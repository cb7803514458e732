"""Compare the form of a task with the options of ``nightferry run``: the same values, and the same problems."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from nightferry.backend.request_checks import ImpossibleOverride, RequestProblem, check
from nightferry.backend.runs import RunRequest
from nightferry.catalog.catalog import Catalog
from nightferry.catalog.declarations import Task
from nightferry.cli.run.task_options import CommandOptions, TaskOptions, rewrite
from nightferry.cli.terminal.running import parse_variables
from nightferry.contract import format_option
from nightferry.dashboard.forms.run_form import RunForm, RunInput, Visibility
from nightferry.environments.environment import Environment
from nightferry.job.redaction import Redactor

VALUES = {
    "NUMBER": ("5", "0", "-1", "1.5", "many", "９"),
    "true|false": ("true", "false"),
    "YYYY-MM-DD": ("2026-11-01", "yesterday"),
    "TIME": ("2026-11-01T05:30:00Z", "2026-11-01", "now"),
    "HH:MM:SS": ("00:02:00", "PT2M", "soon"),
    "JSON": ("[]", '{"a": [1]}', "[1", '"x"'),
}
TEXTS = (" a; b ", "--ü=1", "s3://in/a.csv", "[<b>")


def compare(catalog: Catalog, task: Task, environment: Environment) -> Iterator[tuple[str, str]]:
    """Yield the variable and the value of each comparison, which fails if the form and the command line differ."""
    form = RunForm(catalog, task, environment, Visibility(Redactor(catalog.privacy)))
    fields = {one.label: one for one in form.list_fields(form.first_input())}
    options, marked = TaskOptions.read(catalog, task), set[str]()
    required = dict.fromkeys(task.required_at_start, "2026-11-01")
    for setting in form.settings:
        field = fields[setting.variable]
        values = field.options or VALUES.get(setting.form, TEXTS)
        for value in (*values, ""):
            given = {**required, setting.variable: value}
            entered = RunInput({f"set.{name}": text for name, text in given.items()})
            by_form = form.make_request(entered, "anna")
            variables = read_command_line(task.name, options, {name: text for name, text in given.items() if text})
            assert by_form.env == variables, (setting.variable, value)
            problems = find_problems(catalog, by_form)
            assert problems == find_problems(catalog, RunRequest(task.name, (), variables, started_by="anna"))
            if problems and setting.variable not in marked:
                shown = form.list_fields(entered, problems)
                assert any(one.problems for one in shown), (setting.variable, value)
                marked.add(setting.variable)
            yield setting.variable, value


def read_command_line(task: str, options: TaskOptions, given: Mapping[str, str]) -> dict[str, str]:
    """Return the variables of a command line with an option for each setting, and -e for what has no option."""
    known = set(options.variables.values())
    words = [f"{format_option(name)}={text}" for name, text in given.items() if name in known]
    others = [f"{name}={text}" for name, text in given.items() if name not in known]
    rewritten = rewrite([task, *words], CommandOptions(frozenset(), frozenset()), options)
    return parse_variables([*others, *(word for word in rewritten[1:] if word != "-e")])


def find_problems(catalog: Catalog, request: RunRequest) -> list[RequestProblem]:
    """Return the problems of a request."""
    try:
        check(catalog, request, lambda _: "")
    except ImpossibleOverride as error:
        return error.problems
    return []
