"""``nightferry notifications``: list the notices of this machine, or send a test notice."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from nightferry.cli.terminal.completion import complete_topic
from nightferry.cli.terminal.options import AsJson, Env, format_env_option, print_json
from nightferry.cli.terminal.output import print_table
from nightferry.cli.terminal.streams import echo
from nightferry.environments.environment import Environment
from nightferry.environments.project import Project
from nightferry.environments.recipients import describe_recipients
from nightferry.errors import NightferryError
from nightferry.job.redaction import Redactor
from nightferry.lambdas import chat_notice
from nightferry.notices import has_failed, send_test_notice

app = typer.Typer(
    help="List the notices of this machine with their recipients, or send a test notice.",
    invoke_without_command=True,
    add_completion=False,
)


class NoticesNotStored(NightferryError):
    """Amazon SNS does not store messages, so the notices of an environment on AWS cannot be listed."""


@app.callback()
def notifications(
    context: typer.Context,
    env: Env = "local",
    limit: Annotated[int, typer.Option(help="Maximum number of notices.", min=1)] = 10,
    as_json: AsJson = False,
) -> None:
    """List the notices of this machine with their recipients, or send a test notice.

    The newest notice comes first, as a chat would show it, with personal data and secrets masked. The engine on this
    machine stores notices and does not send them.
    """
    if context.invoked_subcommand is not None:
        return
    project = Project.find()
    environment = project.environment(env)
    if environment.backend == "aws":
        raise NoticesNotStored(
            f"The notices of {env} cannot be listed, because Amazon SNS does not store messages. The recipients have "
            f"them. To check the recipients: nightferry verify --env {env}. To send a test notice: nightferry "
            f"notifications test TOPIC --env {env}"
        )
    redactor = Redactor(project.catalog.privacy)
    found = [
        _describe(environment, notice, redactor)
        for notice in _open_store(project, environment).newest_notifications(limit)
    ]
    if as_json:
        print_json(found)
        return
    for notice in found:
        recipients = ", ".join(notice["recipients"]) or "no recipients: add [notices.TOPIC] to the environment"
        echo(f"{notice['time']}  topic {notice['topic']}  to {recipients}")
        echo("".join(f"    {line}".rstrip() + "\n" for line in notice["text"].splitlines()))
    if not found:
        echo("No notices.")


@app.command(name="test")
def send_test(
    topic: Annotated[
        str,
        typer.Argument(
            help="Name of a topic of the catalog.",
            metavar="TOPIC",
            autocompletion=complete_topic,
        ),
    ],
    env: Env = "local",
    as_json: AsJson = False,
) -> None:
    """Send a test notice to the recipients of a topic, and print what is known of each. Exit with 1 if one fails.

    On this machine, the notice is stored and sent to each webhook whose secret is set here; e-mail is not sent. On AWS,
    it is published to the topic.
    """
    project = Project.find()
    environment = project.environment(env)
    sender = f"It was sent with: nightferry notifications test {topic}{format_env_option(env)}"
    results = send_test_notice(project, environment, topic, sender)
    if as_json:
        print_json({"topic": topic, "recipients": results})
    else:
        empty = f"Topic {topic} has no recipients. Add [notices.{topic}] to {environment.file}."
        print_table(("Recipient", "Result"), list(results.items()), empty)
    if any(map(has_failed, results.values())):
        raise typer.Exit(1)


def _describe(environment: Environment, notice: dict[str, Any], redactor: Redactor) -> dict[str, Any]:
    """Return a notice as its recipients would see it."""
    rendered = chat_notice.read_notice(notice["topic"], notice["subject"], notice["message"], strict=redactor.is_strict)
    return {
        "time": notice["time"],
        "topic": notice["topic"],
        "execution": notice["execution"],
        "recipients": describe_recipients(environment.notices.get(notice["topic"])),
        "text": redactor.redact_text(chat_notice.render_text(rendered)),
    }


def _open_store(project: Project, environment: Environment) -> Any:
    from nightferry.local.backend import LocalBackend

    return LocalBackend(project, environment).store
