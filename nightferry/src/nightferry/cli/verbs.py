"""The verbs of ``nightferry``, in the order and panels of the help. This module imports none of them, and not Typer."""

from __future__ import annotations

from typing import NamedTuple

SUMMARY = "Declare background jobs once; run them on this machine or on AWS."


class Described(NamedTuple):
    """A verb: its name, its panel in the help, the ``module:name`` of its function or Typer app, and its help text.

    The text repeats the first paragraph of the function's docstring, so that help imports no verb.
    """

    name: str
    panel: str
    target: str
    text: str


def _make_panel(title: str, package: str, *verbs: tuple[str, str, str]) -> list[Described]:
    """Return the verbs of one panel. Each argument is a name, ``module:name`` and the help text."""
    return [Described(name, title, f"{package}.{target}", text) for name, target, text in verbs]


VERBS = (
    *_make_panel(
        "Create",
        "nightferry.cli.create",
        (
            "init",
            "init:init",
            "Write a new project with a job, a schedule, two environments and a test, and run the job.",
        ),
        (
            "new-environment",
            "new_environment:new_environment",
            "Write environments/NAME.toml with a description of every key: for this machine (local) or AWS.",
        ),
    ),
    *_make_panel(
        "Run",
        "nightferry.cli.run",
        (
            "run",
            "run:app",
            "Run a task and follow it. Exit with the task's exit code, or 125 if it did not start.",
        ),
        ("start", "start:start", "Start a workflow and follow it. Exit with 0 if it succeeds, otherwise with 1."),
        ("up", "up:up", "Run services, schedules, triggers, tasks and workflows on this machine until Ctrl-C."),
        (
            "backfill",
            "backfill:app",
            "Start a schedule's target for each of its past times in a range, and follow the runs.",
        ),
        (
            "redrive",
            "redrive:redrive",
            "Continue a failed execution, start a failed run again, or retry the starts in a dead-letter queue.",
        ),
        (
            "stop",
            "stop:stop",
            "Stop a run, or an execution and its tasks. Tasks receive SIGTERM, and SIGKILL after 30 seconds.",
        ),
    ),
    *_make_panel(
        "Inspect",
        "nightferry.cli.inspect",
        (
            "dashboard",
            "dashboard:dashboard",
            "Serve web pages on the runs, executions and schedules of an environment until Ctrl-C.",
        ),
        ("status", "status:status", "Show the latest executions and runs, or the details of one of them."),
        (
            "logs",
            "logs:logs",
            "Show the log lines of tasks: formatted on a terminal, unchanged in a pipe.",
        ),
        ("tasks", "lists:tasks", "List the declared tasks; with --env, also the result of each task's last run."),
        (
            "workflows",
            "lists:workflows",
            "List the declared workflows; with --env, also the result of each workflow's last execution.",
        ),
        (
            "notifications",
            "notifications:app",
            "List the notices of this machine with their recipients, or send a test notice.",
        ),
        ("schedules", "lists:schedules", "List the declared schedules with the settings of an environment."),
        ("triggers", "lists:triggers", "List the declared object triggers with the settings of an environment."),
        (
            "starts",
            "starts:starts",
            "List what schedules and triggers have started, skipped or missed, and which fires are late.",
        ),
        ("next", "next_fires:next_fires", "Show the next times of schedules, in their own time zone and in UTC."),
        (
            "simulate",
            "simulate:simulate",
            "Simulate the schedules of an environment, and report their starts and overlaps.",
        ),
        (
            "costs",
            "costs:costs",
            "Estimate what a month of an environment costs on AWS, with x86 and Arm.",
        ),
    ),
    *_make_panel(
        "Develop",
        "nightferry.cli.develop",
        (
            "doctor",
            "doctor:doctor",
            "Check what this machine lacks for the project, and print the fix of each problem.",
        ),
        (
            "services",
            "services:services",
            "List the local services with their addresses, whether they are running, and a psql command.",
        ),
        (
            "databases",
            "databases:app",
            "List the databases of all projects on this machine, and remove those of removed projects.",
        ),
        (
            "env",
            "env:env",
            "Print the variables of a task for a debugger, in a form that a shell and dotenv read.",
        ),
        ("secrets", "secrets:app", "Store secrets, and list those that are missing."),
    ),
    *_make_panel(
        "Deploy",
        "nightferry.cli.deploy",
        (
            "synth",
            "synth:synth",
            "Write the Terraform files of an environment on AWS: tasks, workflows, schedules and triggers.",
        ),
        (
            "diff",
            "diff:diff",
            "Show the differences between the written Terraform files and the current catalog.",
        ),
        (
            "plan",
            "plan:plan",
            "Show Terraform's plan for an environment that was never deployed, without an AWS account.",
        ),
        (
            "resources",
            "resources:resources",
            "List the resources, IAM statements and container definitions in the synthesized Terraform.",
        ),
        (
            "rollback",
            "rollback:rollback",
            "Roll tasks back to the previously deployed image. Running tasks continue.",
        ),
        (
            "verify",
            "verify:verify",
            "Check that every referenced resource exists and is accessible.",
        ),
        ("states", "states:app", "Check or run any Amazon States Language definition."),
    ),
)
