"""The verbs of ``nightferry``, in the order and the groups of its help."""

from __future__ import annotations

from typing import Annotated

import typer

from nightferry.cli.terminal.entry import run_script
from nightferry.cli.terminal.verbs import MARKUP, Verb, VerbGroup


def _panel(title: str, package: str, *verbs: tuple[str, str, str]) -> list[Verb]:
    """Return the verbs of one panel of the help: of each its name, ``module:function`` in the package, its text."""
    return [Verb(name, title, f"{package}.{target}", text) for name, target, text in verbs]


class Verbs(VerbGroup):
    """All verbs. A verb's text is the first paragraph of its function's docstring, which is not imported for it."""

    verbs = (
        *_panel(
            "Run",
            "nightferry.cli.run",
            (
                "run",
                "run:run",
                "Run one task and follow it. The exit code is the task's own; 125 if it never started.",
            ),
            ("start", "start:start", "Start a workflow and follow it. Exit code 0 if it succeeded, else 1."),
            ("up", "up:up", "Run services, schedules, triggers, tasks and workflows on this machine, until Ctrl-C."),
            (
                "redrive",
                "redrive:redrive",
                "Start a failed execution again from the state that failed, or what could not start at all.",
            ),
            (
                "stop",
                "stop:stop",
                "Ask a run or an execution, with all its tasks, to stop. Tasks get SIGTERM, 30 seconds later SIGKILL.",
            ),
        ),
        *_panel(
            "Look",
            "nightferry.cli.inspect",
            ("status", "status:status", "Show the last executions and runs, or everything about one of them."),
            (
                "logs",
                "logs:logs",
                "Show the lines that tasks wrote: pretty on a terminal, as they were written in a pipe.",
            ),
            ("tasks", "lists:tasks", "List the declared tasks; with --env, how the last run of each ended there."),
            (
                "workflows",
                "lists:workflows",
                "List the declared workflows; with --env, how the last execution of each ended there.",
            ),
            ("schedules", "lists:schedules", "List the declared schedules, as an environment has them."),
            ("triggers", "lists:triggers", "List the declared object triggers, as an environment has them."),
            ("next", "next_fires:next_fires", "Show when schedules fire next, in their own time zone and in UTC."),
            (
                "simulate",
                "simulate:simulate",
                "Show what the schedules of an environment will start, when, and what would overlap.",
            ),
        ),
        *_panel(
            "Deploy",
            "nightferry.cli.deploy",
            (
                "synth",
                "synth:synth",
                "Write the Terraform that runs the declared tasks, workflows, schedules and triggers in an "
                "environment on AWS.",
            ),
            (
                "diff",
                "diff:diff",
                "Tell what differs between the Terraform that was written before and what the catalogue would give "
                "now.",
            ),
            (
                "resources",
                "resources:resources",
                "List the resources, the roles' statements and the container definitions in the synthesized Terraform.",
            ),
            (
                "rollback",
                "rollback:rollback",
                "Let all tasks start with the image that was deployed before. What runs goes on; migrations are "
                "not undone.",
            ),
            (
                "verify",
                "verify:verify",
                "Ask whether everything that the declarations refer to exists and may be used. Exit code 1 if "
                "something does not.",
            ),
            (
                "new-environment",
                "new_environment:new_environment",
                "Write environments/NAME.toml for an environment on AWS: every key explained, what is required to "
                "be filled in.",
            ),
            ("states", "states:app", "Check or run any Amazon States Language definition."),
        ),
    )


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

        typer.echo(f"nightferry {version('nightferry')}")
        raise typer.Exit


@app.callback()
def nightferry(
    show_version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Declare background jobs once; run them on this machine or on AWS."""


def main() -> None:
    """Run the console script ``nightferry``."""
    run_script("nightferry", app)
